package main

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

// Each queue below is a keyed queue with one thing wrong, and must be found out.

type losesWhatItReplaces struct{ latestQueue }

func (q losesWhatItReplaces) ForcePut(it item) (item, bool, error) {
	_, _, err := q.latestQueue.ForcePut(it)
	return item{}, false, err
}

type returnsTheNewValue struct{ latestQueue }

func (q returnsTheNewValue) ForcePut(it item) (item, bool, error) {
	_, replaced, err := q.latestQueue.ForcePut(it)
	return it, replaced, err
}

type replacesNothing struct{ fairQueue }

func (q replacesNothing) ForcePut(it item) (item, bool, error) {
	return item{}, false, q.fairQueue.TryPut(it)
}

// Its blocking methods must not be seen: those of a Latest are wanted.
type onlyEvicting struct {
	keyedQueue
	evictingQueue
}

type countsReplacedValuesAsGotten struct{ latestQueue }

func (q countsReplacedValuesAsGotten) Stats() queue.Stats {
	s := q.latestQueue.Stats()
	s.Got += s.Dropped - s.Drained
	s.Unfinished += int(s.Dropped - s.Drained)
	s.Dropped = s.Drained
	return s
}

type keyedLosesWhenCancelled struct{ fairQueue }

func (q keyedLosesWhenCancelled) Get(ctx context.Context) (item, error) {
	it, err := q.fairQueue.Get(ctx)
	if err == nil && ctx.Err() != nil {
		return item{}, ctx.Err()
	}
	return it, err
}

type keyedJoinsTooEarly struct{ fairQueue }

func (q keyedJoinsTooEarly) Join(ctx context.Context) error {
	if ctx.Err() == nil && q.Len() == 0 {
		return nil
	}
	return q.fairQueue.Join(ctx)
}

type drainsTheNewestFirst struct{ fairQueue }

func (q drainsTheNewestFirst) Shutdown(immediate bool) []item {
	drained := q.fairQueue.Shutdown(immediate)
	slices.Reverse(drained)
	return drained
}

type marksAnotherKey struct{ fairQueue }

func (q marksAnotherKey) TaskDoneOf(it item) error {
	it.key ^= 1
	return q.fairQueue.TaskDoneOf(it)
}

type mixesKeysUp struct{ fairQueue }

func (q mixesKeysUp) TryPut(it item) error { return q.q.TryPut(it.key^1, it) }

type signalsNoTurn struct{ fairQueue }

func (q signalsNoTurn) TaskDoneOf(it item) error {
	err := q.fairQueue.TaskDoneOf(it)
	select {
	case <-q.Ready():
	default:
	}
	return err
}

// Two keys take one turn.
type pairsKeys struct{ fairQueue }

func (q pairsKeys) Put(ctx context.Context, it item) error { return q.q.Put(ctx, it.key/2, it) }
func (q pairsKeys) TryPut(it item) error                   { return q.q.TryPut(it.key/2, it) }
func (q pairsKeys) TaskDoneOf(it item) error               { return q.q.TaskDone(it.key / 2) }

func (q pairsKeys) Get(ctx context.Context) (item, error) {
	_, it, err := q.q.Get(ctx)
	return it, err
}

func (q pairsKeys) TryGet() (item, error) {
	_, it, err := q.q.TryGet()
	return it, err
}

func (q pairsKeys) Tasks(ctx context.Context) iter.Seq[item] {
	return func(yield func(item) bool) {
		q.q.Tasks(ctx)(func(_ uint16, it item) bool { return yield(it) })
	}
}

func (q pairsKeys) Shutdown(immediate bool) (drained []item) {
	for _, e := range q.q.Shutdown(immediate) {
		drained = append(drained, e.Value)
	}
	return drained
}

func TestBrokenKeyedQueuesAreFoundOut(t *testing.T) {
	fair := func(perKey int) fairQueue { return newFair(keyed.NewFair[uint16, item](perKey)) }
	serial := func(perKey int) fairQueue { return newFair(keyed.NewSerial[uint16, item](perKey)) }
	for _, c := range []struct {
		order, name string
		make        func(perKey int) target
		want        string // what it is found out by; | is or
	}{
		{"latest", "losesWhatItReplaces", func(int) target { return losesWhatItReplaces{newLatest()} }, "items were put, "},
		{"latest", "returnsTheNewValue", func(int) target { return returnsTheNewValue{newLatest()} }, "came out twice|left after the producer's item|items are missing"},
		{"latest", "replacesNothing", func(int) target {
			q := replacesNothing{fair(queue.Unbounded)}
			return onlyEvicting{q, q}
		}, "was queued twice|MaxLen <= the capacity"},
		{"latest", "countsReplacedValuesAsGotten", func(int) target { return countsReplacedValuesAsGotten{newLatest()} }, "Got is|Dropped is|are unfinished after all"},
		{"fair", "keyedLosesWhenCancelled", func(n int) target { return keyedLosesWhenCancelled{fair(n)} }, "items were put, "},
		{"fair", "keyedJoinsTooEarly", func(n int) target { return keyedJoinsTooEarly{fair(n)} }, "Join returned nil, but its caller has an item"},
		{"fair", "drainsTheNewestFirst", func(n int) target { return drainsTheNewestFirst{fair(n)} }, "left before|left after the producer's item"},
		{"fair", "marksAnotherKey", func(n int) target { return marksAnotherKey{fair(n)} }, "can't be marked done"},
		{"fair", "mixesKeysUp", func(n int) target { return mixesKeysUp{fair(n)} }, "came out, but was never put"},
		{"fair", "pairsKeys", func(n int) target { return pairsKeys{fair(n)} }, "left out of its key's turn"},
		{"serial", "pairsKeys", func(n int) target { return pairsKeys{serial(n)} }, "left out of its key's turn"},
		{"serial", "fair", func(n int) target { return fair(n) }, "are in hand|is processed after"},
		{"serial", "signalsNoTurn", func(n int) target { return signalsNoTurn{serial(n)} }, "Ready has no signal|no call has returned"},
		{"serial", "marksAnotherKey", func(n int) target { return marksAnotherKey{serial(n)} }, "can't be marked done|are in hand"},
	} {
		t.Run(c.order+" "+c.name, func(t *testing.T) {
			findOut(t, c.order, c.want, func(_ string, perKey int, _ func(a, b item) int) target { return c.make(perKey) })
		})
	}
}
