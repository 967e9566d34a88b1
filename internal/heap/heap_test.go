package heap

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// An item has a key to be ordered by and a number to be known by.
type item struct{ key, number int }

func byKey(a, b item) int { return cmp.Compare(a.key, b.key) }

// check fails the test if h's invariants don't hold.
func check(t *testing.T, h *Heap[item]) {
	t.Helper()
	n := len(h.items)
	require.Len(t, h.seqs, n)
	require.Zero(t, h.hole)
	le := func(i, j int) {
		if h.before(j, i) {
			t.Fatalf("entry %d is before entry %d: %v", j, i, h.items)
		}
	}
	seen := make(map[int64]bool)
	for i := h.root; i < n; i++ {
		seq := h.seqs[i]
		require.True(t, h.first < seq && seq < h.next && !seen[seq], "sequence number of %v", h.items[i])
		seen[seq] = true
		if h.root == 1 {
			if i > 1 {
				le(i/2, i)
			}
			continue
		}
		node := i / 2
		if i%2 == 1 {
			le(i-1, i)
		}
		if node > 1 {
			le(node&^1, i)
			if i%2 == 1 || i == n-1 {
				le(i, node|1)
			}
		}
	}
	for _, it := range slices.Concat(h.items[:h.root], h.items[n:cap(h.items)]) {
		require.Zero(t, it, "a slot was not cleared")
	}
}

// A pair is a heap beside a sorted slice to which the same is done.
type pair struct {
	heap   *Heap[item]
	slice  []item
	pushed int
}

func newPair() *pair { return &pair{heap: New(byKey)} }

const operations = 4

func (p *pair) do(t *testing.T, op, key int) {
	t.Helper()
	switch {
	case op == 0:
		p.heap.Push(p.insert(key))
	case len(p.slice) == 0:
	case op == 1:
		require.Equal(t, p.slice[0], p.heap.Peek())
		require.Equal(t, p.slice[0], p.heap.Pop())
		p.slice = p.slice[1:]
	case op == 2:
		it := p.insert(key)
		last := len(p.slice) - 1
		require.Equal(t, p.slice[last], p.heap.Exchange(it))
		p.slice = p.slice[:last]
	case op == 3: // take some and put them back
		n := min(key+1, len(p.slice))
		for i := range n {
			require.Equal(t, p.slice[i], p.heap.Pop())
		}
		for i := n - 1; i >= 0; i-- {
			p.heap.Unpop(p.slice[i])
		}
	}
	require.Equal(t, len(p.slice), p.heap.Len())
}

// insert inserts a new item into the slice, behind those with the same key.
func (p *pair) insert(key int) item {
	p.pushed++
	it := item{key, p.pushed}
	i, _ := slices.BinarySearchFunc(p.slice, key, func(it item, key int) int {
		if it.key <= key {
			return -1
		}
		return 1
	})
	p.slice = slices.Insert(slices.Clip(p.slice), i, it)
	return it
}

func (p *pair) empty(t *testing.T) {
	t.Helper()
	for len(p.slice) > 0 {
		p.do(t, 1, 0)
	}
}

func TestEverySmallHeapPopsInOrder(t *testing.T) {
	const size, keys = 7, 4
	arrangements := 1
	for range size {
		arrangements *= keys
	}
	for a := range arrangements {
		p := newPair()
		for rest, i := a, 0; i < size; i++ {
			p.do(t, 0, rest%keys)
			rest /= keys
		}
		check(t, p.heap)
		if a%2 == 0 {
			p.do(t, 2, a%keys)
			check(t, p.heap)
		}
		p.empty(t)
		check(t, p.heap)
	}
}

func TestAHeapDoesWhatASortedSliceDoes(t *testing.T) {
	for _, keys := range []int{1, 3, 1000} {
		t.Run(fmt.Sprintf("with %d keys", keys), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				p := newPair()
				for range random.IntN(60) {
					p.do(t, 0, random.IntN(keys))
				}
				exchange := random.IntN(2) // else it stays a binary heap
				for range 60 {
					op := random.IntN(operations)
					if op == 2 && exchange == 0 {
						op = 1
					}
					p.do(t, op, random.IntN(keys))
					check(t, p.heap)
				}
				p.empty(t)
			}
		})
	}
}

func FuzzHeap(f *testing.F) {
	f.Add([]byte{0, 3, 0, 1, 0, 2, 2, 0, 1, 0, 3, 1, 1, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		p := newPair()
		for i := 0; i+1 < len(program); i += 2 {
			p.do(t, int(program[i])%operations, int(program[i+1])%16)
		}
		check(t, p.heap)
		p.empty(t)
	})
}

// contents returns h's sequence numbers with their items.
func contents(h *Heap[item]) map[int64]item {
	c := make(map[int64]item)
	for i := h.root; i < len(h.items); i++ {
		c[h.seqs[i]] = h.items[i]
	}
	return c
}

func TestAPanicInCompareLeavesTheHeapAsItWas(t *testing.T) {
	var left int // calls of compare until it panics; never if negative
	compare := func(a, b item) int {
		if left == 0 {
			panic("compare")
		}
		left--
		return byKey(a, b)
	}
	operations := map[string]func(h *Heap[item]){
		"Push":     func(h *Heap[item]) { h.Push(item{3, 1000}) },
		"Pop":      func(h *Heap[item]) { h.Pop() },
		"Exchange": func(h *Heap[item]) { h.Exchange(item{3, 1000}) },
	}
	for name, do := range operations {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			panics := 0
			for i := range 240 {
				size := i / 6
				if size == 0 && name != "Push" {
					continue
				}
				h := New(compare)
				left = -1
				if i%2 == 1 {
					h.makeInterval()
				}
				for i := range size {
					h.Push(item{random.IntN(7), i})
				}
				for n := 0; ; n++ {
					before, items, seqs := contents(h), slices.Clone(h.items), slices.Clone(h.seqs)
					left = n
					panicked := func() (panicked bool) {
						defer func() { panicked = recover() != nil; h.Undo() }()
						do(h)
						return
					}()
					left = -1
					if !panicked {
						break
					}
					panics++
					require.Equal(t, before, contents(h))
					if name != "Exchange" {
						require.Equal(t, items, h.items)
						require.Equal(t, seqs, h.seqs)
					}
					check(t, h)
				}
				check(t, h)
			}
			require.Greater(t, panics, 200)
		})
	}
}

// counting returns an empty heap and its number of compares so far.
func counting() (h *Heap[item], compares *int) {
	compares = new(int)
	return New(func(a, b item) int {
		*compares++
		return byKey(a, b)
	}), compares
}

func TestPopComparesLittleMoreThanOnceALevel(t *testing.T) {
	const size = 100_000
	h, compares := counting()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range size {
		h.Push(item{random.Int(), i})
	}
	*compares = 0
	const pops = 10_000
	for range pops {
		h.Pop()
	}
	// A textbook sift-down would take two a level.
	require.Less(t, float64(*compares)/pops, 1.3*float64(bits.Len(size)))
}

func TestAPushToTheFrontComparesTwice(t *testing.T) {
	h, compares := counting()
	for i := range 1000 {
		*compares = 0
		h.Push(item{-i, i})
		require.LessOrEqual(t, *compares, 2)
	}
}

func TestAnExchangeForTheFrontComparesLittleMoreThanOnceALevel(t *testing.T) {
	const size = 10_000
	h, compares := counting()
	for i := range size {
		h.Push(item{rand.Int(), i})
	}
	h.makeInterval()
	*compares = 0
	const exchanges = 1000
	for i := range exchanges {
		h.Exchange(item{-i, i})
	}
	require.Less(t, float64(*compares)/exchanges, 1.3*float64(bits.Len(size)))
}

func TestTheFirstExchangeTakesLinearTime(t *testing.T) {
	keys := map[string]func(i int) int{
		"random":  func(int) int { return rand.Int() },
		"rising":  func(i int) int { return i },
		"falling": func(i int) int { return -i },
		"equal":   func(int) int { return 0 },
	}
	for order, key := range keys {
		t.Run(order, func(t *testing.T) {
			for _, size := range []int{1000, 100_000} {
				h, compares := counting()
				for i := range size {
					h.Push(item{key(i), i})
				}
				*compares = 0
				h.makeInterval()
				check(t, h)
				require.Less(t, *compares, 7*size)
			}
		})
	}
}

// small is how many items with their numbers take up shrinkFrom bytes.
const small = shrinkFrom / (16 + 8)

func TestTheArrayShrinksAsTheHeapEmptiesButNotBelowKeep(t *testing.T) {
	for _, keep := range []int{0, 100_000} {
		h := New(byKey)
		h.SetKeep(keep)
		for i := range 1_000_000 {
			h.Push(item{i, i})
		}
		for h.Len() > 0 {
			h.Pop()
		}
		require.LessOrEqual(t, max(cap(h.items), cap(h.seqs)), max(2*small, 4*keep))
		require.GreaterOrEqual(t, cap(h.items), keep)
	}
}

func TestTheArraysAreHalvedOnceLessThanAQuarterOfManyBytesIsUsed(t *testing.T) {
	for _, c := range []struct {
		capacity, used, keep int
		halved               bool
	}{
		{1024, 1, 0, false}, // 16 KiB: an int and its number are 16 bytes
		{1025, 1, 0, true},
		{4096, 1024, 0, false},
		{4096, 1023, 0, true},
		{4096, 1, 2048, false},
		{4096, 1, 2047, true},
	} {
		h := New(cmp.Compare[int64])
		h.items = append(make([]int64, 0, c.capacity), make([]int64, c.used)...)
		h.seqs = append(make([]int64, 0, c.capacity), make([]int64, c.used)...)
		h.keep = c.keep
		h.shrink()
		want := c.capacity
		if c.halved {
			want /= 2
		}
		require.Equal(t, [2]int{want, want}, [2]int{cap(h.items), cap(h.seqs)}, "%+v", c)
		require.Equal(t, [2]int{c.used, c.used}, [2]int{len(h.items), len(h.seqs)}, "%+v", c)
	}
}

func TestTheArrayOfASmallHeapStaysAsItIs(t *testing.T) {
	h := New(byKey)
	for i := range small / 2 {
		h.Push(item{i, i})
	}
	size := cap(h.items)
	require.LessOrEqual(t, size, small)
	for h.Len() > 0 {
		h.Pop()
	}
	require.Equal(t, size, cap(h.items))
}

func TestEqualItemsLeaveInOrderWhileTheArrayShrinks(t *testing.T) {
	h := New(byKey)
	const size = 10_000
	for i := range size {
		h.Push(item{i % 3, i})
	}
	capacity := cap(h.items)
	last := item{-1, 0}
	for h.Len() > 0 {
		it := h.Pop()
		require.True(t, it.key > last.key || it.key == last.key && it.number > last.number, "%v after %v", it, last)
		last = it
		if cap(h.items) != capacity {
			capacity = cap(h.items)
			check(t, h)
		}
	}
	require.Less(t, capacity, size)
}
