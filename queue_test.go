package queue_test

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/boundq/queue"
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
	items = slices.Clone(items)
	slices.SortFunc(items, o.compare)
	return items
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
