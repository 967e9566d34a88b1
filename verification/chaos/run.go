package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
)

const (
	queueName = "chaos"
	capacity  = 30
	ackWait   = 2 * time.Second // how long the items of a killed worker stay away

	producers = 3
	workers   = 3

	patience = 90 * time.Second // with anything that must happen after a fault
)

// A client uses the queue through proxies: a process, or a joiner in this one.
type client struct {
	path
	*process            // nil of a joiner
	nc       *nats.Conn // nil of a process
	producer int        // the number of a producer; each process has its own
}

// A stage is a queue on some servers, and its clients.
type stage struct {
	size       int
	priorities int
	random     *rand.Rand
	begun      time.Time
	ledger     *ledger
	servers    *servers
	q          *natsqueue.Queue[item] // by no proxy
	nc         *nats.Conn

	producers, workers, joiners []*client
	numbers                     int // of producers up to now

	faults map[string]int // how many of each kind there were
	trace  io.Writer      // nil if faults are not printed
}

// play runs a queue on so many servers under faults, with an empty ledger, and
// prints the account. It returns an error if a promise was broken.
func play(ctx context.Context, o options, size int, l *ledger, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.duration+5*time.Minute, errors.New("the run does not end"))
	defer cancel()
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &stage{
		size: size, priorities: prioritiesOn(size), begun: time.Now(), ledger: l, faults: map[string]int{},
		random: rand.New(rand.NewPCG(o.seed, uint64(size))),
	}
	if o.verbose {
		s.trace = out
	}
	defer s.clear()
	if s.servers, err = startServers(ctx, dir, size); err != nil {
		return err
	}
	stored, err := s.run(ctx, o.duration)
	if err != nil {
		return err
	}
	a := s.ledger.settle(stored)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %v\n", nodes(size), time.Since(s.begun).Round(100*time.Millisecond))
	for i, kind := range slices.Sorted(maps.Keys(s.faults)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", kind, s.faults[kind])
	}
	fmt.Fprintf(&b, "\n%v", a)
	_, _ = io.WriteString(out, b.String())
	return a.err()
}

// prioritiesOn returns how many priorities the queue on so many servers has: it has
// some on one server, and none on a cluster.
func prioritiesOn(size int) int {
	if size == 1 {
		return 3
	}
	return 1
}

// clear ends the processes and proxies.
func (s *stage) clear() {
	if s.nc != nil {
		s.nc.Close()
	}
	for _, c := range s.clients() {
		if c.process != nil {
			c.kill()
		}
		if c.nc != nil {
			c.nc.Close()
		}
		c.path.close()
	}
	if s.servers != nil {
		for _, p := range s.servers.processes {
			if p != nil {
				p.kill()
			}
		}
	}
}

func (s *stage) clients() []*client { return slices.Concat(s.producers, s.workers, s.joiners) }

// run starts the clients, injects faults until the time is over, and ends the
// clients. It returns how many items the servers stored.
func (s *stage) run(ctx context.Context, duration time.Duration) (stored uint64, err error) {
	s.q, s.nc, err = connect(ctx, strings.Join(s.servers.addresses(), ","), queueName,
		natsqueue.WithCapacity(capacity), natsqueue.WithReplicas(s.size), natsqueue.WithAckWait(ackWait), natsqueue.WithPriorities(s.priorities))
	if err != nil {
		return 0, err
	}
	defer s.q.Close()
	add := func(clients *[]*client, n int, start func(*client) error) error {
		for range n {
			p, err := newPath(s.servers.addresses())
			if err != nil {
				return err
			}
			c := &client{path: p}
			*clients = append(*clients, c)
			if err := start(c); err != nil {
				return err
			}
		}
		return nil
	}
	var q *natsqueue.Queue[item]
	err = errors.Join(
		add(&s.workers, workers, s.startWorker),
		add(&s.producers, producers, s.startProducer),
		add(&s.joiners, 1, func(c *client) (err error) {
			q, c.nc, err = connect(ctx, strings.Join(c.addresses(), ","), queueName)
			return err
		}))
	if err != nil {
		return 0, err
	}
	defer q.Close()

	watching, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { s.watch(watching) })
	for _, handle := range []*natsqueue.Queue[item]{s.q, q} {
		watchers.Go(func() { s.join(watching, handle) })
	}
	err = s.injectAll(ctx, duration)
	if err == nil {
		err = s.finish(ctx)
	}
	stop()
	watchers.Wait()
	if err != nil {
		return 0, err
	}
	last, err := s.q.Stats(ctx)
	if err != nil {
		return 0, err
	}
	s.ledger.look(last)
	if last.Unfinished > 0 || last.DeadLetters > 0 {
		return 0, fmt.Errorf("at the end the queue is not empty: %+v", last)
	}
	return last.Put, nil
}

func (s *stage) startWorker(c *client) (err error) {
	c.process, err = start("worker", "worker", part{Servers: strings.Join(c.addresses(), ","), Queue: queueName}, s.ledger.read)
	return err
}

func (s *stage) startProducer(c *client) (err error) {
	s.numbers++
	c.producer = s.numbers
	c.process, err = start(fmt.Sprint("producer ", c.producer), "producer",
		part{Servers: strings.Join(c.addresses(), ","), Queue: queueName, Producer: c.producer, Priorities: s.priorities}, s.ledger.read)
	return err
}

// watch looks at the queue as often as it can.
func (s *stage) watch(ctx context.Context) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		if stats, err := s.q.Stats(attempt); err == nil {
			s.ledger.look(stats)
		}
		cancel()
		sleep(ctx, 10*time.Millisecond)
	}
}

// join joins the queue again and again.
func (s *stage) join(ctx context.Context, q *natsqueue.Queue[item]) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
		_ = s.joinOnce(attempt, q)
		cancel()
		sleep(ctx, 20*time.Millisecond)
	}
}

// joinOnce joins the queue, and notes what came of it.
func (s *stage) joinOnce(ctx context.Context, q *natsqueue.Queue[item]) error {
	from := time.Now().UnixNano()
	if err := q.Join(ctx); err != nil {
		s.ledger.joinFailed()
		return err
	}
	s.ledger.joined(span{from, time.Now().UnixNano()})
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// finish stops the producers, waits until all is done, and shuts the queue down,
// which ends the workers.
func (s *stage) finish(ctx context.Context) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	for _, c := range s.producers {
		c.stop()
	}
	if err := s.await(ctx, s.producers); err != nil {
		return err
	}
	joining, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.joinOnce(joining, s.q); err != nil {
		return fmt.Errorf("join after the last item was put: %w", err)
	}
	if err := s.q.Shutdown(joining, false); err != nil {
		return err
	}
	return s.await(ctx, s.workers)
}

// await waits until clients have ended.
func (s *stage) await(ctx context.Context, clients []*client) error {
	return s.until(ctx, func() (waitsFor string) {
		for _, c := range clients {
			select {
			case <-c.ended:
			default:
				return c.name + " does not end"
			}
		}
		return ""
	})
}

// until waits until a condition holds, and no client has failed. It returns an
// error that says what it waits for if it does not come to hold.
func (s *stage) until(ctx context.Context, holds func() (waitsFor string)) error {
	for end := time.Now().Add(patience); ; {
		waitsFor := holds() // before the clients are looked at: it may be that they ended
		for _, c := range s.clients() {
			if c.process != nil {
				if err := c.failed(); err != nil {
					return err
				}
			}
		}
		switch {
		case waitsFor == "":
			return nil
		case time.Now().After(end):
			return fmt.Errorf("after %v: %s", patience, waitsFor)
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %s", context.Cause(ctx), waitsFor)
		}
		sleep(ctx, 5*time.Millisecond)
	}
}
