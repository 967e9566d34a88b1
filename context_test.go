package queue_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A misbehavingContext breaks the contract of contexts: its methods panic or
// end their goroutine, or don't agree with each other.
type misbehavingContext struct {
	context.Context
	done func() <-chan struct{}
	err  func() error
}

func (c misbehavingContext) Done() <-chan struct{} { return c.done() }
func (c misbehavingContext) Err() error            { return c.err() }

var ways = map[string]func(){
	"panics":       func() { panic("the context's") },
	"calls Goexit": runtime.Goexit,
}

// A blockingCall is a call that blocks on a queue of capacity 2: on a full one
// if it puts, on an empty one otherwise.
type blockingCall struct {
	name string
	puts bool
	do   func(q *queue.Queue[int], ctx context.Context) error
}

var blockingCalls = []blockingCall{
	{"Put", true, func(q *queue.Queue[int], ctx context.Context) error { return q.Put(ctx, 90) }},
	{"PutBatch", true, func(q *queue.Queue[int], ctx context.Context) error {
		n, err := q.PutBatch(ctx, []int{90, 91})
		return agree(n == 2, err)
	}},
	{"Get", false, func(q *queue.Queue[int], ctx context.Context) error {
		item, err := q.Get(ctx)
		return agree(item != 0, err)
	}},
	{"GetBatch", false, func(q *queue.Queue[int], ctx context.Context) error {
		n, err := q.GetBatch(ctx, make([]int, 2))
		return agree(n > 0, err)
	}},
	{"Tasks", false, func(q *queue.Queue[int], ctx context.Context) error {
		for range q.Tasks(ctx) {
			return nil
		}
		return context.Canceled
	}},
	{"Batches", false, func(q *queue.Queue[int], ctx context.Context) error {
		for range q.Batches(ctx, 2, time.Hour) {
			return nil
		}
		return context.Canceled
	}},
	{"Join", false, func(q *queue.Queue[int], ctx context.Context) error { return q.Join(ctx) }},
}

// forEachBlockingCall runs a test in a bubble for each order and call. The
// queue is one on which the call blocks, with one item in progress.
func forEachBlockingCall(t *testing.T, test func(t *testing.T, q *queue.Queue[int], c blockingCall)) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, c := range blockingCalls {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.filled(t, 2, 1)
					_, err := q.TryGet()
					require.NoError(t, err)
					if c.puts {
						n, err := q.TryPutBatch([]int{1, 2})
						require.NoError(t, err)
						require.Equal(t, 2, n)
					}
					test(t, q, c)
				})
			})
		}
	})
}

// stillWorks checks that q is as it was before a call that ended badly: no
// call is blocked, its items come out, and a new item reaches a new caller.
func stillWorks(t *testing.T, q *queue.Queue[int], before queue.Stats) {
	t.Helper()
	check(t, q)
	after := q.Stats()
	after.PutBlocked, after.GetBlocked = before.PutBlocked, before.GetBlocked
	require.Equal(t, before, after)
	require.Zero(t, q.JoinWaiting())
	require.ElementsMatch(t, upTo(before.Len), empty(q))
	require.NoError(t, q.TryPut(7))
	item, err := q.TryGet()
	require.NoError(t, err)
	require.Equal(t, 7, item, "an item was handed to a call that has ended")
	require.NoError(t, q.TaskDoneN(q.Stats().Unfinished))
	require.NoError(t, q.Join(background))
}

func TestAContextThatFailsInDoneEndsItsCallAloneAndChangesNothing(t *testing.T) {
	for how, fail := range ways {
		t.Run(how, func(t *testing.T) {
			forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
				before := q.Stats()
				ctx := misbehavingContext{background, func() <-chan struct{} { fail(); return nil }, func() error { return nil }}
				value, ended := attempt(func() { _ = c.do(q, ctx) })
				require.False(t, ended)
				if how == "panics" {
					require.Equal(t, "the context's", value)
				}
				require.Equal(t, before, q.Stats(), "the call did not even block")
				stillWorks(t, q, before)
			})
		})
	}
}

func TestAContextThatFailsInErrBeforeTheCallEndsItAloneAndChangesNothing(t *testing.T) {
	for how, fail := range ways {
		t.Run(how, func(t *testing.T) {
			forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
				before := q.Stats()
				ctx := misbehavingContext{background, func() <-chan struct{} { return nil }, func() error { fail(); return nil }}
				_, ended := attempt(func() { _ = c.do(q, ctx) })
				require.False(t, ended)
				require.Equal(t, before, q.Stats())
				stillWorks(t, q, before)
			})
		})
	}
}

func TestAContextThatFailsInErrWhileItsCallIsBlockedEndsItAloneAndChangesNothing(t *testing.T) {
	for how, fail := range ways {
		t.Run(how, func(t *testing.T) {
			forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
				before := q.Stats()
				done := make(chan struct{})
				closed := false
				ctx := misbehavingContext{background, func() <-chan struct{} { return done }, func() error {
					if closed {
						fail()
					}
					return nil
				}}
				returned := make(chan bool, 1)
				go func() {
					_, ended := attempt(func() { _ = c.do(q, ctx) })
					returned <- ended
				}()
				synctest.Wait()
				s := q.Stats()
				require.Equal(t, 1, s.PutWaiting+s.GetWaiting+q.JoinWaiting())
				closed = true
				close(done)
				require.Equal(t, c.name == "Batches", <-returned, "a loop over batches ends without asking")
				stillWorks(t, q, before)
			})
		})
	}
}

func TestACallThatWasCompletedReturnsItsItemThoughItsContextWouldFailInErr(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
		done := make(chan struct{})
		closed := false
		ctx := misbehavingContext{background, func() <-chan struct{} { return done }, func() error {
			if closed {
				panic("asked for the error of a call that was completed")
			}
			return nil
		}}
		returned := make(chan error, 1)
		go func() {
			value, _ := attempt(func() { returned <- c.do(q, ctx) })
			if value != nil {
				returned <- context.DeadlineExceeded
			}
		}()
		synctest.Wait()
		closed = true
		switch {
		case c.puts:
			empty(q)
		case c.name == "Join":
			require.NoError(t, q.TaskDone())
		default:
			_, err := q.TryPutBatch([]int{1, 2})
			require.NoError(t, err)
		}
		close(done)
		require.NoError(t, <-returned)
		check(t, q)
	})
}

func TestACallReturnsCanceledWhereDoneIsClosedAndErrIsNil(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
		before := q.Stats()
		done := make(chan struct{})
		ctx := misbehavingContext{background, func() <-chan struct{} { return done }, func() error { return nil }}
		returned := make(chan error, 1)
		go func() { returned <- c.do(q, ctx) }()
		synctest.Wait()
		close(done)
		require.Equal(t, context.Canceled, <-returned)
		stillWorks(t, q, before)

		again := make(chan error, 1)
		if c.puts {
			_, err := q.TryPutBatch([]int{1, 2})
			require.NoError(t, err)
		} else if c.name == "Join" {
			require.NoError(t, q.TryPut(1))
			empty(q)
		}
		go func() { again <- c.do(q, ctx) }()
		require.Equal(t, context.Canceled, <-again, "also where Done was closed before the call")
	})
}

func TestABlockedCallEndsWithTheFirstDoneOfAContextWhoseDoneChanges(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
		before := q.Stats()
		first := make(chan struct{})
		asked := 0
		ended := false
		ctx := misbehavingContext{background, func() <-chan struct{} {
			asked++
			if asked > 1 {
				return make(chan struct{})
			}
			return first
		}, func() error {
			if ended {
				return context.Canceled
			}
			return nil
		}}
		returned := make(chan error, 1)
		go func() { returned <- c.do(q, ctx) }()
		synctest.Wait()
		ended = true
		close(first)
		require.Equal(t, context.Canceled, <-returned)
		require.Equal(t, 1, asked)
		stillWorks(t, q, before)
	})
}

// Done is asked without the lock, so that all may change meanwhile.
func TestACallSeesWhatChangesAsItAsksForDone(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
		ctx := misbehavingContext{background, func() <-chan struct{} {
			switch {
			case c.puts:
				empty(q)
			case c.name == "Join":
				assert.NoError(t, q.TaskDone())
			default:
				_, err := q.TryPutBatch([]int{1, 2})
				assert.NoError(t, err)
			}
			return nil
		}, func() error { return nil }}
		require.NoError(t, c.do(q, ctx))
		s := q.Stats()
		require.Zero(t, s.PutBlocked+s.GetBlocked)
		check(t, q)
	})
}

func TestACallSeesAShutdownThatComesAsItAsksForDone(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q *queue.Queue[int], c blockingCall) {
		ctx := misbehavingContext{background, func() <-chan struct{} {
			q.Shutdown(false)
			if c.name == "Join" {
				assert.NoError(t, q.TaskDone())
			}
			return nil
		}, func() error { return nil }}
		switch err := c.do(q, ctx); c.name {
		case "Join":
			require.NoError(t, err)
		case "Tasks", "Batches":
			require.Error(t, err, "the loop ended")
		default:
			require.Equal(t, queue.ErrShutdown, err)
		}
		s := q.Stats()
		require.Zero(t, s.PutBlocked+s.GetBlocked)
		check(t, q)
	})
}

// The error of a loop's context is asked for at each turn, while the last item
// is in hand.
func TestALoopMarksItsItemsDoneOnceThoughItsContextFailsInErr(t *testing.T) {
	for how, fail := range ways {
		for name, loop := range map[string]func(q *queue.Queue[int], ctx context.Context){
			"Tasks": func(q *queue.Queue[int], ctx context.Context) {
				for range q.Tasks(ctx) {
				}
			},
			"Batches": func(q *queue.Queue[int], ctx context.Context) {
				for range q.Batches(ctx, 1, time.Hour) {
				}
			},
		} {
			t.Run(name+", Err "+how, func(t *testing.T) {
				forEachOrder(t, func(t *testing.T, o order) {
					q := o.filled(t, 5, 5)
					turns := 0
					ctx := misbehavingContext{background, func() <-chan struct{} { return nil }, func() error {
						if turns++; turns == 4 {
							fail()
						}
						return nil
					}}
					_, ended := attempt(func() { loop(q, ctx) })
					require.False(t, ended)
					s := q.Stats()
					require.EqualValues(t, 3, s.Got)
					require.EqualValues(t, 3, s.Done)
					require.Equal(t, 2, s.Unfinished)
					check(t, q)
				})
			})
		}
	}
}
