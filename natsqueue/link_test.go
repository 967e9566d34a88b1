package natsqueue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnAttemptAndTheWaitForTheNextEndWhenTheConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(nil, "name", time.Hour)
		epoch := l.epoch()
		replaced := time.Now().Add(time.Second)
		time.AfterFunc(time.Second, l.reconnected)
		err := l.attempt(t.Context(), epoch, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, errReconnect)
		require.True(t, transient(err))
		l.sleep(t.Context(), epoch, time.Hour)
		require.Equal(t, replaced, time.Now())
		require.NoError(t, l.attempt(t.Context(), l.epoch(), func(ctx context.Context) error { return ctx.Err() }))
	})
}

// A blocked Get makes one request in a while, a Put some at once: until the ping
// that replaces the connection is given up, both take less than 30 s.
func TestAHalfOpenConnectionIsReplacedWithin30Seconds(t *testing.T) {
	get := quietTime + answerTime + watchTime + attemptTime // the request for items, that for the stream
	put := suspicious * (attemptTime + 4*pollTime)
	require.LessOrEqual(t, max(get, put)+attemptTime, 30*time.Second)
}
