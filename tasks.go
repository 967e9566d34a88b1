package queue

import (
	"context"
	"iter"
)

// Tasks returns a worker's loop over the queue: it yields items as [Queue.Get]
// returns them, waiting when there are none, and marks each one done, as
// [Queue.TaskDone] does, when the body of the loop is through with it, be it by
// going on to the next item, by leaving the loop or by a panic. The body must
// not call TaskDone itself. The loop ends when the queue is shut down and
// empty, or when ctx is done; ctx.Err() tells which.
//
//	for item := range q.Tasks(ctx) {
//		work(item)
//	}
//
// Any number of goroutines may range over one queue, each item going to one of
// them. Marking an item done and taking the next is a single critical section,
// so that the loop is cheaper than Get and TaskDone.
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) { q.tasks(ctx, yield) }
}

func (q *Queue[T]) tasks(ctx context.Context, yield func(T) bool) {
	working := false
	defer func() {
		if working {
			_ = q.TaskDone()
		}
	}()
	item, err := q.Get(ctx)
	for err == nil {
		working = true
		if !yield(item) {
			return
		}
		working = false
		item, err = q.get(ctx, true)
	}
}
