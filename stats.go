package queue

import "fmt"

// Stats holds the figures of a queue at one moment. At any time
//
//	Put == Got + Dropped + Len
//
// and, if TaskDone is called once for each item gotten, after the Get,
//
//	Unfinished == Put - Done - Dropped
type Stats struct {
	Len    int // items that wait now
	Cap    int // most that may wait; 0 is no bound
	MaxLen int // most that ever waited; items handed straight to a parked Get never did

	Unfinished int // items put and neither done nor dropped

	PutWaiting int // calls of Put and PutBatch parked now
	GetWaiting int // calls of Get and GetBatch, and loops over Tasks, parked now

	Put  uint64 // items put
	Got  uint64 // items gotten
	Done uint64 // items marked done

	Dropped  uint64 // items evicted by ForcePut or drained by Shutdown(true)
	Rejected uint64 // calls of TryPut refused with ErrFull

	PutBlocked uint64 // calls of Put and PutBatch that had to park
	GetBlocked uint64 // calls of Get and GetBatch, turns of Tasks included, that had to park

	Shutdown bool // Shutdown was called
}

// Stats returns the queue's figures, all of the same moment.
func (q *Queue[T]) Stats() Stats {
	q.lock()
	s := q.figures()
	q.unlock()
	return s
}

// figures returns the queue's figures. mu must be held.
func (q *Queue[T]) figures() Stats {
	return Stats{
		Len:        q.len,
		Cap:        q.capacity,
		MaxLen:     q.maxLen,
		Unfinished: q.unfinished,
		PutWaiting: q.putters.len,
		GetWaiting: q.getters.len,
		Put:        q.put,
		Got:        q.put - q.dropped - uint64(q.len),
		Done:       q.done,
		Dropped:    q.dropped,
		Rejected:   q.rejected,
		PutBlocked: q.putBlocked,
		GetBlocked: q.getBlocked,
		Shutdown:   q.shutdown,
	}
}

// Len returns the number of items that wait.
func (q *Queue[T]) Len() int {
	q.lock()
	n := q.len
	q.unlock()
	return n
}

// Cap returns the capacity, 0 if the queue is unbounded.
func (q *Queue[T]) Cap() int {
	q.lock()
	n := q.capacity
	q.unlock()
	return n
}

// Empty reports whether no item waits. By the time that the caller looks at the
// answer, it may have changed; [Queue.TryGet] asks and takes in one.
func (q *Queue[T]) Empty() bool { return q.Len() == 0 }

// Full reports whether a bounded queue has no free slot. By the time that the
// caller looks at the answer, it may have changed; [Queue.TryPut] asks and puts
// in one.
func (q *Queue[T]) Full() bool {
	q.lock()
	full := q.full()
	q.unlock()
	return full
}

// String returns the queue's figures in a line, for logs. It shows no items.
func (q *Queue[T]) String() string {
	order := "FIFO"
	switch {
	case q.heap != nil:
		order = "priority"
	case q.lifo:
		order = "LIFO"
	}
	return fmt.Sprintf("%s queue %+v", order, q.Stats())
}
