package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// An outcome is what a call returned.
type outcome struct {
	items []int
	n     int
	ok    bool
	err   error
}

// A model is a queue as plain as can be: slices, searched from end to end, and
// no concurrency. A call is a step that ends, or one that is kept with those
// that wait.
type model struct {
	order   string
	compare func(a, b int) int
	items   []int // in the order in which they came
	putters []*modelCall
	getters []*modelCall
	joiners []*modelCall
	stats   queue.Stats // but for Len, PutWaiting, GetWaiting and Got
	turns   int         // of Tasks, begun and not ended
}

type modelCall struct {
	outcome
	ended bool
	items []int // that a put has still to put in
	room  int   // how many items a get takes
	task  bool  // the get is a turn of Tasks
	line  *[]*modelCall
}

func (m *model) figures() queue.Stats {
	s := m.stats
	s.Len, s.PutWaiting, s.GetWaiting = len(m.items), len(m.putters), len(m.getters)
	s.Got = s.Put - s.Dropped - uint64(s.Len)
	return s
}

func (m *model) full() bool { return m.stats.Cap > 0 && len(m.items) >= m.stats.Cap }

func (m *model) end(c *modelCall, err error) *modelCall {
	c.ended, c.err = true, err
	if c.line != nil {
		i := slices.Index(*c.line, c)
		*c.line = slices.Delete(*c.line, i, i+1)
		c.line = nil
	}
	return c
}

func (m *model) park(c *modelCall, line *[]*modelCall) *modelCall {
	c.line = line
	*line = append(*line, c)
	return c
}

func (m *model) finish(n int) {
	m.stats.Unfinished -= n
	for m.stats.Unfinished == 0 && len(m.joiners) > 0 {
		m.end(m.joiners[0], nil)
	}
}

func (m *model) count(n int) {
	m.stats.Put += uint64(n)
	m.stats.Unfinished += n
}

// give gives items to a get.
func (m *model) give(c *modelCall, items []int) {
	c.outcome.items = append(c.outcome.items, items...)
	c.n = len(items)
	m.end(c, nil)
	if c.task {
		m.turns++
	}
}

// settle ends the turns of Tasks that were begun: the bodies run after the
// step that served them.
func (m *model) settle() {
	for ; m.turns > 0; m.turns-- {
		if m.stats.Unfinished > 0 {
			m.stats.Done++
			m.finish(1)
		}
	}
}

// next returns the index of the item that leaves next.
func (m *model) next() int {
	switch m.order {
	case "fifo":
		return 0
	case "lifo":
		return len(m.items) - 1
	default:
		return slices.Index(m.items, slices.MinFunc(m.items, m.compare))
	}
}

func (m *model) take(n int) (items []int) {
	for range n {
		i := m.next()
		items = append(items, m.items[i])
		m.items = slices.Delete(m.items, i, i+1)
	}
	return items
}

// enter puts in what there is room for of c's items; parked or not, c goes
// before all that are parked behind it.
func (m *model) enter(c *modelCall) {
	for len(c.items) > 0 && !m.full() {
		m.items = append(m.items, c.items[0])
		c.items = c.items[1:]
		c.n++
		m.count(1)
		m.stats.MaxLen = max(m.stats.MaxLen, len(m.items))
	}
	if len(c.items) == 0 {
		m.end(c, nil)
	}
}

func (m *model) admit() {
	for len(m.putters) > 0 && !m.full() {
		m.enter(m.putters[0])
	}
}

func (m *model) put(items []int, wait bool) *modelCall {
	c := &modelCall{items: items}
	switch {
	case len(items) == 0:
		return m.end(c, nil)
	case m.stats.Shutdown:
		return m.end(c, queue.ErrShutdown)
	case !wait && m.full():
		m.stats.Rejected++
		return m.end(c, queue.ErrFull)
	}
	spare := 0 // what is left when every parked get has one: for a FIFO queue's batches
	if m.order == "fifo" {
		spare = max(len(items)-len(m.getters), 0)
	}
	for len(m.getters) > 0 && len(c.items) > 0 {
		n := min(1+spare, m.getters[0].room, len(c.items))
		m.give(m.getters[0], c.items[:n])
		m.count(n)
		c.items = c.items[n:]
		c.n += n
		spare -= n - 1
	}
	m.enter(c)
	if !c.ended {
		m.stats.PutBlocked++
		m.park(c, &m.putters)
	}
	return c
}

func (m *model) force(item int) *modelCall {
	if m.stats.Shutdown || !m.full() {
		return m.put([]int{item}, false)
	}
	c := &modelCall{}
	out := 0
	m.items = append(m.items, item)
	if m.order == "priority" {
		out = slices.Index(m.items, slices.MaxFunc(m.items, m.compare))
	}
	c.outcome.items, c.ok = []int{m.items[out]}, true
	m.items = slices.Delete(m.items, out, out+1)
	m.stats.Put++
	m.stats.Dropped++
	return m.end(c, nil)
}

func (m *model) get(c *modelCall, wait bool) *modelCall {
	switch {
	case c.room == 0:
		return m.end(c, nil)
	case len(m.items) > 0:
		m.give(c, m.take(min(c.room, len(m.items))))
		m.admit()
		return c
	case m.stats.Shutdown:
		return m.end(c, queue.ErrShutdown)
	case !wait:
		return m.end(c, queue.ErrEmpty)
	default:
		m.stats.GetBlocked++
		return m.park(c, &m.getters)
	}
}

func (m *model) peek() *modelCall {
	c := &modelCall{}
	switch {
	case len(m.items) > 0:
		c.outcome.items = []int{m.items[m.next()]}
		return m.end(c, nil)
	case m.stats.Shutdown:
		return m.end(c, queue.ErrShutdown)
	default:
		return m.end(c, queue.ErrEmpty)
	}
}

func (m *model) taskDone(n int) *modelCall {
	c := &modelCall{}
	if n < 0 || n > m.stats.Unfinished {
		return m.end(c, queue.ErrTaskDone)
	}
	m.stats.Done += uint64(n)
	m.finish(n)
	return m.end(c, nil)
}

func (m *model) join() *modelCall {
	c := &modelCall{}
	if m.stats.Unfinished == 0 {
		return m.end(c, nil)
	}
	return m.park(c, &m.joiners)
}

func (m *model) shutdown(immediate bool) *modelCall {
	c := &modelCall{}
	if immediate {
		c.outcome.items = m.take(len(m.items))
		m.stats.Dropped += uint64(len(c.outcome.items))
		m.finish(min(len(c.outcome.items), m.stats.Unfinished))
	}
	m.stats.Shutdown = true
	for _, line := range []*[]*modelCall{&m.putters, &m.getters} {
		for len(*line) > 0 {
			m.end((*line)[0], queue.ErrShutdown)
		}
	}
	return m.end(c, nil)
}

func (m *model) resize(capacity int) *modelCall {
	m.stats.Cap = max(capacity, 0)
	m.admit()
	return m.end(&modelCall{}, nil)
}

// A running call is one of the queue's, beside the model's.
type running struct {
	*modelCall
	counts   bool // returns how many items moved
	returned chan outcome
	cancel   context.CancelFunc
}

// runProgram does to a queue and to the model what the program says, one step
// after another, and after each one compares what returned, the figures and the
// invariants. The first byte makes the queue; two bytes are a step.
func runProgram(t *testing.T, program []byte) {
	if len(program) == 0 {
		return
	}
	o := orders[int(program[0])%len(orders)]
	capacity := int(program[0]) / len(orders) % 5
	q := o.make(capacity)
	m := &model{order: o.name, compare: o.compare}
	m.stats.Cap = capacity

	var calls []running
	item := 0
	more := func(n int) (items []int) {
		for range n {
			item++
			items = append(items, item)
		}
		return items
	}
	for i := 1; i+1 < len(program); i += 2 {
		op, arg := program[i]%15, int(program[i+1])
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		var expected *modelCall
		var call func() outcome
		switch op {
		case 0, 1:
			items := more(1)
			expected = m.put(items, op == 0)
			call = func() outcome {
				if op == 0 {
					return outcome{err: q.Put(ctx, items[0])}
				}
				return outcome{err: q.TryPut(items[0])}
			}
		case 2:
			items := more(1)
			expected = m.force(items[0])
			call = func() (r outcome) {
				var out int
				if out, r.ok, r.err = q.ForcePut(items[0]); r.ok {
					r.items = []int{out}
				}
				return r
			}
		case 3:
			items := more(arg % 6)
			expected = m.put(items, true)
			call = func() (r outcome) {
				r.n, r.err = q.PutBatch(ctx, items)
				return r
			}
		case 4, 5:
			expected = m.get(&modelCall{room: 1}, op == 4)
			call = func() (r outcome) {
				var got int
				if op == 4 {
					got, r.err = q.Get(ctx)
				} else {
					got, r.err = q.TryGet()
				}
				if r.err == nil {
					r.items = []int{got}
				}
				return r
			}
		case 6:
			expected = m.peek()
			call = func() (r outcome) {
				var got int
				if got, r.err = q.Peek(); r.err == nil {
					r.items = []int{got}
				}
				return r
			}
		case 7:
			expected = m.get(&modelCall{room: arg % 5}, true)
			call = func() (r outcome) {
				dst := make([]int, arg%5)
				r.n, r.err = q.GetBatch(ctx, dst)
				r.items = append(r.items, dst[:r.n]...)
				return r
			}
		case 8:
			expected = m.get(&modelCall{room: 1, task: true}, true)
			call = func() (r outcome) {
				r.err = queue.ErrShutdown
				for got := range q.Tasks(ctx) {
					return outcome{items: []int{got}}
				}
				if ctx.Err() != nil {
					r.err = ctx.Err()
				}
				return r
			}
		case 9, 10:
			n := 1
			if op == 10 {
				n = arg%6 - 1
			}
			expected = m.taskDone(n)
			call = func() outcome { return outcome{err: q.TaskDoneN(n)} }
		case 11:
			expected = m.join()
			call = func() outcome { return outcome{err: q.Join(ctx)} }
		case 12:
			expected = m.end(&modelCall{}, nil)
			var parked []running
			for _, c := range calls {
				if !c.ended {
					parked = append(parked, c)
				}
			}
			if len(parked) > 0 {
				c := parked[arg%len(parked)]
				m.end(c.modelCall, context.Canceled)
				c.cancel()
			}
			call = func() outcome { return outcome{} }
		case 13:
			if arg%8 < 6 { // seldom, or most programs would be over at once
				continue
			}
			expected = m.shutdown(arg%2 == 1)
			call = func() outcome { return outcome{items: q.Shutdown(arg%2 == 1)} }
		case 14:
			expected = m.resize(arg%6 - 1)
			call = func() outcome {
				q.Resize(arg%6 - 1)
				return outcome{}
			}
		}
		m.settle()
		c := running{expected, op == 3 || op == 7, make(chan outcome, 1), cancel}
		calls = append(calls, c)
		go func() { c.returned <- call() }()
		synctest.Wait()

		step := fmt.Sprintf("step %d: operation %d, argument %d", i/2, op, arg)
		calls = slices.DeleteFunc(calls, func(c running) bool {
			select {
			case got := <-c.returned:
				require.True(t, c.ended, "%s: a call returned %+v, but should wait", step, got)
				want := c.outcome
				if !c.counts {
					want.n = 0
				}
				require.Equal(t, want, got, step)
				return true
			default:
				require.False(t, c.ended, "%s: a call waits, but should return %+v", step, c.outcome)
				return false
			}
		})
		check(t, q)
		require.Equal(t, m.figures(), q.Stats(), step)
		require.Equal(t, m.full(), q.Full(), step)
	}
	for _, c := range calls {
		c.cancel()
		require.Equal(t, context.Canceled, (<-c.returned).err)
	}
	require.Equal(t, m.take(len(m.items)), q.Shutdown(true))
}

func FuzzPrograms(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0, 9, 0})
	f.Add([]byte{5, 4, 0, 4, 0, 3, 5, 12, 0, 13, 6})
	f.Add([]byte{7, 3, 5, 3, 5, 2, 0, 14, 4, 7, 4, 13, 7})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 400 {
			t.Skip("longer than it takes to get anywhere")
		}
		synctest.Test(t, func(t *testing.T) { runProgram(t, program) })
	})
}

// All programs of three operations, and random ones that go far.
func TestTheQueueDoesWhatAPlainModelDoes(t *testing.T) {
	t.Run("all short programs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const operations = 15
			for first := range byte(15) {
				for ops := range operations * operations * operations {
					runProgram(t, []byte{first,
						byte(ops % operations), 3,
						byte(ops / operations % operations), 6,
						byte(ops / operations / operations), 7})
				}
			}
		})
	})
	t.Run("long random programs", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range stressRounds(300) {
			program := make([]byte, 401)
			for i := range program {
				program[i] = byte(random.Uint32())
			}
			synctest.Test(t, func(t *testing.T) { runProgram(t, program) })
		}
	})
}
