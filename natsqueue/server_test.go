package natsqueue_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The tests run on a real server, reached over TCP and storing in files. Most
// share one, each on a queue of its own; those that kill servers have their own.
// A test that needs another process starts this binary again, with its role in an
// environment variable.

const roleKey = "NATSQUEUE_TEST_ROLE"

var (
	background = context.Background()
	shared     *server.Server
)

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleKey)]; ok {
		role()
		return
	}
	os.Exit(runWithServer(m))
}

func runWithServer(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // they block more than they compute
		panic(err)
	}
	dir, err := os.MkdirTemp("", "natsqueue")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared = startServer(serverOptions(dir))
	code := m.Run()
	three.shutdown()
	shared.Shutdown()
	shared.WaitForShutdown()
	err = goleak.Find()
	for patience := time.Now().Add(time.Minute); err != nil && time.Now().Before(patience); { // they end a little later
		err = goleak.Find()
	}
	if err != nil && code == 0 {
		fmt.Println(err)
		return 1
	}
	return code
}

func serverOptions(dir string) *server.Options {
	return &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, AuthTimeout: 60}
}

func startServer(opts *server.Options) *server.Server {
	s, err := server.NewServer(opts)
	if err != nil {
		panic(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		panic("the server does not start")
	}
	return s
}

// connect returns a connection of the test's own.
func connect(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(time.Minute), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.RetryOnFailedConnect(true))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

var queues atomic.Int64

// newName returns a name for a queue that no other test has.
func newName(t testing.TB) string {
	name, _, _ := strings.Cut(t.Name(), "/")
	return fmt.Sprintf("%.80s-%d", name, queues.Add(1))
}

// open opens a queue on the shared server through a connection of its own.
func open(t testing.TB, name string, opts ...natsqueue.Option) *natsqueue.Queue[int] {
	t.Helper()
	return openAt(t, shared.ClientURL(), name, opts...)
}

func openAt(t testing.TB, url, name string, opts ...natsqueue.Option) *natsqueue.Queue[int] {
	t.Helper()
	q, err := natsqueue.Open[int](soon(t), connect(t, url), name, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

// within returns a context for calls that are expected to return: it ends so late that
// only a call that hangs is affected.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(background, d)
	t.Cleanup(cancel)
	return ctx
}

// soon is within some minutes.
func soon(t testing.TB) context.Context { return within(t, 3*time.Minute) }

// get receives an item and marks it done.
func get[T any](t testing.TB, q *natsqueue.Queue[T]) T {
	t.Helper()
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Done(soon(t)))
	return task.Item
}

// fill puts the items 1 to n.
func fill(t testing.TB, q *natsqueue.Queue[int], n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, q.Put(soon(t), i+1))
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

// eventually blocks until f is true; the server announces some changes a little later.
func eventually(t testing.TB, f func() bool, what string) {
	t.Helper()
	require.Eventually(t, f, 2*time.Minute, 2*time.Millisecond, what)
}

func stats[T any](t testing.TB, q *natsqueue.Queue[T]) natsqueue.Stats {
	t.Helper()
	s, err := q.Stats(soon(t))
	require.NoError(t, err)
	return s
}
