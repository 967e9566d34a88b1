package main

import (
	"cmp"
	"context"
	"runtime"
	"sync/atomic"

	workiva "github.com/Workiva/go-datastructures/queue"
	"github.com/puzpuzpuz/xsync/v4"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// kubernetes is the queue of Kubernetes' controllers. An item that was received
// must be marked done, or it is never given out again.
type kubernetes struct{ q *workqueue.Typed[int] }

func newWorkqueue() transport { return kubernetes{workqueue.NewTyped[int]()} }

func (k kubernetes) put(_ context.Context, item int) error {
	k.q.Add(item)
	return nil
}

func (k kubernetes) get(context.Context) (int, error) {
	item, _ := k.q.Get()
	k.q.Done(item)
	return item, nil
}

func (k kubernetes) close() { k.q.ShutDown() }

type workivaQueue struct{ q *workiva.Queue }

func newWorkivaQueue() transport { return workivaQueue{workiva.New(0)} }

func (w workivaQueue) put(_ context.Context, item int) error { return w.q.Put(item) }

func (w workivaQueue) get(context.Context) (int, error) {
	items, err := w.q.Get(1)
	if err != nil {
		return 0, err
	}
	return items[0].(int), nil
}

func (w workivaQueue) putBatch(_ context.Context, items []int) error {
	boxed := make([]any, len(items))
	for i, item := range items {
		boxed[i] = item
	}
	return w.q.Put(boxed...)
}

func (w workivaQueue) getBatch(_ context.Context, dst []int) (int, error) {
	items, err := w.q.Get(int64(len(dst)))
	for i, item := range items {
		dst[i] = item.(int)
	}
	return len(items), err
}

// workivaRing polls, and yields the processor meanwhile, by itself.
type workivaRing struct{ r *workiva.RingBuffer }

func newWorkivaRing(capacity int) transport {
	return workivaRing{workiva.NewRingBuffer(uint64(capacity))}
}

func (w workivaRing) put(_ context.Context, item int) error { return w.r.Put(item) }

func (w workivaRing) get(context.Context) (int, error) {
	item, err := w.r.Get()
	if err != nil {
		return 0, err
	}
	return item.(int), nil
}

type workivaPriority struct{ q *workiva.PriorityQueue }

func newWorkivaPriority() transport { return workivaPriority{workiva.NewPriorityQueue(0, true)} }

func (w workivaPriority) put(_ context.Context, item int) error { return w.q.Put(ranked(item)) }

func (w workivaPriority) get(context.Context) (int, error) {
	items, err := w.q.Get(1)
	if err != nil {
		return 0, err
	}
	return int(items[0].(ranked)), nil
}

type ranked int

func (r ranked) Compare(other workiva.Item) int { return cmp.Compare(r, other.(ranked)) }

// controller is the priority queue of controller-runtime. It merges equal items,
// so each has a number of its own.
type controller struct {
	q    priorityqueue.PriorityQueue[arrival]
	next *atomic.Uint64
}

func newController() transport {
	return controller{priorityqueue.New[arrival](""), new(atomic.Uint64)} // without a name it has no metrics
}

func (c controller) put(_ context.Context, item int) error {
	c.q.AddWithOpts(priorityqueue.AddOpts{Priority: new(-item)}, arrival{item, c.next.Add(1)})
	return nil
}

func (c controller) get(context.Context) (int, error) {
	taken, _ := c.q.Get()
	c.q.Done(taken)
	return taken.item, nil
}

func (c controller) close() { c.q.ShutDown() }

// xsyncQueue blocks by polling.
type xsyncQueue struct{ q *xsync.MPMCQueue[int] }

func newXsync(capacity int) transport { return xsyncQueue{xsync.NewMPMCQueue[int](capacity)} }

func (x xsyncQueue) tryPut(item int) bool { return x.q.TryEnqueue(item) }
func (x xsyncQueue) tryGet() (int, bool)  { return x.q.TryDequeue() }

func (x xsyncQueue) put(_ context.Context, item int) error {
	for !x.q.TryEnqueue(item) {
		runtime.Gosched()
	}
	return nil
}

func (x xsyncQueue) get(context.Context) (int, error) {
	for {
		if item, ok := x.q.TryDequeue(); ok {
			return item, nil
		}
		runtime.Gosched()
	}
}
