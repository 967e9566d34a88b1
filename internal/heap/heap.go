// Package heap is a stable double-ended priority queue.
//
// It is an interval heap (J. van Leeuwen and D. Wood, "Interval Heaps", The
// Computer Journal 36(3), 1993): a binary tree whose nodes hold two items each,
// so that the left items form a heap with the least on top and the right ones a
// heap with the greatest on top, in one array.
//
//	          [1 9]
//	   [2 7]         [4 8]
//	[3 5]  [6 .]
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

import "math/bits"

// shrinkFrom is the size of array, in items, below which none is given back.
const shrinkFrom = 1024

// A Heap holds items in the order of a compare function; equal ones in the
// order in which they were pushed. It must be made with New. It is not safe
// for concurrent use.
type Heap[T any] struct {
	// Keep is the length of array, in items, that stays allocated however few
	// items are left.
	Keep int

	// Node k = 1, 2, ... has its least item at index 2k and its greatest at
	// 2k+1; its children are the nodes 2k and 2k+1. If the number of items is
	// odd, the last node has the one at 2k only, which is both. The indexes 0
	// and 1 are not used: so two sisters share a cache line if an entry has 16
	// bytes, and the parent's items are at k&^1 and k|1.
	//
	// Invariants, for every node k but the root:
	//	entries[2k] <= entries[2k+1]
	//	entries[k&^1] <= entries[2k], entries[2k+1] <= entries[k|1]
	//	first < e.seq < next, and no two are the same
	entries     []entry[T]
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
	return &Heap[T]{entries: make([]entry[T], 2), compare: compare, first: -1}
}

// Len returns the number of items.
func (h *Heap[T]) Len() int { return len(h.entries) - 2 }

// Peek returns the item that Pop would. There must be one.
func (h *Heap[T]) Peek() T { return h.entries[2].item }

// Push adds an item. The complexity is O(log n), where n = h.Len(); constant
// on average for items in random order.
func (h *Heap[T]) Push(item T) {
	e := entry[T]{item, h.next}
	last := len(h.entries)
	node := last / 2
	var low bool // whether e goes among the least items
	if last%2 == 1 {
		low = h.before(&e, &h.entries[last-1])
	} else if node > 1 {
		low = h.before(&e, &h.entries[node&^1])
	}
	var top int
	if low {
		top = h.riseLeast(&e, node)
	} else {
		top = h.riseGreatest(&e, node)
	}
	h.next++
	h.entries = append(h.entries, e)
	if low {
		h.insertLeast(e, node, top)
	} else {
		h.insertGreatest(e, node, top)
	}
}

// Unpop puts back the item that the last Pop returned, ahead of all others.
// Several are put back in the reverse of the order in which they were popped.
// It does not compare. The complexity is O(log n), where n = h.Len().
func (h *Heap[T]) Unpop(item T) {
	e := entry[T]{item, h.first}
	h.first--
	h.entries = append(h.entries, e)
	h.insertLeast(e, (len(h.entries)-1)/2, 1)
}

// Pop takes out the item that comes first. There must be one. The complexity is
// O(log n), where n = h.Len().
func (h *Heap[T]) Pop() T {
	item := h.entries[2].item
	last := len(h.entries) - 1
	if last > 2 {
		h.replaceLeast(last)
	}
	h.entries[last] = entry[T]{}
	h.entries = h.entries[:last]
	if size := cap(h.entries); size > shrinkFrom && last < size/4 && size/2 > h.Keep {
		h.entries = append(make([]entry[T], 0, size/2), h.entries...)
	}
	return item
}

// replaceLeast fills the place of the least item with the last one, which
// leaves its own place at the end.
func (h *Heap[T]) replaceLeast(last int) {
	s, compare := h.entries, h.compare
	leaf := 1
	for 4*leaf+2 < last {
		left, right := &s[4*leaf], &s[4*leaf+2]
		leaf *= 2
		if c := compare(right.item, left.item); c < 0 || c == 0 && right.seq < left.seq {
			leaf++
		}
	}
	if 4*leaf < last {
		leaf *= 2
	}

	e := &s[last]
	if pair := 2*leaf+1 < last; pair && h.before(&s[2*leaf+1], e) {
		top := h.riseGreatest(e, leaf)
		h.liftLeast(leaf)
		s[2*leaf] = s[2*leaf+1]
		h.insertGreatest(*e, leaf, top)
		return
	}
	top := leaf
	for top > 1 && h.before(e, &s[2*top]) {
		top /= 2
	}
	h.liftLeast(top)
	s[2*top] = *e
}

// Exchange adds an item and takes out the one that would then be popped last,
// which may be the new one. There must be an item in the heap. The complexity
// is O(log n), where n = h.Len().
func (h *Heap[T]) Exchange(item T) (out T) {
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

// replaceGreatest fills the place of the greatest item with e.
func (h *Heap[T]) replaceGreatest(e entry[T]) {
	s := h.entries
	leaf := 1
	for 4*leaf < len(s) {
		leaf *= 2
		if 2*leaf+2 < len(s) && h.before(&s[2*leaf+1], &s[h.greatest(leaf+1)]) {
			leaf++
		}
	}

	pair := 2*leaf+1 < len(s)
	low := &s[leaf&^1] // the least that e must not be below
	if pair {
		low = &s[2*leaf]
	}
	if (pair || leaf > 1) && h.before(&e, low) {
		top := h.riseLeast(&e, leaf)
		h.liftGreatest(leaf)
		if pair {
			s[2*leaf+1] = s[2*leaf]
		}
		h.insertLeast(e, leaf, top)
		return
	}
	top := leaf
	for top > 1 && h.before(&s[h.greatest(top)], &e) {
		top /= 2
	}
	h.liftGreatest(top)
	s[h.greatest(top)] = e
}

// before reports whether a leaves before b.
func (h *Heap[T]) before(a, b *entry[T]) bool {
	c := h.compare(a.item, b.item)
	return c < 0 || c == 0 && a.seq < b.seq
}

// greatest returns the index of a node's greatest item.
func (h *Heap[T]) greatest(node int) int { return min(2*node+1, len(h.entries)-1) }

// riseLeast returns the node to which e rises from node among the least items.
func (h *Heap[T]) riseLeast(e *entry[T], node int) int {
	for node > 1 && h.before(e, &h.entries[node&^1]) {
		node /= 2
	}
	return node
}

// riseGreatest is riseLeast among the greatest items.
func (h *Heap[T]) riseGreatest(e *entry[T], node int) int {
	for node > 1 && h.before(&h.entries[node|1], e) {
		node /= 2
	}
	return node
}

// insertLeast moves the least items between top and node down by one node and
// puts e in at the top. If node has two items, its greatest makes room.
func (h *Heap[T]) insertLeast(e entry[T], node, top int) {
	s := h.entries
	if 2*node+1 < len(s) {
		s[2*node+1] = s[2*node]
	}
	for ; node > top; node /= 2 {
		s[2*node] = s[node&^1]
	}
	s[2*top] = e
}

// insertGreatest moves the greatest items between top and node down by one
// node, over that of node, and puts e in at the top.
func (h *Heap[T]) insertGreatest(e entry[T], node, top int) {
	s := h.entries
	hole := h.greatest(node)
	for ; node > top; node /= 2 {
		s[hole] = s[node|1]
		hole = node | 1
	}
	s[hole] = e
}

// liftLeast moves the least items between the root and node up by one node,
// over that of the root.
func (h *Heap[T]) liftLeast(node int) {
	s := h.entries
	hole := 2
	for level := bits.Len(uint(node)) - 2; level >= 0; level-- {
		next := node >> level * 2
		s[hole] = s[next]
		hole = next
	}
}

// liftGreatest is liftLeast for the greatest items.
func (h *Heap[T]) liftGreatest(node int) {
	hole := h.greatest(1)
	for level := bits.Len(uint(node)) - 2; level >= 0; level-- {
		next := h.greatest(node >> level)
		h.entries[hole] = h.entries[next]
		hole = next
	}
}
