package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// A PutOption is an option of one call that puts.
type PutOption func(*envelope) error

// envelope holds the properties that a call gives its items.
type envelope struct {
	header nats.Header
	id     string
	delay  time.Duration
	class  int
}

// PutHeader adds headers to the message of an item, for [Task.Header]. Names that
// begin with "Nats-" or "Natsqueue-" are refused with an error.
func PutHeader(header nats.Header) PutOption {
	return func(e *envelope) error {
		for key, values := range header {
			if reserved(key) {
				return fmt.Errorf("natsqueue: put: the header %s is reserved", key)
			}
			for _, value := range values {
				e.header.Add(key, value)
			}
		}
		return nil
	}
}

// PutDelay delays an item: it is not given to a worker before d has passed. Until
// then it takes a slot, counts as in flight (see [WithMaxInFlight]), and does not
// hold up the items behind it. The handle that receives it first hands it back for
// the rest of the time, by its own clock. The delay does not count as a delivery. It
// is ignored if d is zero or less.
func PutDelay(d time.Duration) PutOption {
	return func(e *envelope) error {
		e.delay = d
		return nil
	}
}

// PutID sets the message ID of an item. Another item with the same ID is not
// stored within the duplicate window (see [WithDuplicateWindow]): its put returns
// [ErrDuplicate], whether or not the first one is still in the queue. The default is
// a random ID. [Queue.PutBatch] refuses the option for more than one item.
func PutID(id string) PutOption {
	return func(e *envelope) error {
		e.id = id
		if id == "" {
			return errors.New("natsqueue: put: the ID is empty")
		}
		return nil
	}
}

// PutPriority sets the class of an item, from 0, the most urgent, to one less than
// the number of [WithPriorities]. The put fails if there is no such class. Without
// it the class is 0.
func PutPriority(class int) PutOption {
	return func(e *envelope) error {
		e.class = class
		return nil
	}
}

// Put stores an item at the end of the queue, or of its class, and returns when
// the server has acknowledged it. If the queue is full, Put blocks until there is
// room, behind the calls of this handle that are already blocked.
//
// Put returns ctx.Err() if ctx is done, [queue.ErrShutdown] if the queue is shut
// down before the item is stored, [ErrClosed] if the handle is closed,
// [ErrDuplicate] if the ID of [PutID] was used before, the codec's error, and an
// error that wraps [nats.ErrMaxPayload] if the message exceeds the server's
// limit, or [nats.ErrPermissionViolation] if the user may not put. If ctx ends, or
// the handle or the connection is closed, while the server is asked, the item may
// have been stored or not; after any other error it was not stored. If the error is
// the context's and the server could not be reached, it also wraps the error of the
// last attempt.
func (q *Queue[T]) Put(ctx context.Context, item T, opts ...PutOption) error {
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	msgs, own, err := q.encode([]T{item}, opts)
	if err != nil {
		return err
	}
	_, err = q.put(ctx, msgs, own)
	return err
}

// TryPut is [Queue.Put] without blocking for room: it returns [queue.ErrFull] if the
// queue is full, or if Puts of this handle are blocked. It still waits for the
// server's acknowledgement; with replicas ([WithReplicas]), ErrFull takes a second
// request, since their leader may refuse an item though there is room.
func (q *Queue[T]) TryPut(ctx context.Context, item T, opts ...PutOption) error {
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	msgs, own, err := q.encode([]T{item}, opts)
	if err != nil {
		return err
	}
	if !q.line.isOpen() {
		return queue.ErrFull
	}
	var wait backoff
	for begin := time.Now(); ; {
		err := q.publish(ctx, msgs[0], own)
		if !errors.Is(err, queue.ErrFull) || !q.replicated() || time.Since(begin) > attemptTime {
			return err
		}
		if full, err := q.isFullFor(ctx, msgs[0]); err != nil {
			return err
		} else if full {
			return queue.ErrFull
		}
		q.link.sleep(ctx, q.link.epoch(), wait.next(pollTime))
	}
}

// replicated reports whether several servers store the queue.
func (q *Queue[T]) replicated() bool { return q.stream.CachedInfo().Config.Replicas > 1 }

// isFullFor reports whether the stream has no room for a message. The leader of a
// replicated stream may refuse messages though it has room: for a moment it counts a
// stored message also as one still to be stored.
func (q *Queue[T]) isFullFor(ctx context.Context, msg *nats.Msg) (bool, error) {
	const overhead = 64 // bytes, at most, that the store adds to a message
	info, err := q.info(ctx)
	if err != nil {
		return false, err
	}
	c, s := info.Config, info.State
	return c.MaxMsgs > 0 && s.Msgs >= uint64(c.MaxMsgs) ||
		c.MaxBytes > 0 && s.Bytes+uint64(msg.Size())+overhead > uint64(c.MaxBytes), nil
}

// PutAfter is [Queue.Put] with [PutDelay].
func (q *Queue[T]) PutAfter(ctx context.Context, item T, d time.Duration, opts ...PutOption) error {
	return q.Put(ctx, item, append(opts[:len(opts):len(opts)], PutDelay(d))...)
}

// encode returns the messages for items, and whether the caller chose their ID. Each
// keeps its ID over all attempts to store it, so that the server stores it once. The
// server does not remember the ID of a message that it refused.
func (q *Queue[T]) encode(items []T, opts []PutOption) (msgs []*nats.Msg, own bool, err error) {
	e := envelope{header: nats.Header{}}
	for _, opt := range opts {
		if err := opt(&e); err != nil {
			return nil, false, err
		}
	}
	own = e.id != ""
	if own && len(items) > 1 {
		return nil, false, errors.New("natsqueue: put: one ID for several items")
	}
	if n := len(q.classes); e.class < 0 || e.class >= n {
		return nil, false, fmt.Errorf("natsqueue: put: the priority is %d, and the queue has %d, from 0 to %d", e.class, n, n-1)
	}
	subject := itemSubject(q.name, e.class)
	msgs = make([]*nats.Msg, len(items))
	for i, item := range items {
		data, err := q.codec.Marshal(item)
		if err != nil {
			return msgs[:i], own, fmt.Errorf("natsqueue: encode: %w", err)
		}
		header := make(nats.Header, len(e.header)+2)
		for key, values := range e.header {
			header[key] = values
		}
		if own {
			header[jetstream.MsgIDHeader] = []string{e.id}
		} else {
			header[jetstream.MsgIDHeader] = []string{nuid.Next()}
		}
		if e.delay > 0 {
			header[notBeforeHeader] = []string{time.Now().Add(e.delay).UTC().Format(time.RFC3339Nano)}
		}
		msgs[i] = &nats.Msg{Subject: subject, Data: data, Header: header}
	}
	return msgs, own, nil
}

// put stores messages in order, and returns how many it stored. Batches and single
// items block in the same line.
//
// The first call in line tries again after 1 ms, and then after twice as long each
// time. Once it has been blocked for a while it also listens for acknowledgements,
// and tries when it hears of one. (On a busy queue it would hear of every one, so it
// does not listen at first, unless the last call of this handle had to.)
func (q *Queue[T]) put(ctx context.Context, msgs []*nats.Msg, own bool) (n int, err error) {
	p := q.line.join()
	var delay time.Duration // until the next attempt
	var wait backoff
	window := fastBatch
	listens := false
	begin := time.Now() // blocked since
	for {
		if err := q.line.await(ctx, q.link.life.Done(), p); err != nil {
			return n, err
		}
		switch {
		case delay > 0 && !listens && (delay > pollTime/4 || q.ears.wereNeeded()):
			if err := q.ears.listen(); err != nil {
				q.line.leave(false)
				return n, err
			}
			defer q.ears.rest()
			listens = true // and try at once: earlier acknowledgements were not heard
		case delay > 0:
			woken, err := q.ears.sleep(ctx, q.link.life, delay)
			if err != nil {
				q.line.leave(false)
				return n, err
			}
			if woken && q.replicated() {
				wait = 0 // the consumer's leader may announce it before the stream's has removed the item
			}
		}
		heard := len(q.ears.heard)
		stored, err := q.send(ctx, msgs[n:], own, &window)
		n += stored
		if !errors.Is(err, queue.ErrFull) {
			q.ears.use(stored)
			if !listens && delay == 0 {
				q.ears.wereNotNeeded()
			}
			q.line.leave(err == nil && delay == 0)
			return n, err
		}
		if stored > 0 {
			wait, begin = 0, time.Now()
		}
		window = 1
		q.ears.use(max(heard, stored))
		q.line.refused(p)
		delay = wait.next(q.ears.limit(time.Since(begin)))
	}
}

// send stores messages in order until the server refuses one, up to window of them
// at a time. The window grows while all are stored: when the server refuses one, it
// refuses all behind it that were sent, one by one.
func (q *Queue[T]) send(ctx context.Context, msgs []*nats.Msg, own bool, window *int) (n int, err error) {
	for n < len(msgs) {
		size := 1
		if q.fast.Load() {
			size = chunk(msgs[n:], *window, int(q.nc.MaxPayload()))
		}
		if size > 1 {
			var stored int
			stored, err = q.publishFast(ctx, msgs[n:n+size])
			n += stored
		} else if err = q.publish(ctx, msgs[n], own); err == nil {
			n++
		}
		if err != nil {
			return n, err
		}
		*window = min(2**window, fastBatch)
	}
	return n, nil
}

// publish asks the server to store a message, until it acknowledges the message or
// refuses it.
func (q *Queue[T]) publish(ctx context.Context, msg *nats.Msg, own bool) error {
	attempts := 0
	return q.link.call(ctx, func(ctx context.Context) error {
		attempts++
		stored, err := q.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		if err == nil && own && stored.Duplicate && attempts == 1 {
			return ErrDuplicate
		}
		return q.stored(ctx, err)
	})
}

// stored returns the error of a put that the server answered with err.
func (q *Queue[T]) stored(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err, q.maxBytes > 0):
		return queue.ErrFull
	case errorCode(err) == codeSealed:
		q.noticeShutdown()
		return queue.ErrShutdown
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return q.orShutdown(ctx, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("natsqueue: put: %w", err)
	}
	return err
}

// orShutdown returns err, or [queue.ErrShutdown] or the server's error if the queue
// was shut down or deleted.
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

const (
	slowPoll  = time.Second            // between the attempts of a blocked call that hears of acknowledgements
	restPoll  = 4 * time.Second        // and of one that has been blocked for long
	unheard   = 250 * time.Millisecond // after which a call that may listen polls that slowly, even if it has heard of none
	mostHeard = 64                     // wake-ups that a handle keeps, more than come during one attempt
)

// Ears hear of acknowledgements, for the blocked Puts of one handle. Each is a
// wake-up: a slot is free. All handles of a queue listen as one queue group, so that
// a wake-up reaches one of them and not all: with as many publishes as blocked
// handles for each item, a fleet would bring the queue to a standstill.
//
// An item that is stored uses one wake-up; a refusal uses those that came before the
// attempt. When the last blocked call of a handle returns, the handle leaves the
// group and publishes the unused wake-ups again for the others, with those that
// still arrive. So a call that gives up as it is woken wakes the next one, and a
// wake-up is repeated at most once for each handle that leaves. The slot of a
// rejected item wakes no call, nor does one whose wake-up the user may not repeat:
// they are found by polling.
type ears struct {
	nc      *nats.Conn
	subject string
	heard   chan *nats.Msg // wake-ups that no attempt has used
	ever    atomic.Bool    // a wake-up was heard
	deaf    atomic.Bool    // the user may not listen

	mu     sync.Mutex
	users  int
	sub    *nats.Subscription
	needed bool // the last call that put had to listen
	mute   bool // the user may not repeat a wake-up
}

func newEars(nc *nats.Conn, subject string) *ears {
	return &ears{nc: nc, subject: subject, heard: make(chan *nats.Msg, mostHeard)}
}

// wereNeeded reports whether the handle's last call had to listen.
func (e *ears) wereNeeded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.needed
}

func (e *ears) wereNotNeeded() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.needed = e.users > 0
}

// listen subscribes, or shares the subscription of another call.
func (e *ears) listen() (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.needed = true
	if e.users == 0 {
		e.sub, err = e.nc.QueueSubscribe(e.subject, "natsqueue", func(msg *nats.Msg) {
			e.ever.Store(true)
			e.hear(msg)
		})
		if err != nil {
			return err
		}
	}
	e.users++
	return nil
}

// rest ends listen.
func (e *ears) rest() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users--; e.users > 0 {
		return
	}
	if !e.nc.IsConnected() || e.sub.Drain() != nil { // Drain still hears what is on its way
		_ = e.sub.Unsubscribe()
	}
	for {
		select {
		case msg := <-e.heard:
			e.repeat(msg)
		default:
			return
		}
	}
}

// hear keeps a wake-up for the calls that listen, or leaves it to other handles.
func (e *ears) hear(msg *nats.Msg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users == 0 {
		e.repeat(msg)
		return
	}
	select {
	case e.heard <- msg:
	default:
	}
}

// repeat publishes a wake-up for the other handles. mu must be held.
func (e *ears) repeat(msg *nats.Msg) {
	if e.mute = e.mute || refused(e.nc, "Publish", msg.Subject); !e.mute {
		_ = e.nc.Publish(msg.Subject, msg.Data)
	}
}

// use forgets n wake-ups.
func (e *ears) use(n int) {
	for range n {
		select {
		case <-e.heard:
		default:
			return
		}
	}
}

// limit returns the longest time between the attempts of a call that has been
// blocked for so long. A user who may not listen has only polling.
func (e *ears) limit(blocked time.Duration) time.Duration {
	if refused(e.nc, "Subscription", e.subject) {
		e.deaf.Store(true)
	}
	if e.ever.Load() || blocked > unheard && !e.deaf.Load() {
		return min(max(slowPoll, blocked/8), restPoll)
	}
	return pollTime
}

// sleep waits for d, or until there is a wake-up. It leaves the wake-up to be used
// by the attempt that follows.
func (e *ears) sleep(ctx, life context.Context, d time.Duration) (woken bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false, nil
	case msg := <-e.heard:
		e.hear(msg)
		return true, nil
	case <-ctx.Done():
		return false, ended(ctx, nil)
	case <-life.Done():
		return false, ErrClosed
	}
}
