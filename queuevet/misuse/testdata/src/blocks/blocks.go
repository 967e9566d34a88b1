package blocks

import (
	"context"
	"sync"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/boundq/queue/natsqueue"
	"golang.org/x/sync/errgroup"
)

type crawler struct {
	pages *queue.Queue[string]
	found *queue.Queue[string]
}

func links(page string) []string { return nil }

func use(...any) {}

func (c *crawler) crawl(ctx context.Context) error {
	for page := range c.pages.Tasks(ctx) {
		for _, link := range links(page) {
			if err := c.pages.Put(ctx, link); err != nil { // want `Put blocks while the queue is full, and all workers may be blocked like this in their loops over c\.pages\.Tasks; use Requeue, which never blocks, or TryPut, or a context with a timeout`
				return err
			}
			if err := c.found.Put(ctx, link); err != nil {
				return err
			}
			if err := c.pages.Requeue(link); err != nil {
				return err
			}
			if err := c.pages.TryPut(link); err != nil {
				return err
			}
		}
		if _, err := c.pages.PutBatch(ctx, links(page)); err != nil { // want `PutBatch blocks .* use Requeue, which never blocks, or TryPutBatch`
			return err
		}
	}
	for batch := range c.pages.Batches(ctx, 10, 0) {
		put := c.pages.Put
		if err := put(context.Background(), batch[0]); err != nil { // want `Put blocks while the queue is full, and all workers may be blocked like this in their loops over c\.pages\.Batches`
			return err
		}
	}
	return nil
}

func deadlines[T any](ctx context.Context, q *queue.Queue[T]) {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for item := range q.Tasks(ctx) {
		ctx, cancel := context.WithDeadline(ctx, time.Now().Add(time.Second))
		_ = q.Put(ctx, item)
		child := context.WithValue(ctx, "key", "value")
		_ = q.Put(child, item)
		cancel()
		_ = q.Put(short, item)

		loose, cancel := context.WithCancel(context.Background())
		_ = q.Put(loose, item) // want `Put blocks`
		cancel()
		_ = q.Put(context.WithoutCancel(short), item) // want `Put blocks`
	}
}

func goroutines(ctx context.Context, q *queue.Queue[int]) {
	var wg sync.WaitGroup
	g, ctx := errgroup.WithContext(ctx)
	again := func(n int) { _ = q.Put(ctx, n) }
	for n := range q.Tasks(ctx) {
		go q.Put(ctx, n) // want `the error of Put is ignored`
		go func() { _ = q.Put(ctx, n) }()
		wg.Go(func() { _ = q.Put(ctx, n) })
		g.Go(func() error { return q.Put(ctx, n) })
		func() { _ = q.Put(ctx, n) }() // want `Put blocks`
		again(n)                       // want `Put blocks`
		go again(n)
	}
	q.Tasks(ctx)(func(n int) bool {
		return q.Put(ctx, n) == nil // want `Put blocks`
	})
}

type unboundedCrawler struct {
	pages   *queue.Queue[string]
	zero    queue.Queue[string]
	resized *queue.Queue[string]
	bounded *queue.Queue[string]
	Open    *queue.Queue[string]
}

func newUnbounded() *unboundedCrawler {
	return &unboundedCrawler{
		pages:   queue.New[string](queue.Unbounded),
		resized: queue.New[string](queue.Unbounded),
		bounded: queue.New[string](1),
		Open:    queue.New[string](queue.Unbounded),
	}
}

// A queue without a capacity has always room.
func (c *unboundedCrawler) crawl(ctx context.Context) {
	for page := range c.pages.Tasks(ctx) {
		_ = c.pages.Put(ctx, page)
	}
	for page := range c.zero.Tasks(ctx) {
		_ = c.zero.Put(ctx, page)
	}
	c.resized.Resize(10)
	for page := range c.resized.Tasks(ctx) {
		_ = c.resized.Put(ctx, page) // want `Put blocks`
	}
	for page := range c.bounded.Tasks(ctx) {
		_ = c.bounded.Put(ctx, page) // want `Put blocks`
	}
	for page := range c.Open.Tasks(ctx) {
		_ = c.Open.Put(ctx, page) // want `Put blocks`
	}
}

func unbounded(ctx context.Context, n int) {
	q := queue.NewPriority(0, func(a, b int) int { return a - b })
	for n := range q.Tasks(ctx) {
		_ = q.Put(ctx, n)
	}
	var zero queue.Queue[int]
	r := &zero
	for n := range r.Tasks(ctx) {
		_ = r.Put(ctx, n)
	}
	some := queue.NewLIFO[int](n)
	for n := range some.Tasks(ctx) {
		_ = some.Put(ctx, n) // want `Put blocks`
	}
	fair := keyed.NewFair[string, int](0)
	for k, v := range fair.Tasks(ctx) {
		_ = fair.Put(ctx, k, v)
	}
}

func keys(ctx context.Context, serial *keyed.Fair[string, int], latest *keyed.Latest[string, int]) {
	for k, v := range serial.Tasks(ctx) {
		_ = serial.Put(ctx, k, v) // want `Put blocks .*; use TryPut, or a context with a timeout`
	}
	for k, v := range latest.Tasks(ctx) {
		_, _, _ = latest.Put(k, v)
	}
}

func distributed(ctx context.Context, q *natsqueue.Queue[int]) {
	for n := range q.Tasks(ctx) {
		_ = q.Put(ctx, n) // want `Put blocks .*; use TryPut, or a context with a timeout`
		_ = q.TryPut(ctx, n)
	}
	for batch := range q.Batches(ctx, 10, 0) {
		_, _ = q.PutBatch(ctx, batch) // want `PutBatch blocks .*; use TryPut, or a context with a timeout`
	}
}
