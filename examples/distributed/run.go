package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// run plays the piece: it starts the processes, kills two of them, waits until
// all is done and accounts for it.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s := stage{config: c, out: out, begin: time.Now(), account: newAccount()}
	if c.nats == "" {
		dir, err := os.MkdirTemp("", "distributed")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if s.cluster, err = startCluster(dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.cluster.stop()) }()
		s.nats = s.cluster.urls
	}
	s.name = "distributed-" + nuid.Next()
	q, nc, err := connect(ctx, s.nats, s.name,
		natsqueue.WithCapacity(100), natsqueue.WithReplicas(c.replicas), natsqueue.WithAckWait(3*time.Second))
	if err != nil {
		return err
	}
	defer nc.Close()
	defer func() { err = errors.Join(err, q.Close(), deleteQueue(nc, s.name)) }()
	s.say("a queue with room for 100, replicas: %d", c.replicas)
	return s.play(ctx, q, nc)
}

func deleteQueue(nc *nats.Conn, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for _, stream := range []string{name, name + "_dead"} {
		deleted := answered(ctx, func(ctx context.Context) error { return js.DeleteStream(ctx, stream) })
		if !errors.Is(deleted, jetstream.ErrStreamNotFound) { // or by a request whose answer was lost
			err = errors.Join(err, deleted)
		}
	}
	return err
}

// answered makes a request until it is answered: one that comes while the servers
// have no leader is not.
func answered(ctx context.Context, request func(ctx context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := request(attempt)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

// A stage is where the processes play.
type stage struct {
	config
	name    string
	cluster *cluster // nil if it is not the program's own
	out     io.Writer
	begin   time.Time
	account *account
	players []*process // producers and workers
}

func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%5.1fs  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (s *stage) play(ctx context.Context, q *natsqueue.Queue[job], nc *nats.Conn) (err error) {
	var producers, workers []*process
	defer func() {
		for _, p := range s.players {
			_ = p.kill() // those that have ended don't mind
		}
	}()
	p := part{Servers: s.nats, Queue: s.name, Items: s.items, Every: s.every}
	for i := range s.workers {
		w, err := start(fmt.Sprintf("worker %d", i+1), "worker", p.env(), s.account.worked)
		if err != nil {
			return err
		}
		workers = append(workers, w)
		s.players = append(s.players, w)
	}
	for p.Producer = range s.producers {
		w, err := start(fmt.Sprintf("producer %d", p.Producer+1), "producer", p.env(), s.account.put)
		if err != nil {
			return err
		}
		producers = append(producers, w)
		s.players = append(s.players, w)
	}
	s.say("%d producers put %d items each, %d workers take them; each is a process", s.producers, s.items, s.workers)

	total := s.producers * s.items
	if err := s.until(ctx, q, total/4); err != nil {
		return err
	}
	s.say("kill %s", workers[0].name)
	if err := workers[0].kill(); err != nil {
		return err
	}
	if err := s.until(ctx, q, total/2); err != nil {
		return err
	}
	if err := s.killLeader(ctx, nc); err != nil {
		return err
	}
	if err := s.until(ctx, q, total); err != nil {
		return err
	}
	for _, p := range producers {
		if err := p.wait(); err != nil {
			return err
		}
	}
	if err := q.Join(ctx); err != nil {
		return err
	}
	s.say("all is done; shut down")
	if err := q.Shutdown(ctx, false); err != nil {
		return err
	}
	for _, w := range workers {
		if err := w.wait(); err != nil {
			return err
		}
	}
	s.say("the workers have ended\n")
	return s.account.settle(s.out, total)
}

// killLeader kills the server that leads the queue's stream.
func (s *stage) killLeader(ctx context.Context, nc *nats.Conn) error {
	if s.cluster == nil {
		s.say("the servers are yours, and none is killed")
		return nil
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	leader := ""
	for leader == "" { // they elect one
		time.Sleep(50 * time.Millisecond)
		err := answered(ctx, func(ctx context.Context) error {
			stream, err := js.Stream(ctx, s.name)
			if err == nil {
				leader = stream.CachedInfo().Cluster.Leader
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	s.say("kill %s, which leads the queue", leader)
	return s.cluster.servers[leader].kill()
}

// until waits until so many items were put, and tells of the queue meanwhile. It
// returns the error of a producer or a worker that fails.
func (s *stage) until(ctx context.Context, q *natsqueue.Queue[job], n int) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for told := time.Now(); s.account.puts() < n; {
		for _, p := range s.players {
			if err := p.failed(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
		if time.Since(told) >= time.Second {
			told = time.Now()
			s.tell(ctx, q)
		}
	}
	return nil
}

// tell prints the figures, unless the servers don't answer at once.
func (s *stage) tell(ctx context.Context, q *natsqueue.Queue[job]) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	stats, err := q.Stats(ctx)
	put, done := s.account.figures()
	if err != nil {
		s.say("put %5d  worked on %5d  (no answer from the servers: %v)", put, done, err)
		return
	}
	s.say("put %5d  worked on %5d  waiting %3d  in hand %3d", put, done, stats.Len, stats.InFlight)
}

// An account says what became of every item.
type account struct {
	mu    sync.Mutex
	state map[job]*fate
	bad   []string // lines that are no jobs
	done  int
	last  time.Time
	pause time.Duration // the longest without an item done
}

type fate struct {
	put    bool
	worked int
}

func newAccount() *account { return &account{state: map[job]*fate{}} }

// of returns the fate of the item that a line tells of. mu must be held.
func (a *account) of(line string) *fate {
	j, err := parseJob(line)
	if err != nil {
		a.bad = append(a.bad, line)
		return &fate{}
	}
	if a.state[j] == nil {
		a.state[j] = &fate{}
	}
	return a.state[j]
}

func (a *account) put(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(line).put = true
}

func (a *account) worked(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(line).worked++
	a.done++
	now := time.Now()
	if !a.last.IsZero() {
		a.pause = max(a.pause, now.Sub(a.last))
	}
	a.last = now
}

func (a *account) puts() int {
	put, _ := a.figures()
	return put
}

func (a *account) figures() (put, done int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.state {
		if f.put {
			put++
		}
	}
	return put, a.done
}

// settle prints the account, and returns an error if it does not come out even.
func (a *account) settle(out io.Writer, total int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var put, processed, twice, lost, unknown int
	for _, f := range a.state {
		switch {
		case f.put && f.worked == 0:
			lost++
		case !f.put && f.worked > 0:
			unknown++
		}
		if f.put {
			put++
		}
		if f.worked > 0 {
			processed++
		}
		if f.worked > 1 {
			twice++
		}
	}
	fmt.Fprintf(out, "put %d items: processed %d, of them %d more than once; lost %d\n", put, processed, twice, lost)
	fmt.Fprintf(out, "the longest pause between two items was %v\n", a.pause.Round(time.Millisecond))
	switch {
	case lost > 0:
		return fmt.Errorf("%d items were lost", lost)
	case put != total || unknown > 0 || len(a.bad) > 0:
		return fmt.Errorf("of %d items %d were put, %d appeared from nowhere, and these lines are no items: %q", total, put, unknown, a.bad)
	}
	return nil
}
