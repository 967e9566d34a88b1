package queue_test

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTaskDoneBeyondWhatWasPutIsRefusedAndChangesNothing(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.make(5)
		require.Equal(t, queue.ErrTaskDone, q.TaskDone())
		require.NoError(t, q.TaskDoneN(0))
		for i := range 3 {
			require.NoError(t, q.TryPut(i))
		}
		before := q.Stats()
		for _, n := range []int{4, -1, math.MaxInt, math.MinInt} {
			require.Equal(t, queue.ErrTaskDone, q.TaskDoneN(n))
			require.Equal(t, before, q.Stats())
		}
		require.NoError(t, q.TaskDoneN(2))
		require.NoError(t, q.TaskDone())
		require.Equal(t, queue.ErrTaskDone, q.TaskDone())
		check(t, q)
	})
}

func TestJoinReturnsOnceAllIsDone(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(5)
			require.NoError(t, q.Join(background), "nothing was put")
			for i := range 3 {
				require.NoError(t, q.TryPut(i))
			}
			var joined atomic.Int32
			for range 4 {
				go func() {
					assert.NoError(t, q.Join(background))
					joined.Add(1)
				}()
			}
			synctest.Wait()
			empty(q)
			require.NoError(t, q.TaskDoneN(2))
			synctest.Wait()
			require.Zero(t, joined.Load(), "one item is not done yet")
			require.NoError(t, q.TaskDone())
			check(t, q)
			synctest.Wait()
			require.EqualValues(t, 4, joined.Load())
		})
	})
}

func TestJoinReturnsThoughTheCountWasZeroButForAnInstant(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 5, 1)
			joined := false
			go func() {
				assert.NoError(t, q.Join(background))
				joined = true
			}()
			synctest.Wait()
			require.NoError(t, q.TaskDone())
			require.NoError(t, q.TryPut(2))
			synctest.Wait()
			require.True(t, joined)
			require.Equal(t, 1, q.Stats().Unfinished)
		})
	})
}

func TestWhatIsDroppedReleasesJoin(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 2, 2)
			joined := false
			go func() {
				assert.NoError(t, q.Join(background))
				joined = true
			}()
			synctest.Wait()
			_, evicted, err := q.ForcePut(9)
			require.NoError(t, err)
			require.True(t, evicted)
			require.Equal(t, 2, q.Stats().Unfinished)
			synctest.Wait()
			require.False(t, joined, "an exchange leaves as many unfinished as there were")

			_, err = q.TryGet()
			require.NoError(t, err)
			q.Shutdown(false)
			require.Len(t, q.Shutdown(true), 1)
			synctest.Wait()
			require.False(t, joined, "the item that was received is not done")
			require.NoError(t, q.TaskDone())
			synctest.Wait()
			require.True(t, joined)
			check(t, q)
		})
	})
}

func TestAShutdownThatDrainsAllThatIsUnfinishedReleasesJoin(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 2, 2)
			joined := make(chan error, 2)
			for range cap(joined) {
				go func() { joined <- q.Join(background) }()
			}
			synctest.Wait()
			require.Len(t, q.Shutdown(true), 2)
			check(t, q)
			for range cap(joined) {
				require.NoError(t, <-joined)
			}
		})
	})
}

func TestTaskDoneBeforeTheGetNeverTakesTheCountBelowZero(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 2, 2)
		require.NoError(t, q.TaskDoneN(2))
		_, evicted, err := q.ForcePut(3)
		require.NoError(t, err)
		require.True(t, evicted)
		require.Zero(t, q.Stats().Unfinished, "the exchange leaves the count as it was")
		check(t, q)
		require.Len(t, q.Shutdown(true), 2)
		require.Zero(t, q.Stats().Unfinished)
		require.NoError(t, q.Join(background))
		check(t, q)
	})
}
