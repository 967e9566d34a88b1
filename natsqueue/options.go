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

// config holds the options; a field is zero if its option was not used.
type config struct {
	capacity    int
	ackWait     time.Duration
	maxInFlight int
	priorities  int
	replicas    int
	memory      bool
	codec       Codec

	maxBytes   int64
	placement  *jetstream.Placement
	duplicates time.Duration
	deadCount  int
	deadAge    time.Duration

	// Of the handle, and not of the queue.
	maxDeliveries int
	backoff       func(deliveries int) time.Duration
	prefetch      int           // -1 if the option was not used
	attemptTime   time.Duration // of one request; tests change it
}

// WithCapacity bounds the queue to n unfinished items: those that are queued and
// those in progress. Without it the queue is unbounded but for the server's limits.
// Open fails if n is zero or less.
func WithCapacity(n int) Option {
	return func(c *config) error {
		c.capacity = n
		return positive("capacity", n)
	}
}

const shortestAckWait = 100 * time.Millisecond

// WithAckWait sets how long the server waits for an acknowledgement before it
// redelivers an item; the default is 30 seconds. A loop over [Queue.Tasks] extends
// it automatically, the caller of [Queue.Get] by [Task.Extend]. With a shorter one,
// the items of a dead process are redelivered sooner, and a stalled process is
// considered dead sooner. Open fails if d is less than 100 ms, which is too short
// for keep-alives to be reliable.
func WithAckWait(d time.Duration) Option {
	return func(c *config) error {
		c.ackWait = d
		if d < shortestAckWait {
			return fmt.Errorf("the ack wait is %v and must be at least %v", d, shortestAckWait)
		}
		return nil
	}
}

// WithMaxInFlight limits the number of items in progress at the same time, over all
// processes. Items that are delayed by [Task.Retry], [PutDelay] or [WithBackoff]
// count as in progress: n of them stop the queue until a delay is over. The default
// is unlimited. Open fails if n is zero or less, or if the queue has several
// priorities: the server limits each of them separately.
func WithMaxInFlight(n int) Option {
	return func(c *config) error {
		c.maxInFlight = n
		return positive("number of items in flight", n)
	}
}

var errMaxInFlight = errors.New("the number of items in flight can't be bounded in a queue with several priorities")

// WithPriorities gives the queue n classes of priority, from 0, the most urgent, to
// n-1; [PutPriority] says to which one an item belongs. A worker gets no item while
// there is one in a more urgent class; within a class the order is first in, first
// out. The capacity bounds all classes together, and blocked calls of [Queue.Put]
// proceed in order of arrival, whatever their class: priority begins inside the
// queue.
//
// A call that receives asks the server for one class after the other, and loops
// fetch nothing ahead. [Queue.Batches] asks a class for several items at once: as
// many as can't exceed 8 MiB, which is 8 if the server's largest message is 1 MiB.
// An item that was stored an instant before may be passed over: the server
// acknowledges an item just before its consumers know of it. All idle workers are
// notified of an item, and those that come too late ask again after up to 250 ms, so
// with many of them an item may stay queued that long. Without WithPriorities there
// is one class. Open fails if n is less than 1 or more than 16.
func WithPriorities(n int) Option {
	return func(c *config) error {
		c.priorities = n
		if n < 1 || n > mostPriorities {
			return fmt.Errorf("the number of priorities is %d and must be from 1 to %d", n, mostPriorities)
		}
		return nil
	}
}

const mostPriorities = 16

// WithMaxBytes bounds the queue to n bytes of unfinished messages, as the server
// counts them: with their headers and some bytes of overhead each. Put blocks while
// there is no room for its item. Some accounts require this option. Open fails if n
// is zero or less.
func WithMaxBytes(n int64) Option {
	return func(c *config) error {
		c.maxBytes = n
		if n <= 0 {
			return fmt.Errorf("the number of bytes is %d and must be positive", n)
		}
		return nil
	}
}

// WithPlacement stores the queue, when it is created, on servers of the cluster that
// have all of the tags; an empty name means any cluster.
func WithPlacement(cluster string, tags ...string) Option {
	return func(c *config) error {
		c.placement = &jetstream.Placement{Cluster: cluster, Tags: tags}
		return nil
	}
}

// WithDuplicateWindow sets how long the server remembers the IDs of items, so that it
// stores an item once even if it is sent again; the default is 10 minutes. Put's own
// retries rely on it, and so does [PutID]. The server keeps the IDs in memory, some
// hundred bytes for each item that was put within the window. Open fails if d is
// less than a minute.
func WithDuplicateWindow(d time.Duration) Option {
	return func(c *config) error {
		c.duplicates = d
		if d < shortestWindow {
			return fmt.Errorf("the duplicate window is %v and must be at least %v", d, shortestWindow)
		}
		return nil
	}
}

const (
	shortestWindow = time.Minute // longer than it takes to notice a dead connection
	defaultWindow  = 10 * time.Minute
)

// WithDeadLetterLimit limits the number of dead letters to count and their age to
// age; zero is no limit. The oldest are removed. By default only the server's limits
// apply. Open fails if one of them is negative or both are zero.
func WithDeadLetterLimit(count int, age time.Duration) Option {
	return func(c *config) error {
		c.deadCount, c.deadAge = count, age
		if count < 0 || age < 0 || count == 0 && age == 0 {
			return fmt.Errorf("the limit of dead letters is %d and %v: neither may be negative, and one must be positive", count, age)
		}
		return nil
	}
}

// WithMaxDeliveries limits the deliveries of an item to this handle's workers: an
// item that was delivered n times, to any process, and was neither done nor rejected
// becomes a dead letter instead. Deliveries to processes that crashed count, and so
// do those that were handed back unseen ([Task.Deliveries]); therefore loops do not
// fetch ahead, unless [WithPrefetch] is used too. Give all handles the same limit.
// The default is unlimited. Open fails if n is zero or less.
func WithMaxDeliveries(n int) Option {
	return func(c *config) error {
		c.maxDeliveries = n
		return positive("number of deliveries", n)
	}
}

// WithBackoff sets the delay before an item is redelivered after its loop body
// panicked, or its function in [Queue.Handle] failed; deliveries counts the item's
// deliveries, from 1. The default is 100 ms, doubled each time, up to a minute. Open
// fails if backoff is nil.
func WithBackoff(backoff func(deliveries int) time.Duration) Option {
	return func(c *config) error {
		c.backoff = backoff
		if backoff == nil {
			return errors.New("the backoff is nil")
		}
		return nil
	}
}

// WithPrefetch sets how many items each loop of this handle may fetch ahead, and how
// many done items may be unconfirmed. 0 turns both off: a loop then holds one item
// at a time. The default is 16, or 0 if the number of deliveries or of items in
// flight is limited. After a crash, up to n done items may be redelivered, and up to
// n that were not begun have one more delivery. In a queue with several priorities
// nothing is fetched ahead, and n limits only the unconfirmed items. Open fails if n
// is negative or more than 1,000.
func WithPrefetch(n int) Option {
	return func(c *config) error {
		c.prefetch = n
		if n < 0 || n > mostPrefetch {
			return fmt.Errorf("the number of items to fetch ahead is %d and must be from 0 to %d", n, mostPrefetch)
		}
		return nil
	}
}

const mostPrefetch = 1000

// WithReplicas stores the queue on n servers of a cluster, of which more than half
// must be up: 3 survive the loss of one, 5 of two. The default is one. Open fails if
// n is zero or less, or more than the cluster allows.
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
// Without it, items are JSON, by encoding/json, which does not keep every value as
// it is: unexported fields are left out, invalid UTF-8 in strings is replaced, and
// in a field of type any numbers become float64, which is exact for integers up to
// 2^53 only. Open fails if codec is nil.
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

// backoff is the last delay.
type backoff time.Duration

// next returns the next delay: 1 ms, doubled each time, up to limit, and reduced by up
// to half at random, so that many callers don't ask in step.
func (b *backoff) next(limit time.Duration) time.Duration {
	d := min(max(2*time.Duration(*b), time.Millisecond), limit)
	*b = backoff(d)
	return d - rand.N(d/2)
}
