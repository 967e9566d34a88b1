package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEmptyBatchIsNothingWhateverTheState(t *testing.T) {
	cancelled, cancel := context.WithCancel(background)
	cancel()
	forEachOrder(t, func(t *testing.T, o order) {
		for _, down := range []bool{false, true} {
			q := o.filled(t, 1, 1)
			if down {
				_ = q.Shutdown(true)
			}
			for _, batch := range [][]int{nil, {}} {
				n, err := q.PutBatch(cancelled, batch)
				require.NoError(t, err)
				require.Zero(t, n)
				n, err = q.GetBatch(cancelled, batch)
				require.NoError(t, err)
				require.Zero(t, n)
			}
		}
	})
}

func TestGetBatchTakesWhatIsThereInOrder(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, size := range []int{1, 3, 5, 8} {
			q := o.filled(t, 5, 5)
			dst := make([]int, size)
			n, err := q.GetBatch(background, dst)
			require.NoError(t, err)
			require.Equal(t, o.leave(upTo(5)...)[:min(size, 5)], dst[:n])
			require.Equal(t, 5-n, q.Len())
			check(t, q)
		}
	})
}

func TestGetBatchMakesRoomForAllThatFit(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 4, 4)
			for i := range 6 {
				go func() { _ = q.Put(background, 5+i) }()
				synctest.Wait()
			}
			n, err := q.GetBatch(background, make([]int, 3))
			require.NoError(t, err)
			require.Equal(t, 3, n)
			synctest.Wait()
			require.Equal(t, 3, q.Stats().PutWaiting, "three were let in at once")
			check(t, q)
			require.Len(t, q.Shutdown(true), 4)
		})
	})
}

func TestABlockedGetBatchReturnsWhenOneItemComes(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(5)
			dst := make([]int, 3)
			returned := 0
			go func() { returned, _ = q.GetBatch(background, dst) }()
			synctest.Wait()
			require.NoError(t, q.TryPut(7))
			check(t, q)
			synctest.Wait()
			require.Equal(t, 1, returned)
			require.Equal(t, []int{7, 0, 0}, dst)
		})
	})
}

func TestPutBatchCompletesEveryBlockedGetItCan(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(queue.Unbounded)
			got := make([][]int, 3)
			for i, size := range []int{2, 1, 3} {
				go func() {
					dst := make([]int, size)
					n, _ := q.GetBatch(background, dst)
					got[i] = dst[:n]
				}()
				synctest.Wait()
			}
			n, err := q.PutBatch(background, upTo(7))
			require.NoError(t, err)
			require.Equal(t, 7, n)
			check(t, q)
			synctest.Wait()
			total := q.Len()
			for _, items := range got {
				require.NotEmpty(t, items, "a Get was left parked beside items")
				total += len(items)
			}
			require.Equal(t, 7, total)
			require.Equal(t, 1, got[0][0])
		})
	})
}

func TestPutBatchGoesInAsRoomIsMadeAndKeepsItsPlace(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(3)
			batch := make(chan int, 1)
			go func() {
				n, err := q.PutBatch(background, upTo(7))
				assert.NoError(t, err)
				batch <- n
			}()
			synctest.Wait()
			require.Equal(t, 3, q.Len())
			later := make(chan struct{})
			go func() {
				assert.NoError(t, q.Put(background, 100))
				close(later)
			}()
			synctest.Wait()
			var got []int
			for range 4 {
				item, err := q.TryGet()
				require.NoError(t, err)
				check(t, q)
				got = append(got, item)
				synctest.Wait()
			}
			require.Equal(t, 7, <-batch)
			require.Equal(t, 1, q.Stats().PutWaiting, "the later Put came before the batch's last item was in")
			require.EqualValues(t, 2, q.Stats().PutBlocked, "a call that parks several times counts once")
			require.ElementsMatch(t, append(upTo(7), 100), append(got, empty(q)...))
			<-later
		})
	})
}

func TestPutBatchReturnsHowManyWentIn(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for name, end := range map[string]func(q *queue.Queue[int]) error{
			"when its context ends": func(*queue.Queue[int]) error {
				time.Sleep(2 * time.Second)
				return context.DeadlineExceeded
			},
			"at a graceful shutdown": func(q *queue.Queue[int]) error {
				q.Shutdown(false)
				return queue.ErrShutdown
			},
			"at an immediate shutdown": func(q *queue.Queue[int]) error {
				_ = q.Shutdown(true)
				return queue.ErrShutdown
			},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.make(3)
					ctx, cancel := context.WithTimeout(background, time.Second)
					defer cancel()
					var n int
					var err error
					go func() { n, err = q.PutBatch(ctx, upTo(9)) }()
					synctest.Wait()
					_, getErr := q.TryGet()
					require.NoError(t, getErr)
					want := end(q)
					synctest.Wait()
					require.Equal(t, want, err)
					require.Equal(t, 4, n)
					require.EqualValues(t, 4, q.Stats().Put)
					check(t, q)
				})
			})
		}
	})
}

func TestForcePutMayOvertakeABlockedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New[int](2)
		go func() {
			n, err := q.PutBatch(background, []int{1, 2, 3})
			assert.NoError(t, err)
			assert.Equal(t, 3, n)
		}()
		synctest.Wait()
		evicted, ok, err := q.ForcePut(50)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 1, evicted)
		require.Equal(t, 1, q.Stats().PutWaiting)
		check(t, q)
		var got []int
		for range 3 {
			item, err := q.TryGet()
			require.NoError(t, err)
			got = append(got, item)
		}
		require.Equal(t, []int{2, 50, 3}, got)
	})
}
