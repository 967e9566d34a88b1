package main

import (
	"context"
	"sync"
	"time"

	"github.com/destel/rill"
	"github.com/gammazero/chanqueue"
	"github.com/samber/lo"
	"github.com/smallnest/chanx"
)

// plainChan is a channel without a select.
type plainChan chan int

func (c plainChan) put(_ context.Context, item int) error {
	c <- item
	return nil
}

func (c plainChan) get(context.Context) (int, error) { return <-c, nil }

func (c plainChan) tryPut(item int) bool {
	select {
	case c <- item:
		return true
	default:
		return false
	}
}

func (c plainChan) tryGet() (item int, ok bool) {
	select {
	case item = <-c:
		return item, true
	default:
		return 0, false
	}
}

func (c plainChan) receive(_ context.Context, tick <-chan time.Time, dst []int) (int, error) {
	select {
	case dst[0] = <-c:
		return 1, nil
	case <-tick:
		return 0, nil
	}
}

func (c plainChan) forcePut(item int) {
	for !c.tryPut(item) {
		c.tryGet()
	}
}

// selectChan is a channel in a select with a context, as a program needs that is
// to be able to stop.
type selectChan chan int

func (c selectChan) put(ctx context.Context, item int) error {
	select {
	case c <- item:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c selectChan) get(ctx context.Context) (int, error) {
	select {
	case item := <-c:
		return item, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c selectChan) receive(ctx context.Context, tick <-chan time.Time, dst []int) (int, error) {
	select {
	case dst[0] = <-c:
		return 1, nil
	case <-tick:
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// timedChan collects batches from a channel with a timer.
type timedChan struct{ selectChan }

func (t timedChan) batches(ctx context.Context, size int, linger time.Duration, body func([]int)) {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	batch := make([]int, 0, size)
	for open := true; open; {
		var item int
		select {
		case item, open = <-t.selectChan:
		case <-ctx.Done():
			return
		}
		if !open {
			return
		}
		batch = append(batch[:0], item)
		if linger > 0 {
			timer.Reset(linger)
			batch, open = t.fill(ctx, batch, timer.C)
			timer.Stop()
		} else {
			batch, open = t.drain(batch)
		}
		body(batch)
	}
}

// fill adds items to batch until it is full, the time is over, the channel is
// closed or ctx is done. It reports whether more can follow.
func (t timedChan) fill(ctx context.Context, batch []int, over <-chan time.Time) ([]int, bool) {
	for len(batch) < cap(batch) {
		select {
		case item, open := <-t.selectChan:
			if !open {
				return batch, false
			}
			batch = append(batch, item)
		case <-over:
			return batch, true
		case <-ctx.Done():
			return batch, false
		}
	}
	return batch, true
}

// drain adds the items that are in the channel to batch until it is full.
func (t timedChan) drain(batch []int) ([]int, bool) {
	for len(batch) < cap(batch) {
		select {
		case item, open := <-t.selectChan:
			if !open {
				return batch, false
			}
			batch = append(batch, item)
		default:
			return batch, true
		}
	}
	return batch, true
}

func (t timedChan) finish() { close(t.selectChan) }

// bufferedChan collects batches from a channel with lo.
type bufferedChan struct{ selectChan }

func (b bufferedChan) batches(_ context.Context, size int, linger time.Duration, body func([]int)) {
	for open := true; open; {
		var batch []int
		batch, _, _, open = lo.BufferWithTimeout(b.selectChan, size, linger)
		body(batch)
	}
}

func (b bufferedChan) finish() { close(b.selectChan) }

// rillChan collects batches from a channel with rill.
type rillChan chan rill.Try[int]

func newRillChan(capacity int) rillChan { return make(rillChan, capacity) }

func (r rillChan) put(ctx context.Context, item int) error {
	select {
	case r <- rill.Try[int]{Value: item}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r rillChan) get(ctx context.Context) (int, error) {
	select {
	case item := <-r:
		return item.Value, item.Error
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (r rillChan) batches(_ context.Context, size int, linger time.Duration, body func([]int)) {
	for batch := range rill.Batch(r, size, linger) {
		body(batch.Value)
	}
}

func (r rillChan) finish() { close(r) }

// trackedChan counts the unfinished items of a channel in a WaitGroup.
type trackedChan struct {
	c          chan int
	unfinished sync.WaitGroup
}

func (t *trackedChan) put(ctx context.Context, item int) error {
	t.unfinished.Add(1)
	select {
	case t.c <- item:
		return nil
	case <-ctx.Done():
		t.unfinished.Done()
		return ctx.Err()
	}
}

func (t *trackedChan) get(ctx context.Context) (int, error) { return selectChan(t.c).get(ctx) }

func (t *trackedChan) taskDone() { t.unfinished.Done() }

func (t *trackedChan) join(context.Context) error {
	t.unfinished.Wait()
	return nil
}

func (t *trackedChan) tasks(ctx context.Context, body func(int)) {
	for {
		select {
		case item, open := <-t.c:
			if !open {
				return
			}
			body(item)
			t.unfinished.Done()
		case <-ctx.Done():
			return
		}
	}
}

// requeue sends from a goroutine of its own if the channel is full: a worker that
// blocked could not take the items that it blocks on.
func (t *trackedChan) requeue(item int) {
	t.unfinished.Add(1)
	select {
	case t.c <- item:
	default:
		go func() { t.c <- item }()
	}
}

func (t *trackedChan) finish() { close(t.c) }

// chanQueue is a pair of channels with a goroutine and a buffer between them.
type chanQueue struct{ *chanqueue.ChanQueue[int] }

func newChanQueue(capacity int) transport {
	return chanQueue{chanqueue.New(chanqueue.WithCapacity[int](capacity))}
}

func newChanRing(capacity int) dropper {
	return chanQueue{chanqueue.NewRing(chanqueue.WithCapacity[int](capacity))}
}

func (c chanQueue) put(ctx context.Context, item int) error { return send(ctx, c.In(), item) }
func (c chanQueue) get(ctx context.Context) (int, error)    { return receive(ctx, c.Out()) }

func (c chanQueue) forcePut(item int) { c.In() <- item }

func (c chanQueue) close() { c.Shutdown() }

// chanxPipe is a pair of channels with a goroutine and a buffer between them.
type chanxPipe struct{ *chanx.UnboundedChan[int] }

func newChanx() transport {
	return chanxPipe{chanx.NewUnboundedChan[int](context.Background(), 128)}
}

func (c chanxPipe) put(ctx context.Context, item int) error { return send(ctx, c.In, item) }
func (c chanxPipe) get(ctx context.Context) (int, error)    { return receive(ctx, c.Out) }

func (c chanxPipe) close() {
	close(c.In)
	for range c.Out {
	}
}

// send sends to a channel, in a select if the context may be done.
func send(ctx context.Context, c chan<- int, item int) error {
	done := ctx.Done()
	if done == nil {
		c <- item
		return nil
	}
	select {
	case c <- item:
		return nil
	case <-done:
		return ctx.Err()
	}
}

// receive receives from a channel, in a select if the context may be done.
func receive(ctx context.Context, c <-chan int) (int, error) {
	done := ctx.Done()
	if done == nil {
		return <-c, nil
	}
	select {
	case item := <-c:
		return item, nil
	case <-done:
		return 0, ctx.Err()
	}
}
