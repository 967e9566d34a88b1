package keyed

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"github.com/boundq/queue"
)

// A Fair is a queue whose keys take turns: each key has its own FIFO queue,
// optionally bounded, and [Fair.Get] takes one item of each key in turn. So a
// key with many items does not delay other keys, and Puts of a full key do not
// block those of others. [NewFair] and [NewSerial] make one.
//
// All methods are safe for concurrent use and may be called at any time,
// including during and after [Fair.Shutdown]. A Fair must not be copied. Every
// method except Shutdown takes amortized O(1) time, however many keys there
// are.
type Fair[K comparable, V any] struct {
	// Invariants, whenever the lock is free:
	//
	//	those of core; core.len == the sum of all lanes' len
	//	tally.Unfinished == the sum of all lanes' unfinished + items in hand whose key is not equal to itself
	//	a lane is in turns    <=>  len > 0 && inHand == 0     (available() <=> turns is not empty)
	//	a lane is in behind   <=>  len > 0 && inHand > 0      (Serial only)
	//	a lane has blocked Puts  =>  it is full, it is in crowded, and the queue is not shut down
	//	core.putWaiting == the sum of all lanes' putters.Len
	//	a lane that has no items has unfinished items, and is in lanes
	//	serial  =>  unfinished == len + (inHand > 0 ? 1 : 0)

	core    core[task[K, V]]
	serial  bool
	perKey  int // most items of a key; 0: no limit
	lanes   index[K, lane[K, V]]
	turns   list[K, V] // the lanes that have an item that can be taken, in the order of their turns
	behind  list[K, V] // the lanes that have items behind one in hand
	crowded list[K, V] // the lanes that have blocked Puts, and some whose Puts have left
	taken   uint64     // items taken; the last one's number
	spare   spares[K, V]
}

// A task is an item and, of a Serial queue that it was taken from, its number.
type task[K comparable, V any] struct {
	Entry[K, V]
	number uint64
}

// NewFair returns a queue whose keys take turns. At most perKey items of each
// key are queued at a time; there is no limit if perKey <= 0.
func NewFair[K comparable, V any](perKey int) *Fair[K, V] {
	return &Fair[K, V]{perKey: max(perKey, queue.Unbounded), crowded: list[K, V]{of: byCrowd}}
}

// NewSerial returns a queue like that of [NewFair], in which at most one item
// of a key is in progress at a time: the next one can be taken when
// [Fair.TaskDone], or the loop over [Fair.Tasks] that took the last one, has
// marked it done. So any number of workers process different keys concurrently,
// and the items of each key one at a time, in the order in which they were put.
func NewSerial[K comparable, V any](perKey int) *Fair[K, V] {
	q := NewFair[K, V](perKey)
	q.serial = true
	return q
}

// Put adds an item to the queue of its key. If perKey items of the key are
// queued, it blocks until there is room, behind the calls for that key that are
// blocked already; Puts of other keys proceed meanwhile.
//
// A nil error means the item was added. Otherwise the queue is unchanged, and
// the error is ctx.Err() if ctx is done, even if there is room or the queue is
// shut down, or [queue.ErrShutdown] if the queue is shut down, before the call
// or while it blocks. If ctx ends at the moment a blocked Put gets its slot,
// the item is added and Put returns nil.
//
// If key is not equal to itself because it contains a NaN, the item is the only
// one of its key. Put panics, and changes nothing, if key cannot be a map key
// because it contains an interface whose value is not comparable; so do all
// methods that take a key.
func (q *Fair[K, V]) Put(ctx context.Context, key K, value V) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &q.core
	c.lock()
	l := q.find(key)
	var done <-chan struct{}
	if q.full(l) {
		done = c.lot.Done(ctx)
		l = q.find(key)
	}
	if c.shutdown {
		c.unlock()
		return queue.ErrShutdown
	}
	if !q.full(l) {
		q.add(l, key, value)
		c.unlock()
		return nil
	}
	c.putBlocked++
	c.putWaiting++
	w := c.lot.Park(&l.putters)
	w.Items[0].Entry = Entry[K, V]{key, value}
	if !l.crowded {
		l.crowded = true
		q.crowded.append(l)
	}
	c.unlock()
	c.lot.WaitOr(done, &l.putters, w, func() { c.putWaiting-- })
	_, _, err := c.lot.Collect(ctx, w)
	return err
}

// TryPut adds an item as [Fair.Put] does, without blocking. It returns
// [queue.ErrShutdown] if the queue is shut down and [queue.ErrFull] if perKey
// items of the key are queued; the queue is unchanged then.
func (q *Fair[K, V]) TryPut(key K, value V) (err error) {
	c := &q.core
	c.lock()
	l := q.find(key)
	switch {
	case c.shutdown:
		err = queue.ErrShutdown
	case q.full(l):
		c.rejected++
		err = queue.ErrFull
	default:
		q.add(l, key, value)
	}
	c.unlock()
	return err
}

// Get removes and returns the oldest item of the key whose turn it is. If no
// item can be taken, it blocks until there is one, behind the calls that are
// blocked already.
//
// Keys that have items are in a line, and the first key has the turn. If it has
// more items, it moves to the back of the line: at once or, in a queue made by
// [NewSerial], when the item is marked done. A key that gets its first item
// joins at the back. So between two items of a key, every other key in the line
// has its turn.
//
// A nil error means the item is the caller's. Otherwise the queue is unchanged,
// and the error is ctx.Err() if ctx is done, even if there are items or the
// queue is shut down, or [queue.ErrShutdown] if the queue is empty and shut
// down, before the call or while it blocks. If ctx ends at the moment a blocked
// Get is handed an item, Get returns the item. In a queue made by NewSerial
// that is shut down, Get blocks while all remaining items are behind others in
// progress; it returns ErrShutdown once another call has taken the last one.
//
// Call [Fair.TaskDone] once the item has been processed: until then the queue
// keeps a record of the key.
func (q *Fair[K, V]) Get(ctx context.Context) (K, V, error) {
	t, err := get(ctx, &q.core, q)
	return t.Key, t.Value, err
}

// TryGet removes and returns an item as [Fair.Get] does, without blocking. If
// no item can be taken, it returns [queue.ErrShutdown] if the queue is shut
// down and empty, and [queue.ErrEmpty] otherwise. A queue made by [NewSerial]
// may then have items behind others in progress, even after a graceful
// shutdown. Use Get or [Fair.Tasks] to wait for them.
func (q *Fair[K, V]) TryGet() (K, V, error) {
	t, err := tryGet(&q.core, q)
	return t.Key, t.Value, err
}

// Tasks returns a worker's loop over the queue: it yields items as [Fair.Get]
// returns them, blocking while there are none, and marks each one done when the
// loop body finishes with it, whether it continues, breaks out or panics. The
// loop ends when the queue is shut down and empty, or when ctx is done;
// ctx.Err() tells which.
//
// The body must not call TaskDone itself. Any number of goroutines may range
// over one queue; each item goes to one of them.
func (q *Fair[K, V]) Tasks(ctx context.Context) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		tasks(ctx, &q.core, q, func(t task[K, V]) bool { return yield(t.Key, t.Value) })
	}
}

// Ready returns a channel for a select: it is receivable when a [Fair.TryGet]
// may succeed. It is the same channel at every call, and holds one signal; see
// [queue.Queue.Ready]. In a queue made by [NewSerial], a TaskDone that makes
// the key's next item available also sends the signal.
//
// [Fair.Shutdown] closes the channel. TryGet then returns the items that are
// left, and after them [queue.ErrShutdown]; in a queue made by NewSerial it can
// return [queue.ErrEmpty] before that, so switch to Get or [Fair.Tasks].
func (q *Fair[K, V]) Ready() <-chan struct{} { return readyChan(&q.core, q) }

// TaskDone marks one item of key done. Every item put adds one to the key's
// count of unfinished items, and TaskDone takes one off; when all counts are
// zero, all calls of [Fair.Join] return. In a queue made by [NewSerial], it
// marks the item of key that is in progress done, and the next one can be
// taken.
//
// It returns [queue.ErrTaskDone], and changes nothing, if the key has no
// unfinished items or, in a queue made by NewSerial, no item in progress. Only
// [Fair.Tasks] can mark an item done whose key is not equal to itself.
func (q *Fair[K, V]) TaskDone(key K) (err error) {
	c := &q.core
	c.lock()
	l := q.find(key)
	if l == nil || l.unfinished == 0 || q.serial && l.inHand == 0 {
		err = queue.ErrTaskDone
	} else {
		q.done(l)
	}
	c.unlock()
	return err
}

// Join blocks until no item of any key is unfinished: each was marked done, or
// dropped by [Fair.Shutdown]. It returns nil once the unfinished count has been
// zero at any moment since the call, even if items were added afterwards. It
// returns ctx.Err() if ctx is done, even if no item is unfinished. A shutdown
// does not unblock it.
func (q *Fair[K, V]) Join(ctx context.Context) error {
	return q.core.tally.Join(ctx, &q.core.lot)
}

// Shutdown closes the queue to new items: [Fair.Put] and [Fair.TryPut] return
// [queue.ErrShutdown], including calls of Put that are blocked. Shutdown(false)
// leaves the queued items, which can still be received in turn; once the queue
// is empty, [Fair.Get] and [Fair.TryGet] return ErrShutdown, and loops over
// [Fair.Tasks] end. Shutdown(true) removes the queued items and returns them,
// those of each key in order; they count as dropped and are no longer
// unfinished.
//
// It can be called again, at any time; a graceful shutdown can be followed by an
// immediate one. It never blocks. The complexity is O(1) for each call that it
// releases and each item that it returns.
func (q *Fair[K, V]) Shutdown(immediate bool) (drained []Entry[K, V]) {
	c := &q.core
	c.lock()
	for l := q.crowded.head; l != nil; l = q.crowded.head {
		q.crowded.remove(l)
		l.crowded = false
		c.putWaiting -= l.putters.Len
		c.lot.ServeAll(&l.putters, queue.ErrShutdown)
	}
	if immediate && c.len > 0 {
		drained = q.drain()
	}
	c.end()
	c.unlock()
	return drained
}

// Len returns the number of queued items, over all keys.
func (q *Fair[K, V]) Len() int { return q.core.queued() }

// LenOf returns the number of queued items of key. It is 0 for a key that is not
// equal to itself.
func (q *Fair[K, V]) LenOf(key K) int {
	q.core.lock()
	n := 0
	if l := q.find(key); l != nil {
		n = l.len
	}
	q.core.unlock()
	return n
}

// Stats returns a consistent snapshot of the queue's statistics, over all keys.
// Cap is 0.
func (q *Fair[K, V]) Stats() queue.Stats { return q.core.stats() }

// String returns the queue's kind and statistics in a line, for logs. It shows
// no keys and no items.
func (q *Fair[K, V]) String() string {
	if q.serial {
		return q.core.describe("serial")
	}
	return q.core.describe("fair")
}

// Format implements [fmt.Formatter]. It writes what [Fair.String] returns,
// quoted for %q, whatever the verb: by default, %d and %#v would read the
// queue's fields without the lock, and show what is queued.
func (q *Fair[K, V]) Format(f fmt.State, verb rune) { format(f, verb, q.String()) }

// LogValue returns the queue's statistics as [queue.Stats.LogValue] does.
func (q *Fair[K, V]) LogValue() slog.Value { return q.core.logValue() }

// find returns the lane of key, or nil. The lock must be held; it is released
// if find panics.
func (q *Fair[K, V]) find(key K) *lane[K, V] { return q.lanes.find(&q.core.lot.Mu, key) }

// full reports whether no item can be added to l, which may be nil. The lock
// must be held.
func (q *Fair[K, V]) full(l *lane[K, V]) bool { return l != nil && q.perKey > 0 && l.len >= q.perKey }

// add hands an item to the longest blocked Get, if it can be taken, or queues
// it. l is the lane of its key, or nil, and is not full. The lock must be held.
func (q *Fair[K, V]) add(l *lane[K, V], key K, value V) {
	if l == nil {
		l = q.spare.get(key)
		l.items.SetKeep(min(q.perKey, maxKeep))
		q.lanes.add(key, l)
	}
	c := &q.core
	if c.getters.Head != nil && l.inHand == 0 {
		c.count()
		l.unfinished++
		c.hand(q.hold(l, value))
		return
	}
	q.push(l, value)
	if l.len == 1 {
		q.place(l)
	}
	if l.inHand == 0 {
		q.signal()
	}
}

// push queues an item in l. If it is the only one, l must be placed thereafter.
// The lock must be held.
func (q *Fair[K, V]) push(l *lane[K, V], value V) {
	l.items.PushBack(value)
	l.len++
	l.unfinished++
	c := &q.core
	c.len++
	c.maxLen = max(c.maxLen, c.len)
	c.count()
}

// place puts a lane with items, which is in neither list, where it belongs. The
// lock must be held.
func (q *Fair[K, V]) place(l *lane[K, V]) {
	if l.inHand == 0 {
		q.turns.append(l)
	} else {
		q.behind.append(l)
	}
}

// hold returns value as a task that was taken from l. The lock must be held.
func (q *Fair[K, V]) hold(l *lane[K, V], value V) task[K, V] {
	if q.serial {
		q.taken++
		l.inHand = q.taken
	}
	return task[K, V]{Entry[K, V]{l.key, value}, l.inHand}
}

func (q *Fair[K, V]) available() bool { return q.turns.head != nil }

func (q *Fair[K, V]) take() task[K, V] {
	l := q.turns.head
	q.turns.remove(l)
	t := q.pop(l)
	q.signal()
	return t
}

// pop takes the oldest item of l, which is in neither list, lets a blocked Put
// in, and puts l where it belongs. The lock must be held.
func (q *Fair[K, V]) pop(l *lane[K, V]) task[K, V] {
	c := &q.core
	t := q.hold(l, l.items.PopFront())
	l.len--
	c.len--
	if l.crowded {
		q.admit(l)
	}
	if l.len > 0 {
		q.place(l)
	} else {
		q.leave(l)
	}
	c.release()
	return t
}

// admit lets the longest blocked Put of l in, if there is one: l was full, and an
// item was taken from it. The lock must be held.
func (q *Fair[K, V]) admit(l *lane[K, V]) {
	if w := l.putters.Head; w != nil {
		q.push(l, w.Items[0].Value)
		q.core.putWaiting--
		q.core.lot.Serve(&l.putters, nil)
	}
	if l.putters.Head == nil {
		l.crowded = false
		q.crowded.remove(l)
	}
}

func (q *Fair[K, V]) mark(t task[K, V]) {
	if !selfEqual(t.Key) { // which has no lane by now; only its loop can have it marked
		q.core.tally.MarkDone(&q.core.lot, 1)
		return
	}
	l := q.lanes.entries[t.Key]
	if l != nil && l.unfinished > 0 && l.inHand == t.number {
		q.done(l)
	}
}

// done marks an item of l done, which must have one: in a Serial queue the one
// in hand, whose successor can be taken then. The lock must be held.
func (q *Fair[K, V]) done(l *lane[K, V]) {
	c := &q.core
	l.unfinished--
	c.tally.MarkDone(&c.lot, 1)
	behind := l.inHand > 0 && l.len > 0
	l.inHand = 0
	switch {
	case !behind:
		q.leave(l)
	case c.getters.Head != nil:
		q.behind.remove(l)
		w := c.getters.Head
		c.lot.Serve(&c.getters, nil) // before pop, which may end all that are left
		w.Items[0] = q.pop(l)
	default:
		q.behind.remove(l)
		q.turns.append(l)
		q.signal()
	}
}

// leave removes l if there is nothing to remember of it. (A lane whose key is not
// equal to itself is in no index: once its item is taken, nothing refers to it.)
// The lock must be held.
func (q *Fair[K, V]) leave(l *lane[K, V]) {
	if l.len == 0 && l.unfinished == 0 {
		q.lanes.remove(l.key)
		q.spare.put(l)
	}
}

// drain removes all items and returns them, in turns where they can be taken.
// No Put may be blocked, and the lock must be held.
func (q *Fair[K, V]) drain() []Entry[K, V] {
	c := &q.core
	drained := make([]Entry[K, V], 0, c.len)
	unfinished := 0
	for _, lanes := range []*list[K, V]{&q.turns, &q.behind} {
		for l := lanes.head; l != nil; l = lanes.head {
			lanes.remove(l)
			drained = append(drained, Entry[K, V]{l.key, l.items.PopFront()})
			l.len--
			if l.unfinished > 0 {
				l.unfinished--
				unfinished++
			}
			if l.len > 0 {
				lanes.append(l)
			} else {
				q.leave(l)
			}
		}
	}
	c.drop(len(drained), unfinished)
	return drained
}

// signal tells the callers of Ready that an item can be taken. The lock must be
// held.
func (q *Fair[K, V]) signal() {
	if q.core.ready.C != nil && q.turns.head != nil {
		q.core.ready.Send()
	}
}
