package promqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/promqueue"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// What Prometheus scrapes from a program with a queue.
func Example() {
	q := queue.New[string](100)

	registry := prometheus.NewRegistry()
	registry.MustRegister(promqueue.NewCollector("trades", q))
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()

	_ = q.TryPut("BTC 90006.62")
	_ = q.TryPut("ETH 3000.2")
	_, _ = q.TryGet()

	resp, err := http.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "boundq_") {
			fmt.Println(lines.Text())
		}
	}
	// Output:
	// boundq_cap{queue="trades"} 100
	// boundq_done_total{queue="trades"} 0
	// boundq_drained_total{queue="trades"} 0
	// boundq_dropped_total{queue="trades"} 0
	// boundq_get_blocked_total{queue="trades"} 0
	// boundq_get_waiting{queue="trades"} 0
	// boundq_got_total{queue="trades"} 1
	// boundq_len{queue="trades"} 1
	// boundq_max_len{queue="trades"} 2
	// boundq_put_blocked_total{queue="trades"} 0
	// boundq_put_total{queue="trades"} 2
	// boundq_put_waiting{queue="trades"} 0
	// boundq_rejected_total{queue="trades"} 0
	// boundq_shutdown{queue="trades"} 0
	// boundq_unfinished{queue="trades"} 2
	// boundq_up{queue="trades"} 1
}

// The distribution of the times that items are queued, which the queue itself
// can't know: each item carries the time at which it was put, and the loop
// observes its age.
func Example_waitHistogram() {
	type job struct {
		id     int
		queued time.Time // set once: a Requeue counts from the first Put
	}
	wait := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "jobs_wait_seconds",
		Help:    "Time from Put until a worker received the job.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(wait)

	q := queue.New[job](100)
	for id := range 3 {
		_ = q.TryPut(job{id, time.Now()})
	}
	q.Shutdown(false)
	for j := range q.Tasks(context.Background()) {
		wait.Observe(time.Since(j.queued).Seconds()) // by the monotonic clock
		_ = j.id                                     // the work
	}

	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		fmt.Println(f.GetName(), f.GetMetric()[0].GetHistogram().GetSampleCount())
	}
	// Output: jobs_wait_seconds 3
}
