package queue

// Shutdown closes the queue to new items: [Queue.Put], [Queue.TryPut],
// [Queue.ForcePut], [Queue.PutBatch] and [Queue.TryPutBatch] return
// [ErrShutdown], including calls that are blocked.
//
// Shutdown(false), a graceful shutdown, leaves the queued items. They can still
// be received, and [Queue.Requeue] may add to them; once the queue is empty,
// [Queue.Get], [Queue.TryGet], [Queue.Peek], [Queue.GetBatch] and
// [Queue.TryGetBatch] return ErrShutdown. Shutdown(true), an immediate
// shutdown, removes the queued items and returns them in the order in which Get
// would have, so the caller can save them; they count as dropped and are no
// longer unfinished.
//
// Either way blocked calls of Get and GetBatch return ErrShutdown, loops over
// [Queue.Tasks] and [Queue.Batches] end once no item is left, the channel of
// [Queue.Ready] is closed, and [Queue.Join] still waits for unfinished items,
// including those in progress.
//
// Shutdown can be called again, at any time. A graceful shutdown can be
// followed by an immediate one; a shutdown cannot be undone. Shutdown never
// blocks; to wait until all work is done, call Join after it. The first call
// synchronizes before the return of each call that returns ErrShutdown because
// of it, so the caller can store a cause in a variable before the call.
//
// The complexity is O(1) for each call that it releases and each item that it
// returns, or O(log n) an item in a priority queue, where n = q.Len().
func (q *Queue[T]) Shutdown(immediate bool) (drained []T) {
	q.lot.Lock()
	if immediate && q.store.len > 0 {
		drained = make([]T, q.store.len)
		q.store.popAll(drained)
		q.dropped += uint64(len(drained))
		q.drained += uint64(len(drained))
		q.tally.Finish(&q.lot, int(min(int64(len(drained)), q.tally.Unfinished)))
	}
	q.shutdown = true
	q.refusing = q.refusing || immediate
	q.ready.Close()
	q.lot.ServeAll(&q.putters, ErrShutdown)
	q.lot.ServeAll(&q.getters, ErrShutdown)
	q.lot.Unlock()
	return drained
}
