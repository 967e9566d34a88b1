package natsqueue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const joinPoll = time.Second // longest time between two polls for a handle's Joins

// Join blocks until no item is unfinished: until each item that was put, in any
// process, was marked done or rejected, or was dropped by Shutdown(true). It polls
// the server, backing off to once a second for all Joins of a handle together, so
// it can miss a moment at which the queue is empty only briefly.
//
// It returns ctx.Err() if ctx is done, [ErrClosed] if the handle is closed, and an
// error if the stream was deleted or the server refuses the request. A shutdown does
// not end it.
func (q *Queue[T]) Join(ctx context.Context) error {
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	return q.joiners.join(ctx, q.link, func() (empty bool, err error) {
		info, err := q.info(q.link.life)
		return err == nil && info.State.Msgs == 0, err
	})
}

// Joiners are the calls of Join of one handle. One goroutine polls for all: an answer
// counts for the calls that came before it was asked for.
type joiners struct {
	mu     sync.Mutex
	calls  []chan error // each takes the result of one call
	came   chan struct{}
	polled bool // a goroutine polls for calls
}

// join blocks until poll finds the queue empty.
func (j *joiners) join(ctx context.Context, l *link, poll func() (empty bool, err error)) error {
	if l.life.Err() != nil {
		return ErrClosed
	}
	call := make(chan error, 1)
	j.mu.Lock()
	j.calls = append(j.calls, call)
	if j.came == nil {
		j.came = make(chan struct{}, 1)
	}
	signal(j.came)
	if !j.polled {
		j.polled = true
		l.work.Go(func() { j.poll(l.life, poll) })
	}
	j.mu.Unlock()
	select {
	case err := <-call:
		return err
	case <-ctx.Done():
		j.mu.Lock()
		defer j.mu.Unlock()
		j.calls = slices.DeleteFunc(j.calls, func(c chan error) bool { return c == call })
		return ended(ctx, l.trouble())
	case <-l.life.Done():
		return ErrClosed
	}
}

// poll polls until no call is left.
func (j *joiners) poll(life context.Context, poll func() (empty bool, err error)) {
	var wait backoff
	for {
		j.mu.Lock()
		n := len(j.calls)
		if n == 0 || life.Err() != nil {
			j.polled = false
			j.mu.Unlock()
			return
		}
		asking := slices.Clone(j.calls)
		select {
		case <-j.came:
		default:
		}
		j.mu.Unlock()
		empty, err := poll()
		if empty || err != nil {
			j.mu.Lock()
			j.calls = slices.DeleteFunc(j.calls, func(c chan error) bool { return slices.Contains(asking, c) })
			j.mu.Unlock()
			for _, c := range asking {
				c <- err
			}
			wait = 0
			continue
		}
		timer := time.NewTimer(wait.next(joinPoll))
		select {
		case <-timer.C:
		case <-j.came:
		case <-life.Done():
		}
		timer.Stop()
	}
}

// Shutdown closes the queue to new items, for every process: [Queue.Put] returns
// [queue.ErrShutdown], and so do blocked Puts.
//
// Shutdown(ctx, false), the graceful one, leaves the items in the queue: they
// can still be received, and when the last one is done, [Queue.Get] returns
// ErrShutdown and loops over [Queue.Tasks] end. Shutdown(ctx, true), the
// immediate one, drops all items, those in progress included: Join
// does not wait for these, and marking them done has no effect. They are not
// returned; receive them first if they are worth saving.
//
// Shutdown can be called again, at any time, from any process; a graceful one can be
// followed by an immediate one. No shutdown can be undone, and a server's restart
// does not undo it: to start over, delete the streams. If an immediate one fails
// with ctx.Err() or an error of the connection, the queue may be closed and still
// hold items; call it again.
//
// The complexity is O(1). An immediate shutdown after a graceful one is O(n), where n
// is the number of queued items, and leaves items unfinished that are in progress or
// delayed by [Task.Retry].
func (q *Queue[T]) Shutdown(ctx context.Context, immediate bool) error {
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	if immediate {
		if err := q.drop(ctx); err != nil {
			return err
		}
	}
	if err := q.seal(ctx); err != nil {
		return err
	}
	q.noticeShutdown()
	return nil
}

// seal makes the stream refuse messages, for good. Those in it can still be consumed.
func (q *Queue[T]) seal(ctx context.Context) error {
	return q.update(ctx, func(c *jetstream.StreamConfig) { c.Sealed = true })
}

// drop takes all messages out of the queue. A sealed stream can't be purged, so this
// comes before the seal, and until then the stream refuses messages by their size,
// which is checked when a message is stored. (If the subject were moved away instead,
// messages on their way would still be stored after the purge.) The mark in the
// metadata tells refused calls that the size is not the reason.
func (q *Queue[T]) drop(ctx context.Context) error {
	err := q.update(ctx, func(c *jetstream.StreamConfig) {
		c.MaxMsgSize = 1
		c.Metadata = maps.Clone(c.Metadata)
		c.Metadata[shutdownKey] = "immediate"
	})
	if err != nil {
		return err
	}
	err = q.link.persist(ctx, func(ctx context.Context) error { return q.stream.Purge(ctx) })
	if isSealed(err) {
		return q.acknowledgeAll(ctx)
	}
	return err
}

// acknowledgeAll takes all queued messages out of a sealed queue.
func (q *Queue[T]) acknowledgeAll(ctx context.Context) error {
	return q.link.persist(ctx, func(ctx context.Context) error {
		for _, r := range q.classes {
			if err := q.acknowledge(ctx, r); err != nil {
				return err
			}
		}
		if err := q.nc.FlushWithContext(ctx); err != nil {
			return err
		}
		return q.allInHand(ctx)
	})
}

// acknowledge takes the queued messages of a class out of a sealed queue. It asks for
// them at an inbox that is drained at the end: messages that are still on their way
// when an attempt ends are acknowledged too, and the next attempt goes on.
func (q *Queue[T]) acknowledge(ctx context.Context, r *receiver) error {
	batch := 256
	if limit := r.limits.Load().batch; limit > 0 {
		batch = min(batch, limit)
	}
	config := r.consumer.CachedInfo().Config
	config.MaxAckPending = -1 // else nothing could be fetched while the workers hold as many as they may
	if _, err := q.stream.UpdateConsumer(ctx, config); err != nil {
		return err
	}
	came := make(chan bool, batch+1) // true for a message, false for the end of a request
	inbox, err := q.nc.Subscribe(q.nc.NewInbox(), func(msg *nats.Msg) {
		isItem := !isStatus(msg)
		if isItem {
			_ = msg.Respond(ack)
		}
		select {
		case came <- isItem:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = inbox.Drain() }()
	request := []byte(`{"batch":` + strconv.Itoa(batch) + `,"no_wait":true}`)
	for n := batch; n == batch; {
		if err := q.nc.PublishRequest(r.pulls, inbox.Subject, request); err != nil {
			return err
		}
		n = 0
		for more := true; more && n < batch; {
			select {
			case more = <-came:
				if more {
					n++
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// allInHand returns errQueued if there are more messages than workers hold.
func (q *Queue[T]) allInHand(ctx context.Context) error {
	stream, err := q.stream.Info(ctx)
	if err != nil {
		return err
	}
	inHand := 0
	for _, r := range q.classes {
		consumer, err := r.consumer.Info(ctx)
		if err != nil {
			return err
		}
		inHand += consumer.NumAckPending
	}
	if stream.State.Msgs > uint64(inHand) {
		return errQueued
	}
	return nil
}

// update reads and changes the configuration of the stream; the server can't do both
// atomically. A call that is overtaken by another shutdown reads it again, but not
// for ever: the server has one error code for all refusals.
func (q *Queue[T]) update(ctx context.Context, change func(*jetstream.StreamConfig)) error {
	again := 16
	return q.link.call(ctx, func(ctx context.Context) error {
		info, err := q.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("natsqueue: shut down: %w", err)
		}
		config := info.Config
		change(&config)
		_, err = q.js.UpdateStream(ctx, config)
		if errorCode(err) == codeInvalidConfig && !info.Config.Sealed && again > 0 {
			again--
			return fmt.Errorf("%w: %w", errOvertaken, err)
		}
		return err
	})
}

// info asks the server for the stream's state.
func (q *Queue[T]) info(ctx context.Context) (info *jetstream.StreamInfo, err error) {
	err = q.link.call(ctx, func(ctx context.Context) error {
		info, err = q.stream.Info(ctx)
		return err
	})
	return info, err
}
