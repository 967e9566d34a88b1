package queue_test

import (
	"testing"
	"testing/synctest"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequeueMakesAFullQueueLongerThanItsCapacity(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 2, 2)
			go func() { assert.NoError(t, q.Put(background, 9)) }()
			synctest.Wait()
			require.NoError(t, q.Requeue(3))
			require.NoError(t, q.Requeue(4))
			s := q.Stats()
			require.Equal(t, 4, s.Len)
			require.Equal(t, 4, s.MaxLen)
			require.Equal(t, 4, s.Unfinished)
			require.EqualValues(t, 4, s.Put)
			require.True(t, q.Full())
			require.Equal(t, queue.ErrFull, q.TryPut(5))
			check(t, q)

			var got []int
			for range 2 {
				item, err := q.TryGet()
				require.NoError(t, err)
				got = append(got, item)
				require.Equal(t, 1, q.Stats().PutWaiting, "the blocked Put came in at %d items", q.Len())
			}
			item, err := q.TryGet()
			require.NoError(t, err)
			require.Zero(t, q.Stats().PutWaiting)
			require.ElementsMatch(t, []int{1, 2, 3, 4, 9}, append(append(got, item), empty(q)...))
			check(t, q)
		})
	})
}

func TestRequeueGoesWherePutWould(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 3, 3)
		require.NoError(t, q.Requeue(4))
		require.Equal(t, o.leave(upTo(4)...), empty(q))
	})
}

func TestRequeueHandsTheItemToTheLongestBlockedGet(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(1)
			got := make([]int, 2)
			for i := range got {
				go func() { got[i], _ = q.Get(background) }()
				synctest.Wait()
			}
			require.NoError(t, q.Requeue(7))
			require.NoError(t, q.Requeue(8))
			synctest.Wait()
			require.Equal(t, []int{7, 8}, got)
			require.Zero(t, q.Stats().MaxLen)
		})
	})
}

func TestRequeueIsTakenAfterAGracefulShutdownWhileItemsAreUnfinished(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 2, 1)
		item, err := q.TryGet()
		require.NoError(t, err)
		q.Shutdown(false)
		require.NoError(t, q.Requeue(item))
		require.NoError(t, q.TaskDone())
		again, err := q.TryGet()
		require.NoError(t, err)
		require.Equal(t, item, again)
		require.NoError(t, q.TaskDone())
		before := q.Stats()
		require.Equal(t, queue.ErrShutdown, q.Requeue(item), "nothing is unfinished")
		require.Equal(t, before, q.Stats())
		check(t, q)
	})
}

func TestRequeueIsRefusedAfterAnImmediateShutdown(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, ends := range [][]bool{{true}, {false, true}, {true, false}} {
			q := o.filled(t, 2, 2)
			_, err := q.TryGet()
			require.NoError(t, err)
			for _, immediate := range ends {
				q.Shutdown(immediate)
			}
			before := q.Stats()
			require.Equal(t, 1, before.Unfinished)
			require.Equal(t, queue.ErrShutdown, q.Requeue(3))
			require.Equal(t, before, q.Stats(), "not counted as rejected either")
		}
	})
}

// Workers that feed their own queue: a walk over a tree, with a queue far
// smaller than the tree.
func TestRequeueLetsWorkersFeedTheQueueTheyServe(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(2)
			require.NoError(t, q.Put(background, 1))
			for range 3 {
				go func() {
					for node := range q.Tasks(background) {
						if node < 512 {
							assert.NoError(t, q.Requeue(2*node))
							assert.NoError(t, q.Requeue(2*node+1))
						}
					}
				}()
			}
			require.NoError(t, q.Join(background))
			require.EqualValues(t, 1023, q.Stats().Done, "Join returned while work was left")
			q.Shutdown(false)
		})
	})
}

func TestRequeueWithinALoopBeforeItsItemIsDoneKeepsJoinBlocked(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 1, 1)
			joined := false
			go func() {
				assert.NoError(t, q.Join(background))
				joined = true
			}()
			synctest.Wait()
			tries := 0
			for item := range q.Tasks(background) {
				synctest.Wait()
				require.False(t, joined, "Join slipped in between Requeue and the mark")
				if tries++; tries == 5 {
					q.Shutdown(false)
					continue
				}
				require.NoError(t, q.Requeue(item))
			}
			synctest.Wait()
			require.True(t, joined)
			require.Equal(t, 5, tries)
		})
	})
}
