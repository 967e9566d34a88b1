package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An item is one of a producer's, by the method that put it and its number.
type item struct {
	Producer int
	By       string
	Number   int
}

func (it item) String() string { return fmt.Sprint(it.Producer, " ", it.By, " ", it.Number) }

// What processes tell of an item, a line each, in the order in which it happens:
// queue, event, item and time in nanoseconds. The time lets the lines of
// several processes be compared: they are on one machine.
const (
	beginEvent   = "begin"   // it is about to be put
	putEvent     = "put"     // it is in the queue
	refusedEvent = "refused" // it is not
	workedEvent  = "worked"  // it was received, and is about to be marked done
)

func (k kind) tell(event string, items ...item) {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintln(&b, k.name, event, it, time.Now().UnixNano())
	}
	fmt.Print(b.String())
}

// dial returns a connection that pings so seldom that only package natsqueue can
// notice that it is half-open.
func dial(addresses []string) (*nats.Conn, error) {
	return nats.Connect(strings.Join(addresses, ","),
		nats.Timeout(2*time.Second), nats.PingInterval(time.Hour), nats.RetryOnFailedConnect(true), nats.IgnoreDiscoveredServers(),
		nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // else it prints that a connection was cut
}

// openAll opens a queue of each kind, each over a connection of its own, so that
// each has to notice what becomes of that. They are closed by the function that it
// returns, also if it fails.
func openAll(ctx context.Context, addresses []string, opts ...natsqueue.Option) (qs []*natsqueue.Queue[item], closeAll func(), err error) {
	var closers []func()
	closeAll = func() {
		for _, f := range slices.Backward(closers) {
			f()
		}
	}
	for _, k := range kinds {
		nc, err := dial(addresses)
		if err != nil {
			return nil, closeAll, err
		}
		closers = append(closers, nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			return nil, closeAll, err
		}
		q, err := natsqueue.Open[item](ctx, js, k.name, append(opts, natsqueue.WithPriorities(k.priorities))...)
		if err != nil {
			return nil, closeAll, err
		}
		closers = append(closers, func() { _ = q.Close() })
		qs = append(qs, q)
	}
	return qs, closeAll, nil
}

// withQueues lets several goroutines use each of the queues, until all have ended.
func withQueues(use func(p part, k kind, q *natsqueue.Queue[item], stopped <-chan struct{}) []func() error) error {
	p, stopped, err := begin()
	if err != nil {
		return err
	}
	qs, closeAll, err := openAll(context.Background(), p.Servers)
	defer closeAll()
	if err != nil {
		return err
	}
	var goroutines []func() error
	for i, k := range kinds {
		goroutines = append(goroutines, use(p, k, qs[i], stopped)...)
	}
	errs := make([]error, len(goroutines))
	var all sync.WaitGroup
	for i, f := range goroutines {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// How long a producer may pause after an item, and how long once in a while, so
// that the queue is full at times and empty at others.
const (
	shortPause = 8 * time.Millisecond
	longPause  = 400 * time.Millisecond
)

// produce puts items in each of the ways that there are, until it is stopped.
func produce() error {
	return withQueues(func(p part, k kind, q *natsqueue.Queue[item], stopped <-chan struct{}) []func() error {
		ctx, tell := context.Background(), k.tell
		var number atomic.Int64
		priority := func() natsqueue.PutOption { return natsqueue.PutPriority(rand.IntN(k.priorities)) }
		putting := func(by string, most int, put func([]item) error) func() error {
			return func() error {
				for {
					pause := rand.N(shortPause)
					if rand.IntN(60) == 0 {
						pause = rand.N(longPause)
					}
					select {
					case <-stopped:
						return nil
					case <-time.After(pause):
					}
					var items []item
					for range 1 + rand.IntN(most) {
						items = append(items, item{p.Producer, by, int(number.Add(1))})
					}
					tell(beginEvent, items...)
					if err := put(items); err != nil {
						return err
					}
				}
			}
		}
		return []func() error{
			putting("Put", 1, func(items []item) error {
				if err := q.Put(ctx, items[0], priority()); err != nil {
					return fmt.Errorf("put: %w", err)
				}
				tell(putEvent, items...)
				return nil
			}),
			putting("TryPut", 1, func(items []item) error {
				switch err := q.TryPut(ctx, items[0], priority()); {
				case err == nil:
					tell(putEvent, items...)
				case errors.Is(err, queue.ErrFull):
					tell(refusedEvent, items...)
				default:
					return fmt.Errorf("try put: %w", err)
				}
				return nil
			}),
			putting("PutBatch", 12, func(items []item) error {
				n, err := q.PutBatch(ctx, items, priority())
				tell(putEvent, items[:n]...)
				if err != nil {
					return fmt.Errorf("put a batch: %w", err)
				}
				return nil
			}),
		}
	})
}

// work receives items in each of the ways that there are, until the queues are shut
// down and empty.
func work() error {
	const most = 3 * time.Millisecond // that the work for an item takes
	return withQueues(func(_ part, k kind, q *natsqueue.Queue[item], _ <-chan struct{}) []func() error {
		ctx := context.Background()
		did := func(items ...item) {
			time.Sleep(rand.N(most))
			k.tell(workedEvent, items...)
		}
		loopEnd := func() error {
			if err := q.Err(); !errors.Is(err, queue.ErrShutdown) {
				return fmt.Errorf("a loop ended: %w", err)
			}
			return nil
		}
		return []func() error{
			func() error {
				for it := range q.Tasks(ctx) {
					did(it)
				}
				return loopEnd()
			},
			func() error {
				for items := range q.Batches(ctx, 5, 5*time.Millisecond) {
					did(items...)
				}
				return loopEnd()
			},
			func() error {
				return q.Handle(ctx, 1, func(_ context.Context, it item) error {
					did(it)
					return nil
				})
			},
			func() error {
				for {
					task, err := q.Get(ctx)
					if errors.Is(err, queue.ErrShutdown) {
						return nil
					}
					if err != nil {
						return fmt.Errorf("get: %w", err)
					}
					did(task.Item)
					if err := task.Done(ctx); err != nil && !errors.Is(err, natsqueue.ErrUnconfirmed) {
						return fmt.Errorf("done: %w", err)
					}
				}
			},
		}
	})
}
