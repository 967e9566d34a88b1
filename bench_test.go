package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/boundq/queue"
)

// The benchmarks compare the queue with a channel that does the same work. With
// ctx=cancel the channel is used as one must to be able to stop: in a select
// with the context. Names are key=value, for benchstat:
//
//	go test -run '^$' -bench . -count 10 | benchstat -col /impl -

var contexts = []struct {
	name string
	make func() (context.Context, context.CancelFunc)
}{
	{"background", func() (context.Context, context.CancelFunc) { return context.Background(), func() {} }},
	{"cancel", func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }},
}

// A transport moves ints one at a time.
type transport struct {
	put func(int)
	get func() int
}

func overQueue(ctx context.Context, capacity int) transport {
	q := queue.New[int](capacity)
	return transport{
		put: func(n int) { _ = q.Put(ctx, n) },
		get: func() int { n, _ := q.Get(ctx); return n },
	}
}

func overChan(ctx context.Context, capacity int) transport {
	c := make(chan int, capacity)
	done := ctx.Done()
	if done == nil {
		return transport{put: func(n int) { c <- n }, get: func() int { return <-c }}
	}
	return transport{
		put: func(n int) {
			select {
			case c <- n:
			case <-done:
			}
		},
		get: func() (n int) {
			select {
			case n = <-c:
			case <-done:
			}
			return n
		},
	}
}

var impls = []struct {
	name string
	make func(ctx context.Context, capacity int) transport
}{
	{"queue", overQueue},
	{"chan", overChan},
}

func BenchmarkSolo(b *testing.B) {
	for _, c := range contexts {
		for _, impl := range impls {
			b.Run(fmt.Sprintf("ctx=%s/impl=%s", c.name, impl.name), func(b *testing.B) {
				ctx, cancel := c.make()
				defer cancel()
				t := impl.make(ctx, 128)
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					t.put(n)
					t.get()
				}
			})
		}
	}
}

func BenchmarkTry(b *testing.B) {
	b.Run("impl=queue", func(b *testing.B) {
		q := queue.New[int](128)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			_ = q.TryPut(n)
			_, _ = q.TryGet()
		}
	})
	b.Run("impl=chan", func(b *testing.B) {
		c := make(chan int, 128)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			select {
			case c <- n:
			default:
			}
			select {
			case <-c:
			default:
			}
		}
	})
}

// share runs work in k goroutines and divides n turns among them.
func share(wg *sync.WaitGroup, k, n int, work func(turns int)) {
	for i := range k {
		turns := n / k
		if i < n%k {
			turns++
		}
		wg.Go(func() { work(turns) })
	}
}

func BenchmarkPipeline(b *testing.B) {
	for _, shape := range []struct{ producers, consumers int }{{1, 1}, {4, 4}, {8, 1}, {1, 8}} {
		for _, capacity := range []int{1, 128, 8192} {
			for _, c := range contexts {
				for _, impl := range impls {
					name := fmt.Sprintf("shape=%d:%d/cap=%d/ctx=%s/impl=%s",
						shape.producers, shape.consumers, capacity, c.name, impl.name)
					b.Run(name, func(b *testing.B) {
						ctx, cancel := c.make()
						defer cancel()
						t := impl.make(ctx, capacity)
						var wg sync.WaitGroup
						b.ReportAllocs()
						share(&wg, shape.producers, b.N, func(turns int) {
							for n := range turns {
								t.put(n)
							}
						})
						share(&wg, shape.consumers, b.N, func(turns int) {
							for range turns {
								t.get()
							}
						})
						wg.Wait()
					})
				}
			}
		}
	}
}

// BenchmarkTasks has the consumer mark each item done, and the producer wait
// until all are. A channel needs a WaitGroup for that.
func BenchmarkTasks(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d/impl=queue", workers), func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			q := queue.New[int](128)
			var wg sync.WaitGroup
			b.ReportAllocs()
			for range workers {
				wg.Go(func() {
					for range q.Tasks(ctx) {
					}
				})
			}
			for n := range b.N {
				_ = q.Put(ctx, n)
			}
			_ = q.Join(ctx)
			q.Shutdown(false)
			wg.Wait()
		})
		b.Run(fmt.Sprintf("workers=%d/impl=chan", workers), func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := make(chan int, 128)
			var wg, unfinished sync.WaitGroup
			b.ReportAllocs()
			for range workers {
				wg.Go(func() {
					for {
						select {
						case _, open := <-c:
							if !open {
								return
							}
							unfinished.Done()
						case <-ctx.Done():
							return
						}
					}
				})
			}
			for n := range b.N {
				unfinished.Add(1)
				select {
				case c <- n:
				case <-ctx.Done():
				}
			}
			unfinished.Wait()
			close(c)
			wg.Wait()
		})
	}
}

// BenchmarkBatch counts items, not batches. A channel has no batches: it moves
// the items one by one.
func BenchmarkBatch(b *testing.B) {
	const capacity = 8192
	for _, size := range []int{8, 64, 512} {
		b.Run(fmt.Sprintf("size=%d/impl=queue", size), func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			q := queue.New[int](capacity)
			b.ReportAllocs()
			var wg sync.WaitGroup
			wg.Go(func() {
				items := make([]int, size)
				for n := b.N; n > 0; n -= size {
					_, _ = q.PutBatch(ctx, items[:min(n, size)])
				}
				q.Shutdown(false)
			})
			dst := make([]int, size)
			for {
				if _, err := q.GetBatch(ctx, dst); err != nil {
					break
				}
			}
			wg.Wait()
		})
	}
	b.Run("size=1/impl=chan", func(b *testing.B) {
		c := make(chan int, capacity)
		b.ReportAllocs()
		go func() {
			for n := range b.N {
				c <- n
			}
			close(c)
		}()
		for range c {
		}
	})
}

// BenchmarkOrders puts and gets one item beside n that wait. For LIFO and FIFO
// n makes no difference.
func BenchmarkOrders(b *testing.B) {
	keys := make([]int, 1<<16)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range keys {
		keys[i] = random.Int()
	}
	ctx := context.Background()
	for _, waiting := range []int{1_000, 100_000, 1_000_000} {
		for _, order := range []struct {
			name string
			make func(int) *queue.Queue[int]
		}{
			{"fifo", queue.New[int]},
			{"lifo", queue.NewLIFO[int]},
			{"priority", func(n int) *queue.Queue[int] { return queue.NewPriority(n, cmp.Compare[int]) }},
		} {
			b.Run(fmt.Sprintf("waiting=%d/order=%s", waiting, order.name), func(b *testing.B) {
				q := order.make(queue.Unbounded)
				for i := range waiting {
					_ = q.Put(ctx, keys[i%len(keys)]^i)
				}
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					item, _ := q.Get(ctx)
					_ = q.Put(ctx, item^keys[n%len(keys)])
				}
			})
		}
	}
}
