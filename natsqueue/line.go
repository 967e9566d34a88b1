package natsqueue

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// A line is the wait queue of the Puts of one handle. While there is room, all of
// them try to store their items at the same time. When one finds the queue full, the
// line closes: one call tries at a time, in order of arrival, and a call that is
// refused again keeps its place. When a call in a closed line stores its item at
// once, one more may try at a time, so the line opens as fast as calls find room.
// While several try at a time, a later one may take the slot that an earlier one
// just missed.
//
// The zero value is an open line.
type line struct {
	mu      sync.Mutex
	limit   int      // of the calls that try at a time; 0 if the line is open
	trying  int      // calls that try
	waiting []*place // the blocked Puts, by ticket; none if the line is open
	tickets uint64
}

// A place is the place of one call of Put in line.
type place struct {
	ticket uint64
	turn   chan struct{} // closed when it may try; nil if it was never blocked
}

// isOpen reports whether there was room at the last attempt.
func (l *line) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit == 0
}

// join gives a Put its place in line.
func (l *line) join() *place {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tickets++
	p := &place{ticket: l.tickets}
	if l.limit == 0 {
		l.trying++
	} else {
		l.insert(p)
	}
	return p
}

// await blocks until it is the turn of p to try. If ctx ends or the handle is closed
// first, p leaves the line.
func (l *line) await(ctx context.Context, closed <-chan struct{}, p *place) error {
	if p.turn == nil {
		return nil
	}
	var err error
	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-closed:
		err = ErrClosed
	}
	l.mu.Lock()
	if i := slices.Index(l.waiting, p); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.admit()
		l.mu.Unlock()
	} else { // its turn has just come
		l.mu.Unlock()
		l.leave(false)
	}
	return err
}

// refused blocks a Put that found the queue full, in its old place.
func (l *line) refused(p *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying--
	l.limit = 1
	l.insert(p)
}

// leave ends the last try of a call; roomy says that its item was stored at once.
func (l *line) leave(roomy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying--
	if roomy && l.limit > 0 {
		l.limit++
	}
	l.admit()
}

// insert blocks p. mu must be held.
func (l *line) insert(p *place) {
	p.turn = make(chan struct{})
	i, _ := slices.BinarySearchFunc(l.waiting, p, func(a, b *place) int { return cmp.Compare(a.ticket, b.ticket) })
	l.waiting = slices.Insert(l.waiting, i, p)
	l.admit()
}

// admit lets calls try, up to the limit, and opens the line if none is blocked then.
// mu must be held.
func (l *line) admit() {
	for len(l.waiting) > 0 && l.trying < l.limit {
		l.trying++
		close(l.waiting[0].turn)
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
	if len(l.waiting) == 0 && l.trying < l.limit {
		l.limit = 0
	}
}
