package main

import "time"

const (
	remembered = 10_000         // trades of each coin, to recognize repeats; a subscription repeats 30
	farOff     = 12 * time.Hour // a trade's time may jump by this much at once
)

// A tape follows a coin's trades as the feed receives them. It recognizes
// repeats, and trades with a wrong date.
//
// What the right date is, only the trades around it tell, because a replay may
// be of any year, and a coin may not be traded for days. So a trade is misdated
// if it is far ahead of both the one before it and the one after it, or far
// behind both; a trade that looks so is held until the next one comes. One that
// is far ahead of this machine's clock is misdated in any case: an exchange
// cannot report trades of tomorrow.
type tape struct {
	seen recentTrades
	last time.Time // of the last trade that was passed on, by the exchange's clock
	at   time.Time // when that one was received, on the monotonic clock
	held *heldTrade
}

type heldTrade struct {
	trade
	element []byte // as it was received
	off     int    // against the one before
}

// next judges a trade that is no repeat. It returns the trades that can be
// passed on now, in the feed's order, and the one that turned out to be
// misdated, if any.
func (p *tape) next(t trade, element []byte, now time.Time) (pass []trade, misdated *heldTrade) {
	next := &heldTrade{trade: t, element: element}
	if compare(t.time, now) > 0 {
		return nil, next
	}
	if h := p.held; h != nil {
		p.held = nil
		if compare(h.time, t.time) == h.off {
			misdated = h
		} else {
			pass = append(pass, p.pass(h.trade, now))
		}
	}
	if next.off = p.off(t.time, now); next.off != 0 {
		p.held = next
		return pass, misdated
	}
	return append(pass, p.pass(t, now)), misdated
}

func (p *tape) pass(t trade, now time.Time) trade {
	p.last, p.at = t.time, now
	return t
}

// off compares a trade's time with that of the last trade. As much as has passed
// since then it may be ahead.
func (p *tape) off(t, now time.Time) int {
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
