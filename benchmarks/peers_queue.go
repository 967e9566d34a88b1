package main

import (
	"cmp"
	"context"
	"time"

	"github.com/boundq/queue"
)

// ourPeer is the queue as a peer. benchmarks/previous makes another one of this
// file, with an earlier commit's queue: without the methods of ours that call
// what that commit does not have.
func ourPeer(name string) peer {
	return peer{
		name: name, module: "github.com/boundq/queue",
		minCapacity: 1, unbounded: true,
		plain:       func(capacity int) transport { return ours{queue.New[int](capacity)} },
		cancellable: func(capacity int) transport { return ours{queue.New[int](capacity)} },
		lifo:        func() transport { return ours{queue.NewLIFO[int](0)} },
		priority:    func() transport { return ours{queue.NewPriority(0, cmp.Compare[int])} },
		dropping:    func(capacity int) dropper { return ours{queue.New[int](capacity)} },
		tracking:    func(capacity int) tracker { return ours{queue.New[int](capacity)} },
		batching:    func(capacity int) transport { return ours{queue.New[int](capacity)} },
	}
}

type ours struct{ q *queue.Queue[int] }

func (o ours) put(ctx context.Context, item int) error { return o.q.Put(ctx, item) }
func (o ours) get(ctx context.Context) (int, error)    { return o.q.Get(ctx) }

func (o ours) tryPut(item int) bool { return o.q.TryPut(item) == nil }

func (o ours) tryGet() (int, bool) {
	item, err := o.q.TryGet()
	return item, err == nil
}

func (o ours) putBatch(ctx context.Context, items []int) error {
	_, err := o.q.PutBatch(ctx, items)
	return err
}

func (o ours) getBatch(ctx context.Context, dst []int) (int, error) { return o.q.GetBatch(ctx, dst) }

func (o ours) forcePut(item int) { _, _, _ = o.q.ForcePut(item) }

func (o ours) taskDone()                      { _ = o.q.TaskDone() }
func (o ours) join(ctx context.Context) error { return o.q.Join(ctx) }

func (o ours) tasks(ctx context.Context, body func(int)) {
	for item := range o.q.Tasks(ctx) {
		body(item)
	}
}

func (o ours) requeue(item int) { _ = o.q.Requeue(item) }

func (o ours) batches(ctx context.Context, size int, linger time.Duration, body func([]int)) {
	for batch := range o.q.Batches(ctx, size, linger) {
		body(batch)
	}
}

func (o ours) receive(ctx context.Context, tick <-chan time.Time, dst []int) (n int, err error) {
	if done := ctx.Done(); done == nil {
		select {
		case <-o.q.Ready():
		case <-tick:
			return 0, nil
		}
	} else {
		select {
		case <-o.q.Ready():
		case <-tick:
			return 0, nil
		case <-done:
			return 0, ctx.Err()
		}
	}
	if len(dst) > 1 {
		n, _ = o.q.TryGetBatch(dst)
	} else if dst[0], err = o.q.TryGet(); err == nil {
		n = 1
	}
	return n, nil
}

func (o ours) finish() { o.q.Shutdown(false) }
