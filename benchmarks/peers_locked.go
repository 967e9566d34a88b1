package main

import (
	"container/heap"
	"context"
	"runtime"
	"sync"

	"github.com/gammazero/deque"
)

// condSlice is the usual handwritten queue: a slice, a mutex and two conditions.
// It is not a ring, because few are: items[1:] gives up the space of the items
// that were taken, and append reallocates.
type condSlice struct {
	mu                sync.Mutex
	notEmpty, notFull sync.Cond
	capacity          int
	items             []int
}

func newCondSlice(capacity int) *condSlice {
	c := &condSlice{capacity: capacity}
	c.notEmpty.L = &c.mu
	c.notFull.L = &c.mu
	return c
}

func (c *condSlice) full() bool { return c.capacity > 0 && len(c.items) >= c.capacity }

func (c *condSlice) put(_ context.Context, item int) error {
	c.mu.Lock()
	for c.full() {
		c.notFull.Wait()
	}
	c.items = append(c.items, item)
	c.mu.Unlock()
	c.notEmpty.Signal()
	return nil
}

func (c *condSlice) get(context.Context) (int, error) {
	c.mu.Lock()
	for len(c.items) == 0 {
		c.notEmpty.Wait()
	}
	item := c.items[0]
	c.items = c.items[1:]
	c.mu.Unlock()
	c.notFull.Signal()
	return item, nil
}

func (c *condSlice) tryPut(item int) bool {
	c.mu.Lock()
	if c.full() {
		c.mu.Unlock()
		return false
	}
	c.items = append(c.items, item)
	c.mu.Unlock()
	c.notEmpty.Signal()
	return true
}

func (c *condSlice) tryGet() (int, bool) {
	c.mu.Lock()
	if len(c.items) == 0 {
		c.mu.Unlock()
		return 0, false
	}
	item := c.items[0]
	c.items = c.items[1:]
	c.mu.Unlock()
	c.notFull.Signal()
	return item, true
}

// lockedStack is a slice and a mutex.
type lockedStack struct {
	mu       sync.Mutex
	notEmpty sync.Cond
	items    []int
}

func newLockedStack() *lockedStack {
	s := &lockedStack{}
	s.notEmpty.L = &s.mu
	return s
}

func (s *lockedStack) put(_ context.Context, item int) error {
	s.mu.Lock()
	s.items = append(s.items, item)
	s.mu.Unlock()
	s.notEmpty.Signal()
	return nil
}

func (s *lockedStack) get(context.Context) (int, error) {
	s.mu.Lock()
	for len(s.items) == 0 {
		s.notEmpty.Wait()
	}
	last := len(s.items) - 1
	item := s.items[last]
	s.items = s.items[:last]
	s.mu.Unlock()
	return item, nil
}

// lockedDeque is a deque and a mutex. It blocks by polling.
type lockedDeque struct {
	mu       sync.Mutex
	capacity int
	lifo     bool
	items    deque.Deque[int]
}

func (d *lockedDeque) tryPut(item int) bool {
	d.mu.Lock()
	ok := d.capacity == 0 || d.items.Len() < d.capacity
	if ok {
		d.items.PushBack(item)
	}
	d.mu.Unlock()
	return ok
}

func (d *lockedDeque) tryGet() (item int, ok bool) {
	d.mu.Lock()
	ok = d.items.Len() > 0
	if ok && d.lifo {
		item = d.items.PopBack()
	} else if ok {
		item = d.items.PopFront()
	}
	d.mu.Unlock()
	return item, ok
}

func (d *lockedDeque) put(_ context.Context, item int) error {
	for !d.tryPut(item) {
		runtime.Gosched()
	}
	return nil
}

func (d *lockedDeque) get(context.Context) (int, error) {
	for {
		if item, ok := d.tryGet(); ok {
			return item, nil
		}
		runtime.Gosched()
	}
}

func (d *lockedDeque) forcePut(item int) {
	d.mu.Lock()
	if d.items.Len() >= d.capacity {
		d.items.PopFront()
	}
	d.items.PushBack(item)
	d.mu.Unlock()
}

// lockedHeap is the standard library's heap and a mutex. It blocks by polling.
type lockedHeap struct {
	mu    sync.Mutex
	items ints
}

func (h *lockedHeap) put(_ context.Context, item int) error {
	h.mu.Lock()
	heap.Push(&h.items, item)
	h.mu.Unlock()
	return nil
}

func (h *lockedHeap) tryGet() (item int, ok bool) {
	h.mu.Lock()
	ok = len(h.items) > 0
	if ok {
		item = heap.Pop(&h.items).(int)
	}
	h.mu.Unlock()
	return item, ok
}

func (h *lockedHeap) get(context.Context) (int, error) {
	for {
		if item, ok := h.tryGet(); ok {
			return item, nil
		}
		runtime.Gosched()
	}
}

// ints is what the documentation of container/heap calls an IntHeap.
type ints []int

func (s ints) Len() int           { return len(s) }
func (s ints) Less(i, j int) bool { return s[i] < s[j] }
func (s ints) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *ints) Push(x any)        { *s = append(*s, x.(int)) }

func (s *ints) Pop() any {
	last := len(*s) - 1
	item := (*s)[last]
	*s = (*s)[:last]
	return item
}

// stableHeap is lockedHeap with a number for each item, so that equal ones leave
// in the order in which they came, as they do from the queue.
type stableHeap struct {
	mu    sync.Mutex
	items arrivals
	next  uint64
}

func (h *stableHeap) put(_ context.Context, item int) error {
	h.mu.Lock()
	heap.Push(&h.items, arrival{item, h.next})
	h.next++
	h.mu.Unlock()
	return nil
}

func (h *stableHeap) tryGet() (item int, ok bool) {
	h.mu.Lock()
	ok = len(h.items) > 0
	if ok {
		item = heap.Pop(&h.items).(arrival).item
	}
	h.mu.Unlock()
	return item, ok
}

func (h *stableHeap) get(context.Context) (int, error) {
	for {
		if item, ok := h.tryGet(); ok {
			return item, nil
		}
		runtime.Gosched()
	}
}

type arrival struct {
	item   int
	number uint64
}

type arrivals []arrival

func (s arrivals) Len() int      { return len(s) }
func (s arrivals) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *arrivals) Push(x any)   { *s = append(*s, x.(arrival)) }

func (s arrivals) Less(i, j int) bool {
	return s[i].item < s[j].item || s[i].item == s[j].item && s[i].number < s[j].number
}

func (s *arrivals) Pop() any {
	last := len(*s) - 1
	item := (*s)[last]
	*s = (*s)[:last]
	return item
}
