package natsqueue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A queuer is a call in line, and notes when its turn comes.
type queuer struct {
	*place
	turn bool
	err  error
}

func stand(ctx context.Context, l *line, p *place) *queuer {
	q := &queuer{place: p}
	go func() {
		q.err = l.await(ctx, nil, p)
		q.turn = q.err == nil
	}()
	synctest.Wait()
	return q
}

func TestAnOpenLineLetsEveryCallTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		for range 5 {
			require.True(t, stand(t.Context(), &l, l.join()).turn)
		}
		require.True(t, l.isOpen())
	})
}

func TestAClosedLineLetsOneCallTryAtATimeInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var l line
		a, b := l.join(), l.join()
		l.refused(b)
		require.False(t, l.isOpen())
		second := stand(ctx, &l, b)
		require.False(t, second.turn, "another tries")
		third := stand(ctx, &l, l.join())
		l.refused(a)
		first := stand(ctx, &l, a)
		require.True(t, first.turn, "it keeps its place, though it was refused last")
		l.refused(a)
		first = stand(ctx, &l, a)
		require.True(t, first.turn)
		require.False(t, second.turn || third.turn)
		l.leave(false)
		synctest.Wait()
		require.True(t, second.turn)
		require.False(t, third.turn)
		l.leave(false)
		synctest.Wait()
		require.True(t, third.turn)
		require.False(t, l.isOpen(), "it tries, and may be refused")
		l.leave(false)
		require.True(t, l.isOpen())
	})
}

func TestALineOpensAsFastAsRoomIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		l.refused(l.join())
		l.leave(false)
		p := l.join()
		l.refused(p)
		var others []*queuer
		for range 9 {
			others = append(others, stand(t.Context(), &l, l.join()))
		}
		turns := func() (n int) {
			synctest.Wait()
			for _, q := range others {
				if q.turn {
					n++
				}
			}
			return n
		}
		require.Zero(t, turns())
		l.leave(false)
		require.Equal(t, 1, turns())
		l.leave(true)
		require.Equal(t, 3, turns())
		l.leave(true)
		l.leave(true)
		require.Equal(t, 7, turns())
		for range 4 {
			l.leave(true)
		}
		require.Equal(t, 9, turns())
		require.True(t, l.isOpen())
	})
}

func TestACallThatGivesUpDelaysNoOtherInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var l line
		a := l.join()
		l.refused(a)
		second := stand(ctx, &l, l.join())
		third := stand(t.Context(), &l, l.join())
		cancel()
		synctest.Wait()
		require.ErrorIs(t, second.err, context.Canceled)
		l.leave(false)
		synctest.Wait()
		require.True(t, third.turn)

		// The turn comes as the caller gives up.
		fourth := l.join()
		l.leave(false)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.await(cancelled, nil, fourth); err == nil {
			l.leave(false)
		} else {
			require.True(t, errors.Is(err, context.Canceled))
		}
		require.True(t, l.isOpen())
	})
}
