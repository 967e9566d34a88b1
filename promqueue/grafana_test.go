package promqueue_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	"github.com/boundq/queue/promqueue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	dashboard  = "../grafana/dashboard.json"
	alerts     = "../grafana/alerts.yaml"
	alertsTest = "../grafana/alerts_test.yaml"
)

// dashboardQueries returns what the dashboard asks Prometheus for.
func dashboardQueries(t *testing.T) (queries []string) {
	text, err := os.ReadFile(dashboard)
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	for _, p := range d.Panels {
		require.NotEmpty(t, p.Targets)
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

func TestTheDashboardAndTheAlertsAskForWhatIsExported(t *testing.T) {
	families, err := registry(t, promqueue.NewCollector("trades", queue.New[int](1))).Gather()
	require.NoError(t, err)
	var exported []string
	for _, f := range families {
		exported = append(exported, f.GetName())
	}

	// What is no function, operator, label or duration is the name of a metric.
	other := regexp.MustCompile(`\{[^}]*\}|\[[^]]*\]|\b(rate|increase|avg_over_time)\b|\b(and|or|unless)\b`)
	names := regexp.MustCompile(`[a-zA-Z_:][\w:]*`)
	asked := func(query string) []string {
		return names.FindAllString(other.ReplaceAllString(query, " "), -1)
	}

	var shown []string
	for _, query := range dashboardQueries(t) {
		require.Contains(t, query, `{queue=~"$queue"}`)
		require.Subset(t, exported, asked(query))
		shown = append(shown, asked(query)...)
	}
	slices.Sort(shown)
	require.ElementsMatch(t, exported, slices.Compact(shown), "the dashboard shows each metric")

	queries := alertQueries(t)
	require.Len(t, queries, 4)
	for _, query := range queries {
		require.NotEmpty(t, asked(query))
		require.Subset(t, exported, asked(query))
	}

	for _, file := range []string{dashboard, alerts, alertsTest} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Subset(t, exported, regexp.MustCompile(`boundq_\w+`).FindAllString(string(text), -1))
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
	prometheus := startPrometheus(t, endpoint(t, registry(t, promqueue.NewCollector("trades", q))))

	// ask returns the part of an answer of Prometheus that holds the result.
	ask := func(t require.TestingT, path string, result any) {
		resp, err := http.Get(prometheus + path)
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
		depth := query(t, `boundq_depth{queue="trades"}`)
		require.Len(t, depth, 1)
		require.Equal(t, "9", depth[0].Value[1])
	})
	for _, expr := range dashboardQueries(t) {
		expr = strings.NewReplacer("$queue", ".+", "$__rate_interval", "10s").Replace(expr)
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
			}
		}
		if states["QueueNearlyFull"] == "firing" { // once it has been so for a minute
			states["QueueNearlyFull"] = "pending"
		}
		require.Equal(t, map[string]string{
			"QueueNearlyFull":       "pending",
			"QueueConsumersStalled": "inactive",
			"QueueProducersParked":  "inactive",
			"QueueDropsItems":       "inactive",
		}, states)
	})
}
