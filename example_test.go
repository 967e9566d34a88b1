package queue_test

import (
	"cmp"
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
)

// A pool of workers, and a producer that waits until all work is done.
func Example() {
	ctx := context.Background()
	q := queue.New[int](10) // holds at most 10 items; then Put blocks

	var sum atomic.Int64
	for range 4 {
		go func() {
			for n := range q.Tasks(ctx) { // gets an item, and marks it done after the body
				sum.Add(int64(n * n))
			}
		}()
	}

	for n := range 100 {
		if err := q.Put(ctx, n); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := q.Join(ctx); err != nil { // every item is done, not just received
		fmt.Println(err)
		return
	}
	q.Shutdown(false) // the workers' loops end

	fmt.Println(sum.Load())
	// Output: 328350
}

// The most urgent job leaves first; among equally urgent jobs, the oldest.
func ExampleNewPriority() {
	type job struct {
		urgency int
		name    string
	}
	q := queue.NewPriority(queue.Unbounded, func(a, b job) int {
		return cmp.Compare(b.urgency, a.urgency)
	})
	for _, j := range []job{{1, "tidy up"}, {3, "fire"}, {2, "mail"}, {3, "flood"}} {
		_ = q.TryPut(j)
	}
	q.Shutdown(false)
	for j := range q.Tasks(context.Background()) {
		fmt.Println(j.urgency, j.name)
	}
	// Output:
	// 3 fire
	// 3 flood
	// 2 mail
	// 1 tidy up
}

// A depth-first crawler: the page found last is read next.
func ExampleNewLIFO() {
	links := map[string][]string{
		"/":      {"/about", "/blog"},
		"/blog":  {"/blog/1", "/blog/2"},
		"/about": nil,
	}
	q := queue.NewLIFO[string](queue.Unbounded)
	_ = q.TryPut("/")
	for {
		page, err := q.TryGet()
		if err != nil {
			break
		}
		fmt.Println(page)
		for _, link := range links[page] {
			_ = q.TryPut(link)
		}
	}
	// Output:
	// /
	// /blog
	// /blog/2
	// /blog/1
	// /about
}

// A feed that must not block: if the reader is slow, the oldest prices are
// evicted.
func ExampleQueue_ForcePut() {
	q := queue.New[float64](3)
	for _, price := range []float64{101.0, 101.5, 102.0, 101.8, 101.9} {
		if old, evicted, _ := q.ForcePut(price); evicted {
			fmt.Println("evicted", old)
		}
	}
	q.Shutdown(false)
	for price := range q.Tasks(context.Background()) {
		fmt.Println(price)
	}
	// Output:
	// evicted 101
	// evicted 101.5
	// 102
	// 101.8
	// 101.9
}

// A consumer takes all queued items, up to the size of its slice. To wait a
// limited time for more, use Batches.
func ExampleQueue_GetBatch() {
	ctx := context.Background()
	q := queue.New[string](10)
	_, _ = q.PutBatch(ctx, []string{"a", "b", "c", "d"})

	batch := make([]string, 3)
	for range 2 {
		n, err := q.GetBatch(ctx, batch)
		fmt.Println(batch[:n], err)
		_ = q.TaskDoneN(n)
	}
	// Output:
	// [a b c] <nil>
	// [d] <nil>
}

// Rows are written to a database three at a time, and none is held back for
// more than 200 ms. The last batch is yielded after the loop's context is done,
// so it is written with another context.
func ExampleQueue_Batches() {
	ctx, interrupt := context.WithCancel(context.Background())
	q := queue.New[string](100)

	insert := func(ctx context.Context, rows []string) error {
		if err := ctx.Err(); err != nil {
			return err // as a database would refuse the dead context
		}
		fmt.Println("inserted", rows)
		return nil
	}

	var worker sync.WaitGroup
	worker.Go(func() {
		for rows := range q.Batches(ctx, 3, 200*time.Millisecond) {
			writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			if err := insert(writing, rows); err != nil {
				fmt.Println(err)
			}
			cancel()
		}
	})

	for _, row := range []string{"a", "b", "c", "d"} {
		_ = q.Put(ctx, row)
	}
	_ = q.Join(ctx) // the fourth row is written after its 200 ms
	interrupt()
	worker.Wait()
	// Output:
	// inserted [a b c]
	// inserted [d]
}

// Workers that feed their own queue: with Put, both could block on a full
// queue. Join returns once the whole site has been read.
func ExampleQueue_Requeue() {
	ctx := context.Background()
	links := map[string][]string{
		"/":       {"/docs", "/blog", "/about"},
		"/docs":   {"/docs/1", "/docs/2", "/"},
		"/blog":   {"/blog/1"},
		"/blog/1": {"/about"},
	}
	q := queue.New[string](2)

	var seen sync.Map
	visit := func(page string) {
		if _, again := seen.LoadOrStore(page, true); !again {
			_ = q.Requeue(page) // never blocks; the error means that the crawl was shut down
		}
	}
	visit("/")
	for range 2 {
		go func() {
			for page := range q.Tasks(ctx) {
				for _, link := range links[page] {
					visit(link)
				}
			}
		}()
	}
	_ = q.Join(ctx)
	q.Shutdown(false)
	fmt.Println(q.Stats().Done, "pages")
	// Output: 7 pages
}

// One goroutine receives from a queue, a ticker and a reload signal.
func ExampleQueue_Ready() {
	q := queue.New[string](10)
	reload := make(chan string)
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()

	_, _ = q.PutBatch(context.Background(), []string{"a", "b"})
	go func() {
		_ = q.Join(context.Background())
		reload <- "new settings"
		_ = q.Put(context.Background(), "c")
		q.Shutdown(false)
	}()

	for {
		select {
		case <-q.Ready():
			item, err := q.TryGet()
			if errors.Is(err, queue.ErrShutdown) {
				return
			}
			if err == nil { // ErrEmpty: another call took the item
				fmt.Println("item", item)
				_ = q.TaskDone()
			}
		case settings := <-reload:
			fmt.Println(settings)
		case <-ticker.C:
			fmt.Println(q.Stats())
		}
	}
	// Output:
	// item a
	// item b
	// new settings
	// item c
}

// An interrupt that loses nothing: items that workers gave up on are returned
// together with those that were never started.
func ExampleQueue_Requeue_interrupt() {
	ctx, interrupt := context.WithCancel(context.Background())
	q := queue.New[string](10)
	_, _ = q.PutBatch(ctx, []string{"order 1", "order 2", "order 3"})

	process := func(ctx context.Context, order string) error {
		if order == "order 2" {
			interrupt() // the signal comes in the middle of this one
		}
		return ctx.Err()
	}

	var workers sync.WaitGroup
	workers.Go(func() {
		for order := range q.Tasks(ctx) {
			if err := process(ctx, order); err != nil {
				_ = q.Requeue(order) // before the loop marks it done
			} else {
				fmt.Println("done: ", order)
			}
		}
	})
	workers.Wait() // first, so that nothing is requeued after the Shutdown

	saved := q.Shutdown(true)
	slices.Sort(saved) // a requeued item goes to the back
	fmt.Println("saved:", saved)
	// Output:
	// done:  order 1
	// saved: [order 2 order 3]
}

// A failed item is retried behind the others, three attempts in all.
func ExampleQueue_Requeue_retry() {
	type job struct{ name, tries string }
	q := queue.New[job](10)
	_, _ = q.PutBatch(context.Background(), []job{{"a", ""}, {"flaky", ""}, {"b", ""}})

	go func() {
		for j := range q.Tasks(context.Background()) {
			if j.tries += "."; j.name == "flaky" && len(j.tries) < 3 {
				_ = q.Requeue(j) // Join goes on waiting
				continue
			}
			fmt.Println(j.name, j.tries)
		}
	}()
	_ = q.Join(context.Background())
	q.Shutdown(false)
	// Output:
	// a .
	// b .
	// flaky ...
}

// Two queues that feed each other: pages lead to links, and links to pages. All
// work is counted in one of them, so one Join waits for all of it.
func ExampleQueue_Join_severalQueues() {
	ctx := context.Background()
	pages := queue.New[int](queue.Unbounded)
	links := queue.New[int](queue.Unbounded)
	defer pages.Shutdown(false)
	defer links.Shutdown(false)

	go func() {
		for {
			page, err := pages.Get(ctx)
			if err != nil {
				return
			}
			_ = links.Put(ctx, page) // the page stays unfinished
		}
	}()
	go func() {
		for link := range links.Tasks(ctx) {
			if link < 4 {
				_ = pages.Put(ctx, 2*link) // counts before its origin is done
				_ = pages.Put(ctx, 2*link+1)
			}
			_ = pages.TaskDone()
		}
	}()

	_ = pages.Put(ctx, 1)
	_ = pages.Join(ctx)
	fmt.Println(pages.Stats().Done, "pages")
	// Output: 7 pages
}

// Strict lanes: urgent jobs leave first; within a lane, the oldest.
func ExampleNewPriority_lanes() {
	const urgent, normal = 0, 1
	type job struct {
		lane int
		name string
	}
	q := queue.NewPriority(100, func(a, b job) int { return a.lane - b.lane })
	_, _ = q.PutBatch(context.Background(), []job{{normal, "a"}, {urgent, "b"}, {normal, "c"}, {urgent, "d"}})
	q.Shutdown(false)
	for j := range q.Tasks(context.Background()) {
		fmt.Println(j.name)
	}
	// Output:
	// b
	// d
	// a
	// c
}

// A request is accepted in part; the rest is rejected and remains the caller's.
func ExampleQueue_TryPutBatch() {
	q := queue.New[string](3)
	rows := []string{"a", "b", "c", "d", "e"}
	n, err := q.TryPutBatch(rows)
	fmt.Println("accepted", rows[:n])
	fmt.Println("refused", rows[n:], err)
	// Output:
	// accepted [a b c]
	// refused [d e] queue: full
}

// If its context ends, PutBatch reports how many items it added.
func ExampleQueue_PutBatch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	q := queue.New[int](2)
	items := []int{1, 2, 3, 4}
	n, err := q.PutBatch(ctx, items) // nothing takes items, so it blocks after two
	fmt.Println("added", items[:n])
	fmt.Println("left", items[n:], err)
	// Output:
	// added [1 2]
	// left [3 4] context deadline exceeded
}

// Put blocks until there is room or its context is done.
func ExampleQueue_Put() {
	q := queue.New[string](1)
	fmt.Println(q.Put(context.Background(), "first"))

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(q.Put(ctx, "second"))
	// Output:
	// <nil>
	// context deadline exceeded
}

// Get blocks until there is an item, its context is done, or the queue is shut
// down and empty.
func ExampleQueue_Get() {
	q := queue.New[string](1)
	go func() {
		_ = q.Put(context.Background(), "hello")
		q.Shutdown(false)
	}()
	for {
		item, err := q.Get(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item)
	}
	// Output:
	// hello
	// queue: shut down
}

// Join blocks until every item put has been marked done.
func ExampleQueue_Join() {
	q := queue.New[string](10)
	_ = q.TryPut("order")

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	order, _ := q.Get(context.Background())
	fmt.Println(order, "received:", q.Join(ctx))

	_ = q.TaskDone()
	fmt.Println(order, "done:", q.Join(context.Background()))
	// Output:
	// order received: context deadline exceeded
	// order done: <nil>
}

// The capacity is raised to absorb a burst while the queue is in use.
func ExampleQueue_Resize() {
	q := queue.New[int](1)
	_ = q.TryPut(1)
	fmt.Println(q.TryPut(2))
	q.Resize(2)
	fmt.Println(q.TryPut(2))
	// Output:
	// queue: full
	// <nil>
}

// Several workers range over one queue. A worker may break out of its loop: the
// item in hand is marked done, and the other workers continue.
func ExampleQueue_Tasks() {
	ctx := context.Background()
	q := queue.New[int](queue.Unbounded)
	_, _ = q.PutBatch(ctx, []int{1, 2, 3, 4, 5, 6})
	q.Shutdown(false) // no more items come: the loops end after the last one

	var workers sync.WaitGroup
	var taken atomic.Int64
	for _, limit := range []int{1, 2} {
		workers.Go(func() {
			for range q.Tasks(ctx) {
				taken.Add(1)
				if limit--; limit == 0 {
					return
				}
			}
		})
	}
	workers.Wait()

	s := q.Stats()
	fmt.Println("taken", taken.Load(), "done", s.Done, "left", s.Len)
	// Output: taken 3 done 3 left 3
}

// The producers stop. The consumer receives the remaining items, and then
// ErrShutdown.
func ExampleQueue_Shutdown_graceful() {
	ctx := context.Background()
	q := queue.New[string](10)
	_ = q.Put(ctx, "first")
	_ = q.Put(ctx, "last")

	q.Shutdown(false)
	fmt.Println("put:", q.Put(ctx, "too late"))

	for {
		item, err := q.Get(ctx)
		if errors.Is(err, queue.ErrShutdown) {
			fmt.Println("get:", err)
			break
		}
		fmt.Println("get:", item)
		_ = q.TaskDone()
	}
	fmt.Println("join:", q.Join(ctx))
	// Output:
	// put: queue: shut down
	// get: first
	// get: last
	// get: queue: shut down
	// join: <nil>
}

// The program must exit now: items that were not started are saved for the next
// run.
func ExampleQueue_Shutdown_immediate() {
	ctx := context.Background()
	q := queue.New[string](10)
	_, _ = q.PutBatch(ctx, []string{"order 1", "order 2", "order 3"})

	order, _ := q.Get(ctx)
	saved := q.Shutdown(true)
	_ = q.TaskDone() // of the one that was begun

	fmt.Println("done: ", order)
	fmt.Println("saved:", saved)
	fmt.Println("join: ", q.Join(ctx))
	// Output:
	// done:  order 1
	// saved: [order 2 order 3]
	// join:  <nil>
}

// A monitor reads how full the queue is, and whether producers are blocked.
func ExampleQueue_Stats() {
	q := queue.New[int](4)
	for n := range 5 {
		_ = q.TryPut(n) // the fifth finds it full
	}
	_, _ = q.TryGet()

	s := q.Stats()
	fmt.Printf("%d of %d queued, at most %d so far\n", s.Len, s.Cap, s.MaxLen)
	fmt.Printf("%d put, %d received, %d refused\n", s.Put, s.Got, s.Rejected)
	fmt.Printf("%d unfinished, %d producers blocked\n", s.Unfinished, s.PutWaiting)
	// Output:
	// 3 of 4 queued, at most 4 so far
	// 4 put, 1 received, 1 refused
	// 4 unfinished, 0 producers blocked
}

// Statistics published with expvar, as served at /debug/vars. Each request takes a
// snapshot.
func ExampleStats_expvar() {
	q := queue.New[string](100)
	queues := new(expvar.Map) // in a program, expvar.NewMap("queues"), which publishes it
	queues.Set("trades", expvar.Func(func() any { return q.Stats() }))

	_ = q.TryPut("BTC 90006.62")
	fmt.Println(queues)
	// Output: {"trades": {"len":1,"cap":100,"max_len":1,"unfinished":1,"put_waiting":0,"get_waiting":0,"put":1,"got":0,"done":0,"dropped":0,"drained":0,"rejected":0,"put_blocked":0,"get_blocked":0,"shutdown":false}}
}

// A queue in a structured log: each statistic is an attribute.
func ExampleQueue_LogValue() {
	q := queue.New[string](100)
	_ = q.TryPut("BTC 90006.62")

	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // it would differ each time
			}
			return a
		},
	}))
	log.Warn("slow store", slog.Any("queue", q))
	// Output: level=WARN msg="slow store" queue.len=1 queue.cap=100 queue.max_len=1 queue.unfinished=1 queue.put_waiting=0 queue.get_waiting=0 queue.put=1 queue.got=0 queue.done=0 queue.dropped=0 queue.drained=0 queue.rejected=0 queue.put_blocked=0 queue.get_blocked=0 queue.shutdown=false
}

// The first worker that fails stops the others and the producer; every item is
// accounted for.
func Example_firstErrorStopsAll() {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	q := queue.New[int](2)

	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for n := range q.Tasks(ctx) {
				if n == 7 {
					stop(fmt.Errorf("item %d is bad", n))
					return
				}
			}
		})
	}

	var err error
	for n := 0; err == nil; n++ {
		err = q.Put(ctx, n) // blocks while the workers are busy, until stop
	}
	workers.Wait()

	_ = q.Shutdown(true)
	s := q.Stats()
	fmt.Println(err, "because", context.Cause(ctx))
	fmt.Println("accounted for:", s.Put == s.Done+s.Dropped)
	// Output:
	// context canceled because item 7 is bad
	// accounted for: true
}
