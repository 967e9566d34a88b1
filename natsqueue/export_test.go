package natsqueue

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// The two halves of Get, for tests of what happens between them.

type Claim = claim

func (q *Queue[T]) Claim() Claim                                         { return q.claim() }
func (q *Queue[T]) Await(ctx context.Context, c Claim) (*Task[T], error) { return q.await(ctx, c) }

// Heard reports whether a blocked Put of the handle ever heard of an acknowledgement.
func (q *Queue[T]) Heard() bool { return q.ears.ever.Load() }

// Listen and Rest are the beginning and the end of a blocked Put that hears of
// acknowledgements.
func (q *Queue[T]) Listen() error { return q.ears.listen() }
func (q *Queue[T]) Rest()         { q.ears.rest() }

// Deaf reports whether the handle believes that it may not listen.
func (q *Queue[T]) Deaf() bool {
	q.ears.limit(0) // looks at the connection's last error
	return q.ears.deaf.Load()
}

// CloseLine closes the line of calls that put, as a blocked Put does.
func (q *Queue[T]) CloseLine() { q.line.refused(q.line.join()) }

// InLine returns the number of Puts that try or are blocked.
func (q *Queue[T]) InLine() int {
	q.line.mu.Lock()
	defer q.line.mu.Unlock()
	return q.line.trying + len(q.line.waiting)
}

const AttemptTime = attemptTime

// WithAttemptTime sets how long one request may take before it is sent again.
func WithAttemptTime(d time.Duration) Option {
	return func(c *config) error {
		c.attemptTime = d
		return nil
	}
}

// Look makes the handle ask the server about the stream, as after a reconnect.
func (q *Queue[T]) Look() { signal(q.renewed) }

// Message returns the message of a task.
func (t *Task[T]) Message() *nats.Msg { return t.msg }

// Covering reports whether the answer to an acknowledgement confirms earlier ones.
func Covering[T any](q *Queue[T]) bool {
	_, ok := q.covering()
	return ok
}

// Reconnects returns how often the handle's connection was replaced.
func Reconnects[T any](q *Queue[T]) uint64 { return q.nc.Stats().Reconnects }

// Confirms reports whether a loop takes msg, which came in answer to an
// acknowledgement, for the confirmation of its item.
func Confirms[T any](q *Queue[T], msg *nats.Msg) bool {
	l := q.newLoop(context.Background(), 0)
	defer l.stop()
	l.group.tasks = []*Task[T]{{q: q, msg: &nats.Msg{Subject: itemSubject(q.name, 0)}}}
	c := l.expect()
	msg.Subject = q.replies.subject(c.token)
	q.replies.receive(msg)
	return l.await(c)
}
