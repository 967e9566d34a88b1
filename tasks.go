package queue

import (
	"context"
	"iter"
)

// Tasks returns a worker's loop over the queue: it yields items as [Queue.Get]
// returns them, blocking while there are none, and marks each one done, as
// [Queue.TaskDone] does, when the loop body finishes with it, whether it
// continues, breaks out or panics. The loop ends when the queue is shut down and
// empty, or when ctx is done; ctx.Err() tells which.
//
//	for item := range q.Tasks(ctx) {
//		work(item)
//	}
//
// The body must not call TaskDone itself: the item would be marked done twice,
// and Join could return while another item is in progress. An item also counts
// as done if the body gave up on it: if the body could not process its item, it
// should pass it to [Queue.Requeue] first.
//
// Any number of goroutines may range over one queue; each item goes to one of
// them. Marking an item done and taking the next is a single critical section,
// so the loop is cheaper than Get and TaskDone.
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) { q.tasks(ctx, yield) }
}

func (q *Queue[T]) tasks(ctx context.Context, yield func(T) bool) {
	inHand := false
	defer func() {
		if inHand {
			_ = q.TaskDone()
		}
	}()
	done := ctx.Done()
	for {
		item, err := q.next(ctx, done, &inHand)
		if err != nil {
			return
		}
		inHand = true
		if !yield(item) {
			return
		}
	}
}

// next marks the item in hand done, if there is one, and gets another, in one
// critical section. It ends like [Queue.Get], with done, which is ctx.Done().
func (q *Queue[T]) next(ctx context.Context, done <-chan struct{}, inHand *bool) (item T, err error) {
	if err := ctx.Err(); err != nil {
		return item, err
	}
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
	}
	if *inHand && q.tally.Unfinished > 0 {
		q.tally.MarkDone(&q.lot, 1)
	}
	*inHand = false
	if q.store.len > 0 {
		return q.takeUnlock(), nil
	}
	if q.shutdown {
		q.lot.Unlock()
		return item, ErrShutdown
	}
	q.getBlocked++
	w := q.lot.Park(&q.getters)
	q.lot.Unlock()
	q.lot.Wait(done, &q.getters, w)
	item, _, err = q.lot.Collect(ctx, w)
	return item, err
}
