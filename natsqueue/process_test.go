package natsqueue_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var roles = map[string]func(){
	"server": serveRole,
	"holder": func() { // receives an item and does nothing with it
		task, err := openRole().Get(background)
		if err != nil {
			panic(err)
		}
		fmt.Println(task.Item)
		select {}
	},
	"worker": func() { // prints the items that it processes
		for item := range openRole().Tasks(background) {
			fmt.Println(item)
		}
	},
}

func openRole() *natsqueue.Queue[int] {
	nc, err := nats.Connect(os.Getenv("URL"), nats.Timeout(time.Minute))
	if err != nil {
		panic(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		panic(err)
	}
	q, err := natsqueue.Open[int](background, js, os.Getenv("QUEUE"))
	if err != nil {
		panic(err)
	}
	return q
}

// serveRole runs a server until it is killed.
func serveRole() {
	opts := serverOptions(os.Getenv("DIR"))
	opts.Port, _ = strconv.Atoi(os.Getenv("PORT"))
	if name := os.Getenv("NAME"); name != "" {
		opts.ServerName = name
		opts.Cluster.Name = "test"
		opts.Cluster.Host = "127.0.0.1"
		opts.Cluster.Port, _ = strconv.Atoi(os.Getenv("CLUSTER_PORT"))
		for _, route := range strings.Fields(os.Getenv("ROUTES")) {
			u, err := url.Parse(route)
			if err != nil {
				panic(err)
			}
			opts.Routes = append(opts.Routes, u)
		}
	}
	startServer(opts)
	fmt.Println("ready")
	select {}
}

// A process is this test binary in a role.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner // of its output
}

func start(t testing.TB, role string, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(append(os.Environ(), roleKey+"="+role), env...)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(p.kill)
	p.lines = bufio.NewScanner(out)
	return p
}

// kill ends the process at once, with SIGKILL.
func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// line waits for the process to print a line.
func (p *process) line(t testing.TB) string {
	t.Helper()
	require.True(t, p.lines.Scan(), "the process ended")
	return p.lines.Text()
}

// freePorts returns free ports outside the range of ephemeral ports: they must stay
// free while a server is down.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for tries := 1000; len(ports) < n; tries-- {
		port := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			require.Positive(t, tries, err)
			continue
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return ports
}

func TestTwoProcessesWorkOnOneQueue(t *testing.T) {
	t.Parallel()
	const items = 200
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(20))
	env := []string{"URL=" + shared.ClientURL(), "QUEUE=" + name}
	workers := []*process{start(t, "worker", env...), start(t, "worker", env...)}
	fill(t, q, items)
	require.NoError(t, q.Join(soon(t)), "all is done, by either worker")
	require.NoError(t, q.Shutdown(soon(t), false))
	var done []int
	for _, w := range workers {
		for w.lines.Scan() {
			item, err := strconv.Atoi(w.lines.Text())
			require.NoError(t, err)
			done = append(done, item)
		}
		require.NoError(t, w.Wait(), "its loop ends")
	}
	slices.Sort(done)
	require.Equal(t, upTo(items), done)
	_, err := q.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
}

func TestTheItemOfAKilledWorkerIsRedelivered(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithAckWait(2*time.Second))
	holder := start(t, "holder", "URL="+shared.ClientURL(), "QUEUE="+name)
	fill(t, q, 1)
	require.Equal(t, "1", holder.line(t))
	holder.kill()
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, task.Item)
	require.Equal(t, 2, task.Deliveries())
	settle(t, task)
	require.NoError(t, q.Join(soon(t)))
}

// An account follows the items of some producers through a queue whose servers
// fail.
type account struct {
	q         *natsqueue.Queue[int]
	producers int
	each      int
	put       atomic.Int64 // items that were put
	seen      sync.Map     // the number of deliveries of each
	work      sync.WaitGroup
}

// run runs the producers and one worker, until all items are put.
func (a *account) run(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	for p := range a.producers {
		a.work.Go(func() {
			for i := range a.each {
				if !assert.NoError(t, a.q.Put(ctx, p*a.each+i)) {
					return
				}
				a.put.Add(1)
			}
		})
	}
	go func() {
		newest := make([]int, a.producers)
		for {
			task, err := a.q.Get(ctx)
			if err != nil {
				return
			}
			n, _ := a.seen.LoadOrStore(task.Item, new(atomic.Int64))
			if n.(*atomic.Int64).Add(1) == 1 && task.Deliveries() == 1 {
				p := task.Item / a.each
				assert.GreaterOrEqual(t, task.Item, newest[p], "each producer's items come in its order, except for redelivered ones")
				newest[p] = task.Item
			}
			_ = task.Done(ctx) // if the server is down for too long the item is redelivered
		}
	}()
}

// until blocks until n items were put.
func (a *account) until(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() bool { return a.put.Load() >= int64(n) || t.Failed() }, "the producers go on")
}

// settle checks that every item that was put was received.
func (a *account) settle(t *testing.T) {
	a.work.Wait()
	require.NoError(t, a.q.Join(soon(t)))
	require.EqualValues(t, a.producers*a.each, a.put.Load())
	twice := 0
	for item := range a.producers * a.each {
		n, ok := a.seen.Load(item)
		require.True(t, ok, "item %d was acknowledged and never received", item)
		if n.(*atomic.Int64).Load() > 1 {
			twice++
		}
	}
	t.Logf("%d items, %d of them received more than once", a.put.Load(), twice)
	require.NoError(t, a.q.Shutdown(soon(t), false))
	_, err := a.q.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
}

func TestAServerThatIsKilledAndRestartedLosesNothing(t *testing.T) {
	t.Parallel()
	env := []string{"DIR=" + t.TempDir(), "PORT=" + strconv.Itoa(freePorts(t, 1)[0])}
	server := start(t, "server", env...)
	server.line(t)
	at := "nats://127.0.0.1:" + env[1][len("PORT="):]
	a := &account{q: openAt(t, at, newName(t), natsqueue.WithCapacity(50), natsqueue.WithAckWait(3*time.Second)), producers: 3, each: 1500}
	a.run(t)
	for round := range 3 {
		a.until(t, (round+1)*1000)
		server.kill()
		server = start(t, "server", env...)
		server.line(t)
	}
	a.settle(t)
}

// The server stores the shutdown.
func TestAShutdownSurvivesTheServersRestart(t *testing.T) {
	t.Parallel()
	env := []string{"DIR=" + t.TempDir(), "PORT=" + strconv.Itoa(freePorts(t, 1)[0])}
	server := start(t, "server", env...)
	server.line(t)
	at := "nats://127.0.0.1:" + env[1][len("PORT="):]
	name := newName(t)
	q := openAt(t, at, name, natsqueue.WithCapacity(2))
	fill(t, q, 2)
	require.NoError(t, q.Shutdown(soon(t), false))
	server.kill()
	server = start(t, "server", env...)
	server.line(t)
	require.ErrorIs(t, q.Put(soon(t), 3), queue.ErrShutdown)
	require.ErrorIs(t, openAt(t, at, name).TryPut(soon(t), 3), queue.ErrShutdown)
	require.Equal(t, 1, get(t, q))
	require.Equal(t, 2, get(t, q))
	_, err := q.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
}

func TestAClusterThatLosesItsLeaderLosesNothing(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 6)
	var urls, routes []string
	for i := range 3 {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
	}
	servers := map[string]*process{}
	for i := range 3 {
		name := fmt.Sprintf("n%d", i)
		servers[name] = start(t, "server", "DIR="+t.TempDir(), "NAME="+name, "ROUTES="+strings.Join(routes, " "),
			fmt.Sprintf("PORT=%d", ports[i]), fmt.Sprintf("CLUSTER_PORT=%d", ports[3+i]))
	}
	for _, s := range servers {
		s.line(t)
	}
	at := strings.Join(urls, ",")
	name := newName(t)
	a := &account{producers: 3, each: 500}
	js := connect(t, at)
	var err error
	a.q, err = natsqueue.Open[int](soon(t), js, name, natsqueue.WithReplicas(3), natsqueue.WithCapacity(20), natsqueue.WithAckWait(3*time.Second))
	require.NoError(t, err)
	defer a.q.Close()
	require.False(t, natsqueue.Covering(a.q), "another server may handle the next acknowledgement")
	idle := openAt(t, at, name) // a handle that stays blocked
	ended := make(chan error, 1)
	go func() {
		ctx := within(t, 5*time.Minute)
		for item := range idle.Tasks(ctx) {
			n, _ := a.seen.LoadOrStore(item, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		}
		ended <- ctx.Err()
	}()
	graceful := openAt(t, at, newName(t), natsqueue.WithReplicas(3))
	immediate := openAt(t, at, newName(t), natsqueue.WithReplicas(3))
	fill(t, graceful, 10)
	fill(t, immediate, 10)
	inHand, err := immediate.Get(soon(t))
	require.NoError(t, err)
	a.run(t)
	a.until(t, 500)
	for range 50 {
		require.LessOrEqual(t, stats(t, a.q).Unfinished, 20, "the bound holds over replicas")
	}
	leader := ""
	eventually(t, func() bool { // during an election there is none, and no server answers
		if stream, err := js.Stream(within(t, 2*time.Second), name); err == nil {
			leader = stream.CachedInfo().Cluster.Leader
		}
		return leader != ""
	}, "there is a leader")
	servers[leader].kill()
	a.settle(t)
	require.NoError(t, <-ended)

	// The two remaining servers can still shut queues down.
	require.NoError(t, graceful.Shutdown(soon(t), false))
	require.ErrorIs(t, graceful.Put(soon(t), 11), queue.ErrShutdown)
	var left, first []int
	for {
		task, err := graceful.Get(soon(t))
		if errors.Is(err, queue.ErrShutdown) {
			break
		}
		require.NoError(t, err)
		left = append(left, task.Item)
		if task.Deliveries() == 1 {
			first = append(first, task.Item)
		}
		require.NoError(t, task.Done(soon(t)))
	}
	// A new leader redelivers an item whose delivery was lost with the old one, or with
	// an election, when its ack wait is over: by then the items behind it have left.
	require.ElementsMatch(t, upTo(10), left)
	require.IsIncreasing(t, first)
	require.NoError(t, graceful.Join(soon(t)))
	require.NoError(t, immediate.Shutdown(soon(t), true))
	require.ErrorIs(t, immediate.TryPut(soon(t), 11), queue.ErrShutdown)
	require.NoError(t, inHand.Done(soon(t)))
	require.NoError(t, immediate.Join(soon(t)))
	_, err = immediate.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
}
