package keyed_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/stretchr/testify/require"
)

type job = keyed.Entry[int, int]

// forEachKind runs a test on a Fair and on a Serial queue, in a bubble, and
// checks the queue's invariants afterwards.
func forEachKind(t *testing.T, perKey int, test func(t *testing.T, q *keyed.Fair[int, int])) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := k.make(perKey)
				test(t, q)
				synctest.Wait()
				require.NoError(t, q.CheckInvariants())
			})
		})
	}
}

func put(t *testing.T, q *keyed.Fair[int, int], jobs ...job) {
	t.Helper()
	for _, j := range jobs {
		require.NoError(t, q.TryPut(j.Key, j.Value))
	}
}

func get(t *testing.T, q *keyed.Fair[int, int]) job {
	t.Helper()
	key, value, err := q.TryGet()
	require.NoError(t, err)
	return job{key, value}
}

func TestKeysTakeTurns(t *testing.T) {
	forEachKind(t, 0, func(t *testing.T, q *keyed.Fair[int, int]) {
		put(t, q, job{1, 1}, job{1, 2}, job{1, 3}, job{2, 4}, job{2, 5}, job{3, 6})
		require.Equal(t, 6, q.Len())
		require.Equal(t, 3, q.LenOf(1))
		require.Equal(t, 0, q.LenOf(4))
		var got []job
		next := func() {
			j := get(t, q)
			require.NoError(t, q.TaskDone(j.Key))
			got = append(got, j)
		}
		next()
		next()
		put(t, q, job{4, 7}) // behind 3, 1 and 2
		for q.Len() > 0 {
			next()
		}
		require.Equal(t, []job{{1, 1}, {2, 4}, {3, 6}, {1, 2}, {2, 5}, {4, 7}, {1, 3}}, got)
	})
}

func TestAFairKeyGoesToTheEndAtOnceAndASerialKeyWhenItIsDone(t *testing.T) {
	f, s := keyed.NewFair[int, int](0), keyed.NewSerial[int, int](0)
	for _, q := range []*keyed.Fair[int, int]{f, s} {
		put(t, q, job{1, 1}, job{1, 2})
		require.Equal(t, job{1, 1}, get(t, q))
		put(t, q, job{2, 3})
	}
	require.Equal(t, job{1, 2}, get(t, f))
	require.Equal(t, job{2, 3}, get(t, s))

	_, _, err := s.TryGet()
	require.Equal(t, queue.ErrEmpty, err, "1 is in hand")
	require.Equal(t, 1, s.Len())
	put(t, s, job{3, 4})
	require.NoError(t, s.TaskDone(1))
	require.Equal(t, job{3, 4}, get(t, s))
	require.Equal(t, job{1, 2}, get(t, s))
}

func TestPutBlocksWhileItsKeyIsFullAndNoOther(t *testing.T) {
	forEachKind(t, 2, func(t *testing.T, q *keyed.Fair[int, int]) {
		put(t, q, job{1, 1}, job{1, 2})
		require.Equal(t, queue.ErrFull, q.TryPut(1, 9))
		errs := make(chan error, 3)
		for i := range 3 {
			go func() { errs <- q.Put(background, 1, 3+i) }()
			synctest.Wait()
		}
		require.NoError(t, q.Put(background, 2, 6))
		require.Equal(t, queue.Stats{Len: 3, MaxLen: 3, Unfinished: 3, PutWaiting: 3, Put: 3, PutBlocked: 3, Rejected: 1}, q.Stats())

		require.Equal(t, job{1, 1}, get(t, q))
		require.NoError(t, <-errs)
		require.Equal(t, 2, q.LenOf(1), "the slot was handed over")
		require.Equal(t, queue.ErrFull, q.TryPut(1, 9))
		for _, want := range []job{{2, 6}, {1, 2}, {1, 3}, {1, 4}, {1, 5}} {
			_ = q.TaskDone(1)
			require.Equal(t, want, get(t, q))
		}
	})
}

func TestABlockedPutThatLeavesFreesNoSlotAndKeepsNone(t *testing.T) {
	forEachKind(t, 1, func(t *testing.T, q *keyed.Fair[int, int]) {
		put(t, q, job{1, 1})
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		second := make(chan error, 1)
		go func() {
			time.Sleep(time.Millisecond)
			second <- q.Put(background, 1, 3)
		}()
		require.Equal(t, context.DeadlineExceeded, q.Put(ctx, 1, 2))
		require.Equal(t, 1, q.Stats().PutWaiting)
		require.Equal(t, queue.ErrFull, q.TryPut(1, 4))
		require.Equal(t, job{1, 1}, get(t, q))
		require.NoError(t, <-second)
		require.NoError(t, q.TaskDone(1))
		require.Equal(t, job{1, 3}, get(t, q))
	})
}

func TestShutdownEndsTheBlockedPutsOfEveryKey(t *testing.T) {
	for _, immediate := range []bool{false, true} {
		forEachKind(t, 1, func(t *testing.T, q *keyed.Fair[int, int]) {
			put(t, q, job{1, 1}, job{2, 2}, job{3, 3})
			errs := make(chan error, 4)
			for _, key := range []int{1, 1, 2, 2} {
				go func() { errs <- q.Put(background, key, 9) }()
			}
			ctx, cancel := context.WithTimeout(background, time.Second)
			defer cancel()
			require.Equal(t, context.DeadlineExceeded, q.Put(ctx, 3, 9)) // its key is in no need of an end
			drained := q.Shutdown(immediate)
			for range 4 {
				require.Equal(t, queue.ErrShutdown, <-errs)
			}
			require.Equal(t, queue.ErrShutdown, q.Put(background, 4, 4))
			require.Equal(t, queue.ErrShutdown, q.TryPut(4, 4))
			require.Zero(t, q.Stats().PutWaiting)
			if immediate {
				require.Equal(t, []job{{1, 1}, {2, 2}, {3, 3}}, drained)
				require.NoError(t, q.Join(background))
			} else {
				require.Equal(t, 3, q.Len())
			}
		})
	}
}

func TestUnfinishedItemsAreCountedByKey(t *testing.T) {
	forEachKind(t, 0, func(t *testing.T, q *keyed.Fair[int, int]) {
		require.Equal(t, queue.ErrTaskDone, q.TaskDone(1))
		put(t, q, job{1, 1}, job{2, 2})
		require.Equal(t, job{1, 1}, get(t, q))
		joined := make(chan error, 1)
		go func() { joined <- q.Join(background) }()
		require.NoError(t, q.TaskDone(1))
		require.Equal(t, queue.ErrTaskDone, q.TaskDone(1), "the other key's is none of its")
		synctest.Wait()
		require.Empty(t, joined)
		require.Equal(t, job{2, 2}, get(t, q))
		require.NoError(t, q.TaskDone(2))
		require.NoError(t, <-joined)
	})
}

func TestAnEarlyTaskDoneCountsForItsKeyOnceItIsDrained(t *testing.T) {
	f, s := keyed.NewFair[int, int](0), keyed.NewSerial[int, int](0)
	put(t, f, job{1, 1}, job{1, 2}, job{2, 3})
	require.NoError(t, f.TaskDone(1))
	require.NoError(t, f.TaskDone(1))
	require.Equal(t, job{1, 1}, get(t, f))
	require.Equal(t, job{2, 3}, get(t, f))
	require.Equal(t, []job{{1, 2}}, f.Shutdown(true))
	require.Equal(t, 1, f.Stats().Unfinished, "2 is in hand")
	require.NoError(t, f.TaskDone(2))
	require.NoError(t, f.Join(background))
	require.NoError(t, f.CheckInvariants())

	put(t, s, job{1, 1})
	require.Equal(t, queue.ErrTaskDone, s.TaskDone(1), "nothing is in hand")
	require.Equal(t, 1, s.Stats().Unfinished)
}

func TestATaskDoneOfASerialKeyHandsItsNextItemToABlockedGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := keyed.NewSerial[int, int](1)
		put(t, q, job{1, 1})
		require.Equal(t, job{1, 1}, get(t, q))
		put(t, q, job{1, 2})
		putErr, got := make(chan error, 1), make(chan job, 1)
		go func() { putErr <- q.Put(background, 1, 3) }()
		go func() {
			key, value, _ := q.Get(background)
			got <- job{key, value}
		}()
		synctest.Wait()
		require.Empty(t, got, "the key is in hand")
		require.NoError(t, q.TaskDone(1))
		require.Equal(t, job{1, 2}, <-got)
		require.NoError(t, <-putErr, "there is room behind it")
		require.Equal(t, 1, q.LenOf(1))
		require.NoError(t, q.CheckInvariants())
	})
}

func TestAfterAGracefulShutdownSerialGivesOutWhatIsBehindKeysInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := keyed.NewSerial[int, int](0)
		put(t, q, job{1, 1}, job{1, 2})
		require.Equal(t, job{1, 1}, get(t, q))
		results := make(chan error, 3)
		for range 2 {
			go func() {
				_, _, err := q.Get(background)
				results <- err
			}()
			synctest.Wait()
		}
		go func() {
			for range q.Tasks(background) {
			}
			results <- queue.ErrShutdown
		}()
		synctest.Wait()
		q.Shutdown(false)
		synctest.Wait()
		require.Empty(t, results, "2 can still be taken")
		_, _, err := q.TryGet()
		require.Equal(t, queue.ErrEmpty, err)
		require.NoError(t, q.TaskDone(1))
		synctest.Wait()
		require.Len(t, results, 3, "one took the last item, the others went home")
		_, _, err = q.TryGet()
		require.Equal(t, queue.ErrShutdown, err)
		errs := map[error]int{}
		for range 3 {
			errs[<-results]++
		}
		require.Equal(t, map[error]int{nil: 1, queue.ErrShutdown: 2}, errs)
	})
}

func TestAnImmediateShutdownDrainsWhatIsBehindKeysInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := keyed.NewSerial[int, int](0)
		put(t, q, job{1, 1}, job{1, 2}, job{1, 3}, job{2, 4})
		require.Equal(t, job{1, 1}, get(t, q))
		got := make(chan error, 1)
		go func() {
			_, _, _ = q.Get(background) // 2, 4
			_, _, err := q.Get(background)
			got <- err
		}()
		synctest.Wait()
		require.Equal(t, []job{{1, 2}, {1, 3}}, q.Shutdown(true))
		require.Equal(t, queue.ErrShutdown, <-got)
		require.Equal(t, 2, q.Stats().Unfinished)
		require.NoError(t, q.TaskDone(1))
		require.NoError(t, q.TaskDone(2))
		require.NoError(t, q.Join(background))
	})
}

func TestReadyIsSignalledByTheTaskDoneThatGivesASerialKeyItsTurn(t *testing.T) {
	q := keyed.NewSerial[int, int](0)
	put(t, q, job{1, 1}, job{1, 2})
	<-q.Ready()
	require.Equal(t, job{1, 1}, get(t, q))
	require.Empty(t, q.Ready(), "2 is behind 1")
	put(t, q, job{1, 3})
	require.Empty(t, q.Ready(), "so is 3")
	require.NoError(t, q.TaskDone(1))
	require.Len(t, q.Ready(), 1)
	<-q.Ready()
	require.Equal(t, queue.ErrTaskDone, q.TaskDone(1))
	require.Empty(t, q.Ready())
}

func TestALoopMarksItsOwnItemOnlyThoughItsBodyDidSoToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := keyed.NewSerial[int, int](0)
		put(t, q, job{1, 1}, job{1, 2}, job{1, 3})
		for key := range q.Tasks(background) {
			require.NoError(t, q.TaskDone(key))    //queuevet:ignore the test is that the loop then marks nothing more
			require.Equal(t, job{1, 2}, get(t, q)) // another worker takes the next
			break
		}
		_, _, err := q.TryGet()
		require.Equal(t, queue.ErrEmpty, err, "2 is still in hand")
		require.Equal(t, 2, q.Stats().Unfinished)
		require.NoError(t, q.TaskDone(1))
		require.Equal(t, job{1, 3}, get(t, q))
	})
}
