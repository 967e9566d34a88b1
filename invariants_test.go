package queue

import "fmt"

// JoinWaiting returns how many calls of Join are parked.
func (q *Queue[T]) JoinWaiting() int {
	q.lock()
	defer q.unlock()
	return q.joiners.len
}

// CheckInvariants checks the invariants that stand above the type's fields, and
// those of the lines and the store.
func (q *Queue[T]) CheckInvariants() error {
	q.lock()
	defer q.unlock()
	full := q.capacity > 0 && q.len >= q.capacity
	stored := q.len
	if q.heap != nil {
		stored = q.heap.Len()
	}
	got := int64(q.put) - int64(q.dropped) - int64(q.len)
	open := int64(q.put) - int64(q.done) - int64(q.dropped)
	for _, c := range []struct {
		holds bool
		what  string
	}{
		{q.len >= 0 && q.capacity >= 0 && q.len <= q.maxLen, "0 <= len, 0 <= capacity, len <= maxLen"},
		{stored == q.len, "len == number of items in heap"},
		{q.getters.len == 0 || q.len == 0 && !q.shutdown, "getters.len > 0 => len == 0 && !shutdown"},
		{q.putters.len == 0 || full && !q.shutdown, "putters.len > 0 => full && !shutdown"},
		{q.joiners.len == 0 || q.unfinished > 0, "joiners.len > 0 => unfinished > 0"},
		{q.served == nil && q.servedLast == nil, "served == nil, servedLast == nil"},
		{got >= 0, "got >= 0"},
		{q.unfinished >= 0 && open <= q.unfinished && q.unfinished <= int64(q.put),
			"0 <= unfinished, put - done - dropped <= unfinished <= put"},
	} {
		if !c.holds {
			return fmt.Errorf("broken: %s: len %d, stored %d, capacity %d, getters %d, putters %d, joiners %d, %+v",
				c.what, q.len, stored, q.capacity, q.getters.len, q.putters.len, q.joiners.len, q.figures())
		}
	}
	for name, l := range map[string]*line[T]{"getters": &q.getters, "putters": &q.putters, "joiners": &q.joiners} {
		n := 0
		var last *waiter[T]
		for w := l.head; w != nil; w = w.next {
			if !w.parked || w.prev != last {
				return fmt.Errorf("broken: links of %s", name)
			}
			last = w
			n++
		}
		if l.tail != last || n != l.len {
			return fmt.Errorf("broken: %s.len is %d, its waiters %d", name, l.len, n)
		}
	}
	return nil
}
