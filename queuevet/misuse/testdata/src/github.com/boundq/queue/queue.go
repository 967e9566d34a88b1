// Package queue declares what the tests use of the package of that path.
package queue

import (
	"context"
	"iter"
	"time"
)

const Unbounded = 0

type Queue[T any] struct{ items []T }

func New[T any](capacity int) *Queue[T]                                   { return nil }
func NewLIFO[T any](capacity int) *Queue[T]                               { return nil }
func NewPriority[T any](capacity int, compare func(a, b T) int) *Queue[T] { return nil }

func (q *Queue[T]) Put(ctx context.Context, item T) error                      { return nil }
func (q *Queue[T]) Get(ctx context.Context) (item T, err error)                { return item, nil }
func (q *Queue[T]) TryPut(item T) error                                        { return nil }
func (q *Queue[T]) TryGet() (item T, err error)                                { return item, nil }
func (q *Queue[T]) ForcePut(item T) (evicted T, ok bool, err error)            { return item, false, nil }
func (q *Queue[T]) PutBatch(ctx context.Context, items []T) (n int, err error) { return 0, nil }
func (q *Queue[T]) GetBatch(ctx context.Context, dst []T) (n int, err error)   { return 0, nil }
func (q *Queue[T]) TryPutBatch(items []T) (n int, err error)                   { return 0, nil }
func (q *Queue[T]) TryGetBatch(dst []T) (n int, err error)                     { return 0, nil }
func (q *Queue[T]) Requeue(item T) error                                       { return nil }
func (q *Queue[T]) Ready() <-chan struct{}                                     { return nil }
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T]                      { return nil }
func (q *Queue[T]) Batches(context.Context, int, time.Duration) iter.Seq[[]T]  { return nil }
func (q *Queue[T]) TaskDone() error                                            { return nil }
func (q *Queue[T]) TaskDoneN(n int) error                                      { return nil }
func (q *Queue[T]) Join(ctx context.Context) error                             { return nil }
func (q *Queue[T]) Shutdown(immediate bool) (drained []T)                      { return nil }
func (q *Queue[T]) Resize(capacity int)                                        {}
