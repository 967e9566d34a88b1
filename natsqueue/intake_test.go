package natsqueue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// A desk is an intake with a fake server.
type desk struct {
	intake
	work     sync.WaitGroup
	asked    []int       // the requests
	returned []*nats.Msg // messages that were handed back
	hold     chan struct{}
	down     bool
	keeps    time.Duration // how long it keeps a request
}

func newDesk() *desk {
	d := &desk{}
	d.intake.work = &d.work
	d.intake.state = func() error { return nil }
	d.intake.pull = func(n int) (time.Duration, error) {
		if d.down {
			return 0, nats.ErrDisconnected
		}
		d.asked = append(d.asked, n)
		return d.keeps, nil
	}
	d.intake.back = func(msg *nats.Msg) {
		if d.hold != nil {
			<-d.hold
		}
		d.returned = append(d.returned, msg)
	}
	return d
}

// claim returns the claim of a call at this intake only.
func (d *desk) claim() (c claim, isReady bool) {
	c = make(claim, 1)
	return c, d.enqueue(c)
}

// check checks the invariants of an intake.
func (d *desk) check(t *testing.T) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	require.False(t, len(d.waiting) > 0 && len(d.ready) > 0, "a call is blocked while a message is ready")
	require.LessOrEqual(t, len(d.ready), d.room)
	require.LessOrEqual(t, d.ahead, d.room)
	if d.demand() > 0 {
		require.True(t, d.intake.asked > 0 || d.returning > 0 || d.lost || d.cause != nil, "nothing is on its way")
	}
}

func message(data string) *nats.Msg { return &nats.Msg{Data: []byte(data)} }

func TestAnIntakeGivesMessagesInTheOrderOfTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		first, isReady := d.claim()
		require.False(t, isReady)
		second, _ := d.claim()
		require.Equal(t, []int{1, 1}, d.asked)
		a, b := message("a"), message("b")
		d.arrive(a, true)
		d.arrive(b, true)
		for claim, want := range map[*claim]*nats.Msg{&first: a, &second: b} {
			got, err := d.await(t.Context(), *claim)
			require.NoError(t, err)
			require.Same(t, want, got)
		}
		d.check(t)
	})
}

func TestManyCallsShareARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		for range 16 {
			d.claim()
			d.check(t)
		}
		require.Equal(t, []int{1, 1, 2, 4, 8}, d.asked)
	})
}

func TestAMessageForACallThatGaveUpGoesToTheNextOrBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		d := newDesk()
		first, _ := d.claim()
		_, err := d.await(cancelled, first)
		require.Equal(t, context.Canceled, err)
		a := message("a")
		d.arrive(a, true)
		d.check(t)
		require.Equal(t, []*nats.Msg{a}, d.returned)

		// It comes as the context ends: select chooses one of the two.
		for taken := true; taken; {
			first, _ = d.claim()
			second, _ := d.claim()
			b := message("b")
			d.arrive(b, true)
			msg, err := d.await(cancelled, first)
			taken = err == nil
			if taken {
				require.Same(t, b, msg)
				_, err = d.await(cancelled, second)
				require.Equal(t, context.Canceled, err)
				continue
			}
			msg, err = d.await(t.Context(), second)
			require.NoError(t, err)
			require.Same(t, b, msg)
		}
		d.check(t)
	})
}

func TestNothingIsAskedForWhileAMessageIsBeingHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.hold = make(chan struct{})
		d.arrive(message("a"), false)
		d.claim()
		d.check(t)
		require.Empty(t, d.asked)
		close(d.hold)
		d.check(t)
		require.Equal(t, []int{1}, d.asked)
	})
}

func TestMessagesAreFetchedAheadAndHandedBackInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.reserve(4)
		d.fetch(4)
		require.Equal(t, []int{4}, d.asked)
		msgs := []*nats.Msg{message("a"), message("b"), message("c"), message("d")}
		for _, msg := range msgs {
			d.arrive(msg, true)
		}
		d.check(t)
		claim, isReady := d.claim()
		require.True(t, isReady)
		msg, err := d.await(t.Context(), claim)
		require.NoError(t, err)
		require.Same(t, msgs[0], msg)
		d.fetch(-4)
		d.check(t)
		require.Empty(t, d.returned, "newer ones would overtake them")
		d.reserve(-4)
		d.check(t)
		require.Equal(t, msgs[1:], d.returned)
	})
}

func TestAnIntakeThatCantAskAsksAgainWhenItIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.down = true
		d.claim()
		d.check(t)
		require.True(t, d.overdue())
		d.down = false
		d.renew(func() error { return errors.New("not yet") })
		require.Empty(t, d.asked)
		d.renew(func() error { return nil })
		require.Equal(t, []int{1}, d.asked)
		d.unanswered(1)
		require.Equal(t, []int{1, 1}, d.asked, "a request that expired is sent again")
		d.lose(errors.New("refused"))
		d.claim()
		require.Len(t, d.asked, 2)
		d.check(t)
		d.renew(func() error { return nil })
		require.Equal(t, []int{1, 1, 2}, d.asked)
	})
}

func TestAnIntakeThatEndsReleasesCallsAndHandsBackMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		waiting, _ := d.claim()
		d.end(queue.ErrShutdown)
		_, err := d.await(t.Context(), waiting)
		require.Equal(t, queue.ErrShutdown, err)
		late, isReady := d.claim()
		require.True(t, isReady)
		_, err = d.await(t.Context(), late)
		require.Equal(t, queue.ErrShutdown, err)
		a := message("a")
		d.arrive(a, true)
		d.check(t)
		require.Equal(t, []*nats.Msg{a}, d.returned)
		d.end(ErrClosed)
		require.Equal(t, ErrClosed, d.why(), "Close is the last word")
	})
}

func TestTheErrorOfABlockedCallSaysWhatTheServerRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		ctx, cancel := context.WithCancel(t.Context())
		claim, _ := d.claim()
		refused := errors.New("refused")
		d.lose(refused)
		cancel()
		_, err := d.await(ctx, claim)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, refused)
	})
}

func TestRequestsAreOverdueWhenTheServerShouldHaveAnsweredAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.keeps = 20 * time.Second
		d.claim()
		d.keeps = 5 * time.Second
		d.claim()
		time.Sleep(d.keeps + answerTime + 1)
		require.False(t, d.overdue(), "the server still keeps the first")
		time.Sleep(15 * time.Second)
		require.True(t, d.overdue())
		d.renew(func() error { return nil })
		require.False(t, d.overdue())
		time.Sleep(d.keeps + answerTime + 1)
		require.True(t, d.overdue(), "the first is not counted any more")
	})
}

func TestAnIntakeOfBellsAsksForOneAndHandsNoneBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.bells = true
		claims := make([]claim, 3)
		for i := range claims {
			claims[i], _ = d.claim()
		}
		require.Equal(t, []int{1}, d.asked)
		d.arrive(message(""), true)
		require.Len(t, claims[0], 1)
		require.Empty(t, claims[1])
		require.Equal(t, []int{1, 1}, d.asked, "the others wait for the next")
		d.withdraw(claims[0]) // it leaves without having looked
		require.Empty(t, claims[0])
		require.Len(t, claims[1], 1)
		d.withdraw(claims[2])
		d.arrive(message(""), true)
		d.check(t)
		require.Empty(t, d.returned)
		require.Equal(t, []int{1, 1}, d.asked, "no call waits")
	})
}

func TestAClaimInSeveralIntakesReceivesAMessageOrTheEndOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desks := []*desk{newDesk(), newDesk(), newDesk()}
		c := make(claim, len(desks))
		for _, d := range desks {
			require.False(t, d.enqueue(c))
		}
		a := message("a")
		desks[1].arrive(a, true)
		desks[1].arrive(message("b"), true)
		desks[2].end(queue.ErrShutdown)
		require.Len(t, c, 2, "one of each")
		require.Same(t, a, <-c)
		require.Nil(t, <-c)
		for _, d := range desks {
			d.withdraw(c)
			d.check(t)
			require.Zero(t, len(d.waiting))
		}
	})
}

func TestAnIntakeThatHasEndedIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.claim()
		d.end(ErrClosed)
		d.renew(func() error {
			require.Fail(t, "an inbox that nothing closes")
			return nil
		})
	})
}
