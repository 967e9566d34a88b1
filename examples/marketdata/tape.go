package main

import "time"

const (
	remembered = 10_000         // trades of each coin, to recognize repeats; a subscription repeats 30
	farOff     = 12 * time.Hour // times may jump by this much at once
)

// A tape follows a coin's trades and quotes as the feed receives them. It
// recognizes trades that are repeated, and wrong dates.
type tape struct {
	seen   recentTrades
	trades dates[trade]
	quotes dates[quote]
}

// dates recognizes wrong dates in a sequence of trades or quotes.
//
// What the right date is, only the neighbours tell, because a replay may be of
// any year, and a coin may not be traded for days. So an item is misdated if it
// is far ahead of both the one before it and the one after it, or far behind
// both; an item that looks so is held until the next one comes. One that is far
// ahead of this machine's clock is misdated in any case: an exchange cannot
// report trades of tomorrow.
type dates[T interface{ when() time.Time }] struct {
	last time.Time // of the last item that was passed on, by the exchange's clock
	at   time.Time // when that one was received, on the monotonic clock
	held *held[T]
}

type held[T any] struct {
	item    T
	element []byte // as it was received
	off     int    // against the one before
}

// next judges an item. It returns the items that can be passed on now, in the
// feed's order, and the one that turned out to be misdated, if any.
func (p *dates[T]) next(item T, element []byte, now time.Time) (pass []T, misdated *held[T]) {
	next := &held[T]{item: item, element: element}
	if compare(item.when(), now) > 0 {
		return nil, next
	}
	if h := p.held; h != nil {
		p.held = nil
		if compare(h.item.when(), item.when()) == h.off {
			misdated = h
		} else {
			pass = append(pass, p.pass(h.item, now))
		}
	}
	if next.off = p.off(item.when(), now); next.off != 0 {
		p.held = next
		return pass, misdated
	}
	return append(pass, p.pass(item, now)), misdated
}

func (p *dates[T]) pass(item T, now time.Time) T {
	p.last, p.at = item.when(), now
	return item
}

// settle returns the item that is held, which is misdated if no other comes.
func (p *dates[T]) settle() *held[T] {
	h := p.held
	p.held = nil
	return h
}

// off compares an item's time with that of the last one. As much as has passed
// since then it may be ahead.
func (p *dates[T]) off(t, now time.Time) int {
	if p.last.IsZero() {
		return 0
	}
	if t.After(p.last) {
		return max(compare(t, p.last.Add(now.Sub(p.at))), 0)
	}
	return compare(t, p.last)
}

// compare returns 1 if a is far ahead of b, -1 if it is far behind, otherwise 0.
func compare(a, b time.Time) int {
	switch d := a.Sub(b); {
	case d > farOff:
		return 1
	case d < -farOff:
		return -1
	}
	return 0
}

// recentTrades remembers the trades of a coin that were last added to it.
type recentTrades struct {
	set  map[tradeID]struct{}
	ring []tradeID
	next int // the place in ring of the oldest, once it is full
}

// A tradeID identifies a trade of a coin.
type tradeID struct {
	ms, id int64
}

// add reports whether a trade is new.
func (r *recentTrades) add(id tradeID) bool {
	if _, ok := r.set[id]; ok {
		return false
	}
	if r.set == nil {
		r.set = make(map[tradeID]struct{})
	}
	r.set[id] = struct{}{}
	if len(r.ring) < remembered {
		r.ring = append(r.ring, id)
		return true
	}
	delete(r.set, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % len(r.ring)
	return true
}
