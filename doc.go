// Package queue provides a bounded, blocking queue for goroutines, with FIFO,
// LIFO or priority order, task tracking (TaskDone and Join) and an orderly
// shutdown. It is modeled on Python's asyncio.Queue.
//
// There is one type, [Queue], and three constructors that choose the order in
// which items leave: [New] (first in, first out), [NewLIFO] (last in, first
// out) and [NewPriority] (lowest first). Otherwise they behave alike.
//
//   - Backpressure: [Queue.Put] blocks while the queue is full, [Queue.Get]
//     while it is empty, both until their context is done. [Queue.TryPut] and
//     [Queue.TryGet] do not block. [Queue.ForcePut] evicts an item instead.
//   - Completion: [Queue.TaskDone] marks an item done, and [Queue.Join] blocks
//     until every item is done. A worker that ranges over [Queue.Tasks] does
//     not call TaskDone.
//   - Batches: [Queue.Batches] collects items until a batch has a given size or
//     its first item a given age.
//   - Shutdown: [Queue.Shutdown] stops the producers. It lets consumers drain
//     the queue, or returns the items still queued. A Put after Shutdown, or a
//     Get once the queue is empty, returns [ErrShutdown]; neither panics.
//   - Statistics: [Queue.Stats] is a consistent snapshot, for dashboards and
//     alerts.
//
// # When to use a channel instead
//
// A channel needs no import, and every reader knows it. If you need FIFO order
// only, one goroutine closes it, and nothing needs to inspect the backlog or
// wait for completion, use a channel. Use a Queue when several producers may be
// cut off at any time (sending on a closed channel panics), when items have
// priorities or new items should replace old ones, when the program must know
// that all work has been completed and not just received, when the capacity
// must change at run time, or when sends and receives have a context anyway: a
// Queue then costs less than a select, unless its capacity is only one item.
//
// # Blocking and errors
//
// Put, PutBatch, Get, GetBatch, Join and the loops over Tasks and Batches
// block; all other calls return at once. A blocked call returns when its
// operation completes, when its context is done, or (except for Join) when the
// queue is shut down, whichever happens first. If its context is done before
// the call, the call returns the context's error even if an item or a slot is
// available, where a select would choose at random. The one exception is an
// empty batch, which always succeeds.
//
// A nil error means the operation took effect; a non-nil error means the queue
// is unchanged. [Queue.PutBatch] and [Queue.TryPutBatch], which report how many
// items were added, are the exceptions. An item is never lost between a Put and
// a Get whose context ends: a call that was completed keeps its result even if
// its context ends before its goroutine runs again. (asyncio instead cancels
// the call and wakes the next waiter.)
//
// Contexts and compare functions are the caller's code. If one panics, or a
// context ends the goroutine, only that call is affected, and the queue remains
// consistent. If a context's Done channel is closed although its Err is nil,
// the call returns [context.Canceled].
//
// # Fairness
//
// Blocked calls complete first come, first served, whatever the order of the
// items. A new call never overtakes a blocked one, because items and free slots
// are handed directly to blocked calls. Only ForcePut and Requeue can overtake
// a blocked Put: ForcePut never takes the slot that Put is waiting for, but a
// Put blocked on a full queue waits until requeued items have made room too.
//
// # Workers that put into their own queue
//
// Workers that Put into the queue they take from can all block on it: it is
// full, and no worker is left to empty it. Use [Queue.Requeue], which never
// blocks, to add the work that an item led to. Alternatively, make the queue
// unbounded, or call TryPut and do the work in place if it returns ErrFull.
// Call Requeue before the item in hand is marked done: [Queue.Join] then
// returns only when all of the work is done.
//
// # A queue in a select
//
// The channel of [Queue.Ready] is receivable when TryGet may succeed, so a
// single loop can receive from a queue, a ticker, a reload signal and other
// channels.
//
// # Several queues
//
// For strict lanes (urgent before normal) use one priority queue that compares
// lanes, not several queues and a select.
//
// If one queue feeds the next, join them in the order in which items pass
// through them, and put an item into the next queue before marking it done in
// the previous one. If items can also go back, no sequence of Joins is correct:
// each can return before the other queue sends more. Count all work in one
// queue instead: an item of the first queue stays unfinished until the last
// queue has finished with it.
//
// # Interrupting and retrying
//
// A loop over Tasks marks an item done when its body ends, even if the body
// gave up because its context ended. A body that did not process its item
// passes it to Requeue. Shutdown(true) then returns it together with the items
// that were never started.
//
// # Debugging a hang
//
// Print the queue: [Queue.String] and [Queue.Stats] show how many calls are
// blocked and how many items are unfinished, and never the items themselves.
//
//   - PutWaiting > 0 and Len >= Cap: no goroutine takes items. Is a worker
//     blocked in a Put into its own queue?
//   - GetWaiting > 0 and Unfinished == 0: the producers have stopped; call
//     Shutdown once no more items come.
//   - Join does not return and Len == 0: Unfinished items were received and not
//     yet marked done.
//
// Every blocked call is a goroutine in [Queue.Put], [Queue.Get] or the like, so
// the goroutine profile (net/http/pprof, or SIGQUIT) shows which calls are
// blocked and since when, and the block profile shows how long calls were
// blocked. Label workers with [runtime/pprof.Do] to tell the workers of
// different queues apart.
//
// # Memory model
//
// In the terminology of the Go memory model, a Put synchronizes before the
// return of the Get that returns its item, and the TaskDone that takes the
// count of unfinished items to zero synchronizes before the return of each Join
// that it releases. The same holds for the other methods that put, get and mark
// done. The first call of Shutdown synchronizes before the return of each call
// that returns ErrShutdown.
//
// # Cost
//
// A queue starts no goroutine, and no timer except in a loop over Batches that
// lingers. A blocked call sleeps until it is completed: it does not poll for
// items or slots. (If GOMAXPROCS is not 1, a goroutine that finds the queue's
// mutex locked retries for some microseconds before it blocks. The mutex
// profile shows only the goroutines that blocked; a CPU profile shows the
// retries, in LockContended.)
//
// Memory grows with the number of queued items, not with the capacity. Each
// blocked call uses a record with room for an item. The queue keeps up to 256
// KiB of records for reuse (about a thousand if items are small), and at least
// sixteen, so blocked calls do not allocate in the steady state unless more are
// blocked at a time. These records stay allocated: with items of a megabyte,
// sixteen of them take 16 MiB, so queue pointers to items of that size.
//
// An unbounded FIFO or LIFO queue grows without copying its backlog; the array
// of a priority queue grows as a slice does. Adding or taking an item takes
// O(1) time, or O(log n) comparisons in a priority queue. An unbounded queue
// releases the memory of a burst as it drains. A bounded queue keeps the memory
// that its capacity needs, for at most 65,536 items, so filling it again does
// not allocate; call [Queue.Resize] to release it.
//
// # Tests
//
// A Queue may be used in the testing/synctest bubble in which it was created;
// blocked calls are durably blocked.
package queue
