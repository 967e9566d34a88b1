package linearizability

import (
	"context"
	"iter"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// The queues below are right but for one method. Each stands for a way in which
// queues have failed, or for a clause of the specification.

type inner = *queue.Queue[Item]

// gap lets others run between two steps that should have been one.
func gap() {
	for range 3 {
		runtime.Gosched()
	}
}

type losesAnItemWhenCancelled struct{ inner }

func (q losesAnItemWhenCancelled) Get(ctx context.Context) (Item, error) {
	item, err := q.inner.Get(ctx)
	if err == nil && ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return item, err
}

type putsThoughCancelled struct{ inner }

func (q putsThoughCancelled) Put(ctx context.Context, item Item) error {
	if err := q.inner.Put(ctx, item); err != nil {
		return err
	}
	return ctx.Err()
}

type looksAtTheContextLast struct{ inner }

func (q looksAtTheContextLast) Get(ctx context.Context) (Item, error) {
	if item, err := q.TryGet(); err != queue.ErrEmpty {
		return item, err
	}
	return q.inner.Get(ctx)
}

type endsWithoutACause struct{ inner }

func (q endsWithoutACause) Get(ctx context.Context) (Item, error) {
	item, err := q.inner.Get(ctx)
	if err == queue.ErrShutdown {
		err = context.Canceled
	}
	return item, err
}

type deliversTwice struct{ inner }

func (q deliversTwice) TryGet() (Item, error) {
	if rand.IntN(4) == 0 {
		return q.Peek()
	}
	return q.inner.TryGet()
}

type fullTooEarly struct{ inner }

func (q fullTooEarly) TryPut(item Item) error {
	if s := q.Stats(); s.Cap > 0 && s.Len == s.Cap-1 && !s.Shutdown {
		return queue.ErrFull
	}
	return q.inner.TryPut(item)
}

type emptyTooEarly struct{ inner }

func (q emptyTooEarly) TryGet() (Item, error) {
	if s := q.Stats(); s.Len == 1 && !s.Shutdown {
		return 0, queue.ErrEmpty
	}
	return q.inner.TryGet()
}

type overfills struct{ inner }

func (q overfills) TryPut(item Item) error {
	if s := q.Stats(); s.Cap > 0 && s.Len == s.Cap && s.PutWaiting == 0 {
		q.Resize(s.Cap + 1)
		defer q.Resize(s.Cap)
	}
	return q.inner.TryPut(item)
}

type putsBatchesItemByItem struct{ inner }

func (q putsBatchesItemByItem) PutBatch(ctx context.Context, items []Item) (int, error) {
	for n, item := range items {
		if err := q.inner.Put(ctx, item); err != nil {
			return n, err
		}
		gap()
	}
	return len(items), nil
}

type miscountsABatch struct{ inner }

func (q miscountsABatch) PutBatch(ctx context.Context, items []Item) (int, error) {
	n, err := q.inner.PutBatch(ctx, items)
	if err != nil {
		n = 0
	}
	return n, err
}

type getsBatchesItemByItem struct{ inner }

func (q getsBatchesItemByItem) GetBatch(ctx context.Context, dst []Item) (n int, err error) {
	if dst[0], err = q.Get(ctx); err != nil {
		return 0, err
	}
	for n = 1; n < len(dst); n++ {
		gap()
		if dst[n], err = q.TryGet(); err != nil {
			break
		}
	}
	return n, nil
}

type getsTooSmallABatch struct{ inner }

func (q getsTooSmallABatch) GetBatch(ctx context.Context, dst []Item) (int, error) {
	return q.inner.GetBatch(ctx, dst[:len(dst)-1])
}

type evictsAnother struct{ inner }

func (q evictsAnother) ForcePut(item Item) (Item, bool, error) {
	if q.Full() && !q.Stats().Shutdown {
		return item, true, nil // drop-newest
	}
	return q.inner.ForcePut(item)
}

type evictsInTwoSteps struct{ inner }

func (q evictsInTwoSteps) ForcePut(item Item) (evicted Item, ok bool, err error) {
	for {
		if err := q.inner.TryPut(item); err != queue.ErrFull {
			return evicted, ok, err
		}
		if evicted, err = q.TryGet(); err == nil {
			ok = true
			_ = q.TaskDone()
		}
		gap()
	}
}

type peeksAndTakes struct{ inner }

func (q peeksAndTakes) Peek() (Item, error) { return q.TryGet() }

type tellsAnOldLength struct {
	inner
	len *int
}

func (q tellsAnOldLength) Len() int {
	n := *q.len
	*q.len = q.inner.Len()
	return n
}

type drainsInTwoSteps struct{ inner }

func (q drainsInTwoSteps) Shutdown(immediate bool) (drained []Item) {
	if immediate {
		for {
			item, err := q.TryGet()
			if err != nil {
				break
			}
			drained = append(drained, item)
			_ = q.TaskDone()
			gap()
		}
	}
	q.inner.Shutdown(false)
	return drained
}

type drainsOutOfOrder struct{ inner }

func (q drainsOutOfOrder) Shutdown(immediate bool) []Item {
	drained := q.inner.Shutdown(immediate)
	slices.Reverse(drained)
	return drained
}

type forgetsToShutDown struct{ inner }

func (q forgetsToShutDown) Shutdown(immediate bool) (drained []Item) {
	if s := q.Stats(); !immediate && s.Len > 0 {
		return nil
	}
	return q.inner.Shutdown(immediate)
}

type marksTooManyDone struct{ inner }

func (q marksTooManyDone) TaskDoneN(n int) error {
	if s := q.Stats(); n > s.Unfinished {
		n = s.Unfinished
	}
	return q.inner.TaskDoneN(n)
}

type joinsTooEarly struct{ inner }

func (q joinsTooEarly) Join(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.Len() == 0 {
		return nil // none is queued, but those that were received may not be done
	}
	return q.inner.Join(ctx)
}

// Here a waker forgets blocked calls, or wakes one where it should wake all.
type missesItsWakeUp struct{ inner }

func (q missesItsWakeUp) Get(ctx context.Context) (Item, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if ctx.Done() == nil {
		return q.inner.Get(ctx)
	}
	if item, err := q.TryGet(); err != queue.ErrEmpty {
		return item, err
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

type forgetsToLetPutsIn struct{ inner }

func (q forgetsToLetPutsIn) Put(ctx context.Context, item Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		return q.inner.Put(ctx, item)
	}
	if err := q.inner.TryPut(item); err != queue.ErrFull {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

type forgetsJoins struct{ inner }

func (q forgetsJoins) Join(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.Stats().Unfinished == 0 {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

type resizesToAnother struct{ inner }

func (q resizesToAnother) Resize(capacity int) { q.inner.Resize(capacity + 1) }

type putsABatchInTwoSteps struct{ inner }

func (q putsABatchInTwoSteps) TryPutBatch(items []Item) (n int, err error) {
	for ; n < len(items); n++ {
		if err := q.inner.TryPut(items[n]); err != nil {
			return n, err
		}
		gap()
	}
	return n, nil
}

type refusesABatchAsAWhole struct{ inner }

func (q refusesABatchAsAWhole) TryPutBatch(items []Item) (int, error) {
	if s := q.Stats(); !s.Shutdown && s.Cap > 0 && s.Cap-s.Len < len(items) && s.GetWaiting == 0 {
		return 0, queue.ErrFull
	}
	return q.inner.TryPutBatch(items)
}

type countsARefusedBatchOnce struct {
	inner
	less *int
}

func (q countsARefusedBatchOnce) TryPutBatch(items []Item) (int, error) {
	n, err := q.inner.TryPutBatch(items)
	if err == queue.ErrFull {
		*q.less += len(items) - n - 1
	}
	return n, err
}

func (q countsARefusedBatchOnce) Stats() queue.Stats {
	s := q.inner.Stats()
	s.Rejected -= uint64(*q.less)
	return s
}

type takesABatchItemByItem struct{ inner }

func (q takesABatchItemByItem) TryGetBatch(dst []Item) (n int, err error) {
	for ; n < len(dst); n++ {
		if dst[n], err = q.TryGet(); err != nil {
			break
		}
		gap()
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

type refusesToRequeue struct{ inner }

func (q refusesToRequeue) Requeue(item Item) error {
	if err := q.inner.TryPut(item); err != queue.ErrFull {
		return err
	}
	return queue.ErrShutdown
}

type requeuesAfterAll struct{ inner }

func (q requeuesAfterAll) Requeue(item Item) error {
	_ = q.inner.Requeue(item)
	return nil
}

type dropsToRequeue struct{ inner }

func (q dropsToRequeue) Requeue(item Item) error {
	if s := q.Stats(); s.Cap > 0 && s.Len >= s.Cap {
		_, _, err := q.inner.ForcePut(item)
		return err
	}
	return q.inner.Requeue(item)
}

// Its items are marked done before they are put again, so that Join slips
// through; the queue says it is not unfinished for a moment.
type requeuesWithoutCounting struct{ inner }

func (q requeuesWithoutCounting) Requeue(item Item) error {
	err := q.inner.Requeue(item)
	if err == nil {
		gap()
		_ = q.TaskDone()
	}
	return err
}

type callsEvictionsDrained struct{ inner }

func (q callsEvictionsDrained) Stats() queue.Stats {
	s := q.inner.Stats()
	s.Drained = s.Dropped
	return s
}

// A loop over batches as programs write it by hand, wrong in the ways in which
// they do.
type batchesByHand struct {
	inner
	collect func(ctx context.Context, q inner, first Item, size int, wait time.Duration) []Item
}

func (q batchesByHand) Batches(ctx context.Context, size int, wait time.Duration) iter.Seq[[]Item] {
	return func(yield func([]Item) bool) {
		for {
			first, err := q.inner.Get(ctx)
			if err != nil {
				return
			}
			items := q.collect(ctx, q.inner, first, size, wait)
			ok := items == nil || yield(items)
			_ = q.TaskDoneN(len(items))
			if !ok {
				return
			}
		}
	}
}

// upTo collects with Get, for which a newcomer may be first.
func upTo(ctx context.Context, q inner, first Item, size int, wait func() (context.Context, context.CancelFunc)) (items []Item, err error) {
	items = []Item{first}
	for len(items) < size && err == nil {
		ctx, cancel := wait()
		var item Item
		if item, err = q.Get(ctx); err == nil {
			items = append(items, item)
		}
		cancel()
	}
	return items, err
}

type splitsATrickle struct{ batchesByHand }

func newSplitsATrickle(q inner) target {
	return splitsATrickle{batchesByHand{q, func(ctx context.Context, q inner, first Item, size int, wait time.Duration) []Item {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		items, _ := upTo(ctx, q, first, size, func() (context.Context, context.CancelFunc) { return ctx, func() {} })
		return items
	}}}
}

type restartsItsLinger struct{ batchesByHand }

func newRestartsItsLinger(q inner) target {
	return restartsItsLinger{batchesByHand{q, func(ctx context.Context, q inner, first Item, size int, wait time.Duration) []Item {
		items, _ := upTo(ctx, q, first, size, func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, wait) })
		return items
	}}}
}

type dropsABatchWhenCancelled struct{ batchesByHand }

func newDropsABatchWhenCancelled(q inner) target {
	return dropsABatchWhenCancelled{batchesByHand{q, func(ctx context.Context, q inner, first Item, size int, wait time.Duration) []Item {
		items, err := upTo(ctx, q, first, size, func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, wait) })
		if err == context.Canceled {
			return nil
		}
		return items
	}}}
}

// A loop that is right in all that follows but in one thing.
type changedBatches struct {
	inner
	size   func(size int) int
	linger func(linger time.Duration) time.Duration
	twice  bool // marks each batch done twice
}

func (q changedBatches) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]Item] {
	return func(yield func([]Item) bool) {
		for items := range q.inner.Batches(ctx, q.size(size), q.linger(linger)) {
			ok := yield(items)
			if q.twice {
				_ = q.TaskDoneN(len(items)) //queuevet:ignore the mistake that the test is to notice
			}
			if !ok {
				return
			}
		}
	}
}

func same[T any](x T) T { return x }

type yieldsTooFew struct{ changedBatches }

func newYieldsTooFew(q inner) target {
	return yieldsTooFew{changedBatches{q, func(int) int { return 1 }, same[time.Duration], false}}
}

type yieldsTooSoon struct{ changedBatches }

func newYieldsTooSoon(q inner) target {
	return yieldsTooSoon{changedBatches{q, same[int], func(time.Duration) time.Duration { return 0 }, false}}
}

type lingersTooLong struct{ changedBatches }

func newLingersTooLong(q inner) target {
	return lingersTooLong{changedBatches{q, same[int], func(d time.Duration) time.Duration { return 2 * d }, false}}
}

type marksABatchTwice struct{ changedBatches }

func newMarksABatchTwice(q inner) target {
	return marksABatchTwice{changedBatches{q, same[int], same[time.Duration], true}}
}

// One signal must do for all items that are queued.
type signalsOnce struct{ inner }

func (q signalsOnce) TryGet() (Item, error) {
	item, err := q.inner.TryGet()
	if err == nil {
		select {
		case <-q.inner.Ready():
		default:
		}
	}
	return item, err
}

type signalsForNothing struct{ inner }

func (q signalsForNothing) Ready() <-chan struct{} {
	ready := make(chan struct{}, 1)
	ready <- struct{}{}
	return ready
}

type neverClosesReady struct{ inner }

func (q neverClosesReady) Ready() <-chan struct{} {
	if q.Stats().Shutdown {
		return nil
	}
	return q.inner.Ready()
}

type closesReadyAtOnce struct{ inner }

func (q closesReadyAtOnce) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

type oldestFirst struct{ inner }

type newestFirst struct{ inner }

type leastFirst struct{ inner }

// Equal items leave in another order than they came.
type unstable struct{ inner }

func newUnstable(capacity int) target {
	return unstable{queue.NewPriority(capacity, func(a, b Item) int {
		if c := Compare(a, b); c != 0 {
			return c
		}
		return int(b) - int(a)
	})}
}

func TestWrongQueuesAreNotLinearizable(t *testing.T) {
	q := func(capacity int) inner { return newQueue(FIFO, capacity) }
	for _, wrong := range []struct {
		order Order
		make  func(capacity int) target
	}{
		{FIFO, func(c int) target { return losesAnItemWhenCancelled{q(c)} }},
		{FIFO, func(c int) target { return putsThoughCancelled{q(c)} }},
		{FIFO, func(c int) target { return looksAtTheContextLast{q(c)} }},
		{FIFO, func(c int) target { return endsWithoutACause{q(c)} }},
		{FIFO, func(c int) target { return deliversTwice{q(c)} }},
		{FIFO, func(c int) target { return fullTooEarly{q(c)} }},
		{FIFO, func(c int) target { return emptyTooEarly{q(c)} }},
		{FIFO, func(c int) target { return overfills{q(c)} }},
		{FIFO, func(c int) target { return putsBatchesItemByItem{q(c)} }},
		{FIFO, func(c int) target { return miscountsABatch{q(c)} }},
		{FIFO, func(c int) target { return getsBatchesItemByItem{q(c)} }},
		{FIFO, func(c int) target { return getsTooSmallABatch{q(c)} }},
		{FIFO, func(c int) target { return evictsAnother{q(c)} }},
		{FIFO, func(c int) target { return evictsInTwoSteps{q(c)} }},
		{FIFO, func(c int) target { return peeksAndTakes{q(c)} }},
		{FIFO, func(c int) target { return tellsAnOldLength{q(c), new(int)} }},
		{FIFO, func(c int) target { return drainsInTwoSteps{q(c)} }},
		{FIFO, func(c int) target { return drainsOutOfOrder{q(c)} }},
		{FIFO, func(c int) target { return forgetsToShutDown{q(c)} }},
		{FIFO, func(c int) target { return marksTooManyDone{q(c)} }},
		{FIFO, func(c int) target { return joinsTooEarly{q(c)} }},
		{FIFO, func(c int) target { return missesItsWakeUp{q(c)} }},
		{FIFO, func(c int) target { return forgetsToLetPutsIn{q(c)} }},
		{FIFO, func(c int) target { return forgetsJoins{q(c)} }},
		{FIFO, func(c int) target { return resizesToAnother{q(c)} }},
		{FIFO, func(c int) target { return putsABatchInTwoSteps{q(c)} }},
		{FIFO, func(c int) target { return refusesABatchAsAWhole{q(c)} }},
		{FIFO, func(c int) target { return countsARefusedBatchOnce{q(c), new(int)} }},
		{FIFO, func(c int) target { return takesABatchItemByItem{q(c)} }},
		{FIFO, func(c int) target { return refusesToRequeue{q(c)} }},
		{FIFO, func(c int) target { return requeuesAfterAll{q(c)} }},
		{FIFO, func(c int) target { return dropsToRequeue{q(c)} }},
		{FIFO, func(c int) target { return requeuesWithoutCounting{q(c)} }},
		{FIFO, func(c int) target { return callsEvictionsDrained{q(c)} }},
		{FIFO, func(c int) target { return newSplitsATrickle(q(c)) }},
		{FIFO, func(c int) target { return newRestartsItsLinger(q(c)) }},
		{FIFO, func(c int) target { return newDropsABatchWhenCancelled(q(c)) }},
		{FIFO, func(c int) target { return newYieldsTooFew(q(c)) }},
		{FIFO, func(c int) target { return newYieldsTooSoon(q(c)) }},
		{FIFO, func(c int) target { return newLingersTooLong(q(c)) }},
		{FIFO, func(c int) target { return newMarksABatchTwice(q(c)) }},
		{FIFO, func(c int) target { return signalsOnce{q(c)} }},
		{FIFO, func(c int) target { return signalsForNothing{q(c)} }},
		{FIFO, func(c int) target { return neverClosesReady{q(c)} }},
		{FIFO, func(c int) target { return closesReadyAtOnce{q(c)} }},
		{LIFO, func(c int) target { return oldestFirst{q(c)} }},
		{FIFO, func(c int) target { return newestFirst{newQueue(LIFO, c)} }},
		{FIFO, func(c int) target { return leastFirst{newQueue(Priority, c)} }},
		{Priority, newUnstable},
	} {
		t.Run(reflect.TypeOf(wrong.make(1)).Name(), func(t *testing.T) {
			const limit = 20000
			for seed := range uint64(limit) {
				capacity := capacities[seed%4]
				model := Model(wrong.order, capacity)
				history := record(t, seed, wrong.make(capacity))
				if !porcupine.CheckOperations(model, history) {
					t.Logf("found out by history %d", seed+1)
					return
				}
			}
			t.Fatalf("%d histories of it are linearizable", limit)
		})
	}
}

// The early TaskDone makes the second turn's mark take the unfinished count to
// zero; the turn then frees the slot for item 3, and takes that too.
func TestAJoinReturnsBetweenTheMarkOfATurnAndTheItemsThatItLetsIn(t *testing.T) {
	at := func(client int, call, end int64, in Input, out Output) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Call: call, Return: end, Input: in, Output: out}
	}
	history := func(joined int64) []porcupine.Operation {
		return []porcupine.Operation{
			at(0, 1, 2, Input{Op: Put, Item: 1}, Output{}),
			at(1, 3, 4, Input{Op: Take, Batch: 1, N: 1, Last: true}, Output{Items: "\x01"}),
			at(0, 5, 16, Input{Op: PutBatch, Batch: 1, Item: 2}, Output{}),
			at(0, 5, 16, Input{Op: PutBatch, Batch: 1, Index: 1, Item: 3, Last: true}, Output{}),
			at(3, 5, 6, Input{Op: Len}, Output{N: 1}),
			at(3, 7, 8, Input{Op: TaskDone, N: 1}, Output{}),
			at(1, 11, 12, Input{Op: Mark, Batch: 2, N: 1}, Output{}),
			at(1, 13, 14, Input{Op: Take, Batch: 2, N: 2}, Output{Items: "\x02"}),
			at(1, 13, 14, Input{Op: Take, Batch: 2, Index: 1, N: 2, Last: true}, Output{Items: "\x03"}),
			at(2, joined, joined+8, Input{Op: Join}, Output{}),
		}
	}
	require.True(t, porcupine.CheckOperations(Model(FIFO, 1), history(10)))
	require.False(t, porcupine.CheckOperations(Model(FIFO, 1), history(17)), "after the turn, item 3 is unfinished")
}

func TestAHistoryThatIsNotLinearizableIsDrawn(t *testing.T) {
	t.Setenv("QUEUE_PICTURES", t.TempDir()+"/pictures")
	model := Model(FIFO, 1)
	history := []porcupine.Operation{
		{ClientId: 0, Call: 1, Return: 2, Input: Input{Op: Put, Item: 1}, Output: Output{}},
		{ClientId: 1, Call: 3, Return: 4, Input: Input{Op: TryGet}, Output: Output{Err: queue.ErrEmpty}},
	}
	require.False(t, porcupine.CheckOperations(model, history))
	drawn, err := os.ReadFile(picture(t, model, history, "lost"))
	require.NoError(t, err)
	require.Contains(t, string(drawn), "TryGet() -\\u003e queue: empty")
}
