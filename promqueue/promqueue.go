// Package promqueue exports the figures of a queue to Prometheus. The
// repository's folder grafana has a dashboard and alerts for them.
package promqueue

import (
	"errors"

	"github.com/boundq/queue"
	"github.com/prometheus/client_golang/prometheus"
)

var errNoName = errors.New("promqueue: a queue needs a name, to be told from others by")

// metrics are what a queue exports. The names are those of package otelqueue,
// as OpenTelemetry translates them for Prometheus.
var metrics = []struct {
	name, help string
	kind       prometheus.ValueType
	value      func(queue.Stats) float64
}{
	{"boundq_depth", "Items that wait in the queue now.",
		prometheus.GaugeValue, func(s queue.Stats) float64 { return float64(s.Len) }},
	{capacity, "Most items that may wait in the queue at a time. Missing if there is no bound.",
		prometheus.GaugeValue, func(s queue.Stats) float64 { return float64(s.Cap) }},
	{"boundq_max_depth", "Most items that ever waited in the queue at a time.",
		prometheus.GaugeValue, func(s queue.Stats) float64 { return float64(s.MaxLen) }},
	{"boundq_item_unfinished", "Items that were put and neither marked done nor dropped: those that wait and those being worked on.",
		prometheus.GaugeValue, func(s queue.Stats) float64 { return float64(s.Unfinished) }},
	{"boundq_put_waiting", "Producers that wait now for room in the queue.",
		prometheus.GaugeValue, func(s queue.Stats) float64 { return float64(s.PutWaiting) }},
	{"boundq_get_waiting", "Consumers that wait now for an item.",
		prometheus.GaugeValue, func(s queue.Stats) float64 { return float64(s.GetWaiting) }},
	{"boundq_item_put_total", "Items put into the queue. Always those gotten, those dropped and those that wait, added up.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.Put) }},
	{"boundq_item_gotten_total", "Items taken out of the queue by consumers.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.Got) }},
	{"boundq_item_done_total", "Items that consumers marked done.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.Done) }},
	{"boundq_item_dropped_total", "Items that left the queue without reaching a consumer: evicted to make room for newer ones, or taken out by an immediate shutdown.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.Dropped) }},
	{"boundq_put_rejected_total", "Attempts to put an item without waiting that were refused, because the queue was full.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.Rejected) }},
	{"boundq_put_blocked_total", "Times that a producer found the queue full and had to wait.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.PutBlocked) }},
	{"boundq_get_blocked_total", "Times that a consumer found the queue empty and had to wait.",
		prometheus.CounterValue, func(s queue.Stats) float64 { return float64(s.GetBlocked) }},
	{"boundq_shutdown", "1 if the queue was shut down and takes no more items, else 0.",
		prometheus.GaugeValue, func(s queue.Stats) float64 {
			if s.Shutdown {
				return 1
			}
			return 0
		}},
}

// capacity is not exported for a queue without a bound: a division by its zero
// would tell every alert that the queue is full.
const capacity = "boundq_capacity"

type collector struct {
	q     interface{ Stats() queue.Stats }
	descs []*prometheus.Desc // one for each of metrics
}

// NewCollector returns a collector of the figures of q, a [queue.Queue] of any
// type or whatever else has its figures. Each metric bears the label queue,
// whose value is name: queues of different names can be registered side by side.
// Registering returns an error if name is empty or not valid UTF-8, and
// [prometheus.AlreadyRegisteredError] if a queue of that name is registered
// already.
//
// Each scrape calls q.Stats once, so that the metrics of a scrape agree with
// each other. The queue itself does no work for them. NewCollector panics if q
// is nil.
func NewCollector(name string, q interface{ Stats() queue.Stats }) prometheus.Collector {
	if q == nil {
		panic("promqueue: NewCollector: q is nil")
	}
	c := &collector{q, make([]*prometheus.Desc, len(metrics))}
	for i, m := range metrics {
		if name == "" {
			c.descs[i] = prometheus.NewInvalidDesc(errNoName)
		} else {
			c.descs[i] = prometheus.NewDesc(m.name, m.help, nil, prometheus.Labels{"queue": name})
		}
	}
	return c
}

func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.q.Stats()
	for i, m := range metrics {
		if m.name == capacity && s.Cap == queue.Unbounded {
			continue
		}
		out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.value(s))
	}
}
