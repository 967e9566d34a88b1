// Package keyed provides blocking queues of items with keys. They work as those
// of package queue do, with the same contexts, errors, task tracking and
// shutdown, and differ in what a key means:
//
//   - [Latest] keeps the newest value of each key, in the order in which the keys
//     were queued. It is for readings that go out of date, such as quotes: a slow
//     consumer skips old values, and never falls behind by more than there are
//     keys.
//   - [NewFair] makes a queue in which the keys take turns, each with a FIFO
//     queue and a limit of its own. It is for tenants: one with a large backlog
//     delays no other.
//   - [NewSerial] makes the same, with at most one item of a key in hand at a
//     time. It is for events that must be processed in order by key, over several
//     workers.
//
// Use a [queue.Queue] if items have no key, or if the key does not matter to the
// order in which they leave.
//
// # Blocking and errors
//
// As in package queue, a context that is done before the call wins over
// everything. A nil error means the operation took effect; a non-nil error means
// the queue is unchanged. Blocked calls complete first come, first served: those
// of Put by key. A blocked Get is handed its item, and keeps it even if its
// context ends before its goroutine runs again. Statistics, hand-off and memory
// model are those of package queue too.
//
// # Keys
//
// Keys are compared as those of a map are. A key that holds a NaN is not equal to
// itself: each item with such a key has a key of its own. A key that holds an
// interface whose value is not comparable panics in the call, as it does with a
// map, and the queue remains usable.
//
// # Cost
//
// No call allocates in the steady state where keys stay alive: where Latest
// replaces a value, or where a key of Fair has items queued or in hand. The
// memory of keys that are gone is released, but for that of about a thousand,
// which is kept for the next.
package keyed
