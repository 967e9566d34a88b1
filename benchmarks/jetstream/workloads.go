package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// A workload is done by some contestants, who are compared with the first.
type workload struct {
	name        string
	contestants []contestant
}

type contestant struct {
	name string
	run  func(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error)
}

var workloads = []workload{
	{"Put, take and acknowledge by one goroutine", []contestant{
		{"client: Publish, Fetch(1), DoubleAck", bareSolo},
		{"natsqueue: Put, Get, Done", queueSolo},
		{"local queue: Put, Get, TaskDone", localSolo},
	}},
	{fmt.Sprintf("Put from %d goroutines", goroutines), []contestant{
		{"client: Publish with a message id", barePut},
		{"natsqueue: Put", queuePut},
		{"local queue: Put", localPut},
	}},
	{fmt.Sprintf("Take and acknowledge with %d workers", goroutines), []contestant{
		{"client: Fetch(1), DoubleAck", bareFetch},
		{"client: Messages (16 ahead), DoubleAck", bareMessages},
		{"natsqueue: Tasks", queueTasks},
		{"local queue: Tasks", localTasks},
	}},
	{fmt.Sprintf("From %d producers to %d workers, room for 1000", goroutines, goroutines), []contestant{
		{"client: Publish until there is room, Messages", bareThrough},
		{"natsqueue: Put, Tasks", queueThrough},
		{"local queue: Put, Tasks", localThrough},
	}},
}

var item = strings.Repeat("x", 100)

// together runs do in so many goroutines as contestants have, n times in all.
func together(n int, do func() error) error {
	var left atomic.Int64
	left.Store(int64(n))
	return each(func() error {
		for left.Add(-1) >= 0 {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	})
}

// each runs do in each of the goroutines.
func each(do func() error) error {
	errs := make(chan error, goroutines)
	for range goroutines {
		go func() { errs <- do() }()
	}
	var all []error
	for range goroutines {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// withQueue runs measure on a queue of its own.
func withQueue(ctx context.Context, js jetstream.JetStream, capacity int, measure func(q *natsqueue.Queue[string], name string) (time.Duration, error)) (d time.Duration, err error) {
	name := "bench-" + nuid.Next()
	q, err := natsqueue.Open[string](ctx, js, name, natsqueue.WithCapacity(capacity))
	if err != nil {
		return 0, err
	}
	d, err = measure(q, name)
	return d, errors.Join(err, q.Close(), js.DeleteStream(ctx, name), js.DeleteStream(ctx, name+"_dead"))
}

// fill stores items as fast as it goes.
func fill(ctx context.Context, js jetstream.JetStream, name string, items int) error {
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	for range items {
		if _, err := js.PublishAsync("natsqueue."+name+".0", data, jetstream.WithStallWait(10*time.Second)); err != nil {
			return err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func publish(ctx context.Context, js jetstream.JetStream, name string) error {
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	_, err = js.Publish(ctx, "natsqueue."+name+".0", data, jetstream.WithMsgID(nuid.Next()))
	return err
}

func bareSolo(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		consumer, err := js.Consumer(ctx, name, "workers")
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		for range items {
			if err := publish(ctx, js, name); err != nil {
				return 0, err
			}
			msg, err := consumer.Next()
			if err != nil {
				return 0, err
			}
			if err := work(ctx, msg); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	})
}

func queueSolo(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
		begin := time.Now()
		for range items {
			if err := q.Put(ctx, item); err != nil {
				return 0, err
			}
			task, err := q.Get(ctx)
			if err != nil {
				return 0, err
			}
			if err := task.Done(ctx); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	})
}

func localSolo(ctx context.Context, _ jetstream.JetStream, items int) (time.Duration, error) {
	q := queue.New[string](items)
	begin := time.Now()
	for range items {
		if err := q.Put(ctx, item); err != nil {
			return 0, err
		}
		if _, err := q.Get(ctx); err != nil {
			return 0, err
		}
		if err := q.TaskDone(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

func barePut(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		begin := time.Now()
		err := together(items, func() error { return publish(ctx, js, name) })
		return time.Since(begin), err
	})
}

func queuePut(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
		begin := time.Now()
		err := together(items, func() error { return q.Put(ctx, item) })
		return time.Since(begin), err
	})
}

func localPut(ctx context.Context, _ jetstream.JetStream, items int) (time.Duration, error) {
	q := queue.New[string](items)
	begin := time.Now()
	err := together(items, func() error { return q.Put(ctx, item) })
	return time.Since(begin), err
}

// work does what a worker does with a message.
func work(ctx context.Context, msg jetstream.Msg) error {
	var item string
	if err := json.Unmarshal(msg.Data(), &item); err != nil {
		return err
	}
	return msg.DoubleAck(ctx)
}

func bareFetch(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		if err := fill(ctx, js, name, items); err != nil {
			return 0, err
		}
		consumer, err := js.Consumer(ctx, name, "workers")
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		err = together(items, func() error {
			msg, err := consumer.Next()
			if err != nil {
				return err
			}
			return work(ctx, msg)
		})
		return time.Since(begin), err
	})
}

func bareMessages(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		if err := fill(ctx, js, name, items); err != nil {
			return 0, err
		}
		begin := time.Now()
		err := iterate(ctx, js, name, items)
		return time.Since(begin), err
	})
}

// iterate works on so many items with one iterator that all workers share.
func iterate(ctx context.Context, js jetstream.JetStream, name string, items int) error {
	consumer, err := js.Consumer(ctx, name, "workers")
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(goroutines),
		// Now and then the iterator waits for messages that it did not ask for.
		// Let it see that after a second, not after half a minute.
		jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond),
		jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return err
	}
	defer messages.Stop()
	return together(items, func() error {
		msg, err := messages.Next()
		if err != nil {
			return err
		}
		return work(ctx, msg)
	})
}

func queueTasks(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, items, func(q *natsqueue.Queue[string], name string) (time.Duration, error) {
		if err := fill(ctx, js, name, items); err != nil {
			return 0, err
		}
		begin := time.Now()
		err := rangeOver(ctx, q.Tasks, items)
		return time.Since(begin), err
	})
}

func localTasks(ctx context.Context, _ jetstream.JetStream, items int) (time.Duration, error) {
	q := queue.New[string](items)
	for range items {
		if err := q.TryPut(item); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	err := rangeOver(ctx, q.Tasks, items)
	return time.Since(begin), err
}

func bareThrough(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, 1000, func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		begin := time.Now()
		var producers sync.WaitGroup
		var failed error
		producers.Go(func() {
			failed = together(items, func() error {
				for {
					err := publish(ctx, js, name)
					var api *jetstream.APIError
					if !errors.As(err, &api) || api.ErrorCode != 10077 {
						return err
					}
					time.Sleep(time.Millisecond/2 + rand.N(time.Millisecond/2))
				}
			})
		})
		err := iterate(ctx, js, name, items)
		producers.Wait()
		return time.Since(begin), errors.Join(err, failed)
	})
}

func queueThrough(ctx context.Context, js jetstream.JetStream, items int) (time.Duration, error) {
	return withQueue(ctx, js, 1000, func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
		put := func(ctx context.Context, item string) error { return q.Put(ctx, item) }
		return through(ctx, put, q.Tasks, items)
	})
}

func localThrough(ctx context.Context, _ jetstream.JetStream, items int) (time.Duration, error) {
	q := queue.New[string](1000)
	return through(ctx, q.Put, q.Tasks, items)
}

// through lets items pass from producers to workers.
func through(ctx context.Context, put func(context.Context, string) error, tasks func(context.Context) iter.Seq[string], items int) (time.Duration, error) {
	begin := time.Now()
	var producers sync.WaitGroup
	var failed error
	producers.Go(func() {
		failed = together(items, func() error { return put(ctx, item) })
	})
	err := rangeOver(ctx, tasks, items)
	producers.Wait()
	return time.Since(begin), errors.Join(err, failed)
}

// rangeOver works on so many items in loops over tasks.
func rangeOver(ctx context.Context, tasks func(context.Context) iter.Seq[string], items int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var done atomic.Int64
	err := each(func() error {
		for range tasks(ctx) {
			if done.Add(1) == int64(items) {
				stop() // the others wait for more
			}
		}
		return nil
	})
	if n := done.Load(); n != int64(items) {
		err = errors.Join(err, fmt.Errorf("%d items of %d were worked on", n, items))
	}
	return err
}
