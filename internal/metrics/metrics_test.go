package metrics_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/metrics"
	"github.com/boundq/queue/internal/metrics/metricstest"
	"github.com/stretchr/testify/require"
)

var all = slices.Concat(metrics.Queue, metrics.NATS)

func TestQueueHasAMetricForEachFieldOfStats(t *testing.T) {
	var want []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[queue.Stats]()) {
		want = append(want, f.Tag.Get("json")) // the names are those in JSON
	}
	var got []string
	for _, m := range metrics.Queue {
		got = append(got, m.Name)
	}
	require.ElementsMatch(t, append(want, "up"), got)
}

func TestPrometheusNamesEndInUnitAndKind(t *testing.T) {
	for _, m := range all {
		require.Equal(t, m.Unit == "s", strings.HasSuffix(m.Prometheus(), "_seconds"))
		require.Equal(t, m.Kind == metrics.Counter, strings.HasSuffix(m.Prometheus(), "_total"))
	}
}

func TestNamesBeginWithTheirNamespace(t *testing.T) {
	for prefix, metrics := range map[string][]metrics.Metric{"boundq": metrics.Queue, "boundq.nats": metrics.NATS} {
		for _, m := range metrics {
			require.Equal(t, prefix+"."+m.Name, m.OpenTelemetry())
			require.True(t, strings.HasPrefix(m.Prometheus(), strings.ReplaceAll(prefix, ".", "_")+"_"+m.Name))
		}
	}
}

func TestCheckNameRefusesWhatExportersCannotCarry(t *testing.T) {
	for _, name := range []string{"trades", "a b", `"quoted"`, "line\nbreak", "\x00", "Größe"} {
		require.NoError(t, metrics.CheckName(name))
	}
	require.EqualError(t, metrics.CheckName(""), "name must not be empty")
	require.EqualError(t, metrics.CheckName("a\xff"), `name must be valid UTF-8: "a\xff"`)
}

func TestHelpIsASentenceAndUnitsAreKnown(t *testing.T) {
	for _, m := range all {
		require.Regexp(t, `^[A-Z1].*\.$`, m.Help)
		require.Contains(t, []string{"{item}", "{call}", "{queue}", "s"}, m.Unit)
	}
}

func TestIsNilKnowsANilOfEveryKindThatHasOne(t *testing.T) {
	for _, v := range []any{nil, (*int)(nil), map[int]int(nil), []int(nil), (chan int)(nil), (func())(nil)} {
		require.True(t, metrics.IsNil(v), "%T", v)
	}
	for _, v := range []any{0, "", struct{}{}, new(int), map[int]int{}, []int{}, make(chan int), func() {}, [1]*int{}} {
		require.False(t, metrics.IsNil(v), "%T", v)
	}
}

func read[S any](stats func() (S, error)) (map[string]float64, error) {
	return metrics.Reader(func(context.Context) (S, error) { return stats() })(context.Background())
}

func TestReaderReturnsNumbersAndNoText(t *testing.T) {
	type stats struct {
		Below       int
		MuchMore    uint64
		OldestAge   time.Duration
		Yes, No     bool
		XMax        int
		Name        string
		Cap         int
		Unbounded64 int64
	}
	got, err := read(func() (stats, error) {
		return stats{Below: -1, MuchMore: 1 << 63, OldestAge: 1500 * time.Millisecond, Yes: true, Name: "trades", Unbounded64: 2}, nil
	})
	require.NoError(t, err)
	require.Equal(t, map[string]float64{
		"up": 1, "below": -1, "much_more": 1 << 63, "oldest_age": 1.5, "yes": 1, "no": 0, "unbounded64": 2, "x_max": 0,
	}, got)
}

func TestReaderReturnsWhyThereAreNoStatistics(t *testing.T) {
	down := map[string]float64{"up": 0}
	for name, c := range metricstest.Failing {
		t.Run(name, func(t *testing.T) {
			got, err := metrics.Local(c.Queue)(context.Background())
			require.ErrorContains(t, err, c.Error)
			require.Equal(t, down, got)
		})
	}
	got, err := read(func() (queue.Stats, error) { return metricstest.Stats, context.Canceled })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, down, got)
	got, err = read(func() (*queue.Stats, error) { return nil, nil })
	require.ErrorContains(t, err, "panic in Stats")
	require.Equal(t, down, got)
	_, err = read(func() (*queue.Stats, error) { return nil, context.Canceled })
	require.ErrorIs(t, err, context.Canceled)
	_, err = read(func() (queue.Stats, error) { panic(errors.New("broken")) })
	require.ErrorContains(t, err, "metrics_test.go", "the error tells where the panic was")
}

func TestReaderWaitsNoLongerThanTheTimeoutAndLeavesOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		hang := make(chan struct{})
		read := metrics.Reader(func(ctx context.Context) (queue.Stats, error) {
			calls.Add(1)
			<-hang // whatever ctx says
			return metricstest.Stats, nil
		})
		begin := time.Now()
		got, err := read(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, map[string]float64{"up": 0}, got)
		require.Equal(t, metrics.Timeout, time.Since(begin))

		got, err = read(t.Context())
		require.ErrorContains(t, err, "an earlier call of Stats has not returned")
		require.Equal(t, map[string]float64{"up": 0}, got)
		require.Equal(t, metrics.Timeout, time.Since(begin), "the second call returns at once")
		require.EqualValues(t, 1, calls.Load())

		close(hang)
		synctest.Wait()
		got, err = read(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, got["up"])
		require.EqualValues(t, 2, calls.Load())
	})
}

func TestReaderEndsTheContextOfACallThatHasReturned(t *testing.T) {
	var ctx context.Context
	_, err := metrics.Reader(func(c context.Context) (queue.Stats, error) {
		ctx = c
		return metricstest.Stats, nil
	})(t.Context())
	require.NoError(t, err)
	require.Error(t, ctx.Err(), "its timer goes on")
}

func TestReaderAllowsCallsAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := metrics.Reader(func(context.Context) (queue.Stats, error) {
			time.Sleep(metrics.Timeout / 2)
			return metricstest.Stats, nil
		})
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				_, err := read(t.Context())
				require.NoError(t, err)
			})
		}
		callers.Wait()
	})
}
