// Package keyed declares what the tests use of the package of that path.
package keyed

import (
	"context"
	"iter"
)

type Entry[K comparable, V any] struct {
	Key   K
	Value V
}

type Latest[K comparable, V any] struct{ entries []Entry[K, V] }

func (q *Latest[K, V]) Put(key K, value V) (old V, replaced bool, err error) {
	return value, false, nil
}
func (q *Latest[K, V]) Get(ctx context.Context) (k K, v V, err error)   { return k, v, nil }
func (q *Latest[K, V]) TryGet() (k K, v V, err error)                   { return k, v, nil }
func (q *Latest[K, V]) Tasks(ctx context.Context) iter.Seq2[K, V]       { return nil }
func (q *Latest[K, V]) TaskDone() error                                 { return nil }
func (q *Latest[K, V]) Shutdown(immediate bool) (drained []Entry[K, V]) { return nil }

type Fair[K comparable, V any] struct{ entries []Entry[K, V] }

func NewFair[K comparable, V any](perKey int) *Fair[K, V]   { return nil }
func NewSerial[K comparable, V any](perKey int) *Fair[K, V] { return nil }

func (q *Fair[K, V]) Put(ctx context.Context, key K, value V) error   { return nil }
func (q *Fair[K, V]) TryPut(key K, value V) error                     { return nil }
func (q *Fair[K, V]) Get(ctx context.Context) (k K, v V, err error)   { return k, v, nil }
func (q *Fair[K, V]) TryGet() (k K, v V, err error)                   { return k, v, nil }
func (q *Fair[K, V]) Tasks(ctx context.Context) iter.Seq2[K, V]       { return nil }
func (q *Fair[K, V]) TaskDone(key K) error                            { return nil }
func (q *Fair[K, V]) Shutdown(immediate bool) (drained []Entry[K, V]) { return nil }
