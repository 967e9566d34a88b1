package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

// keys is how many keys items can have.
const keys = 8

// A keyedQueue is a queue of package keyed, whose items carry their keys.
type keyedQueue interface {
	target
	TaskDoneOf(it item) error
}

// entries is what the types of package keyed have in common.
type entries interface {
	Get(ctx context.Context) (uint16, item, error)
	TryGet() (uint16, item, error)
	Tasks(ctx context.Context) iter.Seq2[uint16, item]
	Ready() <-chan struct{}
	Join(ctx context.Context) error
	Shutdown(immediate bool) []keyed.Entry[uint16, item]
	Len() int
	Stats() queue.Stats
	String() string
}

// byKey makes items of entries.
type byKey struct{ entries }

// under returns an item that came out with a key: one that was never put, if
// that is not its own.
func under(key uint16, it item) item {
	if key != it.key {
		it.id = ledgerSize
	}
	return it
}

func (q byKey) Get(ctx context.Context) (item, error) {
	key, it, err := q.entries.Get(ctx)
	return under(key, it), err
}

func (q byKey) TryGet() (item, error) {
	key, it, err := q.entries.TryGet()
	return under(key, it), err
}

func (q byKey) Tasks(ctx context.Context) iter.Seq[item] {
	return func(yield func(item) bool) {
		q.entries.Tasks(ctx)(func(key uint16, it item) bool { return yield(under(key, it)) })
	}
}

func (q byKey) Shutdown(immediate bool) (drained []item) {
	for _, e := range q.entries.Shutdown(immediate) {
		drained = append(drained, under(e.Key, e.Value))
	}
	return drained
}

type latestQueue struct {
	byKey
	q *keyed.Latest[uint16, item]
}

func newLatest() latestQueue {
	q := new(keyed.Latest[uint16, item])
	return latestQueue{byKey{q}, q}
}

// ForcePut calls a replaced value evicted.
func (q latestQueue) ForcePut(it item) (evicted item, ok bool, err error) { return q.q.Put(it.key, it) }
func (q latestQueue) TaskDoneOf(item) error                               { return q.q.TaskDone() }

type fairQueue struct {
	byKey
	q *keyed.Fair[uint16, item]
}

func newFair(q *keyed.Fair[uint16, item]) fairQueue { return fairQueue{byKey{q}, q} }

func (q fairQueue) Put(ctx context.Context, it item) error { return q.q.Put(ctx, it.key, it) }
func (q fairQueue) TryPut(it item) error                   { return q.q.TryPut(it.key, it) }
func (q fairQueue) TaskDoneOf(it item) error               { return q.q.TaskDone(it.key) }

// grasp notes that the worker has an item of a Serial queue in hand, and is the
// only one that has one of its key.
func (w *worker) grasp(it item) {
	if w.order != "serial" {
		return
	}
	if n := w.inHand[it.key].Add(1); n != 1 {
		w.fail("%d items of key %d are in hand, %+v is one", n, it.key, it)
	}
	if before := w.processed[it.key][it.producer].Swap(it.seq); before >= it.seq {
		w.fail("item %+v is processed after the producer's item %d", it, before)
	}
}

// release notes that the worker is about to mark an item done, or that its loop is.
func (w *worker) release(items []item) {
	if w.order == "serial" {
		for _, it := range items {
			w.inHand[it.key].Add(-1)
		}
	}
}

// inTurns returns an error if items that left a keyed queue one after another,
// each marked done before the next, while none came in, left out a key's turn.
func inTurns(order string, items []item) error {
	var taken, place [keys]int // by key: how many items, and its place among the keys in the first lap
	lap, last := 1, 0
	for i, it := range items {
		taken[it.key]++
		switch n := taken[it.key]; {
		case n > 1 && order == "latest":
			return fmt.Errorf("key %d was queued twice: %+v", it.key, it)
		case n == 1:
			place[it.key] = i + 1
		}
		switch n := taken[it.key]; {
		case n < lap || n > lap+1 || n == lap && place[it.key] < last:
			return fmt.Errorf("item %+v left out of its key's turn: its number is %d, in lap %d", it, n, lap)
		default:
			lap, last = n, place[it.key]
		}
	}
	return nil
}
