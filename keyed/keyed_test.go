package keyed_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// A kind is one of the two that Fair comes in.
type kind struct {
	name string
	make func(perKey int) *keyed.Fair[int, int]
}

var kinds = []kind{{"fair", keyed.NewFair[int, int]}, {"serial", keyed.NewSerial[int, int]}}

// forEachSubject runs a test on a queue of each kind, in a bubble, and checks the
// queue's invariants afterwards.
func forEachSubject(t *testing.T, perKey int, test func(t *testing.T, q subject)) {
	for _, s := range subjects {
		t.Run(s.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := s.make(perKey)
				test(t, q)
				require.NoError(t, q.CheckInvariants())
			})
		})
	}
}

// within ends the program with the stacks of all goroutines if f takes too long.
func within(limit time.Duration, f func()) {
	watchdog := time.AfterFunc(limit, func() { panic("keyed: a call hangs") })
	defer watchdog.Stop()
	f()
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

// blockingCalls block on a queue with one item of key 1 that is unfinished, but
// not queued; or queued, and there is room for no more.
var blockingCalls = []struct {
	name string
	full bool // whether the item is queued
	do   func(q subject, ctx context.Context) error
}{
	{"Put", true, func(q subject, ctx context.Context) error {
		_, _, err := q.put(ctx, 1, 2, true)
		return err
	}},
	{"Get", false, func(q subject, ctx context.Context) error {
		_, _, err := q.Get(ctx)
		return err
	}},
	{"Tasks", false, func(q subject, ctx context.Context) error {
		for range q.Tasks(ctx) {
			return nil
		}
		return context.Canceled
	}},
	{"Join", false, func(q subject, ctx context.Context) error { return q.Join(ctx) }},
}

func forEachBlockingCall(t *testing.T, test func(t *testing.T, q subject, do func(ctx context.Context) error)) {
	for _, c := range blockingCalls {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range subjects {
				if c.full && s.kind == "latest" {
					continue // whose Put never blocks
				}
				t.Run(s.kind, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						q := s.make(1)
						_, _, err := q.put(background, 1, 1, false)
						require.NoError(t, err)
						if !c.full {
							_, _, err := q.TryGet()
							require.NoError(t, err)
						}
						before := q.Stats()
						test(t, q, func(ctx context.Context) error { return c.do(q, ctx) })
						synctest.Wait()
						require.NoError(t, q.CheckInvariants())
						after := q.Stats()
						after.PutBlocked, after.GetBlocked = 0, 0
						require.Equal(t, before, after, "something has changed")
						if c.full {
							_, _, err := q.TryGet()
							require.NoError(t, err)
						}
						require.NoError(t, q.done(1))
						require.NoError(t, q.Join(background))
						_, _, err = q.put(background, 1, 3, false)
						require.NoError(t, err)
						_, item, err := q.TryGet()
						require.NoError(t, err)
						require.Equal(t, 3, item)
					})
				})
			}
		})
	}
}

func TestAContextThatIsDoneWinsAndChangesNothing(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q subject, do func(ctx context.Context) error) {
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(background)
		cancel(cause)
		require.Equal(t, context.Canceled, do(ctx))
		require.Zero(t, q.Stats().PutBlocked+q.Stats().GetBlocked)
	})
}

func TestABlockedCallEndsWithItsContextAndChangesNothing(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q subject, do func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if err := do(ctx); err != context.Canceled { // which stands for the end of a loop
			require.Equal(t, context.DeadlineExceeded, err)
		}
	})
}

func TestAContextThatFailsInDoneEndsItsCallAlone(t *testing.T) {
	for how, fail := range ways {
		t.Run(how, func(t *testing.T) {
			forEachBlockingCall(t, func(t *testing.T, q subject, do func(ctx context.Context) error) {
				ctx := misbehavingContext{background, func() <-chan struct{} { fail(); return nil }, func() error { return nil }}
				_, ended := attempt(func() { _ = do(ctx) })
				require.False(t, ended)
			})
		})
	}
}

func TestAContextThatFailsInErrBeforeTheCallEndsItAlone(t *testing.T) {
	for how, fail := range ways {
		t.Run(how, func(t *testing.T) {
			forEachBlockingCall(t, func(t *testing.T, q subject, do func(ctx context.Context) error) {
				ctx := misbehavingContext{background, func() <-chan struct{} { return nil }, func() error { fail(); return nil }}
				_, ended := attempt(func() { _ = do(ctx) })
				require.False(t, ended)
			})
		})
	}
}

func TestAContextThatFailsInErrWhileItsCallIsBlockedEndsItAlone(t *testing.T) {
	for how, fail := range ways {
		t.Run(how, func(t *testing.T) {
			forEachBlockingCall(t, func(t *testing.T, q subject, do func(ctx context.Context) error) {
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
					_, ended := attempt(func() { _ = do(ctx) })
					returned <- ended
				}()
				synctest.Wait()
				require.Equal(t, 1, q.Stats().PutWaiting+q.Stats().GetWaiting+q.JoinWaiting())
				closed = true
				close(done)
				require.False(t, <-returned)
			})
		})
	}
}

func TestACallReturnsCanceledWhereDoneIsClosedAndErrIsNil(t *testing.T) {
	forEachBlockingCall(t, func(t *testing.T, q subject, do func(ctx context.Context) error) {
		done := make(chan struct{})
		ctx := misbehavingContext{background, func() <-chan struct{} { return done }, func() error { return nil }}
		returned := make(chan error, 1)
		go func() { returned <- do(ctx) }()
		synctest.Wait()
		close(done)
		require.Equal(t, context.Canceled, <-returned)
		require.Equal(t, context.Canceled, do(ctx), "also where Done was closed before the call")
	})
}

// A lookingContext is a context whose Done uses the queue.
type lookingContext struct {
	context.Context
	look func()
}

func (c lookingContext) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

func TestWhatHappensWhileACallLooksAtItsContextIsSeen(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := s.make(1)
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				put := func(key float64) func() {
					return func() {
						_, _, err := q.put(background, key, 1, false)
						require.NoError(t, err)
					}
				}
				_, _, err := q.Get(lookingContext{ctx, put(1)})
				require.NoError(t, err, "an item came")
				require.NoError(t, q.Join(lookingContext{ctx, func() {
					require.NoError(t, q.done(1))
					put(1)()
				}}), "the count was zero, though it is not any more")
				if s.kind != "latest" {
					_, _, err = q.put(lookingContext{ctx, func() {
						_, _, err := q.TryGet()
						require.NoError(t, err)
						require.NoError(t, q.done(1)) // its lane is gone
						put(2)()                      // and may be this key's now
					}}, 1, 2, true)
					require.NoError(t, err, "there is room")
					require.Equal(t, 1, q.lenOf(1))
					require.Equal(t, 1, q.lenOf(2))
					_, _, err = q.put(lookingContext{ctx, func() { q.Shutdown(false) }}, 1, 3, true)
				} else {
					q.Shutdown(true)
					_, _, err = q.Get(lookingContext{ctx, func() {}})
				}
				require.Equal(t, queue.ErrShutdown, err)
				require.NoError(t, q.CheckInvariants())
			})
		})
	}
}

func TestAKeyThatCannotBeHashedPanicsAndChangesNothing(t *testing.T) {
	bad := any([]int{1})
	var l keyed.Latest[any, int]
	f, s := keyed.NewFair[any, int](1), keyed.NewSerial[any, int](1)
	for name, c := range map[string]struct {
		do    func(key any)
		stats func() queue.Stats
		check func() error
	}{
		"Latest.Put":      {func(key any) { _, _, _ = l.Put(key, 1) }, l.Stats, l.CheckInvariants},
		"Fair.Put":        {func(key any) { _ = f.Put(background, key, 1) }, f.Stats, f.CheckInvariants},
		"Fair.TryPut":     {func(key any) { _ = f.TryPut(key, 1) }, f.Stats, f.CheckInvariants},
		"Fair.TaskDone":   {func(key any) { _ = f.TaskDone(key) }, f.Stats, f.CheckInvariants},
		"Fair.LenOf":      {func(key any) { f.LenOf(key) }, f.Stats, f.CheckInvariants},
		"Serial.Put":      {func(key any) { _ = s.Put(background, key, 1) }, s.Stats, s.CheckInvariants},
		"Serial.TryPut":   {func(key any) { _ = s.TryPut(key, 1) }, s.Stats, s.CheckInvariants},
		"Serial.TaskDone": {func(key any) { _ = s.TaskDone(key) }, s.Stats, s.CheckInvariants},
		"Serial.LenOf":    {func(key any) { s.LenOf(key) }, s.Stats, s.CheckInvariants},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []any{bad, [1]any{bad}, struct {
				f float64
				v any
			}{math.NaN(), bad}} {
				before := c.stats()
				require.Panics(t, func() { c.do(key) })
				require.Equal(t, before, c.stats())
				require.NoError(t, c.check())
			}
		})
	}
	t.Run("while calls are blocked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var l keyed.Latest[any, int]
			f, s := keyed.NewFair[any, int](1), keyed.NewSerial[any, int](1)
			var all sync.WaitGroup
			for _, get := range []func(context.Context) (any, int, error){l.Get, f.Get, s.Get} {
				all.Go(func() {
					_, item, err := get(background)
					require.NoError(t, err)
					require.Equal(t, 7, item)
				})
			}
			synctest.Wait()
			require.Panics(t, func() { _, _, _ = l.Put(bad, 1) })
			require.Panics(t, func() { _ = f.Put(background, bad, 1) })
			require.Panics(t, func() { _ = s.Put(background, bad, 1) })
			_, _, _ = l.Put("good", 7)
			_ = f.Put(background, "good", 7)
			_ = s.Put(background, "good", 7)
			all.Wait()
		})
	})
}

func TestEachItemWithANaNHasAKeyOfItsOwn(t *testing.T) {
	nan := math.NaN()
	forEachSubject(t, 1, func(t *testing.T, q subject) {
		for i := range 3 {
			_, replaced, err := q.put(background, nan, i, false)
			require.NoError(t, err)
			require.False(t, replaced)
		}
		require.Equal(t, 3, q.Len())
		require.Equal(t, q.lenOf(nan), min(q.lenOf(nan), 0))
		loop := 0
		for range q.Tasks(background) {
			if loop++; loop == 2 {
				break
			}
		}
		require.Equal(t, 1, q.Stats().Unfinished)
		require.EqualValues(t, 2, q.Stats().Done)
		require.Len(t, q.Shutdown(true), 1)
		require.NoError(t, q.Join(background))
	})
	for _, k := range subjects[1:] {
		q := k.make(0)
		_, _, _ = q.put(background, nan, 1, false)
		_, _, err := q.TryGet()
		require.NoError(t, err)
		require.Equal(t, queue.ErrTaskDone, q.done(nan))
		require.Equal(t, 1, q.Stats().Unfinished)
	}
}

type secret struct{ text string }

func TestPrintingShowsStatisticsAndNoItems(t *testing.T) {
	var l keyed.Latest[secret, *secret]
	f, s := keyed.NewFair[secret, *secret](0), keyed.NewSerial[secret, *secret](0)
	hidden := secret{"password"}
	_, _, _ = l.Put(hidden, &hidden)
	_ = f.TryPut(hidden, &hidden)
	_ = s.TryPut(hidden, &hidden)
	for kind, q := range map[string]any{"latest": &l, "fair": f, "serial": s} {
		want := fmt.Sprint(q)
		require.True(t, strings.HasPrefix(want, kind+" queue {Len:1 "), want)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%p", "%T"} {
			text := fmt.Sprintf(verb, q)
			require.NotContains(t, text, "password")
			if verb != "%T" && verb != "%p" { // which fmt prints itself
				require.Equal(t, want, text, verb)
			}
		}
		require.Equal(t, fmt.Sprintf("%q", want), fmt.Sprintf("%q", q))
		require.Equal(t, fmt.Sprintf("%999s", want), fmt.Sprintf("%999v", q))
	}
	require.Equal(t, l.Stats().LogValue(), l.LogValue())
	require.Equal(t, f.Stats().LogValue(), f.LogValue())
}

func TestPrintingReadsNoFieldWithoutTheLock(t *testing.T) {
	forEachSubject(t, 0, func(t *testing.T, q subject) {
		var putter sync.WaitGroup
		putter.Go(func() { // which the race detector sees, if printing reads the fields
			for i := range 1000 {
				_, _, _ = q.put(background, float64(i%10), i, true)
				_, _, _ = q.TryGet()
			}
		})
		for range 100 {
			for _, verb := range []string{"%v", "%+v", "%#v", "%d"} {
				_ = fmt.Sprintf(verb, q)
			}
		}
		putter.Wait()
	})
}
