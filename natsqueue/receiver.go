package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	pullTime  = 5 * time.Second  // how long the server keeps a pull request
	quietTime = 20 * time.Second // and one that follows a request without an item; a half-open connection is noticed after it
	pullBytes = 8 << 20          // limit of the bytes for one pull request; the server cuts a connection at 64 MiB
)

// A receiver receives the items of one class of priority: it is an intake's
// connection to the server. A queue without priorities has one class.
type receiver struct {
	intake   intake
	link     *link
	consumer jetstream.Consumer
	pulls    string // the subject of pull requests
	elected  string // the subject on which the server tells of a new leader
	limits   atomic.Pointer[pullLimits]
	quiet    atomic.Bool                    // no item came for the last request
	patience func(quiet bool) time.Duration // how long the server may keep a request
	inbox    *nats.Subscription             // of the messages; guarded by the intake's mu
	end      func(error)                    // ends the receivers of all classes

	mu         sync.Mutex
	spare      []*nats.Subscription // inboxes for the answers to fetch, which no call uses
	late       []lateInbox          // inboxes whose calls gave up
	collecting bool                 // collect runs
	closed     bool
}

// A lateInbox is one whose call gave up before the answer came.
type lateInbox struct {
	*nats.Subscription
	until time.Time // then the answer is lost
	left  int       // messages that may still come
}

func (l lateInbox) isAnswered() bool {
	n, _, _ := l.Pending()
	return n > 0
}

// newReceiver returns the receiver of a consumer. It must be opened. With bells, the
// server does not send messages, but announces them.
func (q *Queue[T]) newReceiver(consumer jetstream.Consumer, bells bool) *receiver {
	name := q.name + "." + consumer.CachedInfo().Name
	r := &receiver{
		link:     q.link,
		consumer: consumer,
		pulls:    apiPrefix(q.js) + "CONSUMER.MSG.NEXT." + name,
		elected:  leaderElected + name,
		patience: q.patience,
		end:      q.end,
	}
	r.limits.Store(limitsOf(consumer.CachedInfo().Config))
	r.intake.bells = bells
	r.intake.pull = r.pull
	r.intake.back = func(msg *nats.Msg) { r.link.handBack(msg, 0) }
	r.intake.state = r.link.trouble
	r.intake.work = &r.link.work
	return r
}

// open subscribes to the receiver's inbox.
func (r *receiver) open() (err error) {
	r.inbox, err = r.link.nc.Subscribe(r.link.nc.NewInbox(), r.receive)
	return err
}

// close makes the server stop sending. It returns a channel that is closed when the
// messages that it sent before are being handed back, nil if the connection is closed.
func (r *receiver) close() <-chan struct{} {
	r.mu.Lock()
	for _, inbox := range r.spare {
		_ = inbox.Unsubscribe()
	}
	r.spare, r.closed = nil, true
	for i := range r.late {
		r.late[i].until = time.Now().Add(attemptTime)
	}
	r.mu.Unlock()
	r.intake.mu.Lock()
	inbox := r.inbox
	r.intake.mu.Unlock()
	drained := make(chan struct{})
	inbox.SetClosedHandler(func(string) { close(drained) })
	if inbox.Drain() != nil || !r.link.nc.IsConnected() {
		return nil
	}
	return drained
}

// pullLimits are the limits of one request in the consumer's configuration.
type pullLimits struct {
	batch   int // 0 is no limit
	expires time.Duration
	bytes   int
}

func limitsOf(c jetstream.ConsumerConfig) *pullLimits {
	return &pullLimits{batch: c.MaxRequestBatch, expires: c.MaxRequestExpires, bytes: c.MaxRequestMaxBytes}
}

// request returns a pull request for up to n messages, which the server keeps for
// expires, and the number of messages in it.
func (l *pullLimits) request(n, bytes int, expires time.Duration) (body []byte, batch int) {
	if l.batch > 0 {
		n = min(n, l.batch)
	}
	if l.bytes > 0 {
		bytes = min(bytes, l.bytes)
	}
	return []byte(`{"batch":` + strconv.Itoa(n) + `,"max_bytes":` + strconv.Itoa(bytes) +
		`,"expires":` + strconv.FormatInt(int64(expires), 10) + `}`), n
}

// pull sends pull requests for n messages, and returns how long the server keeps
// them. The intake's mu is held.
func (r *receiver) pull(n int) (expires time.Duration, err error) {
	nc := r.link.nc
	if !nc.IsConnected() {
		return 0, nats.ErrDisconnected
	}
	limits := r.limits.Load()
	expires = r.patience(r.quiet.Load())
	if limits.expires > 0 {
		expires = min(expires, limits.expires)
	}
	bytes := max(pullBytes, 2*int(nc.MaxPayload()))
	if r.intake.bells {
		bytes = 1
	}
	for n > 0 {
		body, batch := limits.request(n, bytes, expires)
		if err := nc.PublishRequest(r.pulls, r.inbox.Subject, body); err != nil {
			return 0, err
		}
		n -= batch
	}
	return expires, nil
}

// Requests of fetch, for n messages.
func noWait(n int) []byte { return []byte(`{"batch":` + strconv.Itoa(n) + `,"no_wait":true}`) }
func recheck(n int) []byte {
	return []byte(`{"batch":` + strconv.Itoa(n) + `,"expires":1000000}`) // a millisecond
}

// fetch asks for n messages, or for as many as one request may bring if that is
// less, and returns those that there are. If there is none it returns
// [queue.ErrEmpty]: with noWait at once, though the consumer may not yet know of a
// message that was just stored; with recheck the consumer looks into the stream, and
// the answer takes a millisecond. Messages that come after ctx has ended are handed
// back.
func (r *receiver) fetch(ctx context.Context, n int, request func(n int) []byte) (msgs []*nats.Msg, err error) {
	n = r.most(n)
	inbox, err := r.borrow()
	if err != nil {
		return nil, err
	}
	if err := r.link.nc.PublishRequest(r.pulls, inbox.Subject, request(n)); err != nil {
		r.giveBack(inbox)
		return nil, err
	}
	for len(msgs) < n {
		msg, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			r.abandon(inbox, n-len(msgs))
			if len(msgs) > 0 {
				return msgs, nil
			}
			return nil, err
		}
		if isStatus(msg) {
			r.giveBack(inbox) // the request is answered: nothing else comes
			if len(msgs) > 0 {
				return msgs, nil
			}
			return nil, refusalOf(msg)
		}
		msgs = append(msgs, msg)
	}
	r.giveBack(inbox)
	return msgs, nil
}

// most returns for how many of n messages one request may be: the largest that
// there can be must come to no more than pullBytes.
func (r *receiver) most(n int) int {
	n = min(n, max(pullBytes/max(int(r.link.nc.MaxPayload()), 1), 1))
	if limit := r.limits.Load().batch; limit > 0 {
		n = min(n, limit)
	}
	return n
}

// refusalOf returns the error that a status is, in answer to a request that brought
// no message.
func refusalOf(msg *nats.Msg) error {
	text := msg.Header.Get("Description")
	switch status := msg.Header.Get("Status"); {
	case status == "404", status == "408":
		return queue.ErrEmpty
	case status == "503": // no leader, or no consumer
		return nats.ErrNoResponders
	case strings.EqualFold(text, consumerDeleted):
		return jetstream.ErrConsumerDeleted
	case status == "409":
		return fmt.Errorf("%w: %s", errPullRefused, text)
	default:
		return fmt.Errorf("natsqueue: get: %s %s", status, text)
	}
}

// borrow returns an inbox for one answer at a time, that no other call uses. Close
// waits until it is given back.
func (r *receiver) borrow() (inbox *nats.Subscription, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if n := len(r.spare); n > 0 {
		inbox = r.spare[n-1]
		r.spare = r.spare[:n-1]
	} else if inbox, err = r.link.nc.SubscribeSync(r.link.nc.NewInbox()); err != nil {
		return nil, err
	}
	r.link.work.Add(1)
	return inbox, nil
}

// abandon leaves an inbox to collect, whose call gave up: up to n messages may still
// come to it.
func (r *receiver) abandon(inbox *nats.Subscription, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := 2 * r.link.attemptTime
	if r.closed {
		wait = attemptTime
	}
	r.late = append(r.late, lateInbox{inbox, time.Now().Add(wait), n})
	if !r.collecting {
		r.collecting = true
		r.link.work.Go(r.collect)
	}
}

// collect takes the answers that come to late inboxes: without an inbox, a message
// would be lost until its ack wait is over. One goroutine does so for all.
func (r *receiver) collect() {
	for {
		r.mu.Lock()
		if len(r.late) == 0 {
			r.collecting = false
			r.mu.Unlock()
			return
		}
		i := max(slices.IndexFunc(r.late, lateInbox.isAnswered), 0)
		inbox := r.late[i]
		r.mu.Unlock()
		msg, err := inbox.NextMsg(min(pollTime, time.Until(inbox.until)))
		if errors.Is(err, nats.ErrTimeout) && time.Now().Before(inbox.until) {
			continue
		}
		switch {
		case err != nil:
			_ = inbox.Unsubscribe()
		case isStatus(msg):
		case r.intake.bells:
			r.intake.refuse(msg)
		default:
			r.intake.arrive(msg, false)
		}
		r.mu.Lock()
		if r.late[i].left--; err == nil && !isStatus(msg) && r.late[i].left > 0 {
			r.mu.Unlock()
			continue
		}
		r.late = slices.Delete(r.late, i, i+1) // others are appended behind it
		r.mu.Unlock()
		r.giveBack(inbox.Subscription)
	}
}

// giveBack lets another call use an inbox.
func (r *receiver) giveBack(inbox *nats.Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.link.work.Done()
	if !inbox.IsValid() {
		return
	}
	if r.closed {
		_ = inbox.Unsubscribe()
		return
	}
	r.spare = append(r.spare, inbox)
}

const consumerDeleted = "consumer deleted" // the server's text

// isStatus reports whether a message is the end of a pull request, and not an item.
func isStatus(msg *nats.Msg) bool { return msg.Header.Get("Status") != "" && len(msg.Data) == 0 }

// receive takes a message or the end of a request from an inbox.
func (r *receiver) receive(msg *nats.Msg) {
	r.intake.mu.Lock()
	current := msg.Sub == r.inbox
	r.intake.mu.Unlock()
	if !isStatus(msg) {
		r.quiet.Store(false)
		r.intake.arrive(msg, current)
		return
	}
	if !current {
		return
	}
	text := msg.Header.Get("Description")
	tooLarge := strings.EqualFold(text, "message size exceeds maxbytes")
	if tooLarge && r.intake.bells {
		r.quiet.Store(false)
		r.intake.arrive(msg, true)
		return
	}
	if n, err := strconv.Atoi(msg.Header.Get("Nats-Pending-Messages")); err == nil {
		if limits := r.limits.Load(); limits.bytes > 0 && n > 0 && tooLarge &&
			strconv.Itoa(limits.bytes) == msg.Header.Get("Nats-Pending-Bytes") {
			r.end(fmt.Errorf("natsqueue: the next item is larger than the consumer's max_bytes of %d", limits.bytes))
			return
		}
		if msg.Header.Get("Status") == "408" {
			r.quiet.Store(true)
		}
		r.intake.unanswered(n)
		return
	}
	// This ends all requests: the leader changed, there is no responder, or the request was refused.
	switch {
	case strings.EqualFold(text, consumerDeleted):
		r.end(jetstream.ErrConsumerDeleted)
	case strings.HasPrefix(text, "Exceeded "):
		// An operator has changed the configuration: it is read again before the next request.
		r.intake.lose(fmt.Errorf("%w: %s", errPullRefused, text))
	default:
		r.intake.lose(nil)
	}
}

// renew asks again for all wanted messages, at a new inbox: messages that still come
// to the old one are taken, but no longer counted.
func (r *receiver) renew() {
	r.quiet.Store(false) // a new leader may not take requests yet
	r.intake.renew(r.newInbox)
}

// newInbox replaces the inbox. The intake's mu is held.
func (r *receiver) newInbox() error {
	if !r.link.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	inbox, err := r.link.nc.Subscribe(r.link.nc.NewInbox(), r.receive)
	if err != nil {
		return err
	}
	_ = r.inbox.Drain()
	r.inbox = inbox
	return nil
}
