package natsqueue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABlockedPutPollsLessOftenTheLongerItIsBlocked(t *testing.T) {
	e := newEars(nil, "subject")
	for blocked, want := range map[time.Duration]time.Duration{
		0: pollTime, unheard + 1: time.Second, 8 * time.Second: time.Second, 16 * time.Second: 2 * time.Second, time.Hour: 4 * time.Second,
	} {
		require.Equal(t, want, e.limit(blocked), "%v", blocked)
	}
	e.ever.Store(true)
	require.Equal(t, time.Second, e.limit(0), "it hears of acknowledgements")
	e = newEars(nil, "subject")
	e.deaf.Store(true)
	require.Equal(t, pollTime, e.limit(time.Hour), "it has nothing but polling")
}
