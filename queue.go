package queue

import (
	"context"

	"github.com/boundq/queue/internal/park"
)

// Unbounded is a capacity without a limit.
const Unbounded = 0

// A Queue is a queue of T that any number of goroutines can put to and get
// from. [New], [NewLIFO] and [NewPriority] make one; they differ only in the
// order in which items leave. The zero value is an unbounded FIFO queue, ready
// to use.
//
// All methods are safe for concurrent use and may be called at any time,
// including during and after [Queue.Shutdown]. A Queue must not be copied after
// first use.
type Queue[T any] struct {
	// Invariants, whenever the lock is free:
	//
	//	0 <= store.len <= maxLen, 0 <= capacity
	//	getters.Len > 0  =>  store.len == 0 && !shutdown    (inv_getters: no item is kept from a blocked Get)
	//	putters.Len > 0  =>  full() && !shutdown            (inv_putters: no slot is kept from a blocked Put)
	//	got == put - dropped - store.len, and got >= 0
	//	put - tally.Done - dropped <= tally.Unfinished <= put, 0 <= tally.Unfinished    (inv_unfinished)
	//	drained <= dropped, refusing => shutdown
	//	store.len > 0 && ready.C != nil && !shutdown  =>
	//		ready holds a signal, or one was received since an item last was queued or left    (inv_ready)
	//
	// An item that leaves the queue as another comes in does so in one critical
	// section, and so do items and slots that are handed to blocked calls: the
	// invariants leave no state in which a newcomer could find an item or a slot
	// for which another call is blocked.
	//
	// put - tally.Done - dropped == tally.Unfinished as long as TaskDone comes after
	// the Get. TaskDone for an item that is still queued and is then dropped is not
	// counted against another item.
	//
	// The names in parentheses are those under which verification/model/parked.pml
	// checks the same in every interleaving of a few calls. It also checks what
	// callers are promised on the strength of them: transfer, once, first_come,
	// at_zero, one_signal, quiescent and released.

	lot      park.Lot[T] // holds the mutex, which guards all that follows
	capacity int
	store    store[T]
	ready    park.Signal

	shutdown bool
	refusing bool // Requeue too is refused: the shutdown was immediate

	maxLen                     int
	put                        uint64
	dropped, drained, rejected uint64
	putBlocked, getBlocked     uint64
	putters, getters           park.Line[T]
	tally                      park.Tally[T] // of the unfinished items
}

type waiter[T any] = park.Waiter[T]

// New returns a FIFO queue, which items leave in the order in which they came.
// At most capacity items are queued at a time; the queue is unbounded if
// capacity <= 0. Memory grows with the number of queued items, not with the
// capacity.
func New[T any](capacity int) *Queue[T] {
	q := new(Queue[T])
	q.setCapacity(capacity)
	return q
}

// setCapacity sets the limit, and with it how much memory a drained queue
// keeps. The lock must be held.
func (q *Queue[T]) setCapacity(capacity int) {
	q.capacity = max(capacity, Unbounded)
	q.store.setKeep(q.capacity)
}

// Put adds an item. If the queue is full, it blocks until there is a free slot,
// behind the calls that are blocked already.
//
// A nil error means the item was added. Otherwise the queue is unchanged, and
// the error is ctx.Err() if ctx is done, even if there is room or the queue is
// shut down, or [ErrShutdown] if the queue is shut down, before the call or
// while it blocks. If ctx ends at the moment a blocked Put gets its slot, the
// item is added and Put returns nil.
//
// The complexity is O(1), or O(log n) in a priority queue, where n = q.Len().
func (q *Queue[T]) Put(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
	}
	if q.full() {
		if done := q.lot.Done(ctx); q.full() && !q.shutdown {
			q.putBlocked++
			w := q.lot.Park(&q.putters)
			w.Items[0] = item
			q.unlock()
			q.lot.Wait(done, &q.putters, w)
			_, _, err := q.lot.Collect(ctx, w)
			return err
		}
	}
	if q.shutdown {
		q.unlock()
		return ErrShutdown
	}
	q.addUnlock(item)
	return nil
}

// TryPut adds an item if there is room, without blocking. It returns
// [ErrShutdown] if the queue is shut down and [ErrFull] if it is full; the
// queue is unchanged then.
//
// The complexity is that of [Queue.Put].
func (q *Queue[T]) TryPut(item T) error {
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
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
	q.addUnlock(item)
	return nil
}

// ForcePut adds an item without blocking, evicting one if the queue is full: a
// FIFO or LIFO queue evicts the oldest item, a priority queue the item that
// [Queue.Get] would return last, which may be the new one. It returns the
// evicted item and true, or false if none was evicted. An unbounded queue never
// evicts.
//
// The evicted item counts as dropped. The new item takes its place in the
// unfinished count, so no [Queue.Join] is released. ForcePut does not wait its
// turn behind blocked Puts.
//
// It returns [ErrShutdown] if the queue is shut down. The complexity is that of
// [Queue.Put]. The first eviction from a priority queue costs O(n), where
// n = q.Len(), and makes later Gets from it more expensive.
func (q *Queue[T]) ForcePut(item T) (evicted T, ok bool, err error) {
	q.lot.Lock()
	if q.shutdown {
		q.unlock()
		return evicted, false, ErrShutdown
	}
	if !q.full() {
		q.addUnlock(item)
		return evicted, false, nil
	}
	evicted = q.store.exchange(item)
	q.put++
	q.dropped++
	q.unlock()
	return evicted, true, nil
}

// Get removes and returns an item: the oldest of a FIFO queue, the newest of a
// LIFO queue, the lowest of a priority queue. If the queue is empty, it blocks
// until there is an item, behind the calls that are blocked already.
//
// A nil error means the item is the caller's. Otherwise the queue is unchanged,
// and the error is ctx.Err() if ctx is done, even if there are items or the
// queue is shut down, or [ErrShutdown] if the queue is empty and shut down,
// before the call or while it blocks. If ctx ends at the moment a blocked Get
// is handed an item, Get returns the item.
//
// If the program uses [Queue.Join], call [Queue.TaskDone] once the item has
// been processed.
//
// The complexity is O(1), or O(log n) in a priority queue, where n = q.Len().
func (q *Queue[T]) Get(ctx context.Context) (item T, err error) {
	if err := ctx.Err(); err != nil {
		return item, err
	}
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
	}
	if q.store.len == 0 {
		if done := q.lot.Done(ctx); q.store.len == 0 && !q.shutdown {
			q.getBlocked++
			w := q.lot.Park(&q.getters)
			q.unlock()
			q.lot.Wait(done, &q.getters, w)
			item, _, err = q.lot.Collect(ctx, w)
			return item, err
		}
	}
	if q.store.len == 0 {
		q.unlock()
		return item, ErrShutdown
	}
	return q.takeUnlock(), nil
}

// TryGet removes and returns an item as [Queue.Get] does, without blocking. If
// the queue is empty, it returns [ErrShutdown] if the queue is shut down and
// [ErrEmpty] if it is not.
//
// The complexity is that of [Queue.Get].
func (q *Queue[T]) TryGet() (T, error) {
	if !q.lot.Mu.TryLock() {
		q.lot.Mu.LockContended()
	}
	if q.store.len > 0 {
		return q.takeUnlock(), nil
	}
	var zero T
	return zero, q.emptyUnlock()
}

// Peek returns the item that [Queue.Get] would return now, and leaves it in the
// queue. If the queue is empty, it returns [ErrShutdown] if the queue is shut
// down and [ErrEmpty] if it is not. Another call may have taken the item by the
// time the caller sees it.
func (q *Queue[T]) Peek() (item T, err error) {
	q.lot.Lock()
	if q.store.len == 0 {
		return item, q.emptyUnlock()
	}
	item = q.store.first()
	q.unlock()
	return item, nil
}

// Requeue adds an item where [Queue.Put] would, and never blocks: a full queue
// accepts it too, and then exceeds its capacity. Blocked Puts proceed once the
// length is below the capacity again.
//
// It is for a caller that holds an item it has not yet marked done: to return
// that item, to retry it, or to add the work it led to. If workers called Put
// on the queue they take from, all of them could block on a full queue, leaving
// none to empty it. Call Requeue first and mark the item in hand done
// afterwards, as a loop over [Queue.Tasks] does, and [Queue.Join] cannot return
// in between. A requeued item counts as one more put.
//
// A queue that is not shut down accepts every item. After Shutdown(false),
// Requeue adds the item as long as any item is unfinished, so that workers can
// finish what they began. Other workers may have ended by then, so the caller
// must itself receive again, as the next turn of its loop does. Requeue returns
// [ErrShutdown], and the item remains the caller's, after Shutdown(true), and
// after Shutdown(false) if no item is unfinished.
//
// Requeue does not wait its turn behind blocked Puts. The complexity is that of
// [Queue.Put].
func (q *Queue[T]) Requeue(item T) error {
	q.lot.Lock()
	if q.refusing || q.shutdown && q.tally.Unfinished == 0 {
		q.unlock()
		return ErrShutdown
	}
	q.addUnlock(item)
	return nil
}

// Ready returns a channel for a select: it is receivable when a [Queue.TryGet]
// may succeed. It is the same channel at every call, and holds one signal. An
// item that is queued sends the signal; an item that leaves while others remain
// sends it again. So a loop that calls TryGet once for each signal, in any
// number of goroutines, misses no item:
//
//	for {
//		select {
//		case <-q.Ready():
//			if item, err := q.TryGet(); err == nil {
//				work(item)
//			} else if err == queue.ErrShutdown {
//				return
//			}
//		case <-ticker.C:
//			...
//		}
//	}
//
// A signal may outlive its item: TryGet returns [ErrEmpty] if another call took
// it. Blocked Gets take precedence: an item that is handed to one sends no
// signal. [Queue.Shutdown] closes the channel; TryGet then returns the items
// that are left, and after them [ErrShutdown].
//
// The first call allocates the channel. If Ready is never called, its cost is
// one nil check for each item.
func (q *Queue[T]) Ready() <-chan struct{} {
	if ready := q.ready.Made(); ready != nil {
		return ready // without the lock, since loops call it at each turn
	}
	q.lot.Lock()
	ready := q.ready.Chan(q.store.len > 0)
	q.unlock()
	return ready
}

// Resize changes the capacity; the queue becomes unbounded if capacity <= 0. If
// it grows, blocked Puts proceed immediately. If it falls below the number of
// queued items, all of them stay, and no more are added until there is room.
//
// The complexity is O(1), that of [Queue.Put] for each blocked call that
// proceeds, and O(n) if the queue releases memory, where n is the number of
// items it had allocated room for.
func (q *Queue[T]) Resize(capacity int) {
	q.lot.Lock()
	q.setCapacity(capacity)
	before := q.store.len
	q.admit()
	if q.store.len > before {
		q.signal()
	}
	q.lot.Unlock()
}

// unlock releases the lock where no call can have been completed under it, so
// that none is to be woken: lot.Unlock would look for one.
func (q *Queue[T]) unlock() { q.lot.Mu.Unlock() }

// emptyUnlock releases the lock and returns why an empty queue gives no item.
func (q *Queue[T]) emptyUnlock() error {
	err := ErrEmpty
	if q.shutdown {
		err = ErrShutdown
	}
	q.unlock()
	return err
}

// full reports whether the queue has no free slot. The lock must be held.
func (q *Queue[T]) full() bool {
	return q.capacity > 0 && q.store.len >= q.capacity
}

// addUnlock hands an item to the longest blocked Get or, if there is none,
// queues it. The lock must be held; it is released.
func (q *Queue[T]) addUnlock(item T) {
	if w := q.getters.Head; w != nil {
		q.count(1)
		if w.Batch == nil {
			w.Items[0], w.Moved = item, 1
		} else if w.Batch.Add(item); !w.Batch.Complete() {
			q.unlock()
			return
		}
		q.getters.Pop()
		q.unlock()
		w.Signal()
		return
	}
	// Not a method of the store: it and its counterpart in takeUnlock are too long
	// to be inlined, and their calls take about a tenth of a Put and Get.
	if q.store.heap == nil {
		q.store.buf.PushBack(item)
	} else {
		q.store.pushHeap(item)
	}
	q.store.len++
	q.queued(1)
	if q.ready.C != nil {
		q.signal()
	}
	q.unlock()
}

// takeUnlock removes an item and lets blocked Puts in. The lock must be held,
// and there must be an item; the lock is released.
func (q *Queue[T]) takeUnlock() (item T) {
	switch { // not a method of the store: see addUnlock
	case q.store.heap != nil:
		item = q.store.popHeap()
	case q.store.lifo:
		item = q.store.buf.PopBack()
	default:
		item = q.store.buf.PopFront()
	}
	q.store.len--
	if q.putters.Head != nil {
		q.admit()
	}
	if q.ready.C != nil {
		q.signal()
	}
	if q.lot.Pending() {
		q.lot.Unlock()
	} else {
		q.unlock()
	}
	return item
}

// queued counts n items that were put and are in the store. The lock must be
// held.
func (q *Queue[T]) queued(n int) {
	q.maxLen = max(q.maxLen, q.store.len)
	q.count(n)
}

// count counts n items that were put. The lock must be held.
func (q *Queue[T]) count(n int) {
	q.put += uint64(n)
	q.tally.Unfinished += int64(n)
}

// signal tells the callers of Ready that an item was queued or left. The lock
// must be held.
//
//go:noinline
func (q *Queue[T]) signal() {
	if q.store.len > 0 {
		q.ready.Send()
	}
}

// room returns how many of n items there are free slots for. The lock must be
// held.
func (q *Queue[T]) room(n int) int {
	if q.capacity == Unbounded {
		return n
	}
	return min(n, max(q.capacity-q.store.len, 0))
}

// admit lets blocked Puts in, the longest blocked first, as far as there is
// room. The lock must be held.
func (q *Queue[T]) admit() {
	for w := q.putters.Head; w != nil && !q.full(); w = q.putters.Head {
		n := 1
		switch {
		case q.store.compares():
			n = q.pushParked(w)
		case len(w.Items) == 1:
			q.store.buf.PushBack(w.Items[0])
			q.store.len++
			q.queued(1)
		default:
			n = q.storeAll(w.Items[w.Moved:])
		}
		w.Moved += n
		if w.Moved == len(w.Items) || n == 0 {
			q.lot.Serve(&q.putters, nil)
		}
	}
}
