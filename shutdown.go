package queue

// Shutdown ends the queue. From now on nothing is put: [Queue.Put],
// [Queue.TryPut], [Queue.ForcePut] and [Queue.PutBatch] return [ErrShutdown],
// parked calls included.
//
// Shutdown(false), the graceful one, leaves the items that wait: they can be
// gotten still, and after the last one [Queue.Get], [Queue.TryGet],
// [Queue.Peek] and [Queue.GetBatch] return ErrShutdown. Shutdown(true), the
// immediate one, takes them out and returns them in the order in which Get
// would have, so that the caller can save them; they count as dropped and are
// no longer unfinished.
//
// In either case parked calls of Get and GetBatch return ErrShutdown, loops
// over [Queue.Tasks] end when no item is left, and [Queue.Join] goes on to wait
// for the items that are unfinished, which include those being worked on.
//
// Shutdown can be called again, at any time. A graceful shutdown can be
// followed by an immediate one; no shutdown can be undone. It never waits; to
// wait until all work is done, call Join after it.
//
// The complexity is O(1) for each call that it releases and each item that it
// returns, for a priority queue O(log n) an item, where n = q.Len().
func (q *Queue[T]) Shutdown(immediate bool) (drained []T) {
	q.lock()
	if immediate && q.len > 0 {
		drained = make([]T, q.len)
		q.popAll(drained)
		q.dropped += uint64(len(drained))
		q.finish(int(min(int64(len(drained)), q.unfinished)))
	}
	q.shutdown = true
	q.serveAll(&q.putters, ErrShutdown)
	q.serveAll(&q.getters, ErrShutdown)
	q.unlock()
	return drained
}
