// Package natsqueue declares what the tests use of the package of that path.
package natsqueue

import (
	"context"
	"iter"
	"time"
)

type Queue[T any] struct{ items []T }

type Task[T any] struct{ Item T }

type PutOption func() error

func (q *Queue[T]) Put(ctx context.Context, item T, opts ...PutOption) error { return nil }
func (q *Queue[T]) PutAfter(ctx context.Context, item T, d time.Duration, opts ...PutOption) error {
	return nil
}
func (q *Queue[T]) PutBatch(ctx context.Context, items []T, opts ...PutOption) (n int, err error) {
	return 0, nil
}
func (q *Queue[T]) TryPut(ctx context.Context, item T, opts ...PutOption) error { return nil }
func (q *Queue[T]) Get(ctx context.Context) (*Task[T], error)                   { return nil, nil }
func (q *Queue[T]) TryGet(ctx context.Context) (*Task[T], error)                { return nil, nil }
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T]                       { return nil }
func (q *Queue[T]) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]T] {
	return nil
}
func (q *Queue[T]) Shutdown(ctx context.Context, immediate bool) error { return nil }

func (t *Task[T]) Done(ctx context.Context) error { return nil }
