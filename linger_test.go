package queue_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// A loop over batches has one timer. It must run while a batch has items, and
// at no other time: one that goes on ends a later turn.
func TestBatchesLingerEndsNoLaterTurn(t *testing.T) {
	const linger = 10 * time.Second
	forEachOrder(t, func(t *testing.T, o order) {
		for name, first := range map[string]func(q *queue.Queue[int]) (before time.Duration, items []int){
			"a turn without an item for long": func(*queue.Queue[int]) (time.Duration, []int) {
				return 0, nil
			},
			"a batch that came full": func(q *queue.Queue[int]) (time.Duration, []int) {
				_, _ = q.TryPutBatch([]int{1, 2})
				return 0, []int{1, 2}
			},
			"a batch that was filled while it lingered": func(q *queue.Queue[int]) (time.Duration, []int) {
				_ = q.TryPut(1)
				time.Sleep(linger / 2)
				_ = q.TryPut(2)
				return linger / 2, []int{1, 2}
			},
			"a batch that was queued before": nil,
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.make(10)
					began := time.Now()
					var want []dated
					if first == nil {
						require.NoError(t, q.TryPut(1))
					}
					batches := collect(background, q, 2, linger)
					if first == nil {
						require.NoError(t, q.TryPut(2))
						want = append(want, dated{0, []int{1, 2}})
					} else if took, items := first(q); items != nil {
						want = append(want, dated{took, items})
					}
					time.Sleep(2 * time.Minute)
					require.Equal(t, 1, q.Stats().GetWaiting, "the loop has ended")
					came := time.Since(began)
					require.NoError(t, q.TryPut(3))
					time.Sleep(time.Minute)
					require.Equal(t, append(want, dated{came + linger, []int{3}}), batches())
					require.EqualValues(t, len(batches())+1, q.Stats().GetBlocked, "a turn blocked twice")
					check(t, q)
				})
			})
		}
	})
}

func TestBatchesWaitsForMoreAfterAPutBatchThatLeavesItUnfinished(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, put := range map[string]func(q *queue.Queue[int], items []int) (int, error){
			"PutBatch":    func(q *queue.Queue[int], items []int) (int, error) { return q.PutBatch(background, items) },
			"TryPutBatch": func(q *queue.Queue[int], items []int) (int, error) { return q.TryPutBatch(items) },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.make(10)
					batches := collect(background, q, 5, time.Minute)
					for _, items := range [][]int{{1, 2}, {3, 4}, {5}} {
						_, err := put(q, items)
						require.NoError(t, err)
						time.Sleep(time.Second)
					}
					require.Equal(t, []dated{{2 * time.Second, upTo(5)}}, batches())
					require.EqualValues(t, 2, q.Stats().GetBlocked)
				})
			})
		}
	})
}

// The loop saw that its context is done, whatever Err says of it.
func TestBatchesEndsAfterTheBatchInHandWhereDoneIsClosedAndErrIsNil(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(10)
			done := make(chan struct{})
			ctx := misbehavingContext{background, func() <-chan struct{} { return done }, func() error { return nil }}
			var turns [][]int
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for batch := range q.Batches(ctx, 3, time.Hour) {
					turns = append(turns, slices.Clone(batch))
					_ = q.TryPut(2)
				}
			}()
			synctest.Wait()
			require.NoError(t, q.TryPut(1))
			close(done)
			<-ended
			require.Equal(t, [][]int{{1}}, turns)
			require.Equal(t, []int{2}, empty(q))
			check(t, q)
		})
	})
}

func TestBatchesLingersOverAnItemThatWasQueuedBeforeItsTurn(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 10, 1)
			batches := collect(background, q, 3, 10*time.Second)
			time.Sleep(time.Minute)
			require.EqualValues(t, 1, q.Stats().Done)
			require.Equal(t, []dated{{10 * time.Second, []int{1}}}, batches())
		})
	})
}

func TestBatchesLingersANanosecond(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(10)
			batches := collect(background, q, 3, 1)
			for i := range 2 {
				require.NoError(t, q.TryPut(i+1))
				synctest.Wait()
			}
			time.Sleep(time.Second)
			require.NoError(t, q.TryPut(3))
			time.Sleep(time.Second)
			require.Equal(t, []dated{{1, []int{1, 2}}, {time.Second + 1, []int{3}}}, batches())
		})
	})
}

// fullQueue returns a priority queue of 0, 1, 2 and so on, with Puts of the numbers
// that follow blocked on it, and a count of those that panic.
func fullQueue(t *testing.T, f *fuse, capacity, puts int) (q *queue.Queue[int], failed *atomic.Int64) {
	q, failed = queue.NewPriority(capacity, f.compare), new(atomic.Int64)
	for i := range capacity {
		require.NoError(t, q.TryPut(i))
	}
	for i := range puts {
		go func() {
			if value, _ := attempt(func() { _ = q.Put(background, capacity+i) }); value != nil {
				failed.Add(1)
			}
		}()
		synctest.Wait()
	}
	return q, failed
}

// compare fails at each of its calls in turn as a turn takes what is queued and
// what that lets in: the panic is the loop's, once its batch is done, or that of
// the Put whose item was compared.
func TestBatchesPanicsWhereCompareFailedOverItsItems(t *testing.T) {
	byLoop, byPut := 0, 0
	for n := 0; ; n++ {
		blown := false
		synctest.Test(t, func(t *testing.T) {
			f := &fuse{left: -1, fail: failures["panics"]}
			q, puts := fullQueue(t, f, 4, 4)
			defer func() {
				f.left = -1
				_ = q.Shutdown(true)
			}()
			f.left = n
			var taken []int
			value, _ := attempt(func() {
				for batch := range q.Batches(background, 8, 0) {
					taken = append(taken, batch...)
					f.left = -1
					if len(taken) == 8 {
						return
					}
					q.Shutdown(false)
				}
			})
			synctest.Wait()
			if blown = f.blown; !blown {
				return
			}
			require.EqualValues(t, 1, puts.Load()+map[bool]int64{true: 1}[value != nil], "compare failed at call %d", n)
			if value != nil {
				require.Equal(t, "compare failed", value)
				byLoop++
			} else {
				byPut++
			}
			require.EqualValues(t, len(taken), q.Stats().Done)
			check(t, q)
			f.left = -1
			all := append(taken, empty(q)...)
			require.EqualValues(t, q.Stats().Put, len(all))
			slices.Sort(all)
			require.Len(t, slices.Compact(all), len(all), "an item is there twice, another is gone")
		})
		if !blown {
			break
		}
	}
	require.Positive(t, byLoop)
	require.Positive(t, byPut)
}

// Goexit ends the loop with the items that the turn has taken, as NewPriority
// says, and nothing else: the rest of the queue is as if they had left it.
func TestBatchesLeavesTheQueueWholeWhereCompareEndsItsGoroutine(t *testing.T) {
	later := 0 // calls of compare that failed after the turn had taken items
	for n := 0; ; n++ {
		blown := false
		synctest.Test(t, func(t *testing.T) {
			f := &fuse{left: -1, fail: failures["calls Goexit"]}
			q, failed := fullQueue(t, f, 4, 10)
			ready := q.Ready()
			<-ready
			f.left = n
			_, ended := attempt(func() {
				for range q.Batches(background, 7, 0) {
					break
				}
			})
			f.left = -1
			if blown = f.blown; !blown {
				require.True(t, ended)
				_ = q.Shutdown(true)
				return
			}
			synctest.Wait()
			check(t, q)
			s := q.Stats()
			require.Equal(t, 4, s.Len, "what the turn took lets others in")
			require.EqualValues(t, 10-failed.Load()-int64(s.PutWaiting), s.Put-4)
			require.Len(t, ready, 1, "items are queued")
			if s.Got > 4 {
				later++
			}
			var rest []int
			for {
				item, err := q.TryGet()
				if err != nil {
					break
				}
				rest = append(rest, item)
				synctest.Wait()
			}
			require.Len(t, rest, int(q.Stats().Put-s.Got))
			require.True(t, slices.IsSorted(rest), "%v", rest)
			check(t, q)
		})
		if !blown {
			break
		}
	}
	require.Positive(t, later)
}
