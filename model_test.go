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
// that are blocked.
type model struct {
	order     string
	compare   func(a, b int) int
	items     []int // in the order in which they came
	putters   []*modelCall
	getters   []*modelCall
	joiners   []*modelCall
	stats     queue.Stats // but for Len, PutWaiting, GetWaiting and Got
	immediate bool        // the shutdown was
	turns     []int       // items in hand of each loop whose turn has begun and not ended
	now       int         // ticks
	ready     bool        // Ready was called
	signalled bool        // Ready's channel must hold a signal while items are queued
}

type modelCall struct {
	outcome
	ended bool
	items []int // that a put has still to put in
	room  int   // how many items a get takes
	loop  bool  // the get is a turn of Tasks or Batches
	batch bool  // of Batches
	ticks int   // how long it lingers
	since int   // when it took its first item
	line  *[]*modelCall
}

// complete reports whether a get that has items ends.
func (c *modelCall) complete() bool {
	return !c.batch || len(c.outcome.items) == c.room || c.ticks == 0
}

// The linger of a loop over Batches is lingerTicks of time.
const (
	tick        = time.Second
	lingerTicks = 2
)

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
	if len(c.outcome.items) == 0 {
		c.since = m.now
	}
	c.outcome.items = append(c.outcome.items, items...)
	c.n = len(c.outcome.items)
	if c.complete() {
		m.end(c, nil)
		m.begin(c)
	}
}

// begin begins the turn of a loop that has items.
func (m *model) begin(c *modelCall) {
	if c.loop {
		m.turns = append(m.turns, len(c.outcome.items))
	}
}

// leave ends a blocked call, which keeps what it has in hand.
func (m *model) leave(c *modelCall, err error) {
	if c.batch && len(c.outcome.items) > 0 {
		m.end(c, nil)
		m.begin(c)
	} else {
		m.end(c, err)
	}
}

// settle ends the turns that were begun: the bodies run after the step that
// gave them their items.
func (m *model) settle() {
	for _, n := range m.turns {
		n = min(n, m.stats.Unfinished)
		if m.stats.Done += uint64(n); n > 0 {
			m.finish(n)
		}
	}
	m.turns = nil
}

// pass lets a tick pass.
func (m *model) pass() *modelCall {
	m.now++
	for _, c := range slices.Clone(m.getters) {
		if c.batch && len(c.outcome.items) > 0 && m.now-c.since >= c.ticks {
			m.leave(c, nil)
		}
	}
	return m.end(&modelCall{}, nil)
}

// receive calls Ready and receives if it can, which after a shutdown it always can.
func (m *model) receive(got bool) {
	m.ready = true
	if got {
		m.signalled = false
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
		m.signalled = true
	}
	return items
}

// store queues an item that was put.
func (m *model) store(item int) {
	m.items = append(m.items, item)
	m.count(1)
	m.stats.MaxLen = max(m.stats.MaxLen, len(m.items))
	m.signalled = true
}

// enter puts in what there is room for of c's items; parked or not, c goes
// before all that are parked behind it.
func (m *model) enter(c *modelCall) {
	for len(c.items) > 0 && !m.full() {
		m.store(c.items[0])
		c.items = c.items[1:]
		c.n++
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
	}
	m.handOver(c)
	m.enter(c)
	switch {
	case c.ended:
	case wait:
		m.stats.PutBlocked++
		m.park(c, &m.putters)
	default:
		m.stats.Rejected += uint64(len(c.items))
		m.end(c, queue.ErrFull)
	}
	return c
}

// handOver gives items to the blocked gets: a loop over Batches has as many as
// it has room for, the others one each and, of a FIFO queue, what is left.
func (m *model) handOver(c *modelCall) {
	fifo := m.order == "fifo"
	least := func(g *modelCall) int {
		if g.batch && (fifo || g.ticks > 0) {
			return g.room - len(g.outcome.items)
		}
		return 1
	}
	spare := 0
	if fifo {
		spare = len(c.items)
		for _, g := range m.getters {
			spare -= least(g)
		}
		spare = max(spare, 0)
	}
	for len(m.getters) > 0 && len(c.items) > 0 {
		g := m.getters[0]
		n := min(least(g)+spare, g.room-len(g.outcome.items), len(c.items))
		spare -= n - min(n, least(g))
		m.count(n)
		m.give(g, c.items[:n])
		c.items = c.items[n:]
		c.n += n
	}
}

func (m *model) requeue(item int) *modelCall {
	c := &modelCall{items: []int{item}}
	switch {
	case m.immediate, m.stats.Shutdown && m.stats.Unfinished == 0:
		return m.end(c, queue.ErrShutdown)
	case len(m.getters) > 0:
		m.handOver(c)
	default:
		m.store(item)
	}
	return m.end(c, nil)
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
	}
	var taken []int
	for more := true; more && len(m.items) > 0 && len(taken) < c.room; more = c.batch { // what a loop lets in, it takes too
		taken = append(taken, m.take(min(c.room-len(taken), len(m.items)))...)
		m.admit()
	}
	if taken != nil {
		m.give(c, taken)
	}
	switch {
	case c.ended:
		return c
	case m.stats.Shutdown:
		m.leave(c, queue.ErrShutdown)
		return c
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
		m.stats.Drained += uint64(len(c.outcome.items))
		m.immediate = true
		m.finish(min(len(c.outcome.items), m.stats.Unfinished))
	}
	m.stats.Shutdown = true
	for _, line := range []*[]*modelCall{&m.putters, &m.getters} {
		for len(*line) > 0 {
			m.leave((*line)[0], queue.ErrShutdown)
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
// done, which of the blocked calls is cancelled, whether a shutdown is immediate,
// or a capacity; for Batches, the size and, in the lowest bit, whether it lingers.
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
	doTryPutBatch
	doTryGetBatch
	doBatches // one turn, which the body leaves by a return
	doRequeue
	doReady
	doTick
	operations
)

var operationNames = [operations]string{"Put", "TryPut", "ForcePut", "PutBatch", "Get", "TryGet", "Peek", "GetBatch", "Tasks",
	"TaskDone", "TaskDoneN", "Join", "cancel", "Shutdown", "Resize", "TryPutBatch", "TryGetBatch", "Batches", "Requeue", "Ready", "tick"}

// A step of a program.
type step struct{ op, arg int }

func (s step) String() string { return fmt.Sprintf("%s(%d)", operationNames[s.op], s.arg) }

// puts returns how many items a step needs.
func (s step) puts() int {
	switch s.op {
	case doPut, doTryPut, doForcePut, doRequeue:
		return 1
	case doPutBatch, doTryPutBatch:
		return s.arg
	}
	return 0
}

// size and lingers are the arguments of Batches.
func (s step) size() int    { return s.arg/2 + 1 }
func (s step) lingers() int { return s.arg % 2 * lingerTicks }

// counts reports whether the call returns a number of items.
func (s step) counts() bool {
	switch s.op {
	case doPutBatch, doTryPutBatch, doGetBatch, doTryGetBatch:
		return true
	}
	return false
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
	case doTryPutBatch:
		r.n, r.err = q.TryPutBatch(items)
	case doGetBatch:
		dst := make([]int, s.arg)
		r.n, r.err = q.GetBatch(ctx, dst)
		r.items = append(r.items, dst[:r.n]...)
	case doTryGetBatch:
		dst := make([]int, s.arg)
		r.n, r.err = q.TryGetBatch(dst)
		r.items = append(r.items, dst[:r.n]...)
	case doBatches:
		for batch := range q.Batches(ctx, s.size(), time.Duration(s.lingers())*tick) {
			return outcome{items: batch}
		}
		r.err = queue.ErrShutdown
		if ctx.Err() != nil {
			r.err = ctx.Err()
		}
	case doRequeue:
		r.err = q.Requeue(items[0])
	case doTick:
		time.Sleep(tick)
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
	case doTryPut, doTryPutBatch:
		c = m.put(items, false)
	case doRequeue:
		c = m.requeue(items[0])
	case doTick:
		c = m.pass()
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
	case doTryGetBatch:
		c = m.get(&modelCall{room: s.arg}, false)
	case doTasks:
		c = m.get(&modelCall{room: 1, loop: true}, true)
	case doBatches:
		c = m.get(&modelCall{room: s.size(), loop: true, batch: true, ticks: s.lingers()}, true)
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
	if !s.counts() {
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
// step that cancels although no call is blocked, otherwise len(program).
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
			m.leave(c.modelCall, context.Canceled)
			m.settle()
			c.cancel()
		} else if s.op == doReady {
			got := false
			select {
			case <-q.Ready():
				got = true
			default:
			}
			m.receive(got)
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
					if !c.step.counts() {
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
		if ready := m.ready && len(q.Ready()) == 1; m.ready && !m.stats.Shutdown && len(m.items) > 0 && m.signalled && !ready {
			t.Fatalf("%s: items are queued, but Ready has no signal", where(i))
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
		if c.ended { // a batch in hand was marked done, and that released this Join
			continue
		}
		m.leave(c.modelCall, context.Canceled)
		m.settle()
		c.cancel()
		if got := <-c.returned; got.err != c.err {
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
		case doPutBatch, doTryPutBatch:
			s.arg %= 6
		case doGetBatch, doTryGetBatch:
			s.arg %= 5
		case doBatches:
			s.arg %= 8
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
		{doTaskDone, 0}, {doTaskDoneN, 2}, {doJoin, 0}, {doCancel, 0}, {doShutdown, 0}, {doShutdown, 1}, {doResize, 2},
		{doTryPutBatch, 3}, {doTryGetBatch, 2}, {doBatches, 2}, {doBatches, 3}, {doRequeue, 0}, {doReady, 0}, {doTick, 0}}
	// Those that wait, those that let another go on, and those that end its wait.
	// What is left out does as much as one of these: TryPut and TryGet what Put and
	// Get do when they need not wait, Tasks what Get and TaskDone do.
	waiting := []step{{doPut, 0}, {doPutBatch, 3}, {doForcePut, 0}, {doGet, 0}, {doGetBatch, 2},
		{doTaskDone, 0}, {doJoin, 0}, {doCancel, 0}, {doShutdown, 1}, {doResize, 2}}
	// A loop over Batches that lingers, and all that gives it items or ends it.
	lingering := []step{{doPut, 0}, {doPutBatch, 3}, {doGet, 0}, {doBatches, 3}, {doBatches, 5},
		{doRequeue, 0}, {doCancel, 0}, {doShutdown, 0}, {doTick, 0}}
	for _, c := range []struct {
		name       string
		alphabet   []step
		length     int
		short      int // length under -short and -race
		capacities []int
	}{
		{"all programs of three operations", everything, 3, 2, []int{queue.Unbounded, 1, 2, 3, 4, 5}},
		{"all programs of five operations around blocking", waiting, 5, 4, []int{1, 2, 3, 4, 5}},
		{"all programs of five operations around lingering", lingering, 5, 4, []int{1, 2, 3}},
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
