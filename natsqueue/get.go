package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	watchTime = 500 * time.Millisecond // between two checks for lost pull requests
	retryTime = 2 * time.Second        // until a message that could not be rejected is redelivered
)

// Get removes the oldest item of the most urgent class that has one (see
// [WithPriorities]), and returns it as a task. It blocks until there is one. The
// item is the caller's until [Task.Done], [Task.Retry] or [Task.Reject] is called;
// if none is within the ack wait (see [WithAckWait]), the server redelivers the
// item.
//
// Get returns ctx.Err() if ctx is done, [queue.ErrShutdown] if the queue is shut
// down and every item in it is done, [ErrClosed] if the handle is closed, and
// [nats.ErrConnectionClosed] if the connection is closed for good. These errors
// are final for the handle, and so is an error that wraps
// [nats.ErrPermissionViolation], and, if the stream or its consumer is deleted,
// [jetstream.ErrStreamNotFound], [jetstream.ErrConsumerNotFound] or
// [jetstream.ErrConsumerDeleted].
//
// A message that the codec can't decode, or that was delivered more often than
// [WithMaxDeliveries] allows, is rejected. If that fails, Get returns
// the error; the message is redelivered some seconds later, and Get can be called
// again for the items behind it. An item that arrives as ctx ends is either
// returned or handed back at once.
func (q *Queue[T]) Get(ctx context.Context) (*Task[T], error) {
	ctx, err := enter(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := q.next(ctx, ctx, 1)
	if err != nil {
		return nil, err
	}
	return tasks[0], nil
}

// next returns the next items: up to n of one class if there are several classes,
// else one. It blocks until there is one or wait is done; ctx is the context of its
// requests.
func (q *Queue[T]) next(ctx, wait context.Context, n int) ([]*Task[T], error) {
	if len(q.classes) > 1 {
		return q.nextByClass(ctx, wait, n, func() {})
	}
	return alone(q.await(wait, q.claim()))
}

// alone returns a task as the only one.
func alone[T any](t *Task[T], err error) ([]*Task[T], error) {
	if err != nil {
		return nil, err
	}
	return []*Task[T]{t}, nil
}

// TryGet is [Queue.Get] without blocking for an item: it returns [queue.ErrEmpty] if
// the server has none to deliver at that moment. It still waits for the server's
// answer; an item that comes after ctx has ended is handed back.
func (q *Queue[T]) TryGet(ctx context.Context) (*Task[T], error) {
	ctx, err := enter(ctx)
	if err != nil {
		return nil, err
	}
	for {
		msgs, err := q.sweep(ctx, 1, noWait)
		if errors.Is(err, queue.ErrEmpty) {
			msgs, err = q.sweep(ctx, 1, recheck)
		}
		if errors.Is(err, queue.ErrEmpty) {
			err = q.orEmpty(ctx)
		}
		if err != nil {
			return nil, err
		}
		if t, err := q.task(ctx, msgs[0]); t != nil || err != nil {
			return t, err
		}
	}
}

// sweep asks the classes for messages, one after the other, the most urgent first,
// and returns up to n of the first class that has some, or [queue.ErrEmpty]; see
// [receiver.fetch].
func (q *Queue[T]) sweep(ctx context.Context, n int, request func(n int) []byte) ([]*nats.Msg, error) {
	for _, r := range q.classes {
		var msgs []*nats.Msg
		msg, err := r.intake.tryClaim()
		if msg != nil {
			return []*nats.Msg{msg}, nil
		}
		if err == nil {
			err = q.link.call(ctx, func(ctx context.Context) (err error) {
				msgs, err = r.fetch(ctx, n, request)
				if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, errPullRefused) {
					if err := q.look(r); err != nil {
						return err
					}
				}
				return err
			})
		}
		switch {
		case err == nil:
			return msgs, nil
		case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, nats.ErrPermissionViolation):
			q.end(err)
			return nil, err
		case !errors.Is(err, queue.ErrEmpty):
			return nil, err
		}
	}
	return nil, queue.ErrEmpty
}

// orEmpty asks the server why there is no message. It returns the reason why no more
// will come, or [queue.ErrEmpty].
func (q *Queue[T]) orEmpty(ctx context.Context) error {
	if err := q.link.call(ctx, func(context.Context) error { return q.look() }); err != nil {
		return err
	}
	if err := q.Err(); err != nil {
		return err
	}
	return queue.ErrEmpty
}

// claim returns a claim on the next message of any class.
func (q *Queue[T]) claim() claim {
	c := make(claim, len(q.classes))
	isReady := false
	for _, r := range q.classes {
		isReady = r.intake.enqueue(c) || isReady
	}
	if !isReady && q.shutdown.Load() {
		signal(q.kick) // there may be no message to come
	}
	return c
}

// errNotRejected is the error of a message that must be rejected, and could not be
// for now. It was handed back.
var errNotRejected = errors.New("natsqueue: reject a message that can't be processed")

// await blocks until the item of a claim comes, in a queue of one class.
func (q *Queue[T]) await(ctx context.Context, c claim) (*Task[T], error) {
	for {
		msg, err := q.classes[0].intake.await(ctx, c)
		if err != nil {
			return nil, err
		}
		if t, err := q.task(ctx, msg); t != nil || err != nil {
			return t, err
		}
		c = q.claim()
	}
}

// task decodes a message. A message that can't be decoded or was delivered too often
// is rejected, and one that came too early is handed back; then both results are nil.
func (q *Queue[T]) task(ctx context.Context, msg *nats.Msg) (*Task[T], error) {
	t := &Task[T]{q: q, msg: msg}
	err := q.codec.Unmarshal(msg.Data, &t.Item)
	reason := ""
	switch {
	case err != nil:
		reason = "can't be decoded: " + err.Error()
	case q.maxDeliveries > 0 && t.Deliveries() > q.maxDeliveries:
		reason = fmt.Sprintf("delivered %d times without success", t.Deliveries()-1)
	default:
		if d := t.early(); d > 0 {
			q.link.handBack(msg, d)
			return nil, nil
		}
		return t, nil
	}
	if err := t.Reject(ctx, reason); err != nil {
		q.link.handBack(msg, retryTime)
		return nil, fmt.Errorf("%w: %w", errNotRejected, err)
	}
	return nil, nil
}

// early returns the time until the item may be given to a worker.
func (t *Task[T]) early() time.Duration {
	notBefore := t.msg.Header.Get(notBeforeHeader)
	if notBefore == "" {
		return 0
	}
	at, err := time.Parse(time.RFC3339Nano, notBefore)
	if err != nil {
		return 0
	}
	return time.Until(at)
}

// patience returns how long the server keeps a pull request: longer if no items have
// come for a while, so that idle handles cost little. The server announces shutdowns
// and new leaders; a user who may not hear them has only the requests.
func (q *Queue[T]) patience(quiet bool) time.Duration {
	for _, subject := range q.advisories {
		if refused(q.nc, "Subscription", subject) {
			q.deaf.Store(true)
		}
	}
	if quiet && !q.deaf.Load() {
		return quietTime
	}
	return pullTime
}

// listen starts to receive.
func (q *Queue[T]) listen() (err error) {
	if q.replies, err = newMux(q.nc); err != nil {
		return err
	}
	q.events = make(chan *nats.Msg, 64)
	q.advisories = []string{streamUpdated + q.name}
	for _, r := range q.classes {
		if err := r.open(); err != nil {
			return err
		}
		q.advisories = append(q.advisories, r.elected)
	}
	for _, subject := range q.advisories {
		sub, err := q.nc.ChanSubscribe(subject, q.events)
		if err != nil {
			return err
		}
		q.heard = append(q.heard, sub)
	}
	q.connected = q.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	q.renewed = make(chan struct{}, 1)
	followed := make(chan struct{})
	q.link.work.Go(func() {
		defer close(followed)
		q.follow()
	})
	q.link.work.Go(func() { q.watch(followed) })
	return nil
}

// end ends all blocked calls that receive, and all later ones, with err.
func (q *Queue[T]) end(err error) {
	for _, r := range q.classes {
		r.intake.end(err)
	}
}

// hangUp ends listen. It waits until the server has stopped sending and the messages
// that it sent before are being handed back.
func (q *Queue[T]) hangUp() {
	q.nc.RemoveStatusListener(q.connected)
	q.replies.close()
	for _, sub := range q.heard {
		_ = sub.Unsubscribe()
	}
	drained := make([]<-chan struct{}, len(q.classes))
	for i, r := range q.classes {
		drained[i] = r.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	for i, r := range q.classes {
		if drained[i] != nil {
			select {
			case <-drained[i]:
			case <-ctx.Done():
			}
		}
		r.intake.close()
	}
}

// isWaiting reports whether calls are blocked.
func (q *Queue[T]) isWaiting() bool {
	return slices.ContainsFunc(q.classes, func(r *receiver) bool { return r.intake.isWaiting() })
}

// isQuiet reports whether no item came for the last request of any class.
func (q *Queue[T]) isQuiet() bool {
	return !slices.ContainsFunc(q.classes, func(r *receiver) bool { return !r.quiet.Load() })
}

// follow sends again the requests that were lost with a connection, as soon as there
// is another. It returns when the handle or the connection is closed.
func (q *Queue[T]) follow() {
	for {
		select {
		case <-q.link.life.Done():
			return
		case status, ok := <-q.connected:
			if !ok || status == nats.CLOSED {
				q.end(nats.ErrConnectionClosed)
				return
			}
			q.link.reconnected()
			for _, r := range q.classes {
				r.renew()
			}
			signal(q.renewed)
		}
	}
}

// watch renews requests that the server has lost, extends the ack wait of items that
// were fetched ahead, and ends the receivers when the queue is shut down and empty.
// The server announces shutdowns and new leaders, but the user may lack the right to
// hear them. watch ends with follow; it waits for answers, and follow does not.
func (q *Queue[T]) watch(followed <-chan struct{}) {
	timer := time.NewTimer(watchTime)
	defer timer.Stop()
	var wait backoff
	looked, extended := time.Now(), time.Now()
	for {
		look := false
		var overdue []*receiver
		select {
		case <-followed:
			return
		case event := <-q.events:
			for _, r := range q.classes {
				if r.elected == event.Subject {
					r.renew() // the requests were lost with the old leader
				}
			}
			look = true
		case <-q.renewed:
			look = true
		case <-q.kick:
			wait = 0 // look a moment later: other calls may still receive items
		case <-timer.C:
			for _, r := range q.classes {
				if r.intake.overdue() {
					overdue = append(overdue, r)
				}
			}
			look = len(overdue) > 0 || q.isWaiting() && (q.shutdown.Load() || time.Since(looked) > q.patience(q.isQuiet()))
		}
		if time.Since(extended) > q.ackWait/4 {
			extended = time.Now()
			for _, r := range q.classes {
				for _, msg := range r.intake.fetchedAhead() {
					_ = msg.Respond(progress)
				}
			}
		}
		if look {
			looked = time.Now()
			before := q.nc.LastError()
			_ = q.look(overdue...)
			for _, r := range overdue {
				r.renew()
			}
			if len(overdue) > 0 {
				q.flush(before)
			}
		}
		next := min(watchTime, q.ackWait/4)
		if q.shutdown.Load() && q.isWaiting() {
			next = min(next, wait.next(4*pollTime))
		}
		timer.Reset(next)
	}
}

// flush waits until the server has read the requests that were sent, and ends
// the receivers if it refused one because a permission is missing.
func (q *Queue[T]) flush(before error) {
	ctx, cancel := q.link.try(q.link.life)
	defer cancel()
	if q.nc.FlushWithContext(ctx) != nil {
		return
	}
	if refusal := q.link.refusal(before); refusal != nil {
		q.end(refusal)
	}
}

// look asks the server whether the queue is shut down and whether it is empty. For
// receivers with unanswered requests it also asks whether the consumer exists, and
// for its limits: the server announces a deletion only to the requests that it holds
// at that moment.
func (q *Queue[T]) look(unanswered ...*receiver) error {
	before := q.nc.LastError()
	ctx, cancel := q.link.try(q.link.life)
	defer cancel()
	info, err := q.stream.Info(ctx)
	for _, r := range unanswered {
		if err != nil {
			break
		}
		var consumer *jetstream.ConsumerInfo
		if consumer, err = r.consumer.Info(ctx); err == nil {
			r.limits.Store(limitsOf(consumer.Config))
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		q.end(fmt.Errorf("natsqueue: %w", err))
	case errors.Is(err, context.DeadlineExceeded):
		if refusal := q.link.refusal(before); refusal != nil {
			q.end(refusal)
		} else {
			q.link.suspect()
			q.link.suspect() // the pull request was not answered either
		}
	case info != nil && isShutdown(info):
		q.shutdown.Store(true)
		if info.State.Msgs == 0 {
			q.end(queue.ErrShutdown)
		}
	}
	return err
}

// noticeShutdown notes that the queue was found to be shut down.
func (q *Queue[T]) noticeShutdown() {
	if !q.shutdown.Swap(true) {
		signal(q.kick)
	}
}
