package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A pageBed is a bed with a page, and counts who asks it to shut down.
type pageBed struct {
	*bed
	page      *page
	shutdowns atomic.Int64
	bursts    atomic.Int64
}

func newPageBed(t *testing.T, args ...string) *pageBed {
	t.Helper()
	b := &pageBed{bed: newBed(t, func(_ *bed, publish func([]wireTrade) error) error { return publishAll(publish, 500) }, args...)}
	var err error
	b.page, err = servePage("127.0.0.1:0", b.pipeline, func() { b.shutdowns.Add(1) }, func() { b.bursts.Add(1) })
	require.NoError(t, err)
	t.Cleanup(b.page.close)
	return b
}

// ask sends a request to the page and returns the answer's status and body.
func (b *pageBed) ask(t *testing.T, method, path, body string, edit ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.page.url+strings.TrimPrefix(path, "/"), strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, edit := range edit {
		edit(r)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(text)
}

// An event is one that a server sent.
type event struct {
	name, data string
}

// events splits a stream into its events, and fails if it holds anything else.
func events(t *testing.T, stream string) (events []event) {
	t.Helper()
	frame := regexp.MustCompile(`\Aevent: ([a-z]+)\ndata: ([^\n]+)\n\n`)
	for stream != "" {
		m := frame.FindStringSubmatch(stream)
		require.NotNil(t, m, "no event: %q", stream)
		events = append(events, event{m[1], m[2]})
		stream = stream[len(m[0]):]
	}
	return events
}

func decode[T any](t *testing.T, e event) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(e.data), &v))
	return v
}

func TestThePageStreamsTheRunFromItsPastToItsEnd(t *testing.T) {
	t.Parallel()
	b := newPageBed(t, "-workers", "3", "-work", "1ms")
	s := b.end(t)
	go func() {
		for n := 0; n < 4; time.Sleep(time.Millisecond) {
			_, n, _, _ = b.page.history.since(0)
		}
		b.page.end(s)
	}()
	answer, text := b.ask(t, http.MethodGet, "/events", "")
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))

	all := events(t, text)
	require.Equal(t, event{"run", `{"source":"Invented trades of X","bar":"1s","burst":true}`}, all[0])
	require.Equal(t, event{"samples", all[1].data}, all[1])
	var samples []sample
	var bars map[string][][5]float64
	for _, e := range all {
		switch e.name {
		case "samples":
			samples = append(samples, decode[[]sample](t, e)...)
		case "candles":
			bars = decode[map[string][][5]float64](t, e)
		}
	}
	require.Greater(t, len(decode[[]sample](t, all[1])), 0, "the past")
	require.Greater(t, len(samples), 2, "and the present")
	for i := range samples[1:] {
		require.LessOrEqual(t, samples[i].Time, samples[i+1].Time)
		require.LessOrEqual(t, samples[i].Elapsed, samples[i+1].Elapsed)
	}
	last := samples[len(samples)-1]
	require.EqualValues(t, 500, last.Received)
	require.EqualValues(t, 500, last.Processed)
	require.EqualValues(t, 3, last.Workers)
	require.Equal(t, time.Millisecond, last.ExtraWork)
	require.Equal(t, 10_000, last.Capacity)
	require.True(t, last.Draining)
	require.Equal(t, map[string][][5]float64{"X": {{1_700_000_000_000, 10, 59.9, 10, 59.9}}}, bars)
	require.Equal(t, "end", all[len(all)-1].name)
	require.Equal(t, s, decode[summary](t, all[len(all)-1]))
}

func TestAStreamEndsWithoutASummaryWhenTheRunFails(t *testing.T) {
	t.Parallel()
	b := newPageBed(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(b.page.url + "events") // it has begun
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	b.page.close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NotEmpty(t, text)
	for _, e := range events(t, string(text)) {
		require.NotEqual(t, "end", e.name)
	}
}

// A pipeListener is a listener for connections that are there already.
type pipeListener struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error { close(l.closed); return nil }

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestABrowserThatReadsNothingBlocksNothing(t *testing.T) {
	t.Parallel()
	b := newPageBed(t)
	// A pipe holds nothing: what is not read is stuck at once, and not when
	// some buffers are full.
	browser, conn := net.Pipe()
	defer func() { _ = browser.Close() }()
	l := pipeListener{make(chan net.Conn, 1), make(chan struct{})}
	l.conn <- conn
	var serving sync.WaitGroup
	serving.Go(func() { _ = b.page.server.Serve(l) })
	defer serving.Wait()
	_, err := io.WriteString(browser, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	_, err = browser.Read(make([]byte, 1)) // the stream has begun
	require.NoError(t, err)
	s := b.end(t)
	start := time.Now()
	b.page.end(s)
	b.page.close()
	require.Greater(t, time.Since(start), endTimeout/2, "nothing was stuck")
	require.Less(t, time.Since(start), endTimeout+time.Minute)
}

func TestSettingsAreChangedAsTheFlagsAreWritten(t *testing.T) {
	b := newPageBed(t)
	for form, want := range map[string]settings{
		"workers=7":                    {10_000, 7, 0, block},
		"work=1.5ms":                   {10_000, 7, 1500 * time.Microsecond, block},
		"capacity=50&workers=2&work=0": {50, 2, 0, block},
		"overflow=drop-newest":         {10_000, 7, 0, dropNewest},
		"capacity=10000000&workers=10000&work=1m0s": {maxCapacity, maxWorkers, maxExtraWork, block},
	} {
		_ = b.change(func(s *settings) error { *s = settings{10_000, 7, 0, block}; return nil })
		answer, text := b.ask(t, http.MethodPost, "/settings", form)
		require.Equal(t, http.StatusNoContent, answer.StatusCode, text)
		require.Equal(t, want, b.current())
		require.Equal(t, want.capacity, b.queue.Cap())
	}
}

func TestBadSettingsAreRefusedAndChangeNothing(t *testing.T) {
	b := newPageBed(t)
	before := b.current()
	for form, want := range map[string]string{
		"":                          "nothing to change",
		"workers=0":                 "workers 0: must be at least 1",
		"workers=-1":                "workers -1: must be at least 1",
		"workers=10001":             "workers 10001: must be at least 1 and at most 10000",
		"workers=99999999999999999": "workers 99999999999999999: must be at least 1",
		"workers=many":              `workers "many": parse error`,
		"workers=":                  `workers "": parse error`,
		"capacity=0":                "capacity 0: must be at least 1",
		"capacity=10000001":         "capacity 10000001: must be at least 1 and at most 10000000",
		"work=-1s":                  "work -1s: must not be negative",
		"work=61s":                  "work 1m1s: must not be negative, and at most 1m0s",
		"work=1":                    `work "1": parse error`,
		"speed=2":                   `speed "2": no such flag`,
		"overflow=spill":            "overflow spill: must be block, drop-oldest or drop-newest",
		"workers=2&capacity=none":   `capacity "none": parse error`,
		"workers=%zz":               "invalid URL escape",
		"workers=" + strings.Repeat("1", maxForm): "too large",
	} {
		answer, text := b.ask(t, http.MethodPost, "/settings", form)
		require.Equal(t, http.StatusBadRequest, answer.StatusCode, form)
		require.Contains(t, text, want)
		require.Equal(t, before, b.current(), form)
	}
	answer, _ := b.ask(t, http.MethodPost, "/settings?workers=2", "")
	require.Equal(t, http.StatusBadRequest, answer.StatusCode, "an address is no form")
}

func TestControlsTakePOSTOnly(t *testing.T) {
	b := newPageBed(t)
	for _, path := range []string{"/settings", "/shutdown", "/burst"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			answer, _ := b.ask(t, method, path, "workers=2")
			require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, "%s %s", method, path)
			require.Equal(t, http.MethodPost, answer.Header.Get("Allow"))
		}
	}
	require.Zero(t, b.shutdowns.Load())
	answer, _ := b.ask(t, http.MethodPost, "/shutdown", "")
	require.Equal(t, http.StatusAccepted, answer.StatusCode)
	require.EqualValues(t, 1, b.shutdowns.Load())
	require.Zero(t, b.bursts.Load())
	answer, _ = b.ask(t, http.MethodPost, "/burst", "")
	require.Equal(t, http.StatusAccepted, answer.StatusCode)
	require.EqualValues(t, 1, b.bursts.Load())
	require.EqualValues(t, 1, b.page.sample().Bursts)
}

func TestAReplayHasNoBursts(t *testing.T) {
	c, err := parseFlags([]string{"-replay", record(t, recorded, false)}, io.Discard)
	require.NoError(t, err)
	_, burst := c.source(quiet)
	require.Nil(t, burst)
	g, err := servePage("127.0.0.1:0", newPipeline(c, "", nil, quiet), nil, burst)
	require.NoError(t, err)
	defer g.close()
	require.False(t, g.run().Burst)
	w := httptest.NewRecorder()
	g.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/burst", nil))
	require.Equal(t, http.StatusNotFound, w.Code)
}

func TestOnlyADemoHasExtraWorkByDefault(t *testing.T) {
	for flags, want := range map[string]time.Duration{
		"":                       0,
		"-http :0":               demoWork,
		"-http :0 -work 0":       0,
		"-http :0 -url ws://x.y": 0,
		"-http :0 -replay " + record(t, recorded, false): 0,
	} {
		c, err := parseFlags(strings.Fields(flags), io.Discard)
		require.NoError(t, err)
		require.Equal(t, want, c.settings.extraWork, flags)
	}
}

func TestOtherSitesControlNothing(t *testing.T) {
	b := newPageBed(t)
	before := b.current()
	for _, headers := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site", "Origin": "https://example.com"},
		{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
		{"Origin": "https://example.com"},
		{"Origin": "null"},
	} {
		for _, path := range []string{"/settings", "/shutdown"} {
			answer, _ := b.ask(t, http.MethodPost, path, "workers=2", func(r *http.Request) {
				for name, value := range headers {
					r.Header.Set(name, value)
				}
			})
			require.Equal(t, http.StatusForbidden, answer.StatusCode, "%v", headers)
		}
	}
	require.Zero(t, b.shutdowns.Load())
	require.Equal(t, before, b.current())
	answer, _ := b.ask(t, http.MethodPost, "/settings", "workers=2", func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", strings.TrimSuffix(b.page.url, "/"))
	})
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
}

func TestOnTheLoopbackOtherNamesAreRefused(t *testing.T) {
	b := newPageBed(t)
	as := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
	for _, host := range []string{"example.com", "example.com:80", "localhost.example.com", "192.0.2.1", "127.0.0.1.example.com", "[::2]:80"} {
		for path, method := range map[string]string{"/": http.MethodGet, "/events": http.MethodGet, "/metrics": http.MethodGet, "/shutdown": http.MethodPost} {
			answer, text := b.ask(t, method, path, "", as(host))
			require.Equal(t, http.StatusForbidden, answer.StatusCode, "%s%s", host, path)
			require.Contains(t, text, "loopback only")
		}
	}
	require.Zero(t, b.shutdowns.Load())
	for _, host := range []string{"localhost", "localhost:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]"} {
		answer, _ := b.ask(t, http.MethodGet, "/", "", as(host))
		require.Equal(t, http.StatusOK, answer.StatusCode, host)
	}

	// On another address, the names are not known.
	w := httptest.NewRecorder()
	b.page.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://example.com/", nil))
	require.Equal(t, http.StatusOK, w.Code)
}

func TestThePageIsAllInTheProgram(t *testing.T) {
	b := newPageBed(t)
	_, html := b.ask(t, http.MethodGet, "/", "")
	for _, link := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if strings.HasPrefix(link[1], "data:") {
			continue
		}
		answer, text := b.ask(t, http.MethodGet, link[1], "")
		require.Equal(t, http.StatusOK, answer.StatusCode, link[1])
		require.NotEmpty(t, text)
		require.Contains(t, answer.Header.Get("Content-Security-Policy"), "default-src 'self'")
	}
	for _, path := range []string{"/missing", "/page/missing", "/page/../main.go"} {
		answer, _ := b.ask(t, http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, answer.StatusCode, path)
	}
	license, err := fs.ReadFile(pageFiles, "page/uPlot.LICENSE.txt")
	require.NoError(t, err)
	require.Contains(t, string(license), "MIT")
}

func TestPrometheusFindsBothQueues(t *testing.T) {
	b := newPageBed(t)
	b.end(t)
	_, text := b.ask(t, http.MethodGet, "/metrics", "")
	for _, line := range []string{`boundq_len{queue="trades"} 0`, `boundq_cap{queue="trades"} 10000`, `boundq_put_total{queue="trades"} 500`, `boundq_put_total{queue="quotes"} 0`} {
		require.Contains(t, text, line)
	}
}

func TestWithoutAHostThePageIsOnTheLoopbackAndTheRunHasNoEnd(t *testing.T) {
	for _, test := range []struct {
		flags, address string
		duration       time.Duration
	}{
		{"-http :8080", "127.0.0.1:8080", 0},
		{"-http localhost:8080", "localhost:8080", 0},
		{"-http 0.0.0.0:8080", "0.0.0.0:8080", 0},
		{"-http [::]:0 -duration 3s", "[::]:0", 3 * time.Second},
		{"", "", 10 * time.Second},
	} {
		c, err := parseFlags(strings.Fields(test.flags), io.Discard)
		require.NoError(t, err)
		require.Equal(t, test.address, c.http)
		require.Equal(t, test.duration, c.duration)
	}
	_, err := parseFlags([]string{"-http", "8080"}, io.Discard)
	require.ErrorContains(t, err, "-http: address 8080: missing port")
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	b := newPageBed(t)
	u, err := url.Parse(b.page.url)
	require.NoError(t, err)
	c, err := parseFlags([]string{"-http", u.Host}, io.Discard)
	require.NoError(t, err)
	require.ErrorContains(t, run(c, t.Context(), t.Context(), io.Discard, quiet), "page: ")
}

func TestTheProgramEndsWithItsPageOpen(t *testing.T) {
	t.Parallel()
	cmd, out, stderr := program(t, "-http", ":0", "-json")
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscanf(line, "live at http://127.0.0.1:%d/", &port)
	require.NoError(t, err, line)
	address := fmt.Sprintf("http://127.0.0.1:%d", port)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/events", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	stream, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewReader(stream.Body)
	var seen bytes.Buffer
	for bytes.Count(seen.Bytes(), []byte("event: candles")) < 2 {
		line, err := lines.ReadBytes('\n')
		require.NoError(t, err)
		seen.Write(line)
	}
	answer, err := client.Post(address+"/shutdown", "", nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusAccepted, answer.StatusCode)

	rest, err := io.ReadAll(lines)
	require.NoError(t, err, "the stream was cut off")
	output, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), stderr)
	s := lastLine(t, output)
	require.NoError(t, s.check())
	require.NotZero(t, s.Processed)
	seen.Write(rest)
	all := events(t, seen.String())
	require.Equal(t, s, decode[summary](t, all[len(all)-1]), "the page was told the same")
}
