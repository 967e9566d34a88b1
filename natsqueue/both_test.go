package natsqueue_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Tests that hold for a local queue and for one on a server, run on both.

// A common queue has the methods of both kinds of queue.
type common interface {
	Put(ctx context.Context, item int) error
	TryPut(ctx context.Context, item int) error
	Get(ctx context.Context) (item int, done func() error, err error)
	Tasks(ctx context.Context) iter.Seq[int]
	Join(ctx context.Context) error
	Shutdown(ctx context.Context, immediate bool) error
	figures(t testing.TB) figures
	putting() int // blocked calls of Put
}

type figures struct {
	Len, Cap, Unfinished int
	Shutdown             bool
}

type local struct{ *queue.Queue[int] }

func (q local) TryPut(ctx context.Context, item int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return q.Queue.TryPut(item)
}

func (q local) Get(ctx context.Context) (int, func() error, error) {
	item, err := q.Queue.Get(ctx)
	return item, q.TaskDone, err
}

func (q local) Shutdown(_ context.Context, immediate bool) error {
	q.Queue.Shutdown(immediate)
	return nil
}

func (q local) figures(testing.TB) figures {
	s := q.Stats()
	return figures{s.Len, s.Cap, s.Unfinished, s.Shutdown}
}

func (q local) putting() int { return q.Stats().PutWaiting }

type remote struct{ *natsqueue.Queue[int] }

func (q remote) Put(ctx context.Context, item int) error    { return q.Queue.Put(ctx, item) }
func (q remote) TryPut(ctx context.Context, item int) error { return q.Queue.TryPut(ctx, item) }

func (q remote) Get(ctx context.Context) (int, func() error, error) {
	task, err := q.Queue.Get(ctx)
	if err != nil {
		return 0, nil, err
	}
	return task.Item, func() error { return task.Done(background) }, nil
}

func (q remote) figures(t testing.TB) figures {
	s := stats(t, q.Queue)
	return figures{s.Len, s.Cap, s.Unfinished, s.Shutdown}
}

func (q remote) putting() int { return q.InLine() }

// onBoth runs a test on a queue of each kind.
func onBoth(t *testing.T, capacity int, test func(t *testing.T, q common)) {
	t.Parallel()
	t.Run("local", func(t *testing.T) { test(t, local{queue.New[int](capacity)}) })
	t.Run("remote", func(t *testing.T) {
		t.Parallel()
		test(t, remote{open(t, newName(t), natsqueue.WithCapacity(capacity), natsqueue.WithAckWait(time.Hour), natsqueue.WithPrefetch(0))})
	})
}

func fillCommon(t testing.TB, q common, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, q.Put(soon(t), i+1))
	}
}

func TestItemsLeaveInTheOrderInWhichTheyCame(t *testing.T) {
	onBoth(t, 20, func(t *testing.T, q common) {
		fillCommon(t, q, 20)
		require.Equal(t, figures{Len: 20, Cap: 20, Unfinished: 20}, q.figures(t))
		for want := range 20 {
			item, done, err := q.Get(soon(t))
			require.NoError(t, err)
			require.Equal(t, want+1, item)
			require.NoError(t, done())
		}
		require.Equal(t, figures{Cap: 20}, q.figures(t))
	})
}

func TestEachCallReturnsTheErrorOfTheQueuesState(t *testing.T) {
	for _, state := range []struct {
		name             string
		items            int
		down             bool
		put, tryPut, get error // DeadlineExceeded if the call blocks
	}{
		{"empty", 0, false, nil, nil, context.DeadlineExceeded},
		{"partly filled", 2, false, nil, nil, nil},
		{"full", 3, false, context.DeadlineExceeded, queue.ErrFull, nil},
		{"shut down and empty", 0, true, queue.ErrShutdown, queue.ErrShutdown, queue.ErrShutdown},
		{"shut down and partly filled", 2, true, queue.ErrShutdown, queue.ErrShutdown, nil},
		{"shut down and full", 3, true, queue.ErrShutdown, queue.ErrShutdown, nil},
	} {
		t.Run(state.name, func(t *testing.T) {
			for name, call := range map[string]struct {
				do   func(q common, ctx context.Context) error
				want error
			}{
				"Put":    {func(q common, ctx context.Context) error { return q.Put(ctx, 99) }, state.put},
				"TryPut": {func(q common, ctx context.Context) error { return q.TryPut(ctx, 99) }, state.tryPut},
				"Get": {func(q common, ctx context.Context) error {
					_, _, err := q.Get(ctx)
					return err
				}, state.get},
			} {
				t.Run(name, func(t *testing.T) {
					onBoth(t, 3, func(t *testing.T, q common) {
						fillCommon(t, q, state.items)
						if state.down {
							require.NoError(t, q.Shutdown(soon(t), false))
						}
						before := q.figures(t)
						ctx := soon(t)
						if call.want == context.DeadlineExceeded {
							ctx = within(t, 300*time.Millisecond)
						}
						err := call.do(q, ctx)
						require.ErrorIs(t, err, call.want)
						if err != nil {
							require.Equal(t, before, q.figures(t), "an error changes nothing")
						}
					})
				})
			}
		})
	}
}

func TestAContextThatIsDoneWinsOverEverything(t *testing.T) {
	cancelled, cancel := context.WithCancel(background)
	cancel()
	for _, down := range []bool{false, true} {
		for _, items := range []int{0, 1, 2} {
			t.Run("", func(t *testing.T) {
				onBoth(t, 2, func(t *testing.T, q common) {
					fillCommon(t, q, items)
					if down {
						require.NoError(t, q.Shutdown(soon(t), false))
					}
					before := q.figures(t)
					_, _, err := q.Get(cancelled)
					require.Equal(t, context.Canceled, err)
					require.Equal(t, context.Canceled, q.Put(cancelled, 9))
					require.Equal(t, context.Canceled, q.TryPut(cancelled, 9))
					require.Equal(t, context.Canceled, q.Join(cancelled))
					for range q.Tasks(cancelled) {
						t.Error("Tasks yielded an item")
					}
					require.Equal(t, before, q.figures(t))
				})
			})
		}
	}
}

func TestAPutBlocksForRoomAndKeepsItsPlaceInLine(t *testing.T) {
	onBoth(t, 1, func(t *testing.T, q common) {
		fillCommon(t, q, 1)
		var putters sync.WaitGroup
		for i := range 5 {
			putters.Go(func() { assert.NoError(t, q.Put(soon(t), i+2)) })
			eventually(t, func() bool { return q.putting() == i+1 }, "it is blocked in line")
		}
		require.Equal(t, queue.ErrFull, q.TryPut(soon(t), 99), "a newcomer took a slot that a blocked Put waits for")
		for want := range 6 {
			item, done, err := q.Get(soon(t))
			require.NoError(t, err)
			require.Equal(t, want+1, item)
			require.NoError(t, done())
			eventually(t, func() bool { return q.putting() == max(0, 4-want) }, "the next is let in")
		}
		putters.Wait()
		require.NoError(t, q.Join(soon(t)))
	})
}

func TestAShutdownReleasesEveryPut(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			onBoth(t, 2, func(t *testing.T, q common) {
				fillCommon(t, q, 2)
				var putters sync.WaitGroup
				for range 4 {
					putters.Go(func() { assert.ErrorIs(t, q.Put(soon(t), 9), queue.ErrShutdown) })
				}
				time.Sleep(50 * time.Millisecond)
				require.NoError(t, q.Shutdown(soon(t), immediate))
				putters.Wait()
			})
		})
	}
}

func TestAShutdownEndsEveryGetAndEveryLoop(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			onBoth(t, 2, func(t *testing.T, q common) {
				var workers sync.WaitGroup
				for range 3 {
					workers.Go(func() {
						_, _, err := q.Get(soon(t))
						assert.ErrorIs(t, err, queue.ErrShutdown)
					})
					workers.Go(func() {
						ctx := soon(t)
						for range q.Tasks(ctx) {
							assert.Fail(t, "an item out of nowhere")
						}
						assert.NoError(t, ctx.Err())
					})
				}
				time.Sleep(50 * time.Millisecond)
				require.NoError(t, q.Shutdown(soon(t), immediate))
				workers.Wait()
				_, _, err := q.Get(soon(t))
				require.ErrorIs(t, err, queue.ErrShutdown)
			})
		})
	}
}

func TestAGracefulShutdownLeavesQueuedItems(t *testing.T) {
	onBoth(t, 5, func(t *testing.T, q common) {
		fillCommon(t, q, 5)
		require.NoError(t, q.Shutdown(soon(t), false))
		require.NoError(t, q.Shutdown(soon(t), false), "again")
		require.ErrorIs(t, q.Put(soon(t), 6), queue.ErrShutdown)
		var got []int
		for item := range q.Tasks(soon(t)) {
			got = append(got, item)
		}
		require.Equal(t, upTo(5), got)
		require.NoError(t, q.Join(soon(t)))
		require.Equal(t, figures{Cap: 5, Shutdown: true}, q.figures(t))
	})
}

func TestAnImmediateShutdownDropsQueuedItems(t *testing.T) {
	for _, graceful := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			onBoth(t, 5, func(t *testing.T, q common) {
				fillCommon(t, q, 5)
				if graceful {
					require.NoError(t, q.Shutdown(soon(t), false))
				}
				require.NoError(t, q.Shutdown(soon(t), true))
				require.ErrorIs(t, q.TryPut(soon(t), 6), queue.ErrShutdown)
				for range q.Tasks(soon(t)) {
					t.Error("an item was left")
				}
				require.NoError(t, q.Join(soon(t)))
				require.NoError(t, q.Shutdown(soon(t), true), "again")
				require.NoError(t, q.Shutdown(soon(t), false), "a shutdown can't be undone")
				require.Equal(t, figures{Cap: 5, Shutdown: true}, q.figures(t))
			})
		})
	}
}

func TestJoinBlocksUntilAllIsDoneAndNotJustTaken(t *testing.T) {
	onBoth(t, 5, func(t *testing.T, q common) {
		require.NoError(t, q.Join(soon(t)), "nothing was put")
		fillCommon(t, q, 3)
		var finish []func() error
		for range 3 {
			_, done, err := q.Get(soon(t))
			require.NoError(t, err)
			finish = append(finish, done)
		}
		var joined atomic.Bool
		var joiners sync.WaitGroup
		for range 3 {
			joiners.Go(func() {
				assert.NoError(t, q.Join(soon(t)))
				joined.Store(true)
			})
		}
		for _, done := range finish {
			require.Equal(t, context.DeadlineExceeded, q.Join(within(t, 100*time.Millisecond)))
			require.False(t, joined.Load())
			require.NoError(t, done())
		}
		joiners.Wait()
	})
}

func TestTasksMarksEachItemDoneAfterItsTurn(t *testing.T) {
	onBoth(t, 9, func(t *testing.T, q common) {
		fillCommon(t, q, 6)
		var got []int
		for item := range q.Tasks(soon(t)) {
			require.Equal(t, 6-len(got), q.figures(t).Unfinished)
			got = append(got, item)
			if len(got) == 4 {
				break
			}
		}
		require.Equal(t, upTo(4), got)
		require.Equal(t, figures{Len: 2, Cap: 9, Unfinished: 2}, q.figures(t))
	})
}

func TestTasksEndsWhenItsContextDoes(t *testing.T) {
	onBoth(t, 9, func(t *testing.T, q common) {
		fillCommon(t, q, 3)
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		for range q.Tasks(ctx) {
			cancel()
		}
		require.Equal(t, figures{Len: 2, Cap: 9, Unfinished: 2}, q.figures(t), "its item is done, and no other taken")
		var turns atomic.Int32
		var worker sync.WaitGroup
		ctx, cancel = context.WithCancel(background)
		defer cancel()
		worker.Go(func() {
			for range q.Tasks(ctx) {
				turns.Add(1)
			}
		})
		eventually(t, func() bool { return q.figures(t).Unfinished == 0 }, "it blocks after two turns")
		cancel()
		worker.Wait()
		require.EqualValues(t, 2, turns.Load())
		require.NoError(t, q.Join(soon(t)))
	})
}

func TestManyProducersAndWorkersLoseAndDuplicateNothing(t *testing.T) {
	const producers, each = 8, 150
	onBoth(t, 16, func(t *testing.T, q common) {
		var seen [producers * each]atomic.Int32
		var workers, putters sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				for item := range q.Tasks(soon(t)) {
					seen[item].Add(1)
				}
			})
		}
		for p := range producers {
			putters.Go(func() {
				for i := range each {
					assert.NoError(t, q.Put(soon(t), p*each+i))
				}
			})
		}
		putters.Wait()
		require.NoError(t, q.Join(soon(t)))
		require.NoError(t, q.Shutdown(soon(t), false))
		workers.Wait()
		for i := range seen {
			require.EqualValues(t, 1, seen[i].Load(), i)
		}
	})
}

func TestContextsThatEndAtOnceLoseNothing(t *testing.T) {
	const items = 200
	onBoth(t, 8, func(t *testing.T, q common) {
		var sum, got atomic.Int64
		var workers sync.WaitGroup
		for w := range 6 {
			workers.Go(func() {
				for i := 0; got.Load() < items; i++ {
					ctx, cancel := context.WithTimeout(background, time.Duration(100*(w+i%7))*time.Microsecond)
					item, done, err := q.Get(ctx)
					cancel()
					if err != nil {
						continue
					}
					sum.Add(int64(item))
					got.Add(1)
					assert.NoError(t, done())
				}
			})
		}
		fillCommon(t, q, items)
		require.NoError(t, q.Join(soon(t)), "an item waits out its ack wait")
		workers.Wait()
		require.EqualValues(t, items, got.Load())
		require.EqualValues(t, items*(items+1)/2, sum.Load())
	})
}

func TestNoPutSlipsThroughAnImmediateShutdown(t *testing.T) {
	for range 10 {
		t.Run("", func(t *testing.T) {
			onBoth(t, 3, func(t *testing.T, q common) {
				fillCommon(t, q, 3)
				var putters sync.WaitGroup
				var refused atomic.Int64
				ctx := soon(t)
				for range 8 {
					putters.Go(func() {
						for {
							err := q.TryPut(ctx, 9)
							if errors.Is(err, queue.ErrFull) {
								refused.Add(1)
								continue
							}
							assert.ErrorIs(t, err, queue.ErrShutdown)
							return
						}
					})
				}
				eventually(t, func() bool { return refused.Load() > 20 }, "they try")
				require.NoError(t, q.Shutdown(soon(t), true))
				require.Zero(t, q.figures(t).Unfinished)
				putters.Wait()
				require.Zero(t, q.figures(t).Unfinished)
			})
		})
	}
}
