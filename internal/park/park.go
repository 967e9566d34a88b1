// Package park blocks calls until other calls complete them. It is the part
// that queues of every kind share: a mutex, wait queues of blocked calls, and a
// channel for each blocked call to wait on.
//
// A call that cannot proceed joins a [Line] under the mutex and waits for its
// [Waiter]'s channel. A call that can complete it does so under the mutex: it
// moves the items, takes the waiter out of its line, and signals it after
// unlocking. So items and slots are handed directly to blocked calls; none is left
// for other calls to take.
package park

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"
)

// A lot keeps as many waiters for reuse as take up spareBytes, and leastSpare
// if they are larger: about a thousand, if items are small. With no more calls
// than that blocked at a time, blocking does not allocate.
const (
	spareBytes = 256 << 10
	leastSpare = 16
	readyBytes = 112 // what a waiter's channel takes
)

// A Waiter is a blocked call that moves items of type T. It is signalled once
// each time that it is completed, and no signal is left or on its way when it
// is given back (one_signal in verification/model/parked.pml).
type Waiter[T any] struct {
	prev, next *Waiter[T]
	parked     bool // stands in a line

	ready chan struct{} // holds one signal, so that sending never blocks
	Items []T           // what a put puts, or a get's room for items; one slot unless set otherwise
	Moved int           // how many items went in or out
	Batch *Batch[T]     // where a loop over batches collects, in place of Items
	one   [1]T          // Items, of a call that moves one
	err   error         // why the call ends without being completed: also errLeft or a *failure
	spare bool          // whether the lot keeps it for reuse
}

// errLeft says that the call left its line because done was closed.
var errLeft = errors.New("park: left")

// A failure is the end of a call that is to panic.
type failure struct{ fault any }

func (f *failure) Error() string { return "park: failed" }

// Signal wakes the call, which must have been popped. The waiter is its caller's
// again.
func (w *Waiter[T]) Signal() { w.ready <- struct{}{} }

// Next returns the waiter behind w in its line, or nil.
func (w *Waiter[T]) Next() *Waiter[T] { return w.next }

// Fail has the call that w stands for panic with fault once it is completed.
func (w *Waiter[T]) Fail(fault any) { w.err = &failure{fault} }

// A Batch is what a loop over batches collects in one turn. Its waiter stays at
// the head of the line, though it has been given items, until the batch is
// complete, Linger has passed since the first item, or the call ends otherwise.
type Batch[T any] struct {
	Items  []T // has room for as many as there were, not for Size
	Size   int
	Linger time.Duration
	timer  *time.Timer // nil until it is needed; stopped unless the batch has items and waits
}

// Arm makes the timer, and starts it if the batch has items already. A batch
// must be armed before its waiter joins a line.
func (b *Batch[T]) Arm() {
	if b.Linger <= 0 {
		return
	}
	if b.timer == nil {
		b.timer = time.NewTimer(b.Linger)
		b.timer.Stop()
	}
	if len(b.Items) > 0 {
		b.timer.Reset(b.Linger)
	}
}

// Add adds items, for which there must be room, and starts the timer if they
// are the first and more fit. It is the giver who starts it: the loop is woken once
// a batch.
func (b *Batch[T]) Add(items ...T) {
	b.Items = append(b.Items, items...)
	if len(b.Items) == len(items) && b.timer != nil && b.Room() > 0 {
		b.timer.Reset(b.Linger)
	}
}

// Room returns how many more items fit.
func (b *Batch[T]) Room() int { return b.Size - len(b.Items) }

// Complete reports whether a batch that has items waits for no more.
func (b *Batch[T]) Complete() bool { return len(b.Items) == b.Size || b.Linger <= 0 }

// A Line is a wait queue: the blocked calls of one kind, the longest blocked
// first. The zero value is empty.
type Line[T any] struct {
	Head, tail *Waiter[T]
	Len        int
}

func (l *Line[T]) append(w *Waiter[T]) {
	w.parked, w.prev = true, l.tail
	if l.tail == nil {
		l.Head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.Len++
}

// Pop removes the longest blocked call. There must be one. Its goroutine runs on
// after a [Waiter.Signal], which must follow, once the lock is free.
func (l *Line[T]) Pop() *Waiter[T] {
	w := l.Head
	l.Head = w.next
	if l.Head == nil {
		l.tail = nil
	} else {
		l.Head.prev, w.next = nil, nil
	}
	w.parked = false
	l.Len--
	return w
}

func (l *Line[T]) remove(w *Waiter[T]) {
	if w.prev == nil {
		l.Head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.parked, w.prev, w.next = false, nil, nil
	l.Len--
}

// A Lot is a mutex and the waiters of the calls that block under it. The zero
// value is ready to use.
type Lot[T any] struct {
	// Invariant, whenever Mu is not held: served == nil, servedLast == nil
	// (inv_served in the model).

	Mu Mutex // guards all that follows but returned; released by Unlock

	served, servedLast *Waiter[T] // linked by next; Unlock will wake them

	spare    *Waiter[T]                // linked by next, to be used again
	returned atomic.Pointer[Waiter[T]] // the same, where callers leave them without locking
	reusable int                       // waiters that were made to be used again
}

// Lock locks Mu.
func (l *Lot[T]) Lock() { l.Mu.Lock() }

// Pending reports whether calls were completed that Unlock has to wake. Where
// there are none, Mu.Unlock does, without a call. Mu must be held.
func (l *Lot[T]) Pending() bool { return l.served != nil }

// Unlock unlocks Mu and then wakes the calls that were completed under it. Not
// before: they would run into the mutex.
func (l *Lot[T]) Unlock() {
	w := l.served
	if w == nil {
		l.Mu.Unlock()
		return
	}
	l.served, l.servedLast = nil, nil
	l.Mu.Unlock()
	for w != nil {
		next := w.next // w is its caller's again once it is signalled (NEXT_AFTER_SIGNAL in the model)
		w.ready <- struct{}{}
		w = next
	}
}

// Done returns ctx.Done(), for a call that is about to block. Mu must be held; it
// may be released meanwhile, so the caller must look again whether it has to block.
//
// Done is the caller's code: it may call the queue, panic, or end its goroutine.
// It is asked before the call joins a line, when there is nothing to lose. Err
// is, for the same reason, asked when the call has left its line: see
// [Lot.Collect]. The Done of package context's own contexts calls no other code,
// so Mu stays held: locking it twice costs 2 % where every call blocks
// (pipeline 1:1, capacity 1, cancellable, of go run ./benchmarks).
func (l *Lot[T]) Done(ctx context.Context) <-chan struct{} {
	if ctx == context.Background() {
		return nil // as Done would say
	}
	switch reflect.TypeOf(ctx) {
	case withCancel, withDeadline:
		return ctx.Done()
	}
	l.Mu.Unlock() // nothing was completed
	done := ctx.Done()
	l.Mu.Lock()
	return done
}

// The types of package context's cancellable contexts, whatever their parents.
var withCancel, withDeadline = func() (c, d reflect.Type) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	late, cancelLate := context.WithDeadline(ctx, time.Now().Add(time.Hour))
	defer cancelLate()
	return reflect.TypeOf(ctx), reflect.TypeOf(late)
}()

// Park returns a waiter at the end of line. Mu must be held. The caller unlocks
// it and then calls [Lot.Wait].
func (l *Lot[T]) Park(line *Line[T]) *Waiter[T] {
	w := l.spare
	if w == nil {
		w = l.returned.Swap(nil)
	}
	if w != nil {
		l.spare, w.next = w.next, nil
	} else {
		w = &Waiter[T]{ready: make(chan struct{}, 1)}
		w.Items = w.one[:]
		if l.reusable < max(spareBytes/(int(unsafe.Sizeof(*w))+readyBytes), leastSpare) {
			w.spare = true
			l.reusable++
		}
	}
	line.append(w)
	return w
}

// Serve completes the longest blocked call of line: it will return err. Mu must
// be held.
func (l *Lot[T]) Serve(line *Line[T], err error) {
	w := line.Pop()
	if err != nil {
		w.err = err
	}
	if l.served == nil {
		l.served = w
	} else {
		l.servedLast.next = w
	}
	l.servedLast = w
}

// ServeAll completes all calls of line. Mu must be held.
func (l *Lot[T]) ServeAll(line *Line[T], err error) {
	for line.Head != nil {
		l.Serve(line, err)
	}
}

// Wait blocks until w, which joined line, is completed or done is closed,
// whichever is first. Mu must not be held.
//
// Completion counts from the moment in which it happens, under Mu: if done is
// closed between then and the caller's running again, the caller still has what
// it was given, because the call that gave it has returned. Both ways of
// leaving too early are broken variants of the model: SERVED_BUT_CANCELLED
// loses the item, SIGNAL_NOT_AWAITED leaves a signal for the waiter's next user.
func (l *Lot[T]) Wait(done <-chan struct{}, line *Line[T], w *Waiter[T]) {
	if done == nil {
		<-w.ready // apart, so that this much of Wait is inlined: the processor mispredicts each return of a goroutine that it has just switched to
	} else {
		l.WaitOr(done, line, w, nil)
	}
}

// WaitOr is [Lot.Wait] for a line that is counted elsewhere too: left, unless it
// is nil, is called with Mu held if w leaves line because done is closed.
func (l *Lot[T]) WaitOr(done <-chan struct{}, line *Line[T], w *Waiter[T], left func()) {
	select {
	case <-w.ready:
	case <-done:
		l.leave(line, w, errLeft, left)
	}
}

// WaitBatch is [Lot.Wait] for a waiter with a batch, which also ends when the
// batch has lingered. It gives w back, and reports whether the wait ended
// because done was closed. Whatever ended it, the batch has its items.
func (l *Lot[T]) WaitBatch(done <-chan struct{}, line *Line[T], w *Waiter[T]) (left bool) {
	if timer := w.Batch.timer; timer == nil {
		l.Wait(done, line, w)
	} else {
		select {
		case <-w.ready:
		case <-timer.C:
			l.leave(line, w, nil, nil)
		case <-done:
			l.leave(line, w, errLeft, nil)
		}
		timer.Stop() // leaves no fire for the next turn (TIMER_NOT_STOPPED in the model)
	}
	left = w.err == errLeft
	w.Batch = nil
	l.giveBack(w)
	return left
}

// leave takes w out of line and calls left, or takes the signal of the call
// that has completed it.
func (l *Lot[T]) leave(line *Line[T], w *Waiter[T], err error, left func()) {
	l.Lock()
	parked := w.parked
	if parked {
		line.remove(w)
		w.err = err
		if left != nil {
			left()
		}
	}
	l.Mu.Unlock() // nothing was completed
	if !parked {
		<-w.ready // on its way: it is sent as soon as the lock is released
	}
}

// Collect returns what w holds when its wait is over: the item of a call that
// moves one, how many items moved, and why the call ends if it was not
// completed: ctx's error if done was closed. It panics if w was made to fail.
// Either way w is given back first, for another blocked call. Mu must not be
// held.
func (l *Lot[T]) Collect(ctx context.Context, w *Waiter[T]) (item T, moved int, err error) {
	item, moved, err = w.one[0], w.Moved, w.err
	l.giveBack(w)
	if err != nil {
		err = ending(ctx, err)
	}
	return item, moved, err
}

// giveBack gives w back for another blocked call, with nothing left in it that
// the garbage collector could free. Waiters are pushed here one by one, without
// the lock, and taken by Park all at once.
func (l *Lot[T]) giveBack(w *Waiter[T]) {
	clear(w.one[:])
	w.Items, w.Moved, w.err = w.one[:], 0, nil
	for w.spare {
		w.next = l.returned.Load()
		if l.returned.CompareAndSwap(w.next, w) {
			break
		}
	}
}

// ending returns the error of a call that was not completed, or panics if it was
// made to fail.
func ending(ctx context.Context, err error) error {
	if f, ok := err.(*failure); ok {
		panic(f.fault)
	}
	if err == errLeft {
		return contextErr(ctx)
	}
	return err
}

// contextErr returns why ctx ended. A context that has closed Done and has no
// error breaks its contract; taking it for one that has not ended would have its
// call return nil with nothing done.
func contextErr(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

// Check returns an error if the invariants of the lot or of one of its lines do
// not hold. It is for tests. Mu must be held.
func (l *Lot[T]) Check(lines ...*Line[T]) error {
	if l.served != nil || l.servedLast != nil {
		return errors.New("broken: served == nil, servedLast == nil")
	}
	for i, line := range lines {
		n := 0
		var last *Waiter[T]
		for w := line.Head; w != nil; w = w.next {
			if !w.parked || w.prev != last {
				return fmt.Errorf("broken: links of line %d", i)
			}
			last = w
			n++
		}
		if line.tail != last || n != line.Len {
			return fmt.Errorf("broken: line %d has %d waiters, its Len is %d", i, n, line.Len)
		}
	}
	return nil
}
