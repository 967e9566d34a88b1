package natsqueue_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A faulty JetStream answers the first calls of PublishMsg with an error of the
// test's, instead of or after storing the message.
type faulty struct {
	jetstream.JetStream
	faults atomic.Int32 // how many more
	err    error
	stores bool
}

func (f *faulty) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if f.faults.Add(-1) < 0 {
		return f.JetStream.PublishMsg(ctx, msg, opts...)
	}
	if f.stores {
		if _, err := f.JetStream.PublishMsg(ctx, msg, opts...); err != nil {
			return nil, err
		}
	}
	return nil, f.err
}

func openFaulty(t *testing.T, name string, f *faulty, opts ...natsqueue.Option) *natsqueue.Queue[int] {
	f.JetStream = connect(t, shared.ClientURL())
	q, err := natsqueue.Open[int](soon(t), f, name, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

func TestAPutWhoseAnswerIsLostStoresItsItemOnce(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, jetstream.ErrNoStreamResponse,
		&jetstream.APIError{Code: 409, ErrorCode: 10158, Description: "duplicate message id is in process"},
	} {
		f := &faulty{err: err, stores: true}
		q := openFaulty(t, newName(t), f)
		f.faults.Store(3)
		require.NoError(t, q.Put(soon(t), 1))
		require.Less(t, f.faults.Load(), int32(0))
		require.Equal(t, 1, stats(t, q).Unfinished, "%v", err)
	}
}

// The server has one error code for all failures of its store.
func TestOnlyAFullQueueBlocksAPut(t *testing.T) {
	t.Parallel()
	f := &faulty{err: errMaxBytes}
	q := openFaulty(t, newName(t), f)
	f.faults.Store(1)
	err := q.Put(soon(t), 1)
	require.NotErrorIs(t, err, queue.ErrFull)
	require.Equal(t, f.err, err)
	f.faults.Store(1)
	require.Equal(t, f.err, q.TryPut(soon(t), 1))
}

// An item that was refused, and is sent again with the same ID, must not count as a
// duplicate.
func TestABlockedPutIsStored(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithCapacity(1))
	var putters sync.WaitGroup
	putters.Go(func() {
		for i := range 30 {
			assert.NoError(t, q.Put(soon(t), i))
		}
	})
	for i := range 30 {
		if i%10 == 0 {
			time.Sleep(100 * time.Millisecond) // until the Put's delay is longest
		}
		require.Equal(t, i, get(t, q))
	}
	putters.Wait()
	require.NoError(t, q.Join(soon(t)))
}

func TestAPutThatGivesUpLeavesTheLineToTheNext(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithCapacity(1))
	fill(t, q, 1)
	first, cancelFirst := context.WithCancel(background)
	second, cancelSecond := context.WithCancel(background)
	errs := make([]error, 3)
	var putters sync.WaitGroup
	for i, ctx := range []context.Context{first, second, soon(t)} {
		putters.Go(func() { errs[i] = q.Put(ctx, i+2) })
		eventually(t, func() bool { return q.InLine() == i+1 }, "it is blocked in line")
	}
	cancelSecond() // blocked behind the first
	cancelFirst()  // polls
	require.Equal(t, 1, get(t, q))
	putters.Wait()
	require.Equal(t, []error{context.Canceled, context.Canceled, nil}, errs)
	require.Equal(t, 4, get(t, q))
	require.NoError(t, q.Join(soon(t)))
}

func TestProducersInSeveralHandlesShareTheCapacity(t *testing.T) {
	t.Parallel()
	const handles, each, capacity = 3, 60, 5
	name := newName(t)
	var putters, workers sync.WaitGroup
	for p := range handles {
		q := open(t, name, natsqueue.WithCapacity(capacity))
		putters.Go(func() {
			for i := range each {
				assert.NoError(t, q.Put(soon(t), p*each+i))
			}
		})
	}
	q := open(t, name)
	last := map[int]int{}
	workers.Go(func() {
		for item := range q.Tasks(soon(t)) {
			assert.LessOrEqual(t, stats(t, q).Unfinished, capacity)
			assert.Equal(t, last[item/each], item%each, "each producer's items in its order")
			last[item/each]++
		}
	})
	putters.Wait()
	require.NoError(t, q.Shutdown(soon(t), false))
	workers.Wait()
	require.Equal(t, map[int]int{0: each, 1: each, 2: each}, last)
}

func TestAPutListensForAcknowledgementsOnceItHasBeenBlockedForAWhile(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(1))
	fill(t, q, 1)
	listeners := func(n int) func() bool {
		return func() bool {
			return shared.GlobalAccount().Interest("$JS.EVENT.METRIC.CONSUMER.ACK."+name+".workers") == n
		}
	}
	var putters sync.WaitGroup
	for range 3 {
		putters.Go(func() { assert.NoError(t, q.Put(soon(t), 2)) })
	}
	eventually(t, listeners(1), "the first in line listens")
	for range 4 {
		get(t, q)
	}
	putters.Wait()
	eventually(t, listeners(0), "no call is blocked any more")
}

func TestATryPutDoesNotOvertakeABlockedPut(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithCapacity(5))
	q.CloseLine() // a call is blocked, and does not know yet that there is room
	require.ErrorIs(t, q.TryPut(soon(t), 1), queue.ErrFull)
	require.Zero(t, stats(t, q).Unfinished)
}

// interrupted is a JetStream under a handle whose calls of Put find the queue full
// until they hear a wake-up. The first attempt after that ends with the call's
// context, unless it is the last call that is blocked.
type interrupted struct {
	jetstream.JetStream
	heard   func() bool
	cancel  context.CancelFunc
	blocked *atomic.Int32 // calls, of all handles
}

func (j *interrupted) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if j.heard == nil || !j.heard() {
		return nil, errMaxMsgs
	}
	if j.blocked.Add(-1) == 0 {
		return j.JetStream.PublishMsg(ctx, msg, opts...)
	}
	j.cancel()
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAPutThatGivesUpPassesItsWakeUpToTheNextHandle(t *testing.T) {
	t.Parallel()
	const handles = 5
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(1))
	fill(t, q, 1)
	metric := "$JS.EVENT.METRIC.CONSUMER.ACK." + name + ".workers"
	var blocked, cancelled, stored, wakeUps atomic.Int32
	blocked.Store(handles)
	var putters sync.WaitGroup
	for range handles {
		ctx, cancel := context.WithCancel(soon(t))
		js := &interrupted{JetStream: connect(t, shared.ClientURL()), cancel: cancel, blocked: &blocked}
		h, err := natsqueue.Open[int](ctx, js, name)
		require.NoError(t, err)
		defer h.Close()
		js.heard = h.Heard
		putters.Go(func() {
			if err := h.Put(ctx, 2); err == nil {
				stored.Add(1)
			} else if assert.ErrorIs(t, err, context.Canceled) {
				cancelled.Add(1)
			}
		})
	}
	eventually(t, func() bool { return shared.GlobalAccount().Interest(metric) == handles }, "all are blocked")
	js := connect(t, shared.ClientURL())
	_, err := js.Conn().Subscribe(metric, func(*nats.Msg) { wakeUps.Add(1) })
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	get(t, q)
	putters.Wait()
	require.Equal(t, int32(1), stored.Load())
	require.Equal(t, int32(handles-1), cancelled.Load())
	eventually(t, func() bool { return wakeUps.Load() == handles }, "one for each Put")
	require.Equal(t, 2, get(t, q))
}

func TestWakeUpsOnTheirWayToAHandleThatNeedsNoneGoToOtherHandles(t *testing.T) {
	t.Parallel()
	const wakeUps = 50
	name := newName(t)
	metric := "$JS.EVENT.METRIC.CONSUMER.ACK." + name + ".workers"
	js, p := connectBehind(t)
	q, err := natsqueue.Open[int](soon(t), js, name)
	require.NoError(t, err)
	defer q.Close()
	require.NoError(t, q.Listen())
	require.NoError(t, js.Conn().Flush())
	other := connect(t, shared.ClientURL()).Conn()
	wake := func() {
		for range wakeUps / 2 {
			require.NoError(t, other.Publish(metric, []byte("{}")))
		}
		require.NoError(t, other.Flush())
	}
	wake()
	require.NoError(t, js.Conn().Flush()) // these are in the handle
	release := p.hold(t)
	wake()
	var passed atomic.Int32
	_, err = other.QueueSubscribe(metric, "natsqueue", func(*nats.Msg) { passed.Add(1) })
	require.NoError(t, err)
	require.NoError(t, other.Flush())
	q.Rest()
	release()
	eventually(t, func() bool { return passed.Load() == wakeUps }, "all are passed on")
}

func TestAUserWhoMayNotRepeatWakeUpsStillHearsThem(t *testing.T) {
	t.Parallel()
	const metric = "$JS.EVENT.METRIC.CONSUMER.ACK.jobs.workers"
	opts := serverOptions(t.TempDir())
	opts.Users = []*server.User{{Username: "mute", Password: "secret", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{metric}}}}, {Username: "any", Password: "secret"}}
	s := startServer(opts)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	var violations atomic.Int32
	count := nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if assert.ErrorIs(t, err, nats.ErrPermissionViolation) {
			violations.Add(1)
		}
	})
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("mute", "secret"), nats.Timeout(time.Minute), count)
	require.NoError(t, err)
	defer nc.Close()
	other, err := nats.Connect(s.ClientURL(), nats.UserInfo("any", "secret"), nats.Timeout(time.Minute))
	require.NoError(t, err)
	defer other.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	q, err := natsqueue.Open[int](soon(t), js, "jobs")
	require.NoError(t, err)
	defer q.Close()
	for range 3 {
		require.NoError(t, q.Listen())
		require.NoError(t, nc.Flush())
		require.NoError(t, other.Publish(metric, []byte("{}")))
		require.NoError(t, other.Flush())
		require.NoError(t, nc.Flush())
		q.Rest()
		eventually(t, func() bool { return violations.Load() == 1 }, "it is told")
	}
	require.True(t, q.Heard())
	require.False(t, q.Deaf())
}
