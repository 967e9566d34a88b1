// Package natsqueue is the queue of package queue for more than one process: a
// bounded, joinable queue that a NATS server, or a cluster of them, keeps in a
// JetStream stream. Producers and workers open it by name, wherever they run.
//
// A worker loops as over a local queue:
//
//	for item := range q.Tasks(ctx) {
//		work(item)
//	}
//
// [Queue.Handle] runs such loops for a function that can fail. [Queue.Put] blocks
// until there is room, [Queue.Join] until all is done, and the errors are those of
// package queue: [queue.ErrFull], [queue.ErrEmpty], [queue.ErrShutdown] and
// [queue.ErrTaskDone], to be compared with [errors.Is], and the context's. Every
// call may also return an error of the connection or of the server.
//
// # Differences from a local queue
//
// An item is a message: it is encoded when it is put, and received as a copy.
//
// Delivery is at least once. An item is redelivered if its worker dies or does not
// acknowledge it in time ([WithAckWait]), so processing must be idempotent. Put
// reuses one message ID across its retries, so the server discards the duplicate
// if an acknowledgement was lost. Only if the server restarts, or if the duplicate
// window passes ([WithDuplicateWindow]), between one attempt and the next, can an
// item be stored twice.
//
// The capacity bounds the unfinished items: those that are queued and those in
// progress. A local queue's slot is free once the item is taken; here it is when
// the item is acknowledged. A capacity below the number of workers leaves some of
// them idle.
//
// Items leave in the order in which they were stored, those of one producer in the
// order in which it put them. A redelivered item comes ahead of newer ones, but
// after those that others have already taken. There is no LIFO order. A queue may
// have up to 16 classes of priority ([WithPriorities]), each of them first in,
// first out.
//
// Join and Shutdown apply to the whole queue, across all processes. After a
// shutdown [Queue.Get] returns ErrShutdown, and loops over [Queue.Tasks] end, when
// every item is done, not just taken: until then an item may be redelivered.
//
// An item that can't be processed is rejected: [Task.Reject] moves it to the
// dead-letter stream. Get does so with a message that the codec can't decode, and
// with one that was delivered too often ([WithMaxDeliveries]).
// [Queue.DeadLetters] lists them, and [Queue.Redrive] puts them back.
//
// # Server-side resources
//
// A queue called name is the stream name, with the subjects natsqueue.name.>, work
// queue retention and the consumer "workers". With several priorities it has the
// subjects natsqueue.name.0, natsqueue.name.1 and so on instead, and for each a
// consumer, "workers-0", "workers-1" and so on. Its dead letters are in the stream
// name_dead, a copy of each message with the reason in the header [ReasonHeader];
// they stay there unless [WithDeadLetterLimit] removes them. Deleting the two
// streams deletes the queue. Open refuses servers before version 2.12.
//
// # Failures
//
// While the servers are away, or elect a leader, calls try again until their
// context ends; the error then wraps both the context's and what the last attempt
// met. They return [nats.ErrConnectionClosed] once the connection is closed for
// good. Give the connection [nats.MaxReconnects](-1) to sit out a long outage. A
// request that the server refuses because the user lacks a permission fails with
// an error that wraps [nats.ErrPermissionViolation] and names the subject.
//
// A half-open connection, on which nothing comes back, is replaced some seconds
// after a call sends a request, and within 30 s while calls are blocked for an
// item, whatever its [nats.PingInterval].
//
// An item that Put acknowledged survives the crash of a server's process; on one
// server a loss of power may lose what was stored since the last sync to disk, by
// default every two minutes (sync_interval in the server's configuration). Three
// replicas ([WithReplicas]) survive the loss of one server.
package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Queue is a handle on a queue on a NATS server. Any number of goroutines may use it
// at the same time, and any number of handles, in any process, may be open on the
// same queue. Open one for each process and queue, and let the goroutines share it.
type Queue[T any] struct {
	name  string
	nc    *nats.Conn
	js    jetstream.JetStream
	codec Codec

	stream   jetstream.Stream
	home     string                 // the name of the server that led the stream when the handle was opened
	dead     jetstream.StreamConfig // of the dead-letter stream
	ackWait  time.Duration
	maxBytes int64 // of the stream; 0 is unbounded

	maxDeliveries int // 0 is unlimited
	backoff       func(deliveries int) time.Duration
	prefetch      int

	link     *link
	line     line        // calls that put
	ears     *ears       // of those in line
	fast     atomic.Bool // the stream takes fast batches
	replies  *mux        // to what is sent without waiting
	shutdown atomic.Bool // the queue is known to be shut down
	joiners  joiners

	classes    []*receiver    // by priority, the most urgent first; one in a queue without
	events     chan *nats.Msg // the server's advisories of the stream and the consumers
	advisories []string       // their subjects
	heard      []*nats.Subscription
	deaf       atomic.Bool // the user may not subscribe to them
	connected  chan nats.Status
	kick       chan struct{} // makes watch look at the stream soon
	renewed    chan struct{} // makes watch look at once, after the connection was replaced

	closing sync.Once
}

// Open returns a handle on the queue called name, and creates the queue if there
// is none. If the queue exists, each option given must match its configuration;
// omitted options keep their current values. Codec, limit of deliveries, backoff and
// prefetch belong to the handle and are not checked.
//
// The name must not be empty, must have no more than 250 bytes, and must not
// contain control characters, spaces, dots, slashes, backslashes, * or >. Open
// waits for a server that does not answer until ctx ends, and then returns an
// error that wraps ctx.Err(). It fails at once if the server has no JetStream or
// is older than version 2.12, if the name or an option is invalid, if the queue
// exists with other options, or if a stream of that name exists that is not a
// queue. A queue that was shut down can be opened: the items left in it can be
// received.
func Open[T any](ctx context.Context, js jetstream.JetStream, name string, opts ...Option) (*Queue[T], error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	c := config{codec: jsonCodec{}, backoff: exponential, prefetch: -1, attemptTime: attemptTime}
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
		}
	}
	if c.priorities > 1 && c.maxInFlight > 0 {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, errMaxInFlight)
	}
	ctx, err := enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	q := &Queue[T]{
		name:          name,
		nc:            js.Conn(),
		js:            js,
		codec:         c.codec,
		maxDeliveries: c.maxDeliveries,
		backoff:       c.backoff,
		link:          newLink(js.Conn(), name, c.attemptTime),
		kick:          make(chan struct{}, 1),
	}
	if err := q.link.persist(ctx, func(ctx context.Context) error { return q.provide(ctx, c) }); err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	if err := q.listen(); err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	return q, nil
}

// checkName returns an error for a name that the server would refuse, or change, only
// after the stream was created. Package jetstream refuses other invalid names.
func checkName(name string) error {
	const longest = 255 - len(deadSuffix)
	switch {
	case len(name) > longest:
		return fmt.Errorf("the name has %d bytes and may have no more than %d", len(name), longest)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name contains a control character, or is no valid UTF-8")
	}
	return nil
}

// provide finds or creates the streams and the consumers, and checks that they match
// c.
func (q *Queue[T]) provide(ctx context.Context, c config) error {
	version, err := parseVersion(q.nc.ConnectedServerVersion())
	if err != nil {
		return err
	}
	q.stream, err = q.js.Stream(ctx, q.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		q.stream, err = q.js.CreateStream(ctx, c.stream(q.name, version))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster, with other options
			q.stream, err = q.js.Stream(ctx, q.name)
		}
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return jetstream.ErrJetStreamNotEnabled
	}
	if err != nil {
		return err
	}
	info := q.stream.CachedInfo()
	if info.Cluster == nil { // the answer to the creation does not have it
		if info, err = q.stream.Info(ctx); err != nil {
			return err
		}
	}
	if info.Cluster != nil {
		q.home = info.Cluster.Leader
	}
	if err := c.matchStream(info.Config); err != nil {
		return err
	}
	q.shutdown.Store(isShutdown(info))
	q.fast.Store(info.Config.AllowBatchPublish && !version.before(fastServer))
	q.maxBytes = max(info.Config.MaxBytes, 0)
	priorities, err := prioritiesOf(info.Config)
	if err != nil {
		return err
	}

	q.dead = c.deadLetters(q.name, info.Config)
	dead, err := q.js.Stream(ctx, q.dead.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		dead, err = q.js.CreateStream(ctx, q.dead)
	}
	if err != nil {
		return err
	}
	if err := c.matchDeadLetters(dead.CachedInfo().Config, info.Config); err != nil {
		return err
	}
	q.dead = dead.CachedInfo().Config

	q.classes = make([]*receiver, priorities)
	bound := -1 // of the items in flight
	for class := range q.classes {
		config := c.consumer(q.name, class, priorities)
		consumer, err := q.provideConsumer(ctx, config)
		if err != nil {
			return err
		}
		q.classes[class] = q.newReceiver(consumer, priorities > 1)
		config = consumer.CachedInfo().Config
		if !q.shutdown.Load() { // an immediate one may have changed the consumer
			if err := c.matchConsumer(config); err != nil {
				return err
			}
		}
		q.ackWait = config.AckWait
		if bound < 0 || config.MaxAckPending > 0 {
			bound = max(bound, config.MaxAckPending)
		}
	}
	switch {
	case c.prefetch < 0 && (c.maxDeliveries > 0 || bound > 0):
		q.prefetch = 0
	case c.prefetch < 0:
		q.prefetch = defaultPrefetch
	case bound > 0:
		q.prefetch = min(c.prefetch, bound-1)
	default:
		q.prefetch = c.prefetch
	}
	q.ears = newEars(q.nc, ackMetric+q.name+"."+consumerName)
	if priorities > 1 {
		q.ears = newEars(q.nc, ackMetric+q.name+".*")
	}
	return nil
}

// provideConsumer finds a consumer, or creates it.
func (q *Queue[T]) provideConsumer(ctx context.Context, config jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := q.stream.Consumer(ctx, config.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = q.stream.CreateConsumer(ctx, config)
		if errors.Is(err, jetstream.ErrConsumerExists) {
			consumer, err = q.stream.Consumer(ctx, config.Durable)
		}
	}
	return consumer, err
}

// Close closes this handle; the queue and the connection live on. Blocked calls
// return [ErrClosed], and so do later ones; loops over [Queue.Tasks] end after
// their current item. Received tasks can still be settled. Messages on their way to
// this handle are handed back. Close takes about a round trip to the server, and at
// most 4 s if the server does not answer. Closing again has no effect. It returns
// nil.
func (q *Queue[T]) Close() error {
	q.closing.Do(func() {
		q.link.die(ErrClosed)
		q.end(ErrClosed)
		q.hangUp()
	})
	q.link.work.Wait()
	return nil
}

// Err returns the reason why loops over [Queue.Tasks] and [Queue.Batches] end, and
// calls of [Queue.Get] fail, for good: [queue.ErrShutdown] after the last item of a
// queue that was shut down, [ErrClosed], [nats.ErrConnectionClosed], or an error that
// wraps the server's (see [Queue.Get]). It returns nil before, also after a loop that
// ended with its context.
func (q *Queue[T]) Err() error { return q.classes[0].intake.why() }

// String returns the name of the queue, for logs. It reads no state.
func (q *Queue[T]) String() string { return "natsqueue " + strconv.Quote(q.name) }

// Format implements [fmt.Formatter]. It writes what [Queue.String] returns,
// quoted for %q, whatever the verb: by default, %d and %#v would read the
// handle's state while other goroutines change it.
func (q *Queue[T]) Format(f fmt.State, verb rune) { format(f, verb, q.String()) }

func format(f fmt.State, verb rune, text string) {
	if verb != 'q' {
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), text)
}

// LogValue returns the name of the queue, for log/slog.
func (q *Queue[T]) LogValue() slog.Value { return slog.GroupValue(slog.String("name", q.name)) }

// isShutdown reports whether the stream takes no more items.
func isShutdown(info *jetstream.StreamInfo) bool {
	return info.Config.Sealed || info.Config.Metadata[shutdownKey] != ""
}

// apiPrefix returns what the subjects of js's requests begin with.
func apiPrefix(js jetstream.JetStream) string {
	switch opts := js.Options(); {
	case opts.Domain != "":
		return "$JS." + opts.Domain + ".API."
	case opts.APIPrefix != "":
		return strings.TrimSuffix(opts.APIPrefix, ".") + "."
	default:
		return jetstream.DefaultAPIPrefix
	}
}

// signal puts a signal into c, which holds one, unless there is one already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
