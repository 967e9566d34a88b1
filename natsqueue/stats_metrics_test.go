package natsqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/boundq/queue/internal/metrics"
	"github.com/boundq/queue/natsqueue"
	"github.com/stretchr/testify/require"
)

func TestStatsFieldsAreWhatPromqueueAndOtelqueueExport(t *testing.T) {
	values, err := metrics.Reader(func(context.Context) (natsqueue.Stats, error) {
		return natsqueue.Stats{Cap: 1, Oldest: 1500 * time.Millisecond}, nil
	})(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1.5, values["oldest"])
	var exported, fields []string
	for _, m := range metrics.NATS {
		exported = append(exported, m.Name)
	}
	for name := range values {
		fields = append(fields, name)
	}
	require.ElementsMatch(t, exported, fields)
}
