package natsqueue_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
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

func TestStatsHaveTheSameNamesInJSONAndInLogs(t *testing.T) {
	s := natsqueue.Stats{Len: 1, Cap: 2, InFlight: 3, Unfinished: 4, Put: 5, Done: 6, Delivered: 7, Redelivered: 8, DeadLetters: 9, Waiting: 10, Oldest: 11, Shutdown: true}
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	require.JSONEq(t, `{"len":1,"cap":2,"in_flight":3,"unfinished":4,"put":5,"done":6,"delivered":7,"redelivered":8,"dead_letters":9,"waiting":10,"oldest":11,"shutdown":true}`, string(encoded))
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != "queue" {
			return slog.Attr{}
		}
		return a
	}})).Info("", "queue", s)
	require.JSONEq(t, `{"queue":`+string(encoded)+`}`, logged.String())
}
