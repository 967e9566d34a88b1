package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
)

// A rejection is an error that another attempt would not remove.
type rejection struct{ err error }

func (r rejection) Error() string { return r.err.Error() }
func (r rejection) Unwrap() error { return r.err }

// Reject returns an error that wraps err. A function of [Queue.Handle] returns it
// for an item that it can't process, now or later: the item becomes a dead letter
// at once, with the error's text as the reason. Reject panics if err is nil.
func Reject(err error) error {
	if err == nil {
		panic("natsqueue: Reject: the error is nil")
	}
	return rejection{err}
}

type headerKey struct{}

// HeaderFrom returns the headers of the item, from the ctx that [Queue.Handle] passes
// to its function; nil for any other. They must not be changed.
func HeaderFrom(ctx context.Context) nats.Header {
	header, _ := ctx.Value(headerKey{}).(nats.Header)
	return header
}

// Handle calls f for each item, in workers goroutines, and returns when all have
// ended. An item is done if f returns nil. If f returns an error that wraps one of
// [Reject]'s, or if the item was delivered as often as [WithMaxDeliveries] allows,
// the item becomes a dead letter with the error's text as the reason. After any
// other error the item is redelivered, after the delay of [WithBackoff]. If f
// panics, the item is handed back in the same way; the panic is not recovered.
//
// Handle returns nil when the queue is shut down and every item in it is done,
// ctx.Err() when ctx is done, and the error of [Queue.Err] when the handle can't
// receive any more. The context of f ends with ctx; [HeaderFrom] returns the
// item's headers from it. Otherwise each worker behaves like a loop over
// [Queue.Tasks]: it extends the ack wait while f runs, and returns at most 5 s after
// f when ctx has ended. Handle returns an error if workers < 1.
func (q *Queue[T]) Handle(ctx context.Context, workers int, f func(ctx context.Context, item T) error) error {
	if workers < 1 {
		return fmt.Errorf("natsqueue: Handle: the number of workers is %d and must be positive", workers)
	}
	ctx, err := enter(ctx)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() { q.handle(ctx, f) })
	}
	all.Wait()
	if err := q.Err(); err != nil && !errors.Is(err, queue.ErrShutdown) {
		return err
	}
	if q.Err() == nil {
		return ended(ctx, nil)
	}
	return nil
}

// handle is one worker of Handle.
func (q *Queue[T]) handle(ctx context.Context, f func(ctx context.Context, item T) error) {
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
		l.run(func() bool {
			err = f(context.WithValue(ctx, headerKey{}, t.Header()), t.Item)
			return true
		})
		l.pace(time.Since(begin))
		switch {
		case err == nil:
			l.finish(t)
		case errors.As(err, new(rejection)), q.maxDeliveries > 0 && t.Deliveries() >= q.maxDeliveries:
			_ = t.Reject(l.settle, err.Error()) // if it fails, the ack wait passes and the item is redelivered
		default:
			_ = t.Retry(l.settle, q.delay(t))
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// delay returns the time until a task whose body failed is redelivered.
func (q *Queue[T]) delay(t *Task[T]) time.Duration { return max(q.backoff(t.Deliveries()), 0) }

const (
	firstBackoff = 100 * time.Millisecond
	mostBackoff  = time.Minute
)

// exponential is the default of [WithBackoff].
func exponential(deliveries int) time.Duration {
	d := firstBackoff
	for range deliveries - 1 {
		if d *= 2; d >= mostBackoff {
			return mostBackoff
		}
	}
	return d
}
