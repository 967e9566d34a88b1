package queue_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnImmediateShutdownReturnsTheQueuedItemsInOrder(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 5, 5)
		require.Equal(t, o.leave(upTo(5)...), q.Shutdown(true))
		s := q.Stats()
		require.EqualValues(t, 5, s.Dropped)
		require.Zero(t, s.Done)
		require.Zero(t, s.Unfinished)
		require.Empty(t, q.Shutdown(true), "nothing is drained twice")
		check(t, q)
	})
}

func TestAGracefulShutdownMayBeFollowedByAnImmediateOne(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		q := o.filled(t, 5, 3)
		require.Nil(t, q.Shutdown(false))
		require.Nil(t, q.Shutdown(false))
		first, err := q.TryGet()
		require.NoError(t, err)
		rest := q.Shutdown(true)
		require.Equal(t, o.leave(upTo(3)...), append([]int{first}, rest...))
		require.Nil(t, q.Shutdown(false))
		require.Equal(t, queue.ErrShutdown, q.TryPut(4), "a shutdown can't be undone")
		q.Resize(100)
		require.Equal(t, queue.ErrShutdown, q.TryPut(4), "not by Resize either")
	})
}

// Each kind of parked call, in each state in which it can be parked, at each
// kind of shutdown.
func TestAShutdownReleasesEveryBlockedCall(t *testing.T) {
	const received = 1000 // an item in progress, so that a Join blocks on an empty queue too
	type parked struct {
		name string
		run  func(q *queue.Queue[int]) error
		put  bool // parks on a full queue; else on an empty one
		join bool // parks on any
	}
	forEachOrder(t, func(t *testing.T, o order) {
		for _, p := range []parked{
			{name: "Put", put: true, run: func(q *queue.Queue[int]) error { return q.Put(background, 50) }},
			{name: "PutBatch", put: true, run: func(q *queue.Queue[int]) error {
				n, err := q.PutBatch(background, []int{51, 52, 53})
				if n != 0 {
					return fmt.Errorf("%d items went into a full queue", n)
				}
				return err
			}},
			{name: "Get", run: func(q *queue.Queue[int]) error {
				_, err := q.Get(background)
				return err
			}},
			{name: "GetBatch", run: func(q *queue.Queue[int]) error {
				_, err := q.GetBatch(background, make([]int, 3))
				return err
			}},
			{name: "Tasks", run: func(q *queue.Queue[int]) error {
				for range q.Tasks(background) {
					return fmt.Errorf("an item out of nowhere")
				}
				return queue.ErrShutdown
			}},
			{name: "Batches", run: func(q *queue.Queue[int]) error {
				for range q.Batches(background, 3, time.Hour) {
					return fmt.Errorf("an item out of nowhere")
				}
				return queue.ErrShutdown
			}},
			{name: "Join", join: true, run: func(q *queue.Queue[int]) error { return q.Join(background) }},
		} {
			for waiting := range 4 {
				if p.put && waiting < 3 || !p.put && !p.join && waiting > 0 {
					continue // does not park
				}
				for _, ends := range [][]bool{{false}, {true}, {false, false}, {true, true}, {false, true}, {true, false}} {
					t.Run(fmt.Sprintf("%s with %d waiting, %v", p.name, waiting, ends), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							q := o.make(3)
							require.NoError(t, q.TryPut(received))
							_, err := q.TryGet()
							require.NoError(t, err)
							for i := range waiting {
								require.NoError(t, q.TryPut(i+1))
							}
							const callers = 3
							returned := make(chan error, callers)
							for range callers {
								go func() { returned <- p.run(q) }()
								synctest.Wait()
							}
							require.Empty(t, returned)
							var drained []int
							for _, immediate := range ends {
								drained = append(drained, q.Shutdown(immediate)...)
								check(t, q)
							}
							synctest.Wait()
							left := append(drained, empty(q)...)
							require.Equal(t, o.leave(upTo(waiting)...), left)
							want := queue.ErrShutdown
							if p.join {
								want = nil
								require.Empty(t, returned, "Join goes on")
								require.NoError(t, q.TaskDoneN(q.Stats().Unfinished))
								synctest.Wait()
							}
							require.Len(t, returned, callers)
							for range callers {
								require.Equal(t, want, <-returned)
							}
							s := q.Stats()
							require.Zero(t, s.PutWaiting+s.GetWaiting)
						})
					})
				}
			}
		}
	})
}

func TestShutdownsFromManyGoroutinesAtOnceDrainEachItemOnce(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for range 50 {
			q := o.filled(t, 20, 20)
			var mu sync.Mutex
			var drained []int
			var callers sync.WaitGroup
			for i := range 8 {
				callers.Go(func() {
					items := q.Shutdown(i%2 == 0)
					mu.Lock()
					drained = append(drained, items...)
					mu.Unlock()
				})
			}
			callers.Wait()
			assert.ElementsMatch(t, upTo(20), drained)
			check(t, q)
		}
	})
}
