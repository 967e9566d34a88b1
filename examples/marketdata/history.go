package main

import (
	"sync"
	"time"
)

const (
	sampleEvery = 250 * time.Millisecond
	keepSamples = 61 * int(time.Second/sampleEvery) // a minute, and a second before it for its first rates
)

// A sample is the pipeline's figures at a moment.
type sample struct {
	Time int64 `json:"time"` // in ms
	figures
	Workers   int           `json:"workers"`
	ExtraWork time.Duration `json:"work"` // in ns
}

// A history keeps the samples of the last minute for any number of readers. It
// waits for none of them: one that is slow finds more of them at once.
type history struct {
	mu      sync.Mutex
	samples []sample
	added   int // in all; samples has the last ones of them
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

// finish says that no more samples will come, and how it all ended.
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

// since returns the samples after the first n that were ever added, as far as
// they are kept, how many were added in all, how it ended, nil if it has not,
// and a channel that is closed when there is more.
func (h *history) since(n int) (samples []sample, added int, end *summary, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := max(len(h.samples)-(h.added-n), 0)
	return append([]sample{}, h.samples[first:]...), h.added, h.end, h.changed
}
