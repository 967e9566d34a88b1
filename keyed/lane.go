package keyed

import (
	"unsafe"

	"github.com/boundq/queue/internal/deque"
	"github.com/boundq/queue/internal/park"
)

// A lane keeps at most as many items' worth of memory as this, for the next time
// it fills.
const maxKeep = 1 << 16

// A lane is the queue of one key. It is kept as long as there is something to
// remember of the key: queued items, unfinished items, blocked Puts.
type lane[K comparable, V any] struct {
	key        K
	items      deque.Deque[V] // len of them
	len        int
	unfinished int
	inHand     uint64                // the number of the item in hand, if the queue is Serial and there is one
	putters    park.Line[task[K, V]] // the key's blocked Puts
	crowded    bool                  // stands in the list of that name
	links      [2]links[K, V]        // in the lists of lanes
}

type links[K comparable, V any] struct{ prev, next *lane[K, V] }

// The lists of which a lane can be a member at a time: of those in turns or
// behind, and of those in crowded.
const (
	byTurn = iota
	byCrowd
)

// A list is a list of lanes. The zero value is an empty one by turn.
type list[K comparable, V any] struct {
	head, tail *lane[K, V]
	of         int // which of a lane's links
}

func (x *list[K, V]) append(l *lane[K, V]) {
	l.links[x.of].prev = x.tail
	if x.tail == nil {
		x.head = l
	} else {
		x.tail.links[x.of].next = l
	}
	x.tail = l
}

func (x *list[K, V]) remove(l *lane[K, V]) {
	at := &l.links[x.of]
	if at.prev == nil {
		x.head = at.next
	} else {
		at.prev.links[x.of].next = at.next
	}
	if at.next == nil {
		x.tail = at.prev
	} else {
		at.next.links[x.of].prev = at.prev
	}
	*at = links[K, V]{}
}

// Lanes of keys that are gone are kept for others, until they take up
// spareBytes. One that has grown beyond spareSlots does so without its slots.
const (
	spareBytes = 256 << 10
	spareSlots = 16
)

// spares are lanes without a key, linked by turn.
type spares[K comparable, V any] struct {
	first *lane[K, V]
	bytes int
}

// get returns a lane for key.
func (s *spares[K, V]) get(key K) *lane[K, V] {
	l := s.first
	if l == nil {
		return &lane[K, V]{key: key}
	}
	s.first = l.links[byTurn].next
	l.links[byTurn].next = nil
	l.key = key
	s.bytes -= l.bytes()
	return l
}

// put keeps l, which is empty, or leaves it to the garbage collector.
func (s *spares[K, V]) put(l *lane[K, V]) {
	items := l.items
	if items.Slots() > spareSlots {
		items = deque.Deque[V]{}
	}
	*l = lane[K, V]{items: items}
	if size := l.bytes(); s.bytes+size <= spareBytes {
		s.bytes += size
		l.links[byTurn].next, s.first = s.first, l
	}
}

// bytes returns how much memory an empty lane takes up.
func (l *lane[K, V]) bytes() int {
	var item V
	return int(unsafe.Sizeof(*l)) + l.items.Slots()*int(unsafe.Sizeof(item))
}
