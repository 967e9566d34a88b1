package queue_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// An order is one of the three orders in which items leave.
type order struct {
	name    string
	make    func(capacity int) *queue.Queue[int]
	compare func(a, b int) int // orders items that were put in ascending order as they leave
}

var orders = []order{
	{"fifo", queue.New[int], cmp.Compare[int]},
	{"lifo", queue.NewLIFO[int], func(a, b int) int { return cmp.Compare(b, a) }},
	{"priority", func(capacity int) *queue.Queue[int] { return queue.NewPriority(capacity, evenFirst) }, evenFirst},
}

// evenFirst makes an order that is neither that of arrival nor its reverse.
func evenFirst(a, b int) int {
	if c := cmp.Compare(a&1, b&1); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// leave returns items that are put in ascending order in the order in which
// they leave.
func (o order) leave(items ...int) []int {
	sorted := append([]int(nil), items...) // nil if there are none, as from Shutdown
	slices.SortFunc(sorted, o.compare)
	return sorted
}

// filled returns a queue with the items 1 to n in it.
func (o order) filled(t testing.TB, capacity, n int) *queue.Queue[int] {
	t.Helper()
	q := o.make(capacity)
	for i := range n {
		require.NoError(t, q.TryPut(i+1))
	}
	return q
}

// forEachOrder runs a test on each of the three orders.
func forEachOrder(t *testing.T, test func(t *testing.T, o order)) {
	for _, o := range orders {
		t.Run(o.name, func(t *testing.T) { test(t, o) })
	}
}

// check fails the test if q's invariants don't hold.
func check[T any](t testing.TB, q *queue.Queue[T]) {
	t.Helper()
	require.NoError(t, q.CheckInvariants())
}

// empty takes out all that is in q, without waiting.
func empty[T any](q *queue.Queue[T]) (items []T) {
	for {
		item, err := q.TryGet()
		if err != nil {
			return items
		}
		items = append(items, item)
	}
}

// upTo returns 1, 2, ..., n.
func upTo(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i + 1
	}
	return items
}

func TestItemsLeaveInTheOrderOfTheQueue(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, capacity := range []int{queue.Unbounded, 10, 100} {
			q := o.filled(t, capacity, 10)
			check(t, q)
			first, err := q.Peek()
			require.NoError(t, err)
			require.Equal(t, o.leave(upTo(10)...)[0], first)
			require.Equal(t, 10, q.Len(), "Peek leaves the item")
			require.Equal(t, o.leave(upTo(10)...), empty(q))
			check(t, q)
		}
	})
}

func TestEqualItemsOfAPriorityQueueLeaveInTheOrderInWhichTheyCame(t *testing.T) {
	type item struct{ key, arrival int }
	q := queue.NewPriority(queue.Unbounded, func(a, b item) int { return cmp.Compare(a.key, b.key) })
	var want []item
	for i := range 100 {
		it := item{i * 7 % 3, i}
		require.NoError(t, q.TryPut(it))
		want = append(want, it)
	}
	slices.SortStableFunc(want, func(a, b item) int { return cmp.Compare(a.key, b.key) })
	require.Equal(t, want, empty(q))
}

func TestACapacityOfZeroOrLessIsNoBound(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, capacity := range []int{queue.Unbounded, -1, math.MinInt} {
			q := o.filled(t, capacity, 5000)
			require.Equal(t, 0, q.Cap())
			require.False(t, q.Full())
			_, evicted, err := q.ForcePut(5001)
			require.NoError(t, err)
			require.False(t, evicted, "an unbounded queue never evicts")
			require.Equal(t, 5001, q.Len())
			check(t, q)
		}
	})
}

func TestTheZeroValueIsAnUnboundedFIFOQueue(t *testing.T) {
	var q queue.Queue[int]
	require.True(t, q.Empty())
	for i := range 3000 {
		require.NoError(t, q.Put(background, i))
	}
	for i := range 3000 {
		item, err := q.Get(background)
		require.NoError(t, err)
		require.Equal(t, i, item)
	}
	require.NoError(t, q.TaskDoneN(3000))
	require.NoError(t, q.Join(background))
	check(t, &q)
}

func TestNewPriorityPanicsWithoutCompare(t *testing.T) {
	require.PanicsWithValue(t, "queue: NewPriority: compare is nil", func() { queue.NewPriority[int](1, nil) })
}

// A call is a method that puts or gets, as a test of errors sees it.
type call struct {
	name string
	do   func(q *queue.Queue[int], ctx context.Context) error
	puts bool // otherwise it gets, or looks
	ctx  bool // takes a context
	park bool // waits, if it can't be served
}

var calls = []call{
	{"Put", func(q *queue.Queue[int], ctx context.Context) error { return q.Put(ctx, 99) }, true, true, true},
	{"PutBatch", func(q *queue.Queue[int], ctx context.Context) error {
		n, err := q.PutBatch(ctx, []int{99})
		return agree(n == 1, err)
	}, true, true, true},
	{"TryPut", func(q *queue.Queue[int], _ context.Context) error { return q.TryPut(99) }, true, false, false},
	{"ForcePut", func(q *queue.Queue[int], _ context.Context) error {
		_, _, err := q.ForcePut(99)
		return err
	}, true, false, false},
	{"Get", func(q *queue.Queue[int], ctx context.Context) error {
		item, err := q.Get(ctx)
		return agree(item != 0, err)
	}, false, true, true},
	{"GetBatch", func(q *queue.Queue[int], ctx context.Context) error {
		n, err := q.GetBatch(ctx, make([]int, 2))
		return agree(n > 0, err)
	}, false, true, true},
	{"TryGet", func(q *queue.Queue[int], _ context.Context) error {
		item, err := q.TryGet()
		return agree(item != 0, err)
	}, false, false, false},
	{"Peek", func(q *queue.Queue[int], _ context.Context) error {
		item, err := q.Peek()
		return agree(item != 0, err)
	}, false, false, false},
	{"TryPutBatch", func(q *queue.Queue[int], _ context.Context) error {
		n, err := q.TryPutBatch([]int{99})
		return agree(n == 1, err)
	}, true, false, false},
	{"TryGetBatch", func(q *queue.Queue[int], _ context.Context) error {
		n, err := q.TryGetBatch(make([]int, 2))
		return agree(n > 0, err)
	}, false, false, false},
	{"Requeue", func(q *queue.Queue[int], _ context.Context) error { return q.Requeue(99) }, true, false, false},
	{"Tasks", func(q *queue.Queue[int], ctx context.Context) error {
		for range q.Tasks(ctx) {
			return nil
		}
		return loopError(ctx)
	}, false, true, true},
	{"Batches", func(q *queue.Queue[int], ctx context.Context) error {
		for range q.Batches(ctx, 2, 0) {
			return nil
		}
		return loopError(ctx)
	}, false, true, true},
}

// loopError returns why a loop over Tasks or Batches ended by itself.
func loopError(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return queue.ErrShutdown
}

// The methods that stand in none of the tables of calls, and why.
var untabled = map[string]string{
	"Ready":    "in the plain model; returns no error",
	"Len":      "compared by the plain model as part of Stats",
	"Cap":      "compared by the plain model as part of Stats",
	"Empty":    "Len() == 0",
	"Full":     "compared by the plain model after each step",
	"Stats":    "compared by the plain model after each step",
	"String":   "prints Stats; tested in stats_test.go",
	"Format":   "prints String; tested in stats_test.go",
	"LogValue": "logs Stats; tested in stats_test.go",

	// Of the tests alone.
	"CheckInvariants": "not exported to users",
	"JoinWaiting":     "not exported to users",
}

func TestEveryMethodStandsInATableOfCallsOrIsLeftOutForAReason(t *testing.T) {
	tabled := map[string]bool{}
	for _, c := range calls {
		tabled[c.name] = true
	}
	for _, name := range operationNames {
		tabled[name] = true
	}
	methods := reflect.TypeFor[*queue.Queue[int]]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		_, leftOut := untabled[name]
		require.True(t, tabled[name] || leftOut, "%s is in no table of calls", name)
	}
	for name := range untabled {
		_, exists := methods.MethodByName(name)
		require.True(t, exists, "%s is left out, but does not exist", name)
	}
}

var errDisagree = errors.New("something moved and there was an error, or neither")

// agree returns err, if something moved exactly when it is nil.
func agree(moved bool, err error) error {
	if moved != (err == nil) {
		return errDisagree
	}
	return err
}

// forEachCall runs a test on each order and call.
func forEachCall(t *testing.T, test func(t *testing.T, o order, c call)) {
	forEachOrder(t, func(t *testing.T, o order) {
		for _, c := range calls {
			t.Run(c.name, func(t *testing.T) { test(t, o, c) })
		}
	})
}

func TestEachCallReturnsTheErrorOfTheQueuesState(t *testing.T) {
	forEachCall(t, func(t *testing.T, o order, c call) {
		parks := errors.New("parks")
		want := func(ifPut, ifGet error) error {
			err := ifGet
			if c.puts {
				err = ifPut
			}
			if c.park && (errors.Is(err, queue.ErrFull) || errors.Is(err, queue.ErrEmpty)) {
				return parks
			}
			return err
		}
		full, down := queue.ErrFull, queue.ErrShutdown
		if c.name == "ForcePut" || c.name == "Requeue" {
			full = nil
		}
		if c.name == "Requeue" {
			down = nil // as long as items are unfinished
		}
		for _, state := range []struct {
			name  string
			items int
			down  bool
			want  error
		}{
			{"empty", 0, false, want(nil, queue.ErrEmpty)},
			{"partly filled", 2, false, want(nil, nil)},
			{"full", 3, false, want(full, nil)},
			{"shut down and empty", 0, true, want(queue.ErrShutdown, queue.ErrShutdown)},
			{"shut down and partly filled", 2, true, want(down, nil)},
			{"shut down and full", 3, true, want(down, nil)},
		} {
			t.Run(state.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := o.filled(t, 3, state.items)
					if state.down {
						q.Shutdown(false)
					}
					ctx, cancel := context.WithTimeout(background, time.Hour)
					defer cancel()
					before := q.Stats()
					err := c.do(q, ctx)
					check(t, q)
					if state.want == parks {
						require.Equal(t, context.DeadlineExceeded, err)
						before.PutBlocked, before.GetBlocked = q.Stats().PutBlocked, q.Stats().GetBlocked
						require.EqualValues(t, 1, before.PutBlocked+before.GetBlocked)
					} else {
						require.Equal(t, state.want, err)
						require.NoError(t, ctx.Err(), "the call waited")
					}
					if err != nil {
						if errors.Is(err, queue.ErrFull) {
							before.Rejected++
						}
						require.Equal(t, before, q.Stats(), "an error changes nothing")
					}
				})
			})
		}
	})
}

func TestAContextThatIsDoneWinsOverEverything(t *testing.T) {
	cancelled, cancel := context.WithCancel(background)
	cancel()
	forEachCall(t, func(t *testing.T, o order, c call) {
		if !c.ctx {
			t.Skip("takes no context")
		}
		for items := range 4 {
			for _, down := range []bool{false, true} {
				q := o.filled(t, 3, items)
				if down {
					q.Shutdown(false)
				}
				before := q.Stats()
				require.Equal(t, context.Canceled, c.do(q, cancelled))
				require.Equal(t, before, q.Stats())
				check(t, q)
			}
		}
	})
	q := queue.New[int](1)
	require.Equal(t, context.Canceled, q.Join(cancelled), "though no item is unfinished")
	for range q.Tasks(cancelled) {
		t.Fatal("Tasks yielded an item")
	}
}

func TestBlockedCallsCompleteFirstComeFirstServed(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		t.Run("gets", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := o.make(2)
				got := make([]int, 10)
				for i := range got {
					go func() { got[i], _ = q.Get(background) }()
					synctest.Wait()
				}
				require.Equal(t, 10, q.Stats().GetWaiting)
				for i := range got {
					require.NoError(t, q.TryPut(i+1))
					_, err := q.TryGet()
					require.Equal(t, queue.ErrEmpty, err, "a newcomer got an item for which a call is blocked")
					check(t, q)
				}
				synctest.Wait()
				require.Equal(t, upTo(10), got)
				require.Zero(t, q.Stats().MaxLen, "items handed over never waited")
			})
		})
		t.Run("puts", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := o.filled(t, 1, 1)
				var entered []int
				for i := range 10 {
					go func() {
						if assert.NoError(t, q.Put(background, i+2)) {
							entered = append(entered, i+2)
						}
					}()
					synctest.Wait()
				}
				for want := range 11 {
					item, err := q.TryGet()
					require.NoError(t, err)
					require.Equal(t, want+1, item)
					if want < 10 {
						require.Equal(t, queue.ErrFull, q.TryPut(77), "a newcomer got a slot for which a call is blocked")
					}
					check(t, q)
					synctest.Wait()
				}
				require.Equal(t, upTo(11)[1:], entered)
			})
		})
	})
}
