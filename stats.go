package queue

import (
	"fmt"
	"log/slog"
	"math"
)

// Stats holds the figures of a queue at one moment. At any time
//
//	Put == Got + Dropped + Len
//
// and, if TaskDone is called once for each item gotten, after the Get,
//
//	Unfinished == Put - Done - Dropped
//
// In JSON, and so in expvar, and in structured logs, the names are those of the
// fields in snake case.
type Stats struct {
	Len    int `json:"len"`     // items that wait now
	Cap    int `json:"cap"`     // most that may wait; 0 is no bound
	MaxLen int `json:"max_len"` // most that ever waited; items handed straight to a parked Get never did

	Unfinished int `json:"unfinished"` // items put and neither done nor dropped

	PutWaiting int `json:"put_waiting"` // calls of Put and PutBatch parked now
	GetWaiting int `json:"get_waiting"` // calls of Get and GetBatch, and loops over Tasks, parked now

	Put  uint64 `json:"put"`  // items put
	Got  uint64 `json:"got"`  // items gotten
	Done uint64 `json:"done"` // items marked done

	Dropped  uint64 `json:"dropped"`  // items evicted by ForcePut or drained by Shutdown(true)
	Rejected uint64 `json:"rejected"` // calls of TryPut refused with ErrFull

	PutBlocked uint64 `json:"put_blocked"` // calls of Put and PutBatch that had to park
	GetBlocked uint64 `json:"get_blocked"` // calls of Get and GetBatch, turns of Tasks included, that had to park

	Shutdown bool `json:"shutdown"` // Shutdown was called
}

// LogValue returns the figures as a group of attributes, so that
// slog.Any("queue", q.Stats()) logs each by its name.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("len", s.Len),
		slog.Int("cap", s.Cap),
		slog.Int("max_len", s.MaxLen),
		slog.Int("unfinished", s.Unfinished),
		slog.Int("put_waiting", s.PutWaiting),
		slog.Int("get_waiting", s.GetWaiting),
		slog.Uint64("put", s.Put),
		slog.Uint64("got", s.Got),
		slog.Uint64("done", s.Done),
		slog.Uint64("dropped", s.Dropped),
		slog.Uint64("rejected", s.Rejected),
		slog.Uint64("put_blocked", s.PutBlocked),
		slog.Uint64("get_blocked", s.GetBlocked),
		slog.Bool("shutdown", s.Shutdown),
	)
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
		Unfinished: int(min(q.unfinished, math.MaxInt)),
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

// LogValue returns the queue's figures as [Stats.LogValue] does. Without it,
// slog's JSON handler would log the queue as {}. It shows no items.
func (q *Queue[T]) LogValue() slog.Value { return q.Stats().LogValue() }
