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
	prefetchTime    = 50 * time.Millisecond // an item is fetched ahead only if the body is expected to begin it within that time
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
// the body takes; until then it tries to mark its items done. An item whose
// acknowledgement the server did not confirm is redelivered.
//
// While the body runs, the loop extends the item's ack wait, so a body may take as
// long as it needs. A loop whose body is quick fetches items ahead, up to the
// number of [WithPrefetch] (none in a queue with several priorities), and does not
// wait for the confirmation of each item before it goes on with the next; it
// confirms all of its own before it returns. If the process crashes, the items
// fetched ahead and as many of the last finished ones may be redelivered. Items that
// were fetched and not begun go to the other loops of this handle, or are handed
// back when the loop ends.
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
			tasks, err := l.next(1)
			if errors.Is(err, errNotRejected) {
				continue
			}
			if err != nil {
				return
			}
			t := tasks[0]
			begin := time.Now()
			l.keep(t)
			more := l.run(func() bool { return yield(t.Item) })
			l.pace(time.Since(begin))
			l.finish(t)
			if !more || ctx.Err() != nil {
				return
			}
		}
	}
}

// A loop is the state of a loop over Tasks or Batches.
type loop[T any] struct {
	keeper[T]
	intake      *intake         // of the queue's only class; nil if it has several: then nothing is fetched ahead
	ctx         context.Context // the caller's
	settle      context.Context // ends settleTime after ctx
	stop        func()
	most        int // items that may be unconfirmed, and fetched ahead
	ahead       int // items that may be fetched ahead now
	took        time.Duration
	group       group[T]          // covered by the next request for a confirmation
	unconfirmed []confirmation[T] // the oldest first
}

// A group is the tasks that one confirmation covers: all were acknowledged over the
// same connection, to the same server.
type group[T any] struct {
	tasks    []*Task[T]
	covering bool   // an answer to the last acknowledgement confirms the others
	conn     uint64 // over which connection they went
}

// A confirmation is the pending confirmation of a group.
type confirmation[T any] struct {
	group[T]
	token string
	came  chan bool // receives true if the consumer answered, false if the server has no such consumer
	sent  time.Time
	epoch context.Context
}

func (q *Queue[T]) newLoop(ctx context.Context, most int) *loop[T] {
	l := &loop[T]{keeper: keeper[T]{q: q}, ctx: ctx, most: most}
	if len(q.classes) == 1 {
		l.intake = &q.classes[0].intake
		l.intake.reserve(most)
	}
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

// next blocks until there are items, and returns up to n of one class if there are
// several classes, else one item. If there is none yet, the loop first waits for the
// outstanding confirmations.
func (l *loop[T]) next(n int) ([]*Task[T], error) {
	if l.intake == nil {
		return l.q.nextByClass(l.ctx, l.ctx, n, func() { l.confirm(0) })
	}
	for {
		msg, err := l.intake.tryClaim()
		if err != nil {
			return nil, err
		}
		if msg == nil {
			break
		}
		if t, err := l.q.task(l.ctx, msg); t != nil || err != nil {
			return alone(t, err)
		}
	}
	c := l.q.claim()
	if len(c) == 0 {
		l.confirm(0)
	}
	return alone(l.q.await(l.ctx, c))
}

// fetch sets how many items may be fetched ahead.
func (l *loop[T]) fetch(n int) {
	if n != l.ahead && l.intake != nil {
		l.intake.fetch(n - l.ahead)
		l.ahead = n
	}
}

// pace adapts how many items are fetched ahead to the time that a body took: twice
// as many each time with quick bodies, none with slow ones, so that no item is held
// behind a slow body while another process is idle.
func (l *loop[T]) pace(took time.Duration) {
	l.took = max(took, (7*l.took+took)/8, 1)
	l.fetch(min(2*l.ahead+1, l.most, int(prefetchTime/l.took)))
}

// finish marks a task done. It blocks for confirmations only while too many are
// outstanding.
//
// The answer to an acknowledgement costs the server and the client as much as the
// rest of an item's work. While items come fast, and if it is safe, only the last
// acknowledgement of a group is answered.
func (l *loop[T]) finish(t *Task[T]) {
	if l.q.link.life.Err() != nil { // the handle no longer receives confirmations
		_ = t.Done(l.settle)
		return
	}
	if !t.settled.CompareAndSwap(false, true) {
		return
	}
	if len(l.group.tasks) == 0 {
		l.group.conn, l.group.covering = l.q.covering()
	}
	l.group.tasks = append(l.group.tasks, t)
	// Half of the limit: one half is confirmed while the other grows.
	if l.group.covering && len(l.group.tasks) < l.most/2 && l.intake != nil && l.intake.isReady() {
		_ = l.q.nc.Publish(t.msg.Reply, ack)
	} else {
		l.request()
	}
	l.confirm(max(l.most, 1))
}

// request acknowledges the last task of the group and asks for an answer.
func (l *loop[T]) request() {
	c := l.expect()
	last := c.tasks[len(c.tasks)-1]
	_ = l.q.nc.PublishRequest(last.msg.Reply, l.q.replies.subject(c.token), ack)
	l.unconfirmed = append(l.unconfirmed, c)
	l.group = group[T]{}
}

// expect returns the confirmation of the group, which is about to be requested.
func (l *loop[T]) expect() confirmation[T] {
	c := confirmation[T]{group: l.group, came: make(chan bool, 1), sent: time.Now(), epoch: l.q.link.epoch()}
	c.token = l.q.replies.expect(func(msg *nats.Msg) {
		select {
		case c.came <- !isStatus(msg):
		default:
		}
	})
	return c
}

// confirm blocks until at most n tasks are unconfirmed. An acknowledgement that is
// not confirmed in time, or whose connection was lost, is sent again.
func (l *loop[T]) confirm(n int) {
	if n == 0 && len(l.group.tasks) > 0 {
		l.request() // acknowledges the last one a second time, which has no effect
	}
	unconfirmed := len(l.group.tasks)
	for _, c := range l.unconfirmed {
		unconfirmed += len(c.tasks)
	}
	for unconfirmed > n {
		c := l.unconfirmed[0]
		l.unconfirmed = l.unconfirmed[1:]
		unconfirmed -= len(c.tasks)
		if l.await(c) {
			continue
		}
		for _, t := range c.tasks {
			t.settled.Store(false)
			_ = t.Done(l.settle)
		}
	}
}

// await blocks until a confirmation comes, and reports whether it covers its whole
// group.
func (l *loop[T]) await(c confirmation[T]) bool {
	defer l.q.replies.forget(c.token)
	var answered bool
	select {
	case answered = <-c.came:
	default:
		timer := time.NewTimer(time.Until(c.sent.Add(attemptTime)))
		defer timer.Stop()
		select {
		case answered = <-c.came:
		case <-timer.C:
			l.q.link.suspect()
			return false
		case <-c.epoch.Done():
			return false
		case <-l.settle.Done():
			return false
		}
	}
	if !answered { // the consumer is down, or deleted: then there is nothing to confirm
		_ = l.q.look(l.q.classes[c.tasks[0].Priority()])
		return l.q.Err() != nil
	}
	// An answer over a new connection does not cover acknowledgements sent over the old one.
	return len(c.tasks) == 1 || l.q.nc.Stats().Reconnects == c.conn
}

// covering reports whether the answer to an acknowledgement confirms the earlier
// ones on the same connection, which is the conn-th. The consumer handles
// acknowledgements in order of arrival, so a later one overtakes only a lost one.
// Acknowledgements can be lost between servers and when the consumer's leader
// changes, without any notice. So the consumer must be on the server of this
// connection, and that server in no cluster.
func (q *Queue[T]) covering() (conn uint64, ok bool) {
	conn = q.nc.Stats().Reconnects // first: if the connection changes now, the answer counts as another's
	return conn, q.home != "" && q.home == q.nc.ConnectedServerName() && q.nc.ConnectedClusterName() == ""
}

// end confirms the finished items, and hands back those that were not begun.
func (l *loop[T]) end() {
	if l.intake != nil {
		l.fetch(0)
		l.intake.reserve(-l.most)
	}
	l.confirm(0)
	l.stop()
	l.rest()
}

// A keeper extends the ack wait of tasks at least every third of it, until their
// body ends.
type keeper[T any] struct {
	q     *Queue[T]
	mu    sync.Mutex
	tasks []*Task[T]
	// It runs while there are tasks, and then until it fires. To stop and restart it for
	// each of many quick bodies would cost more than a firing without tasks.
	timer *time.Timer
	armed bool
}

// keep starts to extend the ack wait of a task.
func (k *keeper[T]) keep(t *Task[T]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tasks = append(k.tasks, t)
	if k.armed {
		return
	}
	k.armed = true
	if k.timer == nil {
		k.timer = time.AfterFunc(k.q.ackWait/3, k.extend)
	} else {
		k.timer.Reset(k.q.ackWait / 3)
	}
}

func (k *keeper[T]) extend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.tasks {
		if !t.settled.Load() {
			_ = k.q.nc.Publish(t.msg.Reply, progress)
		}
	}
	if k.armed = len(k.tasks) > 0; k.armed {
		k.timer.Reset(k.q.ackWait / 3)
	}
}

// rest stops the timer of a keeper without tasks.
func (k *keeper[T]) rest() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.timer != nil {
		k.timer.Stop()
	}
}

// release stops extending the ack wait of all tasks, and returns them.
func (k *keeper[T]) release() []*Task[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	tasks := k.tasks
	k.tasks = k.tasks[:0]
	return tasks
}

// run runs a body on the tasks. If it panics or ends its goroutine, they are
// handed back.
func (k *keeper[T]) run(body func() bool) (more bool) {
	through := false
	defer func() {
		tasks := k.release()
		if through {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
		defer cancel()
		for _, t := range tasks {
			_ = t.Retry(ctx, k.q.delay(t))
		}
	}()
	more = body()
	through = true
	return more
}
