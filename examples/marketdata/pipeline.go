package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
)

const flushEvery = 500 * time.Millisecond

// A pipeline takes trades from a feed through a queue to workers, who build
// bars, which go into a store.
type pipeline struct {
	config
	queue  *queue.Queue[trade]
	feed   *feed
	bars   *bars
	upsert func(bars []bar) (stored int, err error)

	processed, drained atomic.Int64
	evicted            atomic.Int64 // or refused, because the queue was full
	late               atomic.Int64
	stored             atomic.Int64 // bars

	mu      sync.Mutex   // guards settings and workers
	workers *pool        // while the pipeline runs
	delay   atomic.Int64 // extraWork, for the workers
}

// newPipeline returns a pipeline that reads from the exchange at url. upsert
// stores bars, and returns how many it has stored in all.
func newPipeline(c config, url string, upsert func([]bar) (int, error), log *slog.Logger) *pipeline {
	p := &pipeline{
		config: c,
		queue:  queue.New[trade](c.capacity),
		bars:   newBars(c.bar),
		upsert: upsert,
	}
	p.delay.Store(int64(c.extraWork))
	p.feed = newFeed(url, c.coins, log, p.put)
	return p
}

// run runs the pipeline until the feed ends, stop is done, or the store fails;
// then it finishes what was received, and returns when everything is stored. If
// now is done, or the store fails, it gives up what nobody has begun to work on,
// which then counts as drained.
func (p *pipeline) run(stop, now context.Context) error {
	working, halt := context.WithCancel(now)
	feeding, stopFeed := context.WithCancel(working)
	defer stopFeed()
	defer context.AfterFunc(stop, stopFeed)()

	var halting sync.WaitGroup
	halting.Go(func() {
		<-working.Done()
		p.drained.Add(int64(len(p.queue.Shutdown(true))))
	})

	workers := newPool(working, p.work)
	p.employ(workers)

	flushed := make(chan error, 1)
	built := make(chan struct{})
	go func() { flushed <- p.flush(built, halt) }()

	refused := p.feed.run(feeding)
	p.queue.Shutdown(false)   // no more trades; the workers' loops end when none is left
	_ = p.queue.Join(working) // all that came is merged into bars, or is not to be
	halt()                    // nothing is left to halt: drains nothing
	halting.Wait()
	p.employ(nil)
	workers.wait()
	close(built)
	return errors.Join(refused, <-flushed)
}

// employ makes workers those whose number the settings say; nil if their number
// is not to change any more.
func (p *pipeline) employ(workers *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers = workers
	if workers != nil {
		workers.resize(p.settings.workers)
	}
}

// change changes the settings while the pipeline runs. If edit fails, or leaves
// a setting out of its range, its error is returned and nothing changes.
func (p *pipeline) change(edit func(*settings) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.settings
	if err := edit(&s); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	p.settings = s
	p.delay.Store(int64(s.extraWork))
	p.queue.Resize(s.capacity)
	if p.workers != nil {
		p.workers.resize(s.workers)
	}
	return nil
}

// current returns the settings as they are now.
func (p *pipeline) current() settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings
}

// dropped returns how many trades the pipeline received and gave up by itself.
func (p *pipeline) dropped() int64 { return p.evicted.Load() + p.late.Load() }

// put puts a trade into the queue, or drops one, as the overflow policy says.
// It is called by the feed.
func (p *pipeline) put(t trade) {
	var err error
	switch p.overflow {
	case dropOldest:
		var evicted bool
		if _, evicted, err = p.queue.ForcePut(t); evicted {
			p.evicted.Add(1)
		}
	case dropNewest:
		if err = p.queue.TryPut(t); errors.Is(err, queue.ErrFull) {
			p.evicted.Add(1)
			return
		}
	default:
		// No deadline: that the queue is full is what holds up the feed, and
		// through it the socket and the exchange.
		err = p.queue.Put(context.Background(), t)
	}
	if err != nil {
		p.drained.Add(1) // shut down at once, before it was let in
	}
}

// work merges trades into bars until the queue is shut down and empty, or ctx is
// done.
func (p *pipeline) work(ctx context.Context) {
	for t := range p.queue.Tasks(ctx) {
		if delay := time.Duration(p.delay.Load()); delay > 0 {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
			}
		}
		if p.bars.add(t) {
			p.processed.Add(1)
		} else {
			p.late.Add(1)
		}
	}
}

// flush stores the bars that changed, twice a second and once more when built is
// closed. If the store fails, it halts the pipeline and returns the error.
func (p *pipeline) flush(built <-chan struct{}, halt context.CancelFunc) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for last := false; !last; {
		select {
		case <-ticker.C:
		case <-built:
			last = true
		}
		stored, err := p.upsert(p.bars.changed())
		if err != nil {
			halt()
			<-built
			return err
		}
		p.stored.Store(int64(stored))
	}
	return nil
}
