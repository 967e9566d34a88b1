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
// used: so the parent's items are at k&^1 and k|1.
//
// Invariants, for every node k but the root:
//
//	entry 2k <= entry 2k+1
//	entry k&^1 <= entry 2k, entry 2k+1 <= entry k|1
//
// The methods here first find out where entries must go, which only compares,
// and then move them: there is nothing to undo.

// makeInterval turns a binary heap into an interval heap, from the last node to
// the first (R. W. Floyd, "Algorithm 245: Treesort 3", 1964). The complexity is
// O(n), where n = h.Len().
func (h *Heap[T]) makeInterval() {
	size := len(h.items) + 1
	i := Heap[T]{
		items:   make([]T, size, cap(h.items)+1),
		seqs:    make([]int64, size, cap(h.items)+1),
		compare: h.compare,
	}
	copy(i.items[1:], h.items)
	copy(i.seqs[1:], h.seqs)
	for node := size/2 - 1; node > 0; node-- { // a last node with one item is in order
		least, greatest := 2*node, 2*node+1
		if i.before(greatest, least) {
			i.move(0, least)
			i.move(least, greatest)
			i.move(greatest, 0)
		}
		i.move(0, greatest)
		i.replaceGreatest(node, 0)
		i.move(0, least)
		i.replaceLeast(node, 0, size)
	}
	i.drop(0)
	h.items, h.seqs, h.root = i.items, i.seqs, 2
}

// pushInterval is Push for an interval heap.
func (h *Heap[T]) pushInterval(item T) {
	h.items[0], h.seqs[0] = item, h.next
	last := len(h.items)
	node := last / 2
	var low bool // whether it goes among the least items
	if last%2 == 1 {
		low = h.before(0, last-1)
	} else if node > 1 {
		low = h.before(0, node&^1)
	}
	if low {
		top := h.riseLeast(0, node, 1)
		h.append(item, h.next)
		h.insertLeast(0, node, top)
	} else {
		top := h.riseGreatest(0, node, 1)
		h.append(item, h.next)
		h.insertGreatest(0, node, top)
	}
	h.drop(0)
}

// unpopInterval is Unpop for an interval heap.
func (h *Heap[T]) unpopInterval(item T) {
	h.items[0], h.seqs[0] = item, h.first
	node := len(h.items) / 2
	h.append(item, h.first)
	h.insertLeast(0, node, 1)
	h.drop(0)
}

// replaceLeast fills the place of root's least item with entry e, in the tree
// below root, which ends before index end.
func (h *Heap[T]) replaceLeast(root, e, end int) {
	items, seqs, compare := h.items, h.seqs[:len(h.items)], h.compare
	leaf := root
	for 4*leaf < end {
		leaf *= 2
		if left, right := 2*leaf, 2*leaf+2; right < end {
			if c := compare(items[right], items[left]); c < 0 || c == 0 && seqs[right] < seqs[left] {
				leaf++
			}
		}
	}
	if pair := 2*leaf+1 < end; pair && h.before(2*leaf+1, e) {
		top := h.riseGreatest(e, leaf, root)
		h.liftLeast(root, leaf)
		h.move(2*leaf, 2*leaf+1)
		h.insertGreatest(e, leaf, top)
		return
	}
	top := leaf
	for top > root && h.before(e, 2*top) {
		top /= 2
	}
	h.liftLeast(root, top)
	h.move(2*top, e)
}

// replaceGreatest fills the place of root's greatest item with entry e, in the
// tree below root.
func (h *Heap[T]) replaceGreatest(root, e int) {
	items, seqs, compare := h.items, h.seqs[:len(h.items)], h.compare
	end := len(items)
	leaf := root
	for 4*leaf < end {
		leaf *= 2
		if right := min(2*leaf+3, end-1); right > 2*leaf+1 {
			left := 2*leaf + 1
			if c := compare(items[left], items[right]); c < 0 || c == 0 && seqs[left] < seqs[right] {
				leaf++
			}
		}
	}

	if h.before(e, 2*leaf) {
		top := h.riseLeast(e, leaf, root)
		h.liftGreatest(root, leaf)
		h.insertLeast(e, leaf, top)
		return
	}
	top := leaf
	for top > root && h.before(h.greatest(top), e) {
		top /= 2
	}
	h.liftGreatest(root, top)
	h.move(h.greatest(top), e)
}

// greatest returns the index of a node's greatest item.
func (h *Heap[T]) greatest(node int) int { return min(2*node+1, len(h.items)-1) }

// riseLeast returns the node to which entry e rises from node among the least
// items, as far as root. As in Push, many go that far.
func (h *Heap[T]) riseLeast(e, node, root int) int {
	if node > root && h.before(e, 2*root) {
		return root
	}
	for node > root && h.before(e, node&^1) {
		node /= 2
	}
	return node
}

// riseGreatest is riseLeast among the greatest items.
func (h *Heap[T]) riseGreatest(e, node, root int) int {
	for node > root && h.before(node|1, e) {
		node /= 2
	}
	return node
}

// insertLeast moves the least items between top and node down by one node and
// puts entry e in at the top. If node has two items, its greatest makes room.
func (h *Heap[T]) insertLeast(e, node, top int) {
	if 2*node+1 < len(h.items) {
		h.move(2*node+1, 2*node)
	}
	for ; node > top; node /= 2 {
		h.move(2*node, node&^1)
	}
	h.move(2*top, e)
}

// insertGreatest moves the greatest items between top and node down by one
// node, over that of node, and puts entry e in at the top.
func (h *Heap[T]) insertGreatest(e, node, top int) {
	hole := h.greatest(node)
	for ; node > top; node /= 2 {
		h.move(hole, node|1)
		hole = node | 1
	}
	h.move(hole, e)
}

// liftLeast moves the least items between root and node up by one node, over
// that of root.
func (h *Heap[T]) liftLeast(root, node int) {
	hole := 2 * root
	for level := bits.Len(uint(node)) - bits.Len(uint(root)) - 1; level >= 0; level-- {
		next := node >> level * 2
		h.move(hole, next)
		hole = next
	}
}

// liftGreatest is liftLeast for the greatest items.
func (h *Heap[T]) liftGreatest(root, node int) {
	hole := h.greatest(root)
	for level := bits.Len(uint(node)) - bits.Len(uint(root)) - 1; level >= 0; level-- {
		next := h.greatest(node >> level)
		h.move(hole, next)
		hole = next
	}
}
