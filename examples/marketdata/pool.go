package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A pool is a group of workers whose size can change while they run. It is not
// safe for concurrent use.
type pool struct {
	ctx     context.Context
	work    func(ctx context.Context)
	running sync.WaitGroup
	dismiss []context.CancelFunc // one per worker
}

// newPool returns a pool without workers. Each worker runs work, which returns
// when its context is done, or when there is no more work. All end with ctx.
func newPool(ctx context.Context, work func(ctx context.Context)) *pool {
	return &pool{ctx: ctx, work: work}
}

// resize sets the number of workers. Surplus workers finish the item they are
// processing and take no other; resize does not block until they have.
func (p *pool) resize(n int) {
	for len(p.dismiss) < n {
		ctx, dismiss := context.WithCancel(p.ctx)
		p.dismiss = append(p.dismiss, dismiss)
		p.running.Go(func() { p.work(ctx) })
	}
	for _, dismiss := range p.dismiss[n:] {
		dismiss()
	}
	p.dismiss = p.dismiss[:n]
}

// wait blocks until all workers have returned. After it, resize must not be
// called.
func (p *pool) wait() { p.running.Wait() }

// pace slows a worker down. Timers are no finer than about a millisecond, so
// shorter delays add up until they are as long.
type pace struct {
	delay *atomic.Int64 // per item, in ns; it may change
	owed  time.Duration
}

// wait is called for each item. It returns early if ctx is done.
func (p *pace) wait(ctx context.Context) {
	delay := time.Duration(p.delay.Load())
	p.owed += delay
	switch {
	case delay == 0:
		p.owed = 0
	case p.owed >= time.Millisecond:
		start := time.Now()
		select {
		case <-time.After(p.owed):
		case <-ctx.Done():
		}
		p.owed -= time.Since(start)
	}
}
