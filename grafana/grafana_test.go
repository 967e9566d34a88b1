package grafana

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/metrics/metricstest"
	"github.com/boundq/queue/promqueue"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	schema "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	dashboard  = "dashboard.json"
	alerts     = "alerts.yaml"
	alertsTest = "alerts_test.yaml"
)

// registry returns a registry with q, and a queue on a NATS server, under the name
// trades.
func registry(t *testing.T, q *queue.Queue[int]) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(promqueue.NewCollector("trades", q)))
	require.NoError(t, r.Register(promqueue.NewNATSCollector("trades", new(metricstest.NATS))))
	return r
}

// endpoint serves r on the loopback, and returns its URL.
func endpoint(t *testing.T, r *prometheus.Registry) string {
	server := httptest.NewServer(promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return server.URL
}

// dashboardQueries returns what the dashboard asks Prometheus for.
func dashboardQueries(t *testing.T) (queries []string) {
	text, err := os.ReadFile(dashboard)
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Type    string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	for _, p := range d.Panels {
		require.Equal(t, p.Type == "row", len(p.Targets) == 0)
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

// alertQueries returns the conditions of the alerts, by their names.
func alertQueries(t *testing.T) map[string]string {
	text, err := os.ReadFile(alerts)
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	queries := make(map[string]string)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			queries[r.Alert] = r.Expr
		}
	}
	return queries
}

// exported returns the names of the metrics that promqueue exports.
func exported(t *testing.T) (names []string) {
	families, err := registry(t, queue.New[int](1)).Gather()
	require.NoError(t, err)
	for _, f := range families {
		names = append(names, f.GetName())
	}
	return names
}

// asked returns the names of the metrics in a query: what is no function,
// operator, label or duration.
func asked(query string) []string {
	other := regexp.MustCompile(`\{[^}]*\}|\[[^]]*\]|\boffset \w+|\b(rate|increase|resets|avg_over_time|max)\b|\b(by|without) \(\w+\)|\b(and|or|unless)\b`)
	return regexp.MustCompile(`[a-zA-Z_:][\w:]*`).FindAllString(other.ReplaceAllString(query, " "), -1)
}

func TestTheDashboardShowsEachMetricAndNoOther(t *testing.T) {
	var shown []string
	for _, query := range dashboardQueries(t) {
		variable := `{queue=~"$queue"}`
		if strings.Contains(query, "boundq_nats_") {
			variable = `{queue=~"$natsqueue"}`
		}
		require.Equal(t, len(asked(query)), strings.Count(query, variable), query)
		shown = append(shown, asked(query)...)
	}
	slices.Sort(shown)
	require.ElementsMatch(t, exported(t), slices.Compact(shown))
}

func TestTheAlertsAskForExportedMetrics(t *testing.T) {
	for _, query := range alertQueries(t) {
		require.NotEmpty(t, asked(query))
		require.Subset(t, exported(t), asked(query))
	}
	for _, file := range []string{dashboard, alerts, alertsTest} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Subset(t, exported(t), regexp.MustCompile(`boundq_\w+`).FindAllString(string(text), -1), file)
	}
}

func TestTheTestsFireEachAlert(t *testing.T) {
	text, err := os.ReadFile(alertsTest)
	require.NoError(t, err)
	var file struct {
		Tests []struct {
			Rules []struct {
				Alert    string           `yaml:"alertname"`
				Expected []map[string]any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	fired, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range file.Tests {
		for _, r := range test.Rules {
			if len(r.Expected) > 0 {
				fired[r.Alert] = true
			} else {
				silent[r.Alert] = true
			}
		}
	}
	for alert := range alertQueries(t) {
		require.Contains(t, fired, alert)
		require.Contains(t, silent, alert)
	}
}

// command skips the test if there is no such program.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s, which Debian has in its package prometheus: %v", name, err)
	}
	return exec.CommandContext(t.Context(), name, args...)
}

func TestTheAlertsPassTheirTests(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", alerts}, {"test", "rules", alertsTest}} {
		out, err := command(t, "promtool", args...).CombinedOutput()
		require.NoError(t, err, "promtool %s\n%s", strings.Join(args, " "), out)
	}
}

// startPrometheus starts a server on the loopback that scrapes target, and
// returns its URL.
func startPrometheus(t *testing.T, target string) string {
	dir := t.TempDir()
	rules, err := filepath.Abs(alerts)
	require.NoError(t, err)
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: example, static_configs: [{targets: [%q]}]}]
`, rules, strings.TrimPrefix(target, "http://")), 0o600))

	server := command(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0")
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	server.WaitDelay = 10 * time.Second
	log, err := server.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())

	address := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		listening := regexp.MustCompile(`msg="Listening on".* address=(\S+)`)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			t.Log(lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		<-ended // the end of t's context ends the server
		_ = server.Wait()
	})
	select {
	case a := <-address:
		return "http://" + a
	case <-ended:
		require.Fail(t, "prometheus did not start")
		return ""
	}
}

func TestARealPrometheusFillsTheDashboardAndAlerts(t *testing.T) {
	q := queue.New[int](10)
	for n := range 9 {
		require.NoError(t, q.TryPut(n))
	}
	server := startPrometheus(t, endpoint(t, registry(t, q)))

	// ask returns the part of an answer of Prometheus that holds the result.
	ask := func(t require.TestingT, path string, result any) {
		resp, err := http.Get(server + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var answer struct{ Data json.RawMessage }
		require.NoError(t, json.Unmarshal(body, &answer))
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
		require.NoError(t, json.Unmarshal(answer.Data, result))
	}
	type sample struct {
		Metric map[string]string
		Value  [2]any // the time, and the figure as a string
	}
	query := func(t require.TestingT, expr string) []sample {
		var data struct{ Result []sample }
		ask(t, "/api/v1/query?query="+url.QueryEscape(expr), &data)
		return data.Result
	}
	eventually := func(condition func(t *assert.CollectT)) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			_, _ = q.TryGet() // items come and go, the queue stays nearly full
			_, _, _ = q.ForcePut(0)
			condition(c)
		}, 3*time.Minute, 100*time.Millisecond)
	}

	eventually(func(t *assert.CollectT) {
		length := query(t, `boundq_len{queue="trades"}`)
		require.Len(t, length, 1)
		require.Equal(t, "9", length[0].Value[1])
	})
	for _, expr := range dashboardQueries(t) {
		expr = strings.NewReplacer("$queue", ".+", "$natsqueue", ".+", "$__rate_interval", "10s").Replace(expr)
		eventually(func(t *assert.CollectT) {
			got := query(t, expr)
			require.Len(t, got, 1, expr)
			require.Equal(t, "trades", got[0].Metric["queue"])
			require.NotEqual(t, "NaN", got[0].Value[1], expr)
		})
	}
	eventually(func(t *assert.CollectT) {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, State, Health string }
			}
		}
		ask(t, "/api/v1/rules", &data)
		states := make(map[string]string)
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				require.Equal(t, "ok", r.Health)
				states[r.Name] = r.State
				if r.State == "firing" { // as a pending one does sooner or later
					states[r.Name] = "pending"
				}
			}
		}
		require.Equal(t, map[string]string{
			"QueueNearlyFull":           "pending",
			"QueueItemsWaitOverAMinute": "inactive",
			"QueueConsumersStalled":     "inactive",
			"QueueProducersBlocked":     "inactive",
			"QueueDropsItems":           "inactive",
			"QueueStatsUnavailable":     "inactive",
			"NATSQueueNearlyFull":       "pending",
			"NATSQueueItemsTooOld":      "inactive",
			"NATSQueueConsumersStalled": "pending",
			"NATSQueueRedeliversItems":  "inactive",
			"NATSQueueHasDeadLetters":   "pending",
			"NATSQueueStatsUnavailable": "inactive",
		}, states)
	})
}

// Without a Grafana to import the dashboard into, this is as far as it can be
// checked: each field is known, and of the type that Grafana's own schema gives
// it, those of panels, queries and variables included.
func TestTheDashboardFollowsGrafanasSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(dashboard)
	require.NoError(t, err)
	//lint:ignore SA1019 every Grafana imports this format; few the one that is to follow it
	type dashboardSchema = schema.Dashboard
	require.Empty(t, new(dashboardSchema).UnmarshalJSONStrict(text)) // a list of errors that is empty and not nil
	var d dashboardSchema
	require.NoError(t, json.Unmarshal(text, &d)) // the strict way leaves the panels out
	require.NoError(t, d.Validate())

	typed, err := json.Marshal(d)
	require.NoError(t, err)
	var want, got any
	require.NoError(t, json.Unmarshal(text, &want))
	require.NoError(t, json.Unmarshal(typed, &got))
	requireContains(t, want, got, "dashboard")
}

// requireContains fails the test if got lacks something that want has.
func requireContains(t *testing.T, want, got any, path string) {
	switch want := want.(type) {
	case map[string]any:
		require.IsType(t, want, got, path)
		for key, value := range want {
			requireContains(t, value, got.(map[string]any)[key], path+"."+key)
		}
	case []any:
		if len(want) == 0 {
			return // the schema may leave it out
		}
		require.IsType(t, want, got, path)
		require.Len(t, got, len(want), path)
		for i, value := range want {
			requireContains(t, value, got.([]any)[i], fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		require.Equal(t, want, got, path)
	}
}

// QueueItemsWaitOverAMinute compares the counters of a scrape with the number of
// items put a minute before. What it finds has been queued for a minute, in
// whatever order items leave; in a FIFO queue, it finds all.
func TestTheAlertCountsItemsThatHaveBeenQueuedForAMinute(t *testing.T) {
	const minute = 4 // scrapes
	byDigit := func(a, b int) int { return a%10 - b%10 }
	queues := map[string]func() *queue.Queue[int]{
		"fifo":     func() *queue.Queue[int] { return queue.New[int](30) },
		"lifo":     func() *queue.Queue[int] { return queue.NewLIFO[int](30) },
		"priority": func() *queue.Queue[int] { return queue.NewPriority(30, byDigit) },
	}
	for name, create := range queues {
		found := 0
		for seed := range uint64(200) {
			random := rand.New(rand.NewPCG(seed, 0))
			q := create()
			queued := make(map[int]int) // the scrape before which each item was put
			var puts []uint64           // at each scrape
			for scrape, item := 0, 0; scrape < 100; scrape++ {
				for range random.IntN(20) {
					switch random.IntN(4) {
					case 0, 1:
						evicted, full, err := q.ForcePut(item)
						require.NoError(t, err)
						queued[item] = scrape
						if full {
							delete(queued, evicted)
						}
						item++
					default:
						if got, err := q.TryGet(); err == nil {
							delete(queued, got)
						}
					}
				}
				s := q.Stats()
				puts = append(puts, s.Put)
				if scrape < minute {
					continue
				}
				waiting := 0
				for _, put := range queued {
					if put <= scrape-minute {
						waiting++
					}
				}
				alert := max(0, int(puts[scrape-minute])-int(s.Got+s.Dropped))
				require.LessOrEqual(t, alert, waiting, "%s, seed %d", name, seed)
				if name == "fifo" {
					require.Equal(t, waiting, alert, "seed %d", seed)
				}
				found += alert
			}
		}
		require.Positive(t, found, name)
	}
}
