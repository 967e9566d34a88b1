package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A record is one call: when it began and ended, by a clock that counts both.
type record struct {
	began, ended uint64 // ended is 0 while the call runs
	who, call    string
	arg, n       int
	err          error
}

func (r record) String() string {
	s := fmt.Sprintf("%9d  %-11s %s(%d)", r.began, r.who, r.call, r.arg)
	if r.ended == 0 {
		return s + " has not returned"
	}
	if s += fmt.Sprintf(" -> %d", r.n); r.err != nil {
		s += ", " + r.err.Error()
	}
	return fmt.Sprintf("%s  [until %d]", s, r.ended)
}

// A history holds the last calls of one goroutine.
type history struct {
	mu      sync.Mutex // the goroutine's, but for the moment of a discrepancy
	records [24]record
	next    int
}

func (h *history) begin(r record, clock *atomic.Uint64) (i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i = h.next % len(h.records)
	h.next++
	r.began = clock.Add(1)
	h.records[i] = r
	return i
}

func (h *history) end(i, n int, err error, clock *atomic.Uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.records[i]
	r.n, r.err, r.ended = n, err, clock.Add(1)
}

// merge returns the records of all, in the order in which they began.
func merge(workers []*worker) string {
	var all []record
	for _, w := range workers {
		w.history.mu.Lock()
		all = append(all, w.history.records[:min(w.history.next, len(w.history.records))]...)
		w.history.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b record) int { return int(int64(a.began - b.began)) })
	var text strings.Builder
	for _, r := range all {
		fmt.Fprintln(&text, r)
	}
	return text.String()
}
