package queue

import "context"

// TaskDone marks one item done. Every item put makes the queue's count of
// unfinished items one larger, TaskDone makes it one smaller; when it comes to
// zero, all calls of [Queue.Join] return. A consumer calls it once for each
// item that it got, after the work.
//
// It returns [ErrTaskDone], and changes nothing, if there are no unfinished
// items.
func (q *Queue[T]) TaskDone() error { return q.TaskDoneN(1) }

// TaskDoneN marks n items done, as n calls of [Queue.TaskDone] would. It
// returns [ErrTaskDone], and changes nothing, if n is negative or larger than
// the number of unfinished items.
func (q *Queue[T]) TaskDoneN(n int) error {
	q.lock()
	if n < 0 || int64(n) > q.unfinished {
		q.unlock()
		return ErrTaskDone
	}
	q.markDone(n)
	q.unlock()
	return nil
}

// markDone marks n items done. mu must be held.
func (q *Queue[T]) markDone(n int) {
	q.done += uint64(n)
	q.finish(n)
}

// Join waits until no item is unfinished: each one that was put has been marked
// done, or has been dropped by [Queue.ForcePut] or [Queue.Shutdown]. It returns
// nil if that is so when it is called or at any moment thereafter, however
// briefly. It returns ctx.Err() if ctx is done, even if no item is unfinished.
// A shutdown does not end it.
//
// The call of [Queue.TaskDone] that takes the count to zero synchronizes before
// the return of each Join that it releases.
func (q *Queue[T]) Join(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.lock()
	if q.unfinished == 0 {
		q.unlock()
		return nil
	}
	w := q.newWaiter(&q.joiners)
	_, _, err := q.await(ctx, &q.joiners, w)
	return err
}

// finish takes n off the count of unfinished items. mu must be held.
func (q *Queue[T]) finish(n int) {
	q.unfinished -= int64(n)
	if q.unfinished == 0 {
		q.serveAll(&q.joiners, nil)
	}
}
