package queue

import "github.com/boundq/queue/internal/heap"

// NewPriority returns a priority queue: the item that compare orders lowest
// leaves first, and equal items leave in the order in which they came. compare
// returns a negative number if a comes before b, a positive one if it comes
// after b, and zero if they are equal, as [cmp.Compare] does; swap its
// arguments to have the highest leave first. Otherwise it behaves like [New].
// NewPriority panics if compare is nil.
//
// Priority applies to queued items only: blocked calls of [Queue.Put] are let
// in first come, first served, whatever the priority of their items.
//
// compare is called with the queue locked. It must be a strict weak order over
// items whose keys do not change while they are queued, it should be quick, and
// it must not call the queue, which would deadlock. If it panics, the panic
// propagates to the call that ran the comparison, which (except for PutBatch
// and TryPutBatch) has no effect; the queue remains usable. The item of a
// blocked Put is compared when another call makes room for it; if compare
// panics then, that Put panics, its item is not added, and the call that made
// room proceeds. A loop over [Queue.Batches] that has taken items by then
// yields them first. compare must not call [runtime.Goexit], as FailNow of
// package testing does: it would end the goroutine that made room, together
// with the items that it has just taken.
func NewPriority[T any](capacity int, compare func(a, b T) int) *Queue[T] {
	if compare == nil {
		panic("queue: NewPriority: compare is nil")
	}
	q := New[T](capacity)
	q.store.heap = heap.New(compare)
	q.store.unlock = func() {
		q.signal() // the call may have queued or taken items before compare failed
		q.lot.Unlock()
	}
	q.store.setKeep(q.capacity)
	return q
}

// undoUnless undoes what a method of the heap did if it did not come to its
// end, because compare panicked or called runtime.Goexit, and unlocks the
// queue. Deferred here, it costs the orders that run no user code nothing.
func (s *store[T]) undoUnless(done *bool) {
	if !*done {
		s.heap.Undo()
		s.unlock()
	}
}

// pushHeap, popHeap, exchangeHeap and popHeapAll are the heap's methods of like
// name.
func (s *store[T]) pushHeap(item T) {
	done := false
	defer s.undoUnless(&done)
	s.heap.Push(item)
	done = true
}

func (s *store[T]) popHeap() T {
	done := false
	defer s.undoUnless(&done)
	item := s.heap.Pop()
	done = true
	return item
}

func (s *store[T]) exchangeHeap(item T) (evicted T) {
	done := false
	defer s.undoUnless(&done)
	evicted = s.heap.Exchange(item)
	done = true
	return evicted
}

func (s *store[T]) popHeapAll(dst []T) {
	var zero T
	n := 0
	defer func() {
		if n == len(dst) {
			return
		}
		s.heap.Undo()
		for n > 0 {
			n--
			s.heap.Unpop(dst[n])
			dst[n] = zero
		}
		s.unlock()
	}()
	for n < len(dst) {
		dst[n] = s.heap.Pop()
		n++
	}
}

// pushParked queues the next item of a blocked Put and returns 1. If compare
// panics, the panic is kept for that Put, and it returns 0. The lock must be
// held.
func (q *Queue[T]) pushParked(w *waiter[T]) int {
	fault, failed := attempt(func() { q.store.heap.Push(w.Items[w.Moved]) }, func() {
		// The call that made room is not at fault, but ends here, before it
		// gets to admitting the others and to unlocking.
		q.store.heap.Undo()
		w.Fail("queue: compare called runtime.Goexit")
		q.lot.Serve(&q.putters, nil)
		q.admit()
		q.signal()
		q.lot.Unlock()
	})
	if failed {
		q.store.heap.Undo()
		w.Fail(fault)
		return 0
	}
	q.store.len++
	q.queued(1)
	return 1
}

// popBehind moves the first items of the store to the end of b, until b has n.
// If compare panics, the panic is kept until the loop has yielded the items
// that it took before. The lock must be held.
func (q *Queue[T]) popBehind(b *batches[T], n int) {
	b.fault, b.failed = attempt(func() {
		for len(b.batch.Items) < n {
			b.batch.Items = append(b.batch.Items, q.store.heap.Pop())
			q.store.len--
		}
	}, func() {
		q.store.heap.Undo()
		q.admit()
		q.signal()
		q.lot.Unlock()
	})
	if b.failed {
		q.store.heap.Undo()
	}
}

// attempt calls f, which calls compare, and reports whether it panicked, and
// with what. If f calls runtime.Goexit, attempt calls exiting as the goroutine
// ends. recover alone does not tell the two apart: it returns nil for a
// panic(nil) under GODEBUG=panicnil=1 as well; but only after a panic does
// control come back.
func attempt(f, exiting func()) (fault any, failed bool) {
	back := false
	defer func() {
		if !back {
			exiting()
		}
	}()
	fault, failed = recovered(f)
	back = true
	return fault, failed
}

func recovered(f func()) (fault any, failed bool) {
	failed = true
	defer func() {
		if failed {
			fault = recover()
		}
	}()
	f()
	return nil, false
}
