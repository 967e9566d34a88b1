package otelqueue_test

import (
	"context"
	"fmt"

	"github.com/boundq/queue"
	"github.com/boundq/queue/otelqueue"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A program with a queue, and what a reader collects from it. In a program the
// reader is a periodic one that exports to a collector.
func Example() {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))

	q := queue.New[string](100)
	registration, err := otelqueue.Register(provider.Meter("example.com/feed"), "trades", q)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = registration.Unregister() }() // nothing is observed any more

	_ = q.TryPut("BTC 90006.62")
	_ = q.TryPut("ETH 3000.2")
	_, _ = q.TryGet()

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			fmt.Println(m.Name, data.DataPoints[0].Value, m.Unit)
		case metricdata.Gauge[int64]:
			fmt.Println(m.Name, data.DataPoints[0].Value, m.Unit)
		}
	}
	// Output:
	// boundq.depth 1 {item}
	// boundq.capacity 100 {item}
	// boundq.max_depth 2 {item}
	// boundq.item.unfinished 2 {item}
	// boundq.put.waiting 0 {call}
	// boundq.get.waiting 0 {call}
	// boundq.item.put 2 {item}
	// boundq.item.gotten 1 {item}
	// boundq.item.done 0 {item}
	// boundq.item.dropped 0 {item}
	// boundq.put.rejected 0 {call}
	// boundq.put.blocked 0 {call}
	// boundq.get.blocked 0 {call}
	// boundq.shutdown 0 {queue}
}
