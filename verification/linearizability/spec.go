// Package linearizability says what the queue does as if only one call ran at a
// time, in the form in which Porcupine checks concurrent histories against it.
// Its tests record such histories and check them.
//
// A history is linearizable if its calls can be put into one order that the
// queue could have gone through alone, and in which no call that had returned
// comes after one that had not begun. Of each call we therefore have to say in
// which states it may return what it returned, and what it leaves behind.
//
// Calls that wait need no states of their own: a Get that waits takes effect when
// it is given its item, in a state in which there is one. What goes beyond single
// points:
//
//   - A call with a context takes effect wholly or not at all. If it returns the
//     context's error, it did nothing, and so it fits everywhere; but the context
//     must be one that could have ended, and if it had before the call, no other
//     answer is right.
//   - PutBatch is one step for each item, because a batch that waits goes in bit
//     by bit. The steps of one critical section belong together: while there is
//     room and items are left, nothing comes between them but a Get or a GetBatch
//     that waited and takes all that came so far. Nor does another call's item,
//     room or no room, those of ForcePut excepted.
//   - A batch that is handed straight to a GetBatch waits nowhere, and so may be
//     larger than the capacity.
//   - That nobody waits who could go on is no matter of order. The recorder lets
//     all come to rest, and notes which calls still wait; such a note is a step
//     that needs a state in which the call can't go on.
//
// That calls are served first come, first served is not checked here: a history
// doesn't show who began to wait first.
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

// An Op is a method of the queue or, with a name that begins with "parked", the
// note that a call of it waits when all has come to rest.
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

	ParkedPut  Op = "parked Put"
	ParkedGet  Op = "parked Get"
	ParkedJoin Op = "parked Join"
)

// An End says when a call's context ends.
type End string

const (
	Never  End = ""
	Within End = " (ctx ends)" // at any time after the call has begun, if at all
	Before End = " (ctx done)" // before the call
)

// An Input is a call. A PutBatch is several: one for each item that went in, and
// if not all did, one without an item that returns the error.
type Input struct {
	Op        Op
	Item      Item
	N         int  // the room of GetBatch, the count of TaskDoneN, the capacity of Resize
	Immediate bool // of Shutdown
	Ctx       End

	Batch int // numbers the PutBatch, from 1
	Index int // of the item in its batch
	Last  bool
}

// An Output is what the call returned.
type Output struct {
	Items string // gotten, evicted or drained, one byte each
	N     int    // of Len
	Err   error
	Stats Figures
}

// Figures are those of the queue's figures that the state determines.
type Figures struct {
	Len, Cap, Unfinished int
	Shutdown             bool
}

// A state of the queue. It is comparable, and never changed.
type state struct {
	items      string // one byte each, in the order in which they came
	capacity   int
	unfinished int
	shutdown   bool

	batch  int  // the PutBatch that is under way, 0 if there is none
	next   int  // the index of its next item
	handed bool // its items are on their way to a GetBatch, and more than fit
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
		if in.Op == PutBatch && in.Index > 0 { // some went in: it waited for room
			ok := in.Ctx == Within && s.batch == in.Batch && s.next == in.Index && s.full() && !s.shutdown
			s.batch, s.next = 0, 0
			return s, ok && !s.handed
		}
		return s, in.Ctx != Never
	}
	if in.Ctx == Before {
		return s, false
	}
	ownItem := in.Op == PutBatch && in.Batch == s.batch && out.Err == nil
	takesAll := in.Op == Get && len(s.items) == 1 || in.Op == GetBatch && len(s.items) <= in.N
	if amid := s.handed || s.batch != 0 && !s.full(); amid && !ownItem && !takesAll {
		return s, false
	}

	switch in.Op {
	case Put, TryPut, PutBatch, ForcePut:
		return s.put(order, in, out)
	case Get, TryGet, GetBatch, Peek:
		return s.get(order, in, out)
	case Len:
		return s, out.N == len(s.items)
	case Stats:
		return s, out.Stats == Figures{len(s.items), s.capacity, s.unfinished, s.shutdown}
	case TaskDone, TaskDoneN:
		if in.N < 0 || in.N > s.unfinished {
			return s, out.Err == queue.ErrTaskDone
		}
		s.unfinished -= in.N
		return s, out.Err == nil
	case Join:
		return s, out.Err == nil && s.unfinished == 0
	case Shutdown:
		drained := ""
		if in.Immediate {
			drained, s = s.take(order, len(s.items))
			s.unfinished = max(s.unfinished-len(drained), 0)
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
		return s, s.items == "" && !s.shutdown
	case ParkedJoin:
		return s, s.unfinished > 0
	}
	panic("linearizability: unknown operation " + in.Op)
}

func (s state) put(order Order, in Input, out Output) (state, bool) {
	if s.shutdown || out.Err == queue.ErrShutdown {
		return s, s.shutdown && out.Err == queue.ErrShutdown
	}
	full := s.full()
	switch {
	case in.Op == PutBatch:
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
		s.batch, s.next = in.Batch, in.Index+1
		if in.Last {
			s.batch, s.next = 0, 0
		}
	case in.Op == TryPut && full:
		return s, out.Err == queue.ErrFull
	case in.Op == ForcePut && full:
		var evicted string
		evicted, s.items = exchange(order, s.items, in.Item)
		return s, out.Err == nil && out.Items == evicted
	case full || s.batch != 0:
		return s, false
	}
	s.items += string([]byte{byte(in.Item)})
	s.unfinished++
	return s, out.Err == nil && out.Items == ""
}

func (s state) get(order Order, in Input, out Output) (state, bool) {
	if s.items == "" {
		switch {
		case s.shutdown:
			return s, out.Err == queue.ErrShutdown
		case in.Op == TryGet, in.Op == Peek:
			return s, out.Err == queue.ErrEmpty
		default:
			return s, false
		}
	}
	n := 1
	if in.Op == GetBatch {
		n = min(in.N, len(s.items))
	}
	items, rest := s.take(order, n)
	if in.Op == Peek {
		return s, out.Err == nil && out.Items == items
	}
	rest.handed = false
	return rest, out.Err == nil && out.Items == items
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
	case Put, TryPut, ForcePut:
		arg = fmt.Sprint(in.Item)
	case PutBatch:
		arg = fmt.Sprintf("batch %d, rest from index %d", in.Batch, in.Index)
		if in.Item != 0 {
			arg = fmt.Sprintf("batch %d, index %d: %d", in.Batch, in.Index, in.Item)
		}
	case GetBatch, TaskDoneN, Resize:
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
	if out.Err != nil {
		parts = append(parts, out.Err.Error())
	}
	if parts == nil {
		return ""
	}
	return " -> " + strings.Join(parts, ", ")
}

func (s state) String() string {
	return fmt.Sprintf("%v, capacity %d, unfinished %d, shut down %v, batch %d", []byte(s.items), s.capacity, s.unfinished, s.shutdown, s.batch)
}
