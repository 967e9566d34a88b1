package main

import (
	"context"
	"strings"
	"time"

	"github.com/boundq/queue"
)

// A transport moves ints from producers to consumers. Put and get block, and end
// early only if the context is done and the peer takes one.
//
// Each peer, the queue included, is called through an adapter of this kind, so
// that all pay the same for the interface.
type transport interface {
	put(ctx context.Context, item int) error
	get(ctx context.Context) (int, error)
}

// A trier moves items without blocking, and reports whether it did.
type trier interface {
	tryPut(item int) bool
	tryGet() (item int, ok bool)
}

// A batcher moves several items in one call; getBatch returns how many.
type batcher interface {
	putBatch(ctx context.Context, items []int) error
	getBatch(ctx context.Context, dst []int) (int, error)
}

// A dropper puts without blocking, at the cost of the oldest item.
type dropper interface {
	transport
	forcePut(item int)
}

// A tracker knows when all items have been processed, not just taken.
type tracker interface {
	transport
	finisher
	taskDone()
	join(ctx context.Context) error
	tasks(ctx context.Context, body func(int)) // until finish, or ctx is done
}

// A requeuer takes items from the workers that it gives items to, and does not
// block them.
type requeuer interface {
	tracker
	requeue(item int)
}

// A collector calls body with batches of up to size items, until finish was
// called and it is empty, or ctx is done. An unfinished batch is no older than
// linger.
type collector interface {
	transport
	finisher
	batches(ctx context.Context, size int, linger time.Duration, body func(batch []int))
}

// A selecter receives in a select: receive returns how many items came, none if
// it was tick's turn.
type selecter interface {
	transport
	receive(ctx context.Context, tick <-chan time.Time, dst []int) (n int, err error)
}

// A finisher is told, once, that no more items come.
type finisher interface{ finish() }

// A closer has goroutines that end when it is closed.
type closer interface{ close() }

// A peer is something that programs use as a queue, and what it can do. It
// cannot do what it has no constructor for.
type peer struct {
	name   string
	module string // path of the module it comes from; none for the standard library
	note   string // how it differs from the queue, besides what follows from the other fields

	minCapacity int  // the smallest capacity it can have; 0: it can't be bounded
	unbounded   bool // it can be unbounded: capacity 0
	python      bool // only the note says what it can do
	spins       bool // it blocks by polling, and uses up a processor
	lingers     bool // it collects batches only with linger > 0

	plain       func(capacity int) transport // for a context that is never done
	cancellable func(capacity int) transport // for one that may be
	lifo        func() transport
	priority    func() transport
	dropping    func(capacity int) dropper
	tracking    func(capacity int) tracker
	batching    func(capacity int) transport // a collector, if it has the methods
}

// subject is the name of the queue, the side that all others are compared with.
const subject = "queue"

// The sides of cells that compare the queue with itself, or the queues of package
// keyed with it and with a map.
const (
	getBatch   = "GetBatch"
	getAndPut  = "TryGet+TryPut"
	fourAside  = "queue, 4:4"
	queueAside = "Queue, no keys"
	mapAside   = "map+mutex"
)

// peers lists what is compared, the queue first.
var peers = []peer{
	ourPeer(subject),
	{
		name: "chan", note: "a send after close panics",
		minCapacity: 1,
		plain:       func(capacity int) transport { return plainChan(make(chan int, capacity)) },
		dropping:    func(capacity int) dropper { return plainChan(make(chan int, capacity)) },
	},
	{
		name: "chan+select", note: "a send after close panics",
		minCapacity: 1,
		cancellable: func(capacity int) transport { return selectChan(make(chan int, capacity)) },
	},
	{
		name: "chan+select+WaitGroup", note: "Wait takes no context; a send after close panics",
		minCapacity: 1,
		tracking:    func(capacity int) tracker { return &trackedChan{c: make(chan int, capacity)} },
	},
	{
		name: "chan+select+Timer", note: "a send after close panics",
		minCapacity: 1,
		batching:    func(capacity int) transport { return timedChan{make(selectChan, capacity)} },
	},
	{
		name: "lo.BufferWithTimeout", module: "github.com/samber/lo",
		note:        "collects from a channel; the timeout begins with the call, not with the first item; no context; allocates each batch and a context",
		minCapacity: 1, lingers: true,
		batching: func(capacity int) transport { return bufferedChan{make(selectChan, capacity)} },
	},
	{
		name: "rill.Batch", module: "github.com/destel/rill",
		note:        "collects from a channel of items with errors; runs goroutines; no context; allocates each batch",
		minCapacity: 1, lingers: true,
		batching: func(capacity int) transport { return newRillChan(capacity) },
	},
	{
		name: "slice+Cond", note: "no shutdown; not a ring buffer, like most hand-written ones: `append` reallocates",
		minCapacity: 1, unbounded: true,
		plain: func(capacity int) transport { return newCondSlice(capacity) },
		lifo:  func() transport { return newLockedStack() },
	},
	{
		name: "deque+mutex", module: "github.com/gammazero/deque", note: "no shutdown",
		minCapacity: 1, unbounded: true, spins: true,
		plain:    func(capacity int) transport { return &lockedDeque{capacity: capacity} },
		lifo:     func() transport { return &lockedDeque{lifo: true} },
		dropping: func(capacity int) dropper { return &lockedDeque{capacity: capacity} },
	},
	{
		name: "heap+mutex", note: "no shutdown; equal items leave in any order",
		unbounded: true, spins: true,
		priority: func() transport { return &lockedHeap{} },
	},
	{
		name: "heap+mutex, stable", note: "no shutdown",
		unbounded: true, spins: true,
		priority: func() transport { return &stableHeap{} },
	},
	{
		name: "workqueue", module: "k8s.io/client-go", note: "joins only by shutting down; an item equal to a queued one is dropped",
		unbounded: true,
		plain:     func(int) transport { return newWorkqueue() },
	},
	{
		name: "Workiva Queue", module: "github.com/Workiva/go-datastructures", note: "items are interface values",
		unbounded: true,
		plain:     func(int) transport { return newWorkivaQueue() },
	},
	{
		name: "Workiva RingBuffer", module: "github.com/Workiva/go-datastructures",
		note:        "the capacity is rounded up to a power of two, and one of 1 overwrites items; items are interface values",
		minCapacity: 2, spins: true,
		plain: func(capacity int) transport { return newWorkivaRing(capacity) },
	},
	{
		name: "Workiva PriorityQueue", module: "github.com/Workiva/go-datastructures",
		note:      "equal items leave in any order",
		unbounded: true,
		priority:  func() transport { return newWorkivaPriority() },
	},
	{
		name: "controller-runtime", module: "sigs.k8s.io/controller-runtime",
		note:      "runs goroutines; an item equal to a queued one is merged with it",
		unbounded: true,
		priority:  func() transport { return newController() },
	},
	{
		name: "xsync MPMCQueue", module: "github.com/puzpuzpuz/xsync/v4",
		note:        "no shutdown; the capacity is rounded up to a power of two",
		minCapacity: 1, spins: true,
		plain: func(capacity int) transport { return newXsync(capacity) },
	},
	{
		name: "chanqueue", module: "github.com/gammazero/chanqueue",
		note:        "runs a goroutine; a send after close panics",
		minCapacity: 1, unbounded: true,
		plain:       func(capacity int) transport { return newChanQueue(capacity) },
		cancellable: func(capacity int) transport { return newChanQueue(capacity) },
		dropping:    func(capacity int) dropper { return newChanRing(capacity) },
	},
	{
		name: "chanx", module: "github.com/smallnest/chanx",
		note:        "runs a goroutine; a send after close panics",
		unbounded:   true,
		plain:       func(int) transport { return newChanx() },
		cancellable: func(int) transport { return newChanx() },
	},
}

// lacks returns what the queue does that the peer does not.
func (p peer) lacks() string {
	var lacks []string
	if p.python {
		return p.note
	}
	if p.cancellable == nil && p.tracking == nil && p.batching == nil {
		lacks = append(lacks, "no context")
	}
	if p.tracking == nil {
		lacks = append(lacks, "no join")
	}
	if p.minCapacity == 0 {
		lacks = append(lacks, "unbounded only")
	}
	if !p.unbounded {
		lacks = append(lacks, "bounded only")
	}
	if p.spins {
		lacks = append(lacks, "busy-waits")
	}
	if p.note != "" {
		lacks = append(lacks, p.note)
	}
	return strings.Join(lacks, "; ")
}

// holds reports whether the peer can have this capacity; 0 is unbounded.
func (p peer) holds(capacity int) bool {
	if capacity == queue.Unbounded {
		return p.unbounded
	}
	return p.minCapacity > 0 && p.minCapacity <= capacity
}
