// Package natsqueue is the queue of package queue for more than one process: a
// bounded, joinable queue that a NATS server, or a cluster of them, carries in
// a JetStream stream. Producers and workers open it by name, wherever they run.
//
// A worker's loop is that of a local queue, word for word:
//
//	for item := range q.Tasks(ctx) {
//		work(item)
//	}
//
// [Queue.Put] waits for room, [Queue.Join] until all is done, and the errors are
// those of package queue: [queue.ErrFull], [queue.ErrShutdown] and
// [queue.ErrTaskDone], to be compared with [errors.Is], and the context's. Every
// call may also return an error of the connection.
//
// # What differs from a local queue
//
// An item is a message: encoded when it is put, and a copy when it is gotten.
//
// Delivery is at least once. An item comes again if its worker died with it or
// did not acknowledge it in time ([WithAckWait]), so work must bear being done
// twice. Put gives every item an identity and keeps it over its own retries, so
// that a lost answer does not double an item; only if the server restarts, or
// two minutes pass, between an attempt and the next may it be stored twice.
//
// The capacity bounds the items that are not done: those that wait and those
// that are being worked on. A local queue's slot is free once the item is
// taken; here it is when the item is acknowledged. A capacity below the number
// of workers leaves some of them idle.
//
// Items leave in the order in which they were stored, those of one producer in
// the order in which it put them. An item that comes again comes ahead of newer
// ones, but after those that others have already taken. There is no LIFO order
// and there are no priorities: a stream has neither.
//
// Join and Shutdown are the whole queue's, whoever calls them. After a shutdown
// [Queue.Get] returns ErrShutdown, and loops over [Queue.Tasks] end, when every
// item is done and not merely taken: until then any of them may come back.
//
// An item that can't be worked on is rejected: [Task.Reject] moves it to the
// dead-letter stream, and so does Get with a message that the codec can't read.
//
// # What lies on the server
//
// A queue called name is the stream name, with the subject natsqueue.name, work
// queue retention and the consumer "workers". Its dead letters are in the
// stream name_dead, a copy of each message with the reason in the header
// [ReasonHeader]; nobody removes them but you. Deleting the two streams deletes
// the queue. The package is tested with version 2.15 of the server.
//
// # Failures
//
// While the servers are away, or elect a leader, calls wait and try again until
// their context ends; they return the connection's error once it is closed for
// good. Give the connection [nats.MaxReconnects](-1) to sit out a long outage.
// What Put acknowledged survives the crash of a server's process; on one server
// a loss of power may lose what was stored since the last sync to disk, by
// default every two minutes (sync_interval in the server's configuration). Three
// replicas ([WithReplicas]) survive the loss of one server.
package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrClosed is returned by the calls of a handle that [Queue.Close] closed.
var ErrClosed = errors.New("natsqueue: closed")

const (
	consumerName = "workers"
	subjectRoot  = "natsqueue."
	deadSuffix   = "_dead"

	ownerKey    = "natsqueue"          // in the metadata of every stream of this package
	shutdownKey = "natsqueue-shutdown" // there, while and after Shutdown(true) empties the queue

	ackMetric     = "$JS.EVENT.METRIC.CONSUMER.ACK."
	streamUpdated = "$JS.EVENT.ADVISORY.STREAM.UPDATED."
	leaderElected = "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED."

	errInvalidConfig jetstream.ErrorCode = 10052
	errSealed        jetstream.ErrorCode = 10109

	attemptTime = 2 * time.Second // how long one request may take before it is sent again
	pollTime    = 64 * time.Millisecond
	maxPulls    = 1 << 16 // pull requests that the server keeps, over all handles; its default of 512 is a small fleet
)

// Queue is a handle on a queue that a NATS server carries. Any number of
// goroutines may use it at the same time, and any number of handles, in any
// process, may be open on the same queue. Open one for each process and queue,
// and let the goroutines share it.
type Queue[T any] struct {
	name  string
	nc    *nats.Conn
	js    jetstream.JetStream
	codec Codec

	stream   jetstream.Stream
	consumer jetstream.Consumer
	dead     jetstream.StreamConfig // of the dead-letter stream
	ackWait  time.Duration

	line     line          // calls of Put
	shutdown atomic.Bool   // the queue is known to be shut down
	kick     chan struct{} // makes watch look at the stream soon

	closing sync.Once
	closed  chan struct{}
	workers sync.WaitGroup // goroutines of this handle

	intake
}

// Open returns a handle on the queue called name, and makes the queue if there
// is none. Options that are given must be those with which it was made, those
// that are not are taken as they are.
//
// The name must not be empty, must have no more than 250 bytes, and must not
// contain control characters, spaces, dots, slashes, backslashes, * or >. Open
// waits for a server that does not answer until ctx ends, and then returns an
// error that wraps ctx.Err(). It fails at once if the server has no JetStream, if
// the name or an option is invalid, if the queue exists with other options, or if
// a stream of that name exists that is not a queue. A queue that was shut down
// can be opened: what is left in it can be gotten.
func Open[T any](ctx context.Context, js jetstream.JetStream, name string, opts ...Option) (*Queue[T], error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	c := config{codec: jsonCodec{}}
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
		}
	}
	q := &Queue[T]{
		name:   name,
		nc:     js.Conn(),
		js:     js,
		codec:  c.codec,
		kick:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	if err := q.persist(ctx, func(ctx context.Context) error { return q.provide(ctx, c) }); err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	if err := q.listen(); err != nil {
		return nil, fmt.Errorf("natsqueue: open %q: %w", name, err)
	}
	return q, nil
}

// checkName returns why the server would refuse a name, or what it makes of it,
// after the stream was made. The rest is refused before by package jetstream.
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

// provide finds or makes the streams and the consumer, and checks that they are
// what c asks for.
func (q *Queue[T]) provide(ctx context.Context, c config) error {
	var err error
	q.stream, err = q.js.Stream(ctx, q.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		q.stream, err = q.js.CreateStream(ctx, c.stream(q.name))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // somebody else was faster, with other options
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
	if err := c.matchStream(info.Config); err != nil {
		return err
	}
	q.shutdown.Store(isShutdown(info))

	q.dead = c.deadLetters(q.name, info.Config)
	dead, err := q.js.Stream(ctx, q.dead.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		dead, err = q.js.CreateStream(ctx, q.dead)
	}
	if err != nil {
		return err
	}
	if dead.CachedInfo().Config.Metadata[ownerKey] != q.dead.Metadata[ownerKey] {
		return fmt.Errorf("there is a stream %s that is not for its dead letters", q.dead.Name)
	}

	q.consumer, err = q.stream.Consumer(ctx, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		q.consumer, err = q.stream.CreateConsumer(ctx, c.consumer())
		if errors.Is(err, jetstream.ErrConsumerExists) {
			q.consumer, err = q.stream.Consumer(ctx, consumerName)
		}
	}
	if err != nil {
		return err
	}
	q.ackWait = q.consumer.CachedInfo().Config.AckWait
	if q.shutdown.Load() {
		return nil // an immediate shutdown may have changed the consumer
	}
	return c.matchConsumer(q.consumer.CachedInfo().Config)
}

// Close closes this handle; the queue and the connection live on. Calls that
// wait return [ErrClosed], and so do later ones; loops over [Queue.Tasks] end
// after the item that they are at. Tasks that were gotten can still be marked
// done. Messages that were on their way to this handle are handed back. Closing
// again does nothing. It returns nil.
func (q *Queue[T]) Close() error {
	q.closing.Do(func() {
		close(q.closed)
		q.end(ErrClosed)
		q.hangUp()
	})
	q.workers.Wait()
	return nil
}

// isClosed reports whether Close was called.
func (q *Queue[T]) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

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

// call is persist for what a closed handle must not do.
func (q *Queue[T]) call(ctx context.Context, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.isClosed() {
		return ErrClosed
	}
	return q.persist(ctx, do)
}

// persist calls do until it succeeds or fails for a reason that waiting won't
// mend. Each call gets a context of its own, since an answer may be lost and
// then would be waited for as long as ctx lasts.
func (q *Queue[T]) persist(ctx context.Context, do func(context.Context) error) error {
	for wait := backoff(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if q.nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
		if q.nc.IsConnected() { // else it would be sent once for each attempt when the connection is back
			attempt, cancel := context.WithTimeout(ctx, attemptTime)
			err := do(attempt)
			cancel()
			if err == nil || !transient(err) {
				return err
			}
		}
		if err := q.sleep(ctx, wait.next(4*pollTime)); err != nil {
			return err
		}
	}
}

// transient reports whether err is one that the same request, sent again, may
// not meet: no answer in time, nobody there, or a cluster that elects a leader.
func transient(err error) bool {
	for _, e := range []error{
		context.DeadlineExceeded, context.Canceled, // of the attempt; persist has looked at the caller's
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		jetstream.ErrNoStreamResponse, errOvertaken, errStillWaits,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	switch errorCode(err) {
	case 10006, 10008, 10009, // no cluster or no leader yet
		10118, 10119, // stream or consumer offline
		10158, // the same message id is being stored
		10167: // too many requests
		return true
	}
	return false
}

// errorCode returns the code of an error of JetStream's, 0 if it is none.
func errorCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// sleep waits until d has passed, ctx ends or the handle is closed.
func (q *Queue[T]) sleep(ctx context.Context, d time.Duration) error {
	return q.sleepUnless(ctx, d, nil)
}

// sleepUnless is sleep, cut short by a message on wake.
func (q *Queue[T]) sleepUnless(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return ErrClosed
	}
}

// signal puts a signal into c, which holds one, unless there is one already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
