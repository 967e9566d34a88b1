package natsqueue

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Option sets a property of a queue; see [Open].
type Option func(*config) error

// config holds what the options ask for; a zero field was not asked for.
type config struct {
	capacity    int
	ackWait     time.Duration
	maxInFlight int
	replicas    int
	memory      bool
	codec       Codec
}

// WithCapacity bounds the queue to n items that are not done: those that wait
// and those that are being worked on. Without it there is no bound but the
// server's. Open fails if n is zero or less.
func WithCapacity(n int) Option {
	return func(c *config) error {
		c.capacity = n
		return positive("capacity", n)
	}
}

const shortestAckWait = 100 * time.Millisecond

// WithAckWait sets how long a worker may hold an item without a sign of life
// before it is given to another; 30 seconds if it is not used. A loop over
// [Queue.Tasks] gives such signs by itself, the caller of [Queue.Get] by
// [Task.Extend]. The shorter it is, the sooner the work of a dead process is
// taken up, and the sooner a stalled one is taken for dead. Open fails if d is
// less than 100 ms, in which no worker could be sure to be heard.
func WithAckWait(d time.Duration) Option {
	return func(c *config) error {
		c.ackWait = d
		if d < shortestAckWait {
			return fmt.Errorf("the time to acknowledge is %v and must be at least %v", d, shortestAckWait)
		}
		return nil
	}
}

// WithMaxInFlight bounds how many items may be worked on at the same time, by
// all processes together. Without it there is no bound. Open fails if n is zero
// or less.
func WithMaxInFlight(n int) Option {
	return func(c *config) error {
		c.maxInFlight = n
		return positive("number of items in flight", n)
	}
}

// WithReplicas stores the queue on n servers of a cluster, of which more than
// half must be up: 3 survive the loss of one, 5 of two. Without it there is one.
// Open fails if n is zero or less, or more than the cluster allows.
func WithReplicas(n int) Option {
	return func(c *config) error {
		c.replicas = n
		return positive("number of replicas", n)
	}
}

// WithMemoryStorage keeps the queue in the memory of its servers, not in files.
// It is lost when they stop.
func WithMemoryStorage() Option {
	return func(c *config) error {
		c.memory = true
		return nil
	}
}

// WithCodec sets how items are encoded; all handles on a queue must agree on it.
// Without it, items are JSON, by encoding/json. Open fails if codec is nil.
func WithCodec(codec Codec) Option {
	return func(c *config) error {
		c.codec = codec
		if codec == nil {
			return errors.New("the codec is nil")
		}
		return nil
	}
}

// Codec turns items into messages and back. Its methods are called by many
// goroutines at the same time.
type Codec interface {
	Marshal(item any) ([]byte, error)
	Unmarshal(data []byte, item any) error // item is a pointer
}

type jsonCodec struct{}

func (jsonCodec) Marshal(item any) ([]byte, error)      { return json.Marshal(item) }
func (jsonCodec) Unmarshal(data []byte, item any) error { return json.Unmarshal(data, item) }

func positive(what string, n int) error {
	if n <= 0 {
		return fmt.Errorf("the %s is %d and must be positive", what, n)
	}
	return nil
}

func (c config) stream(name string) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:        name,
		Description: "A queue of package natsqueue",
		Subjects:    []string{subjectRoot + name},
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		MaxMsgs:     -1,
		Replicas:    max(c.replicas, 1),
		Metadata:    map[string]string{ownerKey: "queue"},
	}
	if c.capacity > 0 {
		s.MaxMsgs = int64(c.capacity)
	}
	if c.memory {
		s.Storage = jetstream.MemoryStorage
	}
	return s
}

func (c config) deadLetters(name string, of jetstream.StreamConfig) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        name + deadSuffix,
		Description: "What was rejected from the queue " + name,
		Subjects:    []string{subjectRoot + name + deadSuffix},
		Storage:     of.Storage,
		Replicas:    of.Replicas,
		Metadata:    map[string]string{ownerKey: "dead letters"},
	}
}

// consumer returns the configuration of the consumer that all workers share.
// MaxDeliver stays unset: a message that has used up its deliveries would lie
// in the stream for ever, take a slot and hold up Join.
func (c config) consumer() jetstream.ConsumerConfig {
	s := jetstream.ConsumerConfig{
		Durable:         consumerName,
		AckPolicy:       jetstream.AckExplicitPolicy,
		AckWait:         30 * time.Second,
		MaxAckPending:   -1,
		MaxWaiting:      maxPulls,
		SampleFrequency: "100", // a Put that waits for room listens for it; costs nothing while nobody does
	}
	if c.ackWait > 0 {
		s.AckWait = c.ackWait
	}
	if c.maxInFlight > 0 {
		s.MaxAckPending = c.maxInFlight
	}
	return s
}

func (c config) matchStream(s jetstream.StreamConfig) error {
	switch {
	case s.Metadata[ownerKey] != "queue":
		return errors.New("there is a stream of this name that is not a queue")
	case c.capacity > 0 && s.MaxMsgs != int64(c.capacity):
		return differs("capacity", s.MaxMsgs, c.capacity)
	case c.replicas > 0 && s.Replicas != c.replicas:
		return differs("number of replicas", s.Replicas, c.replicas)
	case c.memory && s.Storage != jetstream.MemoryStorage:
		return differs("storage", s.Storage, jetstream.MemoryStorage)
	}
	return nil
}

func (c config) matchConsumer(s jetstream.ConsumerConfig) error {
	switch {
	case c.ackWait > 0 && s.AckWait != c.ackWait:
		return differs("time to acknowledge", s.AckWait, c.ackWait)
	case c.maxInFlight > 0 && s.MaxAckPending != c.maxInFlight:
		return differs("number of items in flight", int64(s.MaxAckPending), c.maxInFlight)
	}
	return nil
}

func differs(what string, is, asked any) error {
	if n, ok := is.(int64); ok && n < 0 {
		return fmt.Errorf("the queue exists, and its %s has no bound, and %v was asked for", what, asked)
	}
	return fmt.Errorf("the queue exists, and its %s is %v, not %v", what, is, asked)
}

// backoff is the time that was waited last.
type backoff time.Duration

// next returns how long to wait now: from 1 ms, twice as long each time, up to
// limit, and less by up to half at random, so that those who wait don't ask in
// step.
func (b *backoff) next(limit time.Duration) time.Duration {
	d := min(max(2*time.Duration(*b), time.Millisecond), limit)
	*b = backoff(d)
	return d - rand.N(d/2)
}
