package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
)

// A round is the life of one queue.
type round struct {
	options
	*ledger
	totals   *totals
	seed     uint64
	order    string
	where    string // the queue, in words
	capacity int    // the first one; of a Fair queue, each key's
	resizes  bool   // whether it changes
	q        target

	// What q is, or nil.
	plain    plainQueue
	keyed    keyedQueue
	blocking blockingQueue
	evicting evictingQueue

	// Of a Serial queue.
	inHand    [keys]atomic.Int32
	processed [keys][maxProducers]atomic.Uint32 // the last item, by key and producer

	workers []*worker      // all of them
	movers  sync.WaitGroup // those that put and get
	others  sync.WaitGroup // those that stay until the round is over
	enders  []*worker      // those that shut the queue down
	endings sync.WaitGroup
	last    *worker       // the one that is left when all others have gone
	clock   atomic.Uint64 // of the histories

	ending     atomic.Bool // Shutdown is about to be called
	isShutDown atomic.Bool // Shutdown has returned
	draining   atomic.Bool // Shutdown(true) is about to be called
	isDrained  atomic.Bool // Shutdown(true) has returned
	quit       atomic.Bool // producers and consumers are to leave, whatever is queued
	over       atomic.Bool // the movers have left

	onReady atomic.Int64 // workers that wait for Ready and nothing else

	// compare fails when fuse gets to zero, while fails is set.
	fails     atomic.Bool
	fuse      atomic.Int64
	byExiting bool // runtime.Goexit is among the ways

	failed atomic.Pointer[discrepancy]
	broken chan struct{} // closed when failed is set
}

const maxProducers = 4

// newRound makes up a round.
func newRound(o options, seed uint64, random *rand.Rand, l *ledger, t *totals) *round {
	l.reset()
	r := &round{options: o, ledger: l, totals: t, seed: seed, broken: make(chan struct{})}
	r.order = o.orders[random.IntN(len(o.orders))]
	r.capacity = []int{queue.Unbounded, 1, 2, 3, 8, 100}[random.IntN(6)]
	r.resizes = random.IntN(2) == 0
	if r.order == "latest" {
		r.capacity = queue.Unbounded
	}
	if r.order == "priority" {
		r.fails.Store(random.IntN(3) > 0)
		r.byExiting = random.IntN(2) == 0
	}
	r.q = o.make(r.order, r.capacity, r.compare)
	r.plain, _ = r.q.(plainQueue)
	r.keyed, _ = r.q.(keyedQueue)
	r.blocking, _ = r.q.(blockingQueue)
	r.evicting, _ = r.q.(evictingQueue)
	r.resizes = r.resizes && r.plain != nil

	add := func(n int, role string, group *sync.WaitGroup, work func(*worker)) {
		for i := range n {
			w := &worker{round: r, name: fmt.Sprint(role, " ", i), producer: uint16(len(r.workers)), group: group, work: work}
			w.random = rand.New(rand.NewPCG(seed, uint64(len(r.workers)+1)))
			r.workers = append(r.workers, w)
		}
	}
	producers, consumers := 1+random.IntN(maxProducers), random.IntN(3)
	add(producers, "producer", &r.movers, (*worker).produce)
	add(consumers, "consumer", &r.movers, (*worker).consume)
	add(random.IntN(3), "tasks", &r.movers, (*worker).rangeOverTasks)
	if r.plain != nil {
		add(random.IntN(3), "batches", &r.movers, (*worker).rangeOverBatches)
	}
	ready := random.IntN(3)
	if len(r.workers) == producers+consumers {
		ready = max(ready, 1-consumers) // so that at least one takes items
	}
	add(ready, "ready", &r.movers, (*worker).receive)
	add(1+random.IntN(2), "joiner", &r.others, (*worker).join)
	add(1, "monitor", &r.others, (*worker).monitor)
	add(1, "canceller", &r.others, (*worker).cancelOthers)
	if r.resizes {
		add(1, "resizer", &r.others, (*worker).resize)
	}
	if r.fails.Load() {
		add(1, "arsonist", &r.others, (*worker).lightFuses)
	}
	add(3, "shutdown", &r.endings, nil)
	r.enders = r.workers[len(r.workers)-3:]
	add(1, "last", &r.endings, nil)
	r.last = r.workers[len(r.workers)-1]
	r.where = fmt.Sprintf("%s queue, capacity %d, %d workers", r.order, r.capacity, len(r.workers))
	return r
}

// fault is what compare panics with, and exitFault what the queue makes of
// compare's runtime.Goexit for a call that was parked.
const (
	fault     = "compare fails"
	exitFault = "queue: compare called runtime.Goexit"
)

func (r *round) compare(a, b item) int {
	if r.fails.Load() && r.fuse.Load() > 0 {
		if left := r.fuse.Add(-1); left == 0 {
			if r.byExiting && a.seq%2 == 0 {
				runtime.Goexit()
			}
			panic(fault)
		}
	}
	return compareKeys(a, b)
}

// fail notes a discrepancy; the first one counts.
func (r *round) fail(format string, args ...any) {
	d := &discrepancy{seed: r.seed, where: r.where, what: fmt.Sprintf(format, args...), history: merge(r.workers)}
	if r.failed.CompareAndSwap(nil, d) {
		close(r.broken)
	}
}

// run lets the workers work and shuts the queue down. When it returns, all have
// left, unless there was a discrepancy.
func (r *round) run(random *rand.Rand) {
	defer r.dismiss()
	for _, w := range r.workers {
		if w.work != nil {
			w.start()
		}
	}
	if !r.wait() {
		return
	}

	if !r.signalled() {
		return
	}
	single := r.planShutdown(random)
	if single || random.IntN(2) == 0 {
		r.fails.Store(false)
	}
	r.ending.Store(true)
	for _, w := range r.enders {
		w.start()
	}
	if !r.within(&r.endings, "shutting down") || !r.within(&r.movers, "leaving after the shutdown") {
		return
	}
	r.fails.Store(false)
	r.last.work = func(w *worker) {
		if single {
			w.drainAlone()
		}
		w.shutdown(true)
		w.writeOff()
	}
	r.last.start()
	if r.within(&r.endings, "getting what is left") {
		r.over.Store(true)
		r.within(&r.others, "joining after all is done")
	}
}

// planShutdown makes up how the queue is shut down. single is whether what is
// left then is for a single consumer.
func (r *round) planShutdown(random *rand.Rand) (single bool) {
	r.enders = r.enders[:1+random.IntN(len(r.enders))]
	var work func(*worker)
	switch random.IntN(4) {
	case 0: // the consumers get what is left
		work = func(w *worker) { w.shutdown(false) }
	case 1:
		work = func(w *worker) { w.shutdown(true) }
	case 2:
		work = func(w *worker) {
			w.shutdown(false)
			w.pause(100)
			w.shutdown(true)
		}
	case 3:
		single = true
		work = func(w *worker) {
			w.quit.Store(true)
			w.shutdown(false)
		}
	}
	for _, w := range r.enders {
		w.work = work
	}
	return single
}

// wait waits until the round's time is over, and reports whether all is well.
func (r *round) wait() bool {
	end := time.After(r.round)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	calls, moved := r.totals.calls.Load(), time.Now()
	for {
		select {
		case <-r.broken:
			return false
		case <-end:
			return true
		case <-tick.C:
			if r.next.Load() >= ledgerSize {
				return true
			}
			if now := r.totals.calls.Load(); now != calls {
				calls, moved = now, time.Now()
			} else if time.Since(moved) > r.patience {
				r.fail("no call has returned for %v\n%s", r.patience, stacks())
			}
		}
	}
}

// signalled reports whether all is well with Ready: where items are queued and
// workers wait for its signal, items must leave.
func (r *round) signalled() bool {
	before := r.q.Stats()
	for end := time.Now().Add(r.patience); r.failed.Load() == nil; time.Sleep(100 * time.Microsecond) {
		s := r.q.Stats()
		if s.Len == 0 || s.Got+s.Dropped != before.Got+before.Dropped || r.onReady.Load() == 0 {
			break
		}
		if time.Now().After(end) {
			r.fail("%d items are queued, and Ready has no signal\n%+v\n%s", s.Len, s, stacks())
		}
	}
	return r.failed.Load() == nil
}

// within waits for a group of workers to leave, and reports whether all is well.
func (r *round) within(group *sync.WaitGroup, doing string) bool {
	left := make(chan struct{})
	go func() {
		group.Wait()
		close(left)
	}()
	select {
	case <-left:
		return r.failed.Load() == nil
	case <-r.broken:
	case <-time.After(r.patience):
		r.fail("a goroutine hangs, %s\n%s", doing, stacks())
	}
	return false
}

// dismiss releases all that are still blocked after a discrepancy, if the queue can.
func (r *round) dismiss() {
	if r.failed.Load() == nil {
		return
	}
	r.quit.Store(true)
	r.ending.Store(true)
	r.over.Store(true)
	for range 20 {
		r.cancelAll()
		time.Sleep(time.Millisecond)
	}
	go func() {
		r.q.Shutdown(true)
		if r.plain != nil {
			_ = r.plain.TaskDoneN(r.q.Stats().Unfinished)
			return
		}
		for key := range uint16(keys) {
			for r.keyed.TaskDoneOf(item{key: key}) == nil {
			}
		}
	}()
}

// writeOff marks done the items that were taken by calls whose goroutine compare
// ended: a goroutine that calls runtime.Goexit cannot return what it took. It checks that there are no more of them than such calls.
func (w *worker) writeOff() {
	s := w.q.Stats()
	lost := s.Put - w.ended.Load()
	if most := w.mayBeLost.Load(); lost > most {
		id, n := w.left()
		w.fail("%d items were put, %d came out, at most %d were lost; %d that their producers know to be in are missing, the last is %d\n%+v",
			s.Put, w.ended.Load(), most, n, id, s)
		return
	}
	if _, n := w.left(); n > lost {
		w.fail("%d items are missing that their producers know to be in, but the queue knows of %d\n%+v", n, lost, s)
	}
	if s.Unfinished != int(lost) {
		w.fail("%d items are unfinished after all were done, %d were lost\n%+v", s.Unfinished, lost, s)
	}
	if lost == 0 {
		return // for TaskDoneN(0) would release a Join that should have been released before
	}
	if err := w.plain.TaskDoneN(int(lost)); err != nil {
		w.fail("TaskDoneN(%d): %v", lost, err)
	}
	w.done.Add(lost)
	w.totals.lost.Add(lost)
}

// settle compares the queue's figures with the ledger's, when all have left.
func (r *round) settle() {
	s := r.q.Stats()
	lost := s.Put - r.ended.Load()
	certain, doubtful := r.accepted.Load(), r.accepted.Load()+r.doubtful.Load()
	for _, c := range []struct {
		holds bool
		what  string
	}{
		{s.Put >= certain && s.Put <= doubtful, fmt.Sprintf("Put is between %d and %d", certain, doubtful)},
		{s.Got == r.received.Load()+lost, fmt.Sprintf("Got is %d", r.received.Load()+lost)},
		{s.Dropped == r.dropped.Load(), fmt.Sprintf("Dropped is %d", r.dropped.Load())},
		{s.Drained == r.drained.Load(), fmt.Sprintf("Drained is %d", r.drained.Load())},
		{s.Done == r.done.Load(), fmt.Sprintf("Done is %d", r.done.Load())},
		{s.Rejected == r.full.Load(), fmt.Sprintf("Rejected is %d", r.full.Load())},
		{s.Len == 0 && s.Unfinished == 0 && s.PutWaiting == 0 && s.GetWaiting == 0, "nothing is queued and no call is blocked"},
		{s.Shutdown, "it is shut down"},
	} {
		if !c.holds {
			r.fail("at the end, this does not hold: %s\n%+v", c.what, s)
		}
	}
}
