package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nuid"
	"golang.org/x/sync/errgroup"
)

// withQueue runs measure on a queue of its own.
func withQueue(ctx context.Context, d *deployment, capacity int, measure func(q *natsqueue.Queue[string], name string) (time.Duration, error), opts ...natsqueue.Option) (elapsed time.Duration, err error) {
	name := "bench-" + nuid.Next()
	q, err := natsqueue.Open[string](ctx, d.js, name, append(opts, natsqueue.WithCapacity(capacity), natsqueue.WithReplicas(d.replicas))...)
	if err != nil {
		return 0, err
	}
	elapsed, err = measure(q, name)
	return elapsed, errors.Join(err, q.Close(), d.js.DeleteStream(ctx, name), d.js.DeleteStream(ctx, name+"_dead"))
}

// plenty is the capacity of a queue that is not to be full: a replicated stream may
// refuse the last messages below its limit while others are under way.
func plenty(items int) int { return 2 * items }

func queueSolo(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
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

func localSolo(ctx context.Context, _ *deployment, items int) (time.Duration, error) {
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

func queuePut(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
		begin := time.Now()
		err := together(many, items, func() error { return q.Put(ctx, item) })
		return time.Since(begin), err
	})
}

func localPut(ctx context.Context, _ *deployment, items int) (time.Duration, error) {
	q := queue.New[string](items)
	begin := time.Now()
	err := together(many, items, func() error { return q.Put(ctx, item) })
	return time.Since(begin), err
}

func queueBatches(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
		put := func(ctx context.Context, batch []string) (int, error) { return q.PutBatch(ctx, batch) }
		return putBatches(ctx, put, items)
	})
}

func localBatches(ctx context.Context, _ *deployment, items int) (time.Duration, error) {
	return putBatches(ctx, queue.New[string](items).PutBatch, items)
}

func putBatches(ctx context.Context, put func(context.Context, []string) (int, error), items int) (time.Duration, error) {
	values := slices.Repeat([]string{item}, batch)
	begin := time.Now()
	for range items / batch {
		if _, err := put(ctx, values); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

func queueTasks(workers int) measurement {
	return func(ctx context.Context, d *deployment, items int) (time.Duration, error) {
		return withQueue(ctx, d, plenty(items), func(q *natsqueue.Queue[string], name string) (time.Duration, error) {
			if err := fill(ctx, d.js, name, items); err != nil {
				return 0, err
			}
			begin := time.Now()
			err := rangeOver(ctx, q.Tasks, items, workers)
			return time.Since(begin), err
		})
	}
}

// queueByPriority receives items of several classes.
func queueByPriority(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(q *natsqueue.Queue[string], name string) (time.Duration, error) {
		if err := fillByPriority(ctx, q, items); err != nil {
			return 0, err
		}
		begin := time.Now()
		err := rangeOver(ctx, q.Tasks, items, 1)
		return time.Since(begin), err
	}, natsqueue.WithPriorities(priorities))
}

// fillByPriority stores so many items, in batches of the classes in turn.
func fillByPriority(ctx context.Context, q *natsqueue.Queue[string], items int) error {
	values := slices.Repeat([]string{item}, batch)
	for i := range items / batch {
		if _, err := q.PutBatch(ctx, values, natsqueue.PutPriority(i%priorities)); err != nil {
			return err
		}
	}
	return nil
}

func localByPriority(ctx context.Context, _ *deployment, items int) (time.Duration, error) {
	q := queue.NewPriority(items, func(a, b prioritized) int { return cmp.Compare(a.class, b.class) })
	for i := range items {
		if err := q.TryPut(prioritized{item, i / batch % priorities}); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	n := 0
	for range q.Tasks(ctx) {
		if n++; n == items {
			break
		}
	}
	return time.Since(begin), nil
}

type prioritized struct {
	item  string
	class int
}

func localTasks(workers int) measurement {
	return func(ctx context.Context, _ *deployment, items int) (time.Duration, error) {
		q := queue.New[string](items)
		for range items {
			if err := q.TryPut(item); err != nil {
				return 0, err
			}
		}
		begin := time.Now()
		err := rangeOver(ctx, q.Tasks, items, workers)
		return time.Since(begin), err
	}
}

func queueThrough(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, room, func(q *natsqueue.Queue[string], _ string) (time.Duration, error) {
		put := func(ctx context.Context, item string) error { return q.Put(ctx, item) }
		return through(ctx, put, q.Tasks, items)
	})
}

func localThrough(ctx context.Context, _ *deployment, items int) (time.Duration, error) {
	q := queue.New[string](room)
	return through(ctx, q.Put, q.Tasks, items)
}

// through passes items from producers to workers.
func through(ctx context.Context, put func(context.Context, string) error, tasks func(context.Context) iter.Seq[string], items int) (time.Duration, error) {
	var both errgroup.Group
	begin := time.Now()
	both.Go(func() error {
		return together(many, items, func() error { return put(ctx, item) })
	})
	both.Go(func() error { return rangeOver(ctx, tasks, items, many) })
	err := both.Wait()
	return time.Since(begin), err
}

// rangeOver processes so many items in loops over tasks.
func rangeOver(ctx context.Context, tasks func(context.Context) iter.Seq[string], items, workers int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var done atomic.Int64
	err := each(workers, func() error {
		for range tasks(ctx) {
			if done.Add(1) == int64(items) {
				stop() // the other loops are blocked
			}
		}
		return nil
	})
	if n := done.Load(); n != int64(items) {
		err = errors.Join(err, fmt.Errorf("processed %d items of %d", n, items))
	}
	return err
}

// together calls do n times in all, in so many goroutines.
func together(goroutines, n int, do func() error) error {
	var left atomic.Int64
	left.Store(int64(n))
	return each(goroutines, func() error {
		for left.Add(-1) >= 0 {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	})
}

// each calls do in so many goroutines.
func each(goroutines int, do func() error) error {
	var g errgroup.Group
	for range goroutines {
		g.Go(do)
	}
	return g.Wait()
}
