// Package natsqueue declares what the tests use of the package of that path.
package natsqueue

import (
	"context"
	"iter"
)

type Queue[T any] struct{ items []T }

type Task[T any] struct{ Item T }

func (q *Queue[T]) Put(ctx context.Context, item T) error              { return nil }
func (q *Queue[T]) TryPut(ctx context.Context, item T) error           { return nil }
func (q *Queue[T]) Get(ctx context.Context) (*Task[T], error)          { return nil, nil }
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T]              { return nil }
func (q *Queue[T]) Shutdown(ctx context.Context, immediate bool) error { return nil }

func (t *Task[T]) Done(ctx context.Context) error { return nil }
