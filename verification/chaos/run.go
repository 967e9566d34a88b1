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

// A kind of queue. Each stage has one of each.
type kind struct {
	name       string
	priorities int
	consumers  []string // as package natsqueue names them
}

var kinds = []kind{
	{"plain", 1, []string{"workers"}},
	{"priorities", 3, []string{"workers-0", "workers-1", "workers-2"}},
}

const (
	capacity = 30
	ackWait  = 2 * time.Second // how long the items of a killed worker stay away

	producers = 3
	workers   = 3

	patience = 90 * time.Second // with anything that must happen after a fault
)

// A client uses the queues through proxies: a process, or a joiner in this one.
type client struct {
	path
	*process     // nil of a joiner
	producer int // the number of a producer; each process has its own
}

// A stage is a queue of each kind on some servers, and their clients.
type stage struct {
	size    int
	random  *rand.Rand
	begun   time.Time
	books   books
	servers *servers
	nc      *nats.Conn // by no proxy

	producers, workers, joiners []*client
	numbers                     int // of producers up to now

	faults map[string]int // how many of each kind there were
	trace  io.Writer      // nil if faults are not printed
}

// play runs a queue of each kind on so many servers under faults, with empty
// ledgers, and prints the accounts. It returns an error if a promise was broken.
func play(ctx context.Context, o options, size int, b books, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.duration+5*time.Minute, errors.New("the run does not end"))
	defer cancel()
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &stage{
		size: size, begun: time.Now(), books: b, faults: map[string]int{},
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
	var text strings.Builder
	fmt.Fprintf(&text, "\n%s, %v\n", nodes(size), time.Since(s.begun).Round(100*time.Millisecond))
	for i, fault := range slices.Sorted(maps.Keys(s.faults)) {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s %d", fault, s.faults[fault])
	}
	text.WriteByte('\n')
	for i, k := range kinds {
		a := b[k.name].settle(stored[i])
		fmt.Fprintf(&text, "%s: %v", k.name, a)
		if e := a.err(); e != nil {
			err = errors.Join(err, fmt.Errorf("queue %s: %w", k.name, e))
		}
	}
	_, _ = io.WriteString(out, text.String())
	return err
}

// clear ends the processes and proxies.
func (s *stage) clear() {
	for _, c := range s.clients() {
		if c.process != nil {
			c.kill()
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
// clients. It returns how many items the servers stored, of each kind of queue.
func (s *stage) run(ctx context.Context, duration time.Duration) (stored []uint64, err error) {
	if s.nc, err = dial(s.servers.addresses()); err != nil {
		return nil, err
	}
	defer s.nc.Close()
	qs, closeAll, err := openAll(ctx, s.servers.addresses(),
		natsqueue.WithCapacity(capacity), natsqueue.WithReplicas(s.size), natsqueue.WithAckWait(ackWait))
	defer closeAll()
	if err != nil {
		return nil, err
	}
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
	var behind []*natsqueue.Queue[item]
	closeBehind := func() {}
	defer func() { closeBehind() }()
	err = errors.Join(
		add(&s.workers, workers, s.startWorker),
		add(&s.producers, producers, s.startProducer),
		add(&s.joiners, 1, func(c *client) (err error) {
			behind, closeBehind, err = openAll(ctx, c.addresses())
			return err
		}))
	if err != nil {
		return nil, err
	}

	watching, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	for i, k := range kinds {
		l := s.books[k.name]
		watchers.Go(func() { watch(watching, qs[i], l) })
		watchers.Go(func() { join(watching, qs[i], l) })
		watchers.Go(func() { join(watching, behind[i], l) })
	}
	err = s.injectAll(ctx, duration)
	if err == nil {
		err = s.finish(ctx, qs)
	}
	stop()
	watchers.Wait()
	if err != nil {
		return nil, err
	}
	for i, k := range kinds {
		last, err := qs[i].Stats(ctx)
		if err != nil {
			return nil, err
		}
		s.books[k.name].look(last)
		if last.Unfinished > 0 || last.DeadLetters > 0 {
			return nil, fmt.Errorf("at the end queue %s is not empty: %+v", k.name, last)
		}
		stored = append(stored, last.Put)
	}
	return stored, nil
}

func (s *stage) startWorker(c *client) (err error) {
	c.process, err = start("worker", "worker", part{Servers: c.addresses()}, s.books.read)
	return err
}

func (s *stage) startProducer(c *client) (err error) {
	s.numbers++
	c.producer = s.numbers
	c.process, err = start(fmt.Sprint("producer ", c.producer), "producer",
		part{Servers: c.addresses(), Producer: c.producer}, s.books.read)
	return err
}

// watch looks at a queue as often as it can.
func watch(ctx context.Context, q *natsqueue.Queue[item], l *ledger) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		if stats, err := q.Stats(attempt); err == nil {
			l.look(stats)
		}
		cancel()
		sleep(ctx, 10*time.Millisecond)
	}
}

// join joins a queue again and again.
func join(ctx context.Context, q *natsqueue.Queue[item], l *ledger) {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
		_ = joinOnce(attempt, q, l)
		cancel()
		sleep(ctx, 20*time.Millisecond)
	}
}

// joinOnce joins a queue, and notes what came of it.
func joinOnce(ctx context.Context, q *natsqueue.Queue[item], l *ledger) error {
	from := time.Now().UnixNano()
	if err := q.Join(ctx); err != nil {
		l.joinFailed()
		return err
	}
	l.joined(span{from, time.Now().UnixNano()})
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// finish stops the producers, waits until all is done, and shuts the queues down,
// which ends the workers.
func (s *stage) finish(ctx context.Context, qs []*natsqueue.Queue[item]) error {
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
	for i, k := range kinds {
		if err := joinOnce(joining, qs[i], s.books[k.name]); err != nil {
			left, _ := qs[i].Stats(ctx)
			return fmt.Errorf("join queue %s after the last item was put: %w; %+v", k.name, err, left)
		}
		if err := qs[i].Shutdown(joining, false); err != nil {
			return err
		}
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
