// Otelqueue is a program that exports a queue to OpenTelemetry.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/boundq/queue"
	"github.com/boundq/queue/otelqueue"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func main() {
	q := queue.New[int](10)
	if err := q.TryPut(1); err != nil {
		log.Fatal(err)
	}
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	if _, err := otelqueue.Register(provider.Meter("example.com/user"), "numbers", q); err != nil {
		log.Fatal(err)
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		log.Fatal(err)
	}
	if len(collected.ScopeMetrics) != 1 {
		log.Fatal("no metrics")
	}
	fmt.Println(len(collected.ScopeMetrics[0].Metrics), "metrics")
}
