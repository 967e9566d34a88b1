// Package queue provides a bounded, blocking queue for goroutines, with FIFO,
// LIFO or priority order, task tracking (TaskDone and Join) and an orderly
// shutdown. It is modeled on Python's asyncio.Queue.
//
// There is one type, [Queue], and three constructors that choose the order in
// which items leave: [New] (first in, first out), [NewLIFO] (last in, first
// out) and [NewPriority] (lowest first). Everything else is the same for all.
//
//   - Backpressure: [Queue.Put] blocks while the queue is full, [Queue.Get]
//     while it is empty, both until a context ends. [Queue.TryPut] and
//     [Queue.TryGet] do not block; [Queue.ForcePut] evicts an item instead.
//   - Completion: [Queue.TaskDone] marks an item done, [Queue.Join] blocks until
//     all are. A worker that ranges over [Queue.Tasks] need not call TaskDone.
//   - Batches: [Queue.Batches] collects items up to a size or an age.
//   - Shutdown: [Queue.Shutdown] stops the producers, and lets consumers drain
//     the queue or returns the items still queued. Calls made after Shutdown
//     return [ErrShutdown]; they never panic.
//   - Statistics: [Queue.Stats] is one consistent snapshot, for dashboards and
//     alerts.
//
// # When to use a channel instead
//
// A channel needs no import, and every reader knows it. If you need FIFO order
// only, one goroutine closes it, and nothing needs to inspect the backlog or
// wait for completion, use a channel. Use a Queue when several producers may be
// cut off at any time (sending on a closed channel panics), when items have
// priorities or the newest are worth more than the oldest, when the program
// must know that all work is done and not just begun, when the capacity must
// change while running, or when sends and receives carry a context anyway: a
// Queue then costs less than the select.
//
// # Blocking and errors
//
// Put, PutBatch, Get, GetBatch, Join and the loops over Tasks and Batches block;
// all other calls return at once. A blocked call returns when its operation
// completes, when its context is done, or (except for Join) when the queue is
// shut down, whichever happens first. A context that is done before the call
// wins over everything but an empty batch, even where an item or a slot is
// there; a select would pick one of the two at random.
//
// A nil error means the operation took effect; a non-nil error means the queue
// is unchanged. [Queue.PutBatch] and [Queue.TryPutBatch], which report how many
// items were added, are the exceptions. An item is never lost between a Put and
// a Get whose context ends: a call that was completed keeps its result even if
// its context ends before its goroutine runs again. (asyncio instead cancels
// the call and wakes the next waiter.)
//
// Contexts and compare functions are the caller's code. If one panics or ends
// its goroutine, that call alone ends so, and the queue remains consistent. If a
// context closes Done although its Err is nil, the call returns
// [context.Canceled].
//
// # Fairness
//
// Blocked calls complete first come, first served, whatever the order of the
// items. No newcomer overtakes one: items and free slots are handed over, not
// left for the first to come. Only ForcePut and Requeue can overtake a blocked
// Put, and they never take the slot that Put is waiting for.
//
// # Workers that put into the queue they serve
//
// Workers that Put into the queue they take from can all block on it: it is
// full, and no worker is left to empty it. Add the work that an item led to
// with [Queue.Requeue], which never blocks; or make the queue unbounded; or call
// TryPut, and do the work in place if it returns ErrFull. Requeue before the
// item in hand is marked done, and [Queue.Join] knows when the whole graph of
// work is done.
//
// # A queue in a select
//
// The channel of [Queue.Ready] is receivable when TryGet may succeed, so that a
// loop can serve a queue next to a ticker, a reload signal or other channels.
//
// # Several queues
//
// For strict lanes (urgent before normal) use one priority queue, compared by
// lane, not several queues and a select.
//
// Where one queue feeds the next, join them in the order in which items pass
// through them, and put an item into the next queue before marking it done in
// the last. Where items can also go back, no sequence of Joins is right: each
// can return before the other queue sends more. Count all work in one queue: an
// item of the first queue stays unfinished until the last queue has finished
// with it.
//
// # Interrupting and retrying
//
// A loop over Tasks marks an item done when its body ends, also if the body
// gave up because its context ended. A body that did not process its item
// passes it to Requeue; Shutdown(true) then returns it together with the items
// that were never begun.
//
// # Debugging a hang
//
// Print the queue: [Queue.String] and [Queue.Stats] show the calls that are
// blocked and the items that are unfinished, and never the items themselves.
//
//   - PutWaiting > 0 and Len == Cap: nothing takes items. Is a worker blocked in
//     a Put into its own queue?
//   - GetWaiting > 0 and Unfinished == 0: the producers have stopped; call
//     Shutdown once no more items come.
//   - Join does not return and Len == 0: Unfinished items were received and
//     never marked done.
//
// Every blocked call is a goroutine in [Queue.Put], [Queue.Get] or the like, so
// the goroutine profile (net/http/pprof, or SIGQUIT) shows which ones and since
// when, and the block profile shows how long they were. Label workers with
// [runtime/pprof.Do] to tell those of one queue from another's.
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
// A queue starts no goroutine, and no timer but that of a loop over Batches that
// lingers. A blocked call sleeps until it is completed: it does not poll for
// items or slots. (A goroutine that finds the queue's mutex locked retries for
// some microseconds before it blocks, if GOMAXPROCS is not 1. The mutex profile
// shows only those that blocked; a CPU profile shows the retries, in
// LockContended.)
//
// Memory grows with the number of queued items, not with the capacity. Blocked
// calls do not allocate in the steady state, as long as no more are blocked at a
// time than take up 256 KiB (about a thousand if items are small) or, if items
// are so large that this is less, than sixteen. What these take up stays
// allocated: sixteen items of a megabyte are 16 MiB, so queue pointers to items
// of that size.
//
// An unbounded FIFO or LIFO queue grows without copying its backlog; the array
// of a priority queue grows as a slice does, and adding or taking an item takes
// O(log n) comparisons. When it drains, an unbounded queue releases the memory
// of a burst. A bounded one keeps what its capacity needs, for at most 65,536
// items, so that filling it again does not allocate; call [Queue.Resize] to
// release it. All other operations are O(1) per item.
//
// # Tests
//
// A Queue may be used in the testing/synctest bubble in which it was created;
// blocked calls are durably blocked.
package queue
