package queue

import (
	"github.com/boundq/queue/internal/deque"
	"github.com/boundq/queue/internal/heap"
)

// maxKeep bounds how many items' worth of memory a drained queue keeps for the
// next time it fills. A bounded queue keeps what its capacity needs, so that it
// does not allocate as it fills and drains; a larger capacity is effectively
// unbounded.
const maxKeep = 1 << 16

// A store holds the queued items, in the order in which they leave. Other files
// read len. They go past the methods only where a call would cost too much
// (addUnlock, takeUnlock, storeAll, admit), and where a compare that fails needs
// more than to be undone (pushParked, popBehind).
//
// If compare panics or ends its goroutine, the method that called it changes
// nothing, and calls unlock on its way out.
type store[T any] struct {
	// Invariant: len == number of items in buf, or in heap if there is one.
	//
	// Concrete types and a count beside them: an interface would cost a call for
	// each push and pop.
	len    int
	lifo   bool
	buf    deque.Deque[T] // of a FIFO or LIFO queue, the oldest item in front
	heap   *heap.Heap[T]  // of a priority queue; nil otherwise
	unlock func()         // of a priority queue
}

// setKeep sets how many items' worth of memory stays when the store is empty.
func (s *store[T]) setKeep(capacity int) {
	keep := min(capacity, maxKeep)
	s.buf.SetKeep(keep)
	if s.heap != nil {
		s.heap.SetKeep(keep)
	}
}

// order names the order in which items leave.
func (s *store[T]) order() string {
	switch {
	case s.heap != nil:
		return "priority"
	case s.lifo:
		return "LIFO"
	default:
		return "FIFO"
	}
}

// fifo reports whether items leave in the order in which they came.
func (s *store[T]) fifo() bool { return s.heap == nil && !s.lifo }

// compares reports whether push and pop call compare, which may fail.
func (s *store[T]) compares() bool { return s.heap != nil }

// pushHeapAll adds items to a priority queue, and reports to pushed each that is
// in, before compare can fail over the next.
func (s *store[T]) pushHeapAll(items []T, pushed func(n int)) {
	for _, item := range items {
		s.pushHeap(item)
		s.len++
		pushed(1)
	}
}

// first returns the item that leaves first. There must be one.
func (s *store[T]) first() T {
	switch {
	case s.heap != nil:
		return s.heap.Peek()
	case s.lifo:
		return s.buf.Back()
	default:
		return s.buf.Front()
	}
}

// exchange adds an item and removes another for it: the oldest, or of a
// priority queue the one that would leave last, which may be the new one. There
// must be an item in the store.
func (s *store[T]) exchange(item T) (evicted T) {
	if s.heap != nil {
		return s.exchangeHeap(item)
	}
	evicted = s.buf.PopFront()
	s.buf.PushBack(item)
	return evicted
}

// popAll removes the first len(dst) items. There must be as many.
func (s *store[T]) popAll(dst []T) {
	switch {
	case s.heap != nil:
		s.popHeapAll(dst)
	case s.lifo:
		for i := range dst {
			dst[i] = s.buf.PopBack()
		}
	default:
		s.buf.PopFrontInto(dst)
	}
	s.len -= len(dst)
}
