package queue

// NewLIFO returns a LIFO queue, a stack: the item that came last leaves first,
// and [Queue.ForcePut] evicts the oldest. In all else it is as [New] says.
func NewLIFO[T any](capacity int) *Queue[T] {
	q := New[T](capacity)
	q.lifo = true
	return q
}
