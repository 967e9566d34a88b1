package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullTime  = 5 * time.Second        // how long the server keeps a pull request
	quietTime = 20 * time.Second       // and one that follows a request for which no item came; half-open connections are noticed after it
	watchTime = 500 * time.Millisecond // how often watch looks for pull requests that were lost
	retryTime = 2 * time.Second        // when a message is redelivered that could not be rejected
	pullBytes = 8 << 20                // bytes that one pull request may bring; the server cuts a connection at 64 MiB
)

// Get removes the oldest item and returns it as a task. It blocks until there is
// one. The item is the caller's until [Task.Done], [Task.Retry] or [Task.Reject]
// is called; if none is within the ack wait (see [WithAckWait]), the server
// redelivers the item.
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
	return q.await(ctx, q.claim())
}

// TryGet is [Queue.Get] without waiting for an item: it returns
// [queue.ErrEmpty] if the server has none to give out at that moment. It still
// waits for the server's answer.
func (q *Queue[T]) TryGet(ctx context.Context) (*Task[T], error) {
	ctx, err := enter(ctx)
	if err != nil {
		return nil, err
	}
	for {
		msg, err := q.intake.tryClaim()
		if err == nil && msg == nil {
			msg, err = q.fetch(ctx)
		}
		if err != nil {
			return nil, err
		}
		if t, err := q.task(ctx, msg); t != nil || err != nil {
			return t, err
		}
	}
}

// fetch asks for one message, and does not wait if there is none.
func (q *Queue[T]) fetch(ctx context.Context) (msg *nats.Msg, err error) {
	err = q.link.call(ctx, func(ctx context.Context) error {
		var gaveUp bool
		var mu sync.Mutex
		came := make(chan *nats.Msg, 1)
		inbox, err := q.nc.Subscribe(q.nc.NewInbox(), func(msg *nats.Msg) {
			mu.Lock()
			defer mu.Unlock()
			if gaveUp && !isStatus(msg) {
				q.intake.arrive(msg, false)
			} else if !gaveUp {
				select {
				case came <- msg:
				default: // the end of a request that was answered
				}
			}
		})
		if err != nil {
			return err
		}
		defer func() { _ = inbox.Drain() }()
		if err := q.nc.PublishRequest(q.pulls, inbox.Subject, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
			return err
		}
		select {
		case msg = <-came:
		case <-ctx.Done():
			mu.Lock()
			defer mu.Unlock()
			gaveUp = true
			select {
			case msg = <-came:
			default:
				return ctx.Err()
			}
		}
		if !isStatus(msg) {
			return nil
		}
		switch status := msg.Header.Get("Status"); status {
		case "404", "408":
			if err := q.look(false); err != nil {
				return err
			}
			return q.orEmpty()
		case "503": // no leader, or no consumer
			if err := q.look(true); err != nil {
				return err
			}
			return nats.ErrNoResponders
		default:
			return fmt.Errorf("natsqueue: get: %s %s", status, msg.Header.Get("Description"))
		}
	})
	return msg, err
}

// orEmpty returns why no more messages come, or that none has come.
func (q *Queue[T]) orEmpty() error {
	if err := q.intake.why(); err != nil {
		return err
	}
	return queue.ErrEmpty
}

// claim takes a place among the calls that wait for a message.
func (q *Queue[T]) claim() claim {
	c, isReady := q.intake.claim()
	if !isReady && q.shutdown.Load() {
		signal(q.kick) // it may wait for nothing
	}
	return c
}

// errNotRejected is the error of a message that can be neither decoded nor, for
// now, rejected. It was handed back.
var errNotRejected = errors.New("natsqueue: reject a message that can't be processed")

// await waits for the item of a claim.
func (q *Queue[T]) await(ctx context.Context, c claim) (*Task[T], error) {
	for {
		msg, err := q.intake.await(ctx, c)
		if err != nil {
			return nil, err
		}
		if t, err := q.task(ctx, msg); t != nil || err != nil {
			return t, err
		}
		c = q.claim()
	}
}

// task decodes a message. One that can't be decoded, or was delivered too often,
// is rejected, and one that came too early is handed back: neither is a task, nor
// an error.
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
			q.handBack(msg, d)
			return nil, nil
		}
		return t, nil
	}
	if err := t.Reject(ctx, reason); err != nil {
		q.handBack(msg, retryTime)
		return nil, fmt.Errorf("%w: %w", errNotRejected, err)
	}
	return nil, nil
}

// early returns how long it is until the item may be given to a worker.
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

// A receiver is the side of an intake that faces the server: where messages
// come, and what the server tells about the stream and the consumer.
type receiver struct {
	pulls     string // the subject of pull requests
	limits    atomic.Pointer[pullLimits]
	quiet     atomic.Bool        // no item came for the last request
	deaf      atomic.Bool        // the user may not hear what the server tells
	inbox     *nats.Subscription // where messages come; of the intake's mu
	events    chan *nats.Msg     // what the server tells
	advisory  []*nats.Subscription
	connected chan nats.Status
	kick      chan struct{} // makes watch look at the stream soon
	renewed   chan struct{} // makes it look at once, after the connection was replaced
}

// pullLimits are those that the consumer's configuration sets to one request.
type pullLimits struct {
	batch   int // 0 is no limit
	expires time.Duration
	bytes   int
}

func limitsOf(c jetstream.ConsumerConfig) *pullLimits {
	return &pullLimits{batch: c.MaxRequestBatch, expires: c.MaxRequestExpires, bytes: c.MaxRequestMaxBytes}
}

// request returns a pull request for up to n messages that the server keeps for
// expires, and for how many messages it is.
func (l *pullLimits) request(n int, maxPayload int64, expires time.Duration) (body []byte, batch int) {
	if l.batch > 0 {
		n = min(n, l.batch)
	}
	bytes := max(pullBytes, 2*int(maxPayload))
	if l.bytes > 0 {
		bytes = min(bytes, l.bytes)
	}
	return []byte(`{"batch":` + strconv.Itoa(n) + `,"max_bytes":` + strconv.Itoa(bytes) +
		`,"expires":` + strconv.FormatInt(int64(expires), 10) + `}`), n
}

// pull sends pull requests for n messages, and returns how long the server keeps
// them. The intake's mu is held.
func (q *Queue[T]) pull(n int) (expires time.Duration, err error) {
	if !q.nc.IsConnected() {
		return 0, nats.ErrDisconnected
	}
	limits := q.limits.Load()
	expires = q.patience()
	if limits.expires > 0 {
		expires = min(expires, limits.expires)
	}
	for n > 0 {
		body, batch := limits.request(n, q.nc.MaxPayload(), expires)
		if err := q.nc.PublishRequest(q.pulls, q.inbox.Subject, body); err != nil {
			return 0, err
		}
		n -= batch
	}
	return expires, nil
}

// patience returns how long a handle that waits for items goes without asking the
// server: longer if none have come for a while, so that idle handles cost little.
// The server tells of shutdowns and new leaders; a user who may not hear it finds
// them by asking.
func (q *Queue[T]) patience() time.Duration {
	for _, subject := range q.advisories() {
		if refused(q.nc, subject) {
			q.deaf.Store(true)
		}
	}
	if q.quiet.Load() && !q.deaf.Load() {
		return quietTime
	}
	return pullTime
}

// advisories returns the subjects of what the server tells.
func (q *Queue[T]) advisories() [2]string {
	return [...]string{streamUpdated + q.name, leaderElected + q.name + "." + consumerName}
}

// listen starts the intake.
func (q *Queue[T]) listen() (err error) {
	q.pulls = apiPrefix(q.js) + "CONSUMER.MSG.NEXT." + q.name + "." + consumerName
	q.events = make(chan *nats.Msg, 64)
	if q.replies, err = newMux(q.nc); err != nil {
		return err
	}
	if q.inbox, err = q.nc.Subscribe(q.nc.NewInbox(), q.receive); err != nil {
		return err
	}
	for _, subject := range q.advisories() {
		sub, err := q.nc.ChanSubscribe(subject, q.events)
		if err != nil {
			return err
		}
		q.advisory = append(q.advisory, sub)
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

// hangUp ends the intake. It waits until the server has stopped to send, and the
// messages that it sent before are on their way back.
func (q *Queue[T]) hangUp() {
	q.nc.RemoveStatusListener(q.connected)
	q.replies.close()
	for _, sub := range q.advisory {
		_ = sub.Unsubscribe()
	}
	q.intake.mu.Lock()
	inbox := q.inbox
	q.intake.mu.Unlock()
	drained := make(chan struct{})
	inbox.SetClosedHandler(func(string) { close(drained) })
	if inbox.Drain() == nil && q.nc.IsConnected() {
		select {
		case <-drained:
		case <-time.After(attemptTime):
		}
	}
	q.intake.close()
}

// isStatus reports whether a message is no item but the end of a pull request.
func isStatus(msg *nats.Msg) bool { return msg.Header.Get("Status") != "" && len(msg.Data) == 0 }

// receive takes what comes to an inbox: a message, or the end of a request.
func (q *Queue[T]) receive(msg *nats.Msg) {
	q.intake.mu.Lock()
	current := msg.Sub == q.inbox
	q.intake.mu.Unlock()
	if !isStatus(msg) {
		q.quiet.Store(false)
		q.intake.arrive(msg, current)
		return
	}
	if !current {
		return
	}
	text := msg.Header.Get("Description")
	if n, err := strconv.Atoi(msg.Header.Get("Nats-Pending-Messages")); err == nil {
		if limits := q.limits.Load(); limits.bytes > 0 && n > 0 && strings.EqualFold(text, "message size exceeds maxbytes") &&
			strconv.Itoa(limits.bytes) == msg.Header.Get("Nats-Pending-Bytes") {
			q.intake.end(fmt.Errorf("natsqueue: the next item is larger than the consumer's max_bytes of %d", limits.bytes))
			return
		}
		if msg.Header.Get("Status") == "408" {
			q.quiet.Store(true)
		}
		q.intake.unanswered(n)
		return
	}
	// Not the end of one request, but of all: the leader changed, there is no responder, or the request was refused.
	switch {
	case strings.EqualFold(text, "consumer deleted"):
		q.intake.end(jetstream.ErrConsumerDeleted)
	case strings.HasPrefix(text, "Exceeded "):
		// An operator has changed the configuration: read it again before the next request.
		q.intake.lose(fmt.Errorf("natsqueue: the server refused a pull request: %s", text))
	default:
		q.intake.lose(nil)
	}
}

// handBack asks the server to redeliver a message after delay, and waits a
// little for the answer; if none comes, the message's ack wait will pass.
func (q *Queue[T]) handBack(msg *nats.Msg, delay time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	_, _ = q.nc.RequestWithContext(ctx, msg.Reply, nak(delay))
}

// renew asks again for all that is wanted, at a new inbox: what still comes to
// the old one is taken, but no longer counted.
func (q *Queue[T]) renew() {
	q.quiet.Store(false) // a new leader may not take requests yet
	q.intake.renew(func() error {
		if !q.nc.IsConnected() {
			return nats.ErrDisconnected
		}
		inbox, err := q.nc.Subscribe(q.nc.NewInbox(), q.receive)
		if err != nil {
			return err
		}
		_ = q.inbox.Drain()
		q.inbox = inbox
		return nil
	})
}

// follow asks again for what was lost with a connection as soon as there is
// another. It returns when the handle or the connection is closed.
func (q *Queue[T]) follow() {
	for {
		select {
		case <-q.link.life.Done():
			return
		case status, ok := <-q.connected:
			if !ok || status == nats.CLOSED {
				q.intake.end(nats.ErrConnectionClosed)
				return
			}
			q.link.reconnected()
			q.renew()
			signal(q.renewed)
		}
	}
}

// watch renews requests that the server has lost, keeps alive what was fetched
// ahead, and ends the intake when the queue is shut down and empty. The server
// tells of shutdowns and new leaders, but may not be heard. watch ends with follow;
// it waits for answers, and follow does not.
func (q *Queue[T]) watch(followed <-chan struct{}) {
	timer := time.NewTimer(watchTime)
	defer timer.Stop()
	var wait backoff
	looked, extended := time.Now(), time.Now()
	for {
		look, overdue := false, false
		select {
		case <-followed:
			return
		case event := <-q.events:
			if strings.HasPrefix(event.Subject, leaderElected) {
				q.renew() // the one before took the requests with it
			}
			look = true
		case <-q.renewed:
			look = true
		case <-q.kick:
			wait = 0 // and look in a moment, unless another call asks first: then items still come
		case <-timer.C:
			look = q.intake.isWaiting() && (q.shutdown.Load() || time.Since(looked) > q.patience())
			if overdue = q.intake.overdue(); overdue {
				look = true
			}
		}
		if time.Since(extended) > q.ackWait/4 {
			extended = time.Now()
			for _, msg := range q.intake.fetchedAhead() {
				_ = msg.Respond(progress)
			}
		}
		if look {
			looked = time.Now()
			before := q.nc.LastError()
			_ = q.look(overdue)
			if overdue {
				q.renew()
				q.flush(before)
			}
		}
		next := min(watchTime, q.ackWait/4)
		if q.shutdown.Load() && q.intake.isWaiting() {
			next = min(next, wait.next(4*pollTime))
		}
		timer.Reset(next)
	}
}

// flush waits until the server has read the requests that were sent, and ends
// the intake if it refused one because a permission is missing.
func (q *Queue[T]) flush(before error) {
	ctx, cancel := q.link.try(q.link.life)
	defer cancel()
	if q.nc.FlushWithContext(ctx) != nil {
		return
	}
	if refusal := q.link.refusal(before); refusal != nil {
		q.intake.end(refusal)
	}
}

// look asks the server whether the queue is shut down, and whether it is empty;
// and, if requests were not answered, whether the consumer is there and what its
// limits are: that it was deleted is told to those alone that wait at that moment.
func (q *Queue[T]) look(unanswered bool) error {
	before := q.nc.LastError()
	ctx, cancel := q.link.try(q.link.life)
	defer cancel()
	info, err := q.stream.Info(ctx)
	if err == nil && unanswered {
		var consumer *jetstream.ConsumerInfo
		if consumer, err = q.consumer.Info(ctx); err == nil {
			q.limits.Store(limitsOf(consumer.Config))
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		q.intake.end(fmt.Errorf("natsqueue: %w", err))
	case errors.Is(err, context.DeadlineExceeded):
		if refusal := q.link.refusal(before); refusal != nil {
			q.intake.end(refusal)
		} else {
			q.link.suspect()
			q.link.suspect() // the request for messages was not answered either
		}
	case info != nil && isShutdown(info):
		q.shutdown.Store(true)
		if info.State.Msgs == 0 {
			q.intake.end(queue.ErrShutdown)
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
