package promqueue_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/boundq/queue"
	"github.com/boundq/queue/promqueue"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A program with a queue, and what Prometheus reads from it.
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
	// boundq_capacity{queue="trades"} 100
	// boundq_depth{queue="trades"} 1
	// boundq_get_blocked_total{queue="trades"} 0
	// boundq_get_waiting{queue="trades"} 0
	// boundq_item_done_total{queue="trades"} 0
	// boundq_item_dropped_total{queue="trades"} 0
	// boundq_item_gotten_total{queue="trades"} 1
	// boundq_item_put_total{queue="trades"} 2
	// boundq_item_unfinished{queue="trades"} 2
	// boundq_max_depth{queue="trades"} 2
	// boundq_put_blocked_total{queue="trades"} 0
	// boundq_put_rejected_total{queue="trades"} 0
	// boundq_put_waiting{queue="trades"} 0
	// boundq_shutdown{queue="trades"} 0
}
