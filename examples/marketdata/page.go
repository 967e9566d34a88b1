package main

import (
	"context"
	"embed"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/boundq/queue/promqueue"
)

const (
	candles      = 40              // bars of each coin that are shown
	candlesEvery = time.Second     // they are sent again
	slowest      = 5 * time.Second // that a browser may be at taking an event
	farewell     = 2 * time.Second // for browsers to take the last one
	maxForm      = 1 << 16         // bytes
)

// uPlot, the library that draws the charts, is there as it was released:
// https://github.com/leeoniya/uPlot/tree/1.6.32/dist
//
//go:embed page
var pageFiles embed.FS

// A page shows a pipeline at work to browsers, and lets them change its settings
// and begin its graceful shutdown.
type page struct {
	url      string
	pipeline *pipeline
	shutdown func()
	history  *history

	server  *http.Server
	stop    context.CancelFunc
	running sync.WaitGroup // the server, its requests and the recording
}

// servePage starts to serve a page about p at an address. shutdown is called
// when somebody asks for it there. The caller must close the page.
func servePage(address string, p *pipeline, shutdown func()) (*page, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &page{
		url:      "http://" + listener.Addr().String() + "/",
		pipeline: p,
		shutdown: shutdown,
		history:  newHistory(),
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
		ReadHeaderTimeout: slowest,
	}
	g.running.Go(func() { _ = g.server.Serve(listener) })
	g.running.Go(func() { g.record(ctx) })
	return g, nil
}

// end tells the browsers how the run ended.
func (g *page) end(s summary) {
	g.history.add(g.sample())
	g.history.finish(s)
}

// close stops serving, and waits until everything has stopped. If the run has
// come to its end, the browsers get a moment to hear of it.
func (g *page) close() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
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
		figures:   g.pipeline.figures(),
		Workers:   s.workers,
		ExtraWork: s.extraWork,
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
	metrics.MustRegister(promqueue.NewCollector("trades", g.pipeline.queue))
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("POST /settings", g.serveSettings)
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

// fromLoopback refuses requests for a name that is not the loopback's. A site
// that has its own name point to the loopback would pass as the same origin.
func fromLoopback(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, fmt.Sprintf("host %q: this is served to the loopback only", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// serveSettings changes the settings that the form has; they are named and
// written as the flags are.
func (g *page) serveSettings(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if err == nil {
		err = g.pipeline.change(func(s *settings) error {
			if len(r.PostForm) == 0 {
				return fmt.Errorf("nothing to change: give capacity, workers or work as a form")
			}
			flags := flag.NewFlagSet("", flag.ContinueOnError)
			s.define(flags)
			for name, values := range r.PostForm {
				for _, value := range values {
					if err := flags.Set(name, value); err != nil {
						return fmt.Errorf("%s %q: %w", name, value, err)
					}
				}
			}
			return nil
		})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveEvents sends what the page shows, as server-sent events: the samples of
// the last minute, then each new one; the last bars of each coin; and in the end
// the summary.
func (g *page) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	send := func(event string, data any) error {
		text, err := json.Marshal(data)
		if err != nil {
			return err
		}
		if err := control.SetWriteDeadline(time.Now().Add(slowest)); err != nil {
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

// run returns what the page says of a run as such.
func (g *page) run() map[string]string {
	source := g.pipeline.url
	switch {
	case g.pipeline.replay != nil:
		source = "Replay of " + g.pipeline.replay.path
	case source == "":
		source = "Made-up trades"
	}
	return map[string]string{
		"source":   source + " of " + strings.Join(g.pipeline.coins, ", "),
		"overflow": g.pipeline.overflow,
		"bar":      g.pipeline.bar.String(),
	}
}

// candles returns the last bars of each coin, by start, each as its start in ms
// and its open, high, low and close.
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
