package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
)

// A target is what is put to the test: a queue, or one that is broken on purpose.
// It is a plainQueue or a keyedQueue.
type target interface {
	Get(ctx context.Context) (item, error)
	TryGet() (item, error)
	Ready() <-chan struct{}
	Tasks(ctx context.Context) iter.Seq[item]
	Join(ctx context.Context) error
	Shutdown(immediate bool) (drained []item)
	Len() int
	Stats() queue.Stats
	String() string
}

// A blockingQueue can be full.
type blockingQueue interface {
	Put(ctx context.Context, item item) error
	TryPut(item item) error
}

// An evictingQueue always has room.
type evictingQueue interface {
	ForcePut(item item) (evicted item, ok bool, err error)
}

// A plainQueue is one of package queue.
type plainQueue interface {
	target
	blockingQueue
	evictingQueue
	Peek() (item, error)
	PutBatch(ctx context.Context, items []item) (n int, err error)
	GetBatch(ctx context.Context, dst []item) (n int, err error)
	TryPutBatch(items []item) (n int, err error)
	TryGetBatch(dst []item) (n int, err error)
	Requeue(item item) error
	Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]item]
	TaskDone() error
	TaskDoneN(n int) error
	Resize(capacity int)
	Cap() int
}

type options struct {
	duration time.Duration
	round    time.Duration
	seed     uint64
	orders   []string
	patience time.Duration // how long nothing may move before a goroutine is said to hang
	make     func(order string, capacity int, compare func(a, b item) int) target
}

// A discrepancy is something that the queue promises not to do.
type discrepancy struct {
	seed    uint64 // of the round
	where   string
	what    string
	history string
}

func (d *discrepancy) Error() string { return d.what }

// totals counts what was done, in all rounds.
type totals struct {
	rounds, calls                                     atomic.Uint64
	put, received, evicted, drained, requeued, lost   atomic.Uint64
	batches, signals, contextFaults                   atomic.Uint64
	refused, cancelled, panics, exits, joins, resizes atomic.Uint64
}

// Figures are what the live line shows.
type figures struct {
	elapsed    time.Duration
	callsASec  float64
	heap       uint64 // bytes in use when last collected
	goroutines int
	queue      string // the present round's
	*totals
}

func (f figures) String() string {
	return fmt.Sprintf("%5.0fs  %6d rounds  %11d items  %8.0f calls/s  %6.1f MiB heap  %3d goroutines  %s",
		f.elapsed.Seconds(), f.rounds.Load(), f.put.Load(), f.callsASec, float64(f.heap)/(1<<20), f.goroutines, f.queue)
}

func (f figures) summary() string {
	return fmt.Sprintf("%d calls; items: %d put, %d requeued, %d received, %d evicted or replaced, %d drained, %d lost with a goroutine that compare ended; "+
		"calls: %d refused, %d cancelled; %d batches of loops, %d signals of Ready, %d contexts that failed; %d panics, %d exits, %d joins, %d resizes",
		f.calls.Load(), f.put.Load(), f.requeued.Load(), f.received.Load(), f.evicted.Load(), f.drained.Load(), f.lost.Load(),
		f.refused.Load(), f.cancelled.Load(), f.batches.Load(), f.signals.Load(), f.contextFaults.Load(),
		f.panics.Load(), f.exits.Load(), f.joins.Load(), f.resizes.Load())
}

// heapGrowth is how much larger than after the first rounds the heap may become,
// in bytes. What grows with each round is past it within seconds.
const heapGrowth = 8 << 20

// firstRounds is how many rounds it takes for the heap to have what it needs.
const firstRounds = 10

// soak runs rounds, one after another, until the time is over or ctx is done. It
// calls report about once a second. The error is nil or a *discrepancy.
func soak(ctx context.Context, o options, report func(figures)) (figures, error) {
	t := &totals{}
	start := time.Now()
	goroutines := runtime.NumGoroutine()
	var heap, flat atomic.Uint64
	var current atomic.Pointer[round]
	look := func(calls uint64, since time.Time) figures {
		f := figures{totals: t, elapsed: time.Since(start), heap: heap.Load(), goroutines: runtime.NumGoroutine()}
		f.callsASec = float64(t.calls.Load()-calls) / time.Since(since).Seconds()
		if r := current.Load(); r != nil {
			f.queue = r.where
		}
		return f
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		calls, since := uint64(0), start
		for {
			select {
			case <-ticker.C:
				report(look(calls, since))
				calls, since = t.calls.Load(), time.Now()
			case <-stop:
				return
			}
		}
	}()
	goroutines++
	defer func() {
		close(stop)
		<-stopped
	}()

	l := newLedger()
	for n := 0; time.Since(start) < o.duration && ctx.Err() == nil; n++ {
		seed := o.seed + uint64(n)
		random := rand.New(rand.NewPCG(seed, 0))
		r := newRound(o, seed, random, l, t)
		current.Store(r)
		r.run(random)
		if r.failed.Load() == nil {
			r.settle()
			r.countGoroutines(goroutines)
			heap.Store(r.heap())
			switch {
			case n < firstRounds:
				flat.Store(max(flat.Load(), heap.Load()))
			case heap.Load() > flat.Load()+heapGrowth:
				r.fail("the heap holds %d bytes, after the first rounds it held %d", heap.Load(), flat.Load())
			}
		}
		if d := r.failed.Load(); d != nil {
			return look(0, start), d
		}
		t.rounds.Add(1)
	}
	return look(0, start), nil
}

// heap returns the bytes in use, the queue's included.
func (r *round) heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(r.q)
	return m.HeapAlloc
}

// countGoroutines waits until there are no more than there were in the beginning.
func (r *round) countGoroutines(base int) {
	for deadline := time.Now().Add(r.patience); runtime.NumGoroutine() > base; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.fail("%d goroutines are left, there were %d before the round\n%s", runtime.NumGoroutine(), base, stacks())
			return
		}
	}
}

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}
