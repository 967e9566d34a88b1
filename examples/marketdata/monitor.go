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

// figures are what the monitor shows, and what the next line's rates are
// counted from.
type figures struct {
	received, processed, dropped, stored int64
	depth, capacity, parked, unfinished  int
}

func (p *pipeline) figures() figures {
	s := p.queue.Stats()
	return figures{
		received:   p.feed.received.Load(),
		processed:  p.processed.Load(),
		dropped:    p.dropped.Load(),
		stored:     p.stored.Load(),
		depth:      s.Len,
		capacity:   s.Cap,
		parked:     s.PutWaiting,
		unfinished: s.Unfinished,
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
		now.Format(time.TimeOnly), rate(f.received-last.received), rate(f.processed-last.processed),
		f.depth, f.capacity, gauge(f.depth, f.capacity, colour), f.parked, f.unfinished, f.dropped, f.stored)
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
