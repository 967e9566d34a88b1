package queue

import "errors"

// The errors of this package. They are never wrapped; compare with == or
// [errors.Is]. A call with a context can also return ctx.Err(), or
// [context.Canceled] if the context's Done channel is closed and its Err is
// nil.
var (
	// ErrEmpty is returned by [Queue.TryGet], [Queue.TryGetBatch] and
	// [Queue.Peek] when no item is queued and the queue was not shut down.
	ErrEmpty = errors.New("queue: empty")

	// ErrFull is returned by [Queue.TryPut] and [Queue.TryPutBatch] when there
	// is no free slot and the queue was not shut down.
	ErrFull = errors.New("queue: full")

	// ErrShutdown is returned after [Queue.Shutdown] by [Queue.Put],
	// [Queue.TryPut], [Queue.ForcePut], [Queue.PutBatch] and
	// [Queue.TryPutBatch], including calls that were blocked; by [Queue.Get],
	// [Queue.TryGet], [Queue.Peek], [Queue.GetBatch] and [Queue.TryGetBatch]
	// once the queue is empty; and by [Queue.Requeue] when no item is
	// unfinished or the shutdown was immediate.
	ErrShutdown = errors.New("queue: shut down")

	// ErrTaskDone is returned by [Queue.TaskDone] and [Queue.TaskDoneN] when
	// they would mark more items done than are unfinished, or a negative
	// number.
	ErrTaskDone = errors.New("queue: more tasks marked done than items put")
)
