package queue

import "context"

// TaskDone marks one item done. Every item put adds one to the queue's count of
// unfinished items, and TaskDone takes one off; when the count reaches zero, all
// calls of [Queue.Join] return. A consumer calls it once for each item it
// received, when it has processed the item.
//
// It returns [ErrTaskDone], and changes nothing, if no item is unfinished.
func (q *Queue[T]) TaskDone() error { return q.TaskDoneN(1) }

// TaskDoneN marks n items done, as n calls of [Queue.TaskDone] would. It
// returns [ErrTaskDone], and changes nothing, if n is negative or larger than
// the number of unfinished items.
func (q *Queue[T]) TaskDoneN(n int) error {
	q.lot.Lock()
	if n < 0 || int64(n) > q.tally.Unfinished {
		q.unlock()
		return ErrTaskDone
	}
	q.tally.MarkDone(&q.lot, n)
	q.lot.Unlock()
	return nil
}

// Join blocks until no item is unfinished: each item put has been marked done,
// or has been dropped by [Queue.ForcePut] or [Queue.Shutdown]. It returns nil
// once the unfinished count has been zero at any moment since the call, even if
// items were added afterwards. It returns ctx.Err() if ctx is done, even if no
// item is unfinished. A shutdown does not unblock it.
//
// If several queues feed each other, calling Join on one after the other can
// return too early: the second queue may put into the first after the first
// Join has returned. A worker must put what an item leads to before it marks
// that item done. Join the queues in the order in which items pass through
// them; if items can also go back, count all work in one queue.
//
// The call of [Queue.TaskDone] that takes the count to zero synchronizes before
// the return of each Join that it releases.
func (q *Queue[T]) Join(ctx context.Context) error {
	return q.tally.Join(ctx, &q.lot)
}
