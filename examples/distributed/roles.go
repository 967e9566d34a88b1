package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A process that is started to play a role finds it in one environment variable,
// and what it needs for it, as JSON, in another.
const (
	roleKey = "DISTRIBUTED_ROLE"
	partKey = "DISTRIBUTED_PART"
)

var roles = map[string]func() error{
	"server":   serve,
	"producer": produce,
	"worker":   work,
}

// A part is what a process needs to play its role.
type part struct {
	Node    string // of a server
	Dir     string
	Port    int
	Cluster int // the port for the other servers
	Routes  []string

	Servers  string // of a producer or a worker
	Queue    string
	Producer int
	Items    int
	Every    time.Duration
}

func (p part) env() []string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and strings
	}
	return []string{partKey + "=" + string(data)}
}

func readPart() (p part, err error) {
	endWithParent()
	err = json.Unmarshal([]byte(os.Getenv(partKey)), &p)
	return p, err
}

// A job is what goes through the queue.
type job struct {
	Producer int
	Number   int
}

func (j job) String() string { return fmt.Sprintf("%d %d", j.Producer, j.Number) }

func parseJob(line string) (j job, err error) {
	_, err = fmt.Sscanf(line, "%d %d", &j.Producer, &j.Number)
	return j, err
}

// connect opens the queue, and makes it if options are given.
func connect(ctx context.Context, servers, name string, opts ...natsqueue.Option) (*natsqueue.Queue[job], *nats.Conn, error) {
	nc, err := nats.Connect(servers, nats.Timeout(time.Minute), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.NoCallbacksAfterClientClose())
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	q, err := natsqueue.Open[job](ctx, js, name, opts...)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return q, nc, nil
}

// produce puts jobs, and prints each that the servers have.
func produce() error {
	return withQueue(func(ctx context.Context, p part, q *natsqueue.Queue[job]) error {
		for i := range p.Items {
			j := job{Producer: p.Producer, Number: i}
			if err := q.Put(ctx, j); err != nil {
				return err
			}
			fmt.Println(j)
			time.Sleep(p.Every)
		}
		return nil
	})
}

// work prints each job that it works on, until the queue is shut down. What it
// does for a job shows before it is through with it, so that a job in whose
// second half it is killed shows twice.
func work() error {
	return withQueue(func(ctx context.Context, p part, q *natsqueue.Queue[job]) error {
		for j := range q.Tasks(ctx) {
			time.Sleep(p.Every / 2)
			fmt.Println(j)
			time.Sleep(p.Every / 2)
		}
		return nil
	})
}

// withQueue plays a role that needs the queue.
func withQueue(play func(ctx context.Context, p part, q *natsqueue.Queue[job]) error) error {
	p, err := readPart()
	if err != nil {
		return err
	}
	ctx := context.Background()
	q, nc, err := connect(ctx, p.Servers, p.Queue)
	if err != nil {
		return err
	}
	defer nc.Close()
	return errors.Join(play(ctx, p, q), q.Close())
}

// serve is one server of the cluster.
func serve() error {
	p, err := readPart()
	if err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: p.Node, Host: "127.0.0.1", Port: p.Port, JetStream: true, StoreDir: p.Dir, NoLog: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "distributed", Host: "127.0.0.1", Port: p.Cluster},
	}
	for _, route := range p.Routes {
		u, err := url.Parse(route)
		if err != nil {
			return err
		}
		opts.Routes = append(opts.Routes, u)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("%s does not start", p.Node)
	}
	fmt.Println("ready")
	select {}
}
