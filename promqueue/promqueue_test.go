package promqueue_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/boundq/queue"
	"github.com/boundq/queue/promqueue"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// statsFunc is a queue of which only the figures exist.
type statsFunc func() queue.Stats

func (f statsFunc) Stats() queue.Stats { return f() }

var figures = queue.Stats{
	Len: 3, Cap: 4, MaxLen: 5, Unfinished: 6, PutWaiting: 7, GetWaiting: 8, Put: 9, Got: 10, Done: 11,
	Dropped: 12, Rejected: 13, PutBlocked: 14, GetBlocked: 15, Shutdown: true,
}

// registry returns a registry that holds the collector to what it describes.
func registry(t *testing.T, collectors ...prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		require.NoError(t, r.Register(c))
	}
	return r
}

// endpoint serves r on the loopback as a program would, and returns its URL.
func endpoint(t *testing.T, r *prometheus.Registry) string {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return server.URL
}

// scrape returns the figures that an endpoint gives of each queue, by the
// queue's name and the metric's.
func scrape(t *testing.T, url string) map[string]map[string]float64 {
	resp, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)

	queues := make(map[string]map[string]float64)
	for name, family := range families {
		for _, m := range family.Metric {
			require.Len(t, m.Label, 1)
			require.Equal(t, "queue", m.Label[0].GetName())
			q := m.Label[0].GetValue()
			if queues[q] == nil {
				queues[q] = make(map[string]float64)
			}
			queues[q][name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return queues
}

func TestEachFigureIsExportedUnderItsName(t *testing.T) {
	url := endpoint(t, registry(t, promqueue.NewCollector("trades", statsFunc(func() queue.Stats { return figures }))))
	require.Equal(t, map[string]map[string]float64{"trades": {
		"boundq_depth":              3,
		"boundq_capacity":           4,
		"boundq_max_depth":          5,
		"boundq_item_unfinished":    6,
		"boundq_put_waiting":        7,
		"boundq_get_waiting":        8,
		"boundq_item_put_total":     9,
		"boundq_item_gotten_total":  10,
		"boundq_item_done_total":    11,
		"boundq_item_dropped_total": 12,
		"boundq_put_rejected_total": 13,
		"boundq_put_blocked_total":  14,
		"boundq_get_blocked_total":  15,
		"boundq_shutdown":           1,
	}}, scrape(t, url))
}

func TestNamesAndHelpFollowTheConventionsOfPrometheus(t *testing.T) {
	r := registry(t, promqueue.NewCollector("trades", queue.New[int](1)))
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Empty(t, problems)

	families, err := r.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	for _, f := range families {
		counter := strings.HasSuffix(f.GetName(), "_total")
		require.Equal(t, counter, f.GetType().String() == "COUNTER", f.GetName())
		require.Regexp(t, `^[A-Z1].*\.$`, f.GetHelp())
	}
}

func TestAQueueWithoutABoundHasNoCapacity(t *testing.T) {
	q := queue.New[int](queue.Unbounded)
	url := endpoint(t, registry(t, promqueue.NewCollector("jobs", q)))
	require.NotContains(t, scrape(t, url)["jobs"], "boundq_capacity")
	q.Resize(5)
	require.Equal(t, 5., scrape(t, url)["jobs"]["boundq_capacity"])
}

func TestQueuesAreToldApartByTheirNames(t *testing.T) {
	trades, jobs := queue.New[int](9), queue.NewPriority(queue.Unbounded, strings.Compare)
	url := endpoint(t, registry(t, promqueue.NewCollector("trades", trades), promqueue.NewCollector(`job "α"`, jobs)))
	require.NoError(t, trades.TryPut(1))
	require.NoError(t, jobs.TryPut("a"))
	require.NoError(t, jobs.TryPut("b"))

	got := scrape(t, url)
	require.Len(t, got, 2)
	require.Equal(t, 1., got["trades"]["boundq_depth"])
	require.Equal(t, 2., got[`job "α"`]["boundq_depth"])
}

func TestAQueueIsRegisteredOnceAndByAName(t *testing.T) {
	r := registry(t, promqueue.NewCollector("trades", queue.New[int](1)))
	require.ErrorAs(t, r.Register(promqueue.NewCollector("trades", queue.New[int](1))), &prometheus.AlreadyRegisteredError{})
	require.ErrorContains(t, r.Register(promqueue.NewCollector("", queue.New[int](1))), "needs a name")
	require.Error(t, r.Register(promqueue.NewCollector("\xff", queue.New[int](1))))
	require.Panics(t, func() { promqueue.NewCollector("trades", nil) })

	require.True(t, r.Unregister(promqueue.NewCollector("trades", queue.New[int](1))))
	require.NoError(t, r.Register(promqueue.NewCollector("trades", queue.New[int](1))))
}

func TestAScrapeAsksForTheFiguresOnce(t *testing.T) {
	asked := 0
	url := endpoint(t, registry(t, promqueue.NewCollector("trades", statsFunc(func() queue.Stats {
		asked++
		return figures
	}))))
	for scrapes := range 3 {
		require.Equal(t, scrapes, asked)
		scrape(t, url)
	}
}

func TestTheFiguresOfEachScrapeAgreeWhileTheQueueIsUnderLoad(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer stop()

	names := []string{"fifo", "lifo", "priority"}
	queues := []*queue.Queue[int]{
		queue.New[int](64),
		queue.NewLIFO[int](64),
		queue.NewPriority(64, func(a, b int) int { return a%7 - b%7 }),
	}
	r := registry(t)
	for i, q := range queues {
		require.NoError(t, r.Register(promqueue.NewCollector(names[i], q)))
		for q.TryPut(0) == nil {
		}
		_, dropped, err := q.ForcePut(0)
		require.NoError(t, err)
		require.True(t, dropped)
		callers.Go(func() {
			for n := 0; q.Put(ctx, n) == nil; n++ {
				_, _, _ = q.ForcePut(n)
				_ = q.TryPut(n)
			}
		})
		callers.Go(func() {
			for range q.Tasks(ctx) {
			}
		})
	}

	loaded := func(figures map[string]map[string]float64) bool {
		for _, m := range figures {
			if m["boundq_item_gotten_total"] < 1000 {
				return false
			}
		}
		return true
	}
	url := endpoint(t, r)
	var last map[string]map[string]float64
	for scrapes := 0; scrapes < 30 || !loaded(last); scrapes++ {
		got := scrape(t, url)
		require.Len(t, got, len(queues))
		for name, m := range got {
			require.Equal(t, m["boundq_item_put_total"],
				m["boundq_item_gotten_total"]+m["boundq_item_dropped_total"]+m["boundq_depth"])
			require.Equal(t, m["boundq_item_unfinished"],
				m["boundq_item_put_total"]-m["boundq_item_done_total"]-m["boundq_item_dropped_total"])
			require.Positive(t, m["boundq_item_dropped_total"])
			require.LessOrEqual(t, m["boundq_depth"], m["boundq_max_depth"])
			require.LessOrEqual(t, m["boundq_max_depth"], m["boundq_capacity"])
			for metric, value := range last[name] {
				if strings.HasSuffix(metric, "_total") {
					require.GreaterOrEqual(t, m[metric], value, metric)
				}
			}
		}
		last = got
	}
}
