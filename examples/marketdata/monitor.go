package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// From these shares of the capacity on, the queue's depth is worth a look, and
// an alarm.
const (
	moderate = 0.5
	high     = 0.8
)

// figures are what the monitor and the page show, and what the next ones' rates
// are counted from.
type figures struct {
	Received   int64 `json:"received"`
	Processed  int64 `json:"processed"`
	Dropped    int64 `json:"dropped"`
	Stored     int64 `json:"stored"` // bars
	Depth      int   `json:"depth"`
	Capacity   int   `json:"capacity"`
	Parked     int   `json:"parked"` // producers
	Unfinished int   `json:"unfinished"`
	Draining   bool  `json:"draining"` // no more are let in
}

func (p *pipeline) figures() figures {
	s := p.queue.Stats()
	return figures{
		Received:   p.feed.received.Load(),
		Processed:  p.processed.Load(),
		Dropped:    p.dropped(),
		Stored:     p.stored.Load(),
		Depth:      s.Len,
		Capacity:   s.Cap,
		Parked:     s.PutWaiting,
		Unfinished: s.Unfinished,
		Draining:   s.Shutdown,
	}
}

// monitor writes a line a second until ctx is done.
func (p *pipeline) monitor(ctx context.Context, w io.Writer) {
	colour := isTerminal(w)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last, at := p.figures(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		f, now := p.figures(), time.Now()
		fmt.Fprintln(w, f.line(last, now.Sub(at), now, colour))
		last, at = f, now
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// line returns the figures as a line of text, with rates since last.
func (f figures) line(last figures, since time.Duration, now time.Time, colour bool) string {
	rate := func(n int64) int64 { return int64(float64(n) / since.Seconds()) }
	return fmt.Sprintf("%s  in %6d/s  out %6d/s  depth %5d of %d %s  parked %d  unfinished %d  dropped %d  bars %d",
		now.Format(time.TimeOnly), rate(f.Received-last.Received), rate(f.Processed-last.Processed),
		f.Depth, f.Capacity, gauge(f.Depth, f.Capacity, colour), f.Parked, f.Unfinished, f.Dropped, f.Stored)
}

// gauge draws how full the queue is, and says whether that is much.
func gauge(depth, capacity int, colour bool) string {
	const width = 20
	share := float64(depth) / float64(capacity)
	level, paint := "ok", "32" // green
	switch {
	case share >= high:
		level, paint = "HIGH", "31" // red
	case share >= moderate:
		level, paint = "moderate", "33" // yellow
	}
	full := min(depth*width/capacity, width)
	text := fmt.Sprintf("[%s%s] %-8s", strings.Repeat("#", full), strings.Repeat(".", width-full), level)
	if colour {
		return "\x1b[" + paint + "m" + text + "\x1b[0m"
	}
	return text
}
