// Package otelqueue exports the figures of a queue to OpenTelemetry.
package otelqueue

import (
	"context"
	"errors"

	"github.com/boundq/queue"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments are what a queue exports. What can be added up over queues is a
// counter or an UpDownCounter, as OpenTelemetry's conventions have it. Units in
// braces are not appended to the names where these are translated for
// Prometheus; there they are the names of package promqueue.
var instruments = []struct {
	create                  func(m metric.Meter, name string, description, unit metric.InstrumentOption) (metric.Int64Observable, error)
	name, unit, description string
	value                   func(queue.Stats) int64
}{
	{upDownCounter, "boundq.depth", "{item}", "Items that wait in the queue now.",
		func(s queue.Stats) int64 { return int64(s.Len) }},
	{upDownCounter, capacity, "{item}", "Most items that may wait in the queue at a time. Missing if there is no bound.",
		func(s queue.Stats) int64 { return int64(s.Cap) }},
	{gauge, "boundq.max_depth", "{item}", "Most items that ever waited in the queue at a time.",
		func(s queue.Stats) int64 { return int64(s.MaxLen) }},
	{upDownCounter, "boundq.item.unfinished", "{item}", "Items that were put and neither marked done nor dropped: those that wait and those being worked on.",
		func(s queue.Stats) int64 { return int64(s.Unfinished) }},
	{upDownCounter, "boundq.put.waiting", "{call}", "Producers that wait now for room in the queue.",
		func(s queue.Stats) int64 { return int64(s.PutWaiting) }},
	{upDownCounter, "boundq.get.waiting", "{call}", "Consumers that wait now for an item.",
		func(s queue.Stats) int64 { return int64(s.GetWaiting) }},
	{counter, "boundq.item.put", "{item}", "Items put into the queue. Always those gotten, those dropped and those that wait, added up.",
		func(s queue.Stats) int64 { return int64(s.Put) }},
	{counter, "boundq.item.gotten", "{item}", "Items taken out of the queue by consumers.",
		func(s queue.Stats) int64 { return int64(s.Got) }},
	{counter, "boundq.item.done", "{item}", "Items that consumers marked done.",
		func(s queue.Stats) int64 { return int64(s.Done) }},
	{counter, "boundq.item.dropped", "{item}", "Items that left the queue without reaching a consumer: evicted to make room for newer ones, or taken out by an immediate shutdown.",
		func(s queue.Stats) int64 { return int64(s.Dropped) }},
	{counter, "boundq.put.rejected", "{call}", "Attempts to put an item without waiting that were refused, because the queue was full.",
		func(s queue.Stats) int64 { return int64(s.Rejected) }},
	{counter, "boundq.put.blocked", "{call}", "Times that a producer found the queue full and had to wait.",
		func(s queue.Stats) int64 { return int64(s.PutBlocked) }},
	{counter, "boundq.get.blocked", "{call}", "Times that a consumer found the queue empty and had to wait.",
		func(s queue.Stats) int64 { return int64(s.GetBlocked) }},
	{upDownCounter, "boundq.shutdown", "{queue}", "1 if the queue was shut down and takes no more items, else 0.",
		func(s queue.Stats) int64 {
			if s.Shutdown {
				return 1
			}
			return 0
		}},
}

// capacity is not observed for a queue without a bound: a division by its zero
// would tell every alert that the queue is full.
const capacity = "boundq.capacity"

func counter(m metric.Meter, name string, description, unit metric.InstrumentOption) (metric.Int64Observable, error) {
	return m.Int64ObservableCounter(name, description, unit)
}

func upDownCounter(m metric.Meter, name string, description, unit metric.InstrumentOption) (metric.Int64Observable, error) {
	return m.Int64ObservableUpDownCounter(name, description, unit)
}

func gauge(m metric.Meter, name string, description, unit metric.InstrumentOption) (metric.Int64Observable, error) {
	return m.Int64ObservableGauge(name, description, unit)
}

// Register has meter observe the figures of q, a [queue.Queue] of any type or
// whatever else has its figures, until the returned registration's Unregister is
// called. Each figure bears the attribute queue, whose value is name. It is not
// in a namespace, so that the metrics' labels in Prometheus are those of package
// promqueue, and the dashboard and alerts in grafana/ do for either.
//
// Each collection calls q.Stats once, so that the figures of a collection agree
// with each other. The queue itself does no work for them.
//
// Queues of different names can be registered with one meter. The figures of two
// of the same name would be added up: it is up to the caller that there are none.
// Register returns an error if name is empty or q is nil, and those of the meter.
func Register(meter metric.Meter, name string, q interface{ Stats() queue.Stats }) (metric.Registration, error) {
	if name == "" {
		return nil, errors.New("otelqueue: a queue needs a name, to be told from others by")
	}
	if q == nil {
		return nil, errors.New("otelqueue: q is nil")
	}
	observables := make([]metric.Observable, len(instruments))
	int64s := make([]metric.Int64Observable, len(instruments))
	for i, in := range instruments {
		var err error
		int64s[i], err = in.create(meter, in.name, metric.WithDescription(in.description), metric.WithUnit(in.unit))
		if err != nil {
			return nil, err
		}
		observables[i] = int64s[i]
	}
	attributes := metric.WithAttributeSet(attribute.NewSet(attribute.String("queue", name)))
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := q.Stats()
		for i, in := range instruments {
			if in.name != capacity || s.Cap != queue.Unbounded {
				o.ObserveInt64(int64s[i], in.value(s), attributes)
			}
		}
		return nil
	}, observables...)
}
