package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/boundq/queue"
)

// A transport moves ints from those who put to those who get. Put and get wait,
// and end early only if the context is done and the peer can heed it.
//
// Each peer, the queue included, stands behind one adapter of this kind, so
// that all pay the same for being called through an interface.
type transport interface {
	put(ctx context.Context, item int) error
	get(ctx context.Context) (int, error)
}

// A trier moves items without waiting, and reports whether it did.
type trier interface {
	tryPut(item int) bool
	tryGet() (item int, ok bool)
}

// A batcher moves several items in one call; getBatch returns how many.
type batcher interface {
	putBatch(ctx context.Context, items []int) error
	getBatch(ctx context.Context, dst []int) (int, error)
}

// A dropper puts without waiting, at the cost of the oldest item.
type dropper interface {
	transport
	forcePut(item int)
}

// A tracker knows when all items are done, and not just taken.
type tracker interface {
	transport
	taskDone()
	join(ctx context.Context) error
	tasks(ctx context.Context, body func(int)) // until close, or ctx is done
	close()
}

// A closer runs goroutines that end when it is closed and empty.
type closer interface{ close() }

// A peer is something that programs use as a queue, and what it can do. A nil
// constructor says that it can't.
type peer struct {
	name   string
	module string // path of the module it comes from; none for the standard library
	note   string // what its constructors do not say, and the queue does otherwise

	minCapacity int  // the smallest bound it can have; 0: it can't be bounded
	unbounded   bool // it can be without a bound: capacity 0
	python      bool // only the note says what it can do
	spins       bool // waiting is polling: it uses up a processor

	plain       func(capacity int) transport // for a context that never ends
	cancellable func(capacity int) transport // for one that may
	lifo        func() transport
	priority    func() transport
	dropping    func(capacity int) dropper
	tracking    func(capacity int) tracker
}

// subject is the name of the queue, the side that all others are compared with.
const subject = "queue"

// peers lists what is compared, the queue first.
var peers = []peer{
	{
		name: subject, module: "github.com/boundq/queue",
		minCapacity: 1, unbounded: true,
		plain:       func(capacity int) transport { return ours{queue.New[int](capacity)} },
		cancellable: func(capacity int) transport { return ours{queue.New[int](capacity)} },
		lifo:        func() transport { return ours{queue.NewLIFO[int](queue.Unbounded)} },
		priority:    func() transport { return ours{queue.NewPriority(queue.Unbounded, cmp.Compare[int])} },
		dropping:    func(capacity int) dropper { return ours{queue.New[int](capacity)} },
		tracking:    func(capacity int) tracker { return ours{queue.New[int](capacity)} },
	},
	{
		name: "chan", note: "a send after the close panics",
		minCapacity: 1,
		plain:       func(capacity int) transport { return plainChan(make(chan int, capacity)) },
		dropping:    func(capacity int) dropper { return plainChan(make(chan int, capacity)) },
	},
	{
		name: "chan+select", note: "a send after the close panics",
		minCapacity: 1,
		cancellable: func(capacity int) transport { return selectChan(make(chan int, capacity)) },
	},
	{
		name: "chan+select+WaitGroup", note: "Wait heeds no context; a send after the close panics",
		minCapacity: 1,
		tracking:    func(capacity int) tracker { return &trackedChan{c: make(chan int, capacity)} },
	},
	{
		name: "slice+Cond", note: "no shutdown; as written by hand, no ring: `append` allocates anew",
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
		name: "workqueue", module: "k8s.io/client-go", note: "waits for what is unfinished only by shutting down; an item equal to one that waits is not added",
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
		note:        "the bound is rounded up to a power of two, and one of 1 overwrites items; items are interface values",
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
		name: "xsync MPMCQueue", module: "github.com/puzpuzpuz/xsync/v4",
		note:        "no shutdown; the bound is rounded up to a power of two",
		minCapacity: 1, spins: true,
		plain: func(capacity int) transport { return newXsync(capacity) },
	},
	{
		name: "eapache channels", module: "github.com/eapache/channels",
		note:        "runs a goroutine; items are interface values; a send after the close panics",
		minCapacity: 1, unbounded: true,
		plain:       func(capacity int) transport { return newEapache(capacity) },
		cancellable: func(capacity int) transport { return newEapache(capacity) },
		dropping:    func(capacity int) dropper { return newEapacheRing(capacity) },
	},
	{
		name: "chanx", module: "github.com/smallnest/chanx",
		note:        "runs a goroutine; a send after the close panics",
		unbounded:   true,
		plain:       func(int) transport { return newChanx() },
		cancellable: func(int) transport { return newChanx() },
	},
}

// lacks returns what the peer does not do that the queue does.
func (p peer) lacks() string {
	var lacks []string
	if p.python {
		return p.note
	}
	if p.cancellable == nil && p.tracking == nil {
		lacks = append(lacks, "no context")
	}
	if p.tracking == nil {
		lacks = append(lacks, "no join")
	}
	if p.minCapacity == 0 {
		lacks = append(lacks, "no bound")
	}
	if !p.unbounded {
		lacks = append(lacks, "never without a bound")
	}
	if p.spins {
		lacks = append(lacks, "spins: waiting is trying again")
	}
	if p.note != "" {
		lacks = append(lacks, p.note)
	}
	return strings.Join(lacks, "; ")
}

// holds reports whether the peer can be bounded by capacity; 0 is no bound.
func (p peer) holds(capacity int) bool {
	if capacity == queue.Unbounded {
		return p.unbounded
	}
	return p.minCapacity > 0 && p.minCapacity <= capacity
}

// ours is the queue.
type ours struct{ q *queue.Queue[int] }

func (o ours) put(ctx context.Context, item int) error { return o.q.Put(ctx, item) }
func (o ours) get(ctx context.Context) (int, error)    { return o.q.Get(ctx) }

func (o ours) tryPut(item int) bool { return o.q.TryPut(item) == nil }

func (o ours) tryGet() (int, bool) {
	item, err := o.q.TryGet()
	return item, err == nil
}

func (o ours) putBatch(ctx context.Context, items []int) error {
	_, err := o.q.PutBatch(ctx, items)
	return err
}

func (o ours) getBatch(ctx context.Context, dst []int) (int, error) { return o.q.GetBatch(ctx, dst) }

func (o ours) forcePut(item int) { _, _, _ = o.q.ForcePut(item) }

func (o ours) taskDone()                      { _ = o.q.TaskDone() }
func (o ours) join(ctx context.Context) error { return o.q.Join(ctx) }

func (o ours) tasks(ctx context.Context, body func(int)) {
	for item := range o.q.Tasks(ctx) {
		body(item)
	}
}

func (o ours) close() { o.q.Shutdown(false) }
