// Package otelqueue exports the statistics of a queue to OpenTelemetry. In the
// repository, docs/operations.md describes the metrics.
package otelqueue

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/metrics"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Register has meter observe the statistics of q, usually a [queue.Queue], until
// Unregister is called on the returned registration. It exports each field of
// [queue.Stats] under its JSON name, for example boundq.len and boundq.put, and
// boundq.up. Every metric has the attribute queue=name. Exported to Prometheus,
// the metrics have the same names and labels as those of package promqueue.
//
// Register returns an error if name is empty or not valid UTF-8, if a queue of
// that name is registered with the meter, if meter or q is nil or a nil pointer,
// or if the meter returns an error. Meter and q stay in memory until Unregister
// is called.
//
// Each collection calls q.Stats once, so the metrics of a collection are
// consistent. If Stats panics, or does not return within five seconds, boundq.up
// is 0 in that collection, the queue's other metrics are absent, and the error is
// passed to [otel.Handle]. Metrics of other queues are not affected.
func Register(meter metric.Meter, name string, q interface{ Stats() queue.Stats }) (metric.Registration, error) {
	if metrics.IsNil(q) {
		return nil, errors.New("otelqueue: q must not be nil")
	}
	return register(meter, name, metrics.Queue, metrics.Local(q))
}

// RegisterNATS has meter observe the statistics of q, usually a natsqueue.Queue,
// across all processes. It exports each field of natsqueue.Stats under its name
// in snake case, for example boundq.nats.len and boundq.nats.oldest (in seconds),
// and boundq.nats.up. Otherwise it behaves like [Register]; the name may be the
// same as that of a queue registered with Register.
//
// The context of Stats ends after five seconds. If Stats returns an error,
// boundq.nats.up is 0 in that collection, as after a panic.
func RegisterNATS[S any](meter metric.Meter, name string, q interface {
	Stats(context.Context) (S, error)
}) (metric.Registration, error) {
	if metrics.IsNil(q) {
		return nil, errors.New("otelqueue: q must not be nil")
	}
	return register(meter, name, metrics.NATS, metrics.Reader(q.Stats))
}

func register(meter metric.Meter, name string, ms []metrics.Metric, read func(context.Context) (map[string]float64, error)) (metric.Registration, error) {
	if err := metrics.CheckName(name); err != nil {
		return nil, fmt.Errorf("otelqueue: %w", err)
	}
	if metrics.IsNil(meter) {
		return nil, errors.New("otelqueue: meter must not be nil")
	}
	r := &registration{use: use{meter, ms[0].OpenTelemetry(), name}}
	if !r.claim() {
		return nil, fmt.Errorf("otelqueue: name %q is already registered with this meter", name)
	}
	observe := make([]func(metric.Observer, float64), len(ms))
	observables := make([]metric.Observable, len(ms))
	attributes := metric.WithAttributeSet(attribute.NewSet(attribute.String("queue", name)))
	for i, m := range ms {
		var err error
		if observe[i], observables[i], err = instrument(meter, m, attributes); err != nil {
			r.release()
			return nil, err
		}
	}
	var err error
	r.Registration, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		values, err := read(ctx)
		if err != nil {
			// Returned, the error would keep a periodic reader from exporting
			// anything at all.
			otel.Handle(fmt.Errorf("otelqueue: no statistics of queue %q: %w", name, err))
		}
		for i, m := range ms {
			if value, ok := values[m.Name]; ok {
				observe[i](o, value)
			}
		}
		return nil
	}, observables...)
	if err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

// instrument creates the instrument of m, and returns a function that observes a
// value with it. What can be added up over queues is a counter or an
// UpDownCounter, as OpenTelemetry's conventions have it.
func instrument(meter metric.Meter, m metrics.Metric, attributes metric.MeasurementOption) (func(metric.Observer, float64), metric.Observable, error) {
	name, help, unit := m.OpenTelemetry(), metric.WithDescription(m.Help), metric.WithUnit(m.Unit)
	if m.Unit == "s" {
		g, err := meter.Float64ObservableGauge(name, help, unit)
		return func(o metric.Observer, v float64) { o.ObserveFloat64(g, v, attributes) }, g, err
	}
	var in metric.Int64Observable
	var err error
	switch m.Kind {
	case metrics.Counter:
		in, err = meter.Int64ObservableCounter(name, help, unit)
	case metrics.Sum:
		in, err = meter.Int64ObservableUpDownCounter(name, help, unit)
	case metrics.Gauge:
		in, err = meter.Int64ObservableGauge(name, help, unit)
	}
	return func(o metric.Observer, v float64) { o.ObserveInt64(in, int64(v), attributes) }, in, err
}

// A registration keeps its name from other queues until Unregister is called:
// the numbers of two queues of one name would be added up.
type registration struct {
	metric.Registration
	use use
}

type use struct {
	meter  metric.Meter
	metric string // of which there may be one for each name
	name   string
}

var uses sync.Map // of use to its *registration

// claim reports whether the name was free. Meters that are not pointers have no
// identity, as those of package noop, which are all equal.
func (r *registration) claim() bool {
	if reflect.TypeOf(r.use.meter).Kind() != reflect.Pointer {
		return true
	}
	_, taken := uses.LoadOrStore(r.use, r)
	return !taken
}

func (r *registration) release() {
	if reflect.TypeOf(r.use.meter).Kind() == reflect.Pointer {
		uses.CompareAndDelete(r.use, r)
	}
}

// Unregister implements [metric.Registration].
func (r *registration) Unregister() error {
	defer r.release()
	return r.Registration.Unregister()
}
