// Promqueue is a program that exports a queue to Prometheus.
package main

import (
	"fmt"
	"log"

	"github.com/boundq/queue"
	"github.com/boundq/queue/promqueue"
	"github.com/prometheus/client_golang/prometheus"
)

func main() {
	q := queue.New[int](10)
	if err := q.TryPut(1); err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(promqueue.NewCollector("numbers", q))
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	if len(families) == 0 {
		log.Fatal("no metrics")
	}
	fmt.Println(len(families), "metrics")
}
