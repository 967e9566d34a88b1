package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A goroutine that finds the mutex held steps back for lockPause turns of an
// empty loop, some microseconds, and tries again; after lockAttempts tries it
// waits in the mutex's own line. A call holds the mutex for some ten
// nanoseconds, so that the others get many calls done meanwhile, on processors
// that need not fetch the queue's memory from each other at each call. Trying
// again at once makes them do so; yielding the processor instead takes the
// scheduler's lock, which the others need to park and to wake; and a goroutine
// that sleeps on the mutex is passed over for a millisecond, and then puts the
// mutex into its starvation mode, in which each change of hands costs a switch
// of goroutines.
//
// This is no way of waiting for an item or a slot: for those, callers park.
const (
	lockAttempts = 4
	lockPause    = 8000
)

// A queue keeps as many waiters for reuse as take up spareBytes, and some if
// they are large: about a thousand, if items are. With no more calls than that
// parked at a time, parking does not allocate.
const (
	spareBytes = 256 << 10
	leastSpare = 16
	readyBytes = 112 // what a waiter's channel takes
)

// A waiter is a parked call. The goroutine that made the call waits on ready;
// whoever serves the waiter, under mu, moves its items, takes it out of its
// line and signals ready after unlocking. It is signalled once each time that it
// is served, and no signal is left or on its way when it is given back
// (one_signal in the model of the protocol, verification/model/parked.pml).
type waiter[T any] struct {
	prev, next *waiter[T]
	parked     bool // stands in a line

	ready chan struct{} // holds one signal, so that sending never blocks
	items []T           // what a put puts, or a get's room for items
	one   [1]T          // items, of a call that moves one
	moved int           // how many items went in or out
	err   error         // why the call ends without being served
	fault any           // what compare panicked with as an item of this put went in
	spare bool          // whether the queue keeps it for reuse
}

// A line is a list of parked calls, the longest parked first.
type line[T any] struct {
	head, tail *waiter[T]
	len        int
}

func (l *line[T]) append(w *waiter[T]) {
	w.parked, w.prev = true, l.tail
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.len++
}

// pop removes the longest parked call. There must be one.
func (l *line[T]) pop() *waiter[T] {
	w := l.head
	l.head = w.next
	if l.head == nil {
		l.tail = nil
	} else {
		l.head.prev, w.next = nil, nil
	}
	w.parked = false
	l.len--
	return w
}

func (l *line[T]) remove(w *waiter[T]) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.parked, w.prev, w.next = false, nil, nil
	l.len--
}

// lock locks mu. The calls that matter most have its first line instead: it is
// too long to be inlined, and a call costs a tenth of theirs.
func (q *Queue[T]) lock() {
	if !q.mu.TryLock() {
		lockContended(&q.mu)
	}
}

func lockContended(mu *sync.Mutex) {
	for range lockAttempts {
		var idle atomic.Bool
		for range lockPause {
			idle.Load() // which no compiler takes out of the loop
		}
		if mu.TryLock() {
			return
		}
	}
	mu.Lock()
}

// unlock unlocks mu and then wakes the callers that were served under it. Not
// before: they would run into the mutex.
func (q *Queue[T]) unlock() {
	w := q.served
	if w == nil {
		q.mu.Unlock()
		return
	}
	q.served, q.servedLast = nil, nil
	q.mu.Unlock()
	for w != nil {
		next := w.next // w is its caller's again once it is signalled (NEXT_AFTER_SIGNAL in the model)
		w.ready <- struct{}{}
		w = next
	}
}

// newWaiter returns a waiter at the end of l. mu must be held.
func (q *Queue[T]) newWaiter(l *line[T]) *waiter[T] {
	w := q.spare
	if w == nil {
		w = q.returned.Swap(nil)
	}
	if w != nil {
		q.spare, w.next = w.next, nil
	} else {
		w = &waiter[T]{ready: make(chan struct{}, 1)}
		w.items = w.one[:]
		if q.reusable < max(spareBytes/(int(unsafe.Sizeof(*w))+readyBytes), leastSpare) {
			w.spare = true
			q.reusable++
		}
	}
	l.append(w)
	return w
}

// serve ends the wait of the longest parked call of l: it will return err. mu
// must be held.
func (q *Queue[T]) serve(l *line[T], err error) {
	w := l.pop()
	if err != nil {
		w.err = err
	}
	if q.served == nil {
		q.served = w
	} else {
		q.servedLast.next = w
	}
	q.servedLast = w
}

// serveAll ends the wait of all that stand in l. mu must be held.
func (q *Queue[T]) serveAll(l *line[T], err error) {
	for l.head != nil {
		q.serve(l, err)
	}
}

// await parks the caller until w, which stands in l, is served or ctx is done,
// whichever is first, and returns what w holds then, as collect does. mu must
// be held; it is released.
//
// Being served counts from the moment in which it happens, under mu: if ctx
// ends between then and the caller's running again, the caller still has what
// it was given, because whoever gave it has gone on. Both ways of leaving too
// early are broken variants of the model: SERVED_BUT_CANCELLED loses the item,
// SIGNAL_NOT_AWAITED leaves a signal for the waiter's next user.
//
// Put and Get have this function's body instead of calling it: the processor
// mispredicts each return of a goroutine that has just been switched to, and
// with nothing to wait for but the queue they are that much faster.
func (q *Queue[T]) await(ctx context.Context, l *line[T], w *waiter[T]) (item T, moved int, err error) {
	q.unlock()
	if done := ctx.Done(); done == nil {
		<-w.ready
	} else {
		q.awaitOrLeave(ctx, done, l, w)
	}
	return q.collect(w)
}

// awaitOrLeave waits until w is served, or until done, which is ctx.Done(), and
// then takes w out of l.
func (q *Queue[T]) awaitOrLeave(ctx context.Context, done <-chan struct{}, l *line[T], w *waiter[T]) {
	select {
	case <-w.ready:
		return
	case <-done:
	}
	err := ctx.Err() // a context's code may call the queue, as compare may not
	q.lock()
	parked := w.parked
	if parked {
		l.remove(w)
		w.err = err
	}
	q.mu.Unlock()
	if !parked {
		<-w.ready // on its way: whoever served w signals as soon as it has unlocked
	}
}

// collect returns what w holds when its wait is over: the item of a call that
// moves one, how many items moved, and why the call ends if it was not served.
// If compare panicked with an item of w, it panics with the same. It gives w
// back for another parked call, with nothing left in it that the garbage
// collector could free. mu need not be held: waiters are pushed here one by
// one, and taken by newWaiter all at once.
func (q *Queue[T]) collect(w *waiter[T]) (item T, moved int, err error) {
	item, moved, err = w.one[0], w.moved, w.err
	fault := w.fault
	clear(w.one[:])
	w.items, w.moved, w.err, w.fault = w.one[:], 0, nil, nil
	for w.spare {
		w.next = q.returned.Load()
		if q.returned.CompareAndSwap(w.next, w) {
			break
		}
	}
	if fault != nil {
		panic(fault)
	}
	return item, moved, err
}
