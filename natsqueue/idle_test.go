package natsqueue_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requests returns a function that waits for the next pull request on a queue, and
// returns how long the server is to keep it.
func requests(t *testing.T, js jetstream.JetStream, name string) func() time.Duration {
	pulls, err := js.Conn().SubscribeSync("$JS.API.CONSUMER.MSG.NEXT." + name + ".workers")
	require.NoError(t, err)
	require.NoError(t, js.Conn().Flush())
	return func() time.Duration {
		msg, err := pulls.NextMsg(time.Minute)
		require.NoError(t, err)
		var request struct{ Expires time.Duration }
		require.NoError(t, json.Unmarshal(msg.Data, &request))
		return request.Expires
	}
}

func TestAnIdleHandleAsksEvery20Seconds(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	next := requests(t, connect(t, shared.ClientURL()), name)
	var worker sync.WaitGroup
	worker.Go(func() { assert.Equal(t, 1, get(t, q)) })
	require.Equal(t, 5*time.Second, next())
	require.Equal(t, 20*time.Second, next(), "no item came for the first")
	require.NoError(t, q.Put(soon(t), 1))
	worker.Wait()
	require.NoError(t, q.Put(soon(t), 2))
	require.Equal(t, 2, get(t, q))
	require.Equal(t, 5*time.Second, next(), "items come again")
}

// A user without the permission hears of no shutdown.
func TestAnIdleHandleThatMayNotHearAsksEvery5Seconds(t *testing.T) {
	t.Parallel()
	all := &server.SubjectPermission{Allow: []string{">"}}
	opts := serverOptions(t.TempDir())
	opts.Users = []*server.User{
		{Username: "hears", Password: "secret"},
		{Username: "deaf", Password: "secret", Permissions: &server.Permissions{Publish: all, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
	}
	s := startServer(opts)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	as := func(user string) jetstream.JetStream {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "secret"), nats.Timeout(time.Minute), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		return js
	}
	q, err := natsqueue.Open[int](soon(t), as("deaf"), "jobs")
	require.NoError(t, err)
	next := requests(t, as("hears"), "jobs")
	var worker sync.WaitGroup
	worker.Go(func() { _, _ = q.Get(soon(t)) })
	require.Equal(t, 5*time.Second, next())
	require.Equal(t, 5*time.Second, next())
	require.NoError(t, q.Close())
	worker.Wait()
}
