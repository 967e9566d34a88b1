package promqueue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/metrics/metricstest"
	"github.com/boundq/queue/keyed"
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

// stats returns a queue with these statistics.
func stats(s queue.Stats) metricstest.StatsFunc { return func() queue.Stats { return s } }

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

// scrape returns the metrics that an endpoint has of each queue, by the
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

func TestEachFieldOfStatsIsExportedUnderItsName(t *testing.T) {
	want := make(map[string]float64)
	for name, value := range metricstest.Values {
		want["boundq_"+name] = value
	}
	url := endpoint(t, registry(t, promqueue.NewCollector("trades", stats(metricstest.Stats))))
	require.Equal(t, map[string]map[string]float64{"trades": want}, scrape(t, url))
}

func TestKeyedQueuesAreExported(t *testing.T) {
	var latest keyed.Latest[string, int]
	fair, serial := keyed.NewFair[string, int](2), keyed.NewSerial[string, int](2)
	url := endpoint(t, registry(t, promqueue.NewCollector("latest", &latest), promqueue.NewCollector("fair", fair),
		promqueue.NewCollector("serial", serial)))
	_, _, err := latest.Put("a", 1)
	require.NoError(t, err)
	require.NoError(t, fair.TryPut("a", 1))
	require.NoError(t, serial.TryPut("a", 1))
	for _, m := range scrape(t, url) {
		require.Equal(t, 1., m["boundq_len"])
		require.Equal(t, 1., m["boundq_put_total"])
		require.NotContains(t, m, "boundq_cap")
	}
}

func TestAQueueOnAServerIsExported(t *testing.T) {
	b := log(t)
	q := new(metricstest.NATS)
	url := endpoint(t, registry(t, promqueue.NewNATSCollector("jobs", q), promqueue.NewCollector("jobs", queue.New[int](1))))
	want := make(map[string]float64)
	for name, value := range metricstest.NATSValues {
		want["boundq_nats_"+name] = value
	}
	got := scrape(t, url)["jobs"]
	require.Subset(t, got, want)
	require.Len(t, got, len(metricstest.NATSValues)+len(metricstest.Values))

	q.Error = context.DeadlineExceeded
	got = scrape(t, url)["jobs"]
	require.Zero(t, got["boundq_nats_up"])
	require.Contains(t, got, "boundq_nats_up")
	require.NotContains(t, got, "boundq_nats_len")
	require.Equal(t, 1., got["boundq_up"], "other collectors are not affected")
	require.Contains(t, b.String(), `queue=jobs error="context deadline exceeded"`)

	require.PanicsWithValue(t, "promqueue: q must not be nil", func() {
		promqueue.NewNATSCollector("jobs", (*metricstest.NATS)(nil))
	})
	require.ErrorContains(t, registry(t).Register(promqueue.NewNATSCollector("", q)), "promqueue: name must not be empty")
}

func TestNamesAndHelpFollowTheConventionsOfPrometheus(t *testing.T) {
	r := registry(t, promqueue.NewCollector("trades", queue.New[int](1)), promqueue.NewNATSCollector("trades", new(metricstest.NATS)))
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Empty(t, problems)

	families, err := r.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	for _, f := range families {
		counter := strings.HasSuffix(f.GetName(), "_total")
		require.Equal(t, counter, f.GetType().String() == "COUNTER", f.GetName())
	}
}

func TestAQueueWithoutABoundHasNoCapacity(t *testing.T) {
	q := queue.New[int](queue.Unbounded)
	url := endpoint(t, registry(t, promqueue.NewCollector("jobs", q)))
	require.NotContains(t, scrape(t, url)["jobs"], "boundq_cap")
	q.Resize(5)
	require.Equal(t, 5., scrape(t, url)["jobs"]["boundq_cap"])
}

func TestQueuesAreToldApartByTheirNames(t *testing.T) {
	trades, jobs := queue.New[int](9), queue.NewPriority(queue.Unbounded, strings.Compare)
	url := endpoint(t, registry(t, promqueue.NewCollector("trades", trades), promqueue.NewCollector(`job "α"`, jobs)))
	require.NoError(t, trades.TryPut(1))
	require.NoError(t, jobs.TryPut("a"))
	require.NoError(t, jobs.TryPut("b"))

	got := scrape(t, url)
	require.Len(t, got, 2)
	require.Equal(t, 1., got["trades"]["boundq_len"])
	require.Equal(t, 2., got[`job "α"`]["boundq_len"])
}

func TestOddNamesAreScrapedAsTheyAre(t *testing.T) {
	r := registry(t)
	for n, name := range metricstest.Accepted {
		require.NoError(t, r.Register(promqueue.NewCollector(name, stats(queue.Stats{Len: n}))))
	}
	got := scrape(t, endpoint(t, r))
	require.Len(t, got, len(metricstest.Accepted))
	for n, name := range metricstest.Accepted {
		require.Contains(t, got, name)
		require.EqualValues(t, n, got[name]["boundq_len"])
	}
}

func TestBadNamesAndNilQueuesAreRefused(t *testing.T) {
	for name, c := range metricstest.Refused {
		t.Run(name, func(t *testing.T) {
			r := registry(t, promqueue.NewCollector("jobs", queue.New[int](1)))
			err := func() (err error) {
				defer func() {
					if v := recover(); v != nil {
						err = errors.New(v.(string))
					}
				}()
				return r.Register(promqueue.NewCollector(c.Name, c.Queue))
			}()
			require.ErrorContains(t, err, "promqueue: "+c.Error)
			require.Len(t, scrape(t, endpoint(t, r)), 1, "others are scraped on")
		})
	}
}

func TestCollectingFromAnInvalidCollectorReturnsAnError(t *testing.T) {
	out := make(chan prometheus.Metric, 100)
	promqueue.NewCollector("", queue.New[int](1)).Collect(out)
	require.ErrorContains(t, (<-out).Write(nil), "promqueue: name must not be empty")
}

func TestANameIsRegisteredOnceUntilItIsUnregistered(t *testing.T) {
	r := registry(t, promqueue.NewCollector("trades", stats(queue.Stats{Len: 1})))
	second := promqueue.NewCollector("trades", stats(queue.Stats{Len: 2}))
	require.ErrorAs(t, r.Register(second), &prometheus.AlreadyRegisteredError{})
	url := endpoint(t, r)
	require.Equal(t, 1., scrape(t, url)["trades"]["boundq_len"])

	require.True(t, r.Unregister(promqueue.NewCollector("trades", queue.New[int](1))))
	require.Empty(t, scrape(t, url))
	require.NoError(t, r.Register(second))
	require.Equal(t, 2., scrape(t, url)["trades"]["boundq_len"])
}

// log returns what the test logs from now on.
func log(t *testing.T) *bytes.Buffer {
	var b bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &b
}

func TestAQueueThatFailsIsDownAndOthersAreScraped(t *testing.T) {
	for name, c := range metricstest.Failing {
		t.Run(name, func(t *testing.T) {
			b := log(t)
			url := endpoint(t, registry(t,
				promqueue.NewCollector("trades", queue.New[int](1)), promqueue.NewCollector("broken", c.Queue)))
			for range 2 {
				got := scrape(t, url)
				require.Len(t, got["trades"], len(metricstest.Values))
				require.Equal(t, 1., got["trades"]["boundq_up"])
				require.Equal(t, map[string]float64{"boundq_up": 0}, got["broken"])
			}
			require.Contains(t, b.String(), `msg="promqueue: no statistics" queue=broken`)
			require.Contains(t, b.String(), c.Error)
			require.NotContains(t, b.String(), "queue=trades")
		})
	}
}

func TestAScrapeCallsStatsOnce(t *testing.T) {
	asked := 0
	url := endpoint(t, registry(t, promqueue.NewCollector("trades", metricstest.StatsFunc(func() queue.Stats {
		asked++
		return metricstest.Stats
	}))))
	for scrapes := range 3 {
		require.Equal(t, scrapes, asked)
		scrape(t, url)
	}
}

func TestTheStatisticsOfAScrapeAreConsistentWhileTheQueueIsUnderLoad(t *testing.T) {
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

	loaded := func(queues map[string]map[string]float64) bool {
		for _, m := range queues {
			if m["boundq_got_total"] < 1000 {
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
			require.Equal(t, m["boundq_put_total"],
				m["boundq_got_total"]+m["boundq_dropped_total"]+m["boundq_len"])
			require.Equal(t, m["boundq_unfinished"],
				m["boundq_put_total"]-m["boundq_done_total"]-m["boundq_dropped_total"])
			require.Positive(t, m["boundq_dropped_total"])
			require.LessOrEqual(t, m["boundq_len"], m["boundq_max_len"])
			require.LessOrEqual(t, m["boundq_max_len"], m["boundq_cap"])
			for metric, value := range last[name] {
				if strings.HasSuffix(metric, "_total") {
					require.GreaterOrEqual(t, m[metric], value, metric)
				}
			}
		}
		last = got
	}
}
