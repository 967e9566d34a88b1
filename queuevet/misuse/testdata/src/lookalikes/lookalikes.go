// Package lookalikes has the names of the queues' methods for other things.
package lookalikes

import (
	"context"
	"iter"

	"github.com/boundq/queue"
)

type Queue[T any] struct{ inner *queue.Queue[T] }

func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T]     { return q.inner.Tasks(ctx) }
func (q *Queue[T]) Put(ctx context.Context, item T) error     { return q.inner.Put(ctx, item) }
func (q *Queue[T]) TaskDone() error                           { return q.inner.TaskDone() }
func (q *Queue[T]) Shutdown(immediate bool) (drained []T)     { return q.inner.Shutdown(immediate) }
func (q *Queue[T]) Batches(ctx context.Context) iter.Seq[[]T] { return nil }

func Work(ctx context.Context, q *Queue[int], tasks interface {
	Tasks(ctx context.Context) iter.Seq[int]
	TaskDone() error
}) (all [][]int) {
	for n := range q.Tasks(ctx) {
		q.Put(ctx, n)
		q.TaskDone()
	}
	for batch := range q.Batches(ctx) {
		all = append(all, batch)
	}
	for range tasks.Tasks(ctx) {
		tasks.TaskDone()
	}
	q.Shutdown(true)
	return all
}
