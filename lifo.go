package queue

// NewLIFO returns a LIFO queue, a stack: the newest item leaves first, and
// [Queue.ForcePut] evicts the oldest. Otherwise it behaves like [New].
func NewLIFO[T any](capacity int) *Queue[T] {
	q := New[T](capacity)
	q.store.lifo = true
	return q
}
