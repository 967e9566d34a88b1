package main

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// The queues below are right but for one method, and all have to be found out.

type inner = target

type losesWhenCancelled struct{ inner }

func (q losesWhenCancelled) Get(ctx context.Context) (item, error) {
	it, err := q.inner.Get(ctx)
	if err == nil && ctx.Err() != nil {
		return item{}, ctx.Err()
	}
	return it, err
}

type putsThoughCancelled struct{ inner }

func (q putsThoughCancelled) Put(ctx context.Context, it item) error {
	if err := q.inner.Put(ctx, it); err != nil {
		return err
	}
	return ctx.Err()
}

type deliversTwice struct {
	inner
	mu   *sync.Mutex
	last *item
}

func (q deliversTwice) TryGet() (item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it := *q.last; it.seq%100 == 99 {
		*q.last = item{}
		return it, nil
	}
	it, err := q.inner.TryGet()
	*q.last = it
	return it, err
}

type makesThingsUp struct{ inner }

func (q makesThingsUp) TryGet() (item, error) {
	if it, err := q.inner.TryGet(); err != queue.ErrEmpty {
		return it, err
	}
	return item{id: ledgerSize - 1}, nil
}

type wrongOrder struct{ inner }

type drainsOutOfOrder struct{ inner }

func (q drainsOutOfOrder) Shutdown(immediate bool) []item {
	drained := q.inner.Shutdown(immediate)
	slices.Reverse(drained)
	return drained
}

type forgetsTheRest struct{ inner }

func (q forgetsTheRest) Shutdown(immediate bool) []item {
	drained := q.inner.Shutdown(immediate)
	if n := len(drained); n > 0 {
		drained = drained[:n-1]
	}
	return drained
}

type batchSaysTooMuch struct{ inner }

func (q batchSaysTooMuch) PutBatch(ctx context.Context, items []item) (int, error) {
	n, err := q.inner.PutBatch(ctx, items)
	if err != nil && n > 0 {
		n++
	}
	return min(n, len(items)-1), err
}

type fullWithoutBound struct {
	inner
	refused *atomic.Uint64
}

func (q fullWithoutBound) TryPut(it item) error {
	if s := q.inner.Stats(); s.Cap == queue.Unbounded && s.Len > 100 {
		q.refused.Add(1)
		return queue.ErrFull
	}
	return q.inner.TryPut(it)
}

func (q fullWithoutBound) Stats() queue.Stats {
	s := q.inner.Stats()
	s.Rejected += q.refused.Load()
	return s
}

type wrongContextError struct{ inner }

func (q wrongContextError) Put(ctx context.Context, it item) error {
	err := q.inner.Put(ctx, it)
	if err == context.DeadlineExceeded {
		err = context.Canceled
	}
	return err
}

type shutDownTooEarly struct{ inner }

func (q shutDownTooEarly) TryGet() (item, error) {
	it, err := q.inner.TryGet()
	if err == queue.ErrEmpty {
		err = queue.ErrShutdown
	}
	return it, err
}

type panicsWhenShutDown struct{ inner }

func (q panicsWhenShutDown) Put(ctx context.Context, it item) error {
	err := q.inner.Put(ctx, it)
	if err == queue.ErrShutdown {
		panic("send on closed channel")
	}
	return err
}

type putsAfterShutdown struct{ inner }

func (q putsAfterShutdown) TryPut(it item) error {
	err := q.inner.TryPut(it)
	if err == queue.ErrShutdown {
		return nil
	}
	return err
}

type evictsTheNewest struct{ inner }

func (q evictsTheNewest) ForcePut(it item) (item, bool, error) {
	if s := q.inner.Stats(); !s.Shutdown && s.Cap > 0 && s.Len >= s.Cap {
		return it, true, nil
	}
	return q.inner.ForcePut(it)
}

type figuresOfTwoMoments struct{ inner }

func (q figuresOfTwoMoments) Stats() queue.Stats {
	s := q.inner.Stats()
	time.Sleep(time.Microsecond)
	s.Len = q.Len()
	return s
}

type countsRefusalsTwice struct{ inner }

func (q countsRefusalsTwice) Stats() queue.Stats {
	s := q.inner.Stats()
	s.Rejected *= 2
	return s
}

type joinsTooEarly struct{ inner }

func (q joinsTooEarly) Join(ctx context.Context) error {
	if ctx.Err() == nil && q.Len() == 0 {
		return nil
	}
	return q.inner.Join(ctx)
}

type neverJoins struct{ inner }

func (q neverJoins) Join(ctx context.Context) error {
	err := q.inner.Join(ctx)
	if err == nil && ctx.Done() == nil {
		select {} // its wake-up was swallowed
	}
	return err
}

// Its draining Shutdown leaves Joins parked, and the next TaskDone releases them.
type forgetsJoins struct {
	inner
	forgotten *atomic.Bool
}

func (q forgetsJoins) Shutdown(immediate bool) []item {
	if !immediate {
		return q.inner.Shutdown(false)
	}
	before := q.forgotten.Swap(true)
	drained := q.inner.Shutdown(true)
	if len(drained) == 0 {
		q.forgotten.Store(before)
	}
	return drained
}

func (q forgetsJoins) TaskDone() error { return q.TaskDoneN(1) }

func (q forgetsJoins) TaskDoneN(n int) error {
	q.forgotten.Store(false)
	return q.inner.TaskDoneN(n)
}

func (q forgetsJoins) Join(ctx context.Context) error {
	comesLate := q.forgotten.Load()
	err := q.inner.Join(ctx)
	for err == nil && !comesLate && q.forgotten.Load() {
		time.Sleep(100 * time.Microsecond)
		err = ctx.Err()
	}
	return err
}

type tasksAreNotDone struct{ inner }

func (q tasksAreNotDone) Tasks(ctx context.Context) iter.Seq[item] {
	return func(yield func(item) bool) {
		for {
			it, err := q.Get(ctx)
			if err != nil || !yield(it) {
				return
			}
			_ = q.TaskDone()
		}
	}
}

type hangsAtShutdown struct{ inner }

func (q hangsAtShutdown) Get(ctx context.Context) (item, error) {
	it, err := q.inner.Get(ctx)
	if err == queue.ErrShutdown && ctx.Done() == nil {
		select {}
	}
	return it, err
}

type locksForEver struct {
	inner
	mu *sync.Mutex
}

func (q locksForEver) Resize(capacity int) {
	q.mu.Lock()
	q.inner.Resize(capacity) // and never unlocks: the second call hangs
}

type leaksGoroutines struct{ inner }

func (q leaksGoroutines) Get(ctx context.Context) (item, error) {
	it, err := q.inner.Get(ctx)
	if err == context.DeadlineExceeded {
		go func() { select {} }()
	}
	return it, err
}

var leaked [][]byte

type leaksMemory struct {
	inner
	mu *sync.Mutex
}

func (q leaksMemory) Get(ctx context.Context) (item, error) {
	it, err := q.inner.Get(ctx)
	if err == context.DeadlineExceeded || err == context.Canceled {
		q.mu.Lock()
		defer q.mu.Unlock()
		leaked = append(leaked, make([]byte, 20_000))
	}
	return it, err
}

func TestBrokenQueuesAreFoundOut(t *testing.T) {
	defer func() { leaked = nil }()
	var mu sync.Mutex
	for _, c := range []struct {
		order string
		wrap  func(q target) target
		want  string // what it is found out by; | is or
	}{
		{"fifo", func(q target) target { return losesWhenCancelled{q} }, "items were put, "},
		{"fifo", func(q target) target { return putsThoughCancelled{q} }, "was refused, but came out"},
		{"lifo", func(q target) target { return deliversTwice{q, &mu, new(item)} }, "came out twice"},
		{"lifo", func(q target) target { return makesThingsUp{q} }, "nobody put it"},
		{"fifo", func(q target) target { return wrongOrder{newQueue("lifo", q.Cap(), nil)} }, "left after the producer's item"},
		{"lifo", func(q target) target { return wrongOrder{newQueue("fifo", q.Cap(), nil)} }, "left before"},
		{"priority", func(q target) target { return wrongOrder{newQueue("fifo", q.Cap(), nil)} }, "left before"},
		{"priority", func(q target) target { return drainsOutOfOrder{q} }, "left before"},
		{"lifo", func(q target) target { return drainsOutOfOrder{q} }, "left before"},
		{"fifo", func(q target) target { return forgetsTheRest{q} }, "items were put, "},
		{"fifo", func(q target) target { return batchSaysTooMuch{q} }, "items are in, and the error is"},
		{"fifo", func(q target) target { return fullWithoutBound{q, new(atomic.Uint64)} }, "but the queue has no bound"},
		{"fifo", func(q target) target { return wrongContextError{q} }, "Put returned context canceled, "},
		{"fifo", func(q target) target { return shutDownTooEarly{q} }, "nobody shut the queue down"},
		{"fifo", func(q target) target { return panicsWhenShutDown{q} }, "Put panicked: send on closed channel"},
		{"fifo", func(q target) target { return putsAfterShutdown{q} }, "had been shut down before|items are missing"},
		{"fifo", func(q target) target { return evictsTheNewest{q} }, "left after the producer's item|items were put, |items are missing"},
		{"fifo", func(q target) target { return figuresOfTwoMoments{q} }, "this does not hold: Put == Got + Dropped + Len"},
		{"fifo", func(q target) target { return countsRefusalsTwice{q} }, "this does not hold: Rejected is"},
		{"fifo", func(q target) target { return joinsTooEarly{q} }, "Join returned nil, but its caller has an item"},
		{"fifo", func(q target) target { return neverJoins{q} }, "somebody hangs, joining"},
		{"fifo", func(q target) target { return forgetsJoins{q, new(atomic.Bool)} }, "somebody hangs, joining"},
		{"fifo", func(q target) target { return tasksAreNotDone{q} }, "are unfinished after all were done"},
		{"fifo", func(q target) target { return hangsAtShutdown{q} }, "somebody hangs, leaving after the shutdown|somebody hangs, getting what is left"},
		{"fifo", func(q target) target { return locksForEver{q, new(sync.Mutex)} }, "somebody hangs, "},
		{"fifo", func(q target) target { return leaksGoroutines{q} }, "goroutines are left"},
		{"fifo", func(q target) target { return leaksMemory{q, &mu} }, "the heap holds"},
	} {
		name := reflect.TypeOf(c.wrap(newQueue(c.order, 1, compareKeys))).Name()
		t.Run(c.order+" "+name, func(t *testing.T) {
			o := options{duration: 5 * time.Minute, round: 10 * time.Millisecond, seed: 1, orders: []string{c.order}, patience: 30 * time.Second}
			hangs := strings.Contains(c.want, "hangs") || strings.Contains(c.want, "goroutines")
			if hangs {
				o.patience = 500 * time.Millisecond
			}
			o.make = func(order string, capacity int, compare func(a, b item) int) target {
				return c.wrap(newQueue(order, capacity, compare))
			}
			found := func(d *discrepancy) bool {
				return slices.ContainsFunc(strings.Split(c.want, "|"), func(want string) bool { return strings.Contains(d.what, want) })
			}
			var d *discrepancy
			for {
				_, err := soak(context.Background(), o, func(figures) {})
				require.True(t, errors.As(err, &d), "not found out")
				// Who is slow looks like who hangs, to the impatient.
				if !hangs || found(d) || o.patience > time.Minute {
					break
				}
				o.patience *= 2
			}
			require.True(t, found(d), d.what)
			require.Contains(t, d.where, c.order)
			require.NotEmpty(t, d.history)
			t.Logf("found out in round %d: %s", d.seed, strings.SplitN(d.what, "\n", 2)[0])
		})
	}
}
