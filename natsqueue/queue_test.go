package natsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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

func TestOpenRefusesABadName(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	for _, name := range []string{"", "a.b", "a b", "a*", ">", "a/b", `a\b`, "a\tb"} {
		_, err := natsqueue.Open[int](soon(t), js, name)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, context.DeadlineExceeded, name)
	}
	for name, want := range map[string]string{
		"a\x00b":                 "a control character",
		"a\x7fb":                 "a control character",
		"a\xffb":                 "no valid UTF-8",
		strings.Repeat("x", 251): "the name has 251 bytes and may have no more than 250",
	} {
		_, err := natsqueue.Open[int](soon(t), js, name)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		for made := range js.StreamNames(soon(t)).Name() {
			require.False(t, strings.HasPrefix(made, name[:1]), "nothing was made")
		}
	}
	q := open(t, strings.Repeat("y", 250))
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Reject(soon(t), "no"))
}

func TestOpenRefusesABadOption(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	for want, opts := range map[string][]natsqueue.Option{
		"the capacity is 0 and must be positive":                  {natsqueue.WithCapacity(0)},
		"the capacity is -5 and must be positive":                 {natsqueue.WithCapacity(-5)},
		"the ack wait is 0s and must be at least 100ms":           {natsqueue.WithAckWait(0)},
		"the ack wait is -1s and must be at least 100ms":          {natsqueue.WithAckWait(-time.Second)},
		"the ack wait is 1ns and must be at least 100ms":          {natsqueue.WithAckWait(1)},
		"the number of items in flight is 0 and must be positive": {natsqueue.WithMaxInFlight(0)},
		"the number of replicas is 0 and must be positive":        {natsqueue.WithReplicas(0)},
		"the codec is nil": {natsqueue.WithCodec(nil)},
		"replicas > 1 not supported in non-clustered mode":           {natsqueue.WithReplicas(3)},
		"the number of replicas is -1 and must be positive":          {natsqueue.WithCapacity(9), natsqueue.WithReplicas(-1)},
		"the number of items in flight is -100 and must be positive": {natsqueue.WithMaxInFlight(-100)},
	} {
		name := newName(t)
		_, err := natsqueue.Open[int](soon(t), js, name, opts...)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, name)
		_, err = js.Stream(soon(t), name)
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound, "nothing was made")
	}
}

func TestOpenRefusesAStreamThatIsNotTheQueueAskedFor(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	name := newName(t)
	open(t, name, natsqueue.WithCapacity(7), natsqueue.WithAckWait(5*time.Second), natsqueue.WithMaxInFlight(3))
	for want, opt := range map[string]natsqueue.Option{
		"its capacity is 7, not 8":                  natsqueue.WithCapacity(8),
		"its ack wait is 5s, not 6s":                natsqueue.WithAckWait(6 * time.Second),
		"its number of items in flight is 3, not 4": natsqueue.WithMaxInFlight(4),
		"its number of replicas is 1, not 3":        natsqueue.WithReplicas(3),
		"its storage is File, not Memory":           natsqueue.WithMemoryStorage(),
	} {
		_, err := natsqueue.Open[int](soon(t), js, name, opt)
		require.ErrorContains(t, err, want)
	}
	unbounded := newName(t)
	open(t, unbounded)
	for want, opt := range map[string]natsqueue.Option{
		"its capacity has no bound, and 8 was asked for":                  natsqueue.WithCapacity(8),
		"its number of items in flight has no bound, and 4 was asked for": natsqueue.WithMaxInFlight(4),
	} {
		_, err := natsqueue.Open[int](soon(t), js, unbounded, opt)
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, 7, stats(t, open(t, name)).Cap, "options that are not given are taken as they are")

	_, err := natsqueue.Open[int](soon(t), js, name+"_dead")
	require.ErrorContains(t, err, "not a queue")
	other := newName(t)
	_, err = js.CreateStream(soon(t), jetstream.StreamConfig{Name: other, Subjects: []string{other}})
	require.NoError(t, err)
	_, err = natsqueue.Open[int](soon(t), js, other)
	require.ErrorContains(t, err, "not a queue")
	third := newName(t)
	_, err = js.CreateStream(soon(t), jetstream.StreamConfig{Name: third + "_dead", Subjects: []string{third}})
	require.NoError(t, err)
	_, err = natsqueue.Open[int](soon(t), js, third)
	require.ErrorContains(t, err, "not for its dead letters")
}

func TestOpenRefusesAServerWithoutJetStreamAndWaitsForOneThatIsAway(t *testing.T) {
	t.Parallel()
	opts := serverOptions(t.TempDir())
	opts.JetStream = false
	s := startServer(opts)
	js := connect(t, s.ClientURL())
	_, err := natsqueue.Open[int](soon(t), js, newName(t))
	require.ErrorIs(t, err, jetstream.ErrJetStreamNotEnabled)
	s.Shutdown()
	s.WaitForShutdown()
	_, err = natsqueue.Open[int](within(t, 300*time.Millisecond), js, newName(t))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestConcurrentOpensCreateOneQueue(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js := connect(t, shared.ClientURL())
	var openers sync.WaitGroup
	for i := range 8 {
		openers.Go(func() {
			q, err := natsqueue.Open[int](soon(t), js, name, natsqueue.WithCapacity(8))
			if assert.NoError(t, err) {
				assert.NoError(t, q.Put(soon(t), i))
				assert.NoError(t, q.Close())
			}
		})
	}
	openers.Wait()
	require.Equal(t, 8, stats(t, open(t, name)).Len)
}

// A stream with other settings could lose messages, or hold them for ever.
func TestTheStreamIsAsTheQueueNeedsIt(t *testing.T) {
	t.Parallel()
	name := newName(t)
	open(t, name, natsqueue.WithCapacity(100))
	js := connect(t, shared.ClientURL())
	stream, err := js.Stream(soon(t), name)
	require.NoError(t, err)
	s := stream.CachedInfo().Config
	require.Equal(t, jetstream.WorkQueuePolicy, s.Retention)
	require.Equal(t, jetstream.DiscardNew, s.Discard)
	require.EqualValues(t, 100, s.MaxMsgs)
	require.EqualValues(t, -1, s.MaxMsgsPerSubject)
	require.EqualValues(t, -1, s.MaxBytes)
	require.Equal(t, []string{"natsqueue." + name + ".>"}, s.Subjects)
	require.Equal(t, 10*time.Minute, s.Duplicates)
	require.Zero(t, s.MaxAge)
	require.Equal(t, jetstream.FileStorage, s.Storage)
	consumer, err := stream.Consumer(soon(t), "workers")
	require.NoError(t, err)
	c := consumer.CachedInfo().Config
	require.Equal(t, jetstream.AckExplicitPolicy, c.AckPolicy)
	require.Equal(t, -1, c.MaxDeliver)
	require.Equal(t, -1, c.MaxAckPending)
	require.Empty(t, c.BackOff)
	require.Equal(t, 30*time.Second, c.AckWait)
}

func TestAQueueWithoutACapacityIsUnbounded(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithMemoryStorage())
	for i := range 2000 {
		require.NoError(t, q.TryPut(soon(t), i))
	}
	require.Equal(t, figures{Len: 2000, Unfinished: 2000}, remote{q}.figures(t))
}

func TestTheCapacityCoversItemsInProgress(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithCapacity(2))
	fill(t, q, 2)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.ErrorIs(t, q.TryPut(soon(t), 3), queue.ErrFull)
	require.Equal(t, figures{Len: 1, Cap: 2, Unfinished: 2}, remote{q}.figures(t))
	require.Equal(t, 1, stats(t, q).InFlight)
	require.NoError(t, task.Done(soon(t)))
	require.NoError(t, q.TryPut(soon(t), 3))
}

func TestMaxInFlightLimitsAllWorkersTogether(t *testing.T) {
	t.Parallel()
	name := newName(t)
	a := open(t, name, natsqueue.WithMaxInFlight(2))
	b := open(t, name)
	fill(t, a, 3)
	first, err := a.Get(soon(t))
	require.NoError(t, err)
	_, err = b.Get(soon(t))
	require.NoError(t, err)
	_, err = b.Get(within(t, 300*time.Millisecond))
	require.Equal(t, context.DeadlineExceeded, err)
	require.NoError(t, first.Done(soon(t)))
	third, err := b.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, 3, third.Item)
}

func TestAnItemThatIsTooLargeIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	q, err := natsqueue.Open[string](soon(t), connect(t, shared.ClientURL()), newName(t))
	require.NoError(t, err)
	defer q.Close()
	large := strings.Repeat("x", 2<<20)
	require.ErrorIs(t, q.Put(soon(t), large), nats.ErrMaxPayload)
	require.ErrorIs(t, q.TryPut(soon(t), large), nats.ErrMaxPayload)
	require.Zero(t, stats(t, q).Unfinished)
	require.NoError(t, q.Put(soon(t), "small"))
	require.Equal(t, "small", get(t, q))
}

// upper is a codec of strings, which can't encode empty ones.
type upper struct{}

var errEmpty = errors.New("empty string")

func (upper) Marshal(item any) ([]byte, error) {
	s := item.(string)
	if s == "" {
		return nil, errEmpty
	}
	return []byte(strings.ToUpper(s)), nil
}

func (upper) Unmarshal(data []byte, item any) error {
	if string(data) != strings.ToUpper(string(data)) {
		return errors.New("not in capitals")
	}
	*item.(*string) = string(data)
	return nil
}

func TestItemsAreEncodedByTheCodec(t *testing.T) {
	t.Parallel()
	q, err := natsqueue.Open[string](soon(t), connect(t, shared.ClientURL()), newName(t), natsqueue.WithCodec(upper{}))
	require.NoError(t, err)
	defer q.Close()
	require.ErrorIs(t, q.Put(soon(t), ""), errEmpty)
	require.NoError(t, q.Put(soon(t), "item"))
	require.Equal(t, "ITEM", get(t, q))
}

func TestCloseEndsTheCallsOfItsHandleAndNoOthers(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(2))
	other := open(t, name)
	fill(t, q, 2)
	inHand, err := q.Get(soon(t))
	require.NoError(t, err)
	_, err = q.Get(soon(t))
	require.NoError(t, err)

	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() { assert.ErrorIs(t, q.Put(soon(t), 9), natsqueue.ErrClosed) })
		callers.Go(func() {
			_, err := q.Get(soon(t))
			assert.ErrorIs(t, err, natsqueue.ErrClosed)
		})
		callers.Go(func() { assert.ErrorIs(t, q.Join(soon(t)), natsqueue.ErrClosed) })
		callers.Go(func() {
			for range q.Tasks(soon(t)) {
				assert.Fail(t, "an item out of nowhere")
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	callers.Wait()

	// A Put that Close cut off may still be with the server, and would take the slot
	// that Done frees; this one is refused behind it.
	require.ErrorIs(t, other.TryPut(soon(t), 3), queue.ErrFull)
	require.NoError(t, inHand.Done(soon(t)), "what was received can still be marked done")
	require.ErrorIs(t, q.Put(soon(t), 9), natsqueue.ErrClosed)
	require.ErrorIs(t, q.TryPut(soon(t), 9), natsqueue.ErrClosed)
	_, err = q.Get(soon(t))
	require.ErrorIs(t, err, natsqueue.ErrClosed)
	_, err = q.Stats(soon(t))
	require.ErrorIs(t, err, natsqueue.ErrClosed)
	require.ErrorIs(t, q.Join(soon(t)), natsqueue.ErrClosed)
	require.ErrorIs(t, q.Shutdown(soon(t), true), natsqueue.ErrClosed)

	require.NoError(t, other.Put(soon(t), 3))
	require.Equal(t, 3, get(t, other))
}

func TestCloseHandsBackMessagesOnTheirWay(t *testing.T) {
	t.Parallel()
	name := newName(t)
	other := open(t, name, natsqueue.WithAckWait(time.Hour))
	for i := range 20 {
		q := open(t, name)
		_, err := q.Get(within(t, time.Millisecond)) // leaves a request with the server
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, other.Put(soon(t), i))
		require.NoError(t, q.Close())
		task, err := other.Get(soon(t))
		require.NoError(t, err, "the item is lost until its ack wait is over")
		require.Equal(t, i, task.Item)
		require.NoError(t, task.Done(soon(t)))
	}
}

func TestAClosedConnectionEndsEveryCall(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	q, err := natsqueue.Open[int](soon(t), js, newName(t), natsqueue.WithCapacity(1))
	require.NoError(t, err)
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	var callers sync.WaitGroup
	callers.Go(func() {
		_, err := q.Get(soon(t))
		assert.ErrorIs(t, err, nats.ErrConnectionClosed)
	})
	callers.Go(func() { assert.ErrorIs(t, q.Put(soon(t), 2), nats.ErrConnectionClosed) })
	callers.Go(func() { assert.ErrorIs(t, q.Join(soon(t)), nats.ErrConnectionClosed) })
	time.Sleep(50 * time.Millisecond)
	js.Conn().Close()
	callers.Wait()
	require.ErrorIs(t, task.Done(soon(t)), nats.ErrConnectionClosed)
	require.ErrorIs(t, q.Put(soon(t), 2), nats.ErrConnectionClosed)
	require.NoError(t, q.Close())
}

func TestADeletedQueueEndsEveryCall(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(1))
	fill(t, q, 1)
	_, err := q.Get(soon(t))
	require.NoError(t, err)
	var callers sync.WaitGroup
	callers.Go(func() {
		_, err := q.Get(soon(t))
		assert.True(t, errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrStreamNotFound), err)
	})
	callers.Go(func() { assert.ErrorIs(t, q.Put(soon(t), 2), jetstream.ErrStreamNotFound) })
	callers.Go(func() { assert.ErrorIs(t, q.Join(soon(t)), jetstream.ErrStreamNotFound) })
	js := connect(t, shared.ClientURL())
	consumer, err := js.Consumer(soon(t), name, "workers")
	require.NoError(t, err)
	eventually(t, func() bool {
		info, err := consumer.Info(soon(t))
		return err == nil && info.NumWaiting == 1 && q.InLine() == 1
	}, "the calls wait")
	require.NoError(t, js.DeleteStream(soon(t), name))
	callers.Wait()
	require.ErrorIs(t, q.Shutdown(soon(t), false), jetstream.ErrStreamNotFound)
	otherName := newName(t)
	other := open(t, otherName, natsqueue.WithAckWait(time.Second))
	fill(t, other, 1)
	task, err := other.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(soon(t), otherName))
	require.ErrorContains(t, task.Extend(soon(t)), "not confirmed")
	require.ErrorContains(t, task.Done(soon(t)), "not confirmed")
	_, err = other.Get(soon(t))
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

// The server tells only the requests that it holds at that moment.
func TestADeletedConsumerEndsALaterGet(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	fill(t, q, 1)
	require.NoError(t, connect(t, shared.ClientURL()).DeleteConsumer(soon(t), name, "workers"))
	_, err := q.Get(soon(t))
	require.ErrorIs(t, err, jetstream.ErrConsumerNotFound)
	_, err = q.Get(soon(t))
	require.ErrorIs(t, err, jetstream.ErrConsumerNotFound)
}

func TestAShutdownIsSeenByEveryHandleAndOutlivesThem(t *testing.T) {
	t.Parallel()
	for _, immediate := range []bool{false, true} {
		name := newName(t)
		a, b := open(t, name, natsqueue.WithCapacity(2)), open(t, name)
		fill(t, a, 2)
		var callers sync.WaitGroup
		callers.Go(func() { assert.ErrorIs(t, b.Put(soon(t), 9), queue.ErrShutdown) })
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, a.Shutdown(soon(t), immediate))
		callers.Wait()
		require.ErrorIs(t, open(t, name).TryPut(soon(t), 9), queue.ErrShutdown)
		n := 0
		for range open(t, name).Tasks(soon(t)) {
			n++
		}
		require.Equal(t, map[bool]int{false: 2, true: 0}[immediate], n)
		_, err := b.Get(soon(t))
		require.ErrorIs(t, err, queue.ErrShutdown)
	}
}

// Without the advisory it would take some seconds.
func TestAnIdleWorkerHearsOfAShutdown(t *testing.T) {
	t.Parallel()
	fastest := time.Hour
	for start := time.Now(); fastest > 2*time.Second && time.Since(start) < time.Minute; {
		name := newName(t)
		a, b := open(t, name), open(t, name)
		var worker sync.WaitGroup
		worker.Go(func() {
			_, err := b.Get(soon(t))
			assert.ErrorIs(t, err, queue.ErrShutdown)
		})
		time.Sleep(20 * time.Millisecond)
		begin := time.Now()
		require.NoError(t, a.Shutdown(soon(t), false))
		worker.Wait()
		fastest = min(fastest, time.Since(begin))
	}
	require.Less(t, fastest, 2*time.Second)
}

// An item in progress may be redelivered, so a worker must remain until it is done.
func TestAWorkerStaysUntilTheLastItemIsDone(t *testing.T) {
	t.Parallel()
	name := newName(t)
	a, b := open(t, name), open(t, name)
	fill(t, a, 1)
	task, err := a.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, a.Shutdown(soon(t), false))
	_, err = b.Get(within(t, 300*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, task.Retry(soon(t), 0))
	require.Equal(t, 1, get(t, b))
	_, err = b.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
}

func TestAnImmediateShutdownDoesNotWaitForItemsInProgress(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	fill(t, q, 3)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, q.Shutdown(soon(t), true))
	require.NoError(t, q.Join(soon(t)))
	require.NoError(t, task.Done(soon(t)))
}

func TestAnImmediateShutdownAfterAGracefulOneLeavesItemsInProgress(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithMaxInFlight(1))
	fill(t, q, 600)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, q.Shutdown(soon(t), false))
	require.NoError(t, q.Shutdown(soon(t), true))
	eventually(t, func() bool { return stats(t, q).Unfinished == 1 }, "one is in progress")
	open(t, name, natsqueue.WithMaxInFlight(1))
	require.NoError(t, task.Done(soon(t)))
	require.NoError(t, q.Join(soon(t)))
}

// A slowConn waits before it reads, for as long as slow is set.
type slowConn struct {
	net.Conn
	slow *atomic.Bool
}

func (c slowConn) Read(b []byte) (int, error) {
	if c.slow.Load() {
		time.Sleep(70 * time.Millisecond)
	}
	return c.Conn.Read(b[:min(len(b), 8<<10)])
}

type slowDialer struct{ slow *atomic.Bool }

func (d slowDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return slowConn{c, d.slow}, err
}

func TestAnImmediateShutdownThatTakesLongEndsWithItsContextAndGoesOnWhenItIsCalledAgain(t *testing.T) {
	t.Parallel()
	const items = 600
	var slow atomic.Bool
	nc, err := nats.Connect(shared.ClientURL(), nats.Timeout(time.Minute), nats.SetCustomDialer(slowDialer{&slow}))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	name := newName(t)
	q, err := natsqueue.Open[string](soon(t), js, name)
	require.NoError(t, err)
	defer q.Close()
	for range items {
		require.NoError(t, q.Put(soon(t), strings.Repeat("x", 1<<10)))
	}
	require.NoError(t, q.Shutdown(soon(t), false))
	slow.Store(true)
	begin := time.Now()
	err = q.Shutdown(within(t, 1500*time.Millisecond), true) // of some 6 s that it would take
	require.ErrorIs(t, err, context.DeadlineExceeded)
	other := open(t, name)
	require.Greater(t, stats(t, other).Unfinished, items/4, "after %v", time.Since(begin))
	require.NoError(t, q.Shutdown(soon(t), true))
	eventually(t, func() bool { return stats(t, other).Unfinished == 0 }, "all are dropped")
}

func TestConcurrentShutdownsAllSucceedAndTheStrongestPrevails(t *testing.T) {
	t.Parallel()
	const handles = 4
	js := make([]jetstream.JetStream, handles)
	for i := range js {
		js[i] = connect(t, shared.ClientURL())
	}
	for round := range 60 {
		name := newName(t)
		var qs [handles]*natsqueue.Queue[int]
		for i := range qs {
			var err error
			qs[i], err = natsqueue.Open[int](soon(t), js[i], name)
			require.NoError(t, err)
		}
		fill(t, qs[0], 3)
		immediate := round % (handles + 1) // the number of immediate ones
		begin := make(chan struct{})
		var callers sync.WaitGroup
		for i, q := range qs {
			callers.Go(func() {
				<-begin
				assert.NoError(t, q.Shutdown(soon(t), i < immediate))
			})
		}
		close(begin)
		callers.Wait()
		if immediate > 0 {
			require.NoError(t, qs[0].Join(soon(t)))
		} else {
			require.Equal(t, 3, stats(t, qs[0]).Unfinished)
		}
		require.ErrorIs(t, qs[0].TryPut(soon(t), 9), queue.ErrShutdown)
		for _, q := range qs {
			require.NoError(t, q.Close())
		}
	}
}

func TestAUserNeedsNoPermissionsButThoseOfItsQueue(t *testing.T) {
	t.Parallel()
	may := &server.SubjectPermission{Allow: []string{
		"natsqueue.jobs.>", "natsqueue.jobs_dead.>", "$JS.ACK.jobs.workers.>", "$JS.API.STREAM.*.jobs", "$JS.API.STREAM.*.jobs_dead",
		"$JS.API.CONSUMER.*.jobs.workers", "$JS.API.CONSUMER.MSG.NEXT.jobs.workers", "$JS.EVENT.METRIC.CONSUMER.ACK.jobs.workers",
	}}
	opts := serverOptions(t.TempDir())
	opts.Users = []*server.User{
		{Username: "hears", Password: "secret", Permissions: &server.Permissions{Publish: may, Subscribe: &server.SubjectPermission{Allow: []string{
			"_INBOX.>", "$JS.EVENT.METRIC.CONSUMER.ACK.jobs.workers",
			"$JS.EVENT.ADVISORY.STREAM.UPDATED.jobs", "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.jobs.workers",
		}}}},
		{Username: "hears-nothing", Password: "secret", Permissions: &server.Permissions{Publish: may, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
	}
	s := startServer(opts)
	defer s.WaitForShutdown()
	defer s.Shutdown()
	for _, user := range opts.Users {
		var violations atomic.Int32
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user.Username, "secret"), nats.Timeout(time.Minute), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) { violations.Add(1) }))
		require.NoError(t, err)
		defer nc.Close()
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		q, err := natsqueue.Open[int](soon(t), js, "jobs", natsqueue.WithCapacity(2))
		require.NoError(t, err)
		fill(t, q, 2)
		var callers sync.WaitGroup
		callers.Go(func() { assert.NoError(t, q.Put(soon(t), 3)) })
		time.Sleep(200 * time.Millisecond)
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, task.Extend(soon(t)))
		require.NoError(t, task.Retry(soon(t), 0))
		task, err = q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, task.Reject(soon(t), "no"))
		callers.Wait()
		require.Equal(t, 2, stats(t, q).Len)
		require.Equal(t, 2, get(t, q))
		require.Equal(t, 3, get(t, q))
		require.NoError(t, q.Join(soon(t)))
		other, err := natsqueue.Open[int](soon(t), js, "jobs")
		require.NoError(t, err)
		callers.Go(func() {
			_, err := other.Get(soon(t))
			assert.ErrorIs(t, err, queue.ErrShutdown)
		})
		time.Sleep(50 * time.Millisecond)
		require.NoError(t, q.Shutdown(soon(t), true))
		callers.Wait()
		require.NoError(t, q.Close())
		require.NoError(t, other.Close())
		if user.Username == "hears" {
			require.Zero(t, violations.Load())
		} else {
			eventually(t, func() bool { return violations.Load() > 0 }, "it is told what it may not hear")
		}
		require.NoError(t, js.DeleteStream(soon(t), "jobs"))
	}
}
