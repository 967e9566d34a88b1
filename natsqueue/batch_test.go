package natsqueue_test

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onEachServer runs a test on a queue that takes fast batches, and on one that
// does not.
func onEachServer(t *testing.T, test func(t *testing.T, name string, q *natsqueue.Queue[int]), opts ...natsqueue.Option) {
	t.Parallel()
	for _, fast := range []bool{true, false} {
		t.Run(map[bool]string{true: "fast", false: "one at a time"}[fast], func(t *testing.T) {
			t.Parallel()
			name := newName(t)
			q := open(t, name, opts...)
			if !fast { // the handle does not know it yet
				js := connect(t, shared.ClientURL())
				stream, err := js.Stream(soon(t), name)
				require.NoError(t, err)
				config := stream.CachedInfo().Config
				config.AllowBatchPublish = false
				_, err = js.UpdateStream(soon(t), config)
				require.NoError(t, err)
			}
			test(t, name, q)
		})
	}
}

func TestPutBatchStoresItemsInOrder(t *testing.T) {
	onEachServer(t, func(t *testing.T, _ string, q *natsqueue.Queue[int]) {
		for _, n := range []int{0, 1, 2, 3, 256, 257, 600} {
			stored, err := q.PutBatch(soon(t), upTo(n))
			require.NoError(t, err)
			require.Equal(t, n, stored)
			require.Equal(t, n, stats(t, q).Unfinished)
			for want := range n {
				require.Equal(t, want+1, get(t, q))
			}
		}
	})
}

func TestPutBatchThatDoesNotFitStoresAPrefixAndBlocksForRoom(t *testing.T) {
	onEachServer(t, func(t *testing.T, _ string, q *natsqueue.Queue[int]) {
		ctx, cancel := context.WithCancel(soon(t))
		var n int
		var err error
		var putter sync.WaitGroup
		putter.Go(func() { n, err = q.PutBatch(ctx, upTo(30)) })
		eventually(t, func() bool { return stats(t, q).Unfinished == 7 && q.InLine() == 1 }, "the queue is full")
		for want := range 10 {
			require.Equal(t, want+1, get(t, q))
		}
		eventually(t, func() bool { return stats(t, q).Unfinished == 7 }, "the queue is full again")
		require.ErrorIs(t, q.TryPut(soon(t), 99), queue.ErrFull)
		cancel()
		putter.Wait()
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 17, n)
		for want := range 7 {
			require.Equal(t, want+11, get(t, q))
		}
		require.NoError(t, q.Join(soon(t)))
	}, natsqueue.WithCapacity(7))
}

func TestPutBatchesOfSeveralProducersKeepEachOnesOrder(t *testing.T) {
	onEachServer(t, func(t *testing.T, _ string, q *natsqueue.Queue[int]) {
		const producers, each = 4, 300
		var putters sync.WaitGroup
		for p := range producers {
			putters.Go(func() {
				items := make([]int, each)
				for i := range items {
					items[i] = p*each + i
				}
				for len(items) > 0 {
					n, err := q.PutBatch(soon(t), items[:min(len(items), 50)])
					assert.NoError(t, err)
					items = items[n:]
				}
			})
		}
		next := make([]int, producers)
		for range producers * each {
			item := get(t, q)
			require.Equal(t, next[item/each], item%each)
			next[item/each]++
		}
		putters.Wait()
		require.NoError(t, q.Join(soon(t)))
	}, natsqueue.WithCapacity(20))
}

func TestPutBatchOnAQueueThatWasShutDownStoresNothing(t *testing.T) {
	onEachServer(t, func(t *testing.T, name string, q *natsqueue.Queue[int]) {
		for _, immediate := range []bool{false, true} {
			require.NoError(t, open(t, name).Shutdown(soon(t), immediate))
			n, err := q.PutBatch(soon(t), upTo(10))
			require.ErrorIs(t, err, queue.ErrShutdown)
			require.Zero(t, n)
		}
	})
}

func TestPutBatchWhoseAnswersAreLostStoresEachItemOnce(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q, p := openBehind(t, name)
	p.deafen(true)
	n, err := q.PutBatch(within(t, time.Minute), upTo(100))
	require.NoError(t, err)
	require.Equal(t, 100, n)
	other := open(t, name)
	require.Equal(t, 100, stats(t, other).Unfinished)
	for want := range 100 {
		require.Equal(t, want+1, get(t, other))
	}
}

func TestPutBatchEndsBeforeAnItemThatCantBeStored(t *testing.T) {
	t.Parallel()
	q, err := natsqueue.Open[string](soon(t), connect(t, shared.ClientURL()), newName(t), natsqueue.WithCodec(upper{}))
	require.NoError(t, err)
	defer q.Close()
	n, err := q.PutBatch(soon(t), []string{"a", "b", "", "c"})
	require.ErrorIs(t, err, errEmpty)
	require.Equal(t, 2, n)
	n, err = q.PutBatch(soon(t), []string{"c", strings.Repeat("x", 2<<20), "d"})
	require.ErrorIs(t, err, nats.ErrMaxPayload)
	require.Equal(t, 1, n)
	require.Equal(t, 3, stats(t, q).Unfinished)
	_, err = q.PutBatch(soon(t), []string{"e", "f"}, natsqueue.PutID("one"))
	require.ErrorContains(t, err, "one ID for several items")
}

func TestBatchesYieldsQueuedItemsAndLingersForMore(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	fill(t, q, 25)
	require.NoError(t, q.Shutdown(soon(t), false))
	var items []int
	sizes := 0
	for batch := range q.Batches(soon(t), 10, time.Second) {
		require.LessOrEqual(t, len(batch), 10)
		items = append(items, batch...)
		sizes++
	}
	require.Equal(t, upTo(25), items)
	require.LessOrEqual(t, sizes, 4)
	require.NoError(t, q.Join(soon(t)))
	require.Panics(t, func() { q.Batches(soon(t), 0, 0) })
}

func TestABatchWhoseBodyPanicsIsHandedBack(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithAckWait(time.Hour), natsqueue.WithBackoff(func(int) time.Duration { return 0 }))
	fill(t, q, 5)
	func() {
		defer func() { _ = recover() }()
		for range q.Batches(soon(t), 3, time.Second) {
			panic("body")
		}
	}()
	seen := map[int]bool{}
	for range 5 {
		seen[get(t, q)] = true
	}
	require.Len(t, seen, 5)
}

func TestALoopHandsBackPrefetchedItems(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithAckWait(time.Hour))
	other := open(t, name)
	fill(t, q, 100)
	var items []int
	for item := range q.Tasks(soon(t)) {
		items = append(items, item)
		if len(items) == 20 {
			require.Greater(t, stats(t, other).InFlight, 1, "the loop fetches ahead")
			break
		}
	}
	s := stats(t, q)
	require.Equal(t, 80, s.Unfinished, "all that it did is confirmed")
	for range 80 {
		items = append(items, get(t, other))
	}
	require.ElementsMatch(t, upTo(100), items)
}

func TestALoopWithASlowBodyFetchesNothingAhead(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	fill(t, q, 4)
	turns := 0
	for range q.Tasks(soon(t)) {
		require.Equal(t, 1, stats(t, q).InFlight)
		time.Sleep(60 * time.Millisecond)
		if turns++; turns == 4 {
			break
		}
	}
}

// Other loops do not get the items that a loop has fetched ahead while its body runs.
func TestPrefetchedItemsAreKeptAlive(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithAckWait(6*time.Second))
	other := open(t, name)
	fill(t, q, 30)
	var idle sync.WaitGroup
	var taken atomic.Int64
	ctx, cancel := context.WithCancel(soon(t))
	turns := 0
	for range q.Tasks(soon(t)) {
		if turns++; turns == 10 {
			idle.Go(func() {
				for range other.Tasks(ctx) {
					taken.Add(1)
				}
			})
			time.Sleep(10 * time.Second)
		}
		if turns == 20 {
			break
		}
	}
	eventually(t, func() bool { return stats(t, q).Unfinished == 0 }, "the other does the rest")
	require.Zero(t, stats(t, q).Redelivered-uint64(handedBack(t, q, turns, int(taken.Load()))))
	cancel()
	idle.Wait()
}

// handedBack returns the number of deliveries beyond one for each item.
func handedBack(t *testing.T, q *natsqueue.Queue[int], a, b int) int {
	require.Equal(t, 30, a+b, "each item is processed once")
	return int(stats(t, q).Delivered) - 30
}

func TestTryGetTakesAnItemOrReturnsErrEmpty(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	_, err := q.TryGet(soon(t))
	require.ErrorIs(t, err, queue.ErrEmpty)
	fill(t, q, 2)
	task, err := q.TryGet(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, task.Item)
	require.NoError(t, task.Done(soon(t)))
	require.NoError(t, q.Shutdown(soon(t), false))
	task, err = q.TryGet(soon(t))
	require.NoError(t, err)
	_, err = q.TryGet(soon(t))
	require.ErrorIs(t, err, queue.ErrEmpty, "it is in hand, and may come back")
	require.NoError(t, task.Done(soon(t)))
	_, err = q.TryGet(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
	gone := newName(t)
	deleted := open(t, gone)
	require.NoError(t, connect(t, shared.ClientURL()).DeleteStream(soon(t), gone))
	_, err = deleted.TryGet(soon(t))
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

// goroutinesIn returns how many goroutines are in a function whose name contains
// part.
func goroutinesIn(part string) (n int) {
	buffer := make([]byte, 64<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	for _, stack := range bytes.Split(buffer, []byte("\n\n")) {
		if bytes.Contains(stack, []byte(part)) {
			n++
		}
	}
	return n
}

// It is not parallel: it counts the goroutines of all handles.
func TestCancelledTryGetsLeaveOneGoroutineAndNoItem(t *testing.T) {
	const calls, items = 1000, 10
	for _, priorities := range []int{1, 2} {
		name := newName(t)
		js, p := connectBehind(t)
		q, err := natsqueue.Open[int](soon(t), js, name, natsqueue.WithPriorities(priorities), natsqueue.WithAckWait(time.Hour), natsqueue.WithAttemptTime(time.Hour))
		require.NoError(t, err)
		fill(t, q, items)
		release := p.hold(t)
		before := js.Conn().Stats().OutMsgs
		ctx, cancel := context.WithCancel(background)
		var callers sync.WaitGroup
		for range calls {
			callers.Go(func() {
				_, err := q.TryGet(ctx)
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		eventually(t, func() bool { return js.Conn().Stats().OutMsgs >= before+calls }, "each has asked")
		cancel()
		callers.Wait()
		require.LessOrEqual(t, goroutinesIn("natsqueue.(*receiver)"), 1)
		release()
		other := open(t, name)
		var got []int
		for range items {
			got = append(got, get(t, other))
		}
		slices.Sort(got)
		require.Equal(t, upTo(items), got)
		require.NoError(t, q.Close())
		eventually(t, func() bool { return goroutinesIn("natsqueue.(*receiver)") == 0 }, "it has ended")
		require.Zero(t, stats(t, other).Unfinished)
	}
}

func TestCloseHandsBackTheItemOfACancelledTryGet(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js, p := connectBehind(t)
	q, err := natsqueue.Open[int](soon(t), js, name, natsqueue.WithAckWait(time.Hour), natsqueue.WithAttemptTime(time.Hour))
	require.NoError(t, err)
	fill(t, q, 1)
	release := p.hold(t)
	before := js.Conn().Stats().OutMsgs
	ctx, cancel := context.WithCancel(background)
	var caller sync.WaitGroup
	caller.Go(func() {
		_, err := q.TryGet(ctx)
		assert.ErrorIs(t, err, context.Canceled)
	})
	eventually(t, func() bool { return js.Conn().Stats().OutMsgs > before }, "it has asked")
	cancel()
	caller.Wait()
	subscriptions := js.Conn().NumSubscriptions()
	caller.Go(func() { assert.NoError(t, q.Close()) })
	eventually(t, func() bool { return js.Conn().NumSubscriptions() < subscriptions-1 }, "it closes")
	release()
	caller.Wait()
	require.Equal(t, 1, get(t, open(t, name)))
}

func TestCloseReturnsThoughTheAnswerToACancelledTryGetIsLost(t *testing.T) {
	t.Parallel()
	js, p := connectBehind(t)
	q, err := natsqueue.Open[int](soon(t), js, newName(t), natsqueue.WithAttemptTime(time.Hour))
	require.NoError(t, err)
	p.deafen(true)
	_, err = q.TryGet(within(t, 10*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, q.Close())
}

// The server must not take the batches of several handles for one.
func TestPutBatchesOfSeveralHandlesAtOnceStoreEveryItem(t *testing.T) {
	t.Parallel()
	const handles, rounds, size = 4, 30, 40
	name := newName(t)
	var putters sync.WaitGroup
	for h := range handles {
		q := open(t, name)
		putters.Go(func() {
			for round := range rounds {
				items := make([]int, size)
				for i := range items {
					items[i] = (h*rounds+round)*size + i + 1
				}
				n, err := q.PutBatch(soon(t), items)
				assert.NoError(t, err)
				assert.Equal(t, size, n)
			}
		})
	}
	putters.Wait()
	q := open(t, name)
	require.NoError(t, q.Shutdown(soon(t), false))
	var got []int
	for item := range q.Tasks(soon(t)) {
		got = append(got, item)
	}
	slices.Sort(got)
	require.Equal(t, upTo(handles*rounds*size), got)
}
