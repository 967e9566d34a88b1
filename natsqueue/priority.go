package natsqueue

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/boundq/queue"
)

// Receiving from a queue with several classes of priority. Each class has a
// consumer, and the server knows no order among consumers. Therefore a call asks
// one class after the other for a message, and no worse one while a better one has
// items.
//
// When all are empty it waits for word of any class: its pull requests allow for so
// few bytes that no message fits. The server then tells that there is one, but does
// not deliver it, and the call asks all classes again. (Requests for messages
// themselves would bring one of each class to a call that can take one. Those that
// it hands back have one more delivery each, and what comes for requests that it
// withdraws may be lost until its ack wait is over.)
//
// The word reaches all handles that wait, and one of them gets the item. The
// others come back at random and ever later, so that a fleet of idle workers does
// not ask for each item as often as it has members.

const bellLimit = 250 * time.Millisecond // most that a call stays away which came too late

// nextByClass is next for a queue with several classes. It calls idle before it
// waits.
func (q *Queue[T]) nextByClass(ctx, wait context.Context, idle func()) (*Task[T], error) {
	var late backoff
	for rung := false; ; {
		if err := q.Err(); err != nil {
			return nil, err
		}
		msg, err := q.sweep(ctx, noWait)
		if err == nil {
			if t, err := q.task(ctx, msg); t != nil || err != nil {
				return t, err
			}
			continue
		}
		if !errors.Is(err, queue.ErrEmpty) {
			return nil, cmp.Or(q.Err(), err)
		}
		idle()
		if rung {
			q.link.sleep(wait, q.link.life, late.next(bellLimit))
		}
		if err := q.awaitBell(wait); err != nil {
			return nil, err
		}
		rung = true
	}
}

// awaitBell waits for word that there is a message in one of several classes.
func (q *Queue[T]) awaitBell(ctx context.Context) (err error) {
	if ctx.Err() != nil {
		return ended(ctx, nil)
	}
	c := q.claim()
	select {
	case bell := <-c:
		if bell == nil {
			err = q.Err()
		}
	case <-ctx.Done():
		for _, r := range q.classes {
			err = cmp.Or(err, r.intake.trouble())
		}
		err = ended(ctx, err)
	}
	for _, r := range q.classes {
		r.intake.withdraw(c)
	}
	return err
}
