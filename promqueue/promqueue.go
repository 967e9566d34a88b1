// Package promqueue exports the statistics of a queue to Prometheus. The
// repository has a dashboard and alerts in grafana, and docs/operations.md
// describes them and the metrics.
package promqueue

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// collector collects the metrics of one queue.
type collector struct {
	name    string
	metrics []metrics.Metric
	descs   []*prometheus.Desc // one for each of metrics
	read    func(context.Context) (map[string]float64, error)
}

// NewCollector returns a collector for the statistics of q, usually a
// [queue.Queue]. It exports each field of [queue.Stats] under its JSON name, for
// example boundq_len and boundq_put_total, and boundq_up. Every metric has the
// label queue=name, so queues with different names can be registered together.
//
// Registering the collector returns an error if name is empty or not valid UTF-8,
// and [prometheus.AlreadyRegisteredError] if a queue of that name is registered.
// NewCollector panics if q is nil or a nil pointer.
//
// Each scrape calls q.Stats once, so the metrics of a scrape are consistent. If
// Stats panics, or does not return within five seconds, boundq_up is 0 in that
// scrape, the queue's other metrics are absent, and the error is logged with
// [slog.Default]. Other collectors are not affected.
func NewCollector(name string, q interface{ Stats() queue.Stats }) prometheus.Collector {
	if metrics.IsNil(q) {
		panic("promqueue: q must not be nil")
	}
	return newCollector(name, metrics.Queue, metrics.Local(q))
}

// NewNATSCollector returns a collector for the statistics of q, usually a
// natsqueue.Queue, across all processes. It exports each field of
// natsqueue.Stats under its name in snake case, for example boundq_nats_len,
// boundq_nats_put_total and boundq_nats_oldest_seconds, and boundq_nats_up.
// Otherwise it behaves like [NewCollector].
//
// The context of Stats ends after five seconds. If Stats returns an error,
// boundq_nats_up is 0 in that scrape, as after a panic.
func NewNATSCollector[S any](name string, q interface {
	Stats(context.Context) (S, error)
}) prometheus.Collector {
	if metrics.IsNil(q) {
		panic("promqueue: q must not be nil")
	}
	return newCollector(name, metrics.NATS, metrics.Reader(q.Stats))
}

func newCollector(name string, ms []metrics.Metric, read func(context.Context) (map[string]float64, error)) *collector {
	c := &collector{name, ms, make([]*prometheus.Desc, len(ms)), read}
	invalid := metrics.CheckName(name)
	for i, m := range ms {
		if invalid != nil {
			c.descs[i] = prometheus.NewInvalidDesc(fmt.Errorf("promqueue: %w", invalid))
		} else {
			c.descs[i] = prometheus.NewDesc(m.Prometheus(), m.Help, nil, prometheus.Labels{"queue": name})
		}
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	values, err := c.read(context.Background())
	if err != nil {
		slog.Error("promqueue: no statistics", "queue", c.name, "error", err)
	}
	for i, m := range c.metrics {
		value, ok := values[m.Name]
		if !ok {
			continue
		}
		kind := prometheus.GaugeValue
		if m.Kind == metrics.Counter {
			kind = prometheus.CounterValue
		}
		metric, err := prometheus.NewConstMetric(c.descs[i], kind, value)
		if err != nil { // the name is invalid, and the collector not registered
			metric = prometheus.NewInvalidMetric(c.descs[i], err)
		}
		out <- metric
	}
}
