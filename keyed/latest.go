package keyed

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/deque"
)

// An Entry is a key and a value that was put for it.
type Entry[K comparable, V any] struct {
	Key   K
	Value V
}

// A Latest is a queue of keys, each with the newest value put for it. A key is
// queued only once: a value put for a queued key replaces the value there, and
// the key keeps its place. So a slow consumer sees the newest value of each
// key, and the queue is never longer than the number of keys. The zero value is
// ready to use.
//
// All methods are safe for concurrent use and may be called at any time,
// including during and after [Latest.Shutdown]. A Latest must not be copied
// after first use.
type Latest[K comparable, V any] struct {
	// Invariants, whenever the lock is free:
	//
	//	core.len == number of items in line >= number of keys in at
	//	at[k] is where the item with the key k stands in line
	//	a key in line that is not in at is not equal to itself

	core core[Entry[K, V]]
	line deque.Deque[Entry[K, V]]
	at   index[K, Entry[K, V]]
}

// Put sets the value of key, and never blocks. If key is not queued, it joins
// the back of the queue, or is handed to the longest blocked [Latest.Get]. If
// it is queued, value replaces the queued value: Put returns the old value and
// true. The old value counts as dropped, and the new one takes its place in the
// unfinished count, so no [Latest.Join] is released.
//
// A key that is not equal to itself, because it contains a NaN, is queued each
// time. Put panics, and changes nothing, if key cannot be a map key because it
// contains an interface whose value is not comparable.
//
// It returns [queue.ErrShutdown], and changes nothing, if the queue is shut
// down.
func (q *Latest[K, V]) Put(key K, value V) (old V, replaced bool, err error) {
	c := &q.core
	c.lock()
	e := q.at.find(&c.lot.Mu, key)
	if c.shutdown {
		c.lot.Mu.Unlock()
		return old, false, queue.ErrShutdown
	}
	if e != nil {
		old, e.Value = e.Value, value
		c.put++
		c.dropped++
		if c.ready.C != nil {
			q.signal()
		}
		c.lot.Mu.Unlock()
		return old, true, nil
	}
	c.count()
	if c.getters.Head != nil {
		c.hand(Entry[K, V]{key, value})
	} else {
		q.line.PushBack(Entry[K, V]{key, value})
		q.at.add(key, q.line.Last())
		c.len++
		c.maxLen = max(c.maxLen, c.len)
		q.signal()
	}
	c.unlock()
	return old, false, nil
}

// Get removes and returns the key that has been queued longest, and its newest
// value. The key is then no longer queued: the next Put queues it again, even
// while this value is being processed. If the queue is empty, Get blocks until
// there is a key, behind the calls that are blocked already.
//
// A nil error means the value is the caller's. Otherwise the queue is
// unchanged, and the error is ctx.Err() if ctx is done, even if there are keys
// or the queue is shut down, or [queue.ErrShutdown] if the queue is empty and
// shut down, before the call or while it blocks. If ctx ends at the moment a
// blocked Get is handed a value, Get returns the value.
//
// If the program uses [Latest.Join], call [Latest.TaskDone] once the value has
// been processed.
func (q *Latest[K, V]) Get(ctx context.Context) (K, V, error) {
	e, err := get(ctx, &q.core, q)
	return e.Key, e.Value, err
}

// TryGet removes and returns a key and its value as [Latest.Get] does, without
// blocking. If the queue is empty, it returns [queue.ErrShutdown] if the queue
// is shut down and [queue.ErrEmpty] if it is not.
func (q *Latest[K, V]) TryGet() (K, V, error) {
	e, err := tryGet(&q.core, q)
	return e.Key, e.Value, err
}

// Tasks returns a worker's loop over the queue: it yields keys and values as
// [Latest.Get] returns them, blocking while there are none, and marks each one
// done when the loop body finishes with it, whether it continues, breaks out or
// panics. The loop ends when the queue is shut down and empty, or when ctx is
// done; ctx.Err() tells which.
//
// The body must not call TaskDone itself. Any number of goroutines may range
// over one queue; each value goes to one of them. Two of them may process
// values of the same key at the same time; [NewSerial] prevents that.
func (q *Latest[K, V]) Tasks(ctx context.Context) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		tasks(ctx, &q.core, q, func(e Entry[K, V]) bool { return yield(e.Key, e.Value) })
	}
}

// Ready returns a channel for a select: it is receivable when a [Latest.TryGet]
// may succeed. It is the same channel at every call, and holds one signal; see
// [queue.Queue.Ready]. [Latest.Shutdown] closes it; TryGet then returns the
// values that are left, and after them [queue.ErrShutdown].
func (q *Latest[K, V]) Ready() <-chan struct{} { return readyChan(&q.core, q) }

// TaskDone marks one value done. A key that joins the queue adds one to the
// count of unfinished values, a replacement adds none, and TaskDone subtracts
// one; when the count reaches zero, all calls of [Latest.Join] return.
//
// It returns [queue.ErrTaskDone], and changes nothing, if no value is
// unfinished.
func (q *Latest[K, V]) TaskDone() error {
	c := &q.core
	c.lock()
	if c.tally.Unfinished == 0 {
		c.unlock()
		return queue.ErrTaskDone
	}
	c.tally.MarkDone(&c.lot, 1)
	c.unlock()
	return nil
}

// Join blocks until no value is unfinished: each was marked done, replaced, or
// dropped by [Latest.Shutdown]. It returns nil once the unfinished count has
// been zero at any moment since the call, even if values were put afterwards.
// It returns ctx.Err() if ctx is done, even if no value is unfinished. A
// shutdown does not unblock it.
func (q *Latest[K, V]) Join(ctx context.Context) error {
	return q.core.tally.Join(ctx, &q.core.lot)
}

// Shutdown closes the queue to new values: [Latest.Put] returns
// [queue.ErrShutdown]. Shutdown(false) leaves the queued values, which can
// still be received; once the queue is empty, [Latest.Get] and [Latest.TryGet]
// return ErrShutdown, and loops over [Latest.Tasks] end. Shutdown(true) removes
// the queued values and returns them in the order in which Get would have; they
// count as dropped and are no longer unfinished.
//
// It can be called again, at any time; a graceful shutdown can be followed by an
// immediate one. It never blocks. The complexity is O(1) for each call that it
// releases and each entry that it returns.
func (q *Latest[K, V]) Shutdown(immediate bool) (drained []Entry[K, V]) {
	c := &q.core
	c.lock()
	if immediate && c.len > 0 {
		drained = make([]Entry[K, V], c.len)
		q.line.PopFrontInto(drained)
		q.at.clear()
		c.drop(len(drained), int(min(int64(len(drained)), c.tally.Unfinished)))
	}
	c.end()
	c.unlock()
	return drained
}

// Len returns the number of queued keys.
func (q *Latest[K, V]) Len() int { return q.core.queued() }

// Stats returns a consistent snapshot of the queue's statistics. Put includes
// replaced values, Dropped includes replaced and drained ones, and Drained the
// latter: Dropped - Drained is the number of replaced values, and Put == Got +
// Dropped + Len. Cap is 0.
func (q *Latest[K, V]) Stats() queue.Stats { return q.core.stats() }

// String returns the queue's statistics in a line, for logs. It shows no keys
// and no values.
func (q *Latest[K, V]) String() string { return q.core.describe("latest") }

// Format implements [fmt.Formatter]. It writes what [Latest.String] returns,
// quoted for %q, whatever the verb: by default, %d and %#v would read the
// queue's fields without the lock, and show what is queued.
func (q *Latest[K, V]) Format(f fmt.State, verb rune) { format(f, verb, q.String()) }

// LogValue returns the queue's statistics as [queue.Stats.LogValue] does.
func (q *Latest[K, V]) LogValue() slog.Value { return q.core.logValue() }

func (q *Latest[K, V]) available() bool { return q.core.len > 0 }

func (q *Latest[K, V]) take() Entry[K, V] {
	e := q.line.PopFront()
	q.at.remove(e.Key)
	q.core.len--
	q.signal()
	return e
}

func (q *Latest[K, V]) mark(Entry[K, V]) {
	if c := &q.core; c.tally.Unfinished > 0 {
		c.tally.MarkDone(&c.lot, 1)
	}
}

// signal tells the callers of Ready that a value was queued or left. The lock
// must be held.
func (q *Latest[K, V]) signal() {
	if q.core.ready.C != nil && q.core.len > 0 {
		q.core.ready.Send()
	}
}
