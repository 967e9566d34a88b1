// Package bytelimit bounds a queue in bytes as well as in items.
//
// The queue counts items, and a weighted semaphore counts their bytes. A producer
// acquires the bytes before the slot, because a Put that held a slot while it
// waited for bytes would keep others from putting smaller items. The bytes of an
// item are released once, when it has been processed, rejected, evicted or
// drained.
package bytelimit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/boundq/queue"
	"golang.org/x/sync/semaphore"
)

// ErrTooLarge is returned for an item that is larger than the limit, and so can
// never be added.
var ErrTooLarge = errors.New("bytelimit: item is larger than the limit")

// A Queue is a FIFO queue of byte slices, limited in items and in bytes. Items
// in progress count towards the bytes, not towards the items.
type Queue struct {
	items *queue.Queue[[]byte]
	bytes *semaphore.Weighted
	limit int64
}

// New returns a queue of at most items slices. The slices queued and in progress
// have at most bytes bytes in total.
func New(items int, bytes int64) *Queue {
	return &Queue{queue.New[[]byte](items), semaphore.NewWeighted(bytes), bytes}
}

// Put adds an item. It blocks while either limit is reached. If it returns
// ErrTooLarge, [queue.ErrShutdown] or ctx.Err(), the item was not added.
//
// Shutdown does not unblock a Put that waits for bytes; its context does.
func (q *Queue) Put(ctx context.Context, item []byte) error {
	n := int64(len(item))
	if n > q.limit {
		return fmt.Errorf("%w: %d of %d bytes", ErrTooLarge, n, q.limit)
	}
	if err := q.bytes.Acquire(ctx, n); err != nil {
		return err
	}
	return q.releaseOn(q.items.Put(ctx, item), n)
}

// TryPut is Put without blocking: it returns [queue.ErrFull] if either limit is
// reached.
func (q *Queue) TryPut(item []byte) error {
	n := int64(len(item))
	if n > q.limit {
		return fmt.Errorf("%w: %d of %d bytes", ErrTooLarge, n, q.limit)
	}
	if !q.bytes.TryAcquire(n) {
		return queue.ErrFull
	}
	return q.releaseOn(q.items.TryPut(item), n)
}

// releaseOn releases n bytes if err says that their item was not added.
func (q *Queue) releaseOn(err error, n int64) error {
	if err != nil {
		q.bytes.Release(n)
	}
	return err
}

// Replace adds an item without blocking for a slot, and evicts the oldest if
// there is none. It returns [queue.ErrFull] if the bytes are not there, since
// evicting one item need not free enough.
func (q *Queue) Replace(item []byte) (evicted []byte, err error) {
	n := int64(len(item))
	if !q.bytes.TryAcquire(n) {
		return nil, queue.ErrFull
	}
	evicted, ok, err := q.items.ForcePut(item)
	if ok {
		q.bytes.Release(int64(len(evicted)))
	}
	return evicted, q.releaseOn(err, n)
}

// Tasks is a worker's loop, as [queue.Queue.Tasks] is. The bytes of an item are
// released when the loop body finishes with it.
func (q *Queue) Tasks(ctx context.Context) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for item := range q.items.Tasks(ctx) {
			if !q.work(item, yield) {
				return
			}
		}
	}
}

func (q *Queue) work(item []byte, yield func([]byte) bool) bool {
	defer q.bytes.Release(int64(len(item)))
	return yield(item)
}

// Shutdown closes the queue and returns the items that were not begun.
func (q *Queue) Shutdown() (left [][]byte) {
	left = q.items.Shutdown(true)
	for _, item := range left {
		q.bytes.Release(int64(len(item)))
	}
	return left
}
