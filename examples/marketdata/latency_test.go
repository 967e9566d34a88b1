package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatenciesTellTheLastSecondsFromTheWholeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLatencies()
		require.Equal(t, percentiles{}, l.lately())
		for range 99 {
			l.record(2 * time.Millisecond)
		}
		l.record(50 * time.Millisecond)
		require.InEpsilon(t, 2, l.lately().P50, 0.01)
		require.InEpsilon(t, 2, l.lately().P99, 0.01)
		l.record(50 * time.Millisecond)
		require.InEpsilon(t, 50, l.lately().P99, 0.01)
		time.Sleep((latencyWindows - 1) * time.Second)
		require.InEpsilon(t, 2, l.lately().P50, 0.01)
		l.record(time.Second)
		time.Sleep(time.Second)
		require.InEpsilon(t, 1000, l.lately().P50, 0.01, "the first ones are too old")
		time.Sleep(time.Hour)
		require.Equal(t, percentiles{}, l.lately())
		require.InEpsilon(t, 2, l.overall().P50, 0.01)

		l.record(-time.Second)
		l.record(24 * time.Hour)
		require.InEpsilon(t, float64(longestLatency.Milliseconds()), l.lately().P99, 0.01)
	})
}

func TestAStopwatchAddsUpWhatItRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s stopwatch
		require.Zero(t, s.elapsed())
		for n := range 3 {
			s.start()
			time.Sleep(time.Second)
			require.Equal(t, time.Duration(n+1)*time.Second, s.elapsed(), "while it runs")
			s.stop()
			time.Sleep(time.Minute)
			require.Equal(t, time.Duration(n+1)*time.Second, s.elapsed())
		}
	})
}
