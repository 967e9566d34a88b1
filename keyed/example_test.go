package keyed_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/boundq/queue/keyed"
)

// Quotes arrive faster than they are processed; only the newest of each
// instrument matters.
func ExampleLatest() {
	type quote struct{ bid, ask float64 }
	var quotes keyed.Latest[string, quote]

	_, _, _ = quotes.Put("BTC", quote{64_000, 64_001})
	_, _, _ = quotes.Put("ETH", quote{3_100, 3_101})
	_, _, _ = quotes.Put("BTC", quote{64_010, 64_012})
	old, replaced, _ := quotes.Put("BTC", quote{64_020, 64_021})
	fmt.Println("replaced:", replaced, old)
	quotes.Shutdown(false)

	for instrument, q := range quotes.Tasks(context.Background()) {
		fmt.Println(instrument, q.bid, q.ask)
	}
	s := quotes.Stats()
	fmt.Println("received", s.Put, "processed", s.Done, "replaced", s.Dropped)
	// Output:
	// replaced: true {64010 64012}
	// BTC 64020 64021
	// ETH 3100 3101
	// received 4 processed 2 replaced 2
}

// One tenant has a backlog, which does not delay the others.
func ExampleNewFair() {
	jobs := keyed.NewFair[string, int](3)
	for job := range 5 {
		if err := jobs.TryPut("busy", job); err != nil {
			fmt.Println("busy", job, err)
		}
	}
	_ = jobs.TryPut("small", 0)
	_ = jobs.TryPut("other", 0)
	jobs.Shutdown(false)

	for tenant, job := range jobs.Tasks(context.Background()) {
		fmt.Println(tenant, job)
	}
	// Output:
	// busy 3 queue: full
	// busy 4 queue: full
	// busy 0
	// small 0
	// other 0
	// busy 1
	// busy 2
}

// Several workers process an instrument's events in the order in which they
// were put.
func ExampleNewSerial() {
	events := keyed.NewSerial[string, int](100)
	instruments := []string{"BTC", "ETH", "SOL"}
	position := map[string]*int{}
	for _, instrument := range instruments {
		position[instrument] = new(int)
	}

	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for instrument, event := range events.Tasks(context.Background()) {
				// No other worker has an event of this instrument in hand, so
				// its state needs no lock.
				at := position[instrument]
				if event != *at+1 {
					fmt.Println(instrument, "has", event, "after", *at)
				}
				*at = event
			}
		})
	}
	for event := 1; event <= 50; event++ {
		for _, instrument := range instruments {
			_ = events.Put(context.Background(), instrument, event)
		}
	}
	events.Shutdown(false)
	workers.Wait()
	for _, instrument := range instruments {
		fmt.Println(instrument, *position[instrument])
	}
	// Output:
	// BTC 50
	// ETH 50
	// SOL 50
}

// A worker that takes items with TryGet marks each done by its key.
func ExampleFair_TaskDone() {
	jobs := keyed.NewSerial[string, int](0)
	_ = jobs.TryPut("a", 1)
	_ = jobs.TryPut("a", 2)

	key, job, _ := jobs.TryGet()
	fmt.Println(key, job)
	_, _, err := jobs.TryGet()
	fmt.Println(err, "with", jobs.Len(), "queued: its predecessor is in hand")
	_ = jobs.TaskDone(key)
	key, job, _ = jobs.TryGet()
	fmt.Println(key, job)
	// Output:
	// a 1
	// queue: empty with 1 queued: its predecessor is in hand
	// a 2
}
