package queue_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// The context of a blocked call ends, and the call is completed before it runs
// again: on one processor, it does not run in between.
func TestABlockedCallThatIsCompletedAfterItsContextEndedKeepsWhatItWasGiven(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
		for range 1000 { // a try may be preempted
			before := q.Stats()
			ctx, cancel := context.WithCancel(background)
			returned := make(chan error, 1)
			go func() { returned <- c.do(q, ctx) }()
			synctest.Wait()
			cancel()
			switch {
			case c.puts:
				empty(q)
			case c.name == "Join":
				require.NoError(t, q.TaskDone())
			default:
				_, err := q.TryPutBatch([]int{1, 2})
				require.NoError(t, err)
			}
			synctest.Wait()
			err := <-returned
			s := q.Stats()
			check(t, q)
			if c.puts {
				require.Equal(t, s.Put > before.Put, err == nil, "%v, %+v", err, s)
			} else if c.name != "Join" {
				require.Equal(t, s.Got > before.Got, err == nil, "%v, %+v", err, s)
			}
			if err == nil {
				return
			}
			require.Equal(t, context.Canceled, err)
			empty(q)
			if c.name == "Join" {
				require.NoError(t, q.TryPut(1))
				empty(q)
			} else if c.puts {
				_, err := q.TryPutBatch([]int{1, 2})
				require.NoError(t, err)
			}
		}
		t.Fatal("no call was completed after its context had ended")
	})
}

// In a FIFO queue a PutBatch gives each blocked call one item and each loop as
// many as it has room for, before a GetBatch in front of them gets more.
func TestPutBatchFillsTheLoopBehindAGetBatchFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New[int](10)
		got := make(chan []int, 1)
		go func() {
			dst := make([]int, 4)
			n, _ := q.GetBatch(background, dst)
			got <- dst[:n]
		}()
		synctest.Wait()
		batches := collect(background, q, 3, time.Hour)
		_, err := q.TryPutBatch(upTo(5))
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, <-got)
		require.Equal(t, []dated{{0, []int{3, 4, 5}}}, batches())
	})
}

func TestPutBatchGivesEachBlockedGetBatchAnItemBeforeAnyGetsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New[int](10)
		got := make([][]int, 3)
		for i := range got {
			go func() {
				dst := make([]int, 3)
				n, _ := q.GetBatch(background, dst)
				got[i] = dst[:n]
			}()
			synctest.Wait()
		}
		n, err := q.TryPutBatch(upTo(5))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		synctest.Wait()
		require.Equal(t, [][]int{{1, 2, 3}, {4}, {5}}, got)
	})
}
