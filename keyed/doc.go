// Package keyed provides blocking queues of items with keys. They behave like
// those of package queue, with the same contexts, errors, task tracking and
// shutdown, and differ in what a key means:
//
//   - [Latest] keeps only the newest value of each key, in the order in which
//     the keys were queued. It is for values that go out of date, such as
//     quotes: a slow consumer skips old values, and the backlog is never longer
//     than the number of keys.
//   - [NewFair] makes a queue in which keys take turns. Each key has its own
//     FIFO queue and its own limit. It is for tenants: one with a large backlog
//     does not delay the others.
//   - [NewSerial] makes such a queue in which at most one item of a key is in
//     progress at a time. It is for events of a key that several workers must
//     process in order.
//
// Use a [queue.Queue] if items have no key, or if the key does not affect the
// order in which they leave.
//
// # Blocking and errors
//
// As in package queue, a context that is done before the call takes precedence.
// A nil error means the operation took effect; a non-nil error means the queue
// is unchanged. Blocked calls complete first come, first served (calls of Put,
// among those of the same key). A blocked Get that was handed an item keeps it
// even if its context ends before its goroutine runs again. Statistics and the
// memory model are those of package queue.
//
// # Keys
//
// Keys are compared like those of a map. A key that contains a NaN is not equal
// to itself, so each item with such a key has a key of its own. A call panics,
// as a map does, if its key contains an interface whose value is not
// comparable; the queue remains usable.
//
// # Cost
//
// No call allocates in the steady state as long as keys stay alive: when Latest
// replaces a value, or when a key of a Fair has items queued or in progress.
// The memory of other keys is released, except that of about a thousand, which
// is kept for reuse.
package keyed
