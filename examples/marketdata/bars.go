package main

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// keepBars is how long a bar stays in memory after its last change.
const keepBars = time.Hour

// A bar sums up the trades of a coin in an interval that begins at start.
type bar struct {
	coin  string
	start time.Time

	open, high, low, close, volume decimal.Decimal
	trades                         int64
}

// bars merges trades into bars. Workers may add trades in any order: the
// exchange's time, and among equal times the feed's order, decide which trade
// opened a bar and which closed it.
//
// A bar that left memory must not be begun again, because it would replace the
// one in the store. So only bars before the current one of their coin are
// forgotten, and trades up to the newest that was forgotten are late, unless
// their bar is in memory. A trade that is dated ahead by mistake moves neither
// bound for longer than until the next one.
type bars struct {
	width time.Duration

	mu    sync.Mutex
	open  map[barKey]*openBar
	coins map[string]*coinBars
}

type barKey struct {
	coin  string
	start int64 // in µs
}

type openBar struct {
	bar
	first, last trade     // by time and order
	changed     time.Time // when a trade was last merged, on the monotonic clock
	dirty       bool      // since it was last taken
}

type coinBars struct {
	newest    int64 // the order of the newest trade
	current   int64 // the start of its bar, in µs
	forgotten int64 // the last start that was forgotten, in µs; 0 for none
}

func newBars(width time.Duration) *bars {
	return &bars{width: width, open: make(map[barKey]*openBar), coins: make(map[string]*coinBars)}
}

// earlier orders trades as they happened.
func earlier(a, b trade) int {
	return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.order, b.order))
}

// add merges a trade into its bar. It returns false if the trade is late: its
// bar has been forgotten.
func (b *bars) add(t trade) bool {
	start := t.time.Truncate(b.width)
	key := barKey{t.coin, start.UnixMicro()}
	now := time.Now()

	b.mu.Lock()
	defer b.mu.Unlock()
	coin := b.coins[t.coin]
	if coin == nil {
		coin = new(coinBars)
		b.coins[t.coin] = coin
	}
	o := b.open[key]
	if o == nil && coin.forgotten != 0 && key.start <= coin.forgotten {
		return false
	}
	if t.order >= coin.newest {
		coin.newest, coin.current = t.order, key.start
	}
	if o == nil {
		b.open[key] = &openBar{
			bar:   bar{t.coin, start, t.price, t.price, t.price, t.price, t.size, 1},
			first: t, last: t, changed: now, dirty: true,
		}
		return true
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
	return true
}

// changed returns the bars that changed since it was last called, by start and
// coin, and forgets those that have not changed for keepBars.
func (b *bars) changed() []bar {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changed []bar
	for key, o := range b.open {
		coin := b.coins[key.coin]
		switch {
		case o.dirty:
			changed = append(changed, o.bar)
			o.dirty = false
		case time.Since(o.changed) > keepBars && key.start < coin.current:
			delete(b.open, key)
			coin.forgotten = max(coin.forgotten, key.start)
		}
	}
	slices.SortFunc(changed, func(a, b bar) int {
		return cmp.Or(a.start.Compare(b.start), strings.Compare(a.coin, b.coin))
	})
	return changed
}

// recent returns the last n bars of each coin up to its current one, by start.
func (b *bars) recent(n int) map[string][]bar {
	b.mu.Lock()
	defer b.mu.Unlock()
	recent := make(map[string][]bar)
	for key, o := range b.open {
		if key.start <= b.coins[key.coin].current {
			recent[key.coin] = append(recent[key.coin], o.bar)
		}
	}
	for coin, bars := range recent {
		slices.SortFunc(bars, func(a, b bar) int { return a.start.Compare(b.start) })
		recent[coin] = bars[max(len(bars)-n, 0):]
	}
	return recent
}
