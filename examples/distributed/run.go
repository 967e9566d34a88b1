package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/boundq/queue/promqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// run starts the processes, kills two of them, waits until every item is done, and
// reports what became of each.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s := scenario{config: c, out: out, begin: time.Now(), tally: newTally()}
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
	s.logf("a queue with capacity 100, replicas: %d", c.replicas)

	registry := prometheus.NewRegistry()
	registry.MustRegister(promqueue.NewNATSCollector(s.name, q))
	stop, err := s.serveMetrics(registry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return s.run(ctx, q, nc, registry)
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
		if !errors.Is(deleted, jetstream.ErrStreamNotFound) { // or deleted by an attempt whose answer was lost
			err = errors.Join(err, deleted)
		}
	}
	return err
}

// answered repeats a request until it is answered: while the servers have no
// leader, none is.
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

// A scenario is one run of the program.
type scenario struct {
	config
	name      string
	cluster   *cluster // nil if the servers are the user's
	out       io.Writer
	begin     time.Time
	tally     *tally
	processes []*process // producers and workers
}

func (s *scenario) logf(format string, args ...any) {
	fmt.Fprintf(s.out, "%5.1fs  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (s *scenario) run(ctx context.Context, q *natsqueue.Queue[job], nc *nats.Conn, metrics prometheus.Gatherer) (err error) {
	var producers, workers []*process
	defer func() {
		for _, p := range s.processes {
			_ = p.kill() // fails for those that have ended
		}
	}()
	p := settings{Servers: s.nats, Queue: s.name, Items: s.items, Every: s.every}
	for i := range s.workers {
		w, err := start(fmt.Sprintf("worker %d", i+1), "worker", p.env(), s.tally.processed)
		if err != nil {
			return err
		}
		workers = append(workers, w)
		s.processes = append(s.processes, w)
	}
	for p.Producer = range s.producers {
		w, err := start(fmt.Sprintf("producer %d", p.Producer+1), "producer", p.env(), s.tally.put)
		if err != nil {
			return err
		}
		producers = append(producers, w)
		s.processes = append(s.processes, w)
	}
	s.logf("%d producers put %d items each, %d workers process them; each is a process", s.producers, s.items, s.workers)

	total := s.producers * s.items
	if err := s.until(ctx, q, total/4); err != nil {
		return err
	}
	s.logf("kill %s", workers[0].name)
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
	s.logf("every item is done; shut down the queue")
	if err := q.Shutdown(ctx, false); err != nil {
		return err
	}
	for _, w := range workers {
		if err := w.wait(); err != nil {
			return err
		}
	}
	s.logf("the workers have ended\n")
	return errors.Join(printMetrics(s.out, metrics), s.tally.report(s.out, total))
}

// serveMetrics serves /metrics until stop is called.
func (s *scenario) serveMetrics(metrics prometheus.Gatherer) (stop func() error, err error) {
	l, err := net.Listen("tcp", s.metrics)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // until stop
	s.logf("metrics at http://%s/metrics", l.Addr())
	return server.Close, nil
}

// printMetrics prints what a scrape would now return.
func printMetrics(out io.Writer, metrics prometheus.Gatherer) error {
	families, err := metrics.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue()
			if f.GetType() == dto.MetricType_COUNTER {
				value = m.GetCounter().GetValue()
			}
			fmt.Fprintf(out, "%s %v\n", f.GetName(), value)
		}
	}
	fmt.Fprintln(out)
	return nil
}

// killLeader kills the server that leads the queue's stream.
func (s *scenario) killLeader(ctx context.Context, nc *nats.Conn) error {
	if s.cluster == nil {
		s.logf("no server is killed: they are not started by this program")
		return nil
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	leader := ""
	for leader == "" { // an election is under way
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
	s.logf("kill %s, which leads the queue", leader)
	return s.cluster.servers[leader].kill()
}

// until blocks until n items were put, and logs statistics every second. It
// returns the error of a producer or a worker that fails.
func (s *scenario) until(ctx context.Context, q *natsqueue.Queue[job], n int) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for logged := time.Now(); ; {
		if put, _ := s.tally.counts(); put >= n {
			return nil
		}
		for _, p := range s.processes {
			if err := p.failed(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
		if time.Since(logged) >= time.Second {
			logged = time.Now()
			s.logStats(ctx, q)
		}
	}
}

// logStats prints statistics, without the servers' if they don't answer at once.
func (s *scenario) logStats(ctx context.Context, q *natsqueue.Queue[job]) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	stats, err := q.Stats(ctx)
	put, processed := s.tally.counts()
	if err != nil {
		s.logf("put %5d  processed %5d  (the servers do not answer: %v)", put, processed, err)
		return
	}
	s.logf("put %5d  processed %5d  queued %3d  in flight %3d", put, processed, stats.Len, stats.InFlight)
}

// A tally records what became of every item.
type tally struct {
	mu      sync.Mutex
	records map[job]*record
	invalid []string // lines that are not events
	last    time.Time
	pause   time.Duration // the longest between two items
}

type record struct {
	put       bool
	processed int
	traces    map[string]bool // in which it was put and processed; one if nothing went wrong
}

func newTally() *tally { return &tally{records: map[job]*record{}} }

// record returns the record of the job in a line. mu must be held.
func (t *tally) record(line string) *record {
	e, err := parseEvent(line)
	if err != nil {
		t.invalid = append(t.invalid, line)
		return &record{}
	}
	r := t.records[e.job]
	if r == nil {
		r = &record{traces: map[string]bool{}}
		t.records[e.job] = r
	}
	r.traces[e.Trace] = true
	return r
}

// put takes a line of a producer.
func (t *tally) put(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record(line).put = true
}

// processed takes a line of a worker.
func (t *tally) processed(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record(line).processed++
	now := time.Now()
	if !t.last.IsZero() {
		t.pause = max(t.pause, now.Sub(t.last))
	}
	t.last = now
}

// counts returns how many items were put, and how often one was processed.
func (t *tally) counts() (put, processed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.records {
		if r.put {
			put++
		}
		processed += r.processed
	}
	return put, processed
}

// report prints the tally, and returns an error if items or traces were lost or
// invented.
func (t *tally) report(out io.Writer, total int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var put, processed, repeated, lost, unknown, broken int
	for _, r := range t.records {
		if r.put {
			put++
		}
		if r.processed > 0 {
			processed++
		}
		if r.processed > 1 {
			repeated++
		}
		switch {
		case r.put && r.processed == 0:
			lost++
		case !r.put && r.processed > 0:
			unknown++
		case len(r.traces) > 1:
			broken++
		}
	}
	fmt.Fprintf(out, "put %d items: processed %d, %d of them more than once; lost %d; outside of their trace %d\n", put, processed, repeated, lost, broken)
	fmt.Fprintf(out, "the longest pause between two items was %v\n", t.pause.Round(time.Millisecond))
	switch {
	case lost > 0:
		return fmt.Errorf("%d items were lost", lost)
	case broken > 0:
		return fmt.Errorf("%d items were processed outside of their trace", broken)
	case put != total || unknown > 0 || len(t.invalid) > 0:
		return fmt.Errorf("of %d items %d were put, %d were never put and yet processed, and these lines are not events: %q", total, put, unknown, t.invalid)
	}
	return nil
}
