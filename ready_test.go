package queue_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// signalled takes the signal out of Ready's channel, if there is one.
func signalled(q *queue.Queue[int]) bool {
	select {
	case <-q.Ready():
		return true
	default:
		return false
	}
}

func TestReadyReturnsTheSameChannelAtEveryCall(t *testing.T) {
	var q queue.Queue[int]
	require.Equal(t, q.Ready(), q.Ready())
	q.Shutdown(false)
	require.Equal(t, q.Ready(), q.Ready())
}

func TestReadySignalsEachItemThatIsQueuedAndEachThatLeavesOthersBehind(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, change := range map[string]func(q *queue.Queue[int]) error{
			"TryPut":      func(q *queue.Queue[int]) error { return q.TryPut(9) },
			"Put":         func(q *queue.Queue[int]) error { return q.Put(background, 9) },
			"ForcePut":    func(q *queue.Queue[int]) error { _, _, err := q.ForcePut(9); return err },
			"PutBatch":    func(q *queue.Queue[int]) error { _, err := q.PutBatch(background, []int{9}); return err },
			"TryPutBatch": func(q *queue.Queue[int]) error { _, err := q.TryPutBatch([]int{9}); return err },
			"Requeue":     func(q *queue.Queue[int]) error { return q.Requeue(9) },
			"Get":         func(q *queue.Queue[int]) error { _, err := q.Get(background); return err },
			"TryGet":      func(q *queue.Queue[int]) error { _, err := q.TryGet(); return err },
			"GetBatch":    func(q *queue.Queue[int]) error { _, err := q.GetBatch(background, make([]int, 2)); return err },
			"TryGetBatch": func(q *queue.Queue[int]) error { _, err := q.TryGetBatch(make([]int, 2)); return err },
			"Tasks": func(q *queue.Queue[int]) error {
				for range q.Tasks(background) {
					break
				}
				return nil
			},
			"Batches": func(q *queue.Queue[int]) error {
				for range q.Batches(background, 2, time.Hour) {
					break
				}
				return nil
			},
		} {
			t.Run(name, func(t *testing.T) {
				q := o.filled(t, 10, 3)
				require.True(t, signalled(q), "items were queued before the first call")
				require.False(t, signalled(q), "the channel holds more than one signal")
				require.NoError(t, change(q))
				require.True(t, signalled(q))
			})
		}
	})
}

func TestReadyIsSignalledWhenABlockedPutIsLetIn(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, let := range map[string]func(q *queue.Queue[int]){
			"by TryGet": func(q *queue.Queue[int]) { _, _ = q.TryGet() },
			"by Resize": func(q *queue.Queue[int]) { q.Resize(2) },
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.filled(t, 1, 1)
					require.True(t, signalled(q))
					go func() { assert.NoError(t, q.Put(background, 2)) }()
					synctest.Wait()
					require.False(t, signalled(q))
					let(q)
					require.True(t, signalled(q))
				})
			})
		}
	})
}

func TestReadyIsNotSignalledForAnItemThatIsHandedToABlockedCall(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(1)
			require.False(t, signalled(q))
			go func() { _, _ = q.Get(background) }()
			synctest.Wait()
			require.NoError(t, q.TryPut(1))
			require.False(t, signalled(q))
		})
	})
}

func TestReadyIsClosedByAShutdownAndTryGetReturnsWhatIsLeft(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, asked := range []bool{true, false} {
			q := o.filled(t, 5, 3)
			if asked {
				require.True(t, signalled(q))
			}
			q.Shutdown(false)
			for range 5 {
				_, open := <-q.Ready()
				require.False(t, open)
			}
			require.NoError(t, q.Requeue(4), "and nothing is sent on the closed channel")
			require.Len(t, empty(q), 4)
			_, err := q.TryGet()
			require.Equal(t, queue.ErrShutdown, err)
			require.Nil(t, q.Shutdown(true), "nor is it closed twice")
		}
	})
}

// Loops of one receive and one TryGet, side by side with blocked Gets and
// blocked Puts, miss nothing.
func TestReadyLoopsTakeEveryItem(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, capacity := range []int{1, 3, queue.Unbounded} {
			synctest.Test(t, func(t *testing.T) {
				q := o.make(capacity)
				var taken atomic.Int64
				for range 3 {
					go func() {
						for {
							<-q.Ready()
							switch _, err := q.TryGet(); err {
							case nil:
								taken.Add(1)
							case queue.ErrShutdown:
								return
							}
						}
					}()
				}
				go func() {
					for {
						if _, err := q.Get(background); err != nil {
							return
						}
						taken.Add(1)
					}
				}()
				const producers, items = 4, 500
				for range producers {
					go func() {
						for i := range items {
							assert.NoError(t, q.Put(background, i))
						}
					}()
				}
				synctest.Wait()
				assert.EqualValues(t, producers*items, taken.Load())
				q.Shutdown(false)
			})
		}
	})
}
