package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/boundq/queue/keyed"
)

// A quote holds a coin's best bid and ask; either may be missing.
type quote struct {
	coin     string
	time     time.Time // by the exchange's clock
	bid, ask decimal.NullDecimal
}

func (q quote) when() time.Time { return q.time }

// spread returns the difference of ask and bid, if there are both.
func (q quote) spread() decimal.NullDecimal {
	if !q.bid.Valid || !q.ask.Valid {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(q.ask.Decimal.Sub(q.bid.Decimal))
}

// quotes takes quotes from the feed through a queue that holds the newest one of
// each coin to a worker. While the worker is busy, newer quotes replace older
// ones: it is never behind by more than a quote of each coin.
type quotes struct {
	queue     keyed.Latest[string, quote]
	coins     map[string]*quoteCounts
	book      *book
	processed atomic.Int64
}

type quoteCounts struct {
	received, replaced atomic.Int64
}

func newQuotes(coins []string, width time.Duration) *quotes {
	q := &quotes{coins: make(map[string]*quoteCounts), book: newBook(width)}
	for _, coin := range coins {
		q.coins[coin] = new(quoteCounts)
	}
	return q
}

// put queues a quote. The feed calls it, before the queue is shut down.
func (q *quotes) put(next quote) {
	counts := q.coins[next.coin]
	counts.received.Add(1)
	if _, replaced, _ := q.queue.Put(next.coin, next); replaced {
		counts.replaced.Add(1)
	}
}

// work processes quotes until the queue is shut down and empty, with a delay for
// each until ctx is done.
func (q *quotes) work(ctx context.Context, delay *atomic.Int64) {
	pace := pace{delay: delay}
	for _, next := range q.queue.Tasks(context.Background()) {
		pace.wait(ctx)
		q.book.set(next)
		q.processed.Add(1)
	}
}

// A quoteSummary accounts for every quote.
type quoteSummary struct {
	Received  int64                 `json:"received"`
	Replaced  int64                 `json:"replaced"` // by a newer one, while the worker was busy
	Processed int64                 `json:"processed"`
	Coins     map[string]coinQuotes `json:"coins"` // those that have any
}

type coinQuotes struct {
	Received int64  `json:"received"`
	Replaced int64  `json:"replaced"`
	Bid      string `json:"bid"` // of the newest quote; empty if there is none
	Ask      string `json:"ask"`
}

func (q *quotes) summary() quoteSummary {
	s := quoteSummary{Processed: q.processed.Load(), Coins: make(map[string]coinQuotes)}
	for coin, counts := range q.coins {
		last := q.book.last(coin)
		// A quote is received before it is replaced.
		c := coinQuotes{Replaced: counts.replaced.Load(), Received: counts.received.Load(), Bid: textOrEmpty(last.bid), Ask: textOrEmpty(last.ask)}
		s.Received += c.Received
		s.Replaced += c.Replaced
		if c.Received > 0 {
			s.Coins[coin] = c
		}
	}
	return s
}

func textOrEmpty(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.String()
}

// A quoteBar sums up the quotes of a coin in an interval that begins at start.
type quoteBar struct {
	coin     string
	start    time.Time
	bid, ask decimal.NullDecimal // of the last quote
	spread   decimal.NullDecimal // weighted by time
}

// A book keeps each coin's newest quote, and builds bars of quotes. The order of
// the feed decides which quote is the newest. A quote is in force from its time
// to that of the next one; bars without a quote are left out.
type book struct {
	width time.Duration

	mu     sync.Mutex
	newest map[string]quote
	bars   map[barKey]*openQuoteBar
}

type openQuoteBar struct {
	last  quote
	start time.Time
	sum   decimal.Decimal // of spreads, each times the µs for which it was in force
	time  time.Duration   // for which there was a spread
	dirty bool            // since it was last taken
}

func newBook(width time.Duration) *book {
	return &book{width: width, newest: make(map[string]quote), bars: make(map[barKey]*openQuoteBar)}
}

// set makes q the newest quote of its coin.
func (b *book) set(q quote) {
	start := q.time.Truncate(b.width)
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.newest[q.coin]
	b.newest[q.coin] = q
	key := barKey{q.coin, start.UnixMicro()}
	bar := b.bars[key]
	if bar == nil {
		bar = &openQuoteBar{start: start}
		b.bars[key] = bar
	}
	if lastBar := b.bars[barKey{q.coin, last.time.Truncate(b.width).UnixMicro()}]; known && q.time.After(last.time) {
		if end := last.time.Truncate(b.width).Add(b.width); q.time.Before(end) {
			bar.weigh(last, q.time.Sub(last.time))
		} else {
			if lastBar != nil {
				lastBar.weigh(last, end.Sub(last.time))
			}
			bar.weigh(last, q.time.Sub(start))
		}
	}
	bar.last, bar.dirty = q, true
}

// weigh adds the spread of a quote that was in force for d.
func (o *openQuoteBar) weigh(q quote, d time.Duration) {
	if s := q.spread(); s.Valid {
		o.sum = o.sum.Add(s.Decimal.Mul(decimal.NewFromInt(d.Microseconds())))
		o.time += d
		o.dirty = true
	}
}

func (o *openQuoteBar) bar() quoteBar {
	b := quoteBar{coin: o.last.coin, start: o.start, bid: o.last.bid, ask: o.last.ask, spread: o.last.spread()}
	if o.time > 0 {
		b.spread = decimal.NewNullDecimal(o.sum.DivRound(decimal.NewFromInt(o.time.Microseconds()), scale))
	}
	return b
}

// changed returns the bars that changed since it was last called, by start and
// coin, and forgets those that can no longer change: only the bar of a coin's
// newest quote can.
func (b *book) changed() []quoteBar {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []quoteBar
	for key, o := range b.bars {
		if o.dirty {
			changed = append(changed, o.bar())
			o.dirty = false
		} else if b.newest[key.coin].time.Sub(o.start) > keepBars {
			delete(b.bars, key)
		}
	}
	slices.SortFunc(changed, func(a, b quoteBar) int {
		return cmp.Or(a.start.Compare(b.start), strings.Compare(a.coin, b.coin))
	})
	return changed
}

// last returns a coin's newest quote.
func (b *book) last(coin string) quote {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest[coin]
}
