package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	fastBatch = 256     // messages that are sent to be stored before the server is waited for
	fastBytes = 4 << 20 // and bytes
	fastFlow  = "1024"  // more than a batch: no acknowledgement is needed on the way
)

// PutBatch stores items in order, like [Queue.Put] with each of them, and returns
// how many it stored: err is nil if and only if n == len(items). Otherwise
// items[:n] are stored, items[n:] are not, and err is as Put's; where Put's error
// leaves open whether its item was stored, so does PutBatch's for items[n:].
//
// If the queue is full, PutBatch blocks until there is room for the rest, keeping
// its place in front of the calls of this handle that came later. Items of other
// calls may come between its own. An item that can't be encoded ends the batch
// before it.
//
// On a server of version 2.14 or later up to 256 items are under way at a time;
// with earlier ones, or a queue that an earlier one created, one is.
func (q *Queue[T]) PutBatch(ctx context.Context, items []T, opts ...PutOption) (n int, err error) {
	ctx, err = enter(ctx)
	if err != nil {
		return 0, err
	}
	msgs, own, encodeErr := q.encode(items, opts)
	if len(msgs) == 0 {
		return 0, encodeErr
	}
	if n, err = q.put(ctx, msgs, own); err != nil {
		return n, err
	}
	return n, encodeErr
}

// chunk returns how many of msgs, no more than window, fit into a fast batch. A
// message that may exceed the server's limit goes alone: it would end a batch of
// which the beginning was sent.
func chunk(msgs []*nats.Msg, window, limit int) (n int) {
	for bytes := 0; n < min(len(msgs), window); n++ {
		size := msgs[n].Size()
		if bytes += size; n > 0 && (bytes > fastBytes || size > limit) {
			break
		}
		if size > limit {
			return 1
		}
	}
	return n
}

// publishFast stores messages in order until the server refuses one. It returns
// fewer than there are and no error if the server takes no such batches.
func (q *Queue[T]) publishFast(ctx context.Context, msgs []*nats.Msg) (n int, err error) {
	err = q.link.call(ctx, func(ctx context.Context) error {
		stored, err := q.tryFast(ctx, msgs[n:])
		n += stored
		if n == len(msgs) {
			return nil
		}
		if errorCode(err) == codeBatchDisabled { // an operator's choice
			q.fast.Store(false)
			return nil
		}
		return q.stored(ctx, err)
	})
	return n, err
}

// tryFast sends messages as a batch that the server calls fast, and waits for its
// end: each message names its batch, its place there and what to do in its reply
// subject, and one answer tells how many were stored. (It is no atomic batch: that
// one is refused as a whole if there is not room for all of it.) Those that were
// stored by an attempt whose answer was lost count as stored: the server knows
// their IDs.
func (q *Queue[T]) tryFast(ctx context.Context, msgs []*nats.Msg) (n int, err error) {
	if len(msgs) == 1 {
		if _, err := q.js.PublishMsg(ctx, msgs[0], jetstream.WithRetryAttempts(0)); err != nil {
			return 0, err
		}
		return 1, nil
	}
	type answer struct {
		Type  string              `json:"type"`
		Error *jetstream.APIError `json:"error"`
		Count int                 `json:"count"`
	}
	var refusal *jetstream.APIError // of the message that ended the batch
	type end struct {
		count int
		err   error
	}
	ends := make(chan end, 1)
	token := q.replies.expect(func(msg *nats.Msg) {
		var a answer
		var e end
		if msg.Header.Get("Status") == "503" {
			e.err = nats.ErrNoResponders
		} else if err := json.Unmarshal(msg.Data, &a); err != nil {
			e.err = fmt.Errorf("natsqueue: put: %w", err)
		} else {
			switch {
			case a.Type == "err":
				refusal = a.Error
				return
			case a.Type != "": // flow control, or a gap: its end follows
				return
			}
			e.count = a.Count
			switch {
			case a.Error != nil:
				e.err = a.Error
			case refusal != nil:
				e.err = refusal
			case a.Count < len(msgs):
				e.err = errUnanswered // a message was lost on its way
			}
		}
		select {
		case ends <- e:
		default: // those that followed the one that was refused
		}
	})
	defer q.replies.forget(token)
	// The element before the flow is the batch's ID, over all connections. The token is
	// one of this handle's, and other handles have the same ones.
	prefix := q.replies.subject(token) + "." + nuid.Next() + "." + fastFlow + ".fail."
	for i, msg := range msgs {
		operation := "1" // append
		switch i {
		case 0:
			operation = "0" // start
		case len(msgs) - 1:
			operation = "2" // commit
		}
		out := &nats.Msg{Subject: msg.Subject, Data: msg.Data, Header: msg.Header,
			Reply: prefix + strconv.Itoa(i+1) + "." + operation + ".$FI"}
		if err := q.nc.PublishMsg(out); err != nil {
			return 0, err // what was sent is cut off by the next attempt, which stores it once
		}
	}
	select {
	case e := <-ends:
		return min(e.count, len(msgs)), e.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Batches returns a worker's loop that yields up to size items at a time, and
// marks all of them done when the body finishes with the batch. A turn blocks
// until there is an item, and then waits for more, but no longer than linger
// after the first. If the body panics, the whole batch is handed back. The loop
// ends like that of [Queue.Tasks], with the same keep-alives and bounds. What is
// in hand is yielded when ctx ends or the queue is shut down.
//
// The slice is the body's to keep. Batches panics if size < 1.
func (q *Queue[T]) Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]T] {
	if size < 1 {
		panic(fmt.Sprintf("natsqueue: Batches: size is %d, but must be at least 1", size))
	}
	return func(yield func([]T) bool) {
		ctx, err := enter(ctx)
		if err != nil {
			return
		}
		l := q.newLoop(ctx, size)
		defer l.end()
		l.fetch(size - 1) // and with the claim a batch
		for l.turn(size, linger, yield) {
		}
	}
}

// turn collects a batch and runs the body on it. It reports whether the loop goes
// on.
func (l *loop[T]) turn(size int, linger time.Duration, yield func([]T) bool) bool {
	t, err := l.next()
	if err != nil {
		return errors.Is(err, errNotRejected)
	}
	l.keep(t)
	batch := append(make([]*Task[T], 0, size), t)
	items := append(make([]T, 0, size), t.Item)
	ctx, cancel := context.WithTimeout(l.ctx, max(linger, 0))
	defer cancel()
	for len(batch) < size && (linger > 0 || l.intake == nil || l.intake.isReady()) {
		t, err := l.q.next(l.ctx, ctx)
		if errors.Is(err, errNotRejected) {
			continue
		}
		if err != nil {
			break // the next turn meets it again, if it is not linger's
		}
		l.keep(t)
		batch = append(batch, t)
		items = append(items, t.Item)
	}
	more := l.run(func() bool { return yield(items) })
	for _, t := range batch {
		l.finish(t)
	}
	return more && l.ctx.Err() == nil
}
