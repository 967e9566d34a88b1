package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
// event, item and time in nanoseconds. The time lets the lines of
// several processes be compared: they are on one machine.
const (
	beginEvent   = "begin"   // it is about to be put
	putEvent     = "put"     // it is in the queue
	refusedEvent = "refused" // it is not
	workedEvent  = "worked"  // it was received, and is about to be marked done
)

func tell(event string, items ...item) {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintln(&b, event, it, time.Now().UnixNano())
	}
	fmt.Print(b.String())
}

// connect opens the queue. The connection pings so seldom that only package
// natsqueue can notice a half-open one.
func connect(ctx context.Context, servers, name string, opts ...natsqueue.Option) (*natsqueue.Queue[item], *nats.Conn, error) {
	nc, err := nats.Connect(servers, nats.Timeout(2*time.Second), nats.PingInterval(time.Hour), nats.RetryOnFailedConnect(true), nats.IgnoreDiscoveredServers(),
		nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // else it prints that a connection was cut
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	q, err := natsqueue.Open[item](ctx, js, name, opts...)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return q, nc, nil
}

// withQueue lets several goroutines use the queue, until all have ended.
func withQueue(use func(p part, q *natsqueue.Queue[item], stopped <-chan struct{}) []func() error) error {
	p, stopped, err := begin()
	if err != nil {
		return err
	}
	q, nc, err := connect(context.Background(), p.Servers, p.Queue)
	if err != nil {
		return err
	}
	defer nc.Close()
	goroutines := use(p, q, stopped)
	errs := make([]error, len(goroutines))
	var all sync.WaitGroup
	for i, f := range goroutines {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	return errors.Join(append(errs, q.Close())...)
}

// How long a producer may pause after an item, and how long once in a while, so
// that the queue is full at times and empty at others.
const (
	shortPause = 4 * time.Millisecond
	longPause  = 400 * time.Millisecond
)

// produce puts items in each of the ways that there are, until it is stopped.
func produce() error {
	return withQueue(func(p part, q *natsqueue.Queue[item], stopped <-chan struct{}) []func() error {
		ctx := context.Background()
		var number atomic.Int64
		priority := func() natsqueue.PutOption { return natsqueue.PutPriority(rand.IntN(p.Priorities)) }
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

// work receives items in each of the ways that there are, until the queue is shut
// down and empty.
func work() error {
	const most = 3 * time.Millisecond // that the work for an item takes
	return withQueue(func(_ part, q *natsqueue.Queue[item], _ <-chan struct{}) []func() error {
		ctx := context.Background()
		did := func(items ...item) {
			time.Sleep(rand.N(most))
			tell(workedEvent, items...)
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
