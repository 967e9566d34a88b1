package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
)

// A worker is a goroutine that calls the queue and checks what it returns. If it
// is ended by a panic or by runtime.Goexit, another takes its place.
type worker struct {
	*round
	name     string
	producer uint16
	random   *rand.Rand
	group    *sync.WaitGroup
	work     func(*worker)
	history  history

	cancel atomic.Pointer[context.CancelFunc] // ends its present call's context
	seq    uint32                             // items it made
	last   map[stream]uint32                  // of a FIFO or keyed queue: the last item that it saw leave
	inBody bool                               // of a loop over Tasks or Batches

	faulted bool // its call's context panicked or ended the goroutine
}

var (
	errPanicked = errors.New("panicked")
	errExited   = errors.New("was ended by runtime.Goexit")
	errContext  = errors.New("was ended by its context")
	errWork     = errors.New("the work fails")
)

func (w *worker) start() {
	w.group.Add(1)
	go func() {
		left := false
		defer w.group.Done()
		defer func() {
			if !left && w.failed.Load() == nil {
				w.start()
			}
		}()
		w.work(w)
		left = true
	}()
}

// call makes a call and notes it. after learns how it ended, also if that was a
// panic or runtime.Goexit, which then goes on to end the worker.
func (w *worker) call(name string, arg int, f func() (int, error), after func(n int, err error)) (n int, err error) {
	i := w.history.begin(record{who: w.name, call: name, arg: arg}, &w.clock)
	err = errExited
	defer func() {
		byContext := w.faulted
		w.faulted = false
		switch p := recover(); {
		case p != nil:
			byCompare := w.order == "priority" && (p == fault || w.byExiting && p == exitFault)
			if !byCompare && !(w.inBody && p == errWork) && !(byContext && p == contextFault) {
				w.fail("%s panicked: %v\n%s", name, p, stacks())
			}
			err = errPanicked
			w.totals.panics.Add(1)
		case err == errExited:
			w.totals.exits.Add(1)
		case byContext:
			w.fail("%s returned %d, %v, though its context panicked", name, n, err)
		}
		if byContext {
			err = errContext
			w.totals.contextFaults.Add(1)
		}
		w.history.end(i, n, err, &w.clock)
		w.totals.calls.Add(1)
		after(n, err)
	}()
	return f()
}

// pause lets the others work for up to some microseconds.
func (w *worker) pause(most int) {
	time.Sleep(time.Duration(w.random.IntN(most)) * time.Microsecond)
}

// A testContext is what the calls are given. It may break the contract of
// contexts, but not before it is armed, nor after it is disarmed.
type testContext struct {
	context.Context
	w     *worker
	armed bool
	breach
}

// A breach is a way to break the contract.
type breach int

const (
	none   breach = iota
	panics        // in Done or Err
	exits         // ends the goroutine there
	lies          // closes Done, and Err is nil
)

const contextFault = "the context panics"

func (c *testContext) fail() {
	if !c.armed || c.breach != panics && c.breach != exits || c.w.random.IntN(4) > 0 {
		return
	}
	c.w.faulted = true
	if c.breach == panics {
		panic(contextFault)
	}
	runtime.Goexit()
}

func (c *testContext) Err() error {
	c.fail()
	if c.armed && c.breach == lies {
		return nil
	}
	return c.Context.Err()
}

func (c *testContext) Done() <-chan struct{} {
	c.fail()
	return c.Context.Done()
}

// ending returns the error of a call that the context ended.
func (c *testContext) ending() error {
	c.armed = false
	if err := c.Context.Err(); err != nil && c.breach == lies {
		return context.Canceled
	} else {
		return err
	}
}

// context returns a context for the next call, most of which end soon, and how to
// let go of it.
func (w *worker) context() (*testContext, context.CancelFunc) {
	c := &testContext{Context: context.Background(), w: w}
	cancel := context.CancelFunc(func() {})
	switch w.random.IntN(10) {
	case 0, 1, 2:
	case 3, 4, 5:
		c.Context, cancel = context.WithTimeout(c.Context, time.Duration(w.random.IntN(300))*time.Microsecond)
	case 6:
		c.Context, cancel = context.WithCancel(c.Context)
		cancel()
	default:
		c.Context, cancel = context.WithCancel(c.Context)
		w.cancel.Store(&cancel)
	}
	if w.random.IntN(20) == 0 {
		c.breach = panics + breach(w.random.IntN(3))
	}
	return c, cancel
}

// wait makes a call that has a context, and checks its error.
func (w *worker) wait(name string, arg int, f func(ctx context.Context) (int, error), after func(n int, err error)) (int, error) {
	c, cancel := w.context()
	defer cancel()
	ctx := context.Context(c)
	if c.Context == context.Background() && c.breach == none {
		ctx = c.Context // which queues know
	}
	before := c.Err()
	if c.breach == lies {
		before = nil
	}
	c.armed = true
	n, err := w.call(name, arg, func() (int, error) { return f(ctx) }, after)
	ending := c.ending()
	switch {
	case err == errContext:
	case before != nil && err != before:
		w.fail("%s returned %v, though its context had ended before: %v", name, err, before)
	case err == nil || err == errPanicked:
	case err == queue.ErrShutdown && name != "Join":
		w.checkEnding(name)
	case err == ending:
		w.totals.cancelled.Add(1)
	default:
		w.fail("%s returned %v, its context %v", name, err, ending)
	}
	return n, err
}

func (w *worker) checkEnding(name string) {
	if !w.ending.Load() {
		w.fail("%s returned ErrShutdown, but the queue was not shut down", name)
	}
}

func (w *worker) check(err error) {
	if err != nil {
		w.fail("%v", err)
	}
}

// items makes n items; ok is false if the ledger is full.
func (w *worker) items(n int) (items []item, ok bool) {
	last := w.next.Add(uint32(n))
	if last > ledgerSize {
		return nil, false
	}
	for i := range uint32(n) {
		w.seq++
		items = append(items, item{id: last - uint32(n) + i, producer: w.producer, key: uint16(w.random.IntN(keys)), seq: w.seq})
	}
	return items, true
}

// told notes that the first n items are in and the others not, as far as the
// error tells.
func (w *worker) told(items []item, n int, err error) {
	if len(items) > 1 && (err == errPanicked || err == errExited) || err == errContext {
		for _, it := range items {
			w.check(w.tell(it, doubtful))
		}
		return
	}
	if n < 0 || n > len(items) || (n == len(items)) != (err == nil) {
		w.fail("%d of %d items are in, and the error is %v", n, len(items), err)
		return
	}
	for i, it := range items {
		if i < n {
			w.check(w.tell(it, accepted))
		} else {
			w.check(w.tell(it, refused))
		}
	}
	w.totals.put.Add(uint64(n))
}

// one is how many of one item are in.
func one(err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// produce puts until the queue is shut down.
func (w *worker) produce() {
	for !w.quit.Load() && w.failed.Load() == nil {
		kind, n := w.random.IntN(12), 1
		switch {
		case w.plain != nil:
		case w.blocking != nil:
			kind = 2 + w.random.IntN(7)
		default:
			kind = 9
		}
		if kind < 2 || kind > 10 {
			n = 2 + w.random.IntN(4)
		}
		items, ok := w.items(n)
		if !ok {
			return
		}
		id := int(items[0].id)
		late := w.isShutDown.Load()
		tell := func(n int, err error) {
			if w.told(items, n, err); late && n > 0 {
				w.fail("%d of the items %+v went in, though the queue had been shut down before", n, items)
			}
		}
		var err error
		switch {
		case kind < 2:
			_, err = w.wait("PutBatch", id, func(ctx context.Context) (int, error) { return w.plain.PutBatch(ctx, items) }, tell)
		case kind < 7:
			_, err = w.wait("Put", id, func(ctx context.Context) (int, error) { return one(w.blocking.Put(ctx, items[0])) }, tell)
		case kind < 9:
			_, err = w.call("TryPut", id, func() (int, error) { return one(w.blocking.TryPut(items[0])) }, tell)
			if err == queue.ErrFull {
				w.refuse("TryPut", 1)
			}
		case kind == 11:
			n, err = w.call("TryPutBatch", id, func() (int, error) { return w.plain.TryPutBatch(items) }, tell)
			if err == queue.ErrFull {
				w.refuse("TryPutBatch", len(items)-n)
			}
		default:
			var evicted []item
			_, err = w.call("ForcePut", id, func() (int, error) {
				it, ok, err := w.evicting.ForcePut(items[0])
				if ok {
					evicted = append(evicted, it)
				}
				return one(err)
			}, tell)
			if len(evicted) > 0 {
				w.leave(evicted)
				w.dropped.Add(1)
				w.totals.evicted.Add(1)
				// What is oldest now must not be older than what was evicted.
				if n, _ := w.tryGet(evicted[:1]); n == 1 {
					w.get(evicted)
					w.markDone(evicted)
				}
			}
		}
		if err == queue.ErrShutdown {
			w.checkEnding("a put")
			return
		}
		if err != nil && kind >= 7 && err != queue.ErrFull && err != errPanicked {
			w.fail("a put that does not wait returned %v", err)
		}
		if w.capacity == queue.Unbounded && w.q.Len() > 10_000 {
			w.pause(1000)
		}
	}
}

// refuse notes that n items were refused because the queue was full.
func (w *worker) refuse(call string, n int) {
	w.full.Add(uint64(n))
	w.totals.refused.Add(1)
	if w.capacity == queue.Unbounded && !w.resizes {
		w.fail("%s returned ErrFull, but the queue has no bound", call)
	}
}

// requeue requeues an item now and then. The worker has one that is not done.
func (w *worker) requeue() {
	if w.plain == nil || w.random.IntN(50) > 0 {
		return
	}
	items, ok := w.items(1)
	if !ok {
		return
	}
	late := w.isDrained.Load()
	w.requeues.Add(1)
	_, err := w.call("Requeue", int(items[0].id), func() (int, error) { return one(w.plain.Requeue(items[0])) }, func(n int, err error) {
		if w.told(items, n, err); late && n > 0 {
			w.fail("item %+v was requeued, though the queue had been drained before", items[0])
		}
	})
	switch err {
	case nil:
		w.totals.requeued.Add(1)
	case errPanicked:
	case queue.ErrShutdown:
		if !w.draining.Load() {
			w.fail("Requeue returned ErrShutdown, but its caller has an item that is not done")
		}
	default:
		w.fail("Requeue returned %v", err)
	}
}

// leave notes that items left the queue one after another.
func (w *worker) leave(items []item) {
	for _, it := range items {
		w.check(w.end(it))
		if w.order != "fifo" && w.keyed == nil {
			continue
		}
		// Each goroutine that takes items from a FIFO queue, or one of a keyed queue, sees those of each producer in order.
		if w.last == nil {
			w.last = map[stream]uint32{}
		}
		of := streamOf(w.order, it)
		if w.last[of] >= it.seq {
			w.fail("item %+v left after the producer's item %d", it, w.last[of])
		}
		w.last[of] = it.seq
	}
}

// leaveTogether notes that items left while none came in.
func (w *worker) leaveTogether(items []item) {
	w.leave(items)
	w.check(inOrder(w.order, items))
	if w.order == "latest" {
		w.check(inTurns(w.order, items))
	}
}

// get notes that items were received.
func (w *worker) get(items []item) {
	w.leave(items)
	for _, it := range items {
		w.grasp(it)
	}
	w.received.Add(uint64(len(items)))
	w.totals.received.Add(uint64(len(items)))
}

// tryGet is TryGet into dst[0], or TryGetBatch if dst is longer.
func (w *worker) tryGet(dst []item) (int, error) {
	name := "TryGet"
	if len(dst) > 1 {
		name = "TryGetBatch"
	}
	n, err := w.call(name, len(dst), func() (n int, err error) {
		if len(dst) > 1 {
			return w.plain.TryGetBatch(dst)
		}
		dst[0], err = w.q.TryGet()
		return one(err)
	}, func(_ int, err error) {
		if err == errExited {
			w.mayBeLost.Add(uint64(len(dst)))
		}
	})
	switch err {
	case nil, errPanicked:
	case queue.ErrEmpty:
		runtime.Gosched()
	case queue.ErrShutdown:
		w.checkEnding(name)
	default:
		w.fail("%s returned %v", name, err)
	}
	if n < 0 || n > len(dst) || (n > 0) != (err == nil) {
		w.fail("%s for %d items returned %d, %v", name, len(dst), n, err)
		return 0, err
	}
	return n, err
}

// hold has an item that is not done, so no Join may succeed.
func (w *worker) hold() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(w.random.IntN(50))*time.Microsecond)
	defer cancel()
	_, err := w.call("Join", 0, func() (int, error) { return 0, w.q.Join(ctx) }, func(int, error) {})
	if err == nil {
		w.fail("Join returned nil, but its caller has an item that is not done")
	}
}

// consume gets and marks done until the queue is shut down and empty.
func (w *worker) consume() {
	dst := make([]item, 6)
	for !w.quit.Load() && w.failed.Load() == nil {
		room := 1
		lost := func(n int, err error) {
			if err == errExited {
				w.mayBeLost.Add(uint64(room))
			}
		}
		var n int
		var err error
		switch kind := w.random.IntN(10); {
		case kind < 2 && w.plain != nil:
			room = 1 + w.random.IntN(len(dst))
			n, err = w.wait("GetBatch", room, func(ctx context.Context) (int, error) { return w.plain.GetBatch(ctx, dst[:room]) }, lost)
			if n < 0 || n > room || (n > 0) != (err == nil) {
				w.fail("GetBatch for %d items returned %d, %v", room, n, err)
				return
			}
		case kind < 7:
			n, err = w.wait("Get", 1, func(ctx context.Context) (n int, err error) {
				dst[0], err = w.q.Get(ctx)
				return one(err)
			}, lost)
		default:
			room = 1
			if kind > 8 && w.plain != nil {
				room = 2 + w.random.IntN(len(dst)-1)
			}
			n, err = w.tryGet(dst[:room])
		}
		if err == queue.ErrShutdown {
			return
		}
		if n == 0 {
			continue
		}
		w.get(dst[:n])
		w.check(inOrder(w.order, dst[:n]))
		w.processAndMark(dst[:n])
	}
}

// processAndMark is what a worker does with the items that it received.
func (w *worker) processAndMark(items []item) {
	defer w.markDone(items) // though compare ends the goroutine in Requeue
	if w.random.IntN(200) == 0 {
		w.hold()
	}
	w.requeue()
}

func (w *worker) markDone(items []item) {
	w.release(items)
	n := len(items)
	_, err := w.call("TaskDoneN", n, func() (int, error) {
		switch {
		case w.keyed != nil:
			return n, w.keyed.TaskDoneOf(items[0])
		case n == 1:
			return n, w.plain.TaskDone()
		default:
			return n, w.plain.TaskDoneN(n)
		}
	}, func(int, error) {})
	if err != nil {
		w.fail("%d items that were received can't be marked done: %v", n, err)
	}
	w.done.Add(uint64(n))
}

// rangeOverTasks works in loops over Tasks, which end in all the ways that they
// can, until the queue is shut down and empty.
func (w *worker) rangeOverTasks() {
	w.loop("Tasks", 1, func(ctx context.Context, body func(items []item) bool) {
		for it := range w.q.Tasks(ctx) {
			if !body([]item{it}) {
				break
			}
		}
	})
}

// lingers are how long loops over Batches linger.
var lingers = []time.Duration{-1, 0, 0, 20 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond}

// rangeOverBatches does the same in loops over Batches.
func (w *worker) rangeOverBatches() {
	size, linger := 1+w.random.IntN(8), lingers[w.random.IntN(len(lingers))]
	if w.random.IntN(20) == 0 {
		size = 1 << 40
	}
	w.loop("Batches", size, func(ctx context.Context, body func(items []item) bool) {
		for items := range w.plain.Batches(ctx, size, linger) {
			if n := len(items); n < 1 || n > size {
				w.fail("Batches yielded a batch of %d items, of size %d", n, size)
			}
			w.totals.batches.Add(1)
			kept := slices.Clone(items)
			more := body(items)
			if !slices.Equal(kept, items) {
				w.fail("the batch %+v changed while its body ran: %+v", kept, items)
			}
			if !more {
				break
			}
		}
	})
}

// loop works in loops until the queue is shut down and empty. A turn takes up to
// size items.
func (w *worker) loop(name string, size int, each func(ctx context.Context, body func(items []item) bool)) {
	for !w.quit.Load() && w.failed.Load() == nil {
		ctx, cancel := w.context()
		before := ctx.Err()
		w.inBody = false
		broke := false
		_, err := w.call(name, size, func() (n int, err error) {
			ctx.armed = true
			each(ctx, func(items []item) bool {
				w.inBody = true
				n += len(items)
				if before != nil && ctx.breach != lies {
					w.fail("%s yielded %+v, though its context had ended before: %v", name, items, before)
				}
				w.get(items)
				defer w.release(items)
				w.done.Add(uint64(len(items))) // in whichever way the body ends
				w.requeue()
				switch w.random.IntN(400) {
				case 0:
					panic(errWork)
				case 1:
					runtime.Goexit()
				case 2:
					w.hold()
				case 3, 4:
					broke = true
				}
				broke = broke || w.quit.Load()
				w.inBody = broke
				return !broke
			})
			if broke {
				return n, nil
			}
			return n, ctx.ending()
		}, func(_ int, err error) {
			cancel()
			ctx.armed = false
			if err == errExited && !w.inBody {
				w.mayBeLost.Add(min(uint64(size), ledgerSize))
			}
		})
		if err == nil && !broke {
			w.checkEnding(name)
			return
		}
	}
}

// receive takes items when Ready has a signal, until the queue is shut down and
// empty.
func (w *worker) receive() {
	dst := make([]item, 4)
	for !w.quit.Load() && w.failed.Load() == nil {
		closed, signal := false, false
		_, _ = w.call("Ready", 0, func() (int, error) {
			ready := w.q.Ready()
			if w.random.IntN(2) == 0 {
				w.onReady.Add(1)
				defer w.onReady.Add(-1)
				_, signal = <-ready
				closed = !signal
				return 0, nil
			}
			select {
			case _, signal = <-ready:
				closed = !signal
			case <-time.After(time.Duration(w.random.IntN(200)) * time.Microsecond):
			case <-w.broken:
			}
			return 0, nil
		}, func(int, error) {})
		if closed {
			w.checkEnding("Ready")
			if w.order == "serial" { // whose TryGet does not tell whether more will come
				w.consume()
				return
			}
		}
		if !signal && !closed {
			continue
		}
		w.totals.signals.Add(1)
		room := 1
		if w.plain != nil && w.random.IntN(2) == 0 {
			room = 2 + w.random.IntN(len(dst)-1)
		}
		n, err := w.tryGet(dst[:room])
		switch {
		case err == queue.ErrShutdown:
			return
		case err == queue.ErrEmpty && closed:
			w.fail("Ready's channel is closed, but the queue is not shut down")
		}
		if n > 0 {
			w.get(dst[:n])
			w.check(inOrder(w.order, dst[:n]))
			w.processAndMark(dst[:n])
		}
	}
}

// join joins until the round is over.
func (w *worker) join() {
	for !w.over.Load() && w.failed.Load() == nil {
		_, err := w.wait("Join", 0, func(ctx context.Context) (int, error) { return 0, w.q.Join(ctx) }, func(int, error) {})
		if err == nil {
			w.totals.joins.Add(1)
		}
		w.pause(200)
	}
}

// resize changes the capacity until the round is over.
func (w *worker) resize() {
	for !w.over.Load() && w.failed.Load() == nil {
		capacity := w.random.IntN(10) - 1
		if w.random.IntN(3) == 0 {
			capacity = w.capacity
		}
		_, _ = w.call("Resize", capacity, func() (int, error) {
			w.plain.Resize(capacity)
			return 0, nil
		}, func(int, error) {})
		w.totals.resizes.Add(1)
		w.pause(500)
	}
}

// cancelOthers ends other workers' contexts until the round is over.
func (w *worker) cancelOthers() {
	for !w.over.Load() && w.failed.Load() == nil {
		if w.random.IntN(20) == 0 {
			w.cancelAll()
		} else {
			w.workers[w.random.IntN(len(w.workers))].cancelCall()
		}
		w.pause(50)
	}
}

func (w *worker) cancelCall() {
	if cancel := w.cancel.Swap(nil); cancel != nil {
		(*cancel)()
	}
}

func (r *round) cancelAll() {
	for _, w := range r.workers {
		w.cancelCall()
	}
}

// lightFuses has compare fail now and then.
func (w *worker) lightFuses() {
	for w.fails.Load() && w.failed.Load() == nil {
		w.fuse.Store(int64(1 + w.random.IntN(50)))
		w.pause(2000)
	}
}

// shutdown shuts the queue down, again if compare fails meanwhile. It lets compare
// fail a few times only: a long drain, undone each time, would never get through.
func (w *worker) shutdown(immediate bool) {
	arg := 0
	if immediate {
		arg = 1
		w.draining.Store(true)
	}
	for tries := 1; w.failed.Load() == nil; tries++ {
		if tries > 3 {
			w.fails.Store(false)
		}
		var drained []item
		_, err := w.call("Shutdown", arg, func() (int, error) {
			drained = w.q.Shutdown(immediate)
			return len(drained), nil
		}, func(int, error) {})
		if err == nil {
			w.isShutDown.Store(true)
			if immediate {
				w.isDrained.Store(true)
			}
			if !immediate && len(drained) > 0 {
				w.fail("a graceful shutdown returned %d items", len(drained))
			}
			w.leaveTogether(drained)
			w.drained.Add(uint64(len(drained)))
			w.dropped.Add(uint64(len(drained)))
			w.totals.drained.Add(uint64(len(drained)))
			return
		}
	}
}

// drainAlone gets what a shut down queue still holds: the whole of it has to be
// in order.
func (w *worker) drainAlone() {
	var all []item
	for w.failed.Load() == nil {
		var first item
		if w.plain != nil {
			first, _ = w.plain.Peek()
		}
		it, err := w.q.Get(context.Background())
		if err == queue.ErrShutdown {
			break
		}
		if err != nil {
			w.fail("Get returned %v", err)
		}
		if w.plain != nil && first != it {
			w.fail("Peek returned %+v, and Get then %+v", first, it)
		}
		w.get([]item{it})
		w.markDone([]item{it})
		all = append(all, it)
	}
	w.check(inOrder(w.order, all))
	if w.keyed != nil {
		w.check(inTurns(w.order, all))
	}
}

// monitor looks at the queue until the round is over.
func (w *worker) monitor() {
	var before queue.Stats
	for !w.over.Load() && w.failed.Load() == nil {
		s := w.q.Stats()
		w.checkStats(s, before)
		before = s
		if w.plain != nil {
			w.look()
		}
		if n := w.q.Len(); n < 0 {
			w.fail("Len is %d", n)
		}
		_ = w.q.String()
		w.totals.calls.Add(4)
		w.pause(100)
	}
}

// look looks at what only a plain queue has.
func (w *worker) look() {
	switch it, err := w.plain.Peek(); err {
	case nil:
		w.peek(it)
	case queue.ErrEmpty:
	case queue.ErrShutdown:
		w.checkEnding("Peek")
	default:
		w.fail("Peek returned %v", err)
	}
	if !w.resizes && w.plain.Cap() != w.capacity {
		w.fail("Cap is %d", w.plain.Cap())
	}
}

// peek checks an item that was at the head of the queue.
func (w *worker) peek(it item) {
	w.check(w.peeked(it))
	if w.order != "fifo" {
		return
	}
	if w.last == nil {
		w.last = map[stream]uint32{}
	}
	of := streamOf(w.order, it)
	if w.last[of] > it.seq {
		w.fail("item %+v was at the head of the queue after the producer's item %d", it, w.last[of])
	}
	w.last[of] = it.seq
}

// checkStats checks what holds of the figures at any moment.
func (w *worker) checkStats(s, before queue.Stats) {
	capacity, full, longest := w.capacity, s.Cap, w.capacity
	if w.keyed != nil {
		capacity, full, longest = 0, w.capacity, keys*w.capacity
	}
	if w.order == "latest" {
		longest = keys
	}
	canTake := s.Len > 0 && w.order != "serial" // where all that is queued may be behind items in hand
	for _, c := range []struct {
		holds bool
		what  string
	}{
		{s.Put == s.Got+s.Dropped+uint64(s.Len), "Put == Got + Dropped + Len"},
		{uint64(s.Unfinished) == s.Put-s.Done-s.Dropped, "Unfinished == Put - Done - Dropped"},
		{s.Drained <= s.Dropped, "Drained <= Dropped"},
		{0 <= s.Len && s.Len <= s.MaxLen && s.Cap >= 0, "0 <= Len <= MaxLen, 0 <= Cap"},
		{w.resizes || s.Cap == capacity && (longest == 0 || s.MaxLen <= longest+int(w.requeues.Load())), "MaxLen <= the capacity, over all keys, but for requeued items"},
		{s.PutWaiting == 0 || full > 0 && s.Len >= full && !s.Shutdown, "PutWaiting > 0 only if full and not shut down"},
		{s.GetWaiting == 0 || !canTake && (s.Len > 0 || !s.Shutdown), "GetWaiting > 0 only if there is nothing to take, and there will be"},
		{s.PutWaiting >= 0 && s.GetWaiting >= 0 && s.PutWaiting+s.GetWaiting <= len(w.workers), "no more are blocked than there are"},
		{s.Put >= before.Put && s.Got >= before.Got && s.Done >= before.Done && s.Dropped >= before.Dropped &&
			s.Drained >= before.Drained && s.Rejected >= before.Rejected && s.PutBlocked >= before.PutBlocked && s.GetBlocked >= before.GetBlocked &&
			s.MaxLen >= before.MaxLen, "what is counted never falls"},
		{s.Shutdown || !before.Shutdown, "a shutdown is not undone"},
		{!s.Shutdown || w.ending.Load(), "Shutdown only after a shutdown"},
	} {
		if !c.holds {
			w.fail("this does not hold: %s\n%+v\nbefore: %+v", c.what, s, before)
		}
	}
}
