package natsqueue

import (
	"context"
	"errors"
	"iter"
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
// Of a long one the end is cut off, and a message that leaves no room for headers
// becomes a letter without: the data is always kept whole.
const ReasonHeader = "Natsqueue-Reason"

// maxHeaders is the size of the headers that a stream takes, all together.
const maxHeaders = math.MaxUint16

// What a worker may answer to a message, in JetStream's protocol.
var (
	ack      = []byte("+ACK")
	progress = []byte("+WPI")
	term     = []byte("+TERM")
)

// nak returns the answer that hands a message back, to be given out after delay.
func nak(delay time.Duration) []byte {
	if delay <= 0 {
		return []byte("-NAK")
	}
	return []byte(`-NAK {"delay":` + strconv.FormatInt(int64(delay), 10) + `}`)
}

// Task is an item in the hands of a worker. Exactly one of Done, Retry and
// Reject should be called on it; once one has succeeded, all return
// [queue.ErrTaskDone]. If one fails it can be called again: with the context's
// error, or when the server did not confirm it within the time to acknowledge
// (see [WithAckWait]), it may have had its effect or not, and the item may come
// again.
type Task[T any] struct {
	Item T

	q       *Queue[T]
	msg     *nats.Msg
	settled atomic.Bool
}

// Deliveries returns how often the server gave the item out, this time included:
// 1 if it was never in anybody's hands before. That is the most that workers can
// have had it, and may be more than they had: an item that came for a call of
// [Queue.Get] whose context had ended is handed back, and counted. Who gives up
// after so many deliveries should not poll with short contexts.
func (t *Task[T]) Deliveries() int {
	meta, err := t.msg.Metadata()
	if err != nil {
		return 1
	}
	return int(meta.NumDelivered)
}

// Done marks the item done: it leaves the queue, and its slot is free. On a
// replicated queue that may take a moment longer than the call.
func (t *Task[T]) Done(ctx context.Context) error {
	return t.settle(ctx, func(ctx context.Context) error { return t.answer(ctx, ack) })
}

// Retry hands the item back, to be given out again after delay, ahead of those
// that wait; at once if delay is zero or less. It keeps its slot.
func (t *Task[T]) Retry(ctx context.Context, delay time.Duration) error {
	return t.settle(ctx, func(ctx context.Context) error { return t.answer(ctx, nak(delay)) })
}

// Reject moves the item to the dead-letter stream, with the reason, and takes
// it out of the queue; it counts as done. The letter has the message's headers,
// but not those in which its sender told the server what to do. If it fails in
// between, the item is in both, comes again, and can be rejected again: it is a
// dead letter but once, if that is within two minutes, in which the dead-letter
// stream knows it for the same, and if the message left room for headers (see
// [ReasonHeader]).
func (t *Task[T]) Reject(ctx context.Context, reason string) error {
	return t.settle(ctx, func(ctx context.Context) error {
		letter, err := t.deadLetter(reason)
		if err != nil {
			return err
		}
		_, err = t.q.js.PublishMsg(ctx, letter, jetstream.WithRetryAttempts(0))
		if errors.Is(err, jetstream.ErrNoStreamResponse) { // somebody deleted the stream, together with its letters
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
// read nor rejected would come again for ever.
func (t *Task[T]) deadLetter(reason string) (*nats.Msg, error) {
	reason = strings.TrimSpace(reason)
	letter := &nats.Msg{
		Subject: subjectRoot + t.q.name + deadSuffix,
		Data:    t.msg.Data,
		Header:  nats.Header{},
	}
	for key, values := range t.msg.Header {
		if key == jetstream.MsgIDHeader || !strings.HasPrefix(key, "Nats-") { // the others told the server what to do
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

// Extend tells the server that the item is still being worked on: its time to
// acknowledge begins anew. Loops over [Queue.Tasks] do so by themselves. It
// returns [queue.ErrTaskDone] if the task is settled, ctx.Err() if ctx is done,
// and an error if the server did not confirm it within the time to acknowledge:
// then the item may have been given to another.
func (t *Task[T]) Extend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.settled.Load() {
		return queue.ErrTaskDone
	}
	return t.confirm(ctx, func(ctx context.Context) error { return t.answer(ctx, progress) })
}

// errUnconfirmed is the cause of a context whose message may have been given to
// another by now, so that asking again is of no use.
var errUnconfirmed = errors.New("natsqueue: not confirmed by the server in time; the item may come again")

// settle does what ends the task, once.
func (t *Task[T]) settle(ctx context.Context, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !t.settled.CompareAndSwap(false, true) {
		return queue.ErrTaskDone
	}
	err := t.confirm(ctx, do)
	if err != nil {
		t.settled.Store(false)
	}
	return err
}

// confirm is persist, for as long as the item can't have been given to another.
func (t *Task[T]) confirm(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, t.q.ackWait)
	defer cancel()
	err := t.q.persist(bounded, do)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return errUnconfirmed
	}
	return err
}

// answer answers the message, and waits until the server confirms it.
func (t *Task[T]) answer(ctx context.Context, body []byte) error {
	_, err := t.q.nc.RequestWithContext(ctx, t.msg.Reply, body)
	return err
}

// Tasks returns a worker's loop over the queue, as package queue's does: it
// yields items as [Queue.Get] returns them, waiting when there are none, and
// marks each one done when the body of the loop is through with it, be it by
// going on to the next item or by leaving the loop. If the body panics, the item
// is handed back and comes again. The loop ends when the queue is shut down and
// every item in it is done, when ctx is done, when the handle or the connection
// is closed, or when somebody deletes the stream or its consumer. A message that
// the codec can't read and that could not be rejected does not end it: that is
// tried again some seconds later.
//
// While the body runs, the server is told that it does, three times in each
// time to acknowledge, so that a body may take as long as it likes. An item
// whose end the server does not confirm comes again.
//
// Any number of goroutines may range over one queue, each item going to one of
// them; a handle asks for no more items than it has loops that wait. Marking an
// item done and asking for the next take one round trip together.
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		if ctx.Err() != nil {
			return
		}
		q.want()
		for {
			t, err := q.await(ctx)
			if errors.Is(err, errNotRejected) {
				q.want()
				continue
			}
			if err != nil {
				return
			}
			more := t.work(yield) && ctx.Err() == nil
			if more {
				q.want()
			}
			_ = t.Done(context.WithoutCancel(ctx))
			if !more {
				return
			}
		}
	}
}

// work runs the body of a loop on the item.
func (t *Task[T]) work(yield func(T) bool) (more bool) {
	stop := t.keepExtending()
	through := false
	defer func() {
		stop()
		if !through { // by a panic or Goexit
			ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
			defer cancel()
			_ = t.Retry(ctx, 0)
		}
	}()
	more = yield(t.Item)
	through = true
	return more
}

// keepExtending tells the server, at each third of the time to acknowledge, that
// the item is being worked on, until stop is called.
func (t *Task[T]) keepExtending() (stop func()) {
	every := t.q.ackWait / 3
	stopped := make(chan struct{})
	timer := time.AfterFunc(every, func() {
		for {
			_ = t.q.nc.Publish(t.msg.Reply, progress)
			select {
			case <-stopped:
				return
			case <-time.After(every):
			}
		}
	})
	return func() {
		timer.Stop()
		close(stopped)
	}
}
