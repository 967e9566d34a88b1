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

	"github.com/nats-io/nats.go"
)

const (
	attemptTime = 2 * time.Second       // how long one request may take before it is sent again
	pollTime    = 64 * time.Millisecond // between requests, while the server refuses for now
	suspicious  = 2                     // requests in a row without an answer until the connection is tested
)

// A link is the connection of one handle. It sends requests until they are
// answered, and detects a half-open connection, on which nothing comes back: nats.go
// itself does so after two pings, by default four minutes. After two requests without
// an answer the link pings the server, and replaces the connection if the ping is
// not answered either.
type link struct {
	nc   *nats.Conn
	name string // of the queue, for permission violations

	attemptTime time.Duration // how long one request may take before it is sent again

	life context.Context // ends with the handle, with the cause ErrClosed
	die  context.CancelCauseFunc

	mu      sync.Mutex
	era     context.Context // ends when the connection is replaced
	nextEra context.CancelFunc

	unanswered atomic.Int32          // requests in a row
	met        atomic.Pointer[error] // error of the last attempt; nil if it was answered
	probing    atomic.Bool
	work       sync.WaitGroup // goroutines of the handle
}

func newLink(nc *nats.Conn, name string, attemptTime time.Duration) *link {
	l := &link{nc: nc, name: name, attemptTime: attemptTime}
	l.life, l.die = context.WithCancelCause(context.Background())
	l.era, l.nextEra = context.WithCancel(context.Background())
	return l
}

// epoch returns a context that ends when the connection is replaced.
func (l *link) epoch() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.era
}

// reconnected ends the attempts whose answers were lost with the connection.
func (l *link) reconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextEra()
	l.era, l.nextEra = context.WithCancel(context.Background())
}

// call is persist for requests that end when the handle is closed.
func (l *link) call(ctx context.Context, do func(context.Context) error) error {
	if l.life.Err() != nil {
		return ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.life, func() { cancel(ErrClosed) })()
	return l.persist(ctx, do)
}

// persist calls do until it succeeds or fails for good. Each call has a context of
// its own, so that a lost answer does not block it for as long as ctx lasts.
func (l *link) persist(ctx context.Context, do func(context.Context) error) error {
	var last error
	for wait := backoff(0); ; {
		if ctx.Err() != nil {
			return ended(ctx, last)
		}
		if l.nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
		epoch := l.epoch()
		if l.nc.IsConnected() { // else nats.go would send each attempt once the connection is back
			before := l.nc.LastError()
			err := l.attempt(ctx, epoch, do)
			if err == nil || !transient(err) {
				l.met.Store(nil)
				return err
			}
			if ctx.Err() == nil {
				l.met.Store(&err)
			}
			if refusal := l.refusal(before); refusal != nil {
				return refusal
			}
			if err != errUnanswered || !errors.Is(ctx.Err(), context.Canceled) { // else the caller gave up first
				last = err
			}
		} else {
			last = nats.ErrDisconnected
		}
		l.sleep(ctx, epoch, wait.next(4*pollTime))
	}
}

// trouble returns why requests are not answered now, nil if they are.
func (l *link) trouble() error {
	if !l.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	if err := l.met.Load(); err != nil {
		return *err
	}
	return nil
}

// try returns a context for one request: it ends with ctx, when the request takes too
// long, and when the connection is replaced.
func (l *link) try(ctx context.Context) (context.Context, context.CancelFunc) {
	return l.within(ctx, l.epoch())
}

func (l *link) within(ctx, epoch context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, l.attemptTime)
	stop := context.AfterFunc(epoch, cancel)
	return ctx, func() { stop(); cancel() }
}

// attempt calls do, and replaces the errors of its context by their reasons.
func (l *link) attempt(ctx, epoch context.Context, do func(context.Context) error) error {
	attempt, cancel := l.within(ctx, epoch)
	defer cancel()
	err := do(attempt)
	switch {
	case err == nil || attempt.Err() == nil:
		l.unanswered.Store(0)
		return err
	case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		return err
	case epoch.Err() != nil:
		return errReconnectOr(err)
	case errors.Is(attempt.Err(), context.DeadlineExceeded):
		l.suspect()
	}
	return errUnanswered
}

func errReconnectOr(err error) error { return fmt.Errorf("%w (%w)", errReconnect, err) }

// sleep returns when d has passed, ctx has ended or the connection was replaced.
func (l *link) sleep(ctx, epoch context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-epoch.Done():
	}
}

// suspect counts a request that was not answered, and tests the connection if it was
// not the first. The test outlives the request, whose context may be too short.
func (l *link) suspect() {
	if l.unanswered.Add(1) < suspicious || l.probing.Swap(true) {
		return
	}
	l.work.Go(func() {
		defer l.probing.Store(false)
		epoch := l.epoch()
		ctx, cancel := context.WithTimeout(context.Background(), attemptTime) // a task may be settled after Close
		defer cancel()
		err := l.nc.FlushWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) && epoch.Err() == nil && l.nc.IsConnected() {
			_ = l.nc.ForceReconnect()
		}
		l.unanswered.Store(0)
	})
}

// handBack asks the server to redeliver a message after delay, and waits up to
// attemptTime for the answer; without one, the message is redelivered after its ack
// wait.
func (l *link) handBack(msg *nats.Msg, delay time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	_, _ = l.nc.RequestWithContext(ctx, msg.Reply, nak(delay))
}

// refusal returns the server's permission violation, if it came after the error
// before and concerns this queue. The server does not answer such requests; without
// refusal they would count as lost.
func (l *link) refusal(before error) error {
	err := l.nc.LastError()
	if err == nil || err == before || !errors.Is(err, nats.ErrPermissionViolation) || !l.concerns(err) {
		return nil
	}
	return fmt.Errorf("natsqueue: %w", err)
}

// concerns reports whether a permission violation names a subject that this queue
// needs. Those of events are optional.
func (l *link) concerns(violation error) bool {
	_, subject, _ := strings.Cut(violation.Error(), `"`)
	subject, _, _ = strings.Cut(subject, `"`)
	if strings.HasPrefix(subject, "$JS.EVENT.") {
		return false
	}
	prefix := l.nc.Opts.InboxPrefix
	if prefix == "" {
		prefix = "_INBOX"
	}
	if strings.HasPrefix(subject, strings.TrimSuffix(prefix, ".")+".") {
		return true
	}
	tokens := strings.Split(subject, ".")
	return slices.Contains(tokens, l.name) || slices.Contains(tokens, l.name+deadSuffix)
}

// refused reports whether the last error that the server sent refuses a "Publish" or
// a "Subscription" to subject.
func refused(nc *nats.Conn, what, subject string) bool {
	err := nc.LastError()
	return err != nil && errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), what+` to "`+subject+`"`)
}

// A mux receives the answers to requests whose senders don't wait for each: one inbox
// for all, and a token for each.
type mux struct {
	nc    *nats.Conn
	inbox string
	sub   *nats.Subscription

	mu     sync.Mutex
	next   uint64
	wants  map[string]func(*nats.Msg)
	closed bool
}

func newMux(nc *nats.Conn) (*mux, error) {
	m := &mux{nc: nc, inbox: nc.NewInbox(), wants: map[string]func(*nats.Msg){}}
	var err error
	m.sub, err = nc.Subscribe(m.inbox+".>", m.receive)
	return m, err
}

// expect returns a token whose answers go to f, until forget is called.
func (m *mux) expect(f func(*nats.Msg)) (token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	token = strconv.FormatUint(m.next, 16)
	m.wants[token] = f
	return token
}

func (m *mux) forget(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.wants, token)
	if m.closed && len(m.wants) == 0 {
		_ = m.sub.Unsubscribe()
	}
}

// close ends the mux when all tokens are forgotten.
func (m *mux) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if len(m.wants) == 0 {
		_ = m.sub.Unsubscribe()
	}
}

// subject returns the subject of the answers for a token.
func (m *mux) subject(token string) string { return m.inbox + "." + token }

func (m *mux) receive(msg *nats.Msg) {
	token, _, _ := strings.Cut(msg.Subject[len(m.inbox)+1:], ".")
	m.mu.Lock()
	f := m.wants[token]
	m.mu.Unlock()
	if f != nil { // else the answer is too late
		f(msg)
	}
}
