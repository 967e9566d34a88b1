// Package linearizability checks concurrent histories of a queue against a
// specification with Porcupine. The specification says what the queue does if
// calls run one at a time; the tests record what several clients observe.
//
// A history is linearizable if its calls can be put into one sequential order that
// the queue could have executed, and in which no call that had returned comes
// after one that had not started. So the specification says for each call in which
// states it may return what it returned, and which state it leaves.
//
// Blocked calls need no states of their own: a blocked Get takes effect when it is
// handed its item, in a state in which there is one. These rules go further:
//
//   - A call with a context takes effect as a whole or not at all. If it returns
//     the context's error, it did nothing, and fits everywhere; but the context
//     must be one that could have ended, and if it had ended before the call, no
//     other result is allowed.
//   - A PutBatch is one step for each item, because a batch that blocks is added
//     in parts. The steps of one critical section belong together: while there is
//     room and items are left, nothing comes between them except a blocked Get,
//     GetBatch or loop that takes every item so far. No other call except ForcePut
//     and Requeue inserts items between its own. The same holds for a TryPutBatch,
//     which is a single critical section, including the part that it rejects.
//   - A batch that is handed directly to a GetBatch is never queued, and so may be
//     larger than the capacity.
//   - A turn of Batches is a step that marks the last batch done, one for each
//     item that it takes, and one that ends it early. From its first item until it
//     ends, nothing but this turn takes items. While there are items that it has
//     room for, no other call runs except blocked Puts that it lets in, and a Join
//     if the mark took the unfinished count to zero. It ends early at the end of a
//     context, a shutdown, or a tick of the clock, which advances only when the
//     recorder says so; when the clock has advanced and the system is quiescent, no
//     turn may still hold items.
//   - The state includes whether Ready's channel must hold a signal: items are
//     queued, and no signal was received since one was last queued or left. Then a
//     receive must succeed. It may also succeed in other states, once there was
//     something to signal.
//   - That no call stays blocked that could proceed is not a matter of order. The
//     recorder waits until the system is quiescent and records which calls are
//     still blocked; such a record is a step that needs a state in which the call
//     cannot proceed.
//
// That calls are completed first come, first served is not checked here: a
// history does not show which call blocked first.
package linearizability

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
	"github.com/boundq/queue"
)

// An Item is what is put. Items are numbered in the order in which the program
// names them, those of a batch one after another.
type Item byte

// Compare orders the items of a priority queue. Every third is equal, so that
// the order of arrival matters.
func Compare(a, b Item) int { return int(a%3) - int(b%3) }

// An Order is one of the three orders in which items leave.
type Order string

const (
	FIFO     Order = "fifo"
	LIFO     Order = "lifo"
	Priority Order = "priority"
)

// An Op is a method of the queue or, with a name that begins with "blocked", the
// note that a call of it is blocked when all is at rest.
type Op string

const (
	Put       Op = "Put"
	TryPut    Op = "TryPut"
	ForcePut  Op = "ForcePut"
	PutBatch  Op = "PutBatch"
	Get       Op = "Get"
	TryGet    Op = "TryGet"
	GetBatch  Op = "GetBatch"
	Peek      Op = "Peek"
	Len       Op = "Len"
	Stats     Op = "Stats"
	TaskDone  Op = "TaskDone"
	TaskDoneN Op = "TaskDoneN"
	Join      Op = "Join"
	Shutdown  Op = "Shutdown"
	Resize    Op = "Resize"

	TryPutBatch Op = "TryPutBatch"
	TryGetBatch Op = "TryGetBatch"
	Requeue     Op = "Requeue"
	Ready       Op = "Ready"

	Receive Op = "receive from Ready"    // without blocking
	Await   Op = "wait for Ready"        // blocks until there is a signal or ctx is done
	Batches Op = "Batches"               // a loop; its history is made of the four that follow
	Mark    Op = "Batches: mark done"    // N items, as a turn begins
	Take    Op = "Batches: take"         // one item
	Cut     Op = "Batches: turn cut off" // a turn that has fewer items than it has room for ends
	End     Op = "Batches: end"          // the loop ends by itself
	Tick    Op = "the linger passes"     // the clock advances by more than a linger

	ParkedPut   Op = "blocked Put"
	ParkedGet   Op = "blocked Get"
	ParkedJoin  Op = "blocked Join"
	ParkedAwait Op = "blocked on Ready"
)

// An Ending says when a call's context ends.
type Ending string

const (
	Never  Ending = ""
	Within Ending = " (ctx ends)" // at any time after the call has begun, if at all
	Before Ending = " (ctx done)" // before the call
)

// An Input is a call. A PutBatch is several: one for each item that went in, and
// if not all did, one without an item that returns the error.
type Input struct {
	Op        Op
	Item      Item
	N         int  // the room of GetBatch and Batches, the count of TaskDoneN and Mark, the capacity of Resize, the rest of a TryPutBatch
	Immediate bool // of Shutdown
	Ctx       Ending

	Batch  int  // numbers the PutBatch, TryPutBatch or turn, from 1
	Index  int  // of the item in its batch or turn
	Last   bool // no step of the batch or turn follows
	Linger bool // of Batches
	Leaves bool // of Mark: no turn need follow
}

// An Output is what the call returned.
type Output struct {
	Items string // received, evicted or drained, one byte each
	N     int    // of Len
	Err   error
	Stats Figures

	Signal, Closed bool // of Receive and Await
}

// Figures are those of the queue's figures that the state determines.
type Figures struct {
	Len, Cap, Unfinished                  int
	Put, Done, Dropped, Drained, Rejected int
	Shutdown                              bool
}

// A state of the queue. It is comparable, and never changed.
type state struct {
	items    string // one byte each, in the order in which they came
	capacity int
	shutdown bool
	refusing bool // the shutdown was immediate

	unfinished                            int
	put, done, dropped, drained, rejected int

	batch  int  // the PutBatch or TryPutBatch that is under way, 0 if there is none
	next   int  // the index of its next item
	try    bool // it is a TryPutBatch
	handed bool // its items are on their way to a GetBatch, and more than fit

	turn   int  // the turn of Batches that holds items, or is about to take some; 0 if there is none
	taken  int  // how many it holds
	ticked bool // the clock advanced since it took the first

	used      bool // Ready was called
	owed      bool // Ready's channel must hold a signal
	signalled bool // Ready's channel may hold a signal
}

// Model returns the specification of a queue that starts with capacity.
func Model(order Order, capacity int) porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return state{capacity: capacity} },
		Step: func(s, in, out any) (bool, any) {
			next, ok := s.(state).step(order, in.(Input), out.(Output))
			return ok, next
		},
		Hash:              func(s any) uint64 { return maphash.Comparable(seed, s.(state)) },
		DescribeOperation: func(in, out any) string { return in.(Input).String() + out.(Output).String() },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
}

func (s state) full() bool { return s.capacity > 0 && len(s.items) >= s.capacity }

// step returns the state that the call leaves behind, and whether it could
// return what it did.
func (s state) step(order Order, in Input, out Output) (state, bool) {
	if out.Err == context.Canceled {
		if in.Op == PutBatch && in.Index > 0 { // some went in: it was blocked
			ok := in.Ctx == Within && s.batch == in.Batch && s.next == in.Index && s.full() && !s.shutdown
			s.batch, s.next = 0, 0
			return s, ok && !s.handed
		}
		return s, in.Ctx != Never
	}
	if in.Ctx == Before {
		return s, in.Op == End
	}
	if !s.apart(in, out) {
		return s, false
	}

	switch in.Op {
	case Put, TryPut, PutBatch, TryPutBatch, ForcePut, Requeue:
		return s.puts(order, in, out)
	case Get, TryGet, GetBatch, TryGetBatch, Peek:
		return s.gets(order, in, out)
	case Mark, Take, Cut, End:
		return s.batches(order, in, out)
	case Ready, Receive, Await:
		return s.ready(in, out)
	case Tick:
		s.ticked = s.turn != 0
		return s, true
	case Len:
		return s, out.N == len(s.items)
	case Stats:
		return s, out.Stats == Figures{
			Len: len(s.items), Cap: s.capacity, Unfinished: s.unfinished,
			Put: s.put, Done: s.done, Dropped: s.dropped, Drained: s.drained, Rejected: s.rejected,
			Shutdown: s.shutdown,
		}
	case TaskDone, TaskDoneN:
		if in.N < 0 || in.N > s.unfinished {
			return s, out.Err == queue.ErrTaskDone
		}
		s.unfinished -= in.N
		s.done += in.N
		return s, out.Err == nil
	case Join:
		return s, out.Err == nil && s.unfinished == 0
	case Shutdown:
		drained := ""
		if in.Immediate {
			drained, s = s.take(order, len(s.items))
			s.unfinished = max(s.unfinished-len(drained), 0)
			s.dropped += len(drained)
			s.drained += len(drained)
			s.refusing = true
		}
		s.shutdown = true
		s.batch, s.next = 0, 0
		return s, out.Items == drained
	case Resize:
		s.capacity = max(in.N, queue.Unbounded)
		return s, true
	case ParkedPut:
		return s, s.full() && !s.shutdown
	case ParkedGet:
		return s, s.items == "" && !s.shutdown && !s.ticked
	case ParkedJoin:
		return s, s.unfinished > 0
	case ParkedAwait:
		return s, !s.owed && !s.shutdown
	}
	panic("linearizability: unknown operation " + in.Op)
}

// apart reports whether a step may come where a batch that goes in, or a turn
// that takes items, is in the middle of a critical section.
func (s state) apart(in Input, out Output) bool {
	ownItem := (in.Op == PutBatch || in.Op == TryPutBatch) && in.Batch == s.batch && (out.Err == nil || s.try)
	takesAll := (in.Op == Get || in.Op == Take) && len(s.items) == 1 || in.Op == GetBatch && len(s.items) <= in.N
	ownTake := in.Op == Take && in.Batch == s.turn // which may free slots before the batch gets any
	putting := s.handed || s.batch != 0 && (s.try || !s.full())
	if putting && !ownItem && !takesAll && !(ownTake && !s.try && !s.handed) {
		return false
	}
	letIn := (in.Op == Put || in.Op == PutBatch) && !s.full()
	marked := in.Op == Join && s.taken == 0
	taking := s.turn != 0 && s.items != ""
	return !taking || ownTake || ownItem || letIn || marked
}

func (s state) puts(order Order, in Input, out Output) (state, bool) {
	if in.Op == Requeue {
		if s.refusing || s.shutdown && s.unfinished == 0 {
			return s, out.Err == queue.ErrShutdown
		}
		return s.add(in.Item), out.Err == nil
	}
	if s.shutdown || out.Err == queue.ErrShutdown {
		return s, s.shutdown && out.Err == queue.ErrShutdown
	}
	full := s.full()
	switch {
	case out.Err == queue.ErrFull && in.Op == TryPutBatch:
		ok := full && (in.Index == 0 || s.batch == in.Batch && s.next == in.Index) && !s.handed
		if in.Index > 0 {
			s.batch, s.next, s.try = 0, 0, false
		}
		s.rejected += in.N
		return s, ok
	case in.Op == PutBatch, in.Op == TryPutBatch:
		if in.Index > 0 && (s.batch != in.Batch || s.next != in.Index) || in.Index == 0 && s.batch != 0 {
			return s, false
		}
		if full {
			own := order == FIFO && len(s.items) <= in.Index && Item(s.items[0]) == in.Item-Item(len(s.items))
			if !own {
				return s, false
			}
			s.handed = true
		}
		s.batch, s.next, s.try = in.Batch, in.Index+1, in.Op == TryPutBatch
		if in.Last {
			s.batch, s.next, s.try = 0, 0, false
		}
	case in.Op == TryPut && full:
		s.rejected++
		return s, out.Err == queue.ErrFull
	case in.Op == ForcePut && full:
		var evicted string
		evicted, s.items = exchange(order, s.items, in.Item)
		s.put++
		s.dropped++
		s.signalled = s.used
		return s, out.Err == nil && out.Items == evicted
	case full || s.batch != 0:
		return s, false
	}
	return s.add(in.Item), out.Err == nil && out.Items == ""
}

func (s state) add(item Item) state {
	s.items += string([]byte{byte(item)})
	s.put++
	s.unfinished++
	return s.moved()
}

// moved is what an item that came to be queued, or left, does to Ready.
func (s state) moved() state {
	s.owed = s.used && s.items != "" && !s.shutdown
	s.signalled = s.signalled || s.owed
	return s
}

func (s state) gets(order Order, in Input, out Output) (state, bool) {
	if s.items == "" {
		switch {
		case s.shutdown:
			return s, out.Err == queue.ErrShutdown
		case in.Op == TryGet, in.Op == TryGetBatch, in.Op == Peek:
			return s, out.Err == queue.ErrEmpty
		default:
			return s, false
		}
	}
	n := 1
	if in.Op == GetBatch || in.Op == TryGetBatch {
		n = min(in.N, len(s.items))
	}
	items, rest := s.take(order, n)
	if in.Op == Peek {
		return s, out.Err == nil && out.Items == items
	}
	rest.handed = false
	return rest, out.Err == nil && out.Items == items
}

func (s state) batches(order Order, in Input, out Output) (state, bool) {
	switch in.Op {
	case Mark:
		n := min(in.N, s.unfinished)
		s.unfinished -= n
		s.done += n
		if s.items != "" && !in.Leaves { // the turn takes what there is, at once
			s.turn, s.taken, s.ticked = in.Batch, 0, false
		}
		return s, true
	case Take:
		if s.items == "" || s.turn != in.Batch && (s.turn != 0 || in.Index > 0) || in.Index > 0 && s.taken != in.Index {
			return s, false
		}
		if s.turn == 0 {
			s.ticked = false
		}
		var item string
		item, s = s.take(order, 1)
		s.turn, s.taken, s.handed = in.Batch, in.Index+1, false
		if in.Last {
			full := s.taken == in.N
			s.turn, s.taken, s.ticked = 0, 0, false
			return s, item == out.Items && (full || s.items == "")
		}
		return s, item == out.Items
	case Cut:
		ok := s.turn == in.Batch && s.taken == in.Index && (s.ticked || s.shutdown || in.Ctx == Within)
		s.turn, s.taken, s.ticked = 0, 0, false
		return s, ok
	default: // End
		return s, in.Ctx == Within || s.shutdown && s.items == ""
	}
}

func (s state) ready(in Input, out Output) (state, bool) {
	if in.Op == Ready {
		if !s.used {
			s.used = true
			s = s.moved()
		}
		return s, true
	}
	switch {
	case out.Signal:
		ok := s.signalled
		s.owed, s.signalled = false, false
		return s, ok
	case out.Closed:
		return s, s.shutdown
	default:
		return s, !s.owed && !s.shutdown
	}
}

// take takes out n items in the order in which they leave.
func (s state) take(order Order, n int) (string, state) {
	rest := []byte(s.items)
	var taken []byte
	for range n {
		i := 0
		switch order {
		case LIFO:
			i = len(rest) - 1
		case Priority:
			i = slices.Index(rest, slices.MinFunc(rest, compareBytes)) // the first of equals
		}
		taken = append(taken, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	s.items = string(rest)
	if n > 0 {
		s = s.moved()
	}
	return string(taken), s
}

// exchange adds an item and takes out the one that ForcePut evicts.
func exchange(order Order, items string, item Item) (evicted, rest string) {
	all := append([]byte(items), byte(item))
	i := 0
	if order == Priority {
		for j := range all {
			if compareBytes(all[j], all[i]) >= 0 { // the last of equals
				i = j
			}
		}
	}
	evicted = string(all[i : i+1])
	return evicted, string(slices.Delete(all, i, i+1))
}

func compareBytes(a, b byte) int { return Compare(Item(a), Item(b)) }

func (in Input) String() string {
	arg := ""
	switch in.Op {
	case Put, TryPut, ForcePut, Requeue:
		arg = fmt.Sprint(in.Item)
	case Mark, Cut:
		arg = fmt.Sprintf("turn %d: %d", in.Batch, in.N)
	case Take:
		arg = fmt.Sprintf("turn %d, index %d of %d", in.Batch, in.Index, in.N)
	case PutBatch, TryPutBatch:
		arg = fmt.Sprintf("batch %d, rest from index %d", in.Batch, in.Index)
		if in.Item != 0 {
			arg = fmt.Sprintf("batch %d, index %d: %d", in.Batch, in.Index, in.Item)
		}
	case GetBatch, TryGetBatch, TaskDoneN, Resize:
		arg = fmt.Sprint(in.N)
	case Shutdown:
		arg = fmt.Sprint(in.Immediate)
	}
	return fmt.Sprintf("%s(%s)%s", in.Op, arg, in.Ctx)
}

func (out Output) String() string {
	var parts []string
	if out.Items != "" {
		parts = append(parts, fmt.Sprint([]byte(out.Items)))
	}
	if out.N != 0 {
		parts = append(parts, fmt.Sprint(out.N))
	}
	if out.Stats != (Figures{}) {
		parts = append(parts, fmt.Sprintf("%+v", out.Stats))
	}
	if out.Signal {
		parts = append(parts, "signal")
	}
	if out.Closed {
		parts = append(parts, "closed")
	}
	if out.Err != nil {
		parts = append(parts, out.Err.Error())
	}
	if parts == nil {
		return ""
	}
	return " -> " + strings.Join(parts, ", ")
}

func (s state) String() string {
	type fields state // without this method
	return fmt.Sprintf("%v, %+v", []byte(s.items), fields(s))
}
