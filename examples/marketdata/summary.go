package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// A summary says what became of every trade.
type summary struct {
	Received  int64                  `json:"received"` // repeats not among them
	Repeats   int64                  `json:"repeats"`
	Processed int64                  `json:"processed"` // merged into a bar
	Dropped   int64                  `json:"dropped"`   // for want of room
	Drained   int64                  `json:"drained"`   // left when the program was stopped at once
	Bad       int64                  `json:"bad"`       // frames and trades that could not be read
	Bars      int64                  `json:"bars"`
	MaxDepth  int                    `json:"max_depth"`
	Blocked   uint64                 `json:"put_blocked"` // how often the feed waited for room
	Coins     map[string]coinSummary `json:"coins"`
}

// summary returns the figures of a run that has ended. coins is what the store
// has of it.
func (p *pipeline) summary(coins map[string]coinSummary) summary {
	stats := p.queue.Stats()
	return summary{
		Received:  p.feed.received.Load(),
		Repeats:   p.feed.repeats.Load(),
		Processed: p.processed.Load(),
		Dropped:   p.dropped.Load(),
		Drained:   p.drained.Load(),
		Bad:       p.feed.bad.Load(),
		Bars:      p.stored.Load(),
		MaxDepth:  stats.MaxLen,
		Blocked:   stats.PutBlocked,
		Coins:     coins,
	}
}

// check returns an error if a trade is unaccounted for.
func (s summary) check() error {
	var stored int64
	for _, c := range s.Coins {
		stored += c.Trades
	}
	var errs []error
	if s.Received != s.Processed+s.Dropped+s.Drained {
		errs = append(errs, fmt.Errorf("received %d trades, but processed %d, dropped %d and drained %d",
			s.Received, s.Processed, s.Dropped, s.Drained))
	}
	if stored != s.Processed {
		errs = append(errs, fmt.Errorf("processed %d trades, but stored %d", s.Processed, stored))
	}
	return errors.Join(errs...)
}

// writeJSON writes the summary as one line.
func (s summary) writeJSON(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

// writeText writes the summary for people.
func (s summary) writeText(w io.Writer) error {
	fmt.Fprintf(w, "\nreceived %d trades: processed %d, dropped %d, drained %d", s.Received, s.Processed, s.Dropped, s.Drained)
	if s.check() == nil {
		fmt.Fprint(w, "; none lost")
	}
	fmt.Fprintf(w, "\n%d repeats, %d bad, %d bars; at most %d waited, and the feed waited for room %d times\n\n",
		s.Repeats, s.Bad, s.Bars, s.MaxDepth, s.Blocked)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "coin\ttrades\tvolume\topen\thigh\tlow\tclose\t")
	for _, coin := range slices.Sorted(maps.Keys(s.Coins)) {
		c := s.Coins[coin]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", coin, c.Trades, c.Volume, c.Open, c.High, c.Low, c.Close)
	}
	return t.Flush()
}
