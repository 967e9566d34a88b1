package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// A fleet is a queue and handles on it, each with a connection of its own, as
// each process has one.
type fleet struct {
	name    string
	members []member
}

type member struct {
	nc *nats.Conn
	js jetstream.JetStream
	q  *natsqueue.Queue[string]
}

// withFleet runs measure with so many members. Their goroutines must end with the
// context that measure gets, which is over once it returns.
func withFleet(ctx context.Context, d *deployment, capacity, size int, measure func(ctx context.Context, f *fleet, background *errgroup.Group) error) error {
	_, err := withQueue(ctx, d, capacity, func(_ *natsqueue.Queue[string], name string) (elapsed time.Duration, err error) {
		f := &fleet{name: name}
		defer func() {
			var closing errgroup.Group // of handles that have nothing under way
			for _, m := range f.members {
				closing.Go(func() error {
					defer m.nc.Close()
					return m.q.Close()
				})
			}
			err = errors.Join(err, closing.Wait())
		}()
		for range size {
			nc, js, err := d.connect()
			if err != nil {
				return 0, err
			}
			q, err := natsqueue.Open[string](ctx, js, name)
			if err != nil {
				nc.Close()
				return 0, err
			}
			f.members = append(f.members, member{nc, js, q})
		}
		ctx, stop := context.WithCancel(ctx)
		var background errgroup.Group
		err = measure(ctx, f, &background)
		stop()
		return 0, errors.Join(err, background.Wait())
	})
	return err
}

// messages returns how many messages the members have sent and received.
func (f *fleet) messages() (sent, received uint64) {
	for _, m := range f.members {
		s := m.nc.Stats()
		sent += s.OutMsgs
		received += s.InMsgs
	}
	return sent, received
}

// A way is one of the two that a fleet can go: natsqueue's, or the client's.
type way struct {
	name string
	put  func(ctx context.Context, f *fleet, m member) error
	wait func(ctx context.Context, f *fleet, m member) error // for an item, that does not come
}

var ways = []way{
	{
		"natsqueue",
		func(ctx context.Context, _ *fleet, m member) error { return m.q.Put(ctx, item) },
		func(ctx context.Context, _ *fleet, m member) error {
			_, err := m.q.Get(ctx)
			return err
		},
	}, {
		"client",
		func(ctx context.Context, f *fleet, m member) error { return publishUntilRoom(ctx, m.js, f.name) },
		func(ctx context.Context, f *fleet, m member) error {
			consumer, err := m.js.Consumer(ctx, f.name, "workers")
			if err != nil {
				return err
			}
			messages, err := consumer.Messages()
			if err != nil {
				return err
			}
			stop := context.AfterFunc(ctx, messages.Stop)
			defer stop()
			_, err = messages.Next()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		},
	},
}

// until repeats do until ctx ends.
func until(ctx context.Context, do func() error) error {
	for {
		if err := do(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// fleetRate is what a queue does that is full, with producers blocked in Put.
type fleetRate struct {
	items     float64 // a second
	publishes float64 // by all members, an item
	wakeUps   float64 // messages that all members received, apart from one for each that they sent, an item
}

// blockedFleet has size members put into a queue with room for one item, while
// one worker takes items with Get and Done.
func blockedFleet(ctx context.Context, d *deployment, w way, size, items int) (rate fleetRate, err error) {
	err = withFleet(ctx, d, 1, size, func(ctx context.Context, f *fleet, background *errgroup.Group) error {
		for _, m := range f.members {
			background.Go(func() error { return until(ctx, func() error { return w.put(ctx, f, m) }) })
		}
		worker, err := natsqueue.Open[string](ctx, d.js, f.name)
		if err != nil {
			return err
		}
		defer worker.Close()
		take := func(n int) error {
			for range n {
				task, err := worker.Get(ctx)
				if err != nil {
					return err
				}
				if err := task.Done(ctx); err != nil {
					return err
				}
			}
			return nil
		}
		if err := take(size); err != nil { // until all members have met the full queue
			return err
		}
		sent, received := f.messages()
		begin := time.Now()
		if err := take(items); err != nil {
			return err
		}
		elapsed := time.Since(begin)
		sentAfter, receivedAfter := f.messages()
		sent, received = sentAfter-sent, receivedAfter-received
		rate = fleetRate{
			items:     float64(items) / elapsed.Seconds(),
			publishes: float64(sent) / float64(items),
			wakeUps:   max(0, float64(received)-float64(sent)) / float64(items),
		}
		return nil
	})
	return rate, err
}

// atRest returns how many messages a second size members exchange with the server
// while they do nothing but block: in Put, as the queue is full, or for an item, as
// it is empty.
func atRest(ctx context.Context, d *deployment, w way, full bool, size int, settle, window time.Duration) (rate float64, err error) {
	err = withFleet(ctx, d, 1, size, func(ctx context.Context, f *fleet, background *errgroup.Group) error {
		if full {
			if err := fill(ctx, d.js, f.name, 1); err != nil {
				return err
			}
		}
		for _, m := range f.members {
			background.Go(func() error {
				return until(ctx, func() error {
					if full {
						return w.put(ctx, f, m)
					}
					return w.wait(ctx, f, m)
				})
			})
		}
		time.Sleep(settle)
		sent, received := f.messages()
		begin := time.Now()
		time.Sleep(window)
		sentAfter, receivedAfter := f.messages()
		rate = float64(sentAfter+receivedAfter-sent-received) / time.Since(begin).Seconds()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("%d handles: %w", size, err)
	}
	return rate, nil
}
