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

// Each queue below has one method that is wrong, and must be found out.

type inner = plainQueue

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

type trySaysTooMuch struct{ inner }

func (q trySaysTooMuch) TryPutBatch(items []item) (int, error) {
	n, err := q.inner.TryPutBatch(items)
	if err == queue.ErrFull && n < len(items)-1 {
		n++
	}
	return n, err
}

type countsARefusedBatchOnce struct {
	inner
	less *atomic.Uint64
}

func (q countsARefusedBatchOnce) TryPutBatch(items []item) (int, error) {
	n, err := q.inner.TryPutBatch(items)
	if err == queue.ErrFull {
		q.less.Add(uint64(len(items) - n - 1))
	}
	return n, err
}

func (q countsARefusedBatchOnce) Stats() queue.Stats {
	less := q.less.Load()
	s := q.inner.Stats()
	s.Rejected -= less
	return s
}

type tryGetBatchLosesTheLast struct{ inner }

func (q tryGetBatchLosesTheLast) TryGetBatch(dst []item) (int, error) {
	n, err := q.inner.TryGetBatch(dst)
	return min(n, len(dst)-1), err
}

type tryGetBatchReverses struct{ inner }

func (q tryGetBatchReverses) TryGetBatch(dst []item) (int, error) {
	n, err := q.inner.TryGetBatch(dst)
	slices.Reverse(dst[:n])
	return n, err
}

// A loop over batches with one thing wrong.
type changedBatches struct {
	inner
	change func(q inner, items []item, yield func([]item) bool) bool
	grow   int
}

func (q changedBatches) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]item] {
	return func(yield func([]item) bool) {
		for items := range q.inner.Batches(ctx, size+q.grow, linger) {
			if !q.change(q.inner, items, yield) {
				return
			}
		}
	}
}

type yieldsTooMany struct{ changedBatches }

func newYieldsTooMany(q inner) target {
	return yieldsTooMany{changedBatches{q, func(q inner, items []item, yield func([]item) bool) bool { return yield(items) }, 1}}
}

type yieldsAnEmptyBatch struct{ changedBatches }

func newYieldsAnEmptyBatch(q inner) target {
	return yieldsAnEmptyBatch{changedBatches{q, func(q inner, items []item, yield func([]item) bool) bool {
		return yield(items) && (len(items) > 1 || yield(nil))
	}, 0}}
}

// What a loop holds when its context ends is gone.
type dropsABatchWhenCancelled struct{ inner }

func (q dropsABatchWhenCancelled) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]item] {
	return func(yield func([]item) bool) {
		for items := range q.inner.Batches(ctx, size, linger) {
			select {
			case <-ctx.Done():
				return
			default:
			}
			if !yield(items) {
				return
			}
		}
	}
}

// Done is called when the body ends by itself, and at no break or panic.
type batchesAreNotDone struct{ inner }

func (q batchesAreNotDone) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]item] {
	return func(yield func([]item) bool) {
		dst := make([]item, min(size, 100))
		for {
			n, err := q.inner.GetBatch(ctx, dst)
			if err != nil || !yield(dst[:n]) {
				return
			}
			_ = q.inner.TaskDoneN(n)
		}
	}
}

type refusesToRequeue struct{ inner }

func (q refusesToRequeue) Requeue(it item) error {
	err := q.inner.TryPut(it)
	if err == queue.ErrFull {
		err = queue.ErrShutdown
	}
	return err
}

type forgetsToRequeue struct{ inner }

func (q forgetsToRequeue) Requeue(it item) error {
	if s := q.inner.Stats(); s.Cap > 0 && s.Len >= s.Cap {
		return nil
	}
	return q.inner.Requeue(it)
}

type requeuesAfterTheDrain struct{ inner }

func (q requeuesAfterTheDrain) Requeue(it item) error {
	_ = q.inner.Requeue(it)
	return nil
}

// Its requeued item is not counted, so that Join slips through.
type requeuesTooLate struct{ inner }

func (q requeuesTooLate) Requeue(it item) error {
	err := q.inner.Requeue(it)
	if err == nil {
		_ = q.inner.TaskDone()
	}
	return err
}

// An item that leaves while others remain sends no signal.
type signalsOnce struct{ inner }

func (q signalsOnce) TryGet() (item, error) {
	it, err := q.inner.TryGet()
	if err == nil {
		select {
		case <-q.inner.Ready():
		default:
		}
	}
	return it, err
}

func (q signalsOnce) TryGetBatch(dst []item) (int, error) {
	it, err := q.TryGet()
	if err != nil {
		return 0, err
	}
	dst[0] = it
	return 1, nil
}

type closesReadyTooEarly struct {
	inner
	ready chan struct{}
}

func newClosesReadyTooEarly(q inner) target {
	ready := make(chan struct{})
	close(ready)
	return closesReadyTooEarly{q, ready}
}

func (q closesReadyTooEarly) Ready() <-chan struct{} {
	if q.Stats().Len > 0 {
		return q.ready
	}
	return q.inner.Ready()
}

type neverClosesReady struct{ inner }

func (q neverClosesReady) Ready() <-chan struct{} {
	if q.inner.Stats().Shutdown {
		return nil
	}
	return q.inner.Ready()
}

type sendsOnTheClosedChannel struct {
	inner
	ready chan struct{}
}

func newSendsOnTheClosedChannel(q inner) target {
	return sendsOnTheClosedChannel{q, make(chan struct{}, 1<<20)}
}

func (q sendsOnTheClosedChannel) Requeue(it item) error {
	err := q.inner.Requeue(it)
	if err == nil {
		q.ready <- struct{}{}
	}
	return err
}

func (q sendsOnTheClosedChannel) Shutdown(immediate bool) []item {
	defer func() { _ = recover() }() // another has closed it
	defer close(q.ready)
	return q.inner.Shutdown(immediate)
}

type callsEvictionsDrained struct{ inner }

func (q callsEvictionsDrained) Stats() queue.Stats {
	s := q.inner.Stats()
	s.Drained = s.Dropped
	return s
}

type peeksAtNothing struct{ inner }

func (q peeksAtNothing) Peek() (item, error) {
	it, err := q.inner.Peek()
	if err == queue.ErrEmpty {
		return item{id: ledgerSize - 1}, nil
	}
	return it, err
}

type peeksAtTheLast struct{ inner }

func (q peeksAtTheLast) Peek() (item, error) {
	it, err := q.inner.Peek()
	if err == nil && it.seq > 1 {
		it.seq--
	}
	return it, err
}

// A context that panics where the item has been taken: the item is gone.
type asksTheContextTooLate struct{ inner }

func (q asksTheContextTooLate) Get(ctx context.Context) (item, error) {
	it, err := q.inner.Get(ctx)
	if err == nil {
		_ = ctx.Err()
	}
	return it, err
}

// A context that has closed Done and has no error: nil is returned for it.
type believesTheContext struct{ inner }

func (q believesTheContext) Get(ctx context.Context) (item, error) {
	it, err := q.inner.Get(ctx)
	if err == context.Canceled {
		err = ctx.Err()
	}
	return it, err
}

// A context that panics is swallowed.
type swallowsPanics struct{ inner }

func (q swallowsPanics) Join(ctx context.Context) (err error) {
	defer func() {
		if recover() != nil {
			err = context.Canceled
		}
	}()
	return q.inner.Join(ctx)
}

func TestBrokenQueuesAreFoundOut(t *testing.T) {
	defer func() { leaked = nil }()
	var mu sync.Mutex
	for _, c := range []struct {
		order string
		wrap  func(q plainQueue) target
		want  string // what it is found out by; | is or
	}{
		{"fifo", func(q plainQueue) target { return losesWhenCancelled{q} }, "items were put, "},
		{"fifo", func(q plainQueue) target { return putsThoughCancelled{q} }, "was refused, but came out"},
		{"lifo", func(q plainQueue) target { return deliversTwice{q, &mu, new(item)} }, "came out twice"},
		{"lifo", func(q plainQueue) target { return makesThingsUp{q} }, "was never put"},
		{"fifo", func(q plainQueue) target { return wrongOrder{newPlain("lifo", q.Cap(), nil)} }, "left after the producer's item"},
		{"lifo", func(q plainQueue) target { return wrongOrder{newPlain("fifo", q.Cap(), nil)} }, "left before"},
		{"priority", func(q plainQueue) target { return wrongOrder{newPlain("fifo", q.Cap(), nil)} }, "left before"},
		{"priority", func(q plainQueue) target { return drainsOutOfOrder{q} }, "left before"},
		{"lifo", func(q plainQueue) target { return drainsOutOfOrder{q} }, "left before"},
		{"fifo", func(q plainQueue) target { return forgetsTheRest{q} }, "items were put, "},
		{"fifo", func(q plainQueue) target { return batchSaysTooMuch{q} }, "items are in, and the error is"},
		{"fifo", func(q plainQueue) target { return fullWithoutBound{q, new(atomic.Uint64)} }, "but the queue has no bound"},
		{"fifo", func(q plainQueue) target { return wrongContextError{q} }, "Put returned context canceled, "},
		{"fifo", func(q plainQueue) target { return shutDownTooEarly{q} }, "the queue was not shut down"},
		{"fifo", func(q plainQueue) target { return panicsWhenShutDown{q} }, "Put panicked: send on closed channel"},
		{"fifo", func(q plainQueue) target { return putsAfterShutdown{q} }, "had been shut down before|items are missing"},
		{"fifo", func(q plainQueue) target { return evictsTheNewest{q} }, "left after the producer's item|items were put, |items are missing"},
		{"fifo", func(q plainQueue) target { return figuresOfTwoMoments{q} }, "this does not hold: Put == Got + Dropped + Len"},
		{"fifo", func(q plainQueue) target { return countsRefusalsTwice{q} }, "this does not hold: Rejected is"},
		{"fifo", func(q plainQueue) target { return joinsTooEarly{q} }, "Join returned nil, but its caller has an item"},
		{"fifo", func(q plainQueue) target { return neverJoins{q} }, "a goroutine hangs, joining"},
		{"fifo", func(q plainQueue) target { return forgetsJoins{q, new(atomic.Bool)} }, "a goroutine hangs, joining"},
		{"fifo", func(q plainQueue) target { return tasksAreNotDone{q} }, "are unfinished after all were done"},
		{"fifo", func(q plainQueue) target { return trySaysTooMuch{q} }, "items were put, |items are missing|Put is between|was refused, but came out"},
		{"fifo", func(q plainQueue) target { return countsARefusedBatchOnce{q, new(atomic.Uint64)} }, "this does not hold: Rejected is|what is counted never falls"},
		{"fifo", func(q plainQueue) target { return tryGetBatchLosesTheLast{q} }, "items were put, "},
		{"fifo", func(q plainQueue) target { return tryGetBatchReverses{q} }, "left after the producer's item"},
		{"priority", func(q plainQueue) target { return tryGetBatchReverses{q} }, "left before"},
		{"fifo", func(q plainQueue) target { return newYieldsTooMany(q) }, "Batches yielded a batch of"},
		{"fifo", func(q plainQueue) target { return newYieldsAnEmptyBatch(q) }, "Batches yielded a batch of 0 items"},
		{"lifo", func(q plainQueue) target { return dropsABatchWhenCancelled{q} }, "items were put, "},
		{"fifo", func(q plainQueue) target { return batchesAreNotDone{q} }, "are unfinished after all were done"},
		{"fifo", func(q plainQueue) target { return refusesToRequeue{q} }, "Requeue returned ErrShutdown, but its caller has an item"},
		{"fifo", func(q plainQueue) target { return forgetsToRequeue{q} }, "items are missing|Put is between"},
		{"fifo", func(q plainQueue) target { return requeuesAfterTheDrain{q} }, "though the queue had been drained before|items are missing|Put is between"},
		{"fifo", func(q plainQueue) target { return requeuesTooLate{q} }, "can't be marked done|Unfinished == Put - Done - Dropped|Done is|Join returned nil, but its caller has an item|are unfinished after all"},
		{"fifo", func(q plainQueue) target { return signalsOnce{q} }, "Ready has no signal"},
		{"fifo", func(q plainQueue) target { return newClosesReadyTooEarly(q) }, "Ready returned ErrShutdown, but the queue was not shut down"},
		{"fifo", func(q plainQueue) target { return neverClosesReady{q} }, "a goroutine hangs, leaving after the shutdown"},
		{"fifo", func(q plainQueue) target { return newSendsOnTheClosedChannel(q) }, "Requeue panicked: send on closed channel"},
		{"fifo", func(q plainQueue) target { return callsEvictionsDrained{q} }, "this does not hold: Drained is"},
		{"fifo", func(q plainQueue) target { return peeksAtNothing{q} }, "was at the head of the queue, but was never put"},
		{"fifo", func(q plainQueue) target { return peeksAtTheLast{q} }, "was at the head of the queue after the producer's item|Peek returned "},
		{"fifo", func(q plainQueue) target { return asksTheContextTooLate{q} }, "items were put, "},
		{"fifo", func(q plainQueue) target { return believesTheContext{q} }, "came out twice|left after the producer's item|was never put"},
		{"fifo", func(q plainQueue) target { return swallowsPanics{q} }, "though its context panicked"},
		{"fifo", func(q plainQueue) target { return hangsAtShutdown{q} }, "a goroutine hangs, leaving after the shutdown|a goroutine hangs, getting what is left"},
		{"fifo", func(q plainQueue) target { return locksForEver{q, new(sync.Mutex)} }, "a goroutine hangs, "},
		{"fifo", func(q plainQueue) target { return leaksGoroutines{q} }, "goroutines are left"},
		{"fifo", func(q plainQueue) target { return leaksMemory{q, &mu} }, "the heap holds"},
	} {
		name := reflect.TypeOf(c.wrap(newPlain(c.order, 1, compareKeys))).Name()
		t.Run(c.order+" "+name, func(t *testing.T) {
			findOut(t, c.order, c.want, func(order string, capacity int, compare func(a, b item) int) target {
				return c.wrap(newPlain(order, capacity, compare))
			})
		})
	}
}

func newPlain(order string, capacity int, compare func(a, b item) int) plainQueue {
	return newQueue(order, capacity, compare).(plainQueue)
}

// findOut runs the soak on broken queues until it finds what is wanted.
func findOut(t *testing.T, order, want string, broken func(order string, capacity int, compare func(a, b item) int) target) {
	o := options{duration: 5 * time.Minute, round: 10 * time.Millisecond, seed: 1, orders: []string{order}, patience: 30 * time.Second, make: broken}
	hangs := strings.Contains(want, "hangs") || strings.Contains(want, "goroutines") || strings.Contains(want, "no signal")
	if hangs {
		o.patience = 500 * time.Millisecond
	}
	found := func(d *discrepancy) bool {
		return slices.ContainsFunc(strings.Split(want, "|"), func(want string) bool { return strings.Contains(d.what, want) })
	}
	var d *discrepancy
	for {
		_, err := soak(context.Background(), o, func(figures) {})
		require.True(t, errors.As(err, &d), "not found out")
		// With little patience, a slow goroutine looks like one that hangs.
		if !hangs || found(d) || o.patience > time.Minute {
			break
		}
		o.patience *= 2
	}
	require.True(t, found(d), d.what)
	require.Contains(t, d.where, order)
	require.NotEmpty(t, d.history)
	t.Logf("found out in round %d: %s", d.seed, strings.SplitN(d.what, "\n", 2)[0])
}
