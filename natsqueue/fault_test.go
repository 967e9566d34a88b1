package natsqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
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

// A proxy stands between a client and the server. A deaf connection sends and receives
// nothing: it is half-open, as after a router forgot it. What a mute one sends is
// lost.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    map[*proxied]struct{}
	gate     sync.RWMutex // held while data to the clients is kept back
}

type proxied struct {
	client, server net.Conn
	deaf, mute     atomic.Bool
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, conns: map[*proxied]struct{}{}}
	var copies sync.WaitGroup
	copies.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", u.Host)
			if err != nil {
				_ = client.Close()
				continue
			}
			c := &proxied{client: client, server: back}
			p.mu.Lock()
			p.conns[c] = struct{}{}
			p.mu.Unlock()
			pump := func(from, to net.Conn, drop *atomic.Bool, gate sync.Locker) {
				defer c.close()
				buffer := make([]byte, 64<<10)
				for {
					n, err := from.Read(buffer)
					if n > 0 && !drop.Load() {
						gate.Lock()
						_, err := to.Write(buffer[:n])
						gate.Unlock()
						if err != nil {
							return
						}
					}
					if err != nil {
						return
					}
				}
			}
			copies.Go(func() { pump(client, back, &c.mute, new(sync.Mutex)) })
			copies.Go(func() { pump(back, client, &c.deaf, p.gate.RLocker()) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.each((*proxied).close)
		copies.Wait()
	})
	return p
}

func (c *proxied) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func (p *proxy) each(f func(*proxied)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		f(c)
	}
}

// deafen makes the existing connections half-open, or ends that.
func (p *proxy) deafen(deaf bool) { p.each(func(c *proxied) { c.deaf.Store(deaf) }) }

// silence makes the existing connections mute.
func (p *proxy) silence() { p.each(func(c *proxied) { c.mute.Store(true) }) }

// hold keeps back the data to the clients, until release is called.
func (p *proxy) hold(t testing.TB) (release func()) {
	p.gate.Lock()
	release = sync.OnceFunc(p.gate.Unlock)
	t.Cleanup(release)
	return release
}

// cut closes the existing connections.
func (p *proxy) cut() { p.each((*proxied).close) }

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// connections returns the number of connections so far.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// connectBehind returns a connection to the shared server behind a proxy, whose own
// pings come too late to matter.
func connectBehind(t testing.TB) (jetstream.JetStream, *proxy) {
	t.Helper()
	p := newProxy(t, shared.ClientURL())
	nc, err := nats.Connect(p.url(), nats.PingInterval(time.Hour), nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js, p
}

// openBehind opens a queue on the shared server behind a proxy.
func openBehind(t testing.TB, name string, opts ...natsqueue.Option) (*natsqueue.Queue[int], *proxy) {
	t.Helper()
	js, p := connectBehind(t)
	q, err := natsqueue.Open[int](soon(t), js, name, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q, p
}

// A half-open connection is noticed after the failed attempts and a ping; nats.go
// alone would need two hours.
func TestPutOverAHalfOpenConnectionStoresItsItemOnceAndNoticesWithin30Seconds(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js, p := connectBehind(t)
	counter := &counting{JetStream: js, counts: func() bool { return p.connections() == 1 }}
	q, err := natsqueue.Open[int](soon(t), counter, name)
	require.NoError(t, err)
	defer q.Close()
	p.deafen(true)
	require.NoError(t, q.Put(soon(t), 1))
	require.Equal(t, 1, stats(t, open(t, name)).Unfinished)
	require.LessOrEqual(t, time.Duration(counter.publishes.Load()+1)*natsqueue.AttemptTime, 30*time.Second)
}

func TestGetOverAHalfOpenConnectionReceivesLaterItems(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q, p := openBehind(t, name)
	var worker sync.WaitGroup
	worker.Go(func() {
		task, err := q.Get(within(t, time.Minute))
		if assert.NoError(t, err) {
			assert.Equal(t, 2, task.Item)
		}
	})
	other := open(t, name)
	eventually(t, func() bool { return stats(t, other).Waiting == 1 }, "Get is blocked")
	p.deafen(true)
	eventually(t, func() bool { return stats(t, other).Waiting == 0 }, "its request expires")
	require.NoError(t, other.Put(soon(t), 2))
	worker.Wait()
}

// A call whose request was lost with the connection sends it again over the next one.
// It waits neither for its first answer nor for the handle's other requests: these
// attempts take an hour.
func TestPutIsSentAgainOnceWhenTheConnectionIsBack(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js, p := connectBehind(t)
	counter := &counting{JetStream: js}
	q, err := natsqueue.Open[int](soon(t), counter, name, natsqueue.WithAttemptTime(time.Hour))
	require.NoError(t, err)
	defer q.Close()
	other := open(t, name)
	nc := connect(t, shared.ClientURL()).Conn()
	looks, err := nc.SubscribeSync("$JS.API.STREAM.INFO." + name)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	p.deafen(true)
	q.Look()
	_, err = looks.NextMsg(time.Minute)
	require.NoError(t, err, "the handle asks, and hears nothing")
	var putter sync.WaitGroup
	putter.Go(func() { assert.NoError(t, q.Put(soon(t), 1)) })
	eventually(t, func() bool { return stats(t, other).Unfinished == 1 }, "the item is stored, and the answer lost")
	p.cut()
	putter.Wait()
	require.EqualValues(t, 2, counter.publishes.Load())
	require.Equal(t, 1, stats(t, other).Unfinished)
}

// An answer over the new connection must not confirm acknowledgements that were lost
// with the old one. The test does not know which items share a confirmation, so it
// tries each place in a group.
func TestTasksResendsAcknowledgementsLostWithTheConnection(t *testing.T) {
	t.Parallel()
	const most, items = 16, 60
	for first := 20; first < 20+most; first++ {
		t.Run(fmt.Sprint("from item ", first), func(t *testing.T) {
			t.Parallel()
			name := newName(t)
			q, p := openBehind(t, name, natsqueue.WithPrefetch(most))
			_, err := q.PutBatch(soon(t), make([]int, items))
			require.NoError(t, err)
			done := 0
			for range q.Tasks(within(t, time.Minute)) {
				done++
				switch done {
				case first:
					p.silence()
				case first + 2:
					before := natsqueue.Reconnects(q)
					p.cut()
					require.Eventually(t, func() bool { return natsqueue.Reconnects(q) > before }, time.Minute, time.Millisecond)
				}
				if done == first+most {
					break
				}
			}
			require.Equal(t, first+most, done)
			require.Equal(t, items-done, stats(t, open(t, name)).Unfinished, "what the loop finished is done when it returns")
		})
	}
}

func TestAnAnswerCoversEarlierAcknowledgementsOnAServerOfNoCluster(t *testing.T) {
	t.Parallel()
	require.True(t, natsqueue.Covering(open(t, newName(t))))
}

func TestDoneOfAClosedHandleIsSentAgain(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q, p := openBehind(t, name, natsqueue.WithAckWait(time.Hour))
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, q.Close())
	p.deafen(true)
	require.NoError(t, task.Done(soon(t)))
	require.NoError(t, open(t, name).Join(soon(t)))
}

func TestALoopEndsSoonAfterItsContextThoughNothingIsConfirmed(t *testing.T) {
	t.Parallel()
	q, p := openBehind(t, newName(t), natsqueue.WithAckWait(time.Hour))
	fill(t, q, 1)
	ctx, cancel := context.WithCancel(background)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range q.Tasks(ctx) {
			_ = p.listener.Close() // no connection comes after this one
			p.deafen(true)
			cancel()
		}
	}()
	select {
	case <-ended:
	case <-soon(t).Done():
		require.Fail(t, "the loop waits for its confirmation until the ack wait is over")
	}
}

// A wake-up reaches one handle, so the publishes and wake-ups for an item do not grow
// with the number of blocked handles.
func TestBlockedHandlesCostABoundedNumberOfPublishes(t *testing.T) {
	t.Parallel()
	const items = 120
	for _, handles := range []int{3, 30} {
		name := newName(t)
		q := open(t, name, natsqueue.WithCapacity(1))
		js := connect(t, shared.ClientURL())
		counter := &counting{JetStream: js}
		ctx, cancel := context.WithCancel(soon(t))
		var putters sync.WaitGroup
		for range handles {
			h, err := natsqueue.Open[int](ctx, counter, name)
			require.NoError(t, err)
			defer h.Close()
			putters.Go(func() {
				for h.Put(ctx, 1) == nil {
				}
			})
		}
		metric := "$JS.EVENT.METRIC.CONSUMER.ACK." + name + ".workers"
		eventually(t, func() bool { return shared.GlobalAccount().Interest(metric) == handles }, "all are blocked")
		var wakeUps atomic.Int64
		_, err := js.Conn().Subscribe(metric, func(*nats.Msg) { wakeUps.Add(1) })
		require.NoError(t, err)
		require.NoError(t, js.Conn().Flush())
		before, begin := counter.publishes.Load(), time.Now()
		for range items {
			get(t, q)
		}
		polls := 2 * float64(handles) * time.Since(begin).Seconds() // once a second, or a little more often
		per := (float64(counter.publishes.Load()-before) - polls) / items

		cancel()
		putters.Wait()
		require.LessOrEqual(t, per, 8.0, "publishes an item, with %d handles", handles)
		require.LessOrEqual(t, float64(wakeUps.Load())/items, 4.0, "wake-ups an item, with %d handles", handles)
	}
}

// A counting JetStream counts the messages that are published, while counts returns
// true if it is set.
type counting struct {
	jetstream.JetStream
	counts    func() bool
	publishes atomic.Int64
}

func (c *counting) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if c.counts == nil || c.counts() {
		c.publishes.Add(1)
	}
	return c.JetStream.PublishMsg(ctx, msg, opts...)
}

func TestJoinsOfAHandleShareOnePoll(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	q, err := natsqueue.Open[int](soon(t), js, newName(t))
	require.NoError(t, err)
	defer q.Close()
	fill(t, q, 1)
	const joins = 50
	before := js.Conn().Stats().OutMsgs
	begin := time.Now()
	ctx := within(t, 4*time.Second)
	var callers sync.WaitGroup
	for range joins {
		callers.Go(func() { assert.ErrorIs(t, q.Join(ctx), context.DeadlineExceeded) })
	}
	callers.Wait()
	polls := 2*time.Since(begin).Seconds() + 20 // with those of the backoff's beginning
	require.LessOrEqual(t, float64(js.Conn().Stats().OutMsgs-before), joins+polls)
	get(t, q)
	require.NoError(t, q.Join(soon(t)))
}

func TestDeadlineErrorsSayWhy(t *testing.T) {
	t.Parallel()
	s := startServer(serverOptions(t.TempDir()))
	q := openAt(t, s.ClientURL(), newName(t))
	fill(t, q, 2)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	other, err := q.Get(soon(t)) // a task is settled by one call at a time
	require.NoError(t, err)
	s.Shutdown()
	s.WaitForShutdown()
	for name, call := range map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { return q.Put(ctx, 1) },
		"TryPut": func(ctx context.Context) error { return q.TryPut(ctx, 1) },
		"Get":    func(ctx context.Context) error { _, err := q.Get(ctx); return err },
		"TryGet": func(ctx context.Context) error { _, err := q.TryGet(ctx); return err },
		"Done":   task.Done,
		"Extend": other.Extend,
		"Join":   q.Join,
		"Stats":  func(ctx context.Context) error { _, err := q.Stats(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := call(within(t, time.Second))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, nats.ErrDisconnected)
		})
	}
}

func TestAMissingPermissionIsFinalAndNamesItsSubject(t *testing.T) {
	t.Parallel()
	opts := serverOptions(t.TempDir())
	all := &server.SubjectPermission{Allow: []string{">"}}
	opts.Users = []*server.User{{Username: "all", Password: "secret"}}
	for user, denied := range map[string]string{"put": "natsqueue.jobs.>", "get": "$JS.API.CONSUMER.MSG.NEXT.jobs.workers", "ack": "$JS.ACK.jobs.>", "stats": "$JS.API.STREAM.INFO.jobs"} {
		opts.Users = append(opts.Users, &server.User{Username: user, Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{denied}}, Subscribe: all}})
	}
	s := startServer(opts)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	as := func(t *testing.T, user string) *natsqueue.Queue[int] {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "secret"), nats.Timeout(time.Minute), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		q, err := natsqueue.Open[int](background, js, "jobs")
		if user == "stats" {
			require.ErrorIs(t, err, nats.ErrPermissionViolation)
			require.ErrorContains(t, err, "$JS.API.STREAM.INFO.jobs")
			return nil
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, q.Close()) })
		return q
	}
	fill(t, as(t, "all"), 1)
	for user, test := range map[string]struct {
		subject string
		call    func(q *natsqueue.Queue[int]) error
	}{
		"put":   {"natsqueue.jobs.0", func(q *natsqueue.Queue[int]) error { return q.Put(background, 1) }},
		"get":   {"$JS.API.CONSUMER.MSG.NEXT.jobs.workers", func(q *natsqueue.Queue[int]) error { _, err := q.Get(background); return err }},
		"ack":   {"$JS.ACK.jobs.workers", func(q *natsqueue.Queue[int]) error { return doneOfNext(t, q) }},
		"stats": {},
	} {
		t.Run(user, func(t *testing.T) {
			q := as(t, user)
			if q == nil {
				return
			}
			err := test.call(q)
			require.ErrorIs(t, err, nats.ErrPermissionViolation)
			require.ErrorContains(t, err, test.subject)
			if user == "get" {
				require.ErrorIs(t, q.Err(), nats.ErrPermissionViolation)
			}
		})
	}
}

func doneOfNext(t *testing.T, q *natsqueue.Queue[int]) error {
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	return task.Done(background)
}

func TestErrReturnsWhyLoopsEnd(t *testing.T) {
	t.Parallel()
	drain := func(q *natsqueue.Queue[int], ctx context.Context) error {
		for range q.Tasks(ctx) {
		}
		return q.Err()
	}
	name := newName(t)
	js := connect(t, shared.ClientURL())
	q, err := natsqueue.Open[int](soon(t), js, name)
	require.NoError(t, err)
	require.NoError(t, drain(q, within(t, 50*time.Millisecond)), "a loop whose context ended")
	closed := open(t, name)
	require.NoError(t, closed.Close())
	require.Equal(t, natsqueue.ErrClosed, drain(closed, soon(t)))
	down := open(t, newName(t))
	require.NoError(t, down.Shutdown(soon(t), false))
	require.Equal(t, queue.ErrShutdown, drain(down, soon(t)))
	gone := newName(t)
	deleted := open(t, gone)
	require.NoError(t, connect(t, shared.ClientURL()).DeleteStream(soon(t), gone))
	err = drain(deleted, soon(t))
	require.True(t, errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted), err)
	js.Conn().Close()
	require.Equal(t, nats.ErrConnectionClosed, drain(q, soon(t)))
	require.NoError(t, q.Close())
}

func TestTasksDoesNotTakeAServersAnswerForItsConsumersConfirmation(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	noResponders := func() *nats.Msg { return &nats.Msg{Header: nats.Header{"Status": {"503"}}} }
	require.True(t, natsqueue.Confirms(q, &nats.Msg{}))
	require.False(t, natsqueue.Confirms(q, noResponders()), "a server that has just been started: send it again")
	require.NoError(t, q.Err())

	require.NoError(t, connect(t, shared.ClientURL()).DeleteStream(soon(t), name))
	require.True(t, natsqueue.Confirms(q, noResponders()), "the queue is gone, and so is the item")
	require.ErrorIs(t, q.Err(), jetstream.ErrStreamNotFound)
}

// It does not keep trying to mark the item done.
func TestTasksEndsAtOnceWhenItsBodyDeletesTheQueue(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithAckWait(time.Hour))
	fill(t, q, 1)
	ctx := soon(t)
	for range q.Tasks(ctx) {
		require.NoError(t, connect(t, shared.ClientURL()).DeleteStream(ctx, name))
	}
	require.NoError(t, ctx.Err())
	require.Error(t, q.Err())
}

func TestAnItemWhoseBodyPanicsIsRedeliveredAfterTheBackoff(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	fill(t, q, 1)
	var last time.Time
	for turn := range 4 {
		func() {
			defer func() { _ = recover() }()
			for range q.Tasks(soon(t)) {
				if turn > 0 {
					assert.GreaterOrEqual(t, time.Since(last), 100*time.Millisecond<<(turn-1))
				}
				last = time.Now()
				panic("body")
			}
		}()
	}
}

func TestOpenWorksForAnAccountThatRequiresMaxBytes(t *testing.T) {
	t.Parallel()
	s := startServer(serverOptions(t.TempDir()))
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.NoError(t, s.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{
		"": {MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1, MaxBytesRequired: true},
	}))
	_, err := natsqueue.Open[int](soon(t), connect(t, s.ClientURL()), newName(t))
	require.ErrorContains(t, err, "bytes")
	q := openAt(t, s.ClientURL(), newName(t), natsqueue.WithMaxBytes(2000))
	n := 0
	for err = nil; err == nil; n++ {
		err = q.TryPut(soon(t), n)
	}
	require.ErrorIs(t, err, queue.ErrFull, "the bound in bytes is a bound like that of items")
	var putter sync.WaitGroup
	putter.Go(func() { assert.NoError(t, q.Put(soon(t), n)) })
	require.Equal(t, 0, get(t, q))
	putter.Wait()
}

// An operator may limit the consumer's requests, before or after Open.
func TestPullRequestsKeepTheConsumersLimits(t *testing.T) {
	t.Parallel()
	limit := func(t *testing.T, name, worker string, change func(*jetstream.ConsumerConfig)) {
		stream, err := connect(t, shared.ClientURL()).Stream(soon(t), name)
		require.NoError(t, err)
		consumer, err := stream.Consumer(soon(t), worker)
		require.NoError(t, err)
		config := consumer.CachedInfo().Config
		change(&config)
		_, err = stream.UpdateConsumer(soon(t), config)
		require.NoError(t, err)
	}
	for what, change := range map[string]func(*jetstream.ConsumerConfig){
		"batch":   func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 4 },
		"expires": func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = time.Second },
		"bytes":   func(c *jetstream.ConsumerConfig) { c.MaxRequestMaxBytes = 4096 },
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s late=%v", what, late), func(t *testing.T) {
				t.Parallel()
				name := newName(t)
				q := open(t, name)
				limit(t, name, "workers", change)
				if !late {
					q = open(t, name)
				}
				fill(t, q, 100)
				require.NoError(t, q.Shutdown(soon(t), false))
				var done atomic.Int64
				var workers sync.WaitGroup
				for range 8 {
					workers.Go(func() {
						for range q.Tasks(soon(t)) {
							done.Add(1)
						}
					})
				}
				workers.Wait()
				require.EqualValues(t, 100, done.Load())
			})
		}
	}
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("Batches of classes late=%v", late), func(t *testing.T) {
			t.Parallel()
			name := newName(t)
			q := openClasses(t, name)
			for class := range 3 {
				limit(t, name, fmt.Sprintf("workers-%d", class), func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 2 })
			}
			if !late {
				q = open(t, name)
			}
			putClass(t, q, 1, upTo(12)...)
			known(t, name, 12)
			for batch := range q.Batches(soon(t), 6, 0) {
				require.Len(t, batch, 6)
				if batch[5] == 12 {
					break
				}
			}
		})
	}
	t.Run("Shutdown", func(t *testing.T) {
		t.Parallel()
		name := newName(t)
		open(t, name)
		limit(t, name, "workers", func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 100 })
		q := open(t, name)
		fill(t, q, 150)
		require.NoError(t, q.Shutdown(soon(t), false))
		require.NoError(t, q.Shutdown(soon(t), true))
		require.NoError(t, q.Join(soon(t)))
	})
	t.Run("an item that exceeds them", func(t *testing.T) {
		t.Parallel()
		name := newName(t)
		js := connect(t, shared.ClientURL())
		open(t, name)
		limit(t, name, "workers", func(c *jetstream.ConsumerConfig) { c.MaxRequestMaxBytes = 64 })
		q, err := natsqueue.Open[string](soon(t), js, name)
		require.NoError(t, err)
		defer q.Close()
		require.NoError(t, q.Put(soon(t), "an item of more than sixty-four bytes, with its headers"))
		_, err = q.Get(soon(t))
		require.ErrorContains(t, err, "larger than the consumer's max_bytes of 64")
	})
}

// The server cuts a connection with more than 64 MiB on their way to it.
func TestPullRequestsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	nc := connect(t, shared.ClientURL()).Conn()
	requests := make(chan *nats.Msg, 256)
	sub, err := nc.ChanSubscribe("$JS.API.CONSUMER.MSG.NEXT."+name+".workers", requests)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	ctx, cancel := context.WithCancel(soon(t))
	var callers sync.WaitGroup
	for range 150 {
		callers.Go(func() { _, _ = q.Get(ctx) })
	}
	var request struct {
		MaxBytes int `json:"max_bytes"`
	}
	require.NoError(t, json.Unmarshal((<-requests).Data, &request))
	require.Positive(t, request.MaxBytes)
	require.LessOrEqual(t, request.MaxBytes, 8<<20)
	require.NoError(t, sub.Unsubscribe())
	cancel()
	callers.Wait()
}

func TestTheRequestsOfABatchOfClassesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name)
	putClass(t, q, 0, upTo(20)...)
	known(t, name, 20)
	nc := connect(t, shared.ClientURL()).Conn()
	requests, err := nc.SubscribeSync("$JS.API.CONSUMER.MSG.NEXT." + name + ".workers-0")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	for batch := range q.Batches(soon(t), 20, 0) {
		require.Len(t, batch, 20)
		break
	}
	msg, err := requests.NextMsg(time.Minute)
	require.NoError(t, err)
	var request struct{ Batch int64 }
	require.NoError(t, json.Unmarshal(msg.Data, &request))
	require.Greater(t, request.Batch, int64(1))
	require.LessOrEqual(t, request.Batch*nc.MaxPayload(), int64(8<<20))
}

// oddContext is done, and its Err returns nil or panics.
type oddContext struct {
	context.Context
	done   chan struct{}
	panics bool
}

func (c oddContext) Done() <-chan struct{} { return c.done }

func (c oddContext) Err() error {
	select {
	case <-c.done:
		if c.panics {
			panic("released")
		}
	default:
	}
	return nil
}

func TestCallsSurviveContextsThatBreakTheirContract(t *testing.T) {
	t.Parallel()
	full := open(t, newName(t), natsqueue.WithCapacity(1))
	fill(t, full, 1)
	empty := open(t, newName(t))
	for name, call := range map[string]func(context.Context) error{
		"Put":  func(ctx context.Context) error { return full.Put(ctx, 2) },
		"Get":  func(ctx context.Context) error { _, err := empty.Get(ctx); return err },
		"Join": full.Join,
	} {
		for _, panics := range []bool{false, true} {
			done := make(chan struct{})
			time.AfterFunc(50*time.Millisecond, func() { close(done) })
			err := func() (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = context.Canceled
					}
				}()
				return call(oddContext{background, done, panics})
			}()
			require.ErrorIs(t, err, context.Canceled, name)
			if !panics {
				require.ErrorIs(t, call(oddContext{background, done, false}), context.Canceled, name)
			}
		}
	}
	require.Zero(t, full.InLine(), "no call stays in line")
	require.NoError(t, empty.Put(soon(t), 3))
	require.Equal(t, 3, get(t, empty))
}

func TestPrintingAQueueOrATaskWithAnyVerbReadsNoState(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	var worker sync.WaitGroup
	worker.Go(func() { // the race detector sees it if printing reads the fields
		assert.NoError(t, q.Put(soon(t), 2))
		assert.NoError(t, task.Done(soon(t)))
		assert.NoError(t, q.Close())
	})
	handle := fmt.Sprintf("natsqueue %q", name)
	for printed, want := range map[any]string{q: handle, task: handle + " item 1"} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%t"} {
			require.Equal(t, want, fmt.Sprintf(verb, printed), verb)
		}
		require.Equal(t, strconv.Quote(want), fmt.Sprintf("%q", printed))
	}
	worker.Wait()
	require.Equal(t, handle+" item 1", task.LogValue().String())
	require.Equal(t, "[name="+name+"]", q.LogValue().String())
}

func TestBlockedAndIdleHandlesCostFewMessages(t *testing.T) {
	t.Parallel()
	full := newName(t)
	fill(t, open(t, full, natsqueue.WithCapacity(1)), 1)
	for what, call := range map[string]func(ctx context.Context, js jetstream.JetStream) error{
		"Put": func(ctx context.Context, js jetstream.JetStream) error {
			q, err := natsqueue.Open[int](ctx, js, full)
			if err != nil {
				return err
			}
			defer q.Close()
			return q.Put(ctx, 2)
		},
		"Get": func(ctx context.Context, js jetstream.JetStream) error {
			q, err := natsqueue.Open[int](ctx, js, newName(t))
			if err != nil {
				return err
			}
			defer q.Close()
			_, err = q.Get(ctx)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			js := connect(t, shared.ClientURL())
			begin := time.Now()
			require.ErrorIs(t, call(within(t, 12*time.Second), js), context.DeadlineExceeded)
			require.LessOrEqual(t, float64(js.Conn().Stats().OutMsgs), 50+2*time.Since(begin).Seconds())
		})
	}
}

func TestCloseLeavesNoSubscription(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	name := newName(t)
	_, err := js.AccountInfo(soon(t)) // makes the connection's own inbox
	require.NoError(t, err)
	before := js.Conn().NumSubscriptions()
	for range 10 {
		q, err := natsqueue.Open[int](soon(t), js, name)
		require.NoError(t, err)
		fill(t, q, 2)
		for range q.Tasks(soon(t)) {
			require.NoError(t, q.Close()) // in the midst of a loop
		}
		require.NoError(t, q.Close())
	}
	eventually(t, func() bool { return js.Conn().NumSubscriptions() == before }, "all are gone")
	require.Equal(t, 10, stats(t, open(t, name)).Unfinished, "each loop ends after its item")
}
