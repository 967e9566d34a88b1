package park_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue/internal/park"
	"github.com/stretchr/testify/require"
)

var background = context.Background()

// block blocks a call in line and returns a channel with what it returns.
func block(ctx context.Context, lot *park.Lot[int], line *park.Line[int]) <-chan error {
	returned := make(chan error, 1)
	go func() {
		lot.Lock()
		done := lot.Done(ctx)
		w := lot.Park(line)
		lot.Unlock()
		lot.Wait(done, line, w)
		_, _, err := lot.Collect(ctx, w)
		returned <- err
	}()
	synctest.Wait()
	return returned
}

// under calls f with the lock held, and checks the invariants afterwards.
func under(t *testing.T, lot *park.Lot[int], line *park.Line[int], f func()) {
	t.Helper()
	lot.Lock()
	f()
	lot.Unlock()
	synctest.Wait()
	lot.Lock()
	defer lot.Unlock()
	require.NoError(t, lot.Check(line))
}

func TestServeCompletesTheLongestBlockedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lot park.Lot[int]
		var line park.Line[int]
		var calls []<-chan error
		for range 3 {
			calls = append(calls, block(background, &lot, &line))
		}
		for i, call := range calls {
			require.Empty(t, call)
			under(t, &lot, &line, func() { lot.Serve(&line, nil) })
			require.NoError(t, <-call)
			require.Equal(t, 2-i, line.Len)
		}
	})
}

func TestServeAllCompletesEveryCallWithTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lot park.Lot[int]
		var line park.Line[int]
		end := errors.New("end")
		a, b := block(background, &lot, &line), block(background, &lot, &line)
		under(t, &lot, &line, func() { lot.ServeAll(&line, end) })
		require.Equal(t, end, <-a)
		require.Equal(t, end, <-b)
		require.Nil(t, line.Head)
	})
}

func TestACallLeavesItsLineWhenItsContextEnds(t *testing.T) {
	for leaving := range 3 { // the first, the middle one, the last
		synctest.Test(t, func(t *testing.T) {
			var lot park.Lot[int]
			var line park.Line[int]
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			var others []<-chan error
			var left <-chan error
			for i := range 3 {
				if i == leaving {
					left = block(ctx, &lot, &line)
				} else {
					others = append(others, block(background, &lot, &line))
				}
			}
			cancel()
			require.Equal(t, context.Canceled, <-left)
			require.Equal(t, 2, line.Len)
			for _, other := range others {
				under(t, &lot, &line, func() { lot.Serve(&line, nil) })
				require.NoError(t, <-other)
			}
		})
	}
}

// left is called under the lock for a call that leaves, and for no other.
func TestWaitOrSaysThatACallHasLeftItsLine(t *testing.T) {
	for _, served := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var lot park.Lot[int]
			var line park.Line[int]
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			waiting := 0
			returned := make(chan error, 1)
			go func() {
				lot.Lock()
				done := lot.Done(ctx)
				w := lot.Park(&line)
				waiting++
				lot.Unlock()
				lot.WaitOr(done, &line, w, func() {
					require.False(t, lot.Mu.TryLock())
					require.Zero(t, line.Len)
					waiting--
				})
				_, _, err := lot.Collect(ctx, w)
				returned <- err
			}()
			synctest.Wait()
			if served {
				under(t, &lot, &line, func() { lot.Serve(&line, nil) })
				require.NoError(t, <-returned)
				require.Equal(t, 1, waiting)
			} else {
				cancel()
				require.Equal(t, context.Canceled, <-returned)
				require.Zero(t, waiting)
			}
		})
	}
}

func TestATallyReleasesJoinWhenNothingIsUnfinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lot park.Lot[int]
		var tally park.Tally[int]
		require.NoError(t, tally.Join(background, &lot))
		tally.Unfinished = 3
		joined := make(chan error, 1)
		go func() { joined <- tally.Join(background, &lot) }()
		synctest.Wait()
		under(t, &lot, &tally.Joiners, func() { tally.MarkDone(&lot, 2) })
		require.Empty(t, joined)
		under(t, &lot, &tally.Joiners, func() {
			tally.Finish(&lot, 1)
			tally.Unfinished++ // however briefly
		})
		require.NoError(t, <-joined)
		require.EqualValues(t, 2, tally.Done)

		ctx, cancel := context.WithCancel(background)
		go func() { joined <- tally.Join(ctx, &lot) }()
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-joined)
		require.Equal(t, context.Canceled, tally.Join(ctx, &lot))
	})
}

func TestACallThatWasCompletedKeepsItsResultThoughItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lot park.Lot[int]
		var line park.Line[int]
		ctx, cancel := context.WithCancel(background)
		call := block(ctx, &lot, &line)
		lot.Lock()
		cancel()
		lot.Serve(&line, nil)
		lot.Unlock()
		require.NoError(t, <-call)
	})
}

func TestAFailedCallPanicsAndItsWaiterCanBeUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lot park.Lot[int]
		var line park.Line[int]
		for _, fault := range []any{"fault", nil} {
			var value any
			panicked := make(chan struct{})
			go func() {
				defer close(panicked)
				defer func() { value = recover() }()
				lot.Lock()
				w := lot.Park(&line)
				lot.Unlock()
				lot.Wait(nil, &line, w)
				_, _, _ = lot.Collect(background, w)
			}()
			synctest.Wait()
			under(t, &lot, &line, func() {
				line.Head.Fail(fault)
				lot.Serve(&line, nil)
			})
			<-panicked
			if fault != nil {
				require.Equal(t, fault, value)
			} else {
				require.Error(t, value.(error)) // a runtime.PanicNilError
			}
		}
		next := block(background, &lot, &line)
		under(t, &lot, &line, func() { lot.Serve(&line, nil) })
		require.NoError(t, <-next)
	})
}

func TestABatchLingersFromItsFirstItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lot park.Lot[int]
		var line park.Line[int]
		b := park.Batch[int]{Size: 3, Linger: 10 * time.Second}
		turn := func() (after time.Duration) {
			began := time.Now()
			b.Items = b.Items[:0]
			lot.Lock()
			b.Arm()
			w := lot.Park(&line)
			w.Batch = &b
			lot.Unlock()
			require.False(t, lot.WaitBatch(nil, &line, w))
			return time.Since(began)
		}
		add := func(after time.Duration) {
			time.Sleep(after)
			lot.Lock()
			b.Add(1)
			if b.Complete() {
				lot.Serve(&line, nil)
			}
			lot.Unlock()
		}
		go func() {
			for range 2 {
				add(6 * time.Second)
			}
		}()
		require.Equal(t, 16*time.Second, turn())
		require.Len(t, b.Items, 2)

		go func() {
			for range 3 {
				add(time.Second)
			}
		}()
		require.Equal(t, 3*time.Second, turn(), "a full batch ends the turn")
		go add(30 * time.Second)
		require.Equal(t, 40*time.Second, turn(), "no timer of the turn before is left")
	})
}

func TestASignalIsSentOnceHeldAndNeverAfterClose(t *testing.T) {
	var s park.Signal
	s.Send() // no receiver
	require.Nil(t, s.C)
	require.Nil(t, s.Made())
	c := s.Chan(false)
	require.NotNil(t, s.C)
	require.Equal(t, c, s.Made())
	require.Empty(t, c)
	s.Send()
	s.Send()
	require.Len(t, c, 1)
	require.Equal(t, c, s.Chan(true))
	<-c
	s.Close()
	s.Close()
	s.Send()
	_, open := <-c
	require.False(t, open)

	var pending park.Signal
	require.Len(t, pending.Chan(true), 1)

	var closed park.Signal
	closed.Close()
	_, open = <-closed.Chan(true)
	require.False(t, open)
}

// The watcher looks again and again, and yields now and then lest it keep a lone
// processor from the other.
func TestASignalIsInItsChannelBeforeTheChannelCanBeSeen(t *testing.T) {
	for range 50_000 {
		var s park.Signal
		var watching atomic.Bool
		found := make(chan int)
		go func() {
			watching.Store(true)
			for i := 1; s.Made() == nil; i++ {
				if i%1000 == 0 {
					runtime.Gosched()
				}
			}
			found <- len(s.Made())
		}()
		for !watching.Load() {
			runtime.Gosched()
		}
		s.Chan(true)
		require.Equal(t, 1, <-found)
	}
}

func TestTheMutexExcludesOnManyProcessorsAndOnOne(t *testing.T) {
	var m park.Mutex
	n := 0
	done := make(chan struct{})
	for range 4 {
		go func() {
			for range 1000 {
				m.Lock()
				n++
				m.Unlock()
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	require.Equal(t, 4000, n)
}
