package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Put stores an item at the end of the queue, and returns when the server has
// it. If the queue is full, it waits for room, behind the calls that wait
// already through this handle; only when there is room for several at once may
// some of these swap places. The first of them asks again after 1 ms, and then
// twice as long each time, up to 64 ms; once it has waited for a while it also
// listens for acknowledgements, and asks at once when it hears of one. (Not at
// first: of a busy queue the server would tell it each one.)
//
// It returns ctx.Err() if ctx is done, [queue.ErrShutdown] if the queue is or
// becomes shut down, [ErrClosed] if the handle is closed, the codec's error,
// and an error that wraps [nats.ErrMaxPayload] if the message is larger than
// the server takes. Unless it is the context's or the connection's, nothing was
// stored. If ctx ends or the connection is closed while the server is asked,
// the item may have been stored or not.
func (q *Queue[T]) Put(ctx context.Context, item T) error {
	msg, err := q.encode(ctx, item)
	if err != nil {
		return err
	}
	p := q.line.join()
	var delay time.Duration // before the next try
	var wait backoff
	var acks chan struct{}
	for {
		if err := q.line.await(ctx, q.closed, p); err != nil {
			return err
		}
		if acks == nil && delay > pollTime/4 {
			acks = make(chan struct{}, 1)
			sub, err := q.nc.Subscribe(ackMetric+q.name+"."+consumerName, func(*nats.Msg) { signal(acks) })
			if err != nil {
				q.line.leave(false)
				return err
			}
			defer func() { _ = sub.Unsubscribe() }()
			// and try at once: what was acknowledged before is not told
		} else if delay > 0 {
			if err := q.sleepUnless(ctx, delay, acks); err != nil {
				q.line.leave(false)
				return err
			}
		}
		err := q.publish(ctx, msg)
		if !errors.Is(err, queue.ErrFull) {
			q.line.leave(err == nil && delay == 0)
			return err
		}
		q.line.refused(p)
		delay = wait.next(pollTime)
	}
}

// TryPut stores an item as [Queue.Put] does, but returns [queue.ErrFull] if the
// queue is full, or if calls of Put wait for room through this handle.
func (q *Queue[T]) TryPut(ctx context.Context, item T) error {
	msg, err := q.encode(ctx, item)
	if err != nil {
		return err
	}
	if !q.line.isOpen() {
		return queue.ErrFull
	}
	return q.publish(ctx, msg)
}

// encode returns the message for an item. The identity that it gets is the same
// over all attempts to store it: the server stores one of them. One that was
// refused for want of room is not remembered.
func (q *Queue[T]) encode(ctx context.Context, item T) (*nats.Msg, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := q.codec.Marshal(item)
	if err != nil {
		return nil, fmt.Errorf("natsqueue: encode: %w", err)
	}
	return &nats.Msg{
		Subject: subjectRoot + q.name,
		Data:    data,
		Header:  nats.Header{jetstream.MsgIDHeader: {nuid.Next()}},
	}, nil
}

// publish asks the server to store a message, until it says that it did or
// gives a reason why not.
func (q *Queue[T]) publish(ctx context.Context, msg *nats.Msg) error {
	return q.call(ctx, func(ctx context.Context) error {
		_, err := q.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		switch {
		case err == nil:
			return nil
		case isFull(err):
			return queue.ErrFull
		case errorCode(err) == errSealed:
			q.noticeShutdown()
			return queue.ErrShutdown
		case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
			return q.orShutdown(ctx, err)
		case errors.Is(err, nats.ErrMaxPayload):
			return fmt.Errorf("natsqueue: put: %w", err)
		}
		return err
	})
}

// isFull reports whether a message was refused because the queue is full. The
// code stands for all that a store may fail of; only the text tells.
func isFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == 10077 && api.Description == "maximum messages exceeded"
}

// orShutdown returns err, unless its reason is that the queue is being shut down
// or was deleted.
func (q *Queue[T]) orShutdown(ctx context.Context, err error) error {
	info, infoErr := q.stream.Info(ctx)
	if infoErr != nil {
		return infoErr
	}
	if isShutdown(info) {
		q.noticeShutdown()
		return queue.ErrShutdown
	}
	return err
}
