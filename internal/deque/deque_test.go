package deque

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// check fails the test if d's invariants don't hold, or d does not hold want.
func check[T comparable](t *testing.T, d *Deque[T], want []T) {
	t.Helper()
	var zero T
	var got []T
	require.Equal(t, d.front == nil, d.back == nil)
	var prev *chunk[T]
	for c := d.front; c != nil; c = c.next {
		require.Same(t, prev, c.prev)
		from, to := 0, len(c.items)
		if c == d.front {
			from = d.head
		}
		if c == d.back {
			to = len(d.last)
			require.Equal(t, len(c.items), cap(d.last))
			require.Same(t, &c.items[0], &d.last[:1][0])
		}
		require.True(t, 0 <= from && from <= to && to <= len(c.items), "%d..%d of %d", from, to, len(c.items))
		require.True(t, d.front == d.back || from < to, "a chunk without items between others")
		got = append(got, c.items[from:to]...)
		for i, v := range c.items {
			if (i < from || i >= to) && v != zero {
				t.Fatalf("slot %d was not cleared", i)
			}
		}
		prev = c
	}
	require.Same(t, prev, d.back)
	slots := 0
	for c := d.spare; c != nil; c = c.next {
		slots += len(c.items)
		for _, v := range c.items {
			require.True(t, v == zero, "a spare chunk was not cleared")
		}
	}
	require.Equal(t, slots, d.spareSlots)
	require.LessOrEqual(t, slots, d.keep+2*maxSize[T]())
	require.True(t, slices.Equal(want, got), "the items are others")
	if len(want) > 0 {
		require.Equal(t, want[len(want)-1], *d.Last())
	} else {
		for c := d.front; c != nil; c = c.next { // which is the only one
			slots += len(c.items)
		}
		require.Equal(t, slots, d.Slots())
	}
}

// A pair is a deque beside a slice to which the same is done.
type pair[T comparable] struct {
	deque Deque[T]
	slice []T
	made  int
	item  func(i int) T
}

func (p *pair[T]) next() T {
	p.made++
	return p.item(p.made)
}

const operations = 5

// do does one operation to both, if there are items enough for it.
func (p *pair[T]) do(t *testing.T, op, n int) {
	switch {
	case op == 0:
		v := p.next()
		p.deque.PushBack(v)
		p.slice = append(p.slice, v)
	case op == 1:
		var items []T
		for range n {
			items = append(items, p.next())
		}
		p.deque.PushBackAll(items)
		p.slice = append(p.slice, items...)
	case len(p.slice) == 0:
	case op == 2:
		require.True(t, p.slice[0] == p.deque.Front())
		require.True(t, p.slice[0] == p.deque.PopFront())
		p.slice = p.slice[1:]
	case op == 3:
		last := len(p.slice) - 1
		require.True(t, p.slice[last] == p.deque.Back())
		require.True(t, p.slice[last] == p.deque.PopBack())
		p.slice = p.slice[:last]
	case op == 4:
		dst := make([]T, min(n, len(p.slice)))
		p.deque.PopFrontInto(dst)
		require.True(t, slices.Equal(p.slice[:len(dst)], dst))
		p.slice = p.slice[len(dst):]
	}
}

// Chunks of four items have an edge within reach of every program.
type large [chunkBytes / leastChunk]byte

func newLarge(i int) (v large) {
	v[0], v[1], v[len(v)-1] = byte(i), byte(i>>8), 1
	return v
}

func TestADequeOfSmallChunksDoesWhatASliceDoesFromEveryPosition(t *testing.T) {
	const length = 4
	programs := 1
	for range length {
		programs *= operations
	}
	require.Equal(t, leastChunk, maxSize[large]())
	for position := range 2 * leastChunk {
		for program := range programs {
			p := pair[large]{item: newLarge}
			for range position {
				p.do(t, 0, 1)
				if position%2 == 0 {
					p.do(t, 2, 1)
				}
			}
			for rest := program; rest > 0; rest /= operations {
				p.do(t, rest%operations, 3)
			}
			if program%10 == 0 {
				check(t, &p.deque, p.slice)
			}
			for len(p.slice) > 0 {
				p.do(t, 2, 1)
			}
		}
	}
}

func TestALongDequeDoesWhatASliceDoes(t *testing.T) {
	t.Run("of numbers", func(t *testing.T) { runLong(t, func(i int) int { return i }) })
	t.Run("of large items", func(t *testing.T) { runLong(t, newLarge) })
	t.Run("of items without size", func(t *testing.T) { runLong(t, func(int) struct{} { return struct{}{} }) })
}

func runLong[T comparable](t *testing.T, item func(int) T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := pair[T]{item: item}
	p.deque.SetKeep(100)
	for range 20 {
		filling := random.IntN(2) == 0
		for range 200 {
			op := random.IntN(operations)
			if filling && op > 1 && random.IntN(3) > 0 || !filling && op <= 1 && random.IntN(3) > 0 {
				continue
			}
			p.do(t, op, random.IntN(40))
		}
		check(t, &p.deque, p.slice)
	}
}

func TestGrowingNeverCopiesWhatIsThere(t *testing.T) {
	var d Deque[int]
	for i := range 100_000 {
		back := d.back
		d.PushBack(i)
		if d.back != back {
			require.LessOrEqual(t, len(d.back.items), maxChunk)
			require.Same(t, back, d.back.prev, "the chunk that was there is there still")
		}
	}
}

func TestWhatABurstTookIsGivenBack(t *testing.T) {
	for name, pop := range map[string]func(d *Deque[int]){
		"from the front": func(d *Deque[int]) { d.PopFront() },
		"from the back":  func(d *Deque[int]) { d.PopBack() },
		"at once":        func(d *Deque[int]) { d.PopFrontInto(make([]int, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			var d Deque[int]
			for i := range 1_000_000 {
				d.PushBack(i)
			}
			for range 1_000_000 {
				pop(&d)
			}
			check(t, &d, nil)
			require.Same(t, d.front, d.back, "one chunk is left beside the spare ones")
		})
	}
}

func TestADequeThatFillsToKeepAndEmptiesDoesNotAllocate(t *testing.T) {
	for _, keep := range []int{1, 7, 128, 5000} {
		var d Deque[int]
		d.SetKeep(keep)
		swing := func() {
			for i := range keep {
				d.PushBack(i)
			}
			for range keep {
				d.PopFront()
			}
		}
		for range 50 {
			swing()
		}
		require.Zero(t, testing.AllocsPerRun(50, swing), "keep %d", keep)
	}
}

func TestADequeEmptiedByABatchTakesTheNextOneInOnePiece(t *testing.T) {
	var d Deque[int]
	d.PushBackAll(make([]int, minChunk-1))
	d.PopFrontInto(make([]int, minChunk-1))
	d.PushBackAll(make([]int, minChunk))
	require.Same(t, d.front, d.back)
	check(t, &d, make([]int, minChunk))
}

func TestAShortDequeStaysSmall(t *testing.T) {
	var d Deque[int]
	d.PushBack(0)
	for i := range 1000 {
		d.PushBack(i)
		d.PopFront()
	}
	require.Equal(t, minChunk, cap(d.last))
	require.LessOrEqual(t, d.spareSlots, 2*minChunk)
}

// chunkSizes returns the sizes of d's chunks, the front one's first.
func chunkSizes[T any](d *Deque[T]) (sizes []int) {
	for c := d.front; c != nil; c = c.next {
		sizes = append(sizes, len(c.items))
	}
	return sizes
}

func TestChunksDoubleUntilTheyAreLarge(t *testing.T) {
	var d Deque[int]
	for i := range 4000 {
		d.PushBack(i)
	}
	require.Equal(t, []int{8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024}, chunkSizes(&d))

	d = Deque[int]{}
	for i := range 60 {
		d.PushBack(i)
		if i < 3 {
			d.PopFront()
		}
	}
	require.Equal(t, []int{8, 8, 16, 32}, chunkSizes(&d), "a chunk that is half empty is no reason to double")
}

func TestAChunkHasAThousandItemsOrEightKilobytesButFourItemsAtLeast(t *testing.T) {
	require.Equal(t, 1024, maxSize[struct{}]())
	require.Equal(t, 1024, maxSize[byte]())
	require.Equal(t, 1024, maxSize[[8]byte]())
	require.Equal(t, 512, maxSize[[16]byte]())
	require.Equal(t, 4, maxSize[[2048]byte]())
	require.Equal(t, 4, maxSize[[10_000]byte]())
}

func TestEmptiedChunksAreKeptUpToKeepAndTwoMore(t *testing.T) {
	for _, keep := range []int{0, 3 * leastChunk} {
		var d Deque[large]
		d.SetKeep(keep)
		for i := range 100 {
			d.PushBack(newLarge(i))
		}
		for range 100 {
			d.PopFront()
		}
		require.Equal(t, keep+2*leastChunk, d.spareSlots)
	}
}

func TestAnItemStandsWhereLastSaysUntilItIsTakenOut(t *testing.T) {
	var d Deque[int]
	const items = 5000
	var at [items]*int
	for round := range 3 {
		for i := range items {
			d.PushBack(i)
			at[i] = d.Last()
		}
		for i := range items {
			*at[i] += round
		}
		for i := range items {
			require.Equal(t, i+round, d.PopFront())
		}
	}
}
