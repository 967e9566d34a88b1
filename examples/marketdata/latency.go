package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	longestLatency = time.Hour // longer ones count as this
	latencyDigits  = 2         // of each latency that are exact
	latencyWindows = 10        // of a second each, for the recent percentiles
)

// latencies counts how long trades took: recently, for the page, and over the
// whole run, for the summary.
type latencies struct {
	mu     sync.Mutex
	recent *hdrhistogram.WindowedHistogram
	began  time.Time // of the current window
	total  *hdrhistogram.Histogram
}

func newLatencies() *latencies {
	const shortest = time.Microsecond
	return &latencies{
		recent: hdrhistogram.NewWindowed(latencyWindows, int64(shortest), int64(longestLatency), latencyDigits),
		began:  time.Now(),
		total:  hdrhistogram.New(int64(shortest), int64(longestLatency), latencyDigits),
	}
}

func (l *latencies) record(d time.Duration) {
	ns := int64(min(max(d, 0), longestLatency))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotate()
	_ = l.recent.Current.RecordValue(ns) // no value is out of range
	_ = l.total.RecordValue(ns)
}

// rotate begins the current window. mu must be held.
func (l *latencies) rotate() {
	windows := int(time.Since(l.began) / time.Second)
	l.began = l.began.Add(time.Duration(windows) * time.Second)
	for range min(windows, latencyWindows) {
		l.recent.Rotate()
	}
}

// percentiles are of latencies in ms; 0 if there are none.
type percentiles struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

func percentilesOf(h *hdrhistogram.Histogram) percentiles {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / float64(time.Millisecond) }
	return percentiles{ms(50), ms(99)}
}

// lately returns the percentiles of the last ten seconds.
func (l *latencies) lately() percentiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotate()
	return percentilesOf(l.recent.Merge())
}

// overall returns the percentiles of the whole run.
func (l *latencies) overall() percentiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	return percentilesOf(l.total)
}

// A stopwatch adds up how long it ran. One goroutine starts and stops it, any
// number may read it.
type stopwatch struct {
	mu    sync.Mutex
	since time.Time // zero while it does not run
	ran   time.Duration
}

func (s *stopwatch) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Now()
}

func (s *stopwatch) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran += time.Since(s.since)
	s.since = time.Time{}
}

func (s *stopwatch) elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return s.ran
	}
	return s.ran + time.Since(s.since)
}
