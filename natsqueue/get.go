package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullTime  = 5 * time.Second        // how long the server keeps a pull request
	watchTime = 500 * time.Millisecond // how often watch looks for pull requests that were lost
	retryTime = 2 * time.Second        // when a message comes again that could not be rejected
)

// Get takes the oldest item. If there is none, it waits for one. The item is
// the caller's until it calls [Task.Done], [Task.Retry] or [Task.Reject]; if it
// doesn't in the time to acknowledge (see [WithAckWait]), the item is given to
// another.
//
// It returns ctx.Err() if ctx is done, [queue.ErrShutdown] if the queue is shut
// down and every item in it is done, [ErrClosed] if the handle is closed, and
// the connection's error if that is closed for good. If somebody deletes the
// stream or its consumer, it returns an error that wraps one of
// [jetstream.ErrStreamNotFound], [jetstream.ErrConsumerNotFound] and
// [jetstream.ErrConsumerDeleted], and this handle gets nothing any more, even if
// they are made anew. If a message that the codec can't read could not be moved
// to the dead-letter stream, it returns the error that this met; the message
// comes again some seconds later, so that Get can be called again for those
// behind it. An item that arrives as ctx ends is either returned or handed back
// at once.
func (q *Queue[T]) Get(ctx context.Context) (*Task[T], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.want()
	return q.await(ctx)
}

// errNotRejected is the error of a message that can be neither decoded nor, for
// now, rejected. It was handed back.
var errNotRejected = errors.New("natsqueue: reject a message that can't be decoded")

// await waits for an item that was asked for by want.
func (q *Queue[T]) await(ctx context.Context) (*Task[T], error) {
	for {
		msg, err := q.ready.Get(ctx)
		if err != nil {
			q.giveUp()
			if errors.Is(err, queue.ErrShutdown) {
				err = q.why()
			}
			return nil, err
		}
		t := &Task[T]{q: q, msg: msg}
		if err = q.codec.Unmarshal(msg.Data, &t.Item); err == nil {
			return t, nil
		}
		if err := t.Reject(ctx, "can't be decoded: "+err.Error()); err != nil {
			q.handBack(msg, retryTime)
			return nil, fmt.Errorf("%w: %w", errNotRejected, err)
		}
		q.want()
	}
}

// An intake is the receiving half of a handle: it asks the server for as many
// messages as there are callers that wait, and hands them over.
//
// Pull requests are its own, and not those of package jetstream, because of what
// happens when a caller gives up. There the request's inbox goes with it, and a
// message on its way there is swallowed: it comes again only when its time to
// acknowledge is over. Here one inbox serves all requests, for as long as the
// handle is open. A message that nobody waits for any more is handed back at
// once.
//
// Invariants, while mu is not held:
//
//	each caller in Get or Tasks is counted in wanted, or has a message in ready or in hand
//	wanted > 0 implies asked > 0 or returning > 0 or lost or cause != nil
type intake struct {
	mu        sync.Mutex
	wanted    int                    // callers that no message has come for
	asked     int                    // messages that were asked for and have not come
	askedAt   time.Time              // when the last request was sent
	lost      bool                   // requests were lost, or could not be sent; watch renews them
	returning int                    // messages that are being handed back
	inbox     *nats.Subscription     // where messages come
	ready     queue.Queue[*nats.Msg] // messages for callers that wait; shut down when none will come
	cause     error                  // why none will come
	hungUp    bool                   // nothing is started any more
	pull      string                 // the subject of pull requests

	events    chan *nats.Msg // what the server tells about the stream and the consumer
	advisory  []*nats.Subscription
	connected chan nats.Status
}

// listen starts the intake.
func (q *Queue[T]) listen() (err error) {
	q.pull = apiPrefix(q.js) + "CONSUMER.MSG.NEXT." + q.name + "." + consumerName
	q.events = make(chan *nats.Msg, 64)
	if q.inbox, err = q.nc.Subscribe(q.nc.NewInbox(), q.receive); err != nil {
		return err
	}
	for _, subject := range []string{streamUpdated + q.name, leaderElected + q.name + "." + consumerName} {
		sub, err := q.nc.ChanSubscribe(subject, q.events)
		if err != nil {
			return err
		}
		q.advisory = append(q.advisory, sub)
	}
	q.connected = q.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	q.workers.Go(q.watch)
	return nil
}

// hangUp ends the intake. It waits until the server has stopped to send, and
// what it sent before is on its way back.
func (q *Queue[T]) hangUp() {
	q.nc.RemoveStatusListener(q.connected)
	for _, sub := range q.advisory {
		_ = sub.Unsubscribe()
	}
	q.mu.Lock()
	inbox := q.inbox
	q.mu.Unlock()
	drained := make(chan struct{})
	inbox.SetClosedHandler(func(string) { close(drained) })
	if inbox.Drain() == nil && q.nc.IsConnected() {
		select {
		case <-drained:
		case <-time.After(attemptTime):
		}
	}
	q.mu.Lock()
	q.hungUp = true
	q.mu.Unlock()
}

// want counts a caller that waits for a message, and asks the server for one.
func (q *Queue[T]) want() {
	q.mu.Lock()
	q.wanted++
	q.ask()
	q.mu.Unlock()
	if q.shutdown.Load() {
		signal(q.kick) // it may wait for nothing
	}
}

// giveUp counts a caller out. If a message has come for it, another one that
// waits gets it, or else the queue.
func (q *Queue[T]) giveUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wanted > 0 {
		q.wanted--
	} else if msg, err := q.ready.TryGet(); err == nil {
		q.sendBack(msg)
	}
}

// ask sends a pull request for all callers that wait, if none is under way: so
// that many callers share a request when messages come fast. Nor does it while a
// message is being handed back, so that this one comes before newer ones. mu
// must be held.
func (q *Queue[T]) ask() {
	if q.wanted == 0 || q.asked > 0 || q.returning > 0 || q.lost {
		return
	}
	request := `{"batch":` + strconv.Itoa(q.wanted) + `,"expires":` + strconv.FormatInt(int64(pullTime), 10) + `}`
	if !q.nc.IsConnected() || q.nc.PublishRequest(q.pull, q.inbox.Subject, []byte(request)) != nil {
		q.lost = true
		return
	}
	q.asked = q.wanted
	q.askedAt = time.Now()
}

// receive takes what comes to an inbox: a message, or the end of a request.
func (q *Queue[T]) receive(msg *nats.Msg) {
	q.mu.Lock()
	defer q.mu.Unlock()
	current := msg.Sub == q.inbox
	if status := msg.Header.Get("Status"); status != "" && len(msg.Data) == 0 {
		if !current {
			return
		}
		unanswered, err := strconv.Atoi(msg.Header.Get("Nats-Pending-Messages"))
		if err != nil { // not the end of one request, but of all: the leader changed, nobody there, ...
			q.lost = true
			if strings.EqualFold(msg.Header.Get("Description"), "consumer deleted") {
				q.endLocked(jetstream.ErrConsumerDeleted)
			}
			return
		}
		q.asked = max(q.asked-unanswered, 0)
		q.ask()
		return
	}
	if current {
		q.asked = max(q.asked-1, 0)
	}
	if q.wanted > 0 && q.ready.TryPut(msg) == nil {
		q.wanted--
	} else {
		q.sendBack(msg)
	}
	q.ask()
}

// sendBack hands a message back to the queue. mu must be held.
func (q *Queue[T]) sendBack(msg *nats.Msg) {
	if q.hungUp {
		_ = q.nc.Publish(msg.Reply, nak(0))
		return
	}
	q.returning++
	q.workers.Go(func() {
		q.handBack(msg, 0)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.returning--
		q.ask()
	})
}

// handBack asks the server to give a message to another after delay, and waits a
// little for the answer; if none comes, the message's time to acknowledge will pass.
func (q *Queue[T]) handBack(msg *nats.Msg, delay time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	_, _ = q.nc.RequestWithContext(ctx, msg.Reply, nak(delay))
}

// renew asks anew for all that is wanted, at a new inbox: what still comes to
// the old one is taken, but no longer counted.
func (q *Queue[T]) renew() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isClosed() || !q.nc.IsConnected() {
		return
	}
	inbox, err := q.nc.Subscribe(q.nc.NewInbox(), q.receive)
	if err != nil {
		return
	}
	_ = q.inbox.Drain()
	q.inbox = inbox
	q.asked = 0
	q.lost = false
	q.ask()
}

// overdue reports whether the requests were lost, or should have ended.
func (q *Queue[T]) overdue() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost || q.asked > 0 && time.Since(q.askedAt) > pullTime+time.Second
}

// watch renews requests that the server has lost, and ends the intake when the
// queue is shut down and empty. The server tells of both, but may not be heard.
func (q *Queue[T]) watch() {
	timer := time.NewTimer(watchTime)
	defer timer.Stop()
	var wait backoff
	looked := time.Now()
	for {
		look, overdue := false, false
		select {
		case <-q.closed:
			return
		case event := <-q.events:
			if strings.HasPrefix(event.Subject, leaderElected) {
				q.renew() // the one before took the requests with it
			}
			look = true
		case status, ok := <-q.connected:
			if !ok || status == nats.CLOSED {
				q.end(nats.ErrConnectionClosed)
				return
			}
			q.renew()
			look = true
		case <-q.kick:
			wait = 0 // and look in a moment, unless somebody asks again first: then items still come
		case <-timer.C:
			look = q.waits() && (q.shutdown.Load() || time.Since(looked) > pullTime)
			if overdue = q.overdue(); overdue {
				q.renew()
				look = true
			}
		}
		if look {
			looked = time.Now()
			q.look(overdue)
		}
		next := watchTime
		if q.shutdown.Load() && q.waits() {
			next = wait.next(4 * pollTime)
		}
		timer.Reset(next)
	}
}

// waits reports whether callers wait for messages.
func (q *Queue[T]) waits() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wanted > 0 && q.cause == nil
}

// look asks the server whether the queue is shut down, and whether it is empty;
// and, if requests were not answered, whether the consumer is there: that it was
// deleted is told to those alone who wait at that moment.
func (q *Queue[T]) look(unanswered bool) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	info, err := q.stream.Info(ctx)
	if err == nil && unanswered {
		_, err = q.consumer.Info(ctx)
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		q.end(fmt.Errorf("natsqueue: %w", err))
	case info != nil && isShutdown(info):
		q.shutdown.Store(true)
		if info.State.Msgs == 0 {
			q.end(queue.ErrShutdown)
		}
	}
}

// noticeShutdown notes that the queue was found to be shut down.
func (q *Queue[T]) noticeShutdown() {
	if !q.shutdown.Swap(true) {
		signal(q.kick)
	}
}

// end releases all callers that wait, and all that will, because of err.
func (q *Queue[T]) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.endLocked(err)
}

// endLocked is end; mu must be held.
func (q *Queue[T]) endLocked(err error) {
	if q.cause == nil || errors.Is(err, ErrClosed) {
		q.cause = err
	}
	q.ready.Shutdown(false)
}

// why returns why no more messages come.
func (q *Queue[T]) why() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cause
}
