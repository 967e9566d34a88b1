package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Join waits until no item is unfinished: each one that was put, by whomever,
// has been marked done or rejected, by whomever, or was dropped by
// Shutdown(true). It asks the server again and again, at last some four times a
// second: a moment without items that ends before it asks is not seen.
//
// It returns ctx.Err() if ctx is done, [ErrClosed] if the handle is closed, and
// an error if the stream was deleted. A shutdown does not end it.
func (q *Queue[T]) Join(ctx context.Context) error {
	for wait := backoff(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := q.info(ctx)
		if err != nil {
			return err
		}
		if info.State.Msgs == 0 {
			return nil
		}
		if err := q.sleep(ctx, wait.next(4*pollTime)); err != nil {
			return err
		}
	}
}

// Shutdown ends the queue, for every process: from now on nothing is put, and
// calls of [Queue.Put] that wait for room return [queue.ErrShutdown].
//
// Shutdown(ctx, false), the graceful one, leaves the items in the queue: they
// can be gotten still, and when the last one is done, [Queue.Get] returns
// ErrShutdown and loops over [Queue.Tasks] end. Shutdown(ctx, true), the
// immediate one, drops all items, those that are being worked on included: Join
// does not wait for these, and marking them done has no effect. They are not
// returned; get them first if they are worth saving.
//
// Shutdown can be called again, at any time, by anyone; a graceful one can be
// followed by an immediate one. No shutdown can be undone, nor does the server's
// restart undo it: to begin anew, delete the streams. An immediate one that
// fails on its way, with ctx.Err() or an error of the connection, has ended the
// queue, but may have left items in it; call it again.
//
// The complexity is O(1); of an immediate shutdown after a graceful one it is
// O(n), where n is the number of items that wait, and items that are being
// worked on, or that wait for the delay of a [Task.Retry], stay unfinished.
func (q *Queue[T]) Shutdown(ctx context.Context, immediate bool) error {
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

// seal makes the stream refuse messages, for good. Those that are in it can
// still be consumed.
func (q *Queue[T]) seal(ctx context.Context) error {
	return q.update(ctx, func(c *jetstream.StreamConfig) { c.Sealed = true })
}

// drop takes all messages out of the queue. A sealed stream can't be purged, so
// this comes before the seal, and the stream must refuse messages in another way
// first: by their size, which is looked at when a message is stored. (Were the
// subject moved away, those under way would still come in after the purge.) The
// mark tells those who are refused that it is not for their size.
func (q *Queue[T]) drop(ctx context.Context) error {
	err := q.update(ctx, func(c *jetstream.StreamConfig) {
		c.MaxMsgSize = 1
		c.Metadata = maps.Clone(c.Metadata)
		c.Metadata[shutdownKey] = "immediate"
	})
	if err != nil {
		return err
	}
	err = q.persist(ctx, func(ctx context.Context) error { return q.stream.Purge(ctx) })
	if isSealed(err) {
		return q.acknowledgeAll(ctx)
	}
	return err
}

// isSealed reports whether a purge was refused because the stream is sealed; it
// has a code of its own only if it was when the request came.
func isSealed(err error) bool {
	var api *jetstream.APIError
	return errorCode(err) == errSealed || errors.As(err, &api) && api.ErrorCode == 10051 && api.Description == "sealed stream"
}

// acknowledgeAll takes out of a sealed queue all messages that wait. It asks for
// them at an inbox that is drained at the end: what is still on its way there
// when an attempt ends is acknowledged too, and the next attempt goes on.
func (q *Queue[T]) acknowledgeAll(ctx context.Context) error {
	const batch = 256
	config := q.consumer.CachedInfo().Config
	config.MaxAckPending = -1 // else there would be nothing to fetch while the workers have their fill
	return q.persist(ctx, func(ctx context.Context) error {
		if _, err := q.stream.UpdateConsumer(ctx, config); err != nil {
			return err
		}
		came := make(chan bool, batch+1) // true for a message, false for the end of a request
		inbox, err := q.nc.Subscribe(q.nc.NewInbox(), func(msg *nats.Msg) {
			isItem := msg.Header.Get("Status") == "" || len(msg.Data) > 0
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
			if err := q.nc.PublishRequest(q.pull, inbox.Subject, request); err != nil {
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
		if err := q.nc.FlushWithContext(ctx); err != nil {
			return err
		}
		return q.allInHand(ctx)
	})
}

// errStillWaits is that of a queue that was emptied, but not of all: a replica
// may hand out a message a little after another has stored it.
var errStillWaits = errors.New("natsqueue: there are still items that wait")

// allInHand returns errStillWaits if there are more messages than in the hands
// of workers.
func (q *Queue[T]) allInHand(ctx context.Context) error {
	stream, err := q.stream.Info(ctx)
	if err != nil {
		return err
	}
	consumer, err := q.consumer.Info(ctx)
	if err != nil {
		return err
	}
	if stream.State.Msgs > uint64(consumer.NumAckPending) {
		return errStillWaits
	}
	return nil
}

// errOvertaken is an update's that somebody sealed the stream before: what it
// made of the configuration that it had read would unseal it.
var errOvertaken = errors.New("natsqueue: somebody else shut down at the same time")

// update changes the configuration of the stream. The server has no way to make
// it one step with the reading. Who is overtaken by another shutdown reads it
// again; but not for ever, since the server gives one code to all that it
// doesn't like.
func (q *Queue[T]) update(ctx context.Context, change func(*jetstream.StreamConfig)) error {
	again := 16
	return q.call(ctx, func(ctx context.Context) error {
		info, err := q.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("natsqueue: shut down: %w", err)
		}
		config := info.Config
		change(&config)
		_, err = q.js.UpdateStream(ctx, config)
		if errorCode(err) == errInvalidConfig && !info.Config.Sealed && again > 0 {
			again--
			return fmt.Errorf("%w: %w", errOvertaken, err)
		}
		return err
	})
}

// info returns what the server says of the stream.
func (q *Queue[T]) info(ctx context.Context) (info *jetstream.StreamInfo, err error) {
	err = q.call(ctx, func(ctx context.Context) error {
		info, err = q.stream.Info(ctx)
		return err
	})
	return info, err
}
