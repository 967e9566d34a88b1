package main

import (
	"context"
	"sync"

	"github.com/eapache/channels"
	"github.com/smallnest/chanx"
)

// plainChan is a channel that waits for nothing else.
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

func (c plainChan) forcePut(item int) {
	for !c.tryPut(item) {
		c.tryGet()
	}
}

// selectChan is a channel in a select with a context, as one must to be able to
// stop.
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

func (t *trackedChan) close() { close(t.c) }

// eapache is a pair of channels with a goroutine and a buffer between them.
type eapache struct{ channels.Channel }

func newEapache(capacity int) transport {
	if capacity == 0 {
		return eapache{channels.NewInfiniteChannel()}
	}
	c := channels.NewResizableChannel()
	if capacity != 1 {
		c.Resize(channels.BufferCap(capacity))
	}
	return eapache{c}
}

func newEapacheRing(capacity int) dropper {
	return eapache{channels.NewRingChannel(channels.BufferCap(capacity))}
}

func (e eapache) put(ctx context.Context, item int) error {
	done := ctx.Done()
	if done == nil {
		e.In() <- item
		return nil
	}
	select {
	case e.In() <- item:
		return nil
	case <-done:
		return ctx.Err()
	}
}

func (e eapache) get(ctx context.Context) (int, error) {
	done := ctx.Done()
	if done == nil {
		return (<-e.Out()).(int), nil
	}
	select {
	case item := <-e.Out():
		return item.(int), nil
	case <-done:
		return 0, ctx.Err()
	}
}

func (e eapache) forcePut(item int) { e.In() <- item }

func (e eapache) close() {
	e.Close()
	for range e.Out() {
	}
}

// chanxPipe is a pair of channels with a goroutine and a buffer between them.
type chanxPipe struct{ *chanx.UnboundedChan[int] }

func newChanx() transport {
	return chanxPipe{chanx.NewUnboundedChan[int](context.Background(), 128)}
}

func (c chanxPipe) put(ctx context.Context, item int) error {
	done := ctx.Done()
	if done == nil {
		c.In <- item
		return nil
	}
	select {
	case c.In <- item:
		return nil
	case <-done:
		return ctx.Err()
	}
}

func (c chanxPipe) get(ctx context.Context) (int, error) {
	done := ctx.Done()
	if done == nil {
		return <-c.Out, nil
	}
	select {
	case item := <-c.Out:
		return item, nil
	case <-done:
		return 0, ctx.Err()
	}
}

func (c chanxPipe) close() {
	close(c.In)
	for range c.Out {
	}
}
