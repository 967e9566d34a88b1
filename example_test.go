package queue_test

import (
	"cmp"
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
)

// A pool of workers, and somebody who waits until all work is done.
func Example() {
	ctx := context.Background()
	q := queue.New[int](10) // at most 10 wait; then Put waits too

	var sum atomic.Int64
	for range 4 {
		go func() {
			for n := range q.Tasks(ctx) { // takes an item, and marks it done after the body
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
	if err := q.Join(ctx); err != nil { // every item is done, not just taken
		fmt.Println(err)
		return
	}
	q.Shutdown(false) // the workers' loops end

	fmt.Println(sum.Load())
	// Output: 328350
}

// The most urgent job leaves first, and of equally urgent ones the oldest.
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
	for !q.Empty() {
		j, _ := q.TryGet()
		fmt.Println(j.urgency, j.name)
	}
	// Output:
	// 3 fire
	// 3 flood
	// 2 mail
	// 1 tidy up
}

// A crawler that goes deep first: what was found last is looked at next.
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

// A feed that must not wait: when the reader is slow, the oldest prices go.
func ExampleQueue_ForcePut() {
	q := queue.New[float64](3)
	for _, price := range []float64{101.0, 101.5, 102.0, 101.8, 101.9} {
		if old, dropped, _ := q.ForcePut(price); dropped {
			fmt.Println("dropped", old)
		}
	}
	for !q.Empty() {
		price, _ := q.TryGet()
		fmt.Println(price)
	}
	// Output:
	// dropped 101
	// dropped 101.5
	// 102
	// 101.8
	// 101.9
}

// Rows are written three at a time, but none waits longer than the deadline
// for others to come.
func ExampleQueue_GetBatch() {
	q := queue.New[string](10)
	_, _ = q.PutBatch(context.Background(), []string{"a", "b", "c", "d"})

	fill := func(batch []string) (n int, err error) {
		n, err = q.GetBatch(context.Background(), batch)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		for n < len(batch) && err == nil {
			var k int
			k, err = q.GetBatch(ctx, batch[n:])
			n += k
		}
		return n, err
	}

	batch := make([]string, 3)
	for range 2 {
		n, err := fill(batch)
		fmt.Println(batch[:n], err)
		_ = q.TaskDoneN(n)
	}
	// Output:
	// [a b c] <nil>
	// [d] context deadline exceeded
}

// Several workers range over one queue. A worker may leave its loop at any
// item; that item is done, and the others go on.
func ExampleQueue_Tasks() {
	ctx := context.Background()
	q := queue.New[int](queue.Unbounded)
	_, _ = q.PutBatch(ctx, []int{1, 2, 3, 4, 5, 6})
	q.Shutdown(false) // nothing more will come: the loops end after the last item

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

// The producers stop, the consumer gets what is there, and then learns that
// nothing more will come.
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

// The program must end now: what nobody has begun is saved for the next start.
func ExampleQueue_Shutdown_immediate() {
	ctx := context.Background()
	q := queue.New[string](10)
	_, _ = q.PutBatch(ctx, []string{"order 1", "order 2", "order 3"})

	order, _ := q.Get(ctx)
	saved := q.Shutdown(true)
	_ = q.TaskDone() // the one that was begun

	fmt.Println("done: ", order)
	fmt.Println("saved:", saved)
	fmt.Println("join: ", q.Join(ctx))
	// Output:
	// done:  order 1
	// saved: [order 2 order 3]
	// join:  <nil>
}

// What a monitor reads off a queue: how full it is, and whether anybody waits.
func ExampleQueue_Stats() {
	q := queue.New[int](4)
	for n := range 5 {
		_ = q.TryPut(n) // the fifth finds it full
	}
	_, _ = q.TryGet()

	s := q.Stats()
	fmt.Printf("%d of %d waiting, at most %d so far\n", s.Len, s.Cap, s.MaxLen)
	fmt.Printf("%d put, %d gotten, %d refused\n", s.Put, s.Got, s.Rejected)
	fmt.Printf("%d unfinished, %d producers parked\n", s.Unfinished, s.PutWaiting)
	// Output:
	// 3 of 4 waiting, at most 4 so far
	// 4 put, 1 gotten, 1 refused
	// 4 unfinished, 0 producers parked
}

// The figures among a program's variables, as /debug/vars serves them. They are
// taken when somebody asks.
func ExampleStats_expvar() {
	q := queue.New[string](100)
	queues := new(expvar.Map) // in a program, expvar.NewMap("queues"), which publishes it
	queues.Set("trades", expvar.Func(func() any { return q.Stats() }))

	_ = q.TryPut("BTC 90006.62")
	fmt.Println(queues)
	// Output: {"trades": {"len":1,"cap":100,"max_len":1,"unfinished":1,"put_waiting":0,"get_waiting":0,"put":1,"got":0,"done":0,"dropped":0,"drained":0,"rejected":0,"put_blocked":0,"get_blocked":0,"shutdown":false}}
}

// A queue in a structured log: its figures, each by its name.
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

// The first worker that fails stops the others and the producer, and nothing
// that waits gets lost unseen.
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
		err = q.Put(ctx, n) // waits while the workers are busy, until stop
	}
	workers.Wait()

	q.Shutdown(true)
	s := q.Stats()
	fmt.Println(err, "because", context.Cause(ctx))
	fmt.Println("accounted for:", s.Put == s.Done+s.Dropped)
	// Output:
	// context canceled because item 7 is bad
	// accounted for: true
}
