package queue

import (
	"fmt"
	"log/slog"
	"math"
)

// Stats is a consistent snapshot of a queue's statistics. At any time
//
//	Put == Got + Dropped + Len
//
// and, if TaskDone is called once for each item received, after the Get,
//
//	Unfinished == Put - Done - Dropped
//
// Dropped - Drained is what ForcePut evicted: watch it to notice items that
// were lost, since a clean restart drains. In JSON, and so in expvar, in
// structured logs and in metrics each number has its field's name in snake
// case.
type Stats struct {
	Len    int `json:"len"`     // items queued now
	Cap    int `json:"cap"`     // capacity; 0 if unbounded
	MaxLen int `json:"max_len"` // most items ever queued; more than Cap after a Requeue into a full queue; items handed to a blocked call are never queued

	Unfinished int `json:"unfinished"` // items put and neither done nor dropped

	PutWaiting int `json:"put_waiting"` // calls of Put and PutBatch blocked now
	GetWaiting int `json:"get_waiting"` // calls of Get and GetBatch, and loops over Tasks and Batches, blocked now

	Put  uint64 `json:"put"`  // items put, requeued ones included
	Got  uint64 `json:"got"`  // items received
	Done uint64 `json:"done"` // items marked done

	Dropped  uint64 `json:"dropped"`  // items evicted by ForcePut or drained by Shutdown(true)
	Drained  uint64 `json:"drained"`  // of Dropped, those that Shutdown(true) returned
	Rejected uint64 `json:"rejected"` // items that TryPut and TryPutBatch rejected with ErrFull

	PutBlocked uint64 `json:"put_blocked"` // calls of Put and PutBatch that blocked
	GetBlocked uint64 `json:"get_blocked"` // calls of Get and GetBatch, and turns of Tasks and Batches, that blocked

	Shutdown bool `json:"shutdown"` // Shutdown was called
}

// LogValue returns the statistics as a group of attributes, so that
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
		slog.Uint64("drained", s.Drained),
		slog.Uint64("rejected", s.Rejected),
		slog.Uint64("put_blocked", s.PutBlocked),
		slog.Uint64("get_blocked", s.GetBlocked),
		slog.Bool("shutdown", s.Shutdown),
	)
}

// Stats returns a consistent snapshot of the queue's statistics.
func (q *Queue[T]) Stats() Stats {
	q.lot.Lock()
	s := q.snapshot()
	q.unlock()
	return s
}

// snapshot returns the queue's statistics. The lock must be held.
func (q *Queue[T]) snapshot() Stats {
	return Stats{
		Len:        q.store.len,
		Cap:        q.capacity,
		MaxLen:     q.maxLen,
		Unfinished: int(min(q.tally.Unfinished, math.MaxInt)),
		PutWaiting: q.putters.Len,
		GetWaiting: q.getters.Len,
		Put:        q.put,
		Got:        q.put - q.dropped - uint64(q.store.len),
		Done:       q.tally.Done,
		Dropped:    q.dropped,
		Drained:    q.drained,
		Rejected:   q.rejected,
		PutBlocked: q.putBlocked,
		GetBlocked: q.getBlocked,
		Shutdown:   q.shutdown,
	}
}

// Len returns the number of queued items.
func (q *Queue[T]) Len() int {
	q.lot.Lock()
	n := q.store.len
	q.unlock()
	return n
}

// Cap returns the capacity, or 0 if the queue is unbounded.
func (q *Queue[T]) Cap() int {
	q.lot.Lock()
	n := q.capacity
	q.unlock()
	return n
}

// Empty reports whether no item is queued. The answer may be stale by the time
// the caller sees it; use [Queue.TryGet] to test and take atomically.
func (q *Queue[T]) Empty() bool { return q.Len() == 0 }

// Full reports whether a bounded queue has no free slot. The answer may be stale
// by the time the caller sees it; use [Queue.TryPut] to test and put atomically.
func (q *Queue[T]) Full() bool {
	q.lot.Lock()
	full := q.full()
	q.unlock()
	return full
}

// String returns the queue's order and statistics in a line, for logs. It shows
// no items.
func (q *Queue[T]) String() string {
	return fmt.Sprintf("%s queue %+v", q.store.order(), q.Stats())
}

// Format implements [fmt.Formatter]. It writes what [Queue.String] returns,
// quoted for %q, whatever the verb: by default, %d and %#v would read the
// queue's fields without the lock, and show the items.
func (q *Queue[T]) Format(f fmt.State, verb rune) {
	if verb != 'q' {
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), q.String())
}

// LogValue returns the queue's statistics as [Stats.LogValue] does. Without it,
// slog's JSON handler would log the queue as {}. It shows no items.
func (q *Queue[T]) LogValue() slog.Value { return q.Stats().LogValue() }
