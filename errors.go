package queue

import "errors"

// The errors of this package. They are returned as they are, never wrapped;
// compare with == or [errors.Is]. A call that was given a context can return
// the context's error as well.
var (
	// ErrEmpty is returned by [Queue.TryGet] and [Queue.Peek] when no item
	// waits and the queue was not shut down.
	ErrEmpty = errors.New("queue: empty")

	// ErrFull is returned by [Queue.TryPut] when as many items wait as the
	// capacity allows, and the queue was not shut down.
	ErrFull = errors.New("queue: full")

	// ErrShutdown is returned once [Queue.Shutdown] was called: by
	// [Queue.Put], [Queue.TryPut], [Queue.ForcePut] and [Queue.PutBatch] at
	// once, parked calls included; by [Queue.Get], [Queue.TryGet],
	// [Queue.Peek] and [Queue.GetBatch] when no item is left.
	ErrShutdown = errors.New("queue: shut down")

	// ErrTaskDone is returned by [Queue.TaskDone] and [Queue.TaskDoneN] when
	// they would mark more items done than are unfinished, or a negative
	// number.
	ErrTaskDone = errors.New("queue: more tasks marked done than items put")
)
