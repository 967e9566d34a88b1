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
	fastBatch = 256     // messages sent before the call waits for the server
	fastBytes = 4 << 20 // and their bytes
	fastFlow  = "1024"  // more than a batch: no acknowledgement is needed within one
)

// PutBatch stores items in order, like [Queue.Put] with each of them, and returns
// how many it stored: err is nil if and only if n == len(items). Otherwise
// items[:n] are stored, items[n:] are not, and err is one of Put's errors; if that
// error means that an item may have been stored or not, so may items[n:].
//
// If the queue is full, PutBatch blocks until there is room for the rest, ahead of
// the later calls of this handle. Items of other calls may come between its own. If
// an item can't be encoded, the batch ends before it.
//
// On a server of version 2.14 or later, up to 256 items are unconfirmed at a time;
// on an older server, or in a queue that an older one created, one is.
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

// chunk returns how many of msgs, at most window, fit into a fast batch. A message
// that may exceed the server's limit is sent alone: it would end a batch that was
// partly sent.
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

// publishFast stores messages in order until the server refuses one. If the server
// takes no such batches, it returns fewer than len(msgs) and no error.
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

// tryFast sends messages as what the server calls a fast batch, and waits for its
// end. The reply subject of each message names the batch, its place there and the
// operation, and one answer says how many were stored. (An atomic batch would be
// refused as a whole if there is not room for all of it.) Messages stored by an
// attempt whose answer was lost count as stored: the server knows their IDs.
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
			case a.Type != "": // flow control, or a gap: the end of the batch follows
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
		default: // an answer to a message behind the refused one
		}
	})
	defer q.replies.forget(token)
	// The element before the flow is the batch's ID, unique over all connections. The
	// token is unique in this handle only.
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
			return 0, err // the next attempt ends this batch, and stores its messages once
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
// marks all of them done when the body finishes with the batch. Each iteration blocks
// until there is an item, and then collects more for at most linger. If the body
// panics, the whole batch is handed back. The loop ends like that of [Queue.Tasks],
// with the same keep-alives and limits. When ctx ends or the queue is shut down, the
// items collected so far are yielded.
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
		l.fetch(size - 1) // a batch, with the item that the call itself asks for
		for l.turn(size, linger, yield) {
		}
	}
}

// turn collects a batch and runs the body on it. It reports whether the loop goes
// on.
func (l *loop[T]) turn(size int, linger time.Duration, yield func([]T) bool) bool {
	tasks, err := l.next(size)
	if err != nil {
		return errors.Is(err, errNotRejected)
	}
	batch := make([]*Task[T], 0, size)
	items := make([]T, 0, size)
	add := func(tasks []*Task[T]) {
		for _, t := range tasks {
			l.keep(t)
			batch = append(batch, t)
			items = append(items, t.Item)
		}
	}
	add(tasks)
	ctx, cancel := context.WithTimeout(l.ctx, max(linger, 0))
	defer cancel()
	for len(batch) < size && (linger > 0 || l.intake == nil || l.intake.isReady()) {
		tasks, err := l.q.next(l.ctx, ctx, size-len(batch))
		if errors.Is(err, errNotRejected) {
			continue
		}
		if err != nil {
			break // unless linger is over, the next turn gets the error again
		}
		add(tasks)
	}
	more := l.run(func() bool { return yield(items) })
	for _, t := range batch {
		l.finish(t)
	}
	return more && l.ctx.Err() == nil
}
