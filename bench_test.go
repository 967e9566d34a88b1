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

// These are for profiles of the queue, and for benchstat, which compares two
// commits: names are key=value. What it costs beside channels and other queues
// is what benchmarks/ measures.
//
//	go test -run '^$' -bench . -count 10 >new.txt; benchstat old.txt new.txt
//	go test -run '^$' -bench Pipeline/shape=4:4 -cpuprofile cpu.out -mutexprofile mutex.out

var contexts = []struct {
	name string
	make func() (context.Context, context.CancelFunc)
}{
	{"background", func() (context.Context, context.CancelFunc) { return context.Background(), func() {} }},
	{"cancel", func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }},
}

func BenchmarkSolo(b *testing.B) {
	for _, c := range contexts {
		b.Run("ctx="+c.name, func(b *testing.B) {
			ctx, cancel := c.make()
			defer cancel()
			q := queue.New[int](128)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				_ = q.Put(ctx, n)
				_, _ = q.Get(ctx)
			}
		})
	}
}

func BenchmarkTry(b *testing.B) {
	q := queue.New[int](128)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		_ = q.TryPut(n)
		_, _ = q.TryGet()
	}
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
				name := fmt.Sprintf("shape=%d:%d/cap=%d/ctx=%s", shape.producers, shape.consumers, capacity, c.name)
				b.Run(name, func(b *testing.B) {
					ctx, cancel := c.make()
					defer cancel()
					q := queue.New[int](capacity)
					var wg sync.WaitGroup
					b.ReportAllocs()
					share(&wg, shape.producers, b.N, func(turns int) {
						for n := range turns {
							_ = q.Put(ctx, n)
						}
					})
					share(&wg, shape.consumers, b.N, func(turns int) {
						for range turns {
							_, _ = q.Get(ctx)
						}
					})
					wg.Wait()
				})
			}
		}
	}
}

// BenchmarkTasks has the consumer mark each item done, and the producer wait
// until all are.
func BenchmarkTasks(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
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
	}
}

// BenchmarkBatch counts items, not batches.
func BenchmarkBatch(b *testing.B) {
	const capacity = 8192
	for _, size := range []int{8, 64, 512} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
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
}

// BenchmarkOrders puts and gets one item beside n that wait. For LIFO and FIFO
// n makes no difference. What is put is the item that was gotten and a random
// step, as in a simulation; items drawn anew each time would soon all be lower
// than those that wait.
func BenchmarkOrders(b *testing.B) {
	steps := make([]int, 1<<16)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range steps {
		steps[i] = random.IntN(1 << 30)
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
					_ = q.Put(ctx, steps[i%len(steps)]+i)
				}
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					item, _ := q.Get(ctx)
					_ = q.Put(ctx, item+steps[n%len(steps)])
				}
			})
		}
	}
}
