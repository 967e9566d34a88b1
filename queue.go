// Package queue provides a bounded queue between producers and consumers that
// knows when all work is done: what Python's asyncio.Queue, PriorityQueue and
// LifoQueue are, for goroutines.
//
// There is one type, [Queue], and three constructors that choose the order in
// which items leave: [New] (first in, first out), [NewLIFO] (last in, first
// out) and [NewPriority] (lowest first). Everything else is the same for all.
//
//   - Backpressure: [Queue.Put] waits while the queue is full, [Queue.Get] while
//     it is empty, both until a context ends. [Queue.TryPut] and [Queue.TryGet]
//     do not wait; [Queue.ForcePut] drops an item instead.
//   - Completion: [Queue.TaskDone] marks an item done, [Queue.Join] waits until
//     all are. A worker that ranges over [Queue.Tasks] need not call TaskDone.
//   - Shutdown: [Queue.Shutdown] stops the producers and lets the consumers
//     finish, or hands back what waits. Nobody panics, however late they put.
//   - Figures: [Queue.Stats] is one consistent snapshot, for dashboards and
//     alerts.
//
// # When a channel is enough
//
// A channel needs no import, can be used in a select together with others, and
// everybody knows it. If items leave in the order in which they came, a single
// producer closes it, and nobody asks how many wait or whether all are done,
// use a channel. Use a Queue when several producers may be cut off at any time
// (sending on a closed channel panics), when items have priorities or the
// newest are worth more than the oldest, when somebody must know that all work
// is done and not just begun, when the bound must change while running, or when
// sends and receives carry a context anyway: a Queue then costs less than the
// select.
//
// # Which calls wait, and how they end
//
// Put, PutBatch, Get, GetBatch, Join and the loop over Tasks wait; all others
// return at once. A call that waits ends when it is served, when its context
// ends, or, Join apart, when the queue is shut down; whichever comes first
// counts. A context that is done before the call wins over everything but an
// empty batch.
//
// A nil error means that the item moved, any other that nothing did
// ([Queue.PutBatch] apart, which says how many went in): an item is never lost
// between a Put and a Get whose context ends. A call that was served keeps what
// it was given even if its context ends before it runs again. (There asyncio
// differs: it cancels the call and puts the wake-up through to another.)
//
// # Fairness
//
// Calls that wait are served first come, first served, whatever the order of
// the items; no newcomer overtakes one, because items and free slots are handed
// over, not left for whoever comes first. ForcePut alone passes by parked Puts:
// it takes no slot from them.
//
// # Memory model
//
// In the terminology of the Go memory model, a Put synchronizes before the
// return of the Get that returns its item, and the TaskDone that takes the
// count of unfinished items to zero synchronizes before the return of each Join
// that it releases. The same holds for the other methods that put, get and mark
// done.
//
// # Cost
//
// A queue starts no goroutine and no timer, and does not poll. Memory is
// allocated as items come, not for the capacity; calls that wait do not
// allocate in the steady state, as long as no more than about a thousand wait at
// a time, or fewer if items are large: as many as take up 256 KiB. An unbounded
// FIFO or LIFO queue grows without copying what waits; a priority queue's array
// grows as a slice does, and adding or taking an item takes O(log n)
// comparisons. Drained, an unbounded queue gives the memory of a burst back; a
// bounded one keeps what its capacity needs, for 65,536 items at the most, so
// that filling it again does not allocate; [Queue.Resize] has it give that back.
// Everything else is O(1) an item.
//
// # Tests
//
// A queue works in a bubble of testing/synctest that it was made in: calls that
// wait are durably blocked.
package queue

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/boundq/queue/internal/deque"
	"github.com/boundq/queue/internal/heap"
)

// Unbounded, given as a capacity, lets a queue grow without bound.
const Unbounded = 0

// maxKeep bounds how many items' worth of memory a drained queue keeps for the
// next time it fills. A bounded queue keeps what its capacity needs, so that it
// does not allocate as it fills and drains; a capacity beyond this one rather
// means "no bound to speak of".
const maxKeep = 1 << 16

// A Queue is a queue of items of type T from any number of producers to any
// number of consumers. [New], [NewLIFO] and [NewPriority] make one; they differ
// only in the order in which items leave. The zero value is an unbounded FIFO
// queue, ready to use.
//
// All methods are safe for concurrent use, and so is a call of any of them at
// any time: before, during and after [Queue.Shutdown]. A Queue must not be
// copied after first use.
type Queue[T any] struct {
	// Invariants, whenever mu is not held:
	//
	//	0 <= len, 0 <= capacity, len <= maxLen
	//	len == number of items in buf, or in heap if there is one
	//	full == capacity > 0 && len >= capacity
	//	getters.len > 0  =>  len == 0 && !shutdown      (inv_getters: no item is kept from a parked Get)
	//	putters.len > 0  =>  full && !shutdown          (inv_putters: no slot is kept from a parked Put)
	//	joiners.len > 0  =>  unfinished > 0             (inv_joiners)
	//	served == nil, servedLast == nil                (inv_served)
	//	got == put - dropped - len, and got >= 0
	//	0 <= unfinished, put - done - dropped <= unfinished <= put    (inv_unfinished)
	//
	// An item that leaves the queue as another comes in does so in one critical
	// section, and so do items and slots that are handed to parked calls: the
	// invariants leave no state in which a newcomer could find an item or a
	// slot while somebody is parked for it.
	//
	// The last line is an equality as long as TaskDone comes after the Get.
	// TaskDone for an item that still waits and is then dropped is not counted
	// against another item.
	//
	// The names in parentheses are those under which verification/model/parked.pml
	// checks the same in every interleaving of a few calls. It also checks what
	// callers are promised on the strength of them: transfer, once, first_come,
	// at_zero, one_signal, quiescent and released.

	mu       sync.Mutex // guards all that follows but returned; released by q.unlock
	shutdown bool
	lifo     bool
	capacity int

	// The items. buf holds those of a FIFO or LIFO queue, the oldest in front.
	// Concrete types and a count beside them, because a call through an
	// interface for each push and pop costs a tenth of the whole.
	len  int
	buf  deque.Deque[T]
	heap *heap.Heap[T] // of a priority queue; nil otherwise

	unfinished             int64 // may be more than an int of 32 bits holds
	maxLen                 int
	put, done              uint64
	dropped, rejected      uint64
	putBlocked, getBlocked uint64

	putters, getters, joiners line[T]
	served, servedLast        *waiter[T] // linked by next; unlock will wake them

	spare    *waiter[T]                // linked by next, to be used again
	returned atomic.Pointer[waiter[T]] // the same, where callers leave them without locking
	reusable int                       // waiters that were made to be used again
}

// New returns a FIFO queue: items leave in the order in which they came. At
// most capacity items wait in it at a time; capacity <= 0 is no bound. Memory
// is allocated as items come, not for the capacity.
func New[T any](capacity int) *Queue[T] {
	q := new(Queue[T])
	q.setCapacity(capacity)
	return q
}

// setCapacity sets the bound and with it how much memory a drained queue keeps.
func (q *Queue[T]) setCapacity(capacity int) {
	q.capacity = max(capacity, Unbounded)
	keep := min(q.capacity, maxKeep)
	q.buf.SetKeep(keep)
	if q.heap != nil {
		q.heap.SetKeep(keep)
	}
}

// Put adds an item. If the queue is full, it waits for a free slot, behind the
// calls that wait already.
//
// It returns nil if the item went in, and otherwise leaves the queue as it was:
// with ctx.Err() if ctx is done, even if there is room or the queue is shut
// down; with [ErrShutdown] if the queue is or becomes shut down. If ctx ends
// just as a slot is handed to the parked call, the item is in and Put returns
// nil.
//
// The complexity is O(1), for a priority queue O(log n), where n = q.Len().
func (q *Queue[T]) Put(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !q.mu.TryLock() {
		lockContended(&q.mu)
	}
	if q.shutdown {
		q.unlock()
		return ErrShutdown
	}
	if !q.full() {
		q.add(item)
		return nil
	}
	q.putBlocked++
	w := q.newWaiter(&q.putters)
	w.one[0] = item
	q.mu.Unlock()
	if done := ctx.Done(); done == nil { // as await does, but see there
		<-w.ready
	} else {
		q.awaitOrLeave(ctx, done, &q.putters, w)
	}
	_, _, err := q.collect(w)
	return err
}

// TryPut adds an item if there is room, without waiting. It returns
// [ErrShutdown] if the queue is shut down and [ErrFull] if it is full.
//
// The complexity is that of [Queue.Put].
func (q *Queue[T]) TryPut(item T) error {
	if !q.mu.TryLock() {
		lockContended(&q.mu)
	}
	if q.shutdown {
		q.unlock()
		return ErrShutdown
	}
	if q.full() {
		q.rejected++
		q.unlock()
		return ErrFull
	}
	q.add(item)
	return nil
}

// ForcePut adds an item without waiting, and without being refused for want of
// room. If the queue is full, one item leaves to make room, is returned as
// evicted, and ok is true: from a FIFO or LIFO queue the oldest, from a priority
// queue the one that [Queue.Get] would return last, which may be the new one.
// An unbounded queue never evicts.
//
// The evicted item counts as dropped and is no longer unfinished; as the new
// one is, the number of unfinished items stays as it was and no [Queue.Join]
// returns. Calls of [Queue.Put] that wait for room are passed over.
//
// It returns [ErrShutdown] if the queue is shut down. The complexity is that of
// [Queue.Put]. The first eviction from a priority queue takes O(n), where
// n = q.Len(), and its items are dearer to get from then on.
func (q *Queue[T]) ForcePut(item T) (evicted T, ok bool, err error) {
	q.lock()
	if q.shutdown {
		q.unlock()
		return evicted, false, ErrShutdown
	}
	if !q.full() {
		q.add(item)
		return evicted, false, nil
	}
	evicted = q.exchange(item)
	q.put++
	q.dropped++
	q.unlock()
	return evicted, true, nil
}

// Get takes out an item: the oldest of a FIFO queue, the newest of a LIFO
// queue, the first of a priority queue. If there is none, it waits for one,
// behind the calls that wait already.
//
// It returns a nil error with the item, and otherwise leaves the queue as it
// was: with ctx.Err() if ctx is done, even if there are items or the queue is
// shut down; with [ErrShutdown] if the queue is or becomes shut down and no
// item is left. If ctx ends just as an item is handed to the parked call, Get
// returns the item.
//
// Call [Queue.TaskDone] when the item has been worked on, if anybody calls
// [Queue.Join].
//
// The complexity is O(1), for a priority queue O(log n), where n = q.Len().
func (q *Queue[T]) Get(ctx context.Context) (T, error) { return q.get(ctx, false) }

// get marks an item done if one was worked on, and gets another, in one
// critical section.
func (q *Queue[T]) get(ctx context.Context, worked bool) (item T, err error) {
	if err := ctx.Err(); err != nil {
		if worked {
			_ = q.TaskDone()
		}
		return item, err
	}
	if !q.mu.TryLock() {
		lockContended(&q.mu)
	}
	if worked && q.unfinished > 0 {
		q.markDone(1)
	}
	if q.len > 0 {
		return q.take(), nil
	}
	if q.shutdown {
		q.unlock()
		return item, ErrShutdown
	}
	q.getBlocked++
	w := q.newWaiter(&q.getters)
	q.unlock()
	if done := ctx.Done(); done == nil { // as await does, but see there
		<-w.ready
	} else {
		q.awaitOrLeave(ctx, done, &q.getters, w)
	}
	item, _, err = q.collect(w)
	return item, err
}

// TryGet takes out an item as [Queue.Get] does, without waiting. If there is
// none, it returns [ErrShutdown] if the queue is shut down and [ErrEmpty] if it
// is not.
//
// The complexity is that of [Queue.Get].
func (q *Queue[T]) TryGet() (T, error) {
	if !q.mu.TryLock() {
		lockContended(&q.mu)
	}
	if q.len > 0 {
		return q.take(), nil
	}
	var zero T
	return zero, q.unlockEmpty()
}

// Peek returns the item that [Queue.Get] would return now, and leaves it in the
// queue. If there is none, it returns [ErrShutdown] if the queue is shut down
// and [ErrEmpty] if it is not. By the time that the caller looks at the item,
// another may have taken it.
func (q *Queue[T]) Peek() (item T, err error) {
	q.lock()
	if q.len == 0 {
		return item, q.unlockEmpty()
	}
	switch {
	case q.heap != nil:
		item = q.heap.Peek()
	case q.lifo:
		item = q.buf.Back()
	default:
		item = q.buf.Front()
	}
	q.unlock()
	return item, nil
}

// unlockEmpty unlocks mu and returns why a queue without items gives none.
func (q *Queue[T]) unlockEmpty() error {
	err := ErrEmpty
	if q.shutdown {
		err = ErrShutdown
	}
	q.unlock()
	return err
}

// Resize sets the capacity anew; capacity <= 0 is no bound. If it grows, calls
// that wait for room go in at once. If it falls below the number of items that
// wait, all of them stay, and no more come in before there is room again.
//
// The complexity is O(1), that of [Queue.Put] for each call let in, and O(n) if
// the queue gives memory back, where n is the number of items that it had room
// for.
func (q *Queue[T]) Resize(capacity int) {
	q.lock()
	q.setCapacity(capacity)
	q.admit()
	q.unlock()
}

// full reports whether the queue has no free slot. mu must be held.
func (q *Queue[T]) full() bool {
	return q.capacity > 0 && q.len >= q.capacity
}

// add gives an item to the longest parked Get or, if there is none, stores it.
// mu must be held, and the queue must not be full (inv_len in the model); mu is
// released.
func (q *Queue[T]) add(item T) {
	if q.getters.head != nil {
		w := q.getters.pop()
		w.items[0], w.moved = item, 1
		q.count(1)
		q.mu.Unlock()
		w.ready <- struct{}{}
		return
	}
	if q.heap == nil {
		q.buf.PushBack(item)
	} else {
		q.pushHeap(item)
	}
	q.stored(1)
	q.mu.Unlock() // storing an item serves nobody
}

// stored counts n items that were put and now wait. mu must be held.
func (q *Queue[T]) stored(n int) {
	q.len += n
	q.maxLen = max(q.maxLen, q.len)
	q.count(n)
}

// count counts n items that were put. mu must be held.
func (q *Queue[T]) count(n int) {
	q.put += uint64(n)
	q.unfinished += int64(n)
}

// take takes out an item and lets parked Puts in. mu must be held, and there
// must be an item; mu is released.
func (q *Queue[T]) take() (item T) {
	switch {
	case q.heap != nil:
		item = q.popHeap()
	case q.lifo:
		item = q.buf.PopBack()
	default:
		item = q.buf.PopFront()
	}
	q.len--
	if q.putters.head != nil {
		q.admit()
	}
	if q.served != nil {
		q.unlock()
	} else {
		q.mu.Unlock() // as unlock does, without a call of it
	}
	return item
}

// exchange stores an item and drops another for it. mu must be held, and there
// must be an item in the queue.
func (q *Queue[T]) exchange(item T) (evicted T) {
	if q.heap != nil {
		return q.exchangeHeap(item)
	}
	evicted = q.buf.PopFront()
	q.buf.PushBack(item)
	return evicted
}

// room returns how many of n items there are free slots for. mu must be held.
func (q *Queue[T]) room(n int) int {
	if q.capacity == Unbounded {
		return n
	}
	return min(n, max(q.capacity-q.len, 0))
}

// admit lets parked Puts in, the longest parked first, as far as there is room.
// mu must be held.
func (q *Queue[T]) admit() {
	for w := q.putters.head; w != nil && !q.full(); w = q.putters.head {
		n := 1
		switch {
		case q.heap != nil:
			n = q.storeParked(w)
		case len(w.items) == 1:
			q.buf.PushBack(w.items[0])
			q.stored(1)
		default:
			n = q.storeAll(w.items[w.moved:])
		}
		w.moved += n
		if w.moved == len(w.items) || w.fault != nil {
			q.serve(&q.putters, nil)
		}
	}
}
