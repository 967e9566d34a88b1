package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/boundq/queue"
)

// These are for profiles of the queue, and for benchstat: names are key=value.
// benchmarks/ compares the queue with channels and other queues, and
// benchmarks/previous with an earlier commit.
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

// BenchmarkTasks has workers mark each item done, and the producer join.
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

// BenchmarkBatches has one worker collect batches that linger. It counts items.
func BenchmarkBatches(b *testing.B) {
	for _, size := range []int{64, 500} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			q := queue.New[int](8192)
			b.ReportAllocs()
			var wg sync.WaitGroup
			wg.Go(func() {
				for range q.Batches(ctx, size, 10*time.Millisecond) {
				}
			})
			items := make([]int, size)
			for n := b.N; n > 0; n -= size {
				_, _ = q.PutBatch(ctx, items[:min(n, size)])
			}
			q.Shutdown(false)
			wg.Wait()
		})
	}
}

// BenchmarkReady has one consumer select on Ready and a ticker. It counts items.
func BenchmarkReady(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("take=%d", size), func(b *testing.B) {
			ctx := context.Background()
			q := queue.New[int](128)
			ticker := time.NewTicker(time.Second)
			defer ticker.Stop()
			b.ReportAllocs()
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := range b.N {
					_ = q.Put(ctx, n)
				}
			})
			dst := make([]int, size)
			for n := 0; n < b.N; {
				select {
				case <-q.Ready():
				case <-ticker.C:
					continue
				}
				if size > 1 {
					taken, _ := q.TryGetBatch(dst)
					n += taken
				} else if _, err := q.TryGet(); err == nil {
					n++
				}
			}
			wg.Wait()
		})
	}
}

// BenchmarkRequeue takes an item from a full queue and returns it.
func BenchmarkRequeue(b *testing.B) {
	q := queue.New[int](128)
	for n := range q.Cap() {
		_ = q.TryPut(n)
	}
	b.ReportAllocs()
	for b.Loop() {
		item, _ := q.TryGet()
		_ = q.Requeue(item)
		_ = q.TaskDone()
	}
}

// BenchmarkOrders puts and gets one item with n queued. For LIFO and FIFO n
// makes no difference. Each item that is put is the one that was received plus a
// random step, as in a simulation; independent random items would soon all be
// lower than the backlog.
func BenchmarkOrders(b *testing.B) {
	steps := make([]int, 1<<16)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range steps {
		steps[i] = random.IntN(1 << 30)
	}
	ctx := context.Background()
	for _, queued := range []int{1_000, 100_000, 1_000_000} {
		for _, order := range []struct {
			name string
			make func(int) *queue.Queue[int]
		}{
			{"fifo", queue.New[int]},
			{"lifo", queue.NewLIFO[int]},
			{"priority", func(n int) *queue.Queue[int] { return queue.NewPriority(n, cmp.Compare[int]) }},
		} {
			b.Run(fmt.Sprintf("queued=%d/order=%s", queued, order.name), func(b *testing.B) {
				q := order.make(queue.Unbounded)
				for i := range queued {
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
