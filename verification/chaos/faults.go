package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// injections are the kinds of fault.
var injections = map[string]struct {
	inject    func(*stage, context.Context) error
	clustered bool // needs more than one server
}{
	"cut in mid-write":   {inject: (*stage).cut},
	"half-open":          {inject: (*stage).halfOpen},
	"delay":              {inject: (*stage).delay},
	"answers lost":       {inject: (*stage).loseAnswers},
	"producer killed":    {inject: (*stage).killProducer},
	"worker killed":      {inject: (*stage).killWorker},
	"server killed":      {inject: (*stage).killServer},
	"stream step-down":   {inject: (*stage).stepDownStream, clustered: true},
	"consumer step-down": {inject: (*stage).stepDownConsumer, clustered: true},
}

// injectAll injects faults until the time is over: all kinds in random order, and
// again.
func (s *stage) injectAll(ctx context.Context, duration time.Duration) error {
	for end := time.Now().Add(duration); ; {
		kinds := slices.Sorted(maps.Keys(injections))
		s.random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, kind := range kinds {
			if injections[kind].clustered && s.size == 1 {
				continue
			}
			if time.Now().After(end) && s.faults[kind] > 0 {
				return nil
			}
			sleep(ctx, time.Duration(s.random.Int64N(int64(300*time.Millisecond))))
			if s.trace != nil {
				fmt.Fprintf(s.trace, "%6.2fs  %s: %s\n", time.Since(s.begun).Seconds(), nodes(s.size), kind)
			}
			if err := injections[kind].inject(s, ctx); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			s.faults[kind]++
		}
		if time.Now().After(end) {
			return nil
		}
	}
}

// one returns a client at random.
func (s *stage) one(of []*client) *client { return of[s.random.IntN(len(of))] }

func (s *stage) cut(context.Context) error {
	s.one(s.clients()).cut()
	return nil
}

// halfOpen leaves it to the client to notice.
func (s *stage) halfOpen(context.Context) error {
	s.one(s.clients()).halfOpen()
	return nil
}

func (s *stage) delay(ctx context.Context) error {
	c := s.one(s.clients())
	c.slow(60 * time.Millisecond)
	sleep(ctx, time.Second)
	c.slow(0)
	return nil
}

func (s *stage) loseAnswers(ctx context.Context) error {
	c := s.one(s.clients())
	c.halfOpen()
	sleep(ctx, 100*time.Millisecond)
	c.sever()
	return nil
}

func (s *stage) killProducer(context.Context) error {
	c := s.one(s.producers)
	c.kill()
	for _, l := range s.books {
		l.killed(c.producer)
	}
	return s.startProducer(c)
}

func (s *stage) killWorker(context.Context) error {
	c := s.one(s.workers)
	c.kill()
	return s.startWorker(c)
}

// killServer kills a server and starts it again. A server knows the IDs of
// messages that it no longer has only until it is restarted: an item whose
// acknowledgement was lost, that is done, and that is put again after the restart
// is stored twice, as the documentation of package natsqueue says. So before the
// kill no answer is being lost, the producers hear of all that they are putting,
// and then no item is finished; and the next fault waits until they have heard of
// what they were putting in the meantime.
func (s *stage) killServer(ctx context.Context) error {
	for _, c := range s.clients() {
		c.mend()
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	var held []func()
	release := func() {
		for _, release := range held {
			release()
		}
		held = nil
	}
	defer release()
	for _, c := range s.workers {
		held = append(held, c.hold())
	}
	sleep(ctx, 100*time.Millisecond)
	i := s.random.IntN(s.size)
	s.servers.processes[i].kill()
	if s.size > 1 { // the others go on without it
		release()
		sleep(ctx, time.Second)
	}
	if err := s.servers.start(ctx, i); err != nil {
		return err
	}
	release()
	for _, k := range kinds {
		if err := s.until(ctx, s.whole(ctx, k)); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// settle waits until the producers have been told of all that they are putting
// now.
func (s *stage) settle(ctx context.Context) error {
	for name, l := range s.books {
		pending := l.pending()
		err := s.until(ctx, func() (waitsFor string) {
			if pending = l.stillPending(pending); len(pending) > 0 {
				return fmt.Sprintf("queue %s: the producers of %d items were not told of them, of %v among others", name, len(pending), pending[0])
			}
			return ""
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whole returns a condition: all servers have all of a queue's stream.
func (s *stage) whole(ctx context.Context, k kind) func() (waitsFor string) {
	return func() string {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		js, err := jetstream.New(s.nc)
		if err != nil {
			return err.Error()
		}
		stream, err := js.Stream(attempt, k.name)
		if err != nil {
			return fmt.Sprintf("the servers don't answer: %v", err)
		}
		if cluster := stream.CachedInfo().Cluster; s.size > 1 {
			if cluster == nil || cluster.Leader == "" {
				return "the stream has no leader"
			}
			for _, replica := range cluster.Replicas {
				if !replica.Current || replica.Offline {
					return replica.Name + " is behind"
				}
			}
		}
		return ""
	}
}

func (s *stage) stepDownStream(ctx context.Context) error {
	for _, k := range kinds {
		if err := s.stepDown(ctx, "STREAM", k.name); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) stepDownConsumer(ctx context.Context) error {
	for _, k := range kinds {
		for _, consumer := range k.consumers {
			if err := s.stepDown(ctx, "CONSUMER", k.name+"."+consumer); err != nil {
				return err
			}
		}
	}
	return nil
}

// stepDown has a leader step down, as soon as there is one.
func (s *stage) stepDown(ctx context.Context, what, name string) error {
	return s.until(ctx, func() string {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		answer, err := s.nc.RequestWithContext(attempt, "$JS.API."+what+".LEADER.STEPDOWN."+name, nil)
		if err != nil {
			return fmt.Sprintf("the servers don't answer: %v", err)
		}
		var result struct {
			Success bool
			Error   *jetstream.APIError
		}
		if err := json.Unmarshal(answer.Data, &result); err != nil {
			return err.Error()
		}
		if !result.Success {
			return fmt.Sprintf("no leader stepped down: %v", result.Error)
		}
		return ""
	})
}
