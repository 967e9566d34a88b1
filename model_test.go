package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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

// What a program can do. The argument is the size of a batch, the number of items
// done, which of the calls that wait is cancelled, whether a shutdown is
// immediate, or a capacity.
const (
	doPut = iota
	doTryPut
	doForcePut
	doPutBatch
	doGet
	doTryGet
	doPeek
	doGetBatch
	doTasks // one turn, which the body leaves by a return
	doTaskDone
	doTaskDoneN
	doJoin
	doCancel
	doShutdown
	doResize
	operations
)

var operationNames = [operations]string{"Put", "TryPut", "ForcePut", "PutBatch", "Get", "TryGet", "Peek", "GetBatch", "Tasks",
	"TaskDone", "TaskDoneN", "Join", "cancel", "Shutdown", "Resize"}

// A step of a program.
type step struct{ op, arg int }

func (s step) String() string { return fmt.Sprintf("%s(%d)", operationNames[s.op], s.arg) }

// puts returns how many items a step needs.
func (s step) puts() int {
	switch s.op {
	case doPut, doTryPut, doForcePut:
		return 1
	case doPutBatch:
		return s.arg
	}
	return 0
}

// do does a step to the queue.
func (s step) do(ctx context.Context, q *queue.Queue[int], items []int) (r outcome) {
	one := func(item int, err error) {
		if r.err = err; err == nil {
			r.items = []int{item}
		}
	}
	switch s.op {
	case doPut:
		r.err = q.Put(ctx, items[0])
	case doTryPut:
		r.err = q.TryPut(items[0])
	case doForcePut:
		var out int
		if out, r.ok, r.err = q.ForcePut(items[0]); r.ok {
			r.items = []int{out}
		}
	case doPutBatch:
		r.n, r.err = q.PutBatch(ctx, items)
	case doGet:
		one(q.Get(ctx))
	case doTryGet:
		one(q.TryGet())
	case doPeek:
		one(q.Peek())
	case doGetBatch:
		dst := make([]int, s.arg)
		r.n, r.err = q.GetBatch(ctx, dst)
		r.items = append(r.items, dst[:r.n]...)
	case doTasks:
		for got := range q.Tasks(ctx) {
			return outcome{items: []int{got}}
		}
		r.err = queue.ErrShutdown
		if ctx.Err() != nil {
			r.err = ctx.Err()
		}
	case doTaskDone:
		r.err = q.TaskDone()
	case doTaskDoneN:
		r.err = q.TaskDoneN(s.arg)
	case doJoin:
		r.err = q.Join(ctx)
	case doShutdown:
		r.items = q.Shutdown(s.arg == 1)
	case doResize:
		q.Resize(s.arg)
	}
	return r
}

// do does a step to the model.
func (m *model) do(s step, items []int) (c *modelCall) {
	switch s.op {
	case doPut, doPutBatch:
		c = m.put(items, true)
	case doTryPut:
		c = m.put(items, false)
	case doForcePut:
		c = m.force(items[0])
	case doGet:
		c = m.get(&modelCall{room: 1}, true)
	case doTryGet:
		c = m.get(&modelCall{room: 1}, false)
	case doPeek:
		c = m.peek()
	case doGetBatch:
		c = m.get(&modelCall{room: s.arg}, true)
	case doTasks:
		c = m.get(&modelCall{room: 1, task: true}, true)
	case doTaskDone:
		c = m.taskDone(1)
	case doTaskDoneN:
		c = m.taskDone(s.arg)
	case doJoin:
		c = m.join()
	case doShutdown:
		c = m.shutdown(s.arg == 1)
	case doResize:
		c = m.resize(s.arg)
	}
	if s.op != doPutBatch && s.op != doGetBatch {
		c.n = 0
	}
	m.settle()
	return c
}

// A running call is one of the queue's, beside the model's.
type running struct {
	*modelCall
	step     step
	returned chan outcome
	cancel   context.CancelFunc
}

func (o outcome) equal(to outcome) bool {
	return o.n == to.n && o.ok == to.ok && o.err == to.err && (o.items == nil) == (to.items == nil) && slices.Equal(o.items, to.items)
}

// runProgram does to a queue and to the model what the program says, one step
// after another, and after each one compares what returned, the figures and the
// invariants. It must be called in a bubble. It returns the index of the first
// step that cancels although nobody waits, otherwise len(program).
func runProgram(t *testing.T, o order, capacity int, program []step) (idle int) {
	idle = len(program)
	q := o.make(capacity)
	m := &model{order: o.name, compare: o.compare}
	m.stats.Cap = capacity

	// A call that waits, but should not, ends when all wait and the bubble's
	// clock moves on.
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	var calls []running
	where := func(i int) string {
		return fmt.Sprintf("%s queue, capacity %d, step %d of %v", o.name, capacity, i, program)
	}
	next := 1
	for i, s := range program {
		if s.op == doCancel {
			if len(calls) == 0 {
				idle = min(idle, i)
				continue
			}
			c := calls[s.arg%len(calls)]
			m.end(c.modelCall, context.Canceled)
			c.cancel()
		} else {
			var items []int
			for range s.puts() {
				items = append(items, next)
				next++
			}
			if c := m.do(s, items); c.ended {
				if got := s.do(ctx, q, items); !got.equal(c.outcome) {
					require.Equal(t, c.outcome, got, where(i))
				}
			} else {
				ctx, cancel := context.WithCancel(background)
				returned := make(chan outcome, 1)
				calls = append(calls, running{c, s, returned, cancel})
				go func() { returned <- s.do(ctx, q, items) }()
			}
		}
		if len(calls) > 0 {
			synctest.Wait()
			calls = slices.DeleteFunc(calls, func(c running) bool {
				select {
				case got := <-c.returned:
					if !c.ended {
						t.Fatalf("%s: %v returned %+v, but should wait", where(i), c.step, got)
					}
					if c.step.op != doPutBatch && c.step.op != doGetBatch {
						c.n = 0
					}
					if !got.equal(c.outcome) {
						require.Equal(t, c.outcome, got, where(i))
					}
					c.cancel()
				default:
					if c.ended {
						t.Fatalf("%s: %v waits, but should return %+v", where(i), c.step, c.outcome)
					}
				}
				return c.ended
			})
		}
		if err := q.CheckInvariants(); err != nil {
			t.Fatalf("%s: %v", where(i), err)
		}
		if got, want := q.Stats(), m.figures(); got != want || q.Full() != m.full() || q.JoinWaiting() != len(m.joiners) {
			require.Equal(t, want, got, where(i))
			require.Equal(t, m.full(), q.Full(), where(i))
			require.Equal(t, len(m.joiners), q.JoinWaiting(), where(i))
		}
	}
	for _, c := range calls {
		c.cancel()
		if got := <-c.returned; got.err != context.Canceled {
			t.Fatalf("%s: %v returned %+v, but was cancelled", where(len(program)), c.step, got)
		}
	}
	if left, want := q.Shutdown(true), m.take(len(m.items)); !slices.Equal(left, want) {
		require.Equal(t, want, left, where(len(program)))
	}
	return idle
}

// decode makes a program of bytes. The first makes the queue; two are a step.
func decode(data []byte) (o order, capacity int, program []step) {
	o = orders[int(data[0])%len(orders)]
	capacity = int(data[0]) / len(orders) % 6
	for i := 1; i+1 < len(data); i += 2 {
		s := step{int(data[i]) % operations, int(data[i+1])}
		switch s.op {
		case doPutBatch:
			s.arg %= 6
		case doGetBatch:
			s.arg %= 5
		case doTaskDoneN, doResize:
			s.arg = s.arg%7 - 1
		case doShutdown:
			if s.arg%8 < 6 { // seldom, or most programs would be over at once
				continue
			}
			s.arg %= 2
		}
		program = append(program, s)
	}
	return o, capacity, program
}

// The seeds are in testdata, named after what they do.
func FuzzPrograms(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 400 {
			t.Skip("no queue, or longer than it takes to get anywhere")
		}
		o, capacity, program := decode(data)
		synctest.Test(t, func(t *testing.T) { runProgram(t, o, capacity, program) })
	})
}

// allPrograms runs every program of length steps, and with them all shorter ones,
// and returns how many there are.
func allPrograms(t *testing.T, o order, capacity int, alphabet []step, length int) (programs int) {
	letters := make([]int, length)
	program := make([]step, length)
	for {
		for i, letter := range letters {
			program[i] = alphabet[letter]
		}
		programs++
		// What follows an idle step need not be tried: it is the same as without.
		i := min(runProgram(t, o, capacity, program), length-1)
		clear(letters[i+1:])
		for ; i >= 0; i-- {
			if letters[i]++; letters[i] < len(alphabet) {
				break
			}
			letters[i] = 0
		}
		if i < 0 {
			return programs
		}
	}
}

func TestTheQueueDoesWhatAPlainModelDoes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a program is garbage as soon as it has run
	// Each operation once, and a shutdown of either kind.
	everything := []step{{doPut, 0}, {doTryPut, 0}, {doForcePut, 0}, {doPutBatch, 3}, {doGet, 0}, {doTryGet, 0}, {doPeek, 0}, {doGetBatch, 2}, {doTasks, 0},
		{doTaskDone, 0}, {doTaskDoneN, 2}, {doJoin, 0}, {doCancel, 0}, {doShutdown, 0}, {doShutdown, 1}, {doResize, 2}}
	// Those that wait, those that let another go on, and those that end its wait.
	// What is left out does as much as one of these: TryPut and TryGet what Put and
	// Get do when they need not wait, Tasks what Get and TaskDone do.
	waiting := []step{{doPut, 0}, {doPutBatch, 3}, {doForcePut, 0}, {doGet, 0}, {doGetBatch, 2},
		{doTaskDone, 0}, {doJoin, 0}, {doCancel, 0}, {doShutdown, 1}, {doResize, 2}}
	for _, c := range []struct {
		name       string
		alphabet   []step
		length     int
		short      int // length under -short and -race
		capacities []int
	}{
		{"all programs of three operations", everything, 3, 2, []int{queue.Unbounded, 1, 2, 3, 4, 5}},
		{"all programs of five operations around waiting", waiting, 5, 4, []int{1, 2, 3, 4, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			length := c.length
			if raceEnabled || testing.Short() {
				length = c.short
			}
			programs := 0
			synctest.Test(t, func(t *testing.T) {
				for _, o := range orders {
					for _, capacity := range c.capacities {
						programs += allPrograms(t, o, capacity, c.alphabet, length)
					}
				}
			})
			t.Logf("%d programs of %d operations", programs, length)
		})
	}
	t.Run("long random programs", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range stressRounds(300) {
			data := make([]byte, 401)
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			o, capacity, program := decode(data)
			synctest.Test(t, func(t *testing.T) { runProgram(t, o, capacity, program) })
		}
	})
}
