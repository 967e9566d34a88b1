package keyed

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/boundq/queue"
	"github.com/boundq/queue/internal/park"
)

// A core is what Latest and Fair have in common: the lock, the calls that are
// blocked under it, and the statistics. It moves items of type T.
//
// Neither type is built on a queue.Queue of keys beside a map: with a lock for
// each, a Put that replaces a value could meet a Get that has taken the key but
// not yet its value, a blocked Get would be handed a key whose value another
// call can take first, and the statistics would be of two moments. What can be
// shared with Queue is below it, in internal/park.
type core[T any] struct {
	// Invariants, whenever the lock is free:
	//
	//	0 <= len <= maxLen
	//	got == put - dropped - len, and got >= 0
	//	0 <= tally.Unfinished <= put, put - done - dropped <= tally.Unfinished
	//	drained <= dropped
	//	getters.Len > 0  =>  !available() && !ended()
	//	available() && ready.C != nil && !shutdown  =>
	//		ready holds a signal, or one was received since an item, or a key that can be taken, last came or left

	lot      park.Lot[T] // holds the mutex, which guards all that follows
	getters  park.Line[T]
	tally    park.Tally[T]
	ready    park.Signal
	shutdown bool

	len, maxLen            int // of queued items
	put, dropped, drained  uint64
	rejected               uint64
	putBlocked, getBlocked uint64
	putWaiting             int
}

// A source is a queue as its core sees it. The lock must be held.
type source[T any] interface {
	available() bool // whether there is an item that can be taken now
	take() T         // takes that item
	mark(item T)     // marks an item done that a loop took, unless the loop's body did
}

func (c *core[T]) lock() {
	if !c.lot.Mu.TryLock() {
		c.lot.Mu.LockContended()
	}
}

// unlock releases the lock and wakes the calls that were completed under it.
func (c *core[T]) unlock() {
	if c.lot.Pending() {
		c.lot.Unlock()
	} else {
		c.lot.Mu.Unlock()
	}
}

// ended reports whether no item is queued and none will be. The lock must be
// held.
func (c *core[T]) ended() bool { return c.shutdown && c.len == 0 }

// count counts an item that was put. The lock must be held.
func (c *core[T]) count() {
	c.put++
	c.tally.Unfinished++
}

// hand completes the longest blocked Get with item. The lock must be held, and
// there must be one.
func (c *core[T]) hand(item T) {
	c.getters.Head.Items[0] = item
	c.lot.Serve(&c.getters, nil)
}

// drop removes n queued items from the count, of which some are unfinished,
// because of a shutdown. The lock must be held.
func (c *core[T]) drop(n, unfinished int) {
	c.len -= n
	c.dropped += uint64(n)
	c.drained += uint64(n)
	c.tally.Finish(&c.lot, unfinished)
}

// end shuts the queue down: blocked Gets that no item will come for return. The
// lock must be held.
func (c *core[T]) end() {
	c.shutdown = true
	c.ready.Close()
	c.release()
}

// release ends the blocked Gets if no item will come. The lock must be held.
func (c *core[T]) release() {
	if c.ended() {
		c.lot.ServeAll(&c.getters, queue.ErrShutdown)
	}
}

// get is Get of q, whose core is c.
func get[T any](ctx context.Context, c *core[T], q source[T]) (item T, err error) {
	if err := ctx.Err(); err != nil {
		return item, err
	}
	c.lock()
	var done <-chan struct{}
	if !q.available() {
		done = c.lot.Done(ctx)
	}
	return takeUnlock(ctx, done, c, q)
}

// takeUnlock takes an item, or blocks until it is handed one. The lock must be
// held; it is released.
func takeUnlock[T any](ctx context.Context, done <-chan struct{}, c *core[T], q source[T]) (item T, err error) {
	if q.available() {
		item = q.take()
		c.unlock()
		return item, nil
	}
	if c.ended() {
		c.unlock()
		return item, queue.ErrShutdown
	}
	c.getBlocked++
	w := c.lot.Park(&c.getters)
	c.unlock()
	c.lot.Wait(done, &c.getters, w)
	item, _, err = c.lot.Collect(ctx, w)
	return item, err
}

// tryGet is TryGet of q, whose core is c.
func tryGet[T any](c *core[T], q source[T]) (item T, err error) {
	c.lock()
	switch {
	case q.available():
		item = q.take()
	case c.ended():
		err = queue.ErrShutdown
	default:
		err = queue.ErrEmpty
	}
	c.unlock()
	return item, err
}

// tasks is the loop over Tasks of q, whose core is c. It marks an item done and
// takes the next in one critical section.
func tasks[T any](ctx context.Context, c *core[T], q source[T], yield func(T) bool) {
	var item, none T
	inHand := false
	defer func() {
		if inHand {
			c.lock()
			q.mark(item)
			c.unlock()
		}
	}()
	done := ctx.Done()
	for {
		if ctx.Err() != nil {
			return
		}
		c.lock()
		if inHand {
			q.mark(item)
			item, inHand = none, false
		}
		next, err := takeUnlock(ctx, done, c, q)
		if err != nil {
			return
		}
		item, inHand = next, true
		if !yield(item) {
			return
		}
	}
}

// readyChan is Ready of q, whose core is c.
func readyChan[T any](c *core[T], q source[T]) <-chan struct{} {
	if ready := c.ready.Made(); ready != nil {
		return ready
	}
	c.lock()
	defer c.unlock()
	return c.ready.Chan(q.available())
}

// queued returns how many items are queued.
func (c *core[T]) queued() int {
	c.lock()
	defer c.unlock()
	return c.len
}

// stats returns the statistics.
func (c *core[T]) stats() queue.Stats {
	c.lock()
	defer c.unlock()
	return c.snapshot()
}

// snapshot returns the statistics. The lock must be held.
func (c *core[T]) snapshot() queue.Stats {
	return queue.Stats{
		Len:        c.len,
		MaxLen:     c.maxLen,
		Unfinished: int(min(c.tally.Unfinished, math.MaxInt)),
		PutWaiting: c.putWaiting,
		GetWaiting: c.getters.Len,
		Put:        c.put,
		Got:        c.put - c.dropped - uint64(c.len),
		Done:       c.tally.Done,
		Dropped:    c.dropped,
		Drained:    c.drained,
		Rejected:   c.rejected,
		PutBlocked: c.putBlocked,
		GetBlocked: c.getBlocked,
		Shutdown:   c.shutdown,
	}
}

// describe returns the name of a kind of queue and the statistics in a line.
func (c *core[T]) describe(kind string) string { return fmt.Sprintf("%s queue %+v", kind, c.stats()) }

// format writes text, quoted for %q, whatever the verb.
func format(f fmt.State, verb rune, text string) {
	if verb != 'q' {
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), text)
}

// logValue returns the statistics for a structured log.
func (c *core[T]) logValue() slog.Value { return c.stats().LogValue() }
