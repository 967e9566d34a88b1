package queue

import "github.com/boundq/queue/internal/heap"

// NewPriority returns a priority queue: the item that compare orders lowest
// leaves first, and of equal ones the one that came first. compare returns a
// negative number if a comes before b, a positive one if it comes after b, and
// zero if they are equal, as [cmp.Compare] does; swap its arguments to have the
// highest leave first. In all else it is as [New] says. NewPriority panics if
// compare is nil.
//
// compare is called while the queue is locked. It must be a strict weak order
// over items whose keys do not change while they wait, it should be quick, and
// it must not call the queue, which would deadlock. It may panic: the call
// whose comparison it was panics with that value and, PutBatch apart, changes
// nothing; the queue goes on. A parked Put's item is compared when another call
// makes room for it; if compare panics then, that Put does, without its item
// going in, and the call that made room goes on. compare must not call
// [runtime.Goexit], as FailNow of package testing does: it would end the
// goroutine that made room, together with the item that it has just taken.
func NewPriority[T any](capacity int, compare func(a, b T) int) *Queue[T] {
	if compare == nil {
		panic("queue: NewPriority: compare is nil")
	}
	q := New[T](capacity)
	q.heap = heap.New(compare)
	q.setCapacity(capacity)
	return q
}

// undoUnless undoes what a method of the heap did if it did not come to its
// end, because compare panicked or called runtime.Goexit, and unlocks mu.
// Deferred here, it costs the orders that run no user code nothing.
func (q *Queue[T]) undoUnless(done *bool) {
	if !*done {
		q.heap.Undo()
		q.unlock()
	}
}

// pushHeap, popHeap, exchangeHeap and popHeapAll are the heap's methods of like
// name. mu must be held; if compare panics, they change nothing and release it.
func (q *Queue[T]) pushHeap(item T) {
	done := false
	defer q.undoUnless(&done)
	q.heap.Push(item)
	done = true
}

func (q *Queue[T]) popHeap() T {
	done := false
	defer q.undoUnless(&done)
	item := q.heap.Pop()
	done = true
	return item
}

func (q *Queue[T]) exchangeHeap(item T) (evicted T) {
	done := false
	defer q.undoUnless(&done)
	evicted = q.heap.Exchange(item)
	done = true
	return evicted
}

func (q *Queue[T]) popHeapAll(dst []T) {
	var zero T
	n := 0
	defer func() {
		if n == len(dst) {
			return
		}
		q.heap.Undo()
		for n > 0 {
			n--
			q.heap.Unpop(dst[n])
			dst[n] = zero
		}
		q.unlock()
	}()
	for n < len(dst) {
		dst[n] = q.heap.Pop()
		n++
	}
}

// storeParked stores the first item of a parked Put and returns 1. If compare
// panics, the panic is kept for that Put, and it returns 0. mu must be held.
func (q *Queue[T]) storeParked(w *waiter[T]) (n int) {
	defer func() {
		if n == 1 {
			return
		}
		q.heap.Undo()
		if w.fault = recover(); w.fault == nil {
			// runtime.Goexit: it ends this goroutine, and with it a call that
			// is not at fault, before that call gets to admitting the others
			// and to unlocking.
			w.fault = "queue: compare called runtime.Goexit"
			q.serve(&q.putters, nil)
			q.admit()
			q.unlock()
		}
	}()
	q.heap.Push(w.items[w.moved])
	q.stored(1)
	return 1
}
