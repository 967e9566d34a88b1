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
	"go.opentelemetry.io/otel/trace"
)

// A child process finds its role in one environment variable, and its settings, as
// JSON, in another.
const (
	roleKey     = "DISTRIBUTED_ROLE"
	settingsKey = "DISTRIBUTED_SETTINGS"
)

var roles = map[string]func() error{
	"server":   serve,
	"producer": produce,
	"worker":   work,
}

// settings are those of a child process.
type settings struct {
	// Of a server.
	Node    string
	Dir     string
	Port    int
	Cluster int // the port for the other servers
	Routes  []string

	// Of a producer or a worker.
	Servers  string
	Queue    string
	Producer int
	Items    int
	Every    time.Duration
}

func (p settings) env() []string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and strings
	}
	return []string{settingsKey + "=" + string(data)}
}

func readSettings() (p settings, err error) {
	exitWithParent()
	err = json.Unmarshal([]byte(os.Getenv(settingsKey)), &p)
	return p, err
}

// A job is an item of the queue.
type job struct {
	Producer int
	Number   int
}

// An event is the line that a producer or a worker prints for a job.
type event struct {
	job
	Trace string
}

func newEvent(ctx context.Context, j job) event {
	return event{j, trace.SpanContextFromContext(ctx).TraceID().String()}
}

func (e event) String() string { return fmt.Sprintf("%d %d %s", e.Producer, e.Number, e.Trace) }

func parseEvent(line string) (e event, err error) {
	_, err = fmt.Sscanf(line, "%d %d %s", &e.Producer, &e.Number, &e.Trace)
	return e, err
}

// connect opens the queue. Open creates it if there is none.
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

// produce puts jobs, each in a trace of its own that goes with it, and prints each
// one once the servers have stored it.
func produce() error {
	return withQueue(func(ctx context.Context, p settings, q *natsqueue.Queue[job]) error {
		for i := range p.Items {
			j := job{Producer: p.Producer, Number: i}
			ctx, span := tracer.Start(ctx, "put")
			err := q.Put(ctx, j, natsqueue.PutHeader(traceHeader(ctx)))
			span.End()
			if err != nil {
				return err
			}
			fmt.Println(newEvent(ctx, j))
			time.Sleep(p.Every)
		}
		return nil
	})
}

// work processes jobs until the queue is shut down. It prints each one halfway
// through: if it is killed in the second half, the job is printed again by the
// worker that it is redelivered to.
func work() error {
	return withQueue(func(ctx context.Context, p settings, q *natsqueue.Queue[job]) error {
		return q.Handle(ctx, 1, func(ctx context.Context, j job) error {
			ctx, span := tracer.Start(withTrace(ctx, natsqueue.HeaderFrom(ctx)), "process")
			defer span.End()
			time.Sleep(p.Every / 2)
			fmt.Println(newEvent(ctx, j))
			time.Sleep(p.Every / 2)
			return nil
		})
	})
}

// withQueue calls role with the queue open.
func withQueue(role func(ctx context.Context, p settings, q *natsqueue.Queue[job]) error) error {
	p, err := readSettings()
	if err != nil {
		return err
	}
	ctx := context.Background()
	q, nc, err := connect(ctx, p.Servers, p.Queue)
	if err != nil {
		return err
	}
	defer nc.Close()
	return errors.Join(role(ctx, p, q), q.Close())
}

// serve runs one server of the cluster.
func serve() error {
	p, err := readSettings()
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
		return fmt.Errorf("%s did not start", p.Node)
	}
	fmt.Println("ready")
	select {}
}
