package heap

import "math/bits"

// An interval heap (J. van Leeuwen and D. Wood, "Interval Heaps", The Computer
// Journal 36(3), 1993) is a binary tree whose nodes hold two items each, so that
// the left items form a heap with the least on top and the right ones a heap
// with the greatest on top, in one array.
//
//	          [1 9]
//	   [2 7]         [4 8]
//	[3 5]  [6 .]
//
// Node k = 1, 2, ... has its least item at index 2k and its greatest at 2k+1;
// its children are the nodes 2k and 2k+1. If the number of items is odd, the
// last node has the one at 2k only, which is both. The indexes 0 and 1 are not
// used: so two sisters share a cache line if an entry has 16 bytes, and the
// parent's items are at k&^1 and k|1.
//
// Invariants, for every node k but the root:
//
//	entries[2k] <= entries[2k+1]
//	entries[k&^1] <= entries[2k], entries[2k+1] <= entries[k|1]

// makeInterval turns a binary heap into an interval heap. The complexity is
// O(n log n), where n = h.Len().
func (h *Heap[T]) makeInterval() {
	i := Heap[T]{entries: make([]entry[T], 2, cap(h.entries)+1), compare: h.compare}
	for _, e := range h.entries[1:] {
		i.pushInterval(e)
	}
	h.entries, h.root = i.entries, 2
}

// pushInterval is Push for an interval heap.
func (h *Heap[T]) pushInterval(e entry[T]) {
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
	h.entries = append(h.entries, e)
	if low {
		h.insertLeast(e, node, top)
	} else {
		h.insertGreatest(e, node, top)
	}
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
