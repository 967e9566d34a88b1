// Package heap is a stable priority queue that can also give up its last item.
//
// It is a binary heap for as long as items only leave in order, and becomes an
// interval heap (interval.go) once one has to leave from the other end: that
// one's Pop is dearer, because of each cache line that it reads half are the
// greatest items of nodes, which it does not need.
//
// Items leave bottom-up (I. Wegener, "Bottom-Up-Heapsort", 1993): the hole at
// the top sinks to a leaf with one comparison a level, and the item that fills
// it, which came from a leaf, rises a level or two from there. A textbook
// sift-down takes two comparisons a level.
//
// Comparing is a call into code that may panic. Every method first finds out
// where the items must go, which only compares, and then moves them, which
// cannot fail; a panic leaves the heap as it was.
package heap

// shrinkFrom is the size of array, in items, below which none is given back.
const shrinkFrom = 1024

// A Heap holds items in the order of a compare function; equal ones in the
// order in which they were pushed. It must be made with New. It is not safe
// for concurrent use.
type Heap[T any] struct {
	// Keep is the length of array, in items, that stays allocated however few
	// items are left.
	Keep int

	// entries[root] is the item that comes first; what lies before it is not
	// used. In a binary heap root is 1 and the children of entry k are 2k and
	// 2k+1: if an entry has 16 bytes, two sisters share a cache line, and so do
	// four first cousins. In an interval heap root is 2.
	//
	// Invariants:
	//	root == 1: entries[k/2] <= entries[k] for every k > 1
	//	root == 2: as interval.go says
	//	first < e.seq < next, and no two are the same
	entries     []entry[T]
	root        int
	compare     func(a, b T) int
	first, next int64 // sequence numbers for the next Unpop and the next Push
}

type entry[T any] struct {
	item T
	seq  int64
}

// New returns an empty heap. compare returns a negative number if a comes
// before b, a positive one if it comes after b, and zero if they are equal.
func New[T any](compare func(a, b T) int) *Heap[T] {
	return &Heap[T]{entries: make([]entry[T], 1), root: 1, compare: compare, first: -1}
}

// Len returns the number of items.
func (h *Heap[T]) Len() int { return len(h.entries) - h.root }

// Peek returns the item that Pop would. There must be one.
func (h *Heap[T]) Peek() T { return h.entries[h.root].item }

// Push adds an item. The complexity is O(log n), where n = h.Len(); constant
// on average for items in random order.
func (h *Heap[T]) Push(item T) {
	e := entry[T]{item, h.next}
	if h.root == 1 {
		s, compare := h.entries, h.compare
		top := len(s)
		for top > 1 && compare(item, s[top/2].item) < 0 {
			top /= 2
		}
		h.entries = append(s, e)
		h.insert(e, top)
	} else {
		h.pushInterval(e)
	}
	h.next++
}

// insert moves the ancestors of the last entry down by one, as far as top, and
// puts e in there.
func (h *Heap[T]) insert(e entry[T], top int) {
	s := h.entries
	hole := len(s) - 1
	for ; hole > top; hole /= 2 {
		s[hole] = s[hole/2]
	}
	s[hole] = e
}

// Unpop puts back the item that the last Pop returned, ahead of all others.
// Several are put back in the reverse of the order in which they were popped.
// It does not compare. The complexity is O(log n), where n = h.Len().
func (h *Heap[T]) Unpop(item T) {
	e := entry[T]{item, h.first}
	h.first--
	h.entries = append(h.entries, e)
	if h.root == 1 {
		h.insert(e, 1)
	} else {
		h.insertLeast(e, (len(h.entries)-1)/2, 1)
	}
}

// Pop takes out the item that comes first. There must be one. The complexity is
// O(log n), where n = h.Len().
func (h *Heap[T]) Pop() T {
	item := h.entries[h.root].item
	last := len(h.entries) - 1
	switch {
	case last == h.root:
	case h.root == 1:
		h.replaceRoot(last)
	default:
		h.replaceLeast(last)
	}
	h.entries[last] = entry[T]{}
	h.entries = h.entries[:last]
	if size := cap(h.entries); size > shrinkFrom && last < size/4 && size/2 > h.Keep {
		h.entries = append(make([]entry[T], 0, size/2), h.entries...)
	}
	return item
}

// replaceRoot fills the place of the root with the last entry, which leaves its
// own place at the end.
func (h *Heap[T]) replaceRoot(last int) {
	s, compare := h.entries[:last], h.compare
	hole := 1
	for 2*hole+1 < len(s) {
		hole *= 2
		left, right := &s[hole], &s[hole+1]
		if c := compare(right.item, left.item); c < 0 || c == 0 && right.seq < left.seq {
			hole++
		}
	}
	if 2*hole < len(s) {
		hole *= 2
	}
	e := h.entries[last]
	for hole > 1 && h.before(&e, &s[hole]) {
		hole /= 2
	}
	for ; hole > 0; hole /= 2 {
		s[hole], e = e, s[hole]
	}
}

// Exchange adds an item and takes out the one that would then be popped last,
// which may be the new one. There must be an item in the heap. The complexity
// is O(log n), where n = h.Len(); that of the first call is O(n log n).
func (h *Heap[T]) Exchange(item T) (out T) {
	if h.root == 1 {
		h.makeInterval()
	}
	s := h.entries
	greatest := min(3, len(s)-1)
	e := entry[T]{item, h.next}
	if !h.before(&e, &s[greatest]) {
		return item
	}
	out = s[greatest].item
	h.replaceGreatest(e)
	h.next++
	return out
}

// before reports whether a leaves before b.
func (h *Heap[T]) before(a, b *entry[T]) bool {
	c := h.compare(a.item, b.item)
	return c < 0 || c == 0 && a.seq < b.seq
}
