package natsqueue_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A cluster of three servers in this process, for tests that kill none of them. The
// server i has the tags "node:i" and "all".
type cluster struct {
	start   sync.Once
	dir     string
	servers []*server.Server
}

var three cluster

// url returns the address of one of the servers.
func (c *cluster) url(t testing.TB) string {
	t.Helper()
	c.start.Do(func() {
		var err error
		c.dir, err = os.MkdirTemp("", "natsqueue")
		require.NoError(t, err)
		ports := freePorts(t, 3)
		var routes []*url.URL
		for _, port := range ports {
			routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		}
		for i, port := range ports {
			opts := serverOptions(fmt.Sprintf("%s/%d", c.dir, i))
			opts.ServerName = fmt.Sprintf("node-%d", i)
			opts.Tags = []string{fmt.Sprintf("node:%d", i), "all"}
			opts.Cluster = server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: port}
			opts.Routes = routes
			s, err := server.NewServer(opts)
			require.NoError(t, err)
			c.servers = append(c.servers, s)
			s.Start()
		}
		for _, s := range c.servers {
			require.True(t, s.ReadyForConnections(time.Minute))
		}
	})
	return c.servers[0].ClientURL()
}

func (c *cluster) shutdown() {
	for _, s := range c.servers {
		s.Shutdown()
	}
	for _, s := range c.servers {
		s.WaitForShutdown()
	}
	_ = os.RemoveAll(c.dir)
}

// The server's answers when a stream is full.
var (
	errMaxMsgs  = &jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "maximum messages exceeded"}
	errMaxBytes = &jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "maximum bytes exceeded"}
)

// A leader that has just stored an item may count it twice, and refuse the next one
// though there is room for it.
func TestTryPutOfAReplicatedQueueIsRefusedOnlyIfItIsFull(t *testing.T) {
	t.Parallel()
	for refusal, opt := range map[error]natsqueue.Option{errMaxMsgs: natsqueue.WithCapacity(4), errMaxBytes: natsqueue.WithMaxBytes(1000)} {
		t.Run(refusal.Error(), func(t *testing.T) {
			t.Parallel()
			f := &faulty{JetStream: connect(t, three.url(t)), err: refusal}
			q, err := natsqueue.Open[int](soon(t), f, newName(t), natsqueue.WithReplicas(3), opt)
			require.NoError(t, err)
			defer q.Close()
			for i := range 4 {
				f.faults.Store(2)
				require.NoError(t, q.TryPut(soon(t), i))
			}
			require.Eventually(t, func() bool { return errors.Is(q.TryPut(soon(t), 4), queue.ErrFull) }, time.Minute, time.Millisecond)
		})
	}
}

// The consumer's leader announces an acknowledgement before the stream's leader has
// removed the item, so the Put that is woken may be refused once more. It then tries
// again long before its next poll, which is at least half a second away.
func TestABlockedPutOfAReplicatedQueueEndsSoonAfterAnItemIsDone(t *testing.T) {
	t.Parallel()
	name := newName(t)
	worker := openAt(t, three.url(t), name, natsqueue.WithReplicas(3), natsqueue.WithCapacity(1))
	f := &faulty{JetStream: connect(t, three.url(t)), err: errMaxMsgs}
	producer, err := natsqueue.Open[int](soon(t), f, name)
	require.NoError(t, err)
	defer producer.Close()
	fill(t, producer, 1)
	fastest := time.Hour
	for begin := time.Now(); fastest > 500*time.Millisecond && time.Since(begin) < time.Minute; {
		var stored time.Time
		var putter sync.WaitGroup
		putter.Go(func() {
			assert.NoError(t, producer.Put(soon(t), 1))
			stored = time.Now()
		})
		time.Sleep(3 * time.Second) // until it polls once a second
		f.faults.Store(1)
		get(t, worker)
		done := time.Now()
		putter.Wait()
		fastest = min(fastest, stored.Sub(done))
	}
	require.Less(t, fastest, 500*time.Millisecond)
}

func TestAQueueIsStoredWhereItsPlacementSays(t *testing.T) {
	t.Parallel()
	js := connect(t, three.url(t))
	leader := func(stream string) string {
		s, err := js.Stream(soon(t), stream)
		require.NoError(t, err)
		return s.CachedInfo().Cluster.Leader
	}
	for node := range 3 {
		name, tag := newName(t), fmt.Sprintf("node:%d", node)
		q := openAt(t, three.url(t), name, natsqueue.WithPlacement("three", "all", tag))
		openAt(t, three.url(t), name, natsqueue.WithPlacement("three", tag, "all"))
		openAt(t, three.url(t), name)
		fill(t, q, 1)
		require.Equal(t, 1, get(t, q))
		for _, stream := range []string{name, name + "_dead"} {
			require.Equal(t, fmt.Sprintf("node-%d", node), leader(stream))
		}
		_, err := natsqueue.Open[int](soon(t), js, name, natsqueue.WithPlacement("", "all"))
		require.ErrorContains(t, err, `its placement is cluster "three", tags ["all" "`+tag+`"], not cluster "", tags ["all"]`)
	}
	for _, nowhere := range []natsqueue.Option{natsqueue.WithPlacement("four"), natsqueue.WithPlacement("", "node:3")} {
		_, err := natsqueue.Open[int](soon(t), js, newName(t), nowhere)
		require.ErrorContains(t, err, "no suitable peers for placement")
	}
}
