package natsqueue_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Workers don't see which queue they work on.
func Example() {
	sum := func(ctx context.Context, q interface {
		Tasks(ctx context.Context) iter.Seq[int]
	}) int64 {
		var sum atomic.Int64
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for n := range q.Tasks(ctx) { // takes an item, and marks it done after the body
					sum.Add(int64(n))
				}
			})
		}
		workers.Wait()
		return sum.Load()
	}
	ctx := context.Background()

	local := queue.New[int](100)
	for n := range 100 {
		if err := local.Put(ctx, n); err != nil {
			fmt.Println(err)
			return
		}
	}
	local.Shutdown(false)
	fmt.Println(sum(ctx, local))

	nc, err := nats.Connect(shared.ClientURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		fmt.Println(err)
		return
	}
	q, err := natsqueue.Open[int](ctx, js, "numbers", natsqueue.WithCapacity(100))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	for n := range 100 {
		if err := q.Put(ctx, n); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := q.Shutdown(ctx, false); err != nil { // for every process
		fmt.Println(err)
		return
	}
	fmt.Println(sum(ctx, q))
	// Output:
	// 4950
	// 4950
}

// An item that fails is retried, and rejected at the fifth delivery at the latest:
// Deliveries also counts those to a Get whose context had ended.
func ExampleTask_Retry() {
	ctx := context.Background()
	nc, err := nats.Connect(shared.ClientURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		fmt.Println(err)
		return
	}
	q, err := natsqueue.Open[string](ctx, js, "letters")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	for _, item := range []string{"good", "bad"} {
		if err := q.Put(ctx, item); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := q.Shutdown(ctx, false); err != nil {
		fmt.Println(err)
		return
	}

	for {
		task, err := q.Get(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch {
		case task.Item == "good":
			err = task.Done(ctx)
		case task.Deliveries() < 5:
			err = task.Retry(ctx, 0)
		default:
			fmt.Println("rejected:", task.Item)
			err = task.Reject(ctx, "failed five times")
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// rejected: bad
	// queue: shut down
}
