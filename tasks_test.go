package queue_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTasksYieldsEveryItemInOrderAndMarksItDone(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 10, 6)
		q.Shutdown(false)
		var got []int
		for item := range q.Tasks(background) {
			require.EqualValues(t, len(got), q.Stats().Done, "an item is done after its turn, not before")
			got = append(got, item)
		}
		require.Equal(t, o.leave(upTo(6)...), got)
		require.Zero(t, q.Stats().Unfinished)
		require.EqualValues(t, 6, q.Stats().Done)
		check(t, q)
	})
}

func TestTasksMarksTheItemDoneWhenTheBodyLeaves(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		leave := map[string]func(q *queue.Queue[int]){
			"by a break": func(q *queue.Queue[int]) {
				for range q.Tasks(background) {
					break
				}
			},
			"by a panic": func(q *queue.Queue[int]) {
				defer func() { _ = recover() }()
				for range q.Tasks(background) {
					panic("body")
				}
			},
			"by Goexit": func(q *queue.Queue[int]) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range q.Tasks(background) {
						runtime.Goexit()
					}
				}()
				<-done
			},
		}
		for name, leave := range leave {
			t.Run(name, func(t *testing.T) {
				q := o.filled(t, 10, 3)
				leave(q)
				s := q.Stats()
				require.Equal(t, 2, s.Len)
				require.Equal(t, 2, s.Unfinished)
				require.EqualValues(t, 1, s.Done)
				check(t, q)
			})
		}
	})
}

func TestTasksEndsWhenItsContextDoes(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 10, 2)
			ctx, cancel := context.WithTimeout(background, time.Second)
			defer cancel()
			turns := 0
			for range q.Tasks(ctx) { // parks after two turns
				turns++
			}
			require.Equal(t, 2, turns)
			require.Zero(t, q.Stats().Unfinished)

			require.NoError(t, q.TryPut(1))
			require.NoError(t, q.TryPut(2))
			ctx, leave := context.WithCancel(background)
			defer leave()
			for range q.Tasks(ctx) {
				leave()
			}
			s := q.Stats()
			require.Equal(t, 1, s.Len, "no item is taken after the context has ended")
			require.Equal(t, 1, s.Unfinished)
			check(t, q)
		})
	})
}

func TestTasksServesManyWorkers(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(5)
			var seen [100]atomic.Int32
			for range 7 {
				go func() {
					for item := range q.Tasks(background) {
						time.Sleep(time.Millisecond)
						seen[item].Add(1)
					}
				}()
			}
			for i := range seen {
				require.NoError(t, q.Put(background, i))
			}
			require.NoError(t, q.Join(background))
			for i := range seen {
				require.EqualValues(t, 1, seen[i].Load())
			}
			synctest.Wait()
			require.Equal(t, 7, q.Stats().GetWaiting)
			q.Shutdown(false)
		})
	})
}

func TestATurnOfTasksReleasesAJoinThoughNoItemIsLeft(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 5, 3)
			joined := false
			go func() {
				assert.NoError(t, q.Join(background))
				joined = true
			}()
			synctest.Wait()
			go func() {
				for range q.Tasks(background) {
				}
			}()
			synctest.Wait()
			require.True(t, joined)
			require.Equal(t, 1, q.Stats().GetWaiting)
			q.Shutdown(false)
		})
	})
}

func TestTasksContinuesThoughItsItemsWereMarkedDoneElsewhere(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 5, 3)
		require.NoError(t, q.TaskDoneN(3))
		q.Shutdown(false)
		turns := 0
		for range q.Tasks(background) {
			turns++
			check(t, q)
		}
		require.Equal(t, 3, turns)
		require.EqualValues(t, 3, q.Stats().Done)
		require.Zero(t, q.Stats().Unfinished)
	})
}
