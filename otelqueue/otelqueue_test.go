package otelqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/metrics/metricstest"
	"github.com/boundq/queue/keyed"
	"github.com/boundq/queue/otelqueue"
	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// stats returns a queue with these statistics.
func stats(s queue.Stats) metricstest.StatsFunc { return func() queue.Stats { return s } }

func newMeter() (api.Meter, metric.Reader) {
	reader := metric.NewManualReader()
	return metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"), reader
}

// observe returns the metrics that reader collects, and their values by the
// queue's name and the metric's.
func observe(t *testing.T, reader metric.Reader) ([]metricdata.Metrics, map[string]map[string]int64) {
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(background, &collected))
	return points(t, collected)
}

func points(t *testing.T, collected metricdata.ResourceMetrics) ([]metricdata.Metrics, map[string]map[string]int64) {
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
		case metricdata.Gauge[float64]: // an age, of queues on servers
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

func TestEachFieldOfStatsIsObservedUnderItsName(t *testing.T) {
	want := make(map[string]int64)
	for name, value := range metricstest.Values {
		want["boundq."+strings.TrimSuffix(name, "_total")] = int64(value)
	}
	meter, reader := newMeter()
	_, err := otelqueue.Register(meter, "trades", stats(metricstest.Stats))
	require.NoError(t, err)
	_, got := observe(t, reader)
	require.Equal(t, map[string]map[string]int64{"trades": want}, got)
}

func TestKeyedQueuesAreObserved(t *testing.T) {
	meter, reader := newMeter()
	var latest keyed.Latest[string, int]
	fair, serial := keyed.NewFair[string, int](2), keyed.NewSerial[string, int](2)
	for name, q := range map[string]metricstest.Queue{"latest": &latest, "fair": fair, "serial": serial} {
		_, err := otelqueue.Register(meter, name, q)
		require.NoError(t, err)
	}
	_, _, err := latest.Put("a", 1)
	require.NoError(t, err)
	require.NoError(t, fair.TryPut("a", 1))
	require.NoError(t, serial.TryPut("a", 1))
	_, got := observe(t, reader)
	require.Len(t, got, 3)
	for _, m := range got {
		require.EqualValues(t, 1, m["boundq.len"])
		require.EqualValues(t, 1, m["boundq.put"])
		require.NotContains(t, m, "boundq.cap")
	}
}

func TestAQueueOnAServerIsObserved(t *testing.T) {
	var handled []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { handled = append(handled, err) }))
	meter, reader := newMeter()
	q := new(metricstest.NATS)
	registration, err := otelqueue.RegisterNATS(meter, "jobs", q)
	require.NoError(t, err)
	_, err = otelqueue.RegisterNATS(meter, "jobs", q)
	require.ErrorContains(t, err, "already registered")
	_, err = otelqueue.Register(meter, "jobs", queue.New[int](1))
	require.NoError(t, err)

	want := make(map[string]float64)
	for name, value := range metricstest.NATSValues {
		want["boundq.nats."+strings.TrimSuffix(strings.TrimSuffix(name, "_total"), "_seconds")] = value
	}
	nats := func() map[string]float64 {
		metrics, _ := observe(t, reader)
		values := make(map[string]float64)
		for _, m := range metrics {
			if !strings.HasPrefix(m.Name, "boundq.nats.") {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				values[m.Name] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[int64]:
				values[m.Name] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[float64]:
				values[m.Name] = data.DataPoints[0].Value
			}
		}
		return values
	}
	require.Equal(t, want, nats())
	require.Empty(t, handled)

	q.Error = context.DeadlineExceeded
	require.Equal(t, map[string]float64{"boundq.nats.up": 0}, nats())
	require.Len(t, handled, 1)
	require.ErrorIs(t, handled[0], context.DeadlineExceeded)

	require.NoError(t, registration.Unregister())
	require.Empty(t, nats())

	_, err = otelqueue.RegisterNATS(meter, "jobs", (*metricstest.NATS)(nil))
	require.EqualError(t, err, "otelqueue: q must not be nil")
	_, err = otelqueue.RegisterNATS(meter, "", q)
	require.EqualError(t, err, "otelqueue: name must not be empty")
}

func TestNamesAndUnitsFollowTheConventionsOfOpenTelemetry(t *testing.T) {
	meter, reader := newMeter()
	_, err := otelqueue.Register(meter, "trades", queue.New[int](1))
	require.NoError(t, err)
	_, err = otelqueue.RegisterNATS(meter, "jobs", new(metricstest.NATS))
	require.NoError(t, err)
	metrics, _ := observe(t, reader)
	require.NotEmpty(t, metrics)
	for _, m := range metrics {
		require.Regexp(t, `^boundq(\.[a-z]+(_[a-z]+)*)+$`, m.Name)
		require.NotRegexp(t, `total|count$`, m.Name)
		require.Regexp(t, `^(\{(item|call|queue)\}|s)$`, m.Unit)
	}
}

// Prometheus takes metrics over OTLP, and names them by these rules.
func TestInPrometheusTheNamesAreThoseOfPromqueue(t *testing.T) {
	meter, reader := newMeter()
	_, err := otelqueue.Register(meter, "trades", queue.New[int](1))
	require.NoError(t, err)
	_, err = otelqueue.RegisterNATS(meter, "jobs", new(metricstest.NATS))
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

	var want []string
	for name := range metricstest.Values {
		want = append(want, "boundq_"+name)
	}
	for name := range metricstest.NATSValues {
		want = append(want, "boundq_nats_"+name)
	}
	require.ElementsMatch(t, want, got)
}

func TestAQueueWithoutABoundHasNoCapacity(t *testing.T) {
	meter, reader := newMeter()
	q := queue.New[int](queue.Unbounded)
	_, err := otelqueue.Register(meter, "jobs", q)
	require.NoError(t, err)
	_, got := observe(t, reader)
	require.Contains(t, got["jobs"], "boundq.len")
	require.NotContains(t, got["jobs"], "boundq.cap")
	q.Resize(5)
	_, got = observe(t, reader)
	require.EqualValues(t, 5, got["jobs"]["boundq.cap"])
}

func TestQueuesAreToldApartUntilTheyAreUnregistered(t *testing.T) {
	meter, reader := newMeter()
	asked := map[string]int{}
	register := func(name string, depth int) api.Registration {
		r, err := otelqueue.Register(meter, name, metricstest.StatsFunc(func() queue.Stats {
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
	require.EqualValues(t, 1, got["trades"]["boundq.len"])
	require.EqualValues(t, 2, got["jobs"]["boundq.len"])
	require.Equal(t, map[string]int{"trades": 1, "jobs": 1}, asked, "a collection asks once")

	require.NoError(t, trades.Unregister())
	_, got = observe(t, reader)
	require.NotContains(t, got, "trades")
	require.EqualValues(t, 2, got["jobs"]["boundq.len"])
	require.Equal(t, map[string]int{"trades": 1, "jobs": 2}, asked)

	register("trades", 3)
	_, got = observe(t, reader)
	require.EqualValues(t, 3, got["trades"]["boundq.len"])
}

func TestOddNamesAreObservedAsTheyAre(t *testing.T) {
	meter, reader := newMeter()
	for n, name := range metricstest.Accepted {
		_, err := otelqueue.Register(meter, name, stats(queue.Stats{Len: n}))
		require.NoError(t, err)
	}
	_, got := observe(t, reader)
	require.Len(t, got, len(metricstest.Accepted))
	for n, name := range metricstest.Accepted {
		require.Contains(t, got, name)
		require.EqualValues(t, n, got[name]["boundq.len"])
	}
}

func TestBadNamesAndNilQueuesAreRefused(t *testing.T) {
	for name, c := range metricstest.Refused {
		t.Run(name, func(t *testing.T) {
			meter, reader := newMeter()
			_, err := otelqueue.Register(meter, "jobs", queue.New[int](1))
			require.NoError(t, err)
			_, err = otelqueue.Register(meter, c.Name, c.Queue)
			require.EqualError(t, err, "otelqueue: "+c.Error)
			_, got := observe(t, reader)
			require.Len(t, got, 1, "others are observed on")
		})
	}
}

func TestANilMeterIsRefused(t *testing.T) {
	type meter struct{ api.Meter }
	for _, m := range []api.Meter{nil, (*meter)(nil)} {
		_, err := otelqueue.Register(m, "trades", queue.New[int](1))
		require.EqualError(t, err, "otelqueue: meter must not be nil")
	}
}

func TestANameIsRegisteredOnceUntilItIsUnregistered(t *testing.T) {
	meter, reader := newMeter()
	first, err := otelqueue.Register(meter, "trades", stats(queue.Stats{Len: 1}))
	require.NoError(t, err)
	_, err = otelqueue.Register(meter, "trades", stats(queue.Stats{Len: 2}))
	require.EqualError(t, err, `otelqueue: name "trades" is already registered with this meter`)
	_, got := observe(t, reader)
	require.EqualValues(t, 1, got["trades"]["boundq.len"])

	require.NoError(t, first.Unregister())
	_, err = otelqueue.Register(meter, "trades", stats(queue.Stats{Len: 2}))
	require.NoError(t, err)
	require.NoError(t, first.Unregister(), "has no effect the second time")
	_, err = otelqueue.Register(meter, "trades", stats(queue.Stats{Len: 3}))
	require.ErrorContains(t, err, "already registered")
	_, got = observe(t, reader)
	require.EqualValues(t, 2, got["trades"]["boundq.len"])

	other, reader := newMeter()
	_, err = otelqueue.Register(other, "trades", stats(queue.Stats{Len: 4}))
	require.NoError(t, err, "a meter of another provider")
	_, got = observe(t, reader)
	require.EqualValues(t, 4, got["trades"]["boundq.len"])
}

func TestMetersThatDoNothingTakeANameAnyNumberOfTimes(t *testing.T) {
	for range 2 {
		_, err := otelqueue.Register(noop.NewMeterProvider().Meter("test"), "trades", queue.New[int](1))
		require.NoError(t, err)
	}
}

// refuses is a meter that creates no instruments of one kind, or no callbacks.
type refuses struct {
	api.Meter
	gauges, callbacks error
}

func (r *refuses) Int64ObservableGauge(name string, o ...api.Int64ObservableGaugeOption) (api.Int64ObservableGauge, error) {
	if r.gauges != nil {
		return nil, r.gauges
	}
	return r.Meter.Int64ObservableGauge(name, o...)
}

func (r *refuses) RegisterCallback(f api.Callback, o ...api.Observable) (api.Registration, error) {
	if r.callbacks != nil {
		return nil, r.callbacks
	}
	return r.Meter.RegisterCallback(f, o...)
}

func TestAnErrorOfTheMeterIsReturnedAndLeavesTheNameFree(t *testing.T) {
	meter, reader := newMeter()
	r := &refuses{Meter: meter}
	for _, refusal := range []*error{&r.gauges, &r.callbacks} {
		*refusal = errors.New("refused")
		_, err := otelqueue.Register(r, "trades", stats(queue.Stats{Len: 1}))
		require.ErrorIs(t, err, *refusal)
		*refusal = nil
	}
	_, err := otelqueue.Register(r, "trades", stats(queue.Stats{Len: 1}))
	require.NoError(t, err)
	_, got := observe(t, reader)
	require.EqualValues(t, 1, got["trades"]["boundq.len"])
}

// exporter keeps the metrics that it is given last.
type exporter struct {
	metric.Exporter
	last metricdata.ResourceMetrics
}

func (*exporter) Temporality(metric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}
func (*exporter) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}
func (e *exporter) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	e.last = *rm
	return nil
}
func (*exporter) ForceFlush(context.Context) error { return nil }
func (*exporter) Shutdown(context.Context) error   { return nil }

func TestAQueueThatFailsIsDownAndOthersAreExported(t *testing.T) {
	var handled []string
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { handled = append(handled, err.Error()) }))
	t.Cleanup(func() { otel.SetErrorHandler(before) })
	for name, c := range metricstest.Failing {
		t.Run(name, func(t *testing.T) {
			handled = nil
			var e exporter
			provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(&e)))
			meter := provider.Meter("test")
			_, err := otelqueue.Register(meter, "trades", queue.New[int](1))
			require.NoError(t, err)
			_, err = otelqueue.Register(meter, "broken", c.Queue)
			require.NoError(t, err)
			require.NoError(t, provider.ForceFlush(background))
			_, got := points(t, e.last)
			require.NoError(t, provider.Shutdown(background))

			require.Len(t, got["trades"], len(metricstest.Values))
			require.EqualValues(t, 1, got["trades"]["boundq.up"])
			require.Equal(t, map[string]int64{"boundq.up": 0}, got["broken"])
			require.NotEmpty(t, handled)
			for _, h := range handled {
				require.Contains(t, h, `otelqueue: no statistics of queue "broken": `+c.Error)
			}
		})
	}
}

func TestTheStatisticsOfACollectionAreConsistentWhileTheQueueIsUnderLoad(t *testing.T) {
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
	for rounds, received := 0, int64(0); rounds < 1000 || received < 1000; rounds++ {
		_, got := observe(t, reader)
		m := got["trades"]
		received = m["boundq.got"]
		require.Equal(t, m["boundq.put"], m["boundq.got"]+m["boundq.dropped"]+m["boundq.len"])
		require.Equal(t, m["boundq.unfinished"], m["boundq.put"]-m["boundq.done"]-m["boundq.dropped"])
	}
}
