// Package heap is a stable priority queue that can also give up its last item.
//
// It is a binary heap for as long as items only leave in order, and becomes an
// interval heap (interval.go) once one has to leave from the other end. Its Pop is
// slower: half of every cache line it reads holds node maxima, which Pop does not
// need.
//
// Items leave bottom-up (I. Wegener, "Bottom-Up-Heapsort", 1993): the hole at
// the top sinks to a leaf with one comparison a level, and the item that fills
// it, which came from a leaf, rises a level or two from there. A textbook
// sift-down takes two comparisons a level.
//
// compare is the user's code: it may panic, or end the goroutine. The method that
// called it may have moved items by then; Undo moves them back.
package heap

import "unsafe"

// shrinkFrom is the size of the arrays, in bytes, below which none is given
// back.
const shrinkFrom = 16 << 10

// A Heap holds items in the order of a compare function; equal ones in the
// order in which they were pushed. It must be made with New. It is not safe
// for concurrent use. If compare did not return, Undo must be called before
// any other method.
type Heap[T any] struct {
	// items[i] has the sequence number seqs[i]. Those are apart because
	// comparing, which is what takes a heap to far places, rarely needs them.
	//
	// items[root] is the item that comes first; what lies before it is zero,
	// but for items[0] while a method that compares has an item in hand. In a
	// binary heap root is 1 and the children of entry k are 2k and 2k+1. In an
	// interval heap root is 2.
	//
	// Invariants, where entries compare by item and then by sequence number:
	//	root == 1: entry k/2 <= entry k for every k > 1
	//	root == 2: as interval.go says
	//	first < seqs[i] < next for i >= root, and no two are the same
	//	hole == 0, unless compare is being called or has failed
	items       []T
	seqs        []int64
	root        int
	compare     func(a, b T) int
	first, next int64 // sequence numbers for the next Unpop and the next Push

	// hole is the entry that Pop is about to fill, or 0. The root's item is in
	// hand, and those on the way from there to hole have moved up by one.
	hole int

	keep int
}

// New returns an empty heap. compare returns a negative number if a comes
// before b, a positive one if it comes after b, and zero if they are equal.
func New[T any](compare func(a, b T) int) *Heap[T] {
	return &Heap[T]{items: make([]T, 1), seqs: make([]int64, 1), root: 1, compare: compare, first: -1}
}

// Len returns the number of items.
func (h *Heap[T]) Len() int { return len(h.items) - h.root }

// Peek returns the item that Pop would. There must be one.
func (h *Heap[T]) Peek() T { return h.items[h.root] }

// Push adds an item. The complexity is O(log n), where n = h.Len(), with a
// constant number of compares for an item that goes to the front and, on
// average, for items in random order.
func (h *Heap[T]) Push(item T) {
	if h.root == 1 {
		items, compare := h.items, h.compare
		top := len(items)
		if top > 1 && compare(item, items[top/2]) < 0 {
			// Test the root first: where items come and go, the heap holds those
			// that leave late, so a new item with a random priority that beats
			// its parent often beats them all.
			if top /= 2; compare(item, items[1]) < 0 {
				top = 1
			}
			for top > 1 && compare(item, items[top/2]) < 0 {
				top /= 2
			}
		}
		h.insert(item, h.next, top)
	} else {
		h.pushInterval(item)
	}
	h.next++
}

// Unpop puts back the item that the last Pop returned, ahead of all others.
// Several are put back in the reverse of the order in which they were popped.
// It does not compare. The complexity is O(log n), where n = h.Len().
func (h *Heap[T]) Unpop(item T) {
	if h.root == 1 {
		h.insert(item, h.first, 1)
	} else {
		h.unpopInterval(item)
	}
	h.first--
}

// insert moves the ancestors of a new last entry down by one, as far as top,
// and puts the item in there.
func (h *Heap[T]) insert(item T, seq int64, top int) {
	h.append(item, seq)
	items, seqs := h.items, h.seqs[:len(h.items)]
	hole := len(items) - 1
	for ; hole > top; hole /= 2 {
		items[hole], seqs[hole] = items[hole/2], seqs[hole/2]
	}
	items[hole], seqs[hole] = item, seq
}

// Pop takes out the item that comes first. There must be one. The complexity is
// O(log n), where n = h.Len().
func (h *Heap[T]) Pop() T {
	item := h.items[h.root]
	last := len(h.items) - 1
	switch {
	case last == h.root:
	case h.root == 1:
		h.replaceRoot(last)
	default:
		h.replaceLeast(1, last, last)
	}
	h.drop(last)
	h.items, h.seqs = h.items[:last], h.seqs[:last]
	h.shrink()
	return item
}

// SetKeep sets the length of the arrays, in items, that stays allocated however
// few items are left.
func (h *Heap[T]) SetKeep(keep int) {
	h.keep = keep
	h.shrink()
}

// shrink halves the arrays for as long as less than a quarter of them is in
// use.
func (h *Heap[T]) shrink() {
	var zero T
	entry := unsafe.Sizeof(zero) + unsafe.Sizeof(h.next)
	size := cap(h.items)
	for uintptr(size)*entry > shrinkFrom && len(h.items) < size/4 && size/2 > h.keep {
		size /= 2
	}
	if size < cap(h.items) {
		h.items = append(make([]T, 0, size), h.items...)
		h.seqs = append(make([]int64, 0, size), h.seqs...)
	}
}

// replaceRoot fills the place of the root with the last entry, which leaves its
// own place at the end.
func (h *Heap[T]) replaceRoot(last int) {
	items, seqs, compare := h.items[:last], h.seqs[:last], h.compare
	h.move(0, 1)
	hole := 1
	h.hole = hole
	for child := 2; child < len(items); child = 2 * hole {
		if right := child + 1; right < len(items) {
			if c := compare(items[right], items[child]); c < 0 || c == 0 && seqs[right] < seqs[child] {
				child = right
			}
		}
		items[hole], seqs[hole] = items[child], seqs[child]
		hole = child
		h.hole = hole
	}
	item, seq := h.items[last], h.seqs[last]
	for hole > 1 {
		parent := hole / 2
		if c := compare(item, items[parent]); c > 0 || c == 0 && seq > seqs[parent] {
			break
		}
		items[hole], seqs[hole] = items[parent], seqs[parent]
		hole = parent
		h.hole = hole
	}
	items[hole], seqs[hole] = item, seq
	h.hole = 0
	h.drop(0)
}

// Exchange adds an item and takes out the one that would then be popped last,
// which may be the new one. There must be an item in the heap. The complexity
// is O(log n), where n = h.Len(); that of the first call is O(n).
func (h *Heap[T]) Exchange(item T) (out T) {
	if h.root == 1 {
		h.makeInterval()
	}
	h.items[0], h.seqs[0] = item, h.next
	greatest := h.greatest(1)
	out = item
	if h.before(0, greatest) {
		out = h.items[greatest]
		h.replaceGreatest(1, 0)
		h.next++
	}
	h.drop(0)
	return out
}

// Undo restores the heap to its state before a call in which compare did not
// return.
// The complexity is O(log n), where n = h.Len().
func (h *Heap[T]) Undo() {
	for ; h.hole > 0; h.hole /= 2 {
		h.move(h.hole, h.hole/2)
	}
	h.drop(0)
}

// append appends an entry.
func (h *Heap[T]) append(item T, seq int64) {
	h.items = append(h.items, item)
	h.seqs = append(h.seqs, seq)
}

// move copies entry from to entry to.
func (h *Heap[T]) move(to, from int) {
	h.items[to] = h.items[from]
	h.seqs[to] = h.seqs[from]
}

// drop clears entry i.
func (h *Heap[T]) drop(i int) {
	var zero T
	h.items[i], h.seqs[i] = zero, 0
}

// before reports whether entry i leaves before entry j.
func (h *Heap[T]) before(i, j int) bool {
	c := h.compare(h.items[i], h.items[j])
	return c < 0 || c == 0 && h.seqs[i] < h.seqs[j]
}
