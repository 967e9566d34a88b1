package keyed_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/stretchr/testify/require"
)

// modelKeys are the keys of programs. Items with the last have each a key of
// their own.
var modelKeys = []float64{1, 2, 3, math.NaN()}

type entry = keyed.Entry[float64, int]

// An outcome is what a call returned.
type outcome struct {
	entries []entry
	ok      bool // replaced
	err     error
}

func (o outcome) equal(to outcome) bool {
	return o.ok == to.ok && o.err == to.err && (o.entries == nil) == (to.entries == nil) &&
		slices.EqualFunc(o.entries, to.entries, func(a, b entry) bool { return cmp.Compare(a.Key, b.Key) == 0 && a.Value == b.Value })
}

// A model is a Latest, Fair or Serial as plain as can be: slices, searched from
// end to end, and no concurrency. A call is a step that ends, or one that is kept
// with those that are blocked.
type model struct {
	kind      string // latest, fair, serial
	perKey    int
	keys      []*modelKey // all that there ever were
	line      []*modelKey // those whose turn can come
	getters   []*modelCall
	joiners   []*modelCall
	stats     queue.Stats // but for Len, PutWaiting, GetWaiting and Got
	turns     []modelTurn // of loops that have begun and not ended
	taken     int
	ready     bool // Ready was called
	signalled bool // Ready's channel must hold a signal while items can be taken
}

type modelKey struct {
	key        float64
	items      []int
	unfinished int
	hand       int // the number of the item in hand; 0: none
	putters    []*modelCall
}

type modelCall struct {
	outcome
	ended bool
	item  int  // that a put puts
	loop  bool // a get that is a turn of Tasks
	twice bool // whose body marks the item done too
	line  *[]*modelCall
}

type modelTurn struct {
	key   *modelKey
	hand  int
	twice bool
}

func (m *model) key(key float64) *modelKey {
	for _, k := range m.keys {
		if k.key == key {
			return k
		}
	}
	k := &modelKey{key: key}
	m.keys = append(m.keys, k)
	return k
}

func (m *model) len() (n int) {
	for _, k := range m.keys {
		n += len(k.items)
	}
	return n
}

func (m *model) figures() queue.Stats {
	s := m.stats
	s.Len, s.GetWaiting = m.len(), len(m.getters)
	for _, k := range m.keys {
		s.PutWaiting += len(k.putters)
	}
	s.Got = s.Put - s.Dropped - uint64(s.Len)
	return s
}

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

func (m *model) endAll(line *[]*modelCall, err error) {
	for len(*line) > 0 {
		m.end((*line)[0], err)
	}
}

// finish takes items of k off the unfinished counts.
func (m *model) finish(k *modelKey) {
	k.unfinished--
	m.stats.Unfinished--
	if m.stats.Unfinished == 0 {
		m.endAll(&m.joiners, nil)
	}
}

// store queues an item of k.
func (m *model) store(k *modelKey, item int) {
	k.items = append(k.items, item)
	if len(k.items) == 1 && k.hand == 0 {
		m.line = append(m.line, k)
	}
	if k.hand == 0 {
		m.signalled = true
	}
	m.count(k)
	m.stats.MaxLen = max(m.stats.MaxLen, m.len())
}

func (m *model) count(k *modelKey) {
	m.stats.Put++
	m.stats.Unfinished++
	k.unfinished++
}

// give gives an item of k to a get.
func (m *model) give(c *modelCall, k *modelKey, item int) {
	if m.kind == "serial" {
		m.taken++
		k.hand = m.taken
	}
	c.entries = []entry{{Key: k.key, Value: item}}
	m.end(c, nil)
	if c.loop {
		m.turns = append(m.turns, modelTurn{k, k.hand, c.twice})
	}
}

// take gives a get the item whose turn it is.
func (m *model) take(c *modelCall) {
	k := m.line[0]
	item := k.items[0]
	m.line, k.items = m.line[1:], k.items[1:]
	m.signalled = true
	m.give(c, k, item)
	if len(k.putters) > 0 {
		p := k.putters[0]
		k.items = append(k.items, p.item)
		m.count(k)
		m.stats.MaxLen = max(m.stats.MaxLen, m.len())
		m.end(p, nil)
	}
	if len(k.items) > 0 && k.hand == 0 {
		m.line = append(m.line, k)
	}
	m.goHome()
}

// goHome ends the gets that no item will come for.
func (m *model) goHome() {
	if m.stats.Shutdown && m.len() == 0 {
		m.endAll(&m.getters, queue.ErrShutdown)
	}
}

func (m *model) put(key float64, item int, wait bool) *modelCall {
	c := &modelCall{item: item}
	if m.stats.Shutdown {
		return m.end(c, queue.ErrShutdown)
	}
	k := m.key(key)
	switch {
	case m.kind == "latest" && len(k.items) > 0:
		c.entries, c.ok = []entry{{Key: key, Value: k.items[0]}}, true
		k.items[0] = item
		m.stats.Put++
		m.stats.Dropped++
	case m.kind != "latest" && m.perKey > 0 && len(k.items) >= m.perKey:
		if wait {
			m.stats.PutBlocked++
			return m.park(c, &k.putters)
		}
		m.stats.Rejected++
		return m.end(c, queue.ErrFull)
	case len(m.getters) > 0 && k.hand == 0:
		m.count(k)
		m.give(m.getters[0], k, item)
	default:
		m.store(k, item)
	}
	return m.end(c, nil)
}

func (m *model) get(c *modelCall, wait bool) *modelCall {
	switch {
	case len(m.line) > 0:
		m.take(c)
	case m.stats.Shutdown && m.len() == 0:
		m.end(c, queue.ErrShutdown)
	case wait:
		m.stats.GetBlocked++
		m.park(c, &m.getters)
	default:
		m.end(c, queue.ErrEmpty)
	}
	return c
}

// canMark reports whether an item of k can be marked done.
func (m *model) canMark(k *modelKey) bool {
	switch m.kind {
	case "latest":
		return m.stats.Unfinished > 0
	case "fair":
		return k.unfinished > 0
	default:
		return k.hand != 0
	}
}

func (m *model) mark(k *modelKey) {
	m.stats.Done++
	m.finish(k)
	if k.hand == 0 {
		return
	}
	k.hand = 0
	if len(k.items) > 0 {
		m.line = append(m.line, k)
		m.signalled = true
		if len(m.getters) > 0 {
			m.take(m.getters[0])
		}
	}
}

func (m *model) taskDone(key float64) error {
	k := m.key(key)
	if m.canMark(k) {
		m.mark(k)
		return nil
	}
	return queue.ErrTaskDone
}

// settle ends the turns that were begun: the bodies run after the step that gave
// them their items.
func (m *model) settle() {
	for len(m.turns) > 0 {
		t := m.turns[0]
		m.turns = m.turns[1:]
		if t.twice {
			_ = m.taskDone(t.key.key)
		}
		if m.canMark(t.key) && t.key.hand == t.hand {
			m.mark(t.key)
		}
	}
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
	for _, k := range m.keys {
		m.endAll(&k.putters, queue.ErrShutdown)
	}
	if immediate {
		for _, k := range m.keys {
			if k.hand != 0 && len(k.items) > 0 {
				m.line = append(m.line, k)
			}
		}
		for len(m.line) > 0 {
			k := m.line[0]
			m.line = m.line[1:]
			c.entries = append(c.entries, entry{Key: k.key, Value: k.items[0]})
			if k.items = k.items[1:]; len(k.items) > 0 {
				m.line = append(m.line, k)
			}
			m.stats.Dropped++
			m.stats.Drained++
			if m.kind == "latest" && m.stats.Unfinished > 0 || m.kind != "latest" && k.unfinished > 0 {
				m.finish(k)
			}
		}
	}
	m.stats.Shutdown = true
	m.goHome()
	return m.end(c, nil)
}

// receive calls Ready and receives if it can, which after a shutdown it always can.
func (m *model) receive(got bool) {
	m.ready = true
	if got {
		m.signalled = false
	}
}

// A subject is a queue of the kind that a model has.
type subject interface {
	put(ctx context.Context, key float64, item int, wait bool) (old int, replaced bool, err error)
	Get(ctx context.Context) (float64, int, error)
	TryGet() (float64, int, error)
	Tasks(ctx context.Context) func(func(float64, int) bool)
	Ready() <-chan struct{}
	done(key float64) error
	Join(ctx context.Context) error
	Shutdown(immediate bool) []entry
	Len() int
	lenOf(key float64) int
	Stats() queue.Stats
	JoinWaiting() int
	CheckInvariants() error
}

type latestSubject struct{ keyed.Latest[float64, int] }

func (q *latestSubject) put(_ context.Context, key float64, item int, _ bool) (int, bool, error) {
	return q.Put(key, item)
}

func (q *latestSubject) Tasks(ctx context.Context) func(func(float64, int) bool) {
	return q.Latest.Tasks(ctx)
}

func (q *latestSubject) done(float64) error    { return q.TaskDone() }
func (q *latestSubject) lenOf(key float64) int { return -1 }

type fairSubject struct{ *keyed.Fair[float64, int] }

func (q fairSubject) put(ctx context.Context, key float64, item int, wait bool) (int, bool, error) {
	if wait {
		return 0, false, q.Put(ctx, key, item)
	}
	return 0, false, q.TryPut(key, item)
}

func (q fairSubject) Tasks(ctx context.Context) func(func(float64, int) bool) {
	return q.Fair.Tasks(ctx)
}

func (q fairSubject) done(key float64) error { return q.TaskDone(key) }
func (q fairSubject) lenOf(key float64) int  { return q.LenOf(key) }

var subjects = []struct {
	kind string
	make func(perKey int) subject
}{
	{"latest", func(int) subject { return &latestSubject{} }},
	{"fair", func(perKey int) subject { return fairSubject{keyed.NewFair[float64, int](perKey)} }},
	{"serial", func(perKey int) subject { return fairSubject{keyed.NewSerial[float64, int](perKey)} }},
}

// What a program can do. The argument is a key's index, which of the blocked
// calls is cancelled, or whether a shutdown is immediate.
const (
	doPut = iota
	doTryPut
	doGet
	doTryGet
	doTasks // one turn, which the body leaves by a return
	doTwice // the same, and the body marks the item done itself
	doTaskDone
	doJoin
	doCancel
	doShutdown
	doReady
	operations
)

var operationNames = [operations]string{"Put", "TryPut", "Get", "TryGet", "Tasks", "Tasks and TaskDone", "TaskDone", "Join", "cancel", "Shutdown", "Ready"}

// A step of a program.
type step struct{ op, arg int }

func (s step) String() string { return fmt.Sprintf("%s(%d)", operationNames[s.op], s.arg) }

// key is the argument of a step with a key.
func (s step) key() float64 { return modelKeys[s.arg%len(modelKeys)] }

// do does a step to the queue.
func (s step) do(ctx context.Context, q subject, item int) (r outcome) {
	one := func(key float64, item int, err error) {
		if r.err = err; err == nil {
			r.entries = []entry{{Key: key, Value: item}}
		}
	}
	switch s.op {
	case doPut, doTryPut:
		var old int
		if old, r.ok, r.err = q.put(ctx, s.key(), item, s.op == doPut); r.ok {
			r.entries = []entry{{Key: s.key(), Value: old}}
		}
	case doGet:
		one(q.Get(ctx))
	case doTryGet:
		one(q.TryGet())
	case doTasks, doTwice:
		for key, item := range q.Tasks(ctx) {
			if s.op == doTwice {
				_ = q.done(key)
			}
			return outcome{entries: []entry{{Key: key, Value: item}}}
		}
		r.err = queue.ErrShutdown
		if ctx.Err() != nil {
			r.err = ctx.Err()
		}
	case doTaskDone:
		r.err = q.done(s.key())
	case doJoin:
		r.err = q.Join(ctx)
	case doShutdown:
		r.entries = q.Shutdown(s.arg == 1)
	}
	return r
}

// do does a step to the model.
func (m *model) do(s step, item int) (c *modelCall) {
	switch s.op {
	case doPut, doTryPut:
		c = m.put(s.key(), item, s.op == doPut)
	case doGet:
		c = m.get(&modelCall{}, true)
	case doTryGet:
		c = m.get(&modelCall{}, false)
	case doTasks, doTwice:
		c = m.get(&modelCall{loop: true, twice: s.op == doTwice}, true)
	case doTaskDone:
		c = m.end(&modelCall{}, m.taskDone(s.key()))
	case doJoin:
		c = m.join()
	case doShutdown:
		c = m.shutdown(s.arg == 1)
		if m.kind == "serial" {
			sortByKey(c.entries)
		}
	}
	m.settle()
	return c
}

// sortByKey leaves the items of each key in order. Those of keys in hand have no
// turn, so nothing is said of the order among keys.
func sortByKey(entries []entry) {
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.Key, b.Key) })
}

// A running call is one of the queue's, beside the model's.
type running struct {
	*modelCall
	step     step
	returned chan outcome
	cancel   context.CancelFunc
}

// runProgram does to a queue and to the model what the program says, one step
// after another, and after each one compares what returned, the figures and the
// invariants. It must be called in a bubble. It returns the index of the first
// step that cancels although nothing is blocked, otherwise len(program).
func runProgram(t *testing.T, kind, perKey int, program []step) (idle int) {
	idle = len(program)
	q := subjects[kind].make(perKey)
	m := &model{kind: subjects[kind].kind, perKey: perKey}

	// A call that blocks, but should not, ends when all block and the bubble's
	// clock moves on.
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	var calls []running
	where := func(i int) string {
		return fmt.Sprintf("%s queue, %d a key, step %d of %v", m.kind, perKey, i, program)
	}
	for i, s := range program {
		item := i + 1
		switch s.op {
		case doCancel:
			if len(calls) == 0 {
				idle = min(idle, i)
				continue
			}
			c := calls[s.arg%len(calls)]
			m.end(c.modelCall, context.Canceled)
			c.cancel()
		case doReady:
			got := false
			select {
			case <-q.Ready():
				got = true
			default:
			}
			m.receive(got)
		default:
			if c := m.do(s, item); c.ended {
				got := s.do(ctx, q, item)
				if s.op == doShutdown && m.kind == "serial" {
					sortByKey(got.entries)
				}
				if !got.equal(c.outcome) {
					require.Equal(t, c.outcome, got, where(i))
				}
			} else {
				ctx, cancel := context.WithCancel(background)
				returned := make(chan outcome, 1)
				calls = append(calls, running{c, s, returned, cancel})
				go func() { returned <- s.do(ctx, q, item) }()
			}
		}
		if len(calls) > 0 {
			synctest.Wait()
			calls = slices.DeleteFunc(calls, func(c running) bool {
				select {
				case got := <-c.returned:
					if !c.ended {
						t.Fatalf("%s: %v returned %+v, but should block", where(i), c.step, got)
					}
					if !got.equal(c.outcome) {
						require.Equal(t, c.outcome, got, where(i))
					}
					c.cancel()
				default:
					if c.ended {
						t.Fatalf("%s: %v blocks, but should return %+v", where(i), c.step, c.outcome)
					}
				}
				return c.ended
			})
		}
		if m.ready && !m.stats.Shutdown && len(m.line) > 0 && m.signalled && len(q.Ready()) == 0 {
			t.Fatalf("%s: items can be taken, but Ready has no signal", where(i))
		}
		if err := q.CheckInvariants(); err != nil {
			t.Fatalf("%s: %v", where(i), err)
		}
		if got, want := q.Stats(), m.figures(); got != want || q.Len() != want.Len || q.JoinWaiting() != len(m.joiners) {
			require.Equal(t, want, got, where(i))
			require.Equal(t, want.Len, q.Len(), where(i))
			require.Equal(t, len(m.joiners), q.JoinWaiting(), where(i))
		}
		for _, key := range modelKeys {
			want := 0
			if key == key { //nolint:staticcheck // a NaN is not
				want = len(m.key(key).items)
			}
			if got := q.lenOf(key); got != want && m.kind != "latest" {
				t.Fatalf("%s: LenOf(%v) is %d, but should be %d", where(i), key, got, want)
			}
		}
	}
	for _, c := range calls {
		if c.ended { // an earlier one's end released it
			continue
		}
		m.end(c.modelCall, context.Canceled)
		c.cancel()
		if got := <-c.returned; got.err != c.err {
			t.Fatalf("%s: %v returned %+v, but was cancelled", where(len(program)), c.step, got)
		}
	}
	left, want := q.Shutdown(true), m.shutdown(true).entries
	if m.kind == "serial" {
		sortByKey(left)
		sortByKey(want)
	}
	if !(outcome{entries: left}).equal(outcome{entries: want}) {
		require.Equal(t, want, left, where(len(program)))
	}
	return idle
}

// decode makes a program of bytes. The first makes the queue; two are a step.
func decode(data []byte) (kind, perKey int, program []step) {
	kind = int(data[0]) % len(subjects)
	perKey = int(data[0]) / len(subjects) % 4
	for i := 1; i+1 < len(data); i += 2 {
		s := step{int(data[i]) % operations, int(data[i+1])}
		switch s.op {
		case doPut, doTryPut, doTaskDone:
			s.arg %= 8
		case doShutdown:
			if s.arg%8 < 6 { // seldom, or most programs would be over at once
				continue
			}
			s.arg %= 2
		}
		program = append(program, s)
	}
	return kind, perKey, program
}

func FuzzPrograms(f *testing.F) {
	for kind := range byte(len(subjects)) {
		perKey := kind + byte(len(subjects)) // of one item
		// A key in turn with another, one whose Put blocks, and a NaN.
		f.Add([]byte{perKey, doPut, 0, doPut, 1, doPut, 0, doPut, 3, doGet, 0, doTaskDone, 0, doTasks, 0, doJoin, 0, doShutdown, 7})
		// Gets that block, an item that is handed over, a graceful shutdown.
		f.Add([]byte{perKey, doTasks, 0, doGet, 0, doGet, 0, doPut, 0, doPut, 0, doTaskDone, 0, doCancel, 0, doShutdown, 6, doTryGet, 0})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 400 {
			t.Skip("no queue, or longer than it takes to get anywhere")
		}
		kind, perKey, program := decode(data)
		synctest.Test(t, func(t *testing.T) { runProgram(t, kind, perKey, program) })
	})
}

// allPrograms runs every program of length steps, and with them all shorter ones,
// and returns how many there are.
func allPrograms(t *testing.T, kind, perKey int, alphabet []step, length int) (programs int) {
	letters := make([]int, length)
	program := make([]step, length)
	for {
		for i, letter := range letters {
			program[i] = alphabet[letter]
		}
		programs++
		// What follows an idle step need not be tried: it is the same as without.
		i := min(runProgram(t, kind, perKey, program), length-1)
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

// stressRounds returns how many rounds a test of chance runs: n, times what the
// environment variable QUEUE_STRESS says.
func stressRounds(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("QUEUE_STRESS")); err == nil {
		return n * factor
	}
	if testing.Short() {
		return max(n/10, 1)
	}
	return n
}

func TestTheQueuesDoWhatAPlainModelDoes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a program is garbage as soon as it has run
	everything := []step{{doPut, 0}, {doPut, 1}, {doPut, 3}, {doTryPut, 0}, {doGet, 0}, {doTryGet, 0}, {doTasks, 0}, {doTwice, 0},
		{doTaskDone, 0}, {doTaskDone, 3}, {doJoin, 0}, {doCancel, 0}, {doShutdown, 0}, {doShutdown, 1}, {doReady, 0}}
	turns := []step{{doPut, 0}, {doPut, 1}, {doGet, 0}, {doTasks, 0}, {doTwice, 0}, {doTaskDone, 0}, {doJoin, 0}, {doCancel, 0}, {doShutdown, 0}, {doShutdown, 1}}
	for _, c := range []struct {
		name     string
		alphabet []step
		length   int
		short    int // length under -short and -race
	}{
		{"all programs of three operations", everything, 3, 2},
		{"all programs of five operations around turns", turns, 5, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			length := c.length
			if raceEnabled || testing.Short() {
				length = c.short
			}
			programs := 0
			synctest.Test(t, func(t *testing.T) {
				for kind := range subjects {
					for perKey := range 3 {
						if kind == 0 && perKey > 0 || length > 3 && perKey > 1 {
							continue
						}
						programs += allPrograms(t, kind, perKey, c.alphabet, length)
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
			kind, perKey, program := decode(data)
			synctest.Test(t, func(t *testing.T) { runProgram(t, kind, perKey, program) })
		}
	})
}
