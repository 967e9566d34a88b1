package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// forEachPeer runs a test for each transport that of returns for a peer.
func forEachPeer[T any](t *testing.T, of func(p peer) []func() T, test func(t *testing.T, p peer, made T)) {
	tested := 0
	for _, p := range peers {
		for i, open := range of(p) {
			tested++
			t.Run(fmt.Sprintf("%s/%d", p.name, i), func(t *testing.T) {
				made := open()
				defer shut(made)
				test(t, p, made)
			})
		}
	}
	require.NotZero(t, tested)
}

// fifos returns all ways to make a FIFO queue of p.
func fifos(p peer) (all []func() transport) {
	for _, open := range []func(int) transport{p.plain, p.cancellable} {
		for _, capacity := range []int{0, 1, 2, 128} {
			if open != nil && p.holds(capacity) {
				all = append(all, func() transport { return open(capacity) })
			}
		}
	}
	if p.tracking != nil {
		all = append(all, func() transport { return p.tracking(8) })
	}
	return all
}

func TestEachPeerGivesEachItemOnce(t *testing.T) {
	const workers, items = 3, 600
	forEachPeer(t, fifos, func(t *testing.T, _ peer, made transport) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var got []int
		for w := range workers {
			wg.Go(func() {
				for i := w; i < items; i += workers {
					if err := made.put(ctx, i); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range items / workers {
					item, err := made.get(ctx)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					got = append(got, item)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(got)
		for i, item := range got {
			require.Equal(t, i, item)
		}
		require.Len(t, got, items)
	})
}

func TestEachPeerKeepsTheOrder(t *testing.T) {
	forEachPeer(t, fifos, func(t *testing.T, _ peer, made transport) {
		go func() {
			for i := range 200 {
				_ = made.put(context.Background(), i)
			}
		}()
		for i := range 200 {
			item, err := made.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, i, item)
		}
	})
}

func TestAPeerThatTakesAContextEndsWithIt(t *testing.T) {
	cancellable := func(p peer) (all []func() transport) {
		if p.cancellable != nil {
			capacity, _ := preferCapacity(1)(p)
			all = append(all, func() transport { return p.cancellable(capacity) })
		}
		if p.tracking != nil {
			all = append(all, func() transport { return p.tracking(1) })
		}
		return all
	}
	synctest.Test(t, func(t *testing.T) {
		for _, p := range peers {
			for _, open := range cancellable(p) {
				made := open()
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() {
					_, err := made.get(ctx)
					ended <- err
				}()
				synctest.Wait()
				stop()
				require.ErrorIs(t, <-ended, context.Canceled, p.name)

				if p.minCapacity > 0 {
					ctx, stop = context.WithCancel(t.Context())
					puts := 0
					go func() {
						var err error
						for err == nil {
							err = made.put(ctx, 1)
							puts++
						}
						ended <- err
					}()
					synctest.Wait()
					stop()
					require.ErrorIs(t, <-ended, context.Canceled, p.name)
					require.Equal(t, 2, puts, "%s: the first put succeeds, the second blocks", p.name)
				}
				shut(made)
			}
		}
	})
}

func TestAPeerThatTriesIsAsFullAsItsBoundSays(t *testing.T) {
	const capacity = 8
	triers := func(p peer) (all []func() trier) {
		if p.plain != nil && p.holds(capacity) && offers[trier](p.plain, capacity) {
			all = append(all, func() trier { return p.plain(capacity).(trier) })
		}
		return all
	}
	forEachPeer(t, triers, func(t *testing.T, _ peer, made trier) {
		for i := range capacity {
			require.True(t, made.tryPut(i))
		}
		require.False(t, made.tryPut(capacity))
		for i := range capacity {
			item, ok := made.tryGet()
			require.True(t, ok)
			require.Equal(t, i, item)
		}
		_, ok := made.tryGet()
		require.False(t, ok)
	})
}

func TestPriorityPeersGiveTheLowestFirst(t *testing.T) {
	forEachPeer(t, func(p peer) (all []func() transport) {
		if p.priority != nil {
			all = append(all, p.priority)
		}
		return all
	}, func(t *testing.T, _ peer, made transport) {
		for i := range 500 {
			require.NoError(t, made.put(t.Context(), random[i]%100))
		}
		last := -1
		for range 500 {
			item, err := made.get(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, last, item)
			last = item
		}
	})
}

func TestAStableHeapKeepsTheOrderOfEqualItems(t *testing.T) {
	early, late := arrival{7, 1}, arrival{7, 2}
	require.True(t, arrivals{early, late}.Less(0, 1))
	require.False(t, arrivals{early, late}.Less(1, 0))
}

func TestLIFOPeersGiveTheNewestFirst(t *testing.T) {
	forEachPeer(t, func(p peer) (all []func() transport) {
		if p.lifo != nil {
			all = append(all, p.lifo)
		}
		return all
	}, func(t *testing.T, _ peer, made transport) {
		for i := range 5 {
			require.NoError(t, made.put(t.Context(), i))
		}
		for i := range 5 {
			item, err := made.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, 4-i, item)
		}
	})
}

func TestDroppingPeersKeepTheNewest(t *testing.T) {
	forEachPeer(t, func(p peer) (all []func() dropper) {
		if p.dropping != nil {
			all = append(all, func() dropper { return p.dropping(4) })
		}
		return all
	}, func(t *testing.T, _ peer, made dropper) {
		for i := range 10 {
			made.forcePut(i)
		}
		for i := range 4 {
			item, err := made.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, 6+i, item)
		}
	})
}

func TestATrackerWaitsUntilAllIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range peers {
			if p.tracking == nil {
				continue
			}
			made := p.tracking(8)
			for i := range 3 {
				require.NoError(t, made.put(t.Context(), i))
			}
			joined := false
			go func() {
				_ = made.join(t.Context())
				joined = true
			}()
			for range 3 {
				synctest.Wait()
				require.False(t, joined, p.name)
				_, err := made.get(t.Context())
				require.NoError(t, err)
				made.taskDone()
			}
			synctest.Wait()
			require.True(t, joined, p.name)
		}
	})
}

func TestBatchesKeepTheOrder(t *testing.T) {
	batchers := func(p peer) (all []func() batcher) {
		capacity, _ := preferCapacity(8)(p)
		if p.plain != nil && offers[batcher](p.plain, capacity) {
			all = append(all, func() batcher { return p.plain(capacity).(batcher) })
		}
		if p.name == "chan" {
			all = append(all, func() batcher { return inBatches(p.plain(8)) })
		}
		return all
	}
	forEachPeer(t, batchers, func(t *testing.T, _ peer, made batcher) {
		require.NoError(t, made.putBatch(t.Context(), []int{0, 1, 2, 3, 4}))
		dst := make([]int, 3)
		for next := 0; next < 5; {
			n, err := made.getBatch(t.Context(), dst[:min(3, 5-next)])
			require.NoError(t, err)
			for _, item := range dst[:n] {
				require.Equal(t, next, item)
				next++
			}
		}
	})
}

func TestWhatAPeerLacksFollowsFromHowItIsMade(t *testing.T) {
	lacks := map[string]string{}
	for _, p := range slices.Concat(peers[:1], otherPeers()) {
		lacks[p.name] = p.lacks()
	}
	require.Empty(t, lacks[subject])
	require.Equal(t, "no context; no join; bounded only; a send after close panics", lacks["chan"])
	require.Contains(t, lacks["xsync MPMCQueue"], "busy-waits")
	require.Contains(t, lacks["chanx"], "unbounded only")
	require.NotContains(t, lacks["chan+select"], "no context")
	require.NotContains(t, lacks["chan+select+Timer"], "no context")
	require.NotContains(t, lacks["chan+select+WaitGroup"], "no join")
}

func TestTheWorkqueueGivesAnItemAgainThatWasDone(t *testing.T) {
	k := newWorkqueue().(kubernetes)
	defer k.close()
	for range 2 {
		require.NoError(t, k.put(t.Context(), 7))
		require.Equal(t, 1, k.q.Len())
		item, err := k.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, item)
	}
}

// collectors returns all ways to make a collector of p.
func collectors(p peer) (all []func() collector) {
	if p.batching != nil {
		all = append(all, func() collector { return p.batching(8).(collector) })
	}
	return all
}

func TestACollectorKeepsTheOrderAndLeavesNothing(t *testing.T) {
	const items = 1000
	for _, linger := range []time.Duration{0, time.Hour} {
		forEachPeer(t, collectors, func(t *testing.T, p peer, made collector) {
			if linger == 0 && p.lingers {
				t.Skip("collects only with linger > 0")
			}
			go func() {
				for i := range items {
					_ = made.put(context.Background(), i)
				}
				made.finish()
			}()
			next := 0
			made.batches(t.Context(), 64, linger, func(batch []int) {
				require.LessOrEqual(t, len(batch), 64)
				for _, item := range batch {
					require.Equal(t, next, item)
					next++
				}
				if linger > 0 && next < items {
					require.Len(t, batch, 64)
				}
			})
			require.Equal(t, items, next)
		})
	}
}

func TestACollectorYieldsWhatHasLingered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range peers {
			for _, open := range collectors(p) {
				made := open()
				go func() {
					_ = made.put(context.Background(), 1)
					time.Sleep(time.Minute)
					_ = made.put(context.Background(), 2)
					made.finish()
				}()
				start := time.Now()
				made.batches(t.Context(), 64, time.Second, func(batch []int) {
					if len(batch) > 0 && batch[0] == 1 {
						require.Len(t, batch, 1, p.name)
						require.Equal(t, time.Second, time.Since(start), p.name)
					}
				})
				require.GreaterOrEqual(t, time.Since(start), time.Minute, p.name)
			}
		}
	})
}

func TestASelecterReceivesItemsAndTicks(t *testing.T) {
	forEachPeer(t, func(p peer) (all []func() selecter) {
		for _, open := range []func(int) transport{p.plain, p.cancellable} {
			if open != nil && p.holds(8) && offers[selecter](open, 8) {
				all = append(all, func() selecter { return open(8).(selecter) })
			}
		}
		return all
	}, func(t *testing.T, _ peer, made selecter) {
		for _, size := range []int{1, 4} {
			dst := make([]int, size)
			for i := range 4 {
				require.NoError(t, made.put(t.Context(), i))
			}
			for next := 0; next < 4; {
				n, err := made.receive(t.Context(), nil, dst)
				require.NoError(t, err)
				for _, item := range dst[:n] {
					require.Equal(t, next, item)
					next++
				}
			}
			tick := make(chan time.Time, 100) // the queue's signal may come first, without an item
			for len(tick) < cap(tick) {
				tick <- time.Now()
			}
			for len(tick) == cap(tick) {
				n, err := made.receive(context.Background(), tick, dst)
				require.NoError(t, err)
				require.Zero(t, n)
			}
		}
	})
}

func TestARequeueDoesNotBlock(t *testing.T) {
	forEachPeer(t, func(p peer) (all []func() requeuer) {
		if p.tracking != nil {
			all = append(all, func() requeuer { return p.tracking(1).(requeuer) })
		}
		return all
	}, func(t *testing.T, _ peer, made requeuer) {
		for i := range 3 {
			made.requeue(i)
		}
		sum := 0
		for range 3 {
			item, err := made.get(t.Context())
			require.NoError(t, err)
			sum += item
			made.taskDone()
		}
		require.Equal(t, 3, sum)
		require.NoError(t, made.join(t.Context()))
	})
}
