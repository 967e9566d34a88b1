// Package deque is a double-ended queue that grows without copying.
//
// The items are in a doubly linked list of chunks:
//
//	front                                  back
//	[. . . a b c] <-> [d e f g h i] <-> [j k . . . .]
//	       head                              tail
//
// A ring that doubles would be as fast for most pushes, but the one push that
// finds it full copies the whole backlog; here it allocates one chunk. Chunks
// double in size up to about 8 KiB, so a short queue stays small.
package deque

import "unsafe"

const (
	minChunk   = 8    // items in the first chunk
	maxChunk   = 1024 // items in the largest chunk
	chunkBytes = 8192 // a chunk of large items stays near this size
	leastChunk = 4    // items in the largest chunk, however large they are
)

// A Deque is a double-ended queue. The zero value is empty and ready to use.
// It does not count its items: its user does, and must not take more out of it
// than went in. It is not safe for concurrent use.
type Deque[T any] struct {
	// Invariants:
	//	front == nil  <=>  back == nil
	//	last == back.items[:tail] for some tail
	//	front == back  =>  0 <= head <= tail <= len(front.items)
	//	front != back  =>  head < len(front.items), 0 < tail
	//	every slot outside head..tail is the zero value
	//	spareSlots == the sum of len(c.items) over the list spare
	front, back *chunk[T]
	head        int // front.items[head] is the first item
	last        []T // the slots of the back chunk up to the last item
	spare       *chunk[T]
	spareSlots  int
	keep        int
}

type chunk[T any] struct {
	items      []T
	prev, next *chunk[T]
}

// PushBack adds v behind the last item.
func (d *Deque[T]) PushBack(v T) {
	if len(d.last) == cap(d.last) {
		d.grow()
	}
	d.last = append(d.last, v)
}

// PushBackAll adds the items behind the last one, in order.
func (d *Deque[T]) PushBackAll(items []T) {
	for len(items) > 0 {
		if len(d.last) == cap(d.last) {
			d.grow()
		}
		n := min(len(items), cap(d.last)-len(d.last))
		d.last = append(d.last, items[:n]...)
		items = items[n:]
	}
}

// Front returns the first item. There must be one.
func (d *Deque[T]) Front() T { return d.front.items[d.head] }

// Back returns the last item. There must be one.
func (d *Deque[T]) Back() T { return d.last[len(d.last)-1] }

// Last returns where the last item stands. There must be one. It stays there
// until it is taken out.
func (d *Deque[T]) Last() *T { return &d.last[len(d.last)-1] }

// Slots returns how many items' worth of memory an empty deque has.
func (d *Deque[T]) Slots() int {
	n := d.spareSlots
	if d.front != nil {
		n += len(d.front.items)
	}
	return n
}

// PopFront takes out the first item. There must be one.
func (d *Deque[T]) PopFront() T {
	var zero T
	slot := &d.front.items[d.head]
	v := *slot
	*slot = zero
	d.head++
	if d.head == len(d.front.items) {
		d.leaveFront()
	}
	return v
}

// PopBack takes out the last item. There must be one.
func (d *Deque[T]) PopBack() T {
	var zero T
	n := len(d.last) - 1
	v := d.last[n]
	d.last[n] = zero
	d.last = d.last[:n]
	if n == 0 {
		d.leaveBack()
	}
	return v
}

// PopFrontInto takes the first len(dst) items out, in order. There must be as
// many.
func (d *Deque[T]) PopFrontInto(dst []T) {
	for len(dst) > 0 {
		part := d.front.items[d.head:]
		n := copy(dst, part)
		clear(part[:n])
		d.head += n
		dst = dst[n:]
		if d.head == len(d.front.items) {
			d.leaveFront()
		}
	}
	if d.front == d.back && d.head == len(d.last) {
		// Empty: the next batch is to go in in one piece, where this one was.
		d.head, d.last = 0, d.last[:0]
	}
}

// leaveFront goes on to the next chunk once the front one has been read to its
// end.
func (d *Deque[T]) leaveFront() {
	d.head = 0
	if d.front == d.back {
		d.last = d.last[:0]
		return
	}
	c := d.front
	d.front = c.next
	d.front.prev = nil
	d.release(c)
}

// leaveBack goes back to the previous chunk once the last one is empty.
func (d *Deque[T]) leaveBack() {
	if d.front == d.back {
		return
	}
	c := d.back
	d.back = c.prev
	d.back.next = nil
	d.last = d.back.items
	d.release(c)
}

// grow puts an empty chunk behind the last one.
func (d *Deque[T]) grow() {
	c := d.spare
	if c != nil {
		d.spare, c.next = c.next, nil
		d.spareSlots -= len(c.items)
	} else {
		c = &chunk[T]{items: make([]T, d.nextSize())}
	}
	if d.back == nil {
		d.front = c
	} else {
		d.back.next, c.prev = c, d.back
	}
	d.back, d.last = c, c.items[:0]
}

// nextSize doubles only when the items fill more than the chunk they are in:
// a queue that is passed through but never long would otherwise grow too.
func (d *Deque[T]) nextSize() int {
	if d.back == nil {
		return min(minChunk, maxSize[T]())
	}
	size := len(d.back.items)
	if d.front != d.back || d.head == 0 {
		size *= 2
	}
	return min(size, maxSize[T]())
}

// release keeps an emptied chunk for reuse. Items that fill a queue from end to
// end can reach into two chunks more than they would fill, so two of the
// largest are kept beside what SetKeep asks for.
func (d *Deque[T]) release(c *chunk[T]) {
	c.prev, c.next, d.spare = nil, d.spare, c
	d.spareSlots += len(c.items)
	d.trim()
}

// SetKeep sets how many items' worth of emptied chunks stay allocated for
// reuse, beside a few that always do. Chunks beyond it are left to the garbage
// collector.
func (d *Deque[T]) SetKeep(keep int) {
	d.keep = keep
	d.trim()
}

// trim leaves spare chunks to the garbage collector until few enough are kept.
func (d *Deque[T]) trim() {
	for d.spareSlots > d.keep+2*maxSize[T]() {
		d.spareSlots -= len(d.spare.items)
		d.spare = d.spare.next
	}
}

// maxSize is the number of items in a chunk of the largest size.
func maxSize[T any]() int {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if size == 0 {
		return maxChunk
	}
	return min(max(chunkBytes/size, leastChunk), maxChunk)
}
