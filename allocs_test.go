package queue_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// allocs is testing.AllocsPerRun without garbage collections, which empty the
// runtime's stores of what goroutines park with.
func allocs(runs int, f func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return testing.AllocsPerRun(runs, f)
}

func TestNoCallAllocatesInTheSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	batch := upTo(8)
	dst := make([]int, 8)
	forEachOrder(t, func(t *testing.T, o order) {
		for name, call := range map[string]func(q *queue.Queue[int]){
			"Put and Get": func(q *queue.Queue[int]) {
				_ = q.Put(ctx, 1)
				_, _ = q.Get(ctx)
			},
			"TryPut and TryGet": func(q *queue.Queue[int]) {
				_ = q.TryPut(1)
				_, _ = q.TryGet()
			},
			"filling and emptying, refused at both ends": func(q *queue.Queue[int]) {
				for q.TryPut(1) == nil {
				}
				for {
					if _, err := q.TryGet(); err != nil {
						break
					}
				}
			},
			"ForcePut": func(q *queue.Queue[int]) {
				for range 200 {
					_, _, _ = q.ForcePut(1)
				}
			},
			"PutBatch and GetBatch": func(q *queue.Queue[int]) {
				_, _ = q.PutBatch(ctx, batch)
				_, _ = q.GetBatch(ctx, dst)
			},
			"TryPutBatch and TryGetBatch": func(q *queue.Queue[int]) {
				_, _ = q.TryPutBatch(batch)
				_, _ = q.TryGetBatch(dst)
			},
			"Requeue and TryGet": func(q *queue.Queue[int]) {
				_ = q.Requeue(1)
				_, _ = q.TryGet()
			},
			"Ready and TryGet": func(q *queue.Queue[int]) {
				_ = q.TryPut(1)
				<-q.Ready()
				_, _ = q.TryGet()
			},
			"TaskDone and Join": func(q *queue.Queue[int]) {
				_ = q.TryPut(1)
				_, _ = q.TryGet()
				_ = q.TaskDoneN(q.Stats().Unfinished)
				_ = q.Join(ctx)
			},
			"looking": func(q *queue.Queue[int]) {
				_, _ = q.Peek()
				_, _, _, _ = q.Len(), q.Cap(), q.Empty(), q.Full()
				q.Resize(100)
			},
		} {
			t.Run(name, func(t *testing.T) {
				q := o.make(100)
				for range 300 {
					call(q) // the steady state comes after a while
				}
				require.Zero(t, allocs(200, func() { call(q) }))
			})
		}
	})
}

func TestBlockedCallsDoNotAllocateInTheSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	forEachOrder(t, func(t *testing.T, o order) {
		for name, worker := range map[string]func(there, back *queue.Queue[int]){
			"Get and Put": func(there, back *queue.Queue[int]) {
				for {
					item, err := there.Get(ctx)
					if err != nil {
						return
					}
					_ = there.TaskDone()
					_ = back.Put(ctx, item)
				}
			},
			"Tasks": func(there, back *queue.Queue[int]) {
				for item := range there.Tasks(ctx) {
					_ = back.Put(ctx, item)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				there, back := o.make(1), o.make(1)
				done := make(chan struct{})
				go func() {
					defer close(done)
					worker(there, back)
				}()
				const runs = 1000
				round := func() { // both sides park in turn, and a Join and a Put now and then
					for there.Stats().GetWaiting == 0 {
						runtime.Gosched()
					}
					for range 3 {
						_ = there.Put(ctx, 1)
					}
					for range 3 {
						_, _ = back.Get(ctx)
					}
					_ = there.Join(ctx)
				}
				for range 300 {
					round()
				}
				require.Zero(t, allocs(runs, round))
				require.GreaterOrEqual(t, there.Stats().GetBlocked, uint64(runs))
				there.Shutdown(false)
				<-done
			})
		}
	})
}

func TestALongQueueThatFillsAndEmptiesDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	forEachOrder(t, func(t *testing.T, o order) {
		const capacity = 5000
		q := o.make(capacity)
		round := func() {
			for i := range capacity {
				_ = q.TryPut(i)
			}
			for range capacity {
				_, _ = q.TryGet()
			}
		}
		for range 3 {
			round()
		}
		require.Zero(t, allocs(5, round))
	})
}

func TestABacklogThatSwingsByHundredsSeldomAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.make(queue.Unbounded)
		const swing = 700
		round := func() {
			for i := range swing {
				_ = q.TryPut(i)
			}
			for range swing {
				_, _ = q.TryGet()
			}
		}
		round()
		require.Less(t, allocs(100, round)/swing, 0.05)
	})
}

func TestHundredsOfBlockedCallsDoNotAllocateInTheSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	forEachOrder(t, func(t *testing.T, o order) {
		const callers = 800
		q := o.make(queue.Unbounded)
		for range callers {
			go func() {
				for range q.Tasks(background) {
				}
			}()
		}
		items := upTo(callers)
		round := func() {
			for q.Stats().GetWaiting < callers {
				runtime.Gosched()
			}
			_, _ = q.PutBatch(background, items)
		}
		for range 3 {
			round()
		}
		require.Zero(t, allocs(20, round))
		q.Shutdown(false)
	})
}
