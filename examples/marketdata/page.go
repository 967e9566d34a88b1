package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/boundq/queue/promqueue"
)

const (
	candles      = 40 // bars shown of each coin
	candlesEvery = time.Second
	writeTimeout = 5 * time.Second // per server-sent event
	endTimeout   = 2 * time.Second // for the last event of all browsers
	maxForm      = 1 << 16         // bytes
)

// The folder holds uPlot, which draws the charts, as released:
// https://github.com/leeoniya/uPlot/tree/1.6.32/dist
//
//go:embed page
var pageFiles embed.FS

// A page shows a running pipeline in browsers. Its controls change the settings,
// ask for bursts of trades, and shut the pipeline down.
type page struct {
	url      string
	pipeline *pipeline
	shutdown func()
	burst    func() // nil if there can be none
	history  *history

	started time.Time
	bursts  atomic.Int64

	server  *http.Server
	stop    context.CancelFunc
	running sync.WaitGroup // the server, its requests and the recording
}

// servePage serves a page about p at an address. The page's controls call
// shutdown, and burst unless it is nil. The caller must close the page.
func servePage(address string, p *pipeline, shutdown, burst func()) (*page, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &page{
		url:      "http://" + listener.Addr().String() + "/",
		pipeline: p,
		shutdown: shutdown,
		burst:    burst,
		history:  newHistory(),
		started:  time.Now(),
		stop:     stop,
	}
	handler := g.handler()
	if addr, err := netip.ParseAddrPort(listener.Addr().String()); err == nil && addr.Addr().IsLoopback() {
		handler = fromLoopback(handler)
	}
	g.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.running.Add(1)
			defer g.running.Done()
			handler.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: writeTimeout,
	}
	g.running.Go(func() { _ = g.server.Serve(listener) })
	g.running.Go(func() { g.record(ctx) })
	return g, nil
}

// end sends the summary to the browsers.
func (g *page) end(s summary) {
	g.history.add(g.sample())
	g.history.finish(s)
}

// close stops the server and everything that it started. If the run has ended,
// it first gives the browsers endTimeout to receive the summary.
func (g *page) close() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if _, _, end, _ := g.history.since(0); end == nil {
		g.stop()
	}
	_ = g.server.Shutdown(ctx)
	_ = g.server.Close()
	g.stop()
	g.running.Wait()
}

// record adds a sample to the history at intervals, until ctx is done.
func (g *page) record(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		g.history.add(g.sample())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (g *page) sample() sample {
	s := g.pipeline.current()
	return sample{
		Time:      time.Now().UnixMilli(),
		Elapsed:   time.Since(g.started).Milliseconds(),
		figures:   g.pipeline.figures(),
		Workers:   s.workers,
		ExtraWork: s.extraWork,
		Overflow:  s.overflow,
		Bursts:    g.bursts.Load(),
	}
}

func (g *page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pageFiles, "page/index.html")
	})
	mux.Handle("GET /page/", http.FileServerFS(pageFiles))
	mux.HandleFunc("GET /events", g.serveEvents)
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(
		promqueue.NewCollector("trades", g.pipeline.queue),
		promqueue.NewCollector("quotes", &g.pipeline.quotes.queue))
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("POST /settings", g.serveSettings)
	if g.burst != nil {
		mux.HandleFunc("POST /burst", func(w http.ResponseWriter, _ *http.Request) {
			g.bursts.Add(1)
			g.burst()
			w.WriteHeader(http.StatusAccepted)
		})
	}
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, _ *http.Request) {
		g.shutdown()
		w.WriteHeader(http.StatusAccepted)
	})
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src data:; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		sameOrigin.ServeHTTP(w, r)
	})
}

// fromLoopback refuses requests for host names other than the loopback's. Without
// it, a site whose own name resolves to the loopback would count as same-origin.
func fromLoopback(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, fmt.Sprintf("host %q: this page is served to the loopback only", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// serveSettings changes the settings that the form names. Names and values are
// written as the flags are.
func (g *page) serveSettings(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	switch {
	case err != nil:
	case len(r.PostForm) == 0:
		err = errors.New("nothing to change: send capacity, workers, work or overflow as a form")
	default:
		err = g.pipeline.change(func(s *settings) error { return s.set(r.PostForm) })
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveEvents sends server-sent events: the samples of the last minute, then
// each new one; the last bars of each coin; and at the end the summary.
func (g *page) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	send := func(event string, data any) error {
		text, err := json.Marshal(data)
		if err != nil {
			return err
		}
		if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text); err != nil {
			return err
		}
		return control.Flush()
	}
	if send("run", g.run()) != nil {
		return
	}
	var sentCandles time.Time
	for n := 0; ; {
		samples, added, end, changed := g.history.since(n)
		n = added
		if send("samples", samples) != nil {
			return
		}
		if end != nil || time.Since(sentCandles) >= candlesEvery {
			sentCandles = time.Now()
			if send("candles", g.candles()) != nil {
				return
			}
		}
		if end != nil {
			_ = send("end", end)
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// A runInfo describes the run as a whole.
type runInfo struct {
	Source string `json:"source"`
	Bar    string `json:"bar"`
	Burst  bool   `json:"burst"` // whether there can be one
}

func (g *page) run() runInfo {
	c := g.pipeline.config
	source := c.url
	switch {
	case c.replay != nil:
		source = "Replay of " + c.replay.path
	case source == "":
		source = "Invented trades"
	}
	return runInfo{source + " of " + strings.Join(c.coins, ", "), c.bar.String(), g.burst != nil}
}

// candles returns the last bars of each coin, by start. Each holds its start in ms,
// open, high, low and close.
func (g *page) candles() map[string][][5]float64 {
	all := make(map[string][][5]float64)
	for coin, bars := range g.pipeline.bars.recent(candles) {
		for _, b := range bars {
			all[coin] = append(all[coin], [5]float64{float64(b.start.UnixMilli()),
				b.open.InexactFloat64(), b.high.InexactFloat64(), b.low.InexactFloat64(), b.close.InexactFloat64()})
		}
	}
	return all
}
