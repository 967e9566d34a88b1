package natsqueue

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
)

// Receiving from a queue with several classes of priority. Each class has a
// consumer, and the server knows no order among consumers. Therefore a call asks
// one class after the other for a message, the most urgent first. A batch asks a
// class for all that it lacks, and for the rest begins with the most urgent again.
//
// When all are empty, the call blocks for a bell: its pull requests, one in each
// class, allow for so few bytes that no message fits. The server then announces a
// message without delivering it, and the call asks all classes again. (Requests for
// messages would bring one of each class to a call that can take one. Those that it
// hands back would have one more delivery each, and a message for a request that it
// withdraws may be lost until its ack wait is over.)
//
// The bell reaches all blocked handles, and one of them gets the item. The others
// ask again after a random and growing delay, so that a large fleet of idle workers
// does not send as many requests for each item.

const bellLimit = 250 * time.Millisecond // longest delay of a call that came too late

// nextByClass is next for a queue with several classes. It calls idle before it
// blocks.
func (q *Queue[T]) nextByClass(ctx, wait context.Context, n int, idle func()) ([]*Task[T], error) {
	var late backoff
	for rung := false; ; {
		if err := q.Err(); err != nil {
			return nil, err
		}
		request := noWait
		if time.Duration(late) == bellLimit { // the consumer may have a message that it does not count
			request = recheck
		}
		msgs, err := q.sweep(ctx, n, request)
		if err == nil {
			if tasks, err := q.tasks(ctx, msgs); len(tasks) > 0 || err != nil {
				return tasks, err
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

// tasks is task for several messages. It returns an error only if there is no task.
func (q *Queue[T]) tasks(ctx context.Context, msgs []*nats.Msg) (tasks []*Task[T], err error) {
	for _, msg := range msgs {
		t, e := q.task(ctx, msg)
		if t != nil {
			tasks = append(tasks, t)
		}
		err = cmp.Or(err, e)
	}
	if len(tasks) > 0 {
		return tasks, nil
	}
	return nil, err
}

// awaitBell blocks until the server announces a message of any class.
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
