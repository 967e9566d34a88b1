package main

import (
	"context"
	"sync"
)

// A pool is a number of workers, which may change while they work. It is not
// safe for concurrent use.
type pool struct {
	ctx     context.Context
	work    func(ctx context.Context)
	running sync.WaitGroup
	dismiss []context.CancelFunc // one a worker
}

// newPool returns a pool of no workers. Each will run work, which returns when
// its context is done, or when nothing is left to do. All of them end with ctx.
func newPool(ctx context.Context, work func(ctx context.Context)) *pool {
	return &pool{ctx: ctx, work: work}
}

// resize makes the number of workers n. Workers that are too many finish what
// they have begun, and take nothing more; resize does not wait for them.
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

// wait waits until all workers have returned. After it, resize must not be
// called.
func (p *pool) wait() { p.running.Wait() }
