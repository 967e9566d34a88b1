package queue

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/boundq/queue/internal/park"
)

// PutBatch adds items in order, as many at a time as there is room for, in one
// critical section. While some are left, it blocks until slots are free, behind
// the calls that are blocked already. Once blocked it keeps its place, and no
// other call, except [Queue.ForcePut] and [Queue.Requeue], can insert items
// between its own.
//
// It returns how many items it added. err is nil if and only if n ==
// len(items). Otherwise items[n:] were not added, and err is ctx.Err() or
// [ErrShutdown], chosen as in [Queue.Put]. If items is empty, it returns (0,
// nil), whatever the state of ctx and of the queue. The caller must not change
// items before PutBatch returns.
//
// The complexity is O(k), or O(k log n) in a priority queue, where
// k = len(items) and n = q.Len().
func (q *Queue[T]) PutBatch(ctx context.Context, items []T) (n int, err error) {
	if len(items) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
	}
	var done <-chan struct{}
	if q.room(len(items)) < len(items) {
		done = q.lot.Done(ctx)
	}
	if q.shutdown {
		q.unlock()
		return 0, ErrShutdown
	}
	if n = q.addAll(items); n == len(items) {
		if q.lot.Pending() {
			q.lot.Unlock()
		} else {
			q.unlock()
		}
		return n, nil
	}
	q.putBlocked++
	w := q.lot.Park(&q.putters)
	w.Items = items[n:]
	q.lot.Unlock()
	q.lot.Wait(done, &q.putters, w)
	_, moved, err := q.lot.Collect(ctx, w)
	return n + moved, err
}

// TryPutBatch adds items in order while there is room, in one critical section,
// without blocking. It returns how many it added. err is nil if and only if n
// == len(items); otherwise items[n:] were not added, and err is [ErrShutdown]
// if the queue is shut down and [ErrFull] if it is full. If items is empty, it
// returns (0, nil), whatever the state of the queue.
//
// The complexity is that of [Queue.PutBatch].
func (q *Queue[T]) TryPutBatch(items []T) (n int, err error) {
	if len(items) == 0 {
		return 0, nil
	}
	q.lot.Lock()
	switch {
	case q.shutdown:
		err = ErrShutdown
	default:
		if n = q.addAll(items); n < len(items) {
			q.rejected += uint64(len(items) - n)
			err = ErrFull
		}
	}
	q.lot.Unlock()
	return n, err
}

// GetBatch removes up to len(dst) items in one critical section, in the order
// in which [Queue.Get] would return them, and stores them in dst. If the queue
// is empty, it blocks until there is at least one item, behind the calls that
// are blocked already; in that case it may return fewer items than are queued
// by the time it returns.
//
// It returns how many items it removed. err is nil if and only if n >= 1; it is
// ctx.Err() if ctx is done, and [ErrShutdown] if the queue is empty and shut
// down, chosen as in [Queue.Get]. If dst is empty, it returns (0, nil),
// whatever the state of ctx and of the queue.
//
// The complexity is O(n), or O(n log q.Len()) in a priority queue.
func (q *Queue[T]) GetBatch(ctx context.Context, dst []T) (n int, err error) {
	if len(dst) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
	}
	if q.store.len == 0 {
		if done := q.lot.Done(ctx); q.store.len == 0 && !q.shutdown {
			q.getBlocked++
			w := q.lot.Park(&q.getters)
			w.Items = dst
			q.unlock()
			q.lot.Wait(done, &q.getters, w)
			_, n, err = q.lot.Collect(ctx, w)
			return n, err
		}
	}
	if q.store.len == 0 {
		q.unlock()
		return 0, ErrShutdown
	}
	return q.takeAllUnlock(dst), nil
}

// TryGetBatch removes up to len(dst) items as [Queue.GetBatch] does, without
// blocking. err is nil if and only if n >= 1; otherwise it is [ErrShutdown] if
// the queue is shut down and [ErrEmpty] if it is not. If dst is empty, it
// returns (0, nil), whatever the state of the queue.
//
// The complexity is that of [Queue.GetBatch].
func (q *Queue[T]) TryGetBatch(dst []T) (n int, err error) {
	if len(dst) == 0 {
		return 0, nil
	}
	q.lot.Lock()
	if q.store.len == 0 {
		return 0, q.emptyUnlock()
	}
	return q.takeAllUnlock(dst), nil
}

// Batches is like [Queue.Tasks] for batches of items: each turn of the loop
// yields 1 to size items, in the order in which [Queue.Get] would return them,
// and marks them done when the loop body finishes with them, whether it
// continues, breaks out or panics. The body must not call TaskDone itself.
//
//	for batch := range q.Batches(ctx, 500, 200*time.Millisecond) {
//		store(batch)
//	}
//
// A turn blocks until there is an item. If fewer than size items are queued
// then, it waits for more, but no longer than linger after it took the first.
// So linger bounds how long an item is held back in an unfinished batch; later
// items do not extend it. If linger <= 0, a turn never waits for more.
//
// Whether linger, ctx or a shutdown ends the wait, the items in hand are
// yielded, never dropped. After a shutdown no turn lingers. The loop ends when
// the queue is shut down and empty, or when ctx is done; ctx.Err() tells which.
//
// Any number of goroutines may range over one queue. A loop that has begun a
// batch keeps its place ahead of calls that block after it, so a trickle of
// items fills one batch after another. Items in hand have left the queue: their
// slots are free, and blocked Puts that take them add to the same batch. Items
// that are put while a loop waits join its batch in the order in which they are
// put, whatever the order of the queue.
//
// The slice is valid until the next turn. It is cleared then, and when the loop
// ends by itself; copy the items to keep them. Its array grows with the
// batches, not with size.
//
// Batches panics if size < 1. A loop starts no goroutine; it has one timer, made
// when it first waits with linger > 0. The complexity of a turn is that of
// [Queue.GetBatch].
func (q *Queue[T]) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]T] {
	if size < 1 {
		panic(fmt.Sprintf("queue: Batches: size is %d, but must be at least 1", size))
	}
	return func(yield func([]T) bool) {
		q.batches(ctx, &batches[T]{batch: park.Batch[T]{Size: size, Linger: linger}}, yield)
	}
}

// batches is the state of a loop over Batches.
type batches[T any] struct {
	batch  park.Batch[T]
	done   <-chan struct{} // of the loop's context
	inHand int             // items that were yielded and are not marked done
	ending bool            // done was closed, whatever the context's error says
	failed bool            // the loop is to panic, with fault, once the batch in hand is done
	fault  any
}

func (q *Queue[T]) batches(ctx context.Context, b *batches[T], yield func([]T) bool) {
	defer func() {
		if b.inHand > 0 {
			q.lot.Lock()
			q.markBatch(b)
			q.lot.Unlock()
		}
	}()
	b.done = ctx.Done()
	for q.turn(ctx, b) {
		n := len(b.batch.Items)
		b.inHand = n
		more := yield(b.batch.Items[:n:n])
		if b.failed {
			panic(b.fault)
		}
		if !more {
			return
		}
		clear(b.batch.Items[:n])
		b.batch.Items = b.batch.Items[:0]
	}
}

// turn marks the last batch done and collects the next. It reports whether
// there is one.
func (q *Queue[T]) turn(ctx context.Context, b *batches[T]) bool {
	if b.ending || ctx.Err() != nil {
		return false
	}
	q.lot.Lock()
	q.markBatch(b)
	if q.store.len > 0 {
		q.collect(b)
	}
	switch n := len(b.batch.Items); {
	case n > 0 && (b.batch.Complete() || q.shutdown || b.failed):
		q.lot.Unlock()
		return true
	case q.shutdown:
		q.lot.Unlock()
		return false
	}
	q.getBlocked++
	b.batch.Arm()
	w := q.lot.Park(&q.getters)
	w.Batch = &b.batch
	q.lot.Unlock()
	b.ending = q.lot.WaitBatch(b.done, &q.getters, w)
	if len(b.batch.Items) == 0 {
		// Shut down, or the context is done; or GODEBUG=asynctimerchan=1 left a fire
		// of the turn before in the timer's channel, and this turn goes on.
		return q.turn(ctx, b)
	}
	return true
}

// markBatch marks the batch in hand done, or as many items as are unfinished.
// The lock must be held.
func (q *Queue[T]) markBatch(b *batches[T]) {
	if n := int(min(int64(b.inHand), q.tally.Unfinished)); n > 0 {
		q.tally.MarkDone(&q.lot, n)
	}
	b.inHand = 0
}

// collect moves queued items into b, and those that are let into the slots that
// this frees, until the batch is full or the store empty. The lock must be
// held, and there must be an item.
func (q *Queue[T]) collect(b *batches[T]) {
	for q.store.len > 0 && b.batch.Room() > 0 && !b.failed {
		have := len(b.batch.Items)
		n := have + min(q.store.len, b.batch.Room())
		items := slices.Grow(b.batch.Items, n-have)
		if have == 0 || !q.store.compares() {
			q.store.popAll(items[have:n])
			b.batch.Items = items[:n]
		} else {
			b.batch.Items = items[:have]
			q.popBehind(b, n)
		}
		if q.putters.Head != nil {
			q.admit()
		}
	}
	if q.ready.C != nil {
		q.signal()
	}
}

// takeAllUnlock removes up to len(dst) items and lets blocked Puts in. The lock
// must be held, and there must be an item; the lock is released.
func (q *Queue[T]) takeAllUnlock(dst []T) int {
	n := min(q.store.len, len(dst))
	q.store.popAll(dst[:n])
	if q.putters.Head != nil {
		q.admit()
	}
	if q.ready.C != nil {
		q.signal()
	}
	if q.lot.Pending() {
		q.lot.Unlock()
	} else {
		q.unlock()
	}
	return n
}

// addAll hands items to blocked Gets and queues what is left, as far as there
// is room. It returns how many it added. The lock must be held.
func (q *Queue[T]) addAll(items []T) (n int) {
	if q.getters.Head != nil {
		n = q.handOver(items)
	}
	if queued := q.storeAll(items[n:]); queued > 0 {
		if q.ready.C != nil {
			q.signal()
		}
		n += queued
	}
	return n
}

// handOver gives items to blocked Gets, the longest blocked first: as many as
// it has room for to a loop that collects a batch, one to each other and, in a
// FIFO queue, what is left to those that have room for more. (In the other
// orders a GetBatch's items would have to be sorted first.) It returns how many
// items it gave away. The lock must be held.
func (q *Queue[T]) handOver(items []T) (n int) {
	fifo, spare := q.store.fifo(), 0
	if fifo {
		spare = len(items)
		for w := q.getters.Head; w != nil && spare > 0; w = w.Next() {
			if w.Batch != nil {
				spare -= w.Batch.Room()
			} else {
				spare--
			}
		}
		spare = max(spare, 0)
	}
	for w := q.getters.Head; w != nil && n < len(items); w = q.getters.Head {
		rest := items[n:]
		if w.Batch == nil {
			w.Moved = copy(w.Items, rest[:min(len(rest), 1+spare)])
			n += w.Moved
			spare -= w.Moved - 1
		} else {
			k := 1
			if fifo || w.Batch.Linger > 0 {
				k = min(len(rest), w.Batch.Room())
			}
			w.Batch.Add(rest[:k]...)
			n += k
			if !w.Batch.Complete() {
				break
			}
		}
		q.lot.Serve(&q.getters, nil)
	}
	q.count(n)
	return n
}

// storeAll queues items in order, as far as there is room, and returns how many
// it queued. The lock must be held.
func (q *Queue[T]) storeAll(items []T) int {
	n := q.room(len(items))
	if q.store.heap != nil {
		q.store.pushHeapAll(items[:n], q.queued)
		return n
	}
	// Not by the store: a call of queued through a variable costs as much as four
	// items of a batch.
	q.store.buf.PushBackAll(items[:n])
	q.store.len += n
	q.queued(n)
	return n
}
