package queue

import "fmt"

// JoinWaiting returns how many calls of Join are blocked.
func (q *Queue[T]) JoinWaiting() int {
	q.lot.Lock()
	defer q.lot.Unlock()
	return q.tally.Joiners.Len
}

// CheckInvariants checks the invariants that stand above the type's fields, and
// those of its parts.
func (q *Queue[T]) CheckInvariants() error {
	q.lot.Lock()
	defer q.lot.Unlock()
	stored := q.store.len
	if q.store.heap != nil {
		stored = q.store.heap.Len()
	}
	got := int64(q.put) - int64(q.dropped) - int64(q.store.len)
	open := int64(q.put) - int64(q.tally.Done) - int64(q.dropped)
	for _, c := range []struct {
		holds bool
		what  string
	}{
		{q.store.len >= 0 && q.capacity >= 0 && q.store.len <= q.maxLen, "0 <= store.len <= maxLen, 0 <= capacity"},
		{stored == q.store.len, "store.len == number of items in the heap"},
		{q.getters.Len == 0 || q.store.len == 0 && !q.shutdown, "getters.Len > 0 => store.len == 0 && !shutdown"},
		{q.putters.Len == 0 || q.full() && !q.shutdown, "putters.Len > 0 => full() && !shutdown"},
		{q.tally.Joiners.Len == 0 || q.tally.Unfinished > 0, "tally.Joiners.Len > 0 => tally.Unfinished > 0"},
		{got >= 0, "got >= 0"},
		{q.tally.Unfinished >= 0 && open <= q.tally.Unfinished && q.tally.Unfinished <= int64(q.put),
			"put - tally.Done - dropped <= tally.Unfinished <= put, 0 <= tally.Unfinished"},
		{q.drained <= q.dropped, "drained <= dropped"},
		{!q.refusing || q.shutdown, "refusing => shutdown"},
	} {
		if !c.holds {
			return fmt.Errorf("broken: %s: stored %d, getters %d, putters %d, joiners %d, %+v",
				c.what, stored, q.getters.Len, q.putters.Len, q.tally.Joiners.Len, q.snapshot())
		}
	}
	return q.lot.Check(&q.getters, &q.putters, &q.tally.Joiners)
}
