package queue_test

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// A fuse lets compare be called left times before it fails; a negative number
// is no end. Each is used by one goroutine at a time.
type fuse struct {
	left  int
	fail  func()
	blown bool
}

func (f *fuse) compare(a, b int) int {
	if f.left == 0 {
		f.left = -1
		f.blown = true
		f.fail()
	}
	f.left--
	return cmp.Compare(a, b)
}

var failures = map[string]func(){
	"panics":       func() { panic("compare failed") },
	"calls Goexit": runtime.Goexit,
}

// attempt runs f on a goroutine of its own, so that Goexit ends no test, and
// returns what it panicked with, and whether it came to its end.
func attempt(f func()) (value any, ended bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { value = recover() }()
		f()
		ended = true
	}()
	<-done
	return value, ended
}

// Each method that compares, with compare failing at every call in turn.
func TestACompareThatFailsChangesNothingAndEndsItsCallAlone(t *testing.T) {
	const items = 9
	methods := []struct {
		name     string
		capacity int
		do       func(q *queue.Queue[int])
	}{
		{"Put", 20, func(q *queue.Queue[int]) { _ = q.Put(background, 4) }},
		{"TryPut", 20, func(q *queue.Queue[int]) { _ = q.TryPut(4) }},
		{"ForcePut with room", 20, func(q *queue.Queue[int]) { _, _, _ = q.ForcePut(4) }},
		{"ForcePut without room", items, func(q *queue.Queue[int]) { _, _, _ = q.ForcePut(4) }},
		{"Get", 20, func(q *queue.Queue[int]) { _, _ = q.Get(background) }},
		{"TryGet", 20, func(q *queue.Queue[int]) { _, _ = q.TryGet() }},
		{"GetBatch", 20, func(q *queue.Queue[int]) { _, _ = q.GetBatch(background, make([]int, 5)) }},
		{"Tasks", 20, func(q *queue.Queue[int]) {
			for range q.Tasks(background) {
				break
			}
		}},
		{"TryPutBatch", 20, func(q *queue.Queue[int]) { _, _ = q.TryPutBatch([]int{4}) }},
		{"TryGetBatch", 20, func(q *queue.Queue[int]) { _, _ = q.TryGetBatch(make([]int, 5)) }},
		{"Requeue", items, func(q *queue.Queue[int]) { _ = q.Requeue(4) }},
		{"Batches", 20, func(q *queue.Queue[int]) {
			for range q.Batches(background, 5, 0) {
				break
			}
		}},
		{"Shutdown", 20, func(q *queue.Queue[int]) { _ = q.Shutdown(true) }},
	}
	for how, fail := range failures {
		for _, m := range methods {
			t.Run(m.name+", compare "+how, func(t *testing.T) {
				for n := 0; ; n++ {
					f := &fuse{left: -1, fail: fail}
					q := queue.NewPriority(m.capacity, f.compare)
					put := []int{5, 3, 8, 1, 9, 2, 7, 6, 10}
					for _, item := range put {
						require.NoError(t, q.TryPut(item))
					}
					before := q.Stats()
					f.left = n
					value, ended := attempt(func() { m.do(q) })
					if !f.blown {
						require.True(t, ended)
						require.Positive(t, n, "the method does not compare")
						return
					}
					f.left = -1
					require.False(t, ended)
					if how == "panics" {
						require.Equal(t, "compare failed", value)
					}
					check(t, q)
					require.Equal(t, before, q.Stats())
					q.Resize(queue.Unbounded)
					require.NoError(t, q.TryPut(0))
					slices.Sort(put)
					require.Equal(t, append([]int{0}, put...), empty(q))
				}
			})
		}
	}
}

func TestAGetBatchWhoseCompareFailsLeavesNothingInItsSlice(t *testing.T) {
	f := &fuse{left: -1, fail: failures["panics"]}
	q := queue.NewPriority(queue.Unbounded, f.compare)
	for i := range 9 {
		require.NoError(t, q.TryPut(i+1))
	}
	f.left = 7 // some items are out by then
	dst := make([]int, 9)
	value, _ := attempt(func() { _, _ = q.GetBatch(background, dst) })
	require.Equal(t, "compare failed", value)
	require.Equal(t, make([]int, 9), dst)
	require.Equal(t, 9, q.Len())
}

func TestPutBatchKeepsWhatWentInBeforeCompareFailed(t *testing.T) {
	for how, fail := range failures {
		t.Run(how, func(t *testing.T) {
			for n := 0; ; n++ {
				f := &fuse{left: n, fail: fail}
				q := queue.NewPriority(queue.Unbounded, f.compare)
				attempt(func() { _, _ = q.PutBatch(background, []int{6, 5, 4, 3, 2, 1}) })
				f.left = -1
				if !f.blown {
					require.Equal(t, 6, q.Len())
					return
				}
				check(t, q)
				s := q.Stats()
				require.Less(t, s.Len, 6)
				require.EqualValues(t, s.Len, s.Put)
				require.Equal(t, s.Len, s.Unfinished)
				got := empty(q)
				require.True(t, slices.IsSorted(got))
				require.Len(t, got, s.Len)
				require.Equal(t, 6, slices.Max(got), "items go in in order")
			}
		})
	}
}

// A parked Put's item is compared by the call that makes room for it.
func TestACompareThatFailsOnABlockedItemFailsThatPutAlone(t *testing.T) {
	makeRoom := map[string]func(q *queue.Queue[int]){
		"Get":      func(q *queue.Queue[int]) { _, _ = q.Get(background) },
		"GetBatch": func(q *queue.Queue[int]) { _, _ = q.GetBatch(background, make([]int, 1)) },
		"Resize":   func(q *queue.Queue[int]) { q.Resize(q.Cap() + 1) },
		"Tasks": func(q *queue.Queue[int]) {
			for range q.Tasks(background) {
				break
			}
		},
	}
	for how, fail := range failures {
		for name, makeRoom := range makeRoom {
			t.Run(fmt.Sprintf("%s makes room, compare %s", name, how), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const poison, other = 100, 50
					armed := false
					q := queue.NewPriority(4, func(a, b int) int {
						if armed && (a == poison || b == poison) {
							fail()
						}
						return cmp.Compare(a, b)
					})
					for i := range 4 {
						require.NoError(t, q.TryPut(i+1))
					}
					var value any
					ended := false
					go func() {
						defer func() { value = recover() }()
						_ = q.Put(background, poison)
						ended = true
					}()
					synctest.Wait()
					var otherErr error = queue.ErrFull
					go func() { otherErr = q.Put(background, other) }()
					synctest.Wait()

					armed = true
					roomValue, roomEnded := attempt(func() { makeRoom(q) })
					synctest.Wait()
					armed = false
					check(t, q)
					require.Nil(t, roomValue)
					require.Equal(t, how == "panics", roomEnded, "the call that made room goes on, unless Goexit ends its goroutine")
					require.False(t, ended)
					if how == "panics" {
						require.Equal(t, "compare failed", value)
					} else {
						require.NotNil(t, value)
					}
					require.NoError(t, otherErr, "the next in line is let in instead")
					got := empty(q)
					require.Contains(t, got, other)
					require.NotContains(t, got, poison)
					require.EqualValues(t, 5, q.Stats().Put)
				})
			})
		}
	}
}

// A PutBatch that fails while it is parked keeps what went in.
func TestACompareThatFailsOnABlockedBatchFailsThatBatchAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fuse{left: -1, fail: failures["panics"]}
		q := queue.NewPriority(3, f.compare)
		var value any
		go func() {
			defer func() { value = recover() }()
			_, _ = q.PutBatch(background, upTo(7))
		}()
		synctest.Wait()
		_, err := q.TryGet()
		require.NoError(t, err)
		require.Equal(t, 1, q.Stats().PutWaiting)
		_, err = q.TryGet()
		require.NoError(t, err)
		f.left = 1 // enough for the Get itself
		_, err = q.TryGet()
		require.NoError(t, err)
		synctest.Wait()
		f.left = -1
		require.True(t, f.blown)
		require.Equal(t, "compare failed", value)
		require.Zero(t, q.Stats().PutWaiting)
		check(t, q)
		require.Equal(t, []int{4, 5}, empty(q), "nor what comes behind the item over which it failed")
	})
}

func TestTheJoinsAndGetsGoOnAfterComparePanicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fuse{left: -1, fail: failures["panics"]}
		q := queue.NewPriority(4, f.compare)
		require.NoError(t, q.TryPut(1))
		joined := false
		go func() { joined = q.Join(background) == nil }()
		synctest.Wait()
		f.left = 0
		value, _ := attempt(func() { _ = q.TryPut(2) })
		require.Equal(t, "compare failed", value)
		f.left = -1
		empty(q)
		got := 0
		go func() { got, _ = q.Get(background) }()
		synctest.Wait()
		require.NoError(t, q.TryPut(3))
		require.NoError(t, q.TaskDoneN(2))
		synctest.Wait()
		require.Equal(t, 3, got)
		require.True(t, joined)
	})
}

// Under panicnil=1, recover returns nil for panic(nil), as it does while
// runtime.Goexit runs deferred calls.
func TestAComparePanickingWithNilOnABlockedItemFailsThatPutAlone(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	for _, others := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			f := &fuse{left: -1, fail: func() { panic(nil) }}
			q := queue.NewPriority(2, f.compare)
			require.NoError(t, q.TryPut(1))
			require.NoError(t, q.TryPut(2))
			returned := make(chan bool, 1)
			go func() {
				_, ended := attempt(func() { _ = q.Put(background, 3) })
				returned <- ended
			}()
			synctest.Wait()
			for i := range others {
				go func() { _ = q.Put(background, 4+i) }()
				synctest.Wait()
			}
			f.left = 0
			item, err := q.TryGet()
			require.NoError(t, err, "the call that made room is not at fault")
			require.Equal(t, 1, item)
			require.True(t, f.blown)
			require.False(t, <-returned)
			check(t, q)
			var rest []int
			for range 1 + others {
				item, err := q.TryGet()
				require.NoError(t, err)
				rest = append(rest, item)
			}
			require.Equal(t, []int{2, 4, 5}[:1+others], rest)
			require.EqualValues(t, 2+others, q.Stats().Put)
			require.Zero(t, q.Stats().PutWaiting)
		})
	}
}
