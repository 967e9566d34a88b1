package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stressRounds returns how many rounds a test of chance runs: n, times what the
// environment variable QUEUE_STRESS says.
func stressRounds(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("QUEUE_STRESS")); err == nil {
		return n * factor
	}
	if testing.Short() {
		return max(n/10, 1)
	}
	return n
}

// within runs f. If f takes too long, it ends the program with the stacks of all
// goroutines.
func within(limit time.Duration, f func()) {
	watchdog := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic("a call hangs")
	})
	defer watchdog.Stop()
	f()
}

func TestNoItemIsLostOrDoubledThoughContextsEndAsItIsHandedOver(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, capacity := range []int{queue.Unbounded, 1, 3} {
			q := o.make(capacity)
			const callers = 4
			rounds := stressRounds(2000)
			var put, got [callers][]int
			brief := func(most int) (context.Context, context.CancelFunc) {
				return context.WithTimeout(background, time.Duration(rand.IntN(most))*time.Microsecond)
			}
			var all sync.WaitGroup
			for c := range callers {
				all.Go(func() {
					for i := range rounds {
						most := 20
						if len(put[c]) == 0 { // more, until it is enough for something to go in
							most *= i + 1
						}
						ctx, cancel := brief(most)
						items := []int{c + 1 + callers*(2*i), c + 1 + callers*(2*i+1)}
						if i%3 == 0 {
							n, _ := q.PutBatch(ctx, items)
							put[c] = append(put[c], items[:n]...)
						} else if q.Put(ctx, items[0]) == nil {
							put[c] = append(put[c], items[0])
						}
						cancel()
					}
				})
				all.Go(func() {
					dst := make([]int, 3)
					for i := range rounds {
						ctx, cancel := brief(20)
						if i%3 == 0 {
							n, _ := q.GetBatch(ctx, dst)
							got[c] = append(got[c], dst[:n]...)
						} else if item, err := q.Get(ctx); err == nil {
							got[c] = append(got[c], item)
						}
						cancel()
					}
				})
			}
			within(time.Minute, all.Wait)
			check(t, q)
			everything := slices.Sorted(slices.Values(slices.Concat(put[:]...)))
			found := slices.Sorted(slices.Values(append(slices.Concat(got[:]...), q.Shutdown(true)...)))
			require.Equal(t, everything, found)
			require.NotEmpty(t, found)
			s := q.Stats()
			require.EqualValues(t, len(found), s.Put)
		}
	})
}

// One slot is freed, or one item put, when the first of two parked calls has been
// cancelled, is being cancelled, or has not been yet: the second call goes on if
// the first did not use it.
func TestACancelledCallSwallowsNoWakeUp(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, gets := range []bool{false, true} {
			for _, event := range []string{"gone", "cancelled", "served"} {
				t.Run(fmt.Sprintf("gets %v, the first was %s", gets, event), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						q := o.make(1)
						call := func(ctx context.Context, item int) error { return q.Put(ctx, item) }
						serve := func() { _, _ = q.TryGet() }
						if gets {
							call = func(ctx context.Context, _ int) error {
								_, err := q.Get(ctx)
								return err
							}
							serve = func() { _ = q.TryPut(9) }
						} else {
							require.NoError(t, q.TryPut(1))
						}
						ctx, cancel := context.WithCancel(background)
						defer cancel()
						first, second := make(chan error, 1), make(chan error, 1)
						go func() { first <- call(ctx, 2) }()
						synctest.Wait()
						go func() { second <- call(background, 3) }()
						synctest.Wait()
						if event != "served" {
							cancel()
						}
						if event == "gone" {
							synctest.Wait()
						}
						serve()
						cancel()
						synctest.Wait()
						check(t, q)
						switch err := <-first; event {
						case "gone":
							require.Equal(t, context.Canceled, err)
						case "served":
							require.NoError(t, err, "a call that was served keeps what it was given")
							require.Empty(t, second)
							serve()
						default:
							if err == nil {
								serve() // it was served before it saw the cancellation
							}
						}
						require.NoError(t, <-second)
					})
				})
			}
		}
	})
}

func TestACallBlockedBehindACancelledOneCompletes(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(1)
			get := func(ctx context.Context) chan error {
				returned := make(chan error, 1)
				go func() {
					_, err := q.Get(ctx)
					returned <- err
				}()
				synctest.Wait()
				return returned
			}
			ctx, cancel := context.WithCancel(background)
			first, last := get(background), get(ctx)
			cancel()
			require.Equal(t, context.Canceled, <-last)
			behind := get(background)
			require.NoError(t, q.TryPut(1))
			require.NoError(t, q.TryPut(2))
			synctest.Wait()
			check(t, q)
			require.Len(t, first, 1)
			require.Len(t, behind, 1)
		})
	})
}

// A contextThatEnds ends just when the call that parks asks for its channel.
type contextThatEnds struct {
	context.Context
	end context.CancelFunc
}

func (c contextThatEnds) Done() <-chan struct{} {
	c.end()
	return c.Context.Done()
}

func TestAContextThatEndsAsTheCallParksIsSeen(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, call := range map[string]func(q *queue.Queue[int], ctx context.Context) error{
			"Put": func(q *queue.Queue[int], ctx context.Context) error {
				_ = q.TryPut(1)
				return q.Put(ctx, 2)
			},
			"Get": func(q *queue.Queue[int], ctx context.Context) error {
				_, err := q.Get(ctx)
				return err
			},
			"PutBatch": func(q *queue.Queue[int], ctx context.Context) error {
				n, err := q.PutBatch(ctx, upTo(2))
				assert.Equal(t, 1, n)
				return err
			},
			"GetBatch": func(q *queue.Queue[int], ctx context.Context) error {
				_, err := q.GetBatch(ctx, make([]int, 2))
				return err
			},
			"Join": func(q *queue.Queue[int], ctx context.Context) error {
				_ = q.TryPut(1)
				return q.Join(ctx)
			},
		} {
			t.Run(name, func(t *testing.T) {
				q := o.make(1)
				ctx, cancel := context.WithCancel(background)
				within(time.Minute, func() {
					require.Equal(t, context.Canceled, call(q, contextThatEnds{ctx, cancel}))
				})
				check(t, q)
			})
		}
	})
}

// The call finds both that it was served and that its context has ended, and may
// look at either first.
func TestACallThatCompletedKeepsItsResultThoughItsContextEnds(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for range 100 {
			q := o.make(1)
			served := func(serve func()) context.Context {
				ctx, cancel := context.WithCancel(background)
				return contextThatEnds{ctx, func() {
					serve()
					cancel()
				}}
			}
			item, err := q.Get(served(func() { assert.NoError(t, q.TryPut(1)) }))
			require.NoError(t, err)
			require.Equal(t, 1, item)
			require.NoError(t, q.TryPut(2))
			require.NoError(t, q.Put(served(func() { _, _ = q.TryGet() }), 3))
			require.Equal(t, []int{3}, empty(q))
			require.NoError(t, q.Join(served(func() { assert.NoError(t, q.TaskDoneN(3)) })))
			check(t, q)
		}
	})
}

// A nosyContext looks at the queue when it is asked why it ended.
type nosyContext struct {
	context.Context
	q *queue.Queue[int]
}

func (c nosyContext) Err() error {
	_ = c.q.Len()
	return c.Context.Err()
}

func TestAContextMayCallTheQueue(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(1)
			ctx, cancel := context.WithCancel(background)
			var err error
			go func() { _, err = q.Get(nosyContext{ctx, q}) }()
			synctest.Wait()
			cancel()
			synctest.Wait()
			require.Equal(t, context.Canceled, err)
		})
	})
}

func TestManyCallsCancelledAndCompletedAtOnceAllReturn(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for range stressRounds(20) {
			q := o.make(1)
			require.NoError(t, q.TryPut(1))
			ctx, cancel := context.WithCancel(background)
			var all sync.WaitGroup
			const callers = 100
			for i := range callers {
				all.Go(func() { _ = q.Put(ctx, i) })
				all.Go(func() { _, _ = q.Get(ctx) })
				all.Go(func() { _ = q.Join(ctx) })
			}
			all.Go(func() {
				for range callers / 2 {
					_ = q.TaskDone()
					_, _ = q.TryGet()
				}
			})
			all.Go(cancel)
			within(time.Minute, all.Wait)
			check(t, q)
			s := q.Stats()
			require.Zero(t, s.PutWaiting+s.GetWaiting)
		}
	})
}

// Each call is served just after it was cancelled.
func TestBlockedCallsCancelledAndCompletedAtOnceAllReturn(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		const callers = 50
		for name, do := range map[string]struct {
			call  func(q *queue.Queue[int], ctx context.Context)
			serve func(q *queue.Queue[int])
		}{
			"Get, by a Put each": {
				func(q *queue.Queue[int], ctx context.Context) { _, _ = q.Get(ctx) },
				func(q *queue.Queue[int]) { _ = q.TryPut(1) },
			},
			"Get, by a batch": {
				func(q *queue.Queue[int], ctx context.Context) { _, _ = q.Get(ctx) },
				func(q *queue.Queue[int]) { _, _ = q.PutBatch(background, upTo(2)) },
			},
			"Get, by a Shutdown": {
				func(q *queue.Queue[int], ctx context.Context) { _, _ = q.Get(ctx) },
				func(q *queue.Queue[int]) { q.Shutdown(false) },
			},
			"Put, by a Get each": {
				func(q *queue.Queue[int], ctx context.Context) { _ = q.Put(ctx, 1) },
				func(q *queue.Queue[int]) { _, _ = q.TryGet() },
			},
			"Join, by the last TaskDone": {
				func(q *queue.Queue[int], ctx context.Context) { _ = q.Join(ctx) },
				func(q *queue.Queue[int]) { _ = q.TaskDone() },
			},
		} {
			t.Run(name, func(t *testing.T) {
				for range stressRounds(20) {
					q := o.make(2 * callers) // room for all that is put, though every call leaves in time
					switch kind, _, _ := strings.Cut(name, ","); kind {
					case "Put":
						q = o.filled(t, callers, callers)
					case "Join":
						require.NoError(t, q.TryPut(1))
					}
					var cancels [callers]context.CancelFunc
					var all sync.WaitGroup
					for i := range callers {
						var ctx context.Context
						ctx, cancels[i] = context.WithCancel(background)
						all.Go(func() { do.call(q, ctx) })
						for s := q.Stats(); s.PutWaiting+s.GetWaiting+q.JoinWaiting() <= i; s = q.Stats() {
							runtime.Gosched()
						}
					}
					within(time.Minute, func() {
						for _, cancel := range cancels {
							cancel() // of the call that is first in line, which has no time to leave it
							do.serve(q)
						}
						all.Wait()
					})
					check(t, q)
				}
			})
		}
	})
}

// Calls of different kinds are blocked together; each event releases all of those
// that it enables, and no others.
func TestEachEventReleasesThoseItEnables(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 1, 1)
			var puts, joins, gets atomic.Int32
			for range 3 {
				go func() {
					if q.Put(background, 2) == nil {
						puts.Add(1)
					}
				}()
				go func() {
					if q.Join(background) == nil {
						joins.Add(1)
					}
				}()
			}
			expect := func(wantPuts, wantJoins, wantGets int32) {
				t.Helper()
				synctest.Wait()
				check(t, q)
				require.Equal(t, []int32{wantPuts, wantJoins, wantGets}, []int32{puts.Load(), joins.Load(), gets.Load()})
			}
			expect(0, 0, 0)
			_, _ = q.TryGet()
			expect(1, 0, 0)
			require.NoError(t, q.TaskDone())
			expect(1, 0, 0)
			require.NoError(t, q.TaskDone()) // for an item that still waits: none is unfinished
			expect(1, 3, 0)
			for range 3 {
				_, _ = q.TryGet()
				synctest.Wait()
			}
			expect(3, 3, 0)
			for range 3 {
				go func() {
					if _, err := q.Get(background); err == nil {
						gets.Add(1)
					}
				}()
			}
			go func() {
				if q.Join(background) == nil {
					joins.Add(1)
				}
			}()
			expect(3, 3, 0)
			require.NoError(t, q.TaskDoneN(2))
			expect(3, 4, 0)
			n, err := q.PutBatch(background, []int{1, 2})
			require.Equal(t, 2, n)
			require.NoError(t, err)
			expect(3, 4, 2)
			q.Shutdown(false)
			expect(3, 4, 2)
		})
	})
}

func TestEveryPutInAStormOfShutdownsIsInOrRefused(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for round := range stressRounds(200) {
			q := o.make(round % 4)
			var in, out atomic.Int64
			var isShutDown atomic.Bool
			var all sync.WaitGroup
			for i := range 10 {
				all.Go(func() {
					for {
						late := isShutDown.Load()
						var err error
						switch i % 5 {
						case 0:
							err = q.Put(background, i)
						case 1:
							err = q.TryPut(i)
						case 2:
							var n int
							n, err = q.PutBatch(background, []int{i, i, i})
							in.Add(int64(n))
						case 3:
							_, err = q.Get(background)
							if err == nil {
								out.Add(1)
							}
						case 4:
							var evicted bool
							runtime.Gosched() // this one never waits
							_, evicted, err = q.ForcePut(i)
							if evicted {
								out.Add(1)
							}
						}
						if err == queue.ErrFull {
							continue
						}
						if err != nil {
							assert.Equal(t, queue.ErrShutdown, err)
							return
						}
						if late && i%5 != 3 {
							t.Error("an item went in after Shutdown had returned")
							return
						}
						if i%5 < 2 || i%5 == 4 {
							in.Add(1)
						}
					}
				})
			}
			for range 2 {
				all.Go(func() {
					q.Shutdown(false)
					isShutDown.Store(true)
				})
			}
			within(time.Minute, all.Wait)
			check(t, q)
			require.Equal(t, in.Load(), out.Load()+int64(len(empty(q))))
		}
	})
}

func TestAnItemPutJustBeforeTheShutdownIsStillReceived(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		gets := []func(q *queue.Queue[int]) (int, error){
			func(q *queue.Queue[int]) (int, error) { return q.Get(background) },
			func(q *queue.Queue[int]) (int, error) {
				dst := make([]int, 2)
				_, err := q.GetBatch(background, dst)
				return dst[0], err
			},
			func(q *queue.Queue[int]) (item int, err error) {
				for item, err = q.TryGet(); err == queue.ErrEmpty; item, err = q.TryGet() {
					runtime.Gosched()
				}
				return item, err
			},
		}
		for round := range max(stressRounds(1500), 2*len(gets)) {
			get := gets[round/2%len(gets)]
			q := o.make(1)
			end := func() {
				_ = q.Put(background, 1)
				q.Shutdown(false)
			}
			if round%2 == 0 {
				end() // the item waits, and is not handed over
			} else {
				go end()
			}
			item, err := get(q)
			require.NoError(t, err)
			require.Equal(t, 1, item)
			_, err = get(q)
			require.Equal(t, queue.ErrShutdown, err)
		}
	})
}

// Every capacity from 1 to 5, every position of the first item in the store's
// first chunk of eight, and every string of eight operations.
func TestAShortQueueDoesWhatASliceDoesFromEveryPosition(t *testing.T) {
	const length, positions = 8, 8
	forEachOrder(t, func(t *testing.T, o order) {
		programs := 1
		for range length {
			programs *= 3
		}
		for capacity := 1; capacity <= 5; capacity++ {
			for position := range positions {
				for program := range programs {
					q := o.make(capacity)
					var slice []int
					next := 0
					if position > 0 {
						for range capacity + position {
							_, _, _ = q.ForcePut(0)
						}
						for q.Len() > 0 {
							_, _ = q.TryGet()
						}
					}
					for rest, step := program, 0; step < length; step++ {
						next++
						full := len(slice) == capacity
						switch rest % 3 {
						case 0:
							if err := q.TryPut(next); err == nil != !full {
								t.Fatalf("TryPut: %v with %v", err, slice)
							} else if err == nil {
								slice = append(slice, next)
							}
						case 1:
							item, err := q.TryGet()
							if len(slice) == 0 {
								if err != queue.ErrEmpty {
									t.Fatalf("TryGet: %v", err)
								}
								break
							}
							want := o.leave(slice...)[0]
							if err != nil || item != want {
								t.Fatalf("TryGet: %d, %v, want %d of %v", item, err, want, slice)
							}
							slice = slices.DeleteFunc(slice, func(i int) bool { return i == want })
						case 2:
							evicted, ok, err := q.ForcePut(next)
							if err != nil || ok != full {
								t.Fatalf("ForcePut: %v, %v with %v", ok, err, slice)
							}
							slice = append(slice, next)
							if !full {
								break
							}
							want := slice[0]
							if o.name == "priority" {
								want = slices.MaxFunc(slice, o.compare)
							}
							if evicted != want {
								t.Fatalf("ForcePut evicted %d, want %d of %v", evicted, want, slice)
							}
							slice = slices.DeleteFunc(slice, func(i int) bool { return i == want })
						}
						rest /= 3
					}
					if q.Len() != len(slice) {
						t.Fatalf("%d items wait, want %v", q.Len(), slice)
					}
				}
			}
		}
	})
}

func TestOverflowEvictsTheOldestAndKeepsTheOrder(t *testing.T) {
	for _, o := range orders[:2] {
		const capacity, overflow = 5, 12
		q := o.filled(t, capacity, capacity)
		var evicted []int
		for i := range overflow {
			item, ok, err := q.ForcePut(capacity + 1 + i)
			require.NoError(t, err)
			require.True(t, ok)
			evicted = append(evicted, item)
		}
		require.Equal(t, upTo(overflow), evicted)
		require.Equal(t, o.leave(upTo(capacity + overflow)[overflow:]...), empty(q))
	}
	q := orders[2].filled(t, 4, 4) // 2 4 1 3: the last to leave goes
	for _, step := range [][2]int{{6, 3}, {9, 9}, {8, 1}, {10, 10}} {
		evicted, ok, err := q.ForcePut(step[0])
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, step[1], evicted)
	}
}

func TestAWorkerThatPutsBackWhatItTookIsNeverRefused(t *testing.T) {
	t.Run("others find it locked", func(t *testing.T) { // if need be on one processor
		testPuttingBack(t, order{make: func(capacity int) *queue.Queue[int] {
			return queue.NewPriority(capacity, func(a, b int) int {
				runtime.Gosched() // under the lock
				return evenFirst(a, b)
			})
		}}, stressRounds(200))
	})
	forEachOrder(t, func(t *testing.T, o order) { testPuttingBack(t, o, stressRounds(50_000)) })
}

func testPuttingBack(t *testing.T, o order, rounds int) {
	const capacity = 8
	q := o.filled(t, capacity, capacity)
	var all sync.WaitGroup
	for range capacity {
		all.Go(func() {
			for range rounds {
				item, err := q.TryGet()
				if !assert.NoError(t, err) || !assert.NoError(t, q.TryPut(item)) {
					return
				}
			}
		})
	}
	within(time.Minute, all.Wait)
	require.ElementsMatch(t, upTo(capacity), empty(q))
	check(t, q)
}

// Newcomers hammer the queue with Try while others are parked in a known order.
func TestNewcomersNeitherOvertakeNorStarveBlockedCalls(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		const parked = 20
		q := o.filled(t, 1, 1)
		entered := make(chan int, parked)
		var all sync.WaitGroup
		for i := range parked {
			all.Go(func() {
				assert.NoError(t, q.Put(background, i+2))
			})
			for q.Stats().PutWaiting != i+1 {
				time.Sleep(10 * time.Microsecond)
			}
		}
		var hammering atomic.Bool
		hammering.Store(true)
		for range 3 {
			all.Go(func() {
				for hammering.Load() {
					if q.TryPut(99) == nil {
						t.Error("a newcomer came in while others were parked")
						return
					}
				}
			})
		}
		for range parked {
			item, err := q.Get(background)
			require.NoError(t, err)
			entered <- item
		}
		hammering.Store(false)
		within(time.Minute, all.Wait)
		for want := range parked {
			require.Equal(t, want+1, <-entered)
		}
	})
}
