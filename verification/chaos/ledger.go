package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/boundq/queue/natsqueue"
)

// A ledger has an entry for each item, and what was seen of the queue meanwhile.
// It may learn that an item was worked on before it learns that it was put.
type ledger struct {
	capacity int

	mu       sync.Mutex
	entries  map[item]*entry
	unread   []string // lines that tell nothing of an item
	looks    int      // at the number of unfinished items
	over     int      // of them, those that saw more than the capacity
	joins    []span   // the calls of Join that returned nil
	timeouts int      // those that were cut short
}

// An entry is what became of an item. Times are in nanoseconds.
type entry struct {
	begun, put, refused bool
	doubtful            bool  // its producer was killed before it was told
	putAt               int64 // when its producer had been told
	worked              int
	firstWorked         int64 // it was not done before
}

// A span is the time from one moment to another.
type span struct{ from, to int64 }

func newLedger(capacity int) *ledger {
	return &ledger{capacity: capacity, entries: map[item]*entry{}}
}

// Books are the ledgers of a stage, by the names of its queues.
type books map[string]*ledger

func newBooks() books {
	b := books{}
	for _, k := range kinds {
		b[k.name] = newLedger(capacity)
	}
	return b
}

// read takes a line that a process printed. One that names no queue is no ledger's,
// and makes all of them fail.
func (b books) read(line string) {
	name, rest, _ := strings.Cut(line, " ")
	if l := b[name]; l != nil {
		l.read(rest)
		return
	}
	for _, l := range b {
		l.read(line)
	}
}

// read takes a line of this queue.
func (l *ledger) read(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var event string
	var it item
	var at int64
	if n, err := fmt.Sscan(line, &event, &it.Producer, &it.By, &it.Number, &at); err != nil || n != 5 {
		l.unread = append(l.unread, line)
		return
	}
	e := l.entries[it]
	if e == nil {
		e = &entry{}
		l.entries[it] = e
	}
	switch event {
	case beginEvent:
		e.begun = true
	case putEvent:
		e.put, e.putAt = true, at
	case refusedEvent:
		e.refused = true
	case workedEvent:
		if e.worked++; e.worked == 1 || at < e.firstWorked {
			e.firstWorked = at
		}
	default:
		l.unread = append(l.unread, line)
	}
}

// pending reports whether the producer of an item has not been told of it.
func (e *entry) pending() bool { return e.begun && !e.put && !e.refused && !e.doubtful }

// killed notes that a producer will never tell of the items that it was putting.
func (l *ledger) killed(producer int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for it, e := range l.entries {
		if it.Producer == producer && e.pending() {
			e.doubtful = true
		}
	}
}

// pending returns the items that are being put.
func (l *ledger) pending() (items []item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for it, e := range l.entries {
		if e.pending() {
			items = append(items, it)
		}
	}
	return items
}

// stillPending returns those of items whose producer has not been told yet.
func (l *ledger) stillPending(items []item) []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(items, func(it item) bool { return !l.entries[it].pending() })
}

// look notes statistics of the queue.
func (l *ledger) look(s natsqueue.Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	if s.Unfinished > l.capacity {
		l.over++
	}
}

// joined notes a call of Join that returned nil, and joinFailed one that did not.
func (l *ledger) joined(call span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joins = append(l.joins, call)
}

func (l *ledger) joinFailed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timeouts++
}

// unfinished returns the times, in order and apart from each other, in each of
// which at every moment some item was unfinished for sure: its producer had been
// told that it is in, and no worker was through with it.
func (l *ledger) unfinished() []span {
	var all []span
	for _, e := range l.entries {
		if e.put && e.worked > 0 && e.putAt < e.firstWorked {
			all = append(all, span{e.putAt, e.firstWorked})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := all[:0]
	for _, s := range all {
		if last := len(merged) - 1; last >= 0 && s.from <= merged[last].to {
			merged[last].to = max(merged[last].to, s.to)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}

// An account is what a ledger comes to.
type account struct {
	begun, put, refused, doubtful int
	stored                        uint64 // as the server counts
	worked                        int    // different items
	deliveries, again             int    // and of them those beyond an item's first
	looks, joins, timeouts        int

	lost, invented, over, early, doubled int
	wrong                                []string // some of the items that were lost or invented

	errs []error // why it can't be relied on
}

// settle closes the ledger when all is done. The server says how many items it
// stored since the queue was created.
func (l *ledger) settle(stored uint64) account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := account{stored: stored, looks: l.looks, joins: len(l.joins), timeouts: l.timeouts, over: l.over}
	count := func(is bool, n *int) {
		if is {
			*n++
		}
	}
	pending := 0
	for it, e := range l.entries {
		count(e.begun, &a.begun)
		count(e.put, &a.put)
		count(e.refused, &a.refused)
		count(e.doubtful, &a.doubtful)
		count(e.worked > 0, &a.worked)
		a.deliveries += e.worked
		lost, invented := e.put && e.worked == 0, e.worked > 0 && (!e.begun || e.refused)
		count(lost, &a.lost)
		count(invented, &a.invented)
		if lost || invented {
			a.wrong = append(a.wrong, fmt.Sprintf("%v: %+v", it, *e))
		}
		count(e.pending(), &pending)
	}
	slices.Sort(a.wrong)
	a.wrong = a.wrong[:min(len(a.wrong), 20)]
	a.again = a.deliveries - a.worked
	unfinished := l.unfinished()
	for _, j := range l.joins {
		i, found := slices.BinarySearchFunc(unfinished, j.from, func(s span, at int64) int { return cmp.Compare(s.from, at) })
		if !found {
			i--
		}
		count(i >= 0 && unfinished[i].to >= j.to, &a.early)
	}
	if stored < uint64(a.worked) {
		a.errs = append(a.errs, fmt.Errorf("the server stored %d items, and %d different ones came out", stored, a.worked))
	} else {
		a.doubled = int(stored) - a.worked
	}
	if pending > 0 {
		a.errs = append(a.errs, fmt.Errorf("of %d items their producers were never told", pending))
	}
	if len(l.unread) > 0 {
		a.errs = append(a.errs, fmt.Errorf("lines that tell nothing of an item: %q", l.unread))
	}
	for what, n := range map[string]int{"item was put": a.put, "look at the capacity succeeded": a.looks, "Join returned": a.joins} {
		if n == 0 {
			a.errs = append(a.errs, fmt.Errorf("no %s", what))
		}
	}
	return a
}

func (a account) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d items: %d put, %d refused, %d unknown to their killed producers\n", a.begun, a.put, a.refused, a.doubtful)
	fmt.Fprintf(&b, "%d stored, %d worked on; %d deliveries, %d of them repeated\n", a.stored, a.worked, a.deliveries, a.again)
	fmt.Fprintf(&b, "%d looks at the capacity; %d Joins returned nil, %d timed out\n", a.looks, a.joins, a.timeouts)
	fmt.Fprintf(&b, "lost %d, invented %d, over capacity %d, early Joins %d, duplicates stored %d\n", a.lost, a.invented, a.over, a.early, a.doubled)
	return b.String()
}

// err returns an error if a promise was broken, or if the account can't tell.
func (a account) err() error {
	errs := a.errs
	for _, broken := range []struct {
		what string
		n    int
	}{{"lost", a.lost}, {"invented", a.invented}, {"over capacity", a.over}, {"early Joins", a.early}, {"duplicates stored", a.doubled}} {
		if broken.n != 0 {
			errs = append(errs, fmt.Errorf("%s: %d", broken.what, broken.n))
		}
	}
	if len(a.wrong) > 0 {
		errs = append(errs, fmt.Errorf("some of these items:\n%s", strings.Join(a.wrong, "\n")))
	}
	return errors.Join(errs...)
}
