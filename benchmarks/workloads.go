package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/boundq/queue"
)

// A kind of context to wait with: one that never ends, or one that can be
// cancelled and is not.
type kind string

const (
	background kind = "background"
	cancel     kind = "cancel"
)

func (k kind) context() (context.Context, context.CancelFunc) {
	if k == background {
		return context.Background(), func() {}
	}
	return context.WithCancel(context.Background())
}

// constructor returns how p is made for a context of this kind; nil if it can't
// be.
func (k kind) constructor(p peer) func(capacity int) transport {
	if k == background {
		return p.plain
	}
	return p.cancellable
}

// perItem is the metric of all cells that move as many items as they can.
var perItem = []string{"ns an item"}

// sizes says how much waits in the cells in which much does.
type sizes struct {
	priority            []int
	lifo, memory, pause int
}

var fullSizes = sizes{
	priority: []int{1_000, 100_000, 1_000_000},
	lifo:     1_000,
	memory:   1_000_000,
	pause:    10_000_000,
}

// cells returns all that is measured, in the order in which it is reported.
func cells(n sizes) []cell {
	var all []cell
	for _, k := range []kind{background, cancel} {
		all = append(all, solo(k))
	}
	all = append(all, try())
	for _, shape := range [][2]int{{1, 1}, {4, 4}, {8, 1}, {1, 8}, {64, 64}} {
		for _, capacity := range []int{1, 128, 8192, 0} {
			for _, k := range []kind{background, cancel} {
				all = append(all, pipeline(shape[0], shape[1], capacity, k))
			}
		}
	}
	for _, shape := range [][2]int{{1, 1}, {4, 4}} {
		all = append(all, join(shape[0], shape[1]))
	}
	for _, workers := range []int{1, 4} {
		all = append(all, tasks(workers))
	}
	for _, size := range []int{8, 64, 512} {
		for _, k := range []kind{background, cancel} {
			all = append(all, batches(size, k))
		}
	}
	for _, waiting := range n.priority {
		for _, rising := range []bool{false, true} {
			all = append(all, priority(waiting, rising))
		}
	}
	for _, waiting := range n.priority {
		all = append(all, sorting(waiting))
	}
	for _, waiting := range n.priority[:2] {
		all = append(all, dropLast(waiting))
	}
	for _, capacity := range []int{1, 128, 8192} {
		for _, procs := range []int{1, 2, 4, 8} {
			all = append(all, scale(capacity, procs))
		}
	}
	all = append(all, lifo(n.lifo))
	for _, capacity := range []int{128, 8192} {
		all = append(all, dropping(capacity))
	}
	for _, k := range []kind{background, cancel} {
		all = append(all, latency(k))
	}
	for _, ordered := range []bool{false, true} {
		all = append(all, memory(n.memory, ordered))
	}
	return append(all, pause(n.pause))
}

// each turns a run into a side's prepare, for what starts anew in each round.
func each(run func(items int) (sample, error)) func() (trial, error) {
	return func() (trial, error) { return trial{run: run}, nil }
}

// over opens a transport, runs body over it, and closes it.
func over[T transport](open func() T, body func(t T) (sample, error)) (sample, error) {
	t := open()
	defer shut(t)
	return body(t)
}

// shut ends the goroutines of a transport that runs some.
func shut(t any) {
	if c, ok := t.(closer); ok {
		c.close()
	}
}

// offers reports whether what a peer is made as has the methods of M.
func offers[M any](open func(capacity int) transport, capacity int) bool {
	t := open(capacity)
	defer shut(t)
	_, ok := t.(M)
	return ok
}

// A fit says with which capacity a peer takes part in a cell, if it does.
type fit func(p peer) (capacity int, ok bool)

// exactly is for cells in which the bound is what matters.
func exactly(capacity int) fit {
	return func(p peer) (int, bool) { return capacity, p.holds(capacity) }
}

// fills is how many times its capacity a bounded queue moves in a round at least,
// so that filling and draining it once is little beside the steady state.
const fills = 4

// about is for cells in which it does not: who knows no bound has none.
func about(capacity int) fit {
	return func(p peer) (int, bool) {
		if p.minCapacity == 0 {
			return queue.Unbounded, true
		}
		return capacity, true
	}
}

// sides returns a side for each peer that can wait with a context of this kind
// and fits.
func (k kind) sides(fit fit, run func(ctx context.Context, t transport, items int) (sample, error)) (sides []side) {
	for _, p := range peers {
		open := k.constructor(p)
		capacity, ok := fit(p)
		if open == nil || !ok {
			continue
		}
		sides = append(sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			ctx, stop := k.context()
			defer stop()
			t := open(capacity)
			defer shut(t)
			return run(ctx, t, items)
		})})
	}
	return sides
}

// solo puts and gets on one goroutine: what an uncontended item costs.
func solo(k kind) cell {
	return cell{name: fmt.Sprintf("solo/ctx=%s", k), metrics: perItem, sides: k.sides(about(128), putAndGet)}
}

func putAndGet(ctx context.Context, t transport, items int) (s sample, err error) {
	sum := 0
	s = timed(items, func() {
		for i := range items {
			if err = t.put(ctx, i); err != nil {
				return
			}
			var item int
			if item, err = t.get(ctx); err != nil {
				return
			}
			sum += item
		}
	})
	if err != nil {
		return s, err
	}
	return s, account(sum, sumBelow(items))
}

// try is solo without waiting.
func try() cell {
	c := cell{name: "try", metrics: perItem}
	for _, p := range peers {
		capacity, _ := about(128)(p)
		if p.plain == nil || !offers[trier](p.plain, capacity) {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			t := p.plain(capacity).(trier)
			sum := 0
			s := timed(items, func() {
				for i := range items {
					if !t.tryPut(i) {
						return
					}
					item, ok := t.tryGet()
					if !ok {
						return
					}
					sum += item
				}
			})
			return s, account(sum, sumBelow(items))
		})})
	}
	return c
}

func account(got, want int) error {
	if got != want {
		return fmt.Errorf("items were lost or doubled: %d for %d", got, want)
	}
	return nil
}

// sumBelow returns the sum of the numbers below n.
func sumBelow(n int) int { return n * (n - 1) / 2 }

// split calls work in k goroutines, each with its part of the numbers below n.
// They wait for start before they begin; split returns when all are ready to.
func split(wg *sync.WaitGroup, start <-chan struct{}, k, n int, work func(from, to int) error, fail func(error)) {
	var ready sync.WaitGroup
	ready.Add(k)
	for i := range k {
		wg.Go(func() {
			ready.Done()
			<-start
			if err := work(n*i/k, n*(i+1)/k); err != nil {
				fail(err)
			}
		})
	}
	ready.Wait()
}

// race runs producers and consumers that move the numbers below items. Behind a
// barrier they all start at once, so that no side is parked before the other
// begins. It checks that what came out is what went in.
func race(producers, consumers, items int, produce func(from, to int) error, consume func(n int, sum *int) error) (sample, error) {
	var wg sync.WaitGroup
	var fault atomic.Pointer[error]
	var total atomic.Int64
	fail := func(err error) { fault.CompareAndSwap(nil, &err) }
	start := make(chan struct{})
	split(&wg, start, producers, items, produce, fail)
	split(&wg, start, consumers, items, func(from, to int) error {
		sum := 0
		err := consume(to-from, &sum)
		total.Add(int64(sum))
		return err
	}, fail)
	s := timed(items, func() {
		close(start)
		wg.Wait()
	})
	if err := fault.Load(); err != nil {
		return s, *err
	}
	return s, account(int(total.Load()), sumBelow(items))
}

// pipeline has producers put and consumers get, all at once.
func pipeline(producers, consumers, capacity int, k kind) cell {
	c := cell{name: fmt.Sprintf("pipeline/shape=%d:%d/%s/ctx=%s", producers, consumers, bound(capacity), k), metrics: perItem, least: fills * capacity}
	if capacity > 0 && k == background && producers == consumers && producers <= 4 {
		c.python = &request{Workload: "pipeline", Workers: producers, Capacity: capacity}
	}
	c.sides = k.sides(exactly(capacity), func(ctx context.Context, t transport, items int) (sample, error) {
		return race(producers, consumers, items, putting(ctx, t), getting(ctx, t))
	})
	return c
}

func bound(capacity int) string {
	if capacity == 0 {
		return "cap=none"
	}
	return fmt.Sprintf("cap=%d", capacity)
}

func putting(ctx context.Context, t transport) func(from, to int) error {
	return func(from, to int) error {
		for i := from; i < to; i++ {
			if err := t.put(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
}

func getting(ctx context.Context, t transport) func(n int, sum *int) error {
	return func(n int, sum *int) error {
		for range n {
			item, err := t.get(ctx)
			if err != nil {
				return err
			}
			*sum += item
		}
		return nil
	}
}

// trackers is the sides of the cells that track what is unfinished.
func trackers(run func(ctx context.Context, t tracker, items int) (sample, error)) (sides []side) {
	for _, p := range peers {
		if p.tracking == nil {
			continue
		}
		sides = append(sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			ctx, stop := cancel.context()
			defer stop()
			return run(ctx, p.tracking(128), items)
		})})
	}
	return sides
}

// join is a pipeline whose consumers mark each item done; at the end all are
// waited for.
func join(producers, consumers int) cell {
	return cell{
		name:    fmt.Sprintf("join/shape=%d:%d/cap=128/ctx=cancel", producers, consumers),
		metrics: perItem,
		sides: trackers(func(ctx context.Context, t tracker, items int) (sample, error) {
			s, err := race(producers, consumers, items, putting(ctx, t), func(n int, sum *int) error {
				for range n {
					item, err := t.get(ctx)
					if err != nil {
						return err
					}
					*sum += item
					t.taskDone()
				}
				return nil
			})
			if err != nil {
				return s, err
			}
			return s, t.join(ctx)
		}),
	}
}

// tasks has workers loop over the items, which marks them done, and one producer
// that waits until all are.
func tasks(workers int) cell {
	return cell{
		name:    fmt.Sprintf("tasks/shape=1:%d/cap=128/ctx=cancel", workers),
		metrics: perItem,
		sides: trackers(func(ctx context.Context, t tracker, items int) (sample, error) {
			produce := func(from, to int) error {
				if err := putting(ctx, t)(from, to); err != nil {
					return err
				}
				if err := t.join(ctx); err != nil {
					return err
				}
				t.close()
				return nil
			}
			return race(1, workers, items, produce, func(_ int, sum *int) error {
				t.tasks(ctx, func(item int) { *sum += item })
				return nil
			})
		}),
	}
}

// batches moves so many items in a call, from one goroutine to one. A channel
// has no batches: it moves the items one by one.
func batches(size int, k kind) cell {
	const capacity = 8192
	fits := func(p peer) (int, bool) {
		open := k.constructor(p)
		n, _ := about(capacity)(p)
		return n, open != nil && (p.module == "" || offers[batcher](open, n))
	}
	return cell{
		name:    fmt.Sprintf("batch/size=%d/cap=%d/ctx=%s", size, capacity, k),
		metrics: perItem,
		least:   fills * capacity,
		sides: k.sides(fits, func(ctx context.Context, t transport, items int) (sample, error) {
			b, ok := t.(batcher)
			if !ok {
				b = oneByOne{t}
			}
			produce := func(from, to int) error {
				batch := make([]int, size)
				for i := from; i < to; i += size {
					part := batch[:min(size, to-i)]
					for j := range part {
						part[j] = i + j
					}
					if err := b.putBatch(ctx, part); err != nil {
						return err
					}
				}
				return nil
			}
			return race(1, 1, items, produce, func(n int, sum *int) error {
				dst := make([]int, size)
				for n > 0 {
					got, err := b.getBatch(ctx, dst[:min(size, n)])
					if err != nil {
						return err
					}
					for _, item := range dst[:got] {
						*sum += item
					}
					n -= got
				}
				return nil
			})
		}),
	}
}

// oneByOne is how a batch goes through what knows none.
type oneByOne struct{ transport }

func (o oneByOne) putBatch(ctx context.Context, items []int) error {
	for _, item := range items {
		if err := o.put(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func (o oneByOne) getBatch(ctx context.Context, dst []int) (n int, err error) {
	dst[0], err = o.get(ctx)
	return 1, err
}

// keyMask wraps the index into a table of random numbers. It is a table, so that
// making them costs no side anything.
const keyMask = 1<<16 - 1

var random = func() []int {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := make([]int, keyMask+1)
	for i := range numbers {
		numbers[i] = r.IntN(1 << 30)
	}
	return numbers
}()

// priority gets and puts beside so many items that wait. Random keys are those
// of a simulation: the key that was gotten and a random step beyond. (Keys
// drawn anew each time would soon all be lower than those that wait.) Rising
// keys are those of a clock: each is higher than all before.
func priority(waiting int, rising bool) cell {
	keys := "random"
	if rising {
		keys = "rising"
	}
	c := cell{name: fmt.Sprintf("priority/waiting=%d/keys=%s", waiting, keys), metrics: perItem}
	c.python = &request{Workload: "priority", Waiting: waiting, Rising: rising}
	for _, p := range peers {
		if p.priority == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: func() (trial, error) {
			ctx := context.Background()
			t := p.priority()
			next, last := 0, 0
			for next < waiting {
				key := next
				if !rising {
					key = random[next&keyMask] + next
				}
				if err := t.put(ctx, key); err != nil {
					return trial{}, err
				}
				next++
			}
			return trial{run: func(items int) (s sample, err error) {
				ordered := true
				s = timed(items, func() {
					for range items {
						var key int
						if key, err = t.get(ctx); err != nil {
							return
						}
						ordered = ordered && last <= key
						last = key
						key += random[next&keyMask]
						if rising {
							key = next
						}
						if err = t.put(ctx, key); err != nil {
							return
						}
						next++
					}
				})
				return s, cmp.Or(err, inOrder(ordered))
			}}, nil
		}})
	}
	return c
}

func inOrder(ordered bool) error {
	if !ordered {
		return errors.New("items came out of order")
	}
	return nil
}

// sorting puts so many random keys and then gets them all, again and again.
func sorting(n int) cell {
	c := cell{name: fmt.Sprintf("priority/burst=%d/keys=random", n), metrics: perItem, least: n}
	for _, p := range peers {
		if p.priority == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: each(func(items int) (s sample, err error) {
			ctx := context.Background()
			t := p.priority()
			sum, ordered := 0, true
			burst := func(n int) {
				for i := range n {
					key := random[i&keyMask] ^ i
					sum += key
					if err = t.put(ctx, key); err != nil {
						return
					}
				}
				last := 0
				for range n {
					var item int
					if item, err = t.get(ctx); err != nil {
						return
					}
					sum -= item
					ordered = ordered && last <= item
					last = item
				}
			}
			s = timed(items, func() {
				for left := items; left > 0 && err == nil; left -= n {
					burst(min(left, n))
				}
			})
			return s, cmp.Or(err, inOrder(ordered), account(sum, 0))
		})})
	}
	return c
}

// The ways in which the queue does the same work otherwise. They stand where a
// peer does in the cells that compare the queue with itself.
const (
	getAndPut = "TryGet+TryPut"
	fourAside = "queue, 4:4"
)

// dropLast puts into a full priority queue, which drops for it the item that
// would leave last. It stands beside a get and a put of the same queue: a binary
// heap, as the peers are, finds its last item only among all its leaves. As in
// priority, each new key is a random step from the one that left; here below it.
func dropLast(waiting int) cell {
	c := cell{name: fmt.Sprintf("drop-last/waiting=%d/keys=random", waiting), metrics: perItem}
	full := func(name string, last int, replace func(q *queue.Queue[int], last, step int) int, ordered func(last, left int) bool) {
		c.sides = append(c.sides, side{peer: name, prepare: func() (trial, error) {
			q := queue.NewPriority(waiting, cmp.Compare[int])
			for i := range waiting {
				if err := q.TryPut(random[i&keyMask] + i); err != nil {
					return trial{}, err
				}
			}
			next := waiting
			return trial{run: func(items int) (sample, error) {
				inTurn := true
				s := timed(items, func() {
					for range items {
						left := replace(q, last, random[next&keyMask])
						inTurn = inTurn && ordered(last, left)
						last = left
						next++
					}
				})
				return s, cmp.Or(inOrder(inTurn), account(q.Len(), waiting))
			}}, nil
		}})
	}
	full(subject, 1<<30+waiting, func(q *queue.Queue[int], last, step int) int {
		evicted, _, _ := q.ForcePut(last - step)
		return evicted
	}, func(last, left int) bool { return left <= last })
	full(getAndPut, 0, func(q *queue.Queue[int], _, step int) int {
		first, _ := q.TryGet()
		_ = q.TryPut(first + step)
		return first
	}, func(last, left int) bool { return last <= left })
	return c
}

// scale has 64 goroutines a side at the queue, and beside it 4, with so many
// processors to run them.
func scale(capacity, procs int) cell {
	c := cell{name: fmt.Sprintf("scale/cap=%d/procs=%d", capacity, procs), metrics: perItem, least: fills * capacity}
	crowd := func(name string, n int) {
		c.sides = append(c.sides, side{peer: name, prepare: each(func(items int) (sample, error) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			ctx, t := context.Background(), peers[0].plain(capacity)
			return race(n, n, items, putting(ctx, t), getting(ctx, t))
		})})
	}
	crowd(subject, 64)
	crowd(fourAside, 4)
	return c
}

// lifo puts and gets on top of so many items that wait.
func lifo(waiting int) cell {
	c := cell{name: fmt.Sprintf("lifo/waiting=%d", waiting), metrics: perItem}
	for _, p := range peers {
		if p.lifo == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			ctx := context.Background()
			t := p.lifo()
			for i := range waiting {
				if err := t.put(ctx, i); err != nil {
					return sample{}, err
				}
			}
			return putAndGet(ctx, t, items)
		})})
	}
	return c
}

// dropping puts into a full queue, which drops its oldest item for it.
func dropping(capacity int) cell {
	c := cell{name: fmt.Sprintf("drop-oldest/cap=%d", capacity), metrics: perItem, least: fills * capacity}
	for _, p := range peers {
		if p.dropping == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			return over(func() dropper { return p.dropping(capacity) }, func(d dropper) (sample, error) {
				for i := range capacity {
					d.forcePut(i - capacity)
				}
				s := timed(items, func() {
					for i := range items {
						d.forcePut(i)
					}
				})
				ordered := true
				for i := range capacity {
					item, err := d.get(context.Background())
					if err != nil {
						return s, err
					}
					ordered = ordered && item == items-capacity+i
				}
				return s, inOrder(ordered)
			})
		})})
	}
	return c
}

// settle is how long a consumer is left parked before the next item is put for
// it: long enough for its processor to go idle too.
const settle = 20 * time.Microsecond

// latency has one goroutine parked in a get, and measures from the beginning of
// the put to the return of that get.
func latency(k kind) cell {
	return cell{
		name:    fmt.Sprintf("latency/ctx=%s", k),
		metrics: []string{"ns p50", "ns p99", "ns p99.9"},
		items:   2_000,
		sides:   k.sides(about(128), hops),
	}
}

func hops(ctx context.Context, t transport, items int) (sample, error) {
	var asked atomic.Int64 // how many gets have begun
	sent := make([]time.Time, items)
	took := hdrhistogram.New(1, int64(time.Minute), 3)
	produce := func(_, _ int) error {
		for i := range items {
			for asked.Load() <= int64(i) {
				runtime.Gosched()
			}
			for parked := time.Now(); time.Since(parked) < settle; {
			}
			sent[i] = time.Now()
			if err := t.put(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := race(1, 1, items, produce, func(n int, sum *int) error {
		for range n {
			asked.Add(1)
			item, err := t.get(ctx)
			if err != nil {
				return err
			}
			if err := took.RecordValue(time.Since(sent[item]).Nanoseconds()); err != nil {
				return err
			}
			*sum += item
		}
		return nil
	})
	s.values = nil
	for _, percentile := range []float64{50, 99, 99.9} {
		s.values = append(s.values, float64(took.ValueAtQuantile(percentile)))
	}
	return s, err
}

// memory fills a queue and sees how much the heap has grown after a collection.
// One round is enough: it comes out the same each time.
func memory(items int, ordered bool) cell {
	order := "fifo"
	if ordered {
		order = "priority"
	}
	c := cell{
		name:    fmt.Sprintf("memory/order=%s/waiting=%d", order, items),
		metrics: []string{"B an item"},
		items:   items,
		rounds:  1,
	}
	for _, p := range peers {
		open := func() transport { return p.priority() }
		switch {
		case ordered && p.priority == nil || !ordered && p.plain == nil:
			continue
		case !ordered && p.unbounded:
			open = func() transport { return p.plain(queue.Unbounded) }
		case !ordered:
			open = func() transport { return p.plain(items) }
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			before := heapInUse()
			return over(open, func(t transport) (s sample, err error) {
				s = timed(items, func() {
					for i := range items {
						key := i // none twice, for the workqueue's sake
						if ordered {
							key ^= random[i&keyMask]
						}
						if err = t.put(context.Background(), key); err != nil {
							return
						}
					}
				})
				s.values = []float64{float64(heapInUse()-before) / float64(items)}
				runtime.KeepAlive(t)
				return s, err
			})
		})})
	}
	return c
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// pause puts so many items into a queue without a bound and measures the longest
// single put. slice+Cond is a slice that grows by append.
func pause(items int) cell {
	c := cell{
		name:    fmt.Sprintf("pause/waiting=%d", items),
		metrics: []string{"ms at worst"},
		items:   items,
		rounds:  3,
	}
	for _, p := range peers {
		if p.plain == nil || !p.unbounded || !offers[trier](p.plain, queue.Unbounded) {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: each(func(items int) (sample, error) {
			t := p.plain(queue.Unbounded).(trier)
			var worst time.Duration
			moved := 0
			s := timed(items, func() {
				start := time.Now()
				var last time.Duration
				for i := range items {
					if !t.tryPut(i) {
						return
					}
					now := time.Since(start)
					worst = max(worst, now-last)
					last = now
					moved++
				}
			})
			s.values = []float64{float64(worst.Nanoseconds()) / 1e6}
			return s, account(moved, items)
		})})
	}
	return c
}
