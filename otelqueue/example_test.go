package otelqueue_test

import (
	"context"
	"fmt"

	"github.com/boundq/queue"
	"github.com/boundq/queue/otelqueue"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// What a reader collects from a queue. A program would use a periodic reader that
// exports to a collector.
func Example() {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))

	q := queue.New[string](100)
	registration, err := otelqueue.Register(provider.Meter("example.com/feed"), "trades", q)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = registration.Unregister() }()

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
	// boundq.up 1 {queue}
	// boundq.len 1 {item}
	// boundq.cap 100 {item}
	// boundq.max_len 2 {item}
	// boundq.unfinished 2 {item}
	// boundq.put_waiting 0 {call}
	// boundq.get_waiting 0 {call}
	// boundq.put 2 {item}
	// boundq.got 1 {item}
	// boundq.done 0 {item}
	// boundq.dropped 0 {item}
	// boundq.drained 0 {item}
	// boundq.rejected 0 {item}
	// boundq.put_blocked 0 {call}
	// boundq.get_blocked 0 {call}
	// boundq.shutdown 0 {queue}
}
