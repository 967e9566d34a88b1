package queue

import "context"

// PutBatch adds items in order, as many at a time as there is room for, in one
// critical section. As long as some are left, it waits for free slots, behind
// the calls that wait already; once it waits it keeps its place, and no other
// call's item comes between its own, those of [Queue.ForcePut] excepted.
//
// It returns how many items went in. err is nil exactly if all of them did;
// items[n:] are the caller's still if ctx is done (ctx.Err()) or the queue is or
// becomes shut down ([ErrShutdown]). Which of them wins is as for [Queue.Put].
// Without items it returns (0, nil) at once, whatever the state of ctx and of
// the queue. The caller must not change items before PutBatch returns.
//
// The complexity is O(k), for a priority queue O(k log n), where k = len(items)
// and n = q.Len().
func (q *Queue[T]) PutBatch(ctx context.Context, items []T) (n int, err error) {
	if len(items) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q.lock()
	if q.shutdown {
		q.unlock()
		return 0, ErrShutdown
	}
	if q.getters.head != nil {
		n = q.handOver(items)
	}
	n += q.storeAll(items[n:])
	if n == len(items) {
		q.unlock()
		return n, nil
	}
	q.putBlocked++
	w := q.newWaiter(&q.putters)
	w.items = items[n:]
	_, moved, err := q.await(ctx, &q.putters, w)
	return n + moved, err
}

// GetBatch takes out up to len(dst) items in one critical section, in the order
// in which [Queue.Get] would return them, and puts them into dst. If there are
// none, it waits until there is at least one, behind the calls that wait
// already, and may then return fewer than there are by the time that it runs.
//
// It returns how many items it took. err is nil exactly if n >= 1; it is
// ctx.Err() if ctx is done, and [ErrShutdown] if the queue is or becomes shut
// down and no item is left. Which of them wins is as for [Queue.Get]. With an
// empty dst it returns (0, nil) at once, whatever the state of ctx and of the
// queue.
//
// The complexity is O(n), for a priority queue O(n log q.Len()).
func (q *Queue[T]) GetBatch(ctx context.Context, dst []T) (n int, err error) {
	if len(dst) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q.lock()
	if q.len > 0 {
		n = min(q.len, len(dst))
		q.popAll(dst[:n])
		if q.putters.head != nil {
			q.admit()
		}
		q.unlock()
		return n, nil
	}
	if q.shutdown {
		q.unlock()
		return 0, ErrShutdown
	}
	q.getBlocked++
	w := q.newWaiter(&q.getters)
	w.items = dst
	_, n, err = q.await(ctx, &q.getters, w)
	return n, err
}

// handOver gives items to parked Gets, the longest parked first: one to each
// and, in a FIFO queue, what is left to the batches that have room for more. (In
// the other orders a batch of more than one would have to be sorted first.) It
// returns how many items it gave away. mu must be held.
func (q *Queue[T]) handOver(items []T) (n int) {
	spare := 0
	if q.heap == nil && !q.lifo {
		spare = max(len(items)-q.getters.len, 0)
	}
	for w := q.getters.head; w != nil && n < len(items); w = q.getters.head {
		w.moved = copy(w.items, items[n:n+1+spare])
		n += w.moved
		spare -= w.moved - 1
		q.serve(&q.getters, nil)
	}
	q.count(n)
	return n
}

// storeAll stores items in order, as far as there is room, and returns how many
// it stored. mu must be held.
func (q *Queue[T]) storeAll(items []T) int {
	n := q.room(len(items))
	if q.heap != nil {
		for _, item := range items[:n] {
			q.pushHeap(item)
			q.stored(1)
		}
		return n
	}
	q.buf.PushBackAll(items[:n])
	q.stored(n)
	return n
}

// popAll takes len(dst) items from the store. mu must be held, and there must
// be as many.
func (q *Queue[T]) popAll(dst []T) {
	switch {
	case q.heap != nil:
		q.popHeapAll(dst)
	case q.lifo:
		for i := range dst {
			dst[i] = q.buf.PopBack()
		}
	default:
		q.buf.PopFrontInto(dst)
	}
	q.len -= len(dst)
}
