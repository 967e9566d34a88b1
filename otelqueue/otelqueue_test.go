package otelqueue_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/boundq/queue"
	"github.com/boundq/queue/otelqueue"
	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// statsFunc is a queue of which only the figures exist.
type statsFunc func() queue.Stats

func (f statsFunc) Stats() queue.Stats { return f() }

var figures = queue.Stats{
	Len: 3, Cap: 4, MaxLen: 5, Unfinished: 6, PutWaiting: 7, GetWaiting: 8, Put: 9, Got: 10, Done: 11,
	Dropped: 12, Rejected: 13, PutBlocked: 14, GetBlocked: 15, Shutdown: true,
}

func newMeter() (api.Meter, metric.Reader) {
	reader := metric.NewManualReader()
	return metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"), reader
}

// observe returns the metrics that reader collects, and their figures by the
// queue's name and the metric's.
func observe(t *testing.T, reader metric.Reader) ([]metricdata.Metrics, map[string]map[string]int64) {
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(background, &collected))
	var metrics []metricdata.Metrics
	for _, scope := range collected.ScopeMetrics {
		metrics = append(metrics, scope.Metrics...)
	}
	queues := make(map[string]map[string]int64)
	for _, m := range metrics {
		var points []metricdata.DataPoint[int64]
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			require.Equal(t, metricdata.CumulativeTemporality, data.Temporality)
			points = data.DataPoints
		case metricdata.Gauge[int64]:
			points = data.DataPoints
		default:
			require.Fail(t, "neither a sum nor a gauge", "%s: %T", m.Name, data)
		}
		for _, p := range points {
			require.Equal(t, 1, p.Attributes.Len())
			q, named := p.Attributes.Value("queue")
			require.True(t, named)
			if queues[q.AsString()] == nil {
				queues[q.AsString()] = make(map[string]int64)
			}
			queues[q.AsString()][m.Name] = p.Value
		}
	}
	return metrics, queues
}

func TestEachFigureIsObservedUnderItsName(t *testing.T) {
	meter, reader := newMeter()
	_, err := otelqueue.Register(meter, "trades", statsFunc(func() queue.Stats { return figures }))
	require.NoError(t, err)
	_, got := observe(t, reader)
	require.Equal(t, map[string]map[string]int64{"trades": {
		"boundq.depth":           3,
		"boundq.capacity":        4,
		"boundq.max_depth":       5,
		"boundq.item.unfinished": 6,
		"boundq.put.waiting":     7,
		"boundq.get.waiting":     8,
		"boundq.item.put":        9,
		"boundq.item.gotten":     10,
		"boundq.item.done":       11,
		"boundq.item.dropped":    12,
		"boundq.put.rejected":    13,
		"boundq.put.blocked":     14,
		"boundq.get.blocked":     15,
		"boundq.shutdown":        1,
	}}, got)
}

func TestNamesAndUnitsFollowTheConventionsOfOpenTelemetry(t *testing.T) {
	meter, reader := newMeter()
	_, err := otelqueue.Register(meter, "trades", queue.New[int](1))
	require.NoError(t, err)
	metrics, _ := observe(t, reader)
	require.NotEmpty(t, metrics)
	for _, m := range metrics {
		require.Regexp(t, `^boundq(\.[a-z]+(_[a-z]+)*)+$`, m.Name)
		require.NotRegexp(t, `total|count$`, m.Name)
		require.Regexp(t, `^\{(item|call|queue)\}$`, m.Unit)
		require.Regexp(t, `^[A-Z1].*\.$`, m.Description)
	}
}

// Prometheus takes metrics over OTLP, and names them by these rules.
func TestInPrometheusTheNamesAreThoseOfPromqueue(t *testing.T) {
	meter, reader := newMeter()
	_, err := otelqueue.Register(meter, "trades", queue.New[int](1))
	require.NoError(t, err)

	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	var got []string
	metrics, _ := observe(t, reader)
	for _, m := range metrics {
		var kind otlptranslator.MetricType = otlptranslator.MetricTypeGauge
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			kind = otlptranslator.MetricTypeNonMonotonicCounter
			if sum.IsMonotonic {
				kind = otlptranslator.MetricTypeMonotonicCounter
			}
		}
		name, err := namer.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kind})
		require.NoError(t, err)
		got = append(got, name)
	}

	source, err := os.ReadFile("../promqueue/promqueue.go")
	require.NoError(t, err)
	want := regexp.MustCompile(`boundq_\w+`).FindAllString(string(source), -1)
	slices.Sort(want)
	require.ElementsMatch(t, slices.Compact(want), got)
}

func TestAQueueWithoutABoundHasNoCapacity(t *testing.T) {
	meter, reader := newMeter()
	q := queue.New[int](queue.Unbounded)
	_, err := otelqueue.Register(meter, "jobs", q)
	require.NoError(t, err)
	_, got := observe(t, reader)
	require.Contains(t, got["jobs"], "boundq.depth")
	require.NotContains(t, got["jobs"], "boundq.capacity")
	q.Resize(5)
	_, got = observe(t, reader)
	require.EqualValues(t, 5, got["jobs"]["boundq.capacity"])
}

func TestQueuesAreToldApartUntilTheyAreUnregistered(t *testing.T) {
	meter, reader := newMeter()
	asked := map[string]int{}
	register := func(name string, depth int) api.Registration {
		r, err := otelqueue.Register(meter, name, statsFunc(func() queue.Stats {
			asked[name]++
			return queue.Stats{Len: depth}
		}))
		require.NoError(t, err)
		return r
	}
	trades := register("trades", 1)
	register("jobs", 2)
	_, got := observe(t, reader)
	require.Len(t, got, 2)
	require.EqualValues(t, 1, got["trades"]["boundq.depth"])
	require.EqualValues(t, 2, got["jobs"]["boundq.depth"])
	require.Equal(t, map[string]int{"trades": 1, "jobs": 1}, asked, "a collection asks once")

	require.NoError(t, trades.Unregister())
	_, got = observe(t, reader)
	require.NotContains(t, got, "trades")
	require.EqualValues(t, 2, got["jobs"]["boundq.depth"])
	require.Equal(t, map[string]int{"trades": 1, "jobs": 2}, asked)

	register("trades", 3)
	_, got = observe(t, reader)
	require.EqualValues(t, 3, got["trades"]["boundq.depth"])
}

func TestAQueueNeedsANameAndFigures(t *testing.T) {
	meter := noop.NewMeterProvider().Meter("test")
	_, err := otelqueue.Register(meter, "", queue.New[int](1))
	require.ErrorContains(t, err, "needs a name")
	_, err = otelqueue.Register(meter, "trades", nil)
	require.ErrorContains(t, err, "q is nil")
	_, err = otelqueue.Register(meter, "trades", queue.New[int](1))
	require.NoError(t, err)
}

func TestTheFiguresOfEachCollectionAgreeWhileTheQueueIsUnderLoad(t *testing.T) {
	meter, reader := newMeter()
	q := queue.New[int](64)
	_, err := otelqueue.Register(meter, "trades", q)
	require.NoError(t, err)

	var callers sync.WaitGroup
	defer callers.Wait()
	defer func() { _ = q.Shutdown(true) }()
	callers.Go(func() {
		for range q.Tasks(background) {
		}
	})
	callers.Go(func() {
		for n := 0; q.Put(background, n) == nil; n++ {
			_, _, _ = q.ForcePut(n)
		}
	})
	for rounds, gotten := 0, int64(0); rounds < 1000 || gotten < 1000; rounds++ {
		_, got := observe(t, reader)
		m := got["trades"]
		gotten = m["boundq.item.gotten"]
		require.Equal(t, m["boundq.item.put"], m["boundq.item.gotten"]+m["boundq.item.dropped"]+m["boundq.depth"])
		require.Equal(t, m["boundq.item.unfinished"], m["boundq.item.put"]-m["boundq.item.done"]-m["boundq.item.dropped"])
	}
}
