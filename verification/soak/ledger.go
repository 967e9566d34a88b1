package main

import (
	"cmp"
	"fmt"
	"sync/atomic"
)

// An item says where it comes from, so that its receiver can check the order.
type item struct {
	id       uint32 // its place in the ledger
	producer uint16
	key      uint16
	seq      uint32 // its number among the producer's items
}

func compareKeys(a, b item) int { return cmp.Compare(a.key, b.key) }

// ledgerSize is how many items a round can have.
const ledgerSize = 1 << 19

// A ledger has an entry for each item of a round: what its producer was told, and
// whether it came out. Its receiver may write before its producer does.
type ledger struct {
	next    atomic.Uint32
	entries []atomic.Uint32

	accepted, doubtful atomic.Uint64 // items whose producer knows, or can't know, that they are in
	ended              atomic.Uint64 // items that came out
	mayBeLost          atomic.Uint64 // items that goroutines may have held when compare ended them
	full               atomic.Uint64 // items refused with ErrFull
	requeues           atomic.Uint64 // calls of Requeue that began
	done               atomic.Uint64 // items marked done
	received, dropped  atomic.Uint64
	drained            atomic.Uint64
}

const (
	accepted = 1 << iota // a call said that it is in
	refused              // a call said that it is not
	doubtful             // the call ended without saying
	ended                // it was received, evicted or drained
)

func newLedger() *ledger { return &ledger{entries: make([]atomic.Uint32, ledgerSize)} }

// reset clears the entries that the last round used.
func (l *ledger) reset() {
	for i := range min(l.next.Load(), ledgerSize) {
		l.entries[i].Store(0)
	}
	for _, n := range []*atomic.Uint64{&l.accepted, &l.doubtful, &l.ended, &l.mayBeLost, &l.full, &l.requeues, &l.done, &l.received, &l.dropped, &l.drained} {
		n.Store(0)
	}
	l.next.Store(0)
}

// tell notes what the producer of an item was told.
func (l *ledger) tell(it item, what uint32) error {
	before := l.entries[it.id].Or(what)
	switch what {
	case accepted:
		l.accepted.Add(1)
	case doubtful:
		l.doubtful.Add(1)
	case refused:
		if before&ended != 0 {
			return fmt.Errorf("item %+v was refused, but came out", it)
		}
	}
	return nil
}

// end notes that an item came out.
func (l *ledger) end(it item) error {
	if it.id >= min(l.next.Load(), ledgerSize) {
		return fmt.Errorf("item %+v came out, but was never put", it)
	}
	l.ended.Add(1)
	switch before := l.entries[it.id].Or(ended); {
	case before&ended != 0:
		return fmt.Errorf("item %+v came out twice", it)
	case before&refused != 0:
		return fmt.Errorf("item %+v was refused, but came out", it)
	}
	return nil
}

// peeked returns an error if an item cannot have been queued.
func (l *ledger) peeked(it item) error {
	switch {
	case it.id >= min(l.next.Load(), ledgerSize):
		return fmt.Errorf("item %+v was at the head of the queue, but was never put", it)
	case l.entries[it.id].Load()&refused != 0:
		return fmt.Errorf("item %+v was refused, but was at the head of the queue", it)
	}
	return nil
}

// left returns an accepted item that did not come out, and how many there are.
func (l *ledger) left() (id int, n uint64) {
	for i := range min(l.next.Load(), ledgerSize) {
		if e := l.entries[i].Load(); e&accepted != 0 && e&ended == 0 {
			id = int(i)
			n++
		}
	}
	return id, n
}

// A stream is what has an order of its own: the items of a producer and, but for
// FIFO and LIFO queues, a key.
type stream struct{ producer, key uint16 }

func streamOf(order string, it item) stream {
	if order == "fifo" || order == "lifo" {
		return stream{producer: it.producer}
	}
	return stream{it.producer, it.key}
}

// inOrder returns an error if items that left one after another, while none came
// in, are not in the order that the queue promises.
func inOrder(order string, items []item) error {
	last := map[stream]item{}
	for i, it := range items {
		if order == "priority" && i > 0 && compareKeys(items[i-1], it) > 0 {
			return fmt.Errorf("item %+v left before %+v", items[i-1], it)
		}
		of := streamOf(order, it)
		if before, ok := last[of]; ok && (before.seq > it.seq) != (order == "lifo") {
			return fmt.Errorf("item %+v left before %+v", before, it)
		}
		last[of] = it
	}
	return nil
}
