package main

import (
	"sync"
	"time"
)

const (
	sampleEvery = 250 * time.Millisecond
	keepSamples = 61 * int(time.Second/sampleEvery) // a minute, and a second for its first rates
)

// A sample holds the pipeline's statistics and settings at one moment.
type sample struct {
	Time    int64 `json:"time"`    // in ms since 1970
	Elapsed int64 `json:"elapsed"` // in ms since the page was started, on the monotonic clock, for durations
	figures
	Workers   int           `json:"workers"`
	ExtraWork time.Duration `json:"work"` // in ns
	Overflow  string        `json:"overflow"`
	Bursts    int64         `json:"bursts"` // that were asked for
}

// A history keeps the samples of the last minute for any number of readers. It
// does not block for a slow one, which then gets several samples at once.
type history struct {
	mu      sync.Mutex
	samples []sample
	added   int // in all; samples holds the last of them
	end     *summary
	changed chan struct{} // closed and replaced at each change
}

func newHistory() *history { return &history{changed: make(chan struct{})} }

func (h *history) add(s sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) == keepSamples {
		h.samples = h.samples[1:]
	}
	h.samples = append(h.samples, s)
	h.added++
	h.notify()
}

// finish tells the readers that there are no more samples, and the summary.
func (h *history) finish(s summary) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end = &s
	h.notify()
}

// notify wakes the readers. mu must be held.
func (h *history) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// since returns the samples that were added after the first n, as far as they
// are kept; how many were added in all; the summary, nil while the run goes on;
// and a channel that is closed at the next change.
func (h *history) since(n int) (samples []sample, added int, end *summary, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := max(len(h.samples)-(h.added-n), 0)
	return append([]sample{}, h.samples[first:]...), h.added, h.end, h.changed
}
