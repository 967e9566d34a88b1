package queue_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

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
