package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"golang.org/x/sync/errgroup"
)

// The loops here use the client of NATS directly, on streams that natsqueue
// created, with natsqueue's guarantees: every item has a message ID, and counts
// as put or done when the server has confirmed it.

const streamFull = 10077 // the code of the server's error

func subject(name string) string { return "natsqueue." + name + ".0" }

func publish(ctx context.Context, js jetstream.JetStream, name string) error {
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	_, err = js.Publish(ctx, subject(name), data, jetstream.WithMsgID(nuid.Next()))
	return err
}

// publishUntilRoom retries while the queue is full, at first after up to a
// millisecond, and then after up to 64 ms.
func publishUntilRoom(ctx context.Context, js jetstream.JetStream, name string) error {
	id := nuid.Next()
	data, err := json.Marshal(item)
	if err != nil {
		return err
	}
	for delay := time.Millisecond; ; delay = min(2*delay, 64*time.Millisecond) {
		_, err := js.Publish(ctx, subject(name), data, jetstream.WithMsgID(id))
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != streamFull {
			return err
		}
		select {
		case <-time.After(delay/2 + rand.N(delay/2)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publishBatch publishes n messages at a time, and waits for their confirmations
// together.
func publishBatch(ctx context.Context, js jetstream.JetStream, name string, n int) error {
	confirmations := make([]jetstream.PubAckFuture, n)
	for i := range confirmations {
		data, err := json.Marshal(item)
		if err != nil {
			return err
		}
		if confirmations[i], err = js.PublishAsync(subject(name), data, jetstream.WithMsgID(nuid.Next())); err != nil {
			return err
		}
	}
	for _, c := range confirmations {
		select {
		case <-c.Ok():
		case err := <-c.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fill stores items as fast as it goes.
func fill(ctx context.Context, js jetstream.JetStream, name string, items int) error {
	for items > 0 {
		n := min(items, 1000)
		if err := publishBatch(ctx, js, name, n); err != nil {
			return err
		}
		items -= n
	}
	return nil
}

func decode(msg jetstream.Msg) error {
	var item string
	return json.Unmarshal(msg.Data(), &item)
}

func clientSolo(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		consumer, err := d.js.Consumer(ctx, name, "workers")
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		for range items {
			if err := publish(ctx, d.js, name); err != nil {
				return 0, err
			}
			msg, err := consumer.Next()
			if err != nil {
				return 0, err
			}
			if err := errors.Join(decode(msg), msg.DoubleAck(ctx)); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	})
}

func clientPut(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		begin := time.Now()
		err := together(many, items, func() error { return publish(ctx, d.js, name) })
		return time.Since(begin), err
	})
}

func clientBatches(ctx context.Context, d *deployment, items int) (time.Duration, error) {
	return withQueue(ctx, d, plenty(items), func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
		begin := time.Now()
		for range items / batch {
			if err := publishBatch(ctx, d.js, name, batch); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	})
}

// clientTake returns a loop over messages that were fetched ahead, in workers
// goroutines, each of which has up to unconfirmed acknowledgements under way.
func clientTake(workers, unconfirmed int) measurement {
	return func(ctx context.Context, d *deployment, items int) (time.Duration, error) {
		return withQueue(ctx, d, plenty(items), func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
			if err := fill(ctx, d.js, name, items); err != nil {
				return 0, err
			}
			begin := time.Now()
			err := take(ctx, d.js, name, items, workers, unconfirmed)
			return time.Since(begin), err
		})
	}
}

// take processes so many items.
func take(ctx context.Context, js jetstream.JetStream, name string, items, workers, unconfirmed int) error {
	consumer, err := js.Consumer(ctx, name, "workers")
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(ahead*workers),
		// Now and then the iterator waits for messages that it did not ask for.
		// Let it see that after a second, not after half a minute.
		jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond),
		jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return err
	}
	defer messages.Stop()
	var left atomic.Int64
	left.Store(int64(items))
	return each(workers, func() error {
		var acks errgroup.Group
		acks.SetLimit(unconfirmed)
		for left.Add(-1) >= 0 {
			msg, err := messages.Next()
			if err != nil {
				return err
			}
			if err := decode(msg); err != nil {
				return err
			}
			if unconfirmed == 1 {
				if err := msg.DoubleAck(ctx); err != nil {
					return err
				}
				continue
			}
			acks.Go(func() error { return msg.DoubleAck(ctx) })
		}
		return acks.Wait()
	})
}

// clientByPriority receives items of several classes: it asks for one of each
// class in turn, until there is one, so that no item is overtaken by a worse one.
func clientByPriority(unconfirmed int) measurement {
	return func(ctx context.Context, d *deployment, items int) (time.Duration, error) {
		return withQueue(ctx, d, plenty(items), func(q *natsqueue.Queue[string], name string) (time.Duration, error) {
			if err := fillByPriority(ctx, q, items); err != nil {
				return 0, err
			}
			var consumers [priorities]jetstream.Consumer
			for class := range consumers {
				var err error
				if consumers[class], err = d.js.Consumer(ctx, name, fmt.Sprintf("workers-%d", class)); err != nil {
					return 0, err
				}
			}
			begin := time.Now()
			var acks errgroup.Group
			acks.SetLimit(unconfirmed)
			for range items {
				msg, err := best(consumers[:])
				if err != nil {
					return 0, err
				}
				if err := decode(msg); err != nil {
					return 0, err
				}
				acks.Go(func() error { return msg.DoubleAck(ctx) })
			}
			err := acks.Wait()
			return time.Since(begin), err
		}, natsqueue.WithPriorities(priorities))
	}
}

// best returns a message of the first consumer that has one.
func best(consumers []jetstream.Consumer) (jetstream.Msg, error) {
	for _, consumer := range consumers {
		messages, err := consumer.FetchNoWait(1)
		if err != nil {
			return nil, err
		}
		for msg := range messages.Messages() {
			return msg, nil
		}
		if err := messages.Error(); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("all classes are empty")
}

// clientThrough passes items through a full queue.
func clientThrough(unconfirmed int) measurement {
	return func(ctx context.Context, d *deployment, items int) (time.Duration, error) {
		return withQueue(ctx, d, room, func(_ *natsqueue.Queue[string], name string) (time.Duration, error) {
			var both errgroup.Group
			begin := time.Now()
			both.Go(func() error {
				return together(many, items, func() error { return publishUntilRoom(ctx, d.js, name) })
			})
			both.Go(func() error { return take(ctx, d.js, name, items, many, unconfirmed) })
			err := both.Wait()
			return time.Since(begin), err
		})
	}
}
