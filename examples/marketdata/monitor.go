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

// The depth is shown as moderate or high from these shares of the capacity on.
const (
	moderate = 0.5
	high     = 0.8
)

// figures are the statistics that the monitor and the page show.
type figures struct {
	Received   int64 `json:"received"`
	Processed  int64 `json:"processed"`
	Dropped    int64 `json:"dropped"`
	Stored     int64 `json:"stored"` // bars
	Depth      int   `json:"depth"`
	Capacity   int   `json:"capacity"`
	Parked     int   `json:"parked"` // 1 while the feed is blocked
	Unfinished int   `json:"unfinished"`
	Draining   bool  `json:"draining"` // the queue is shut down

	BlockedFor time.Duration `json:"blocked_for"` // in ns: how long the feed has been blocked in all
	ToBar      percentiles   `json:"latency"`     // from the socket to the bar, over the last seconds
	InQueue    percentiles   `json:"in_queue"`    // the same, from the feed to a worker

	Quotes map[string]coinQuotes `json:"quotes"`
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
		BlockedFor: p.blocked.elapsed(),
		ToBar:      p.toBar.lately(),
		InQueue:    p.inQueue.lately(),
		Quotes:     p.quotes.summary().Coins,
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

// line returns the figures as a line of text, with rates since the last ones.
func (f figures) line(last figures, since time.Duration, now time.Time, colour bool) string {
	rate := func(n int64) int64 { return int64(float64(n) / since.Seconds()) }
	return fmt.Sprintf("%s  in %6d/s  out %6d/s  depth %5d of %d %s  blocked %d  unfinished %d  dropped %d  bars %d",
		now.Format(time.TimeOnly), rate(f.Received-last.Received), rate(f.Processed-last.Processed),
		f.Depth, f.Capacity, gauge(f.Depth, f.Capacity, colour), f.Parked, f.Unfinished, f.Dropped, f.Stored)
}

// gauge draws how full the queue is, with a word for it.
func gauge(depth, capacity int, colour bool) string {
	const width = 20
	share := float64(depth) / float64(capacity)
	level, paint := "ok", "32" // green
	switch {
	case share >= 1:
		level, paint = "FULL", "31" // red
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
