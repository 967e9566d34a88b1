package natsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func noDelay(int) time.Duration { return 0 }

// letters returns the dead letters of a queue.
func letters[T any](t testing.TB, q *natsqueue.Queue[T]) (all []natsqueue.DeadLetter[T]) {
	t.Helper()
	for l, err := range q.DeadLetters(soon(t)) {
		require.NoError(t, err)
		all = append(all, l)
	}
	return all
}

func TestHandleRetriesFailuresAndRejectsRejections(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithBackoff(noDelay), natsqueue.WithMaxDeliveries(3))
	fill(t, q, 20)
	require.NoError(t, q.Shutdown(soon(t), false))
	var calls, working atomic.Int64
	err := q.Handle(soon(t), 4, func(_ context.Context, item int) error {
		calls.Add(1)
		assert.LessOrEqual(t, working.Add(1), int64(4))
		defer working.Add(-1)
		switch item {
		case 7:
			return fmt.Errorf("item: %w", natsqueue.Reject(errors.New("not a prime, on purpose")))
		case 9:
			return errors.New("out of luck")
		}
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 18+1+3, calls.Load())
	reasons := map[int]string{}
	for _, l := range letters(t, q) {
		reasons[l.Item] = l.Reason
	}
	require.Equal(t, map[int]string{7: "item: not a prime, on purpose", 9: "out of luck"}, reasons)
}

func TestHandleEndsWithItsContextOrTheHandle(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	f := func(context.Context, int) error { return nil }
	require.ErrorContains(t, q.Handle(soon(t), 0, f), "must be positive")
	require.Equal(t, context.DeadlineExceeded, q.Handle(within(t, 50*time.Millisecond), 2, f))
	var handler sync.WaitGroup
	handler.Go(func() { assert.Equal(t, natsqueue.ErrClosed, q.Handle(soon(t), 2, f)) })
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, q.Close())
	handler.Wait()
	require.Panics(t, func() { _ = natsqueue.Reject(nil) })
}

func TestAnItemThatWasDeliveredTooOftenBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithMaxDeliveries(2))
	fill(t, q, 1)
	for range 2 {
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, task.Retry(soon(t), 0))
	}
	require.NoError(t, q.Shutdown(soon(t), false))
	err := error(natsqueue.ErrUnconfirmed)
	for errors.Is(err, natsqueue.ErrUnconfirmed) { // a busy machine may not reject it within the ack wait
		_, err = q.Get(soon(t))
	}
	require.ErrorIs(t, err, queue.ErrShutdown)
	all := letters(t, q)
	require.Len(t, all, 1)
	require.Regexp(t, `^delivered \d+ times without success$`, all[0].Reason)
}

func TestHeadersTravelWithTheItem(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	require.NoError(t, q.Put(soon(t), 1, natsqueue.PutHeader(nats.Header{"traceparent": {"00-1-2-01"}})))
	_, err := q.PutBatch(soon(t), []int{2, 3}, natsqueue.PutHeader(nats.Header{"traceparent": {"00-1-2-01"}}))
	require.NoError(t, err)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, "00-1-2-01", task.Header().Get("traceparent"))
	require.NoError(t, task.Reject(soon(t), "no"))
	require.Equal(t, "00-1-2-01", letters(t, q)[0].Header.Get("traceparent"))
	require.NoError(t, q.Shutdown(soon(t), false))
	require.NoError(t, q.Handle(soon(t), 1, func(ctx context.Context, _ int) error {
		assert.Equal(t, "00-1-2-01", natsqueue.HeaderFrom(ctx).Get("traceparent"))
		return nil
	}))
	require.Nil(t, natsqueue.HeaderFrom(background))
	for _, key := range []string{"Nats-Msg-Id", "Natsqueue-Reason", "Nats-Rollup"} {
		require.ErrorContains(t, q.Put(soon(t), 1, natsqueue.PutHeader(nats.Header{key: {"x"}})), "reserved")
	}
}

func TestAnItemIsStoredOnceForEachID(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	require.NoError(t, q.Put(soon(t), 1, natsqueue.PutID("order-1")))
	require.ErrorIs(t, q.Put(soon(t), 1, natsqueue.PutID("order-1")), natsqueue.ErrDuplicate)
	get(t, q)
	require.ErrorIs(t, q.TryPut(soon(t), 1, natsqueue.PutID("order-1")), natsqueue.ErrDuplicate, "though it is done")
	require.NoError(t, q.Put(soon(t), 2, natsqueue.PutID("order-2")))
	require.Error(t, q.Put(soon(t), 2, natsqueue.PutID("")))
	require.Equal(t, 1, stats(t, q).Unfinished)
}

func TestADelayedItemComesAfterItsDelayAndDelaysNoOther(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	for delay := time.Second; ; delay *= 2 {
		begin := time.Now()
		require.NoError(t, q.PutAfter(soon(t), 1, delay))
		require.NoError(t, q.Put(soon(t), 2))
		first, err := q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, first.Done(soon(t)))
		second, err := q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, second.Done(soon(t)))
		require.GreaterOrEqual(t, time.Since(begin), delay)
		if first.Item == 2 { // unless the test was too slow to see it
			require.Equal(t, 1, second.Item)
			require.Equal(t, 1, second.Deliveries())
			return
		}
	}
}

func TestRedrivePutsDeadLettersBack(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(10))
	reject := func() {
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		require.Equal(t, 1, task.Deliveries())
		require.NoError(t, task.Reject(soon(t), fmt.Sprintf("no %d", task.Item)))
	}
	fill(t, q, 5)
	for range 5 {
		reject()
	}
	for round := range 3 { // dead letters that were put back before, too
		n, err := q.Redrive(soon(t), 2)
		require.NoError(t, err)
		require.Equal(t, 2, n, round)
		require.Equal(t, 3, stats(t, q).DeadLetters)
		n, err = q.Redrive(soon(t), 0)
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Empty(t, letters(t, q))
		for range 5 {
			reject()
		}
	}
	all := letters(t, q)
	require.Len(t, all, 5)
	for i, l := range all {
		require.Equal(t, i+1, l.Item)
		require.Equal(t, fmt.Sprintf("no %d", i+1), l.Reason)
		require.NoError(t, l.Err)
	}
	_, err := q.Redrive(soon(t), 0)
	require.NoError(t, err)
	for want := range 5 {
		require.Equal(t, want+1, get(t, q))
	}
	require.NoError(t, connect(t, shared.ClientURL()).DeleteStream(soon(t), name+"_dead"))
	require.Empty(t, letters(t, q))
	n, err := q.Redrive(soon(t), 0)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithDeadLetterLimit(3, time.Hour))
	fill(t, q, 5)
	for range 5 {
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, task.Reject(soon(t), "no"))
	}
	var items []int
	for _, l := range letters(t, q) {
		items = append(items, l.Item)
	}
	require.Equal(t, []int{3, 4, 5}, items)
	_, err := natsqueue.Open[int](soon(t), connect(t, shared.ClientURL()), name, natsqueue.WithDeadLetterLimit(4, 0))
	require.ErrorContains(t, err, "its limit of dead letters is 3, not 4")
}

func TestStatsCountWhatHappened(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithCapacity(10))
	fill(t, q, 5)
	get(t, q)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Retry(soon(t), 0))
	task, err = q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Reject(soon(t), "no"))
	_, err = q.Get(soon(t))
	require.NoError(t, err)
	s := stats(t, q)
	require.Positive(t, s.Oldest)
	s.Oldest, s.Waiting = 0, 0
	require.Equal(t, natsqueue.Stats{Len: 2, Cap: 10, InFlight: 1, Unfinished: 3, Put: 5, Done: 2, Delivered: 4, Redelivered: 1, DeadLetters: 1}, s)
	require.NoError(t, q.Shutdown(soon(t), true))
	s = stats(t, q)
	require.EqualValues(t, 5, s.Done)
	require.Zero(t, s.Oldest)
}

func TestOpenRefusesOptionsOfTheServerAndTheHandleThatMakeNoSense(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	for want, opt := range map[string]natsqueue.Option{
		"the number of bytes is 0 and must be positive":        natsqueue.WithMaxBytes(0),
		"the duplicate window is 1s and must be at least 1m0s": natsqueue.WithDuplicateWindow(time.Second),
		"the number of deliveries is 0 and must be positive":   natsqueue.WithMaxDeliveries(0),
		"the backoff is nil":                         natsqueue.WithBackoff(nil),
		"the number of items to fetch ahead is -1":   natsqueue.WithPrefetch(-1),
		"the number of items to fetch ahead is 1001": natsqueue.WithPrefetch(1001),
		"the limit of dead letters is 0 and 0s":      natsqueue.WithDeadLetterLimit(0, 0),
		"the limit of dead letters is -1 and 1h0m0s": natsqueue.WithDeadLetterLimit(-1, time.Hour),
	} {
		_, err := natsqueue.Open[int](soon(t), js, newName(t), opt)
		require.ErrorContains(t, err, want)
	}
	name := newName(t)
	open(t, name, natsqueue.WithMaxBytes(1<<20), natsqueue.WithDuplicateWindow(time.Hour))
	for want, opt := range map[string]natsqueue.Option{
		"its number of bytes is 1048576, not 5":    natsqueue.WithMaxBytes(5),
		"its duplicate window is 1h0m0s, not 2h0m": natsqueue.WithDuplicateWindow(2 * time.Hour),
	} {
		_, err := natsqueue.Open[int](soon(t), js, name, opt)
		require.ErrorContains(t, err, want)
	}
}
