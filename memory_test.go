package queue_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

type payload [64]byte

var payloadOrders = map[string]func(capacity int) *queue.Queue[*payload]{
	"fifo": queue.New[*payload],
	"lifo": queue.NewLIFO[*payload],
	"priority": func(capacity int) *queue.Queue[*payload] {
		return queue.NewPriority(capacity, func(a, b *payload) int { return int(a[0]) - int(b[0]) })
	},
}

// payloads returns n items, and weak pointers to them.
func payloads(n int) (items []*payload, pointers []weak.Pointer[payload]) {
	for i := range n {
		p := &payload{byte(i + 1)}
		items = append(items, p)
		pointers = append(pointers, weak.Make(p))
	}
	return items, pointers
}

func requireCollected(t *testing.T, pointers []weak.Pointer[payload]) {
	t.Helper()
	runtime.GC()
	for i, p := range pointers {
		require.Nil(t, p.Value(), "item %d is kept alive", i)
	}
}

func TestItemsThatLeftAreNotKeptAlive(t *testing.T) {
	const n = 20
	ways := map[string]func(q *queue.Queue[*payload], items []*payload){
		"TryGet": func(q *queue.Queue[*payload], items []*payload) {
			_, _ = q.PutBatch(background, items)
			empty(q)
		},
		"GetBatch": func(q *queue.Queue[*payload], items []*payload) {
			_, _ = q.PutBatch(background, items)
			_, _ = q.GetBatch(background, make([]*payload, n))
		},
		"ForcePut": func(q *queue.Queue[*payload], items []*payload) {
			_, _ = q.PutBatch(background, items)
			q.Resize(n)
			for range n {
				_, _, _ = q.ForcePut(&payload{})
			}
		},
		"Shutdown": func(q *queue.Queue[*payload], items []*payload) {
			_, _ = q.PutBatch(background, items)
			_ = q.Shutdown(true)
		},
		"an eviction and a Get from the middle": func(q *queue.Queue[*payload], items []*payload) {
			_, _ = q.PutBatch(background, items[:n/2])
			q.Resize(n / 2)
			for _, item := range items[n/2:] {
				_, _, _ = q.ForcePut(item)
			}
			empty(q)
		},
	}
	for order, newQueue := range payloadOrders {
		for name, way := range ways {
			t.Run(order+" "+name, func(t *testing.T) {
				q := newQueue(queue.Unbounded)
				items, pointers := payloads(n)
				way(q, items)
				clear(items)
				requireCollected(t, pointers)
				runtime.KeepAlive(q)
			})
		}
	}
}

func TestACancelledCallLeavesNothingBehind(t *testing.T) {
	type key struct{}
	for order, newQueue := range payloadOrders {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(1)
				require.NoError(t, q.TryPut(&payload{}))
				items, pointers := payloads(3)
				batch := []*payload{items[1]}
				var errs [3]error
				for i := range errs {
					ctx, cancel := context.WithCancel(context.WithValue(background, key{}, items[2]))
					go func() {
						switch i {
						case 0:
							errs[i] = q.Put(ctx, items[0])
						case 1:
							_, errs[i] = q.PutBatch(ctx, batch)
						case 2:
							errs[i] = q.Join(ctx)
						}
					}()
					synctest.Wait()
					cancel()
					synctest.Wait()
					require.Equal(t, context.Canceled, errs[i])
				}
				clear(items)
				requireCollected(t, pointers)
				runtime.KeepAlive(q)
			})
		})
	}
}

func TestAnItemHandedToABlockedCallIsNotKeptAlive(t *testing.T) {
	for order, newQueue := range payloadOrders {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(1)
				items, pointers := payloads(3)
				go func() { _, _ = q.Get(background) }()
				synctest.Wait()
				require.NoError(t, q.TryPut(items[0])) // to the parked Get
				require.NoError(t, q.TryPut(items[1]))
				go func() { _ = q.Put(background, items[2]) }()
				synctest.Wait()
				_, err := q.TryGet() // lets the parked Put in
				require.NoError(t, err)
				empty(q)
				synctest.Wait()
				clear(items)
				requireCollected(t, pointers)

				require.NoError(t, q.TryPut(&payload{}))
				items, pointers = payloads(2)
				go func() { _, _ = q.PutBatch(background, items) }()
				synctest.Wait()
				for range 3 { // lets the parked PutBatch in, item by item
					_, err := q.TryGet()
					require.NoError(t, err)
				}
				synctest.Wait()
				items = nil // and the slice with them
				requireCollected(t, pointers)
				runtime.KeepAlive(q)
			})
		})
	}
}

func TestAnItemOfABlockedPutOverWhichCompareFailedIsNotKeptAlive(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("compare failed") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fails := false
				q := queue.NewPriority(2, func(a, b *payload) int {
					if fails {
						fail()
					}
					return int(a[0]) - int(b[0])
				})
				for range 3 { // the last is an exchange, after which a heap may hold an item in hand
					_, _, _ = q.ForcePut(&payload{})
				}
				items, pointers := payloads(1)
				go func() {
					defer func() { _ = recover() }()
					_ = q.Put(background, items[0])
				}()
				synctest.Wait()
				fails = true
				go q.Resize(3) // lets the parked Put in
				synctest.Wait()
				fails = false
				require.Equal(t, 2, q.Len())
				clear(items)
				requireCollected(t, pointers)
				runtime.KeepAlive(q)
			})
		})
	}
}

// heapInUse returns how many bytes of objects are alive.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTheMemoryOfABurstIsGivenBack(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, drain := range map[string]func(q *queue.Queue[int]){
			"received": func(q *queue.Queue[int]) {
				for !q.Empty() {
					_, _ = q.TryGet()
				}
			},
			"in batches": func(q *queue.Queue[int]) {
				for dst := make([]int, 100); !q.Empty(); {
					_, _ = q.GetBatch(background, dst)
				}
			},
			"at once": func(q *queue.Queue[int]) { _ = q.Shutdown(true) },
		} {
			t.Run(name, func(t *testing.T) {
				before := heapInUse()
				q := o.make(queue.Unbounded)
				const burst = 1_000_000
				for i := range burst {
					_ = q.TryPut(i)
				}
				require.Greater(t, heapInUse()-before, int64(burst*strconv.IntSize/8))
				drain(q)
				require.Less(t, heapInUse()-before, int64(200_000))
				runtime.KeepAlive(q)
			})
		}
	})
}

func TestCancelledCallsDoNotPileUp(t *testing.T) {
	expired, cancel := context.WithCancel(background)
	cancel()
	rounds := 1_000_000
	if raceEnabled {
		rounds /= 10
	}
	forEachOrder(t, func(t *testing.T, o order) {
		cancels := make(chan context.CancelFunc)
		defer close(cancels)
		go func() { // one for all: the runtime keeps each goroutine's memory
			for cancel := range cancels {
				cancel()
			}
		}()
		for name, call := range map[string]func(q *queue.Queue[int], ctx context.Context){
			"Get":  func(q *queue.Queue[int], ctx context.Context) { _, _ = q.Get(ctx) },
			"Put":  func(q *queue.Queue[int], ctx context.Context) { _ = q.Put(ctx, 2) },
			"Join": func(q *queue.Queue[int], ctx context.Context) { _ = q.Join(ctx) },
		} {
			t.Run(name, func(t *testing.T) {
				q := o.make(1)
				if name != "Get" {
					require.NoError(t, q.TryPut(1))
				}
				before := heapInUse()
				for range rounds {
					call(q, expired)
				}
				for range rounds / 20 { // these park
					ctx, cancel := context.WithCancel(background)
					cancels <- cancel
					call(q, ctx)
				}
				require.Less(t, heapInUse()-before, int64(200_000))
				s := q.Stats()
				require.Zero(t, s.GetWaiting+s.PutWaiting+q.JoinWaiting())
				check(t, q)
			})
		}
	})
}

func TestThousandsOfBlockedCallsLeaveFewWaitersBehind(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // each processor has its own store of what the runtime keeps
	forEachOrder(t, func(t *testing.T, o order) {
		var q *queue.Queue[int]
		var gate chan struct{}
		// park parks 20,000 goroutines in wait until end, and returns what is left.
		park := func(wait, end func()) int64 {
			synctest.Test(t, func(t *testing.T) {
				q, gate = o.make(1), make(chan struct{})
				for range 20_000 {
					go wait()
				}
				synctest.Wait()
				end()
			})
			return heapInUse()
		}
		// The runtime keeps goroutines for reuse: those of the first round.
		before := park(func() { <-gate }, func() { close(gate) })
		after := park(func() { _, _ = q.Get(background) }, func() { q.Shutdown(false) })
		require.EqualValues(t, 20_000, q.Stats().GetBlocked)
		require.Less(t, after-before, int64(500_000)) // 20,000 waiters take ten times that
		runtime.KeepAlive(q)
	})
}

func TestAHugeCapacityCostsNothingUntilItIsUsed(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		least := uint64(math.MaxUint64) // of a few times: the runtime allocates as well
		for range 5 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			q := o.make(math.MaxInt)
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
			runtime.KeepAlive(q)
		}
		require.Less(t, least, uint64(1<<10))

		before := heapInUse()
		q := o.make(math.MaxInt)
		require.NoError(t, q.TryPut(1))
		require.Less(t, heapInUse()-before, int64(10_000))
		require.Equal(t, math.MaxInt, q.Cap())
		require.False(t, q.Full())
	})
}

func TestNoPutOfAGrowingQueuePaysForTheWholeBacklog(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, o := range orders[:2] { // a priority queue's heap grows as a slice does
		t.Run(o.name, func(t *testing.T) {
			q := o.make(queue.Unbounded)
			var before, after runtime.MemStats
			most := uint64(0)
			for range 300 {
				runtime.ReadMemStats(&before)
				for i := range 100 {
					_ = q.TryPut(i)
				}
				runtime.ReadMemStats(&after)
				most = max(most, after.TotalAlloc-before.TotalAlloc)
			}
			require.Less(t, most, uint64(20_000))
		})
	}
}

// A bulky item is one of which few take up much memory.
type bulky [16 << 10]byte

func bulkyOrders() map[string]func(capacity int) *queue.Queue[bulky] {
	return map[string]func(int) *queue.Queue[bulky]{
		"fifo": queue.New[bulky],
		"lifo": queue.NewLIFO[bulky],
		"priority": func(n int) *queue.Queue[bulky] {
			return queue.NewPriority(n, func(a, b bulky) int { return int(a[0]) - int(b[0]) })
		},
	}
}

func TestAFewHundredBulkyItemsAreMuchMemoryAndGivenBack(t *testing.T) {
	const items = 500
	for name, make := range bulkyOrders() {
		for _, capacity := range []int{queue.Unbounded, items} {
			t.Run(fmt.Sprintf("%s, capacity %d", name, capacity), func(t *testing.T) {
				before := heapInUse()
				q := make(capacity)
				for range items {
					require.NoError(t, q.TryPut(bulky{}))
				}
				require.Greater(t, heapInUse()-before, int64(items*len(bulky{})))
				_ = empty(q)
				q.Resize(1) // gives back what a bounded queue keeps
				require.Less(t, heapInUse()-before, int64(1<<20))
				runtime.KeepAlive(q)
			})
		}
	}
}

func TestWaitersOfBulkyItemsAreFewOnceTheyAreBack(t *testing.T) {
	for name, make := range bulkyOrders() {
		t.Run(name, func(t *testing.T) {
			before := heapInUse()
			q := make(1)
			ctx, cancel := context.WithCancel(background)
			var all sync.WaitGroup
			for range 300 {
				all.Go(func() { _, _ = q.Get(ctx) })
			}
			for q.Stats().GetWaiting < 300 {
				runtime.Gosched()
			}
			cancel()
			all.Wait()
			require.Less(t, heapInUse()-before, int64(1<<20))
			runtime.KeepAlive(q)
		})
	}
}
