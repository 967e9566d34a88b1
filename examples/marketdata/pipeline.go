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

// A pipeline takes trades from a feed through a queue to workers, and quotes
// through another one, which keeps the newest of each coin, to a worker of their
// own. The workers build bars, which are stored twice a second.
type pipeline struct {
	config config
	queue  *queue.Queue[trade]
	feed   *feed
	bars   *bars
	quotes *quotes
	upsert func(bars []bar, quotes []quoteBar) (stored int, err error)

	processed, drained atomic.Int64
	evicted            atomic.Int64 // or refused, because the queue was full
	late               atomic.Int64
	stored             atomic.Int64 // bars

	toBar   *latencies // from the socket to the bar
	inQueue *latencies // including the time for which the feed blocked
	blocked stopwatch  // runs while the feed is blocked

	mu       sync.Mutex
	settings settings               // guarded by mu
	workers  *pool                  // guarded by mu; nil unless the pipeline runs
	policy   atomic.Pointer[policy] // of settings, for the feed
	delay    atomic.Int64           // of settings, for the workers
}

// A policy is an overflow policy, and a context that is done when another one is
// set: a Put that is blocked must not outlive its policy.
type policy struct {
	overflow string
	ctx      context.Context
	end      context.CancelFunc
}

func newPolicy(overflow string) *policy {
	ctx, end := context.WithCancel(context.Background())
	return &policy{overflow, ctx, end}
}

// newPipeline returns a pipeline that reads from the exchange at url. upsert
// stores bars, and returns how many it has stored in all.
func newPipeline(c config, url string, upsert func([]bar, []quoteBar) (int, error), log *slog.Logger) *pipeline {
	p := &pipeline{
		config:   c,
		queue:    queue.New[trade](c.settings.capacity),
		bars:     newBars(c.bar),
		quotes:   newQuotes(c.coins, c.bar),
		upsert:   upsert,
		toBar:    newLatencies(),
		inQueue:  newLatencies(),
		settings: c.settings,
	}
	p.policy.Store(newPolicy(c.settings.overflow))
	p.delay.Store(int64(c.settings.extraWork))
	p.feed = newFeed(url, c.coins, log, p.put, p.quotes.put)
	return p
}

// run runs the pipeline until the feed ends, stop is done, or the store fails.
// It returns once all trades that were received are processed and their bars
// stored. If now is done, or the store fails, it gives up the trades that are
// still queued; they count as drained.
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

	var quoting sync.WaitGroup
	quoting.Go(func() { p.quotes.work(working, &p.delay) })

	flushed := make(chan error, 1)
	built := make(chan struct{})
	go func() { flushed <- p.flush(built, halt) }()

	refused := p.feed.run(feeding)
	p.quotes.queue.Shutdown(false)
	p.queue.Shutdown(false)   // the workers' loops end once the queue is empty
	_ = p.queue.Join(working) // all trades are processed or drained
	halt()                    // ends halting; the queue is empty, so it drains nothing
	halting.Wait()
	p.employ(nil)
	workers.wait()
	quoting.Wait()
	close(built)
	return errors.Join(refused, <-flushed)
}

// employ sets the pool whose size follows the settings; nil for none.
func (p *pipeline) employ(workers *pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.workers = workers
	if workers != nil {
		workers.resize(p.settings.workers)
	}
}

// change changes the settings while the pipeline runs. If edit returns an error,
// or leaves a setting out of range, nothing changes, and change returns the
// error.
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
	if old := p.policy.Load(); old.overflow != s.overflow {
		p.policy.Store(newPolicy(s.overflow))
		old.end()
	}
	p.delay.Store(int64(s.extraWork))
	p.queue.Resize(s.capacity)
	if p.workers != nil {
		p.workers.resize(s.workers)
	}
	return nil
}

// current returns the current settings.
func (p *pipeline) current() settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings
}

// dropped returns how many trades were received, but not kept.
func (p *pipeline) dropped() int64 { return p.evicted.Load() + p.late.Load() }

// put puts a trade into the queue, or drops one, as the overflow policy says.
// The feed calls it.
func (p *pipeline) put(t trade) {
	t.queued = time.Now()
	var err error
	for again := true; again; {
		policy := p.policy.Load()
		switch policy.overflow {
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
			// Backpressure: while this blocks, the feed does not read, and the
			// exchange cannot send.
			if err = p.queue.TryPut(t); errors.Is(err, queue.ErrFull) {
				p.blocked.start()
				err = p.queue.Put(policy.ctx, t)
				p.blocked.stop()
			}
		}
		again = errors.Is(err, context.Canceled)
	}
	if err != nil {
		p.drained.Add(1) // shut down at once
	}
}

// work merges trades into bars until the queue is shut down and empty, or ctx is
// done.
func (p *pipeline) work(ctx context.Context) {
	pace := pace{delay: &p.delay}
	for t := range p.queue.Tasks(ctx) {
		p.inQueue.record(time.Since(t.queued))
		pace.wait(ctx)
		if !p.bars.add(t) {
			p.late.Add(1)
			continue
		}
		p.processed.Add(1)
		p.toBar.record(time.Since(t.received))
	}
}

// flush stores the bars that changed, at intervals and once more when built is
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
		stored, err := p.upsert(p.bars.changed(), p.quotes.book.changed())
		if err != nil {
			halt()
			<-built
			return err
		}
		p.stored.Store(int64(stored))
	}
	return nil
}
