package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ReasonHeader is the header of a dead letter that says why it was rejected.
// Line breaks in the reason become spaces, and spaces at its ends are trimmed.
// A long reason is truncated, and if the message leaves no room for headers, the dead
// letter has none; its data is always complete.
const ReasonHeader = "Natsqueue-Reason"

// maxHeaders is the limit of the size of a stored message's headers.
const maxHeaders = math.MaxUint16

// A worker's answers to a message, in JetStream's protocol.
var (
	ack      = []byte("+ACK")
	progress = []byte("+WPI")
	term     = []byte("+TERM")
)

// nak returns the answer that hands a message back, to be redelivered after delay.
func nak(delay time.Duration) []byte {
	if delay <= 0 {
		return []byte("-NAK")
	}
	return []byte(`-NAK {"delay":` + strconv.FormatInt(int64(delay), 10) + `}`)
}

// Task is an item in progress. Exactly one of Done, Retry and Reject should be
// called on it; once one has succeeded, all return
// [queue.ErrTaskDone]. If one fails it can be called again. If the error is the
// context's or [ErrUnconfirmed], it may have taken effect or not, and the item may
// be redelivered. A task can be settled after its handle is closed, as long as the
// connection is open. Each call takes at most the ack wait (see [WithAckWait]).
type Task[T any] struct {
	Item T

	q       *Queue[T]
	msg     *nats.Msg
	settled atomic.Bool
}

// Deliveries returns how often the server delivered the item, this time included. It
// may exceed the number of times that workers received it: an item that came for a
// [Queue.Get] whose context had ended, or that a loop had fetched ahead when it
// ended, is handed back, and counted. If you reject after some deliveries, don't
// poll Get with short-lived contexts.
func (t *Task[T]) Deliveries() int {
	meta, err := t.msg.Metadata()
	if err != nil {
		return 1
	}
	n := int(meta.NumDelivered)
	if t.msg.Header.Get(notBeforeHeader) != "" {
		n-- // the delivery before the delay
	}
	return max(n, 1)
}

// Priority returns the item's class: that of [PutPriority], or 0.
func (t *Task[T]) Priority() int { return t.q.class(t.msg.Subject) }

// class returns the class of a message: that of its subject, or the least urgent
// one if the queue has fewer.
func (q *Queue[T]) class(subject string) int { return min(classOf(subject), len(q.classes)-1) }

// String returns the name of the queue and the item's place in its stream, for
// logs. It does not show the item.
func (t *Task[T]) String() string {
	place := "?"
	if meta, err := t.msg.Metadata(); err == nil {
		place = strconv.FormatUint(meta.Sequence.Stream, 10)
	}
	return t.q.String() + " item " + place
}

// Format implements [fmt.Formatter]. It writes what [Task.String] returns, quoted
// for %q, whatever the verb.
func (t *Task[T]) Format(f fmt.State, verb rune) { format(f, verb, t.String()) }

// LogValue returns what [Task.String] does, for log/slog.
func (t *Task[T]) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Header returns the headers of the item's message: those of [PutHeader], and
// those of NATS. It must not be changed.
func (t *Task[T]) Header() nats.Header { return t.msg.Header }

// Done marks the item done: it leaves the queue, and its slot becomes free, in a
// replicated queue perhaps a moment after the call.
func (t *Task[T]) Done(ctx context.Context) error {
	return t.settle(ctx, func(ctx context.Context) error { return t.answer(ctx, ack) })
}

// Retry hands the item back, to be redelivered after delay, ahead of queued items;
// at once if delay is zero or less. The item keeps its slot, and until it is
// redelivered it counts as in flight (see [WithMaxInFlight]).
func (t *Task[T]) Retry(ctx context.Context, delay time.Duration) error {
	return t.settle(ctx, func(ctx context.Context) error { return t.answer(ctx, nak(delay)) })
}

// Reject moves the item to the dead-letter stream, with the reason; it counts as
// done. The dead letter has the message's headers, except those that instruct the
// server. If Reject fails in between, the item is in both streams, is redelivered,
// and can be rejected again: it is dead-lettered only once, provided that happens
// within the duplicate window (see [WithDuplicateWindow]) and the message left room
// for headers (see [ReasonHeader]).
func (t *Task[T]) Reject(ctx context.Context, reason string) error {
	return t.settle(ctx, func(ctx context.Context) error {
		letter, err := t.deadLetter(reason)
		if err != nil {
			return err
		}
		_, err = t.q.js.PublishMsg(ctx, letter, jetstream.WithRetryAttempts(0))
		if errors.Is(err, jetstream.ErrNoStreamResponse) { // the stream was deleted, together with its dead letters
			_, _ = t.q.js.CreateStream(ctx, t.q.dead)
		}
		if err != nil {
			return err
		}
		return t.answer(ctx, term)
	})
}

// deadLetter returns a copy of the message, of the same identity. One that was
// not put by this package may have none, and gets its place in the stream. The
// copy must never be more than the server takes: a message that can be neither
// read nor rejected would be redelivered for ever.
func (t *Task[T]) deadLetter(reason string) (*nats.Msg, error) {
	reason = strings.TrimSpace(reason)
	letter := &nats.Msg{
		Subject: itemSubject(t.q.dead.Name, t.Priority()),
		Data:    t.msg.Data,
		Header:  nats.Header{},
	}
	for key, values := range t.msg.Header {
		if key == jetstream.MsgIDHeader || !reserved(key) { // the others told the server what to do
			letter.Header[key] = values
		}
	}
	letter.Header[ReasonHeader] = []string{reason} // another, if the message was a dead letter before
	if letter.Header.Get(jetstream.MsgIDHeader) == "" {
		meta, err := t.msg.Metadata()
		if err != nil {
			return nil, err
		}
		letter.Header.Set(jetstream.MsgIDHeader, meta.Stream+":"+strconv.FormatUint(meta.Sequence.Stream, 10))
	}
	room := min(int(t.q.nc.MaxPayload())-len(letter.Data), maxHeaders)
	excess := func() int { return letter.Size() - len(letter.Subject) - len(letter.Data) - room }
	if n := excess(); n > 0 && n < len(reason) {
		letter.Header[ReasonHeader] = []string{strings.ToValidUTF8(reason[:len(reason)-n], "")}
	}
	if excess() > 0 {
		delete(letter.Header, ReasonHeader)
	}
	if excess() > 0 {
		letter.Header = nil
	}
	return letter, nil
}

// Extend restarts the item's ack wait. Loops over [Queue.Tasks] do so by
// themselves. It returns [queue.ErrTaskDone] if the task is settled, ctx.Err() if
// ctx is done, and [ErrUnconfirmed] if the server did not confirm it within the
// ack wait.
func (t *Task[T]) Extend(ctx context.Context) error {
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	if t.settled.Load() {
		return queue.ErrTaskDone
	}
	return t.confirm(ctx, func(ctx context.Context) error { return t.answer(ctx, progress) })
}

// settle ends the task by calling do, once.
func (t *Task[T]) settle(ctx context.Context, do func(context.Context) error) error {
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	if !t.settled.CompareAndSwap(false, true) {
		return queue.ErrTaskDone
	}
	err = t.confirm(ctx, do)
	if err != nil {
		t.settled.Store(false)
	}
	return err
}

// confirm is persist, limited to the ack wait: after that the item may be another
// worker's. Close does not end it: received items can still be settled.
func (t *Task[T]) confirm(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, t.q.ackWait)
	defer cancel()
	err := t.q.link.persist(bounded, do)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return fmt.Errorf("%w (%v)", ErrUnconfirmed, err)
	}
	return err
}

// answer answers the message, and waits until the server confirms it.
func (t *Task[T]) answer(ctx context.Context, body []byte) error {
	_, err := t.q.nc.RequestWithContext(ctx, t.msg.Reply, body)
	return err
}
