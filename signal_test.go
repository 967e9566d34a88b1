package queue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// A call that compare ends in its middle has changed the queue all the same: a
// batch has its first items in, a Get has let blocked Puts in. Ready must be
// signalled for what changed, and free slots must not be kept from blocked Puts.
func TestReadyIsSignalledThoughCompareFails(t *testing.T) {
	batches := map[string]func(q *queue.Queue[int]){
		"PutBatch":    func(q *queue.Queue[int]) { _, _ = q.PutBatch(background, []int{1, 2}) },
		"TryPutBatch": func(q *queue.Queue[int]) { _, _ = q.TryPutBatch([]int{1, 2}) },
	}
	for way, fail := range failures {
		for name, put := range batches {
			t.Run(name+" whose second item's compare "+way, func(t *testing.T) {
				f := &fuse{left: 0, fail: fail}
				q := queue.NewPriority(queue.Unbounded, f.compare)
				ready := q.Ready()
				_, ended := attempt(func() { put(q) })
				require.False(t, ended)
				require.True(t, f.blown)
				require.Equal(t, 1, q.Len())
				require.Len(t, ready, 1, "an item is queued, and no signal says so")
				check(t, q)
			})
		}
	}
}

// takers take one or two items from a full queue of capacity 2 that others are
// blocked on.
var takers = map[string]func(q *queue.Queue[int]){
	"Get":         func(q *queue.Queue[int]) { _, _ = q.Get(background) },
	"TryGet":      func(q *queue.Queue[int]) { _, _ = q.TryGet() },
	"GetBatch":    func(q *queue.Queue[int]) { _, _ = q.GetBatch(background, make([]int, 1)) },
	"TryGetBatch": func(q *queue.Queue[int]) { _, _ = q.TryGetBatch(make([]int, 1)) },
	"Tasks": func(q *queue.Queue[int]) {
		for range q.Tasks(background) {
			return
		}
	},
	"Batches": func(q *queue.Queue[int]) {
		for range q.Batches(background, 1, 0) {
			return
		}
	},
	"Batches that takes what it lets in": func(q *queue.Queue[int]) {
		for range q.Batches(background, 6, 0) {
			return
		}
	},
	"Batches that lingers": func(q *queue.Queue[int]) {
		for range q.Batches(background, 6, time.Second) {
			return
		}
	},
	"Resize": func(q *queue.Queue[int]) { q.Resize(3) },
}

// compare fails at each of its calls in turn while a taker runs.
func TestASlotThatIsFreedAsCompareFailsGoesToTheNextBlockedPut(t *testing.T) {
	for name, take := range takers {
		for way, fail := range failures {
			t.Run(name+", compare "+way, func(t *testing.T) {
				for n := 0; ; n++ {
					blown := false
					synctest.Test(t, func(t *testing.T) {
						f := &fuse{left: -1, fail: fail}
						q := queue.NewPriority(2, f.compare)
						defer func() {
							f.left = -1
							_ = q.Shutdown(true)
						}()
						_, err := q.TryPutBatch([]int{3, 4})
						require.NoError(t, err)
						for i := range 4 {
							go attempt(func() { _ = q.Put(background, i) })
							synctest.Wait()
						}
						ready := q.Ready()
						<-ready
						f.left = n
						go attempt(func() { take(q) })
						time.Sleep(time.Minute)
						synctest.Wait()
						blown = f.blown
						f.left = -1
						check(t, q)
						if s := q.Stats(); s.Len > 0 && s.Got+s.Put > 2 {
							require.Len(t, ready, 1, "compare fails at call %d: items moved, %d are queued, and no signal says so", n, s.Len)
						}
					})
					if !blown {
						break
					}
				}
			})
		}
	}
}

func TestReadyIsNotSignalledForCallsThatMoveNothing(t *testing.T) {
	ended, cancel := context.WithCancel(background)
	cancel()
	idle := map[string]func(q *queue.Queue[int]){
		"TryPut":                  func(q *queue.Queue[int]) { _ = q.TryPut(3) },
		"TryPutBatch":             func(q *queue.Queue[int]) { _, _ = q.TryPutBatch([]int{3, 4}) },
		"PutBatch that blocks":    func(q *queue.Queue[int]) { _, _ = q.PutBatch(background, []int{3, 4}) },
		"Put that blocks":         func(q *queue.Queue[int]) { _ = q.Put(background, 3) },
		"Get whose context ended": func(q *queue.Queue[int]) { _, _ = q.Get(ended) },
		"Peek":                    func(q *queue.Queue[int]) { _, _ = q.Peek() },
		"Resize to the same":      func(q *queue.Queue[int]) { q.Resize(2) },
		"Resize to less":          func(q *queue.Queue[int]) { q.Resize(1) },
		"Resize to more":          func(q *queue.Queue[int]) { q.Resize(3) },
		"TaskDone":                func(q *queue.Queue[int]) { _ = q.TaskDone() },
		"an empty batch":          func(q *queue.Queue[int]) { _, _ = q.TryPutBatch(nil) },
		"a batch without a room":  func(q *queue.Queue[int]) { _, _ = q.TryGetBatch(nil) },
	}
	forEachOrder(t, func(t *testing.T, o order) {
		for name, do := range idle {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.filled(t, 2, 2)
					ready := q.Ready()
					<-ready
					go do(q)
					synctest.Wait()
					require.Empty(t, ready)
					_ = q.Shutdown(true)
				})
			})
		}
	})
}

func TestReadyIsNotSignalledWhenTheLastItemLeaves(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, take := range takers {
			if name == "Resize" || name == "Batches that lingers" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				q := o.filled(t, 5, 1)
				ready := q.Ready()
				<-ready
				take(q)
				require.True(t, q.Empty())
				require.Empty(t, ready)
			})
		}
	})
}

// No other call takes items, so a signal that is missing leaves some behind.
func TestReadyLoopsAloneTakeEveryItem(t *testing.T) {
	takes := map[string]func(q *queue.Queue[int]) (int, error){
		"TryGet": func(q *queue.Queue[int]) (int, error) {
			_, err := q.TryGet()
			return 1, err
		},
		"TryGetBatch": func(q *queue.Queue[int]) (int, error) { return q.TryGetBatch(make([]int, 2)) },
	}
	forEachOrder(t, func(t *testing.T, o order) {
		for name, take := range takes {
			for _, capacity := range []int{1, 3, queue.Unbounded} {
				t.Run(fmt.Sprintf("%s, capacity %d", name, capacity), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						q := o.make(capacity)
						var taken atomic.Int64
						for range 2 {
							go func() {
								for range q.Ready() {
									n, err := take(q)
									if err == nil {
										taken.Add(int64(n))
									}
								}
							}()
						}
						const producers, items = 3, 50
						for range producers {
							go func() {
								for i := range items {
									_ = q.Put(background, i)
									_, _ = q.PutBatch(background, []int{i, i})
								}
							}()
						}
						synctest.Wait()
						n := q.Len()
						_ = q.Shutdown(true)
						require.Zero(t, n, "items are queued, and no loop is signalled")
						require.EqualValues(t, 3*producers*items, taken.Load())
					})
				})
			}
		}
	})
}

func TestJoinSeesAZeroThatComesAsItLooksAtItsContext(t *testing.T) {
	type closed = <-chan struct{}
	for asked, watched := range map[string]func(ctx context.Context, asked func()) context.Context{
		"Done": func(ctx context.Context, asked func()) context.Context {
			return misbehavingContext{ctx, func() closed { asked(); return ctx.Done() }, ctx.Err}
		},
		"Err": func(ctx context.Context, asked func()) context.Context {
			return misbehavingContext{ctx, ctx.Done, func() error { asked(); return ctx.Err() }}
		},
	} {
		t.Run(asked, func(t *testing.T) {
			forEachOrder(t, func(t *testing.T, o order) {
				synctest.Test(t, func(t *testing.T) {
					q := o.filled(t, 5, 1)
					ctx, cancel := context.WithCancel(background)
					defer cancel()
					returned, err := false, error(nil)
					go func() {
						err = q.Join(watched(ctx, func() {
							if q.TaskDone() == nil {
								_ = q.TryPut(2)
							}
						}))
						returned = true
					}()
					synctest.Wait()
					require.True(t, returned, "the count was zero after the call")
					require.NoError(t, err)
					require.Equal(t, 1, q.Stats().Unfinished)
					require.Zero(t, q.JoinWaiting())
				})
			})
		})
	}
}

func TestJoinOfAnIdleQueueReturnsThoughAnItemIsPutAsItLooksAtItsContext(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(5)
			returned := make(chan error, 1)
			go func() {
				returned <- q.Join(misbehavingContext{t.Context(), t.Context().Done, func() error { return q.TryPut(1) }})
			}()
			synctest.Wait()
			require.Equal(t, 1, q.Stats().Unfinished)
			require.Zero(t, q.JoinWaiting())
			require.NoError(t, <-returned)
		})
	})
}

func TestJoinWhoseContextIsDoneReturnsItsErrorThoughAllIsDoneBeforeItBlocks(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 5, 1)
		require.Equal(t, context.Canceled, q.Join(misbehavingContext{
			background,
			func() <-chan struct{} { _ = q.TaskDone(); return nil },
			func() error { return context.Canceled },
		}))
	})
}
