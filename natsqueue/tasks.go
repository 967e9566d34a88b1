package natsqueue

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	defaultPrefetch = 16
	prefetchTime    = 50 * time.Millisecond // an item is fetched ahead only if the body is expected to begin with it so soon
	settleTime      = 5 * time.Second       // how long a loop may outlive its context
)

// Tasks returns a worker's loop over the queue, like that of package queue: it
// yields items as [Queue.Get] returns them, blocking while there are none, and
// marks each one done when the loop body finishes with it, whether it continues
// or breaks out. If the body panics, the item is handed back, to be redelivered
// after the delay of [WithBackoff].
//
// The loop ends when the queue is shut down and every item in it is done, when
// ctx is done, when the handle or the connection is closed, when the stream or
// its consumer is deleted, or when the server refuses its requests; ctx.Err() and
// [Queue.Err] tell which. It ends at the latest 5 s after ctx, plus the time that
// the body takes: that long it tries to mark its items done. An item whose end
// the server did not confirm is redelivered.
//
// While the body runs, the loop extends the item's ack wait, so a body may take as
// long as it needs. A loop whose body is quick fetches items ahead, up to the
// number of [WithPrefetch], and does not wait for the confirmation of each item
// before it goes on with the next; it confirms all of its own before it returns.
// If the process crashes, the items fetched ahead and as many that were finished
// last may be redelivered. Items that were fetched and not begun go to the other
// loops of this handle, or are handed back when the loop ends.
//
// Any number of goroutines may range over one queue; each item goes to one of
// them.
func (q *Queue[T]) Tasks(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		ctx, err := enter(ctx)
		if err != nil {
			return
		}
		l := q.newLoop(ctx, q.prefetch)
		defer l.end()
		for {
			t, err := l.next()
			if errors.Is(err, errNotRejected) {
				continue
			}
			if err != nil {
				return
			}
			begin := time.Now()
			more := q.keepAlive(t).run(func() bool { return yield(t.Item) })
			l.pace(time.Since(begin))
			l.finish(t)
			if !more || ctx.Err() != nil {
				return
			}
		}
	}
}

// A loop is what a loop over Tasks or Batches remembers between its turns.
type loop[T any] struct {
	q           *Queue[T]
	ctx         context.Context // the caller's
	settle      context.Context // ends settleTime after ctx
	stop        func()
	most        int // items that may be unconfirmed, and fetched ahead
	ahead       int // items that may be fetched ahead now
	took        time.Duration
	unconfirmed []confirmation[T]
}

// A confirmation is on its way for an item that is done.
type confirmation[T any] struct {
	t     *Task[T]
	token string
	came  chan struct{}
	sent  time.Time
	epoch context.Context
}

func (q *Queue[T]) newLoop(ctx context.Context, most int) *loop[T] {
	l := &loop[T]{q: q, ctx: ctx, most: most}
	q.intake.reserve(most)
	settle, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	l.settle = settle
	var timer *time.Timer
	var mu sync.Mutex
	stopped := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer = time.AfterFunc(settleTime, func() { cancel(context.DeadlineExceeded) })
		}
	})
	l.stop = func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		if timer != nil {
			timer.Stop()
		}
		cancel(nil)
	}
	return l
}

// next waits for the next item. If it does not come at once, the loop meanwhile
// waits for the confirmations of the last ones.
func (l *loop[T]) next() (*Task[T], error) {
	c := l.q.claim()
	if len(c) == 0 {
		l.confirm(0)
	}
	return l.q.await(l.ctx, c)
}

// fetch sets how many items may be fetched ahead.
func (l *loop[T]) fetch(n int) {
	if n != l.ahead {
		l.q.intake.fetch(n - l.ahead)
		l.ahead = n
	}
}

// pace adapts how many items are fetched ahead to the time that a body took:
// with quick bodies twice as many each time, with slow ones none, so that no item
// waits behind a slow body while another process is idle.
func (l *loop[T]) pace(took time.Duration) {
	l.took = max(took, (7*l.took+took)/8, 1)
	l.fetch(min(2*l.ahead+1, l.most, int(prefetchTime/l.took)))
}

// finish marks a task done. The confirmation is waited for later, unless as many
// are on their way as may be.
func (l *loop[T]) finish(t *Task[T]) {
	if l.q.link.life.Err() != nil { // nothing listens for confirmations any more
		_ = t.Done(l.settle)
		return
	}
	if !t.settled.CompareAndSwap(false, true) {
		return
	}
	c := confirmation[T]{t: t, came: make(chan struct{}), sent: time.Now(), epoch: l.q.link.epoch()}
	var once sync.Once
	c.token = l.q.replies.expect(func(*nats.Msg) { once.Do(func() { close(c.came) }) })
	_ = l.q.nc.PublishRequest(t.msg.Reply, l.q.replies.subject(c.token), ack)
	l.unconfirmed = append(l.unconfirmed, c)
	l.confirm(max(l.most, 1))
}

// confirm waits until at most n confirmations are on their way. What is not
// confirmed in time, or over a connection that is gone, is sent again.
func (l *loop[T]) confirm(n int) {
	for len(l.unconfirmed) > n {
		c := l.unconfirmed[0]
		l.unconfirmed = l.unconfirmed[1:]
		select {
		case <-c.came:
			l.q.replies.forget(c.token)
			continue
		default:
		}
		timer := time.NewTimer(time.Until(c.sent.Add(attemptTime)))
		lost := false
		select {
		case <-c.came:
		case <-timer.C:
			lost = true
			l.q.link.suspect()
		case <-c.epoch.Done():
			lost = true
		case <-l.settle.Done():
			lost = true
		}
		timer.Stop()
		l.q.replies.forget(c.token)
		if lost {
			c.t.settled.Store(false)
			_ = c.t.Done(l.settle)
		}
	}
}

// end confirms what is done, and hands back what was not begun.
func (l *loop[T]) end() {
	l.fetch(0)
	l.q.intake.reserve(-l.most)
	l.confirm(0)
	l.stop()
}

// A keeper extends the ack wait of tasks at each third of it, until their body
// has ended.
type keeper[T any] struct {
	q     *Queue[T]
	mu    sync.Mutex
	tasks []*Task[T]
	timer *time.Timer
	ended bool
}

// keepAlive returns a keeper of t.
func (q *Queue[T]) keepAlive(t *Task[T]) *keeper[T] {
	k := &keeper[T]{q: q, tasks: []*Task[T]{t}}
	every := q.ackWait / 3
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(every, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.ended {
			return
		}
		for _, t := range k.tasks {
			if !t.settled.Load() {
				_ = q.nc.Publish(t.msg.Reply, progress)
			}
		}
		k.timer.Reset(every)
	})
	return k
}

// add adds a task to those that are kept alive.
func (k *keeper[T]) add(t *Task[T]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tasks = append(k.tasks, t)
}

// run runs a body on the tasks. If it panics or ends its goroutine, they are
// handed back.
func (k *keeper[T]) run(body func() bool) (more bool) {
	through := false
	defer func() {
		k.mu.Lock()
		k.ended = true
		k.timer.Stop()
		k.mu.Unlock()
		if through {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
		defer cancel()
		for _, t := range k.tasks {
			_ = t.Retry(ctx, k.q.delay(t))
		}
	}()
	more = body()
	through = true
	return more
}
