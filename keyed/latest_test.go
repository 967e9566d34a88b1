package keyed_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/stretchr/testify/require"
)

type quote = keyed.Entry[string, int]

func TestPutOfAQueuedKeyReplacesItsValueAndKeepsItsTurn(t *testing.T) {
	var q keyed.Latest[string, int]
	for _, p := range []struct {
		key      string
		value    int
		old      int
		replaced bool
		len      int
	}{
		{"a", 1, 0, false, 1},
		{"b", 2, 0, false, 2},
		{"a", 3, 1, true, 2},
		{"a", 4, 3, true, 2},
		{"c", 5, 0, false, 3},
		{"b", 6, 2, true, 3},
	} {
		old, replaced, err := q.Put(p.key, p.value)
		require.NoError(t, err)
		require.Equal(t, p.old, old)
		require.Equal(t, p.replaced, replaced)
		require.Equal(t, p.len, q.Len())
	}
	require.Equal(t, queue.Stats{Len: 3, MaxLen: 3, Unfinished: 3, Put: 6, Dropped: 3}, q.Stats())
	for _, want := range []quote{{"a", 4}, {"b", 6}, {"c", 5}} {
		key, value, err := q.TryGet()
		require.NoError(t, err)
		require.Equal(t, want, quote{key, value})
	}
	_, _, err := q.TryGet()
	require.Equal(t, queue.ErrEmpty, err)
	require.NoError(t, q.CheckInvariants())
}

func TestAKeyThatWasTakenIsQueuedAgainByTheNextPut(t *testing.T) {
	var q keyed.Latest[string, int]
	_, _, _ = q.Put("a", 1)
	_, _, _ = q.Put("b", 2)
	_, _, _ = q.TryGet() // a is in hand
	_, replaced, err := q.Put("a", 3)
	require.NoError(t, err)
	require.False(t, replaced)
	require.Equal(t, []quote{{"b", 2}, {"a", 3}}, q.Shutdown(true))
}

func TestABlockedGetIsHandedTheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q keyed.Latest[string, int]
		got := make(chan quote)
		for range 2 {
			go func() {
				key, value, _ := q.Get(background)
				got <- quote{key, value}
			}()
			synctest.Wait()
		}
		for value := range 2 { // the key is in no queue that a value could be replaced in
			_, replaced, err := q.Put("a", value)
			require.NoError(t, err)
			require.False(t, replaced)
			require.Zero(t, q.Len())
			require.Equal(t, quote{"a", value}, <-got)
		}
		require.Equal(t, queue.Stats{Unfinished: 2, Put: 2, Got: 2, GetBlocked: 2}, q.Stats())
	})
}

func TestAReplacementLeavesTheUnfinishedCountAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q keyed.Latest[string, int]
		_, _, _ = q.Put("a", 1)
		joined := make(chan error, 1)
		go func() { joined <- q.Join(background) }()
		synctest.Wait()
		_, _, _ = q.Put("a", 2)
		synctest.Wait()
		require.Empty(t, joined)
		require.NoError(t, q.TaskDone())
		require.NoError(t, <-joined)
		require.Equal(t, queue.ErrTaskDone, q.TaskDone())
		_, _, _ = q.Put("a", 3) // marked done before it was taken
		require.NoError(t, q.Join(background))
		require.Len(t, q.Shutdown(true), 1)
		require.Zero(t, q.Stats().Unfinished)
	})
}

func TestShutdownOfLatestLeavesOrReturnsWhatIsQueued(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var q keyed.Latest[string, int]
			for i, key := range []string{"b", "a", "b", "c"} {
				_, _, _ = q.Put(key, i)
			}
			drained := q.Shutdown(immediate)
			_, replaced, err := q.Put("a", 9)
			require.Equal(t, queue.ErrShutdown, err)
			require.False(t, replaced)
			all := []quote{{"b", 2}, {"a", 1}, {"c", 3}}
			if immediate {
				require.Equal(t, all, drained)
				require.Equal(t, queue.Stats{MaxLen: 3, Put: 4, Dropped: 4, Drained: 3, Shutdown: true}, q.Stats())
			} else {
				require.Empty(t, drained)
				var got []quote
				for key, value := range q.Tasks(background) {
					got = append(got, quote{key, value})
				}
				require.Equal(t, all, got)
			}
			require.Nil(t, q.Shutdown(true))
			_, _, err = q.TryGet()
			require.Equal(t, queue.ErrShutdown, err)
			_, _, err = q.Get(background)
			require.Equal(t, queue.ErrShutdown, err)
			require.NoError(t, q.Join(background))
			require.NoError(t, q.CheckInvariants())
		})
	}
}

func TestShutdownEndsBlockedGetsAndLoops(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		forEachSubject(t, 0, func(t *testing.T, q subject) {
			errs := make(chan error, 2)
			go func() {
				_, _, err := q.Get(background)
				errs <- err
			}()
			go func() {
				for range q.Tasks(background) {
				}
				errs <- queue.ErrShutdown
			}()
			synctest.Wait()
			require.Nil(t, q.Shutdown(immediate))
			require.Equal(t, queue.ErrShutdown, <-errs)
			require.Equal(t, queue.ErrShutdown, <-errs)
		})
	}
}

func TestATakerCompletesAfterThoseThatBlockedBefore(t *testing.T) {
	forEachSubject(t, 0, func(t *testing.T, q subject) {
		got := make(chan [2]int, 3)
		for i := range 3 {
			go func() {
				_, item, _ := q.Get(background)
				got <- [2]int{i, item}
			}()
			synctest.Wait()
		}
		for i := range 3 {
			_, _, err := q.put(background, float64(i), i, true)
			require.NoError(t, err)
			_, _, err = q.TryGet()
			require.Equal(t, queue.ErrEmpty, err)
			require.Equal(t, [2]int{i, i}, <-got)
		}
	})
}

func TestTasksMarksEachItemDoneHoweverItsBodyEnds(t *testing.T) {
	type way struct {
		name string
		body func()
		ends bool // the loop
	}
	for _, w := range []way{
		{"continues", func() {}, false},
		{"breaks", nil, true},
		{"panics", func() { panic("body") }, true},
		{"calls Goexit", ways["calls Goexit"], true},
	} {
		t.Run(w.name, func(t *testing.T) {
			forEachSubject(t, 0, func(t *testing.T, q subject) {
				for i := range 3 {
					_, _, _ = q.put(background, float64(i), i, true)
				}
				q.Shutdown(false)
				_, _ = attempt(func() {
					for range q.Tasks(background) {
						if w.body == nil {
							break
						}
						w.body()
					}
				})
				want := 0
				if w.ends {
					want = 2
				}
				require.Equal(t, want, q.Len())
				require.Equal(t, want, q.Stats().Unfinished)
				require.NoError(t, q.CheckInvariants())
			})
		})
	}
}

func TestReadyIsSignalledForWhatIsQueuedAndWhatIsLeft(t *testing.T) {
	forEachSubject(t, 0, func(t *testing.T, q subject) {
		signalled := func() bool {
			select {
			case <-q.Ready():
				return true
			default:
				return false
			}
		}
		_, _, _ = q.put(background, 1, 1, true)
		require.True(t, signalled(), "an item was queued before the first call")
		_, _, _ = q.put(background, 2, 2, true)
		require.True(t, signalled())
		require.False(t, signalled(), "it holds one")
		_, _, _ = q.TryGet()
		require.True(t, signalled(), "an item left, and one remains")
		_, _, _ = q.TryGet()
		require.False(t, signalled(), "none remains")
		_, _, _ = q.TryGet()
		require.False(t, signalled(), "nothing moved")
		go func() { _, _, _ = q.Get(background) }()
		synctest.Wait()
		_, _, _ = q.put(background, 3, 3, true)
		require.False(t, signalled(), "it was handed over")
		require.Equal(t, q.Ready(), q.Ready())
		q.Shutdown(false)
		_, open := <-q.Ready()
		require.False(t, open)
	})
}

func TestAReplacementIsSignalled(t *testing.T) {
	var q keyed.Latest[string, int]
	_, _, _ = q.Put("a", 1)
	<-q.Ready()
	_, _, _ = q.Put("a", 2)
	require.Len(t, q.Ready(), 1, "a value was queued")
}

// Each item has a key of its own, which only its loop can mark done.
func TestALoopThatEndsMarksNoItemTwice(t *testing.T) {
	forEachSubject(t, 0, func(t *testing.T, q subject) {
		for i := range 2 {
			_, _, _ = q.put(background, math.NaN(), i, true)
		}
		for range q.Tasks(background) {
			_, _, err := q.TryGet() // stays in hand
			require.NoError(t, err)
			q.Shutdown(false)
		}
		require.Equal(t, 1, q.Stats().Unfinished)
		require.EqualValues(t, 1, q.Stats().Done)
	})
}

func TestASelectLoopMissesNothing(t *testing.T) {
	forEachSubject(t, 0, func(t *testing.T, q subject) {
		const items = 20
		got := make(chan int, items)
		for range 3 {
			go func() {
				for {
					<-q.Ready()
					key, item, err := q.TryGet()
					if err == queue.ErrShutdown {
						return
					} else if err == nil {
						got <- item
						_ = q.done(key)
					}
				}
			}()
		}
		for i := range items {
			_, _, _ = q.put(background, float64(i), i, true)
		}
		time.Sleep(time.Second)
		require.Len(t, got, items)
		q.Shutdown(false)
	})
}
