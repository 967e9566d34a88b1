package main

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// keepBars is how long a bar stays in memory after it last changed. A trade that
// comes later starts the bar anew.
const keepBars = time.Hour

// A bar sums up the trades of a coin from start on.
type bar struct {
	coin  string
	start time.Time

	open, high, low, close, volume decimal.Decimal
	trades                         int64
}

// bars merges trades into bars, whatever the order in which they come: which
// trade opened a bar and which closed it is told by their times and ids.
type bars struct {
	width time.Duration

	mu     sync.Mutex
	open   map[barKey]*openBar
	newest map[string]int64 // of each coin, the start of its last bar, in ns
}

type barKey struct {
	coin  string
	start int64 // in ns
}

type openBar struct {
	bar
	first, last trade     // by time and id
	changed     time.Time // when a trade last came
	dirty       bool      // since it was last taken
}

func newBars(width time.Duration) *bars {
	return &bars{width: width, open: make(map[barKey]*openBar), newest: make(map[string]int64)}
}

// earlier orders trades as they happened.
func earlier(a, b trade) int {
	return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id))
}

// add merges a trade into its bar.
func (b *bars) add(t trade) {
	start := t.time.Truncate(b.width)
	key := barKey{t.coin, start.UnixNano()}
	now := time.Now()

	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.open[key]
	if o == nil {
		b.open[key] = &openBar{
			bar:   bar{t.coin, start, t.price, t.price, t.price, t.price, t.size, 1},
			first: t, last: t, changed: now, dirty: true,
		}
		b.newest[t.coin] = max(b.newest[t.coin], key.start)
		return
	}
	if earlier(t, o.first) < 0 {
		o.first, o.open = t, t.price
	}
	if earlier(t, o.last) > 0 {
		o.last, o.close = t, t.price
	}
	if t.price.GreaterThan(o.high) {
		o.high = t.price
	}
	if t.price.LessThan(o.low) {
		o.low = t.price
	}
	o.volume = o.volume.Add(t.size)
	o.trades++
	o.changed, o.dirty = now, true
}

// changed returns the bars that changed since it was last called, by start and
// coin, and forgets those that have not changed for long.
func (b *bars) changed() []bar {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []bar
	for key, o := range b.open {
		switch {
		case o.dirty:
			changed = append(changed, o.bar)
			o.dirty = false
		case time.Since(o.changed) > keepBars:
			delete(b.open, key)
		}
	}
	slices.SortFunc(changed, func(a, b bar) int {
		return cmp.Or(a.start.Compare(b.start), strings.Compare(a.coin, b.coin))
	})
	return changed
}

// recent returns the bars of each coin's last n widths, by start.
func (b *bars) recent(n int) map[string][]bar {
	b.mu.Lock()
	defer b.mu.Unlock()
	recent := make(map[string][]bar)
	for coin, newest := range b.newest {
		for i := n - 1; i >= 0; i-- {
			if o := b.open[barKey{coin, newest - int64(i)*int64(b.width)}]; o != nil {
				recent[coin] = append(recent[coin], o.bar)
			}
		}
	}
	return recent
}
