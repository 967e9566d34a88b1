package queue_test

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A dated batch is what a turn of Batches yielded, and when, since the loop began.
type dated struct {
	after time.Duration
	items []int
}

// collect starts a loop over Batches and returns a function that ends the queue
// and returns the batches.
func collect(ctx context.Context, q *queue.Queue[int], size int, linger time.Duration) (batches func() []dated) {
	began := time.Now()
	var all []dated
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for batch := range q.Batches(ctx, size, linger) {
			all = append(all, dated{time.Since(began), slices.Clone(batch)})
		}
	}()
	synctest.Wait()
	return func() []dated {
		q.Shutdown(false)
		<-ended
		return all
	}
}

func TestBatchesYieldsQueuedItemsInOrderInBatchesOfTheSize(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, size := range []int{1, 3, 7, 8, math.MaxInt} {
			q := o.filled(t, 10, 7)
			q.Shutdown(false)
			var got []int
			for batch := range q.Batches(background, size, time.Hour) {
				require.EqualValues(t, len(got), q.Stats().Done, "a batch is done after its turn, not before")
				require.Len(t, batch, min(size, 7-len(got)))
				got = append(got, batch...)
			}
			require.Equal(t, o.leave(upTo(7)...), got)
			require.EqualValues(t, 7, q.Stats().Done)
			check(t, q)
		}
	})
}

func TestBatchesPanicsAtTheCallIfTheSizeIsLessThanOne(t *testing.T) {
	q := queue.New[int](1)
	for _, size := range []int{0, -1} {
		require.Panics(t, func() { q.Batches(background, size, 0) })
	}
}

func TestBatchesLingersFromTheFirstItemAndNoLonger(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(10)
			batches := collect(background, q, 100, 10*time.Second)
			for i := range 4 { // the last one comes before the first batch is due
				time.Sleep(3 * time.Second)
				require.NoError(t, q.TryPut(i+1))
				require.Equal(t, 1, q.Stats().GetWaiting)
				require.Zero(t, q.Len(), "an item was not handed over")
			}
			time.Sleep(time.Minute)
			require.EqualValues(t, 2, q.Stats().GetBlocked, "a turn counts once")
			require.NoError(t, q.TryPut(5))
			time.Sleep(time.Minute)
			require.Equal(t, []dated{{13 * time.Second, upTo(4)}, {82 * time.Second, []int{5}}}, batches())
			check(t, q)
		})
	})
}

func TestBatchesLingersOverItemsThatWereQueuedBefore(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 10, 2)
			batches := collect(background, q, 3, 10*time.Second)
			time.Sleep(4 * time.Second)
			require.NoError(t, q.TryPut(3))
			time.Sleep(time.Second)
			_, err := q.TryPutBatch([]int{4, 5})
			require.NoError(t, err)
			time.Sleep(time.Minute)
			first := append(o.leave(1, 2), 3)
			require.Equal(t, []dated{{4 * time.Second, first}, {15 * time.Second, []int{4, 5}}}, batches())
		})
	})
}

func TestBatchesNeverWaitsForMoreWithoutLinger(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, linger := range []time.Duration{0, -time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				q := o.make(10)
				batches := collect(background, q, 3, linger)
				require.NoError(t, q.TryPut(1))
				synctest.Wait()
				require.NoError(t, q.TryPut(2))
				synctest.Wait()
				require.Equal(t, []dated{{0, []int{1}}, {0, []int{2}}}, batches())
			})
		}
	})
}

func TestBatchesYieldsWhatIsInHandWhateverEndsTheWait(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, end := range map[string]func(q *queue.Queue[int], cancel func()){
			"the context":         func(_ *queue.Queue[int], cancel func()) { cancel() },
			"a graceful shutdown": func(q *queue.Queue[int], _ func()) { q.Shutdown(false) },
			"an immediate shutdown": func(q *queue.Queue[int], _ func()) {
				assert.Empty(t, q.Shutdown(true), "items in hand are not drained")
			},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.make(10)
					ctx, cancel := context.WithCancel(background)
					defer cancel()
					batches := collect(ctx, q, 3, time.Hour)
					require.NoError(t, q.TryPut(1))
					require.NoError(t, q.TryPut(2))
					time.Sleep(time.Minute)
					require.Zero(t, q.Stats().Done)
					end(q, cancel)
					synctest.Wait()
					require.Zero(t, q.Stats().GetWaiting)
					require.Zero(t, q.Stats().Unfinished)
					require.Equal(t, []dated{{time.Minute, []int{1, 2}}}, batches())
					check(t, q)
				})
			})
		}
		t.Run("a context whose Err stays nil", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := o.make(10)
				done := make(chan struct{})
				ctx := misbehavingContext{background, func() <-chan struct{} { return done }, func() error { return nil }}
				turns := 0
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range q.Batches(ctx, 3, time.Hour) {
						turns++
					}
				}()
				synctest.Wait()
				require.NoError(t, q.TryPut(1))
				close(done)
				<-ended
				require.Equal(t, 1, turns)
				require.Zero(t, q.Stats().Unfinished)
			})
		})
	})
}

func TestBatchesDoesNotLingerInATurnThatBeginsAfterAShutdown(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 10, 4)
			q.Shutdown(false)
			began := time.Now()
			for range q.Batches(background, 3, time.Hour) {
			}
			require.Zero(t, time.Since(began))
			require.EqualValues(t, 4, q.Stats().Done)
		})
	})
}

func TestBatchesOfTwoLoopsFedByATrickleFillOneAfterTheOther(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(10)
			first := collect(background, q, 3, time.Hour)
			second := collect(background, q, 3, time.Hour)
			late := make(chan int, 1)
			go func() {
				item, _ := q.Get(background)
				late <- item
			}()
			synctest.Wait()
			require.Equal(t, 3, q.Stats().GetWaiting)
			for i := range 7 {
				require.NoError(t, q.TryPut(i+1))
				if i != 2 && i != 5 { // a full batch is done, and its loop goes to the end of the line
					time.Sleep(time.Second)
				}
			}
			synctest.Wait()
			require.Equal(t, 7, <-late)
			q.Shutdown(false)
			require.Equal(t, []dated{{2 * time.Second, []int{1, 2, 3}}}, first())
			require.Equal(t, []dated{{4 * time.Second, []int{4, 5, 6}}}, second())
		})
	})
}

func TestBatchesAreFilledByPutBatchTheFirstInLineFirst(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, put := range map[string]func(q *queue.Queue[int], items []int) (int, error){
			"PutBatch":    func(q *queue.Queue[int], items []int) (int, error) { return q.PutBatch(background, items) },
			"TryPutBatch": func(q *queue.Queue[int], items []int) (int, error) { return q.TryPutBatch(items) },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.make(10)
					first := collect(background, q, 3, time.Hour)
					second := collect(background, q, 3, time.Hour)
					_, err := put(q, []int{5, 4, 3, 2})
					require.NoError(t, err)
					synctest.Wait()
					require.Equal(t, 2, q.Stats().GetWaiting)
					q.Shutdown(false)
					require.Equal(t, []dated{{0, []int{5, 4, 3}}}, first())
					require.Equal(t, []dated{{0, []int{2}}}, second())
				})
			})
		}
	})
}

func TestBatchesTakesWhatItsFreedSlotsLetIn(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 2, 2)
			for i := range 2 {
				go func() { assert.NoError(t, q.Put(background, i+3)) }()
				synctest.Wait()
			}
			batches := collect(background, q, 5, time.Second)
			require.Zero(t, q.Len())
			require.Zero(t, q.Stats().PutWaiting)
			require.Equal(t, 1, q.Stats().GetWaiting)
			time.Sleep(time.Second)
			require.Equal(t, []dated{{time.Second, append(o.leave(1, 2), o.leave(3, 4)...)}}, batches())
		})
	})
}

func TestBatchesMarksItsItemsDoneWhenTheBodyLeaves(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, leave := range map[string]func(q *queue.Queue[int]){
			"by a break": func(q *queue.Queue[int]) {
				for range q.Batches(background, 2, 0) {
					break
				}
			},
			"by a panic": func(q *queue.Queue[int]) {
				for range q.Batches(background, 2, 0) {
					panic("body")
				}
			},
			"by Goexit": func(q *queue.Queue[int]) {
				for range q.Batches(background, 2, 0) {
					runtime.Goexit()
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				q := o.filled(t, 10, 3)
				attempt(func() { leave(q) })
				s := q.Stats()
				require.EqualValues(t, 2, s.Done)
				require.Equal(t, 1, s.Unfinished)
				check(t, q)
			})
		}
	})
}

func TestBatchesTakesOffNoMoreThanIsUnfinished(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 10, 4)
		for range q.Batches(background, 3, 0) {
			if q.Empty() {
				break
			}
			require.NoError(t, q.TaskDoneN(2)) //queuevet:ignore the two that are left are the loop's to take off
		}
		require.Zero(t, q.Stats().Unfinished)
		require.EqualValues(t, 4, q.Stats().Done)
		check(t, q)
	})
}

func TestBatchesReleasesAJoinAsItMarksTheLastBatchDone(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(10)
			batches := collect(background, q, 2, time.Hour)
			require.NoError(t, q.TryPut(1))
			joined := make(chan error, 1)
			go func() { joined <- q.Join(background) }()
			synctest.Wait()
			require.Empty(t, joined, "the batch is not yielded yet")
			require.NoError(t, q.TryPut(2))
			require.NoError(t, <-joined)
			require.Len(t, batches(), 1)
		})
	})
}

func TestBatchesClearsTheSliceAtTheNextTurnAndWhenItEndsByItself(t *testing.T) {
	q := queue.New[*int](10)
	for range 3 {
		require.NoError(t, q.TryPut(new(int)))
	}
	q.Shutdown(false)
	var kept [][]*int
	for batch := range q.Batches(background, 2, 0) {
		for _, old := range kept {
			require.Nil(t, old[1], "the turn before had two items, this one has one")
		}
		require.NotContains(t, batch, (*int)(nil))
		require.Equal(t, len(batch), cap(batch), "an append would write into the loop's array")
		kept = append(kept, batch) //queuevet:ignore the test is of what happens to a slice that is kept
	}
	require.Len(t, kept, 2)
	for _, batch := range kept {
		for _, item := range batch {
			require.Nil(t, item)
		}
	}
}

func TestBatchesCanBeRangedOverAgainWithTheSameIterator(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 10, 4)
		loop := q.Batches(background, 2, 0)
		var got []int
		for range 2 {
			for batch := range loop {
				got = append(got, batch...)
				break
			}
		}
		require.Equal(t, o.leave(upTo(4)...), got)
		require.Zero(t, q.Stats().Unfinished)
	})
}

func TestBatchesLoopsDoNotAllocateATurnInTheSteadyState(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	forEachOrder(t, func(t *testing.T, o order) {
		for name, linger := range map[string]time.Duration{"lingering": time.Hour, "not lingering": 0} {
			t.Run(name, func(t *testing.T) {
				q := o.make(100)
				turns := make(chan int)
				go func() {
					defer close(turns)
					for batch := range q.Batches(background, 8, linger) {
						turns <- len(batch)
					}
				}()
				batch := upTo(8)
				turn := func() {
					_, _ = q.TryPutBatch(batch)
					for n := 0; n < len(batch); {
						n += <-turns
					}
				}
				for range 300 {
					turn()
				}
				require.Zero(t, allocs(200, turn))
				q.Shutdown(false)
				<-turns
			})
		}
	})
}

// The items that a turn takes first must not be lost if compare fails over those
// that they let in.
func TestBatchesYieldsWhatItTookBeforeCompareFailed(t *testing.T) {
	const size = 5
	for n := 0; ; n++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			f := &fuse{left: -1, fail: failures["panics"]}
			q := queue.NewPriority(size, f.compare)
			for i := range size {
				require.NoError(t, q.TryPut(i+1))
			}
			var ended atomic.Int64
			for i := range size {
				go func() {
					value, _ := attempt(func() { _ = q.Put(background, i+size+1) })
					assert.Contains(t, []any{nil, "compare failed"}, value)
					ended.Add(1)
				}()
				synctest.Wait()
			}
			f.left = n
			var got []int
			begin := time.Now()
			value, _ := attempt(func() {
				for batch := range q.Batches(background, 2*size, time.Second) {
					got = append(got, batch...)
					break
				}
			})
			done = !f.blown
			f.left = -1
			if value != nil {
				require.Equal(t, "compare failed", value)
				require.Zero(t, time.Since(begin), "a loop that is to panic does not linger")
			}
			check(t, q)
			s := q.Stats()
			require.EqualValues(t, s.Put, len(got)+s.Len)
			require.Equal(t, s.Len, s.Unfinished, "what was yielded is done")
			for {
				item, err := q.TryGet()
				if err != nil {
					break
				}
				got = append(got, item)
				synctest.Wait()
			}
			synctest.Wait()
			require.EqualValues(t, size, ended.Load(), "a Put is blocked still")
			check(t, q)
			require.EqualValues(t, q.Stats().Put, len(got))
			require.GreaterOrEqual(t, len(got), 2*size-1, "one Put at the most panicked")
			require.True(t, slices.IsSorted(got), "%v", got)
		})
		if done {
			require.Greater(t, n, 10, "compare did not get to fail over the items that were let in")
			return
		}
	}
}
