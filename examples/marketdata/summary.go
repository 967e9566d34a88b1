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

// A summary accounts for every trade and every quote.
type summary struct {
	Received  int64                  `json:"received"` // without repeats and bad ones
	Repeats   int64                  `json:"repeats"`
	Processed int64                  `json:"processed"` // merged into a bar
	Dropped   int64                  `json:"dropped"`   // because the queue was full, or because they were late
	Late      int64                  `json:"late"`      // of Dropped, trades whose bar had left memory
	Drained   int64                  `json:"drained"`   // still queued when the program was stopped at once
	Bad       int64                  `json:"bad"`       // messages and trades that could not be used
	Misdated  int64                  `json:"misdated"`  // of Bad, trades dated far ahead or behind
	Bars      int64                  `json:"bars"`
	MaxDepth  int                    `json:"max_depth"`
	Blocked   uint64                 `json:"put_blocked"` // how often the feed blocked
	BlockedS  float64                `json:"put_blocked_seconds"`
	ToBar     percentiles            `json:"latency"`  // from the socket to the bar
	InQueue   percentiles            `json:"in_queue"` // including the time for which the feed blocked
	Coins     map[string]coinSummary `json:"coins"`
	Quotes    quoteSummary           `json:"quotes"`
}

// summary returns the statistics of a run that has ended. coins comes from the
// store.
func (p *pipeline) summary(coins map[string]coinSummary) summary {
	stats := p.queue.Stats()
	return summary{
		Received:  p.feed.received.Load(),
		Repeats:   p.feed.repeats.Load(),
		Processed: p.processed.Load(),
		Dropped:   p.dropped(),
		Late:      p.late.Load(),
		Drained:   p.drained.Load(),
		Bad:       p.feed.bad.Load(),
		Misdated:  p.feed.misdated.Load(),
		Bars:      p.stored.Load(),
		MaxDepth:  stats.MaxLen,
		Blocked:   stats.PutBlocked,
		BlockedS:  p.blocked.elapsed().Seconds(),
		ToBar:     p.toBar.overall(),
		InQueue:   p.inQueue.overall(),
		Coins:     coins,
		Quotes:    p.quotes.summary(),
	}
}

// check returns an error if a trade or a quote is unaccounted for.
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
	if q := s.Quotes; q.Received != q.Processed+q.Replaced {
		errs = append(errs, fmt.Errorf("received %d quotes, but processed %d and replaced %d", q.Received, q.Processed, q.Replaced))
	}
	return errors.Join(errs...)
}

// writeJSON writes the summary as one line.
func (s summary) writeJSON(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

// writeText writes the summary for people.
func (s summary) writeText(w io.Writer) error {
	fmt.Fprintf(w, "\nreceived %d trades: processed %d, dropped %d, drained %d; ", s.Received, s.Processed, s.Dropped, s.Drained)
	if lost := s.Received - s.Processed; lost != 0 {
		fmt.Fprintf(w, "%d lost", lost)
	} else {
		fmt.Fprint(w, "none lost")
	}
	fmt.Fprintf(w, "\n%d repeats, %d bad, %d bars; at most %d queued; the feed blocked %d times, %.1f s in all\n",
		s.Repeats, s.Bad, s.Bars, s.MaxDepth, s.Blocked, s.BlockedS)
	fmt.Fprintf(w, "from the socket to the bar: p50 %.2f ms, p99 %.2f ms\n", s.ToBar.P50, s.ToBar.P99)
	fmt.Fprintf(w, "received %d quotes: processed %d, replaced %d by newer ones\n\n", s.Quotes.Received, s.Quotes.Processed, s.Quotes.Replaced)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "coin\ttrades\tvolume\topen\thigh\tlow\tclose\tbid\task\t")
	for _, coin := range s.coins() {
		c, q := s.Coins[coin], s.Quotes.Coins[coin]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", coin, c.Trades, c.Volume, c.Open, c.High, c.Low, c.Close, q.Bid, q.Ask)
	}
	return t.Flush()
}

// coins returns the coins that had trades or quotes.
func (s summary) coins() []string {
	coins := slices.AppendSeq(slices.Collect(maps.Keys(s.Coins)), maps.Keys(s.Quotes.Coins))
	slices.Sort(coins)
	return slices.Compact(coins)
}
