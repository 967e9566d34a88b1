package queue

import (
	"context"
	"sync"
	"sync/atomic"
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

// maxSpare is how many waiters a queue keeps for reuse. With fewer calls than
// that parked at a time, parking does not allocate.
const maxSpare = 256

// A waiter is a parked call. The goroutine that made the call waits on ready;
// whoever serves the waiter, under mu, moves its items, takes it out of its
// line and signals ready after unlocking.
type waiter[T any] struct {
	line       *line[T] // the line that it stands in; nil once it was served
	prev, next *waiter[T]

	ready chan struct{} // holds one signal, so that sending never blocks
	items []T           // a put's items that are not in yet; a get's room for items
	moved int           // how many items went in or out
	one   [1]T          // items of a call that moves one
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
	w.line, w.prev, w.next = l, l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.len++
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
	w.line, w.prev, w.next = nil, nil, nil
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
	q.served, q.servedLast = nil, nil
	q.mu.Unlock()
	for w != nil {
		next := w.next // w is its caller's again once it is signalled
		w.next = nil
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
		q.spare = w.next
	} else {
		w = &waiter[T]{ready: make(chan struct{}, 1), spare: q.made < maxSpare}
		q.made++
	}
	l.append(w)
	return w
}

// release gives w back for another parked call, with nothing left in it that
// the garbage collector could free. mu need not be held: waiters are pushed
// here one by one, and taken by newWaiter all at once.
func (q *Queue[T]) release(w *waiter[T]) {
	if !w.spare {
		return
	}
	*w = waiter[T]{ready: w.ready, spare: true}
	for {
		w.next = q.returned.Load()
		if q.returned.CompareAndSwap(w.next, w) {
			return
		}
	}
}

// serve ends the wait of w, which stands in a line: its caller will return err.
// mu must be held.
func (q *Queue[T]) serve(w *waiter[T], err error) {
	w.line.remove(w)
	w.err = err
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
		q.serve(l.head, err)
	}
}

// await parks the caller until w is served or ctx is done, whichever is first,
// and returns w.err or ctx.Err(). mu must be held; it is released.
//
// Being served counts from the moment in which it happens, under mu: if ctx
// ends between then and the caller's running again, the caller still has what
// it was given, because whoever gave it has gone on.
func (q *Queue[T]) await(ctx context.Context, w *waiter[T]) error {
	q.unlock()
	done := ctx.Done()
	if done == nil {
		<-w.ready
		return w.err
	}
	select {
	case <-w.ready:
		return w.err
	case <-done:
	}
	q.lock()
	parked := w.line != nil
	if parked {
		w.line.remove(w)
	}
	q.unlock()
	if parked {
		return ctx.Err()
	}
	<-w.ready // on its way: whoever served w signals as soon as it has unlocked
	return w.err
}
