package keyed_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/stretchr/testify/require"
)

func brief(most int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(background, time.Duration(rand.IntN(most))*time.Microsecond)
}

// A tally records how often each value left a queue.
type tally struct {
	mu   sync.Mutex
	left map[int]int
}

func (l *tally) add(value int) {
	l.mu.Lock()
	l.left[value]++
	l.mu.Unlock()
}

func (l *tally) requireEachOnce(t *testing.T, values int) {
	t.Helper()
	require.Len(t, l.left, values)
	for value, times := range l.left {
		require.Equal(t, 1, times, "value %d", value)
	}
}

func TestEachValueOfLatestLeavesOnceThoughContextsEndAsItIsHandedOver(t *testing.T) {
	var q keyed.Latest[int, int]
	left := tally{left: map[int]int{}}
	const producers, keys = 3, 4
	rounds := stressRounds(3000)
	var puts, gets sync.WaitGroup
	for p := range producers {
		puts.Go(func() {
			for i := range rounds {
				old, replaced, err := q.Put(rand.IntN(keys), i*producers+p)
				if replaced {
					left.add(old)
				}
				require.NoError(t, err)
			}
		})
	}
	stop, end := context.WithCancel(background)
	for range 2 {
		gets.Go(func() {
			for stop.Err() == nil {
				ctx, cancel := brief(20)
				if _, value, err := q.Get(ctx); err == nil {
					left.add(value)
					_ = q.TaskDone()
				}
				cancel()
			}
		})
		gets.Go(func() {
			for _, value := range q.Tasks(stop) {
				left.add(value)
			}
		})
	}
	within(time.Minute, puts.Wait)
	within(time.Minute, func() { _ = q.Join(background) })
	end()
	within(time.Minute, gets.Wait)
	require.Zero(t, q.Len())
	left.requireEachOnce(t, rounds*producers)
	s := q.Stats()
	require.Equal(t, s.Put, s.Got+s.Dropped)
	require.NoError(t, q.CheckInvariants())
}

// The Get is handed its value, and its context ends before its goroutine runs.
func TestAGetThatCompletedKeepsItsValueThoughItsContextEnds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 20 {
		forEachSubject(t, 1, func(t *testing.T, q subject) {
			ctx, cancel := context.WithCancel(background)
			got := 0
			var err error
			go func() { _, got, err = q.Get(ctx) }()
			synctest.Wait()
			_, _, putErr := q.put(background, 1, 5, false)
			cancel()
			require.NoError(t, putErr)
			synctest.Wait()
			require.NoError(t, err)
			require.Equal(t, 5, got)
			require.NoError(t, q.done(1))
			require.Equal(t, queue.Stats{Cap: q.Stats().Cap, Put: 1, Got: 1, Done: 1, GetBlocked: 1}, q.Stats())
		})
	}
}

// Producers whose Puts give up, workers of either kind, and a shutdown in the
// midst of it. Each key's items come from one producer, in ascending order.
func TestItemsOfAKeyLeaveInOrderOnceAndSerialOnesOneByOne(t *testing.T) {
	for _, k := range kinds {
		for _, perKey := range []int{0, 1, 3} {
			for _, immediate := range []bool{false, true} {
				q := k.make(perKey)
				const producers, keysEach = 3, 3
				var inHand, last [producers * keysEach]atomic.Int64
				put, left := tally{left: map[int]int{}}, tally{left: map[int]int{}}
				began := func(key, value int) {
					left.add(value)
					if k.name == "serial" {
						require.EqualValues(t, 1, inHand[key].Add(1), "two items of a key in hand")
						require.Less(t, last[key].Swap(int64(value)), int64(value), "items of a key out of order")
						inHand[key].Add(-1)
					}
				}
				rounds := stressRounds(2000)
				var all sync.WaitGroup
				for p := range producers {
					all.Go(func() {
						for i := range rounds {
							key, value := p*keysEach+rand.IntN(keysEach), (i+1)*producers+p
							ctx, cancel := brief(50)
							if q.Put(ctx, key, value) == nil || q.TryPut(key, value) == nil {
								put.add(value)
							}
							cancel()
						}
					})
				}
				var workers sync.WaitGroup
				for range 2 {
					workers.Go(func() {
						for key, value := range q.Tasks(background) {
							began(key, value)
						}
					})
					workers.Go(func() {
						for !q.Stats().Shutdown {
							ctx, cancel := brief(30)
							key, value, err := q.Get(ctx)
							if err == nil {
								began(key, value)
								require.NoError(t, q.TaskDone(key))
							}
							cancel()
						}
					})
				}
				within(time.Minute, func() {
					if immediate {
						time.Sleep(time.Millisecond)
					} else {
						all.Wait()
						_ = q.Join(background)
					}
					for _, e := range q.Shutdown(immediate) {
						left.add(e.Value)
					}
					all.Wait()
					workers.Wait()
					require.NoError(t, q.Join(background))
				})
				require.Zero(t, q.Len())
				require.Equal(t, put.left, left.left)
				left.requireEachOnce(t, len(put.left))
				require.NoError(t, q.CheckInvariants())
			}
		}
	}
}

// As many as are put into a queue of one item a key by each of two, in turn.
func TestNoWakeUpOfABlockedPutIsLost(t *testing.T) {
	for _, k := range kinds {
		q := k.make(1)
		rounds := stressRounds(3000)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range rounds {
					require.NoError(t, q.Put(background, i%2, i))
				}
			})
		}
		for range 2 {
			all.Go(func() {
				for range rounds * 2 {
					key, _, err := q.Get(background)
					require.NoError(t, err)
					require.NoError(t, q.TaskDone(key))
				}
			})
		}
		within(time.Minute, all.Wait)
		require.NoError(t, q.CheckInvariants())
	}
}
