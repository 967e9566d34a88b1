package linearizability

import (
	"context"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// A target is a queue that is checked: the real one, or one that is wrong on purpose.
type target interface {
	Put(ctx context.Context, item Item) error
	Get(ctx context.Context) (Item, error)
	TryPut(item Item) error
	TryGet() (Item, error)
	ForcePut(item Item) (evicted Item, ok bool, err error)
	Peek() (Item, error)
	PutBatch(ctx context.Context, items []Item) (n int, err error)
	GetBatch(ctx context.Context, dst []Item) (n int, err error)
	TryPutBatch(items []Item) (n int, err error)
	TryGetBatch(dst []Item) (n int, err error)
	Requeue(item Item) error
	Ready() <-chan struct{}
	Batches(ctx context.Context, size int, linger time.Duration) iter.Seq[[]Item]
	TaskDone() error
	TaskDoneN(n int) error
	Join(ctx context.Context) error
	Shutdown(immediate bool) (drained []Item)
	Resize(capacity int)
	Len() int
	Stats() queue.Stats
}

// A planned call is one that a client is to make. Its context can be cancelled
// unless cancel is nil.
type planned struct {
	Input
	items  []Item // of PutBatch and TryPutBatch
	turns  int    // of Batches, after which the client breaks out
	ctx    context.Context
	cancel context.CancelFunc
}

// A client makes its calls one after another.
type client struct {
	calls   []planned
	current int // the call that it makes; len(calls) when it has made all
	history []porcupine.Operation
}

// A recorder runs clients on one queue and records what they see.
type recorder struct {
	q       target
	clock   atomic.Int64
	turns   atomic.Int64
	clients []*client
}

// yield lets others run, now and then.
func yield() {
	for range rand.IntN(4) - 1 {
		runtime.Gosched()
	}
}

// A yieldingContext lets others run where the queue consults it: just before the
// queue is locked, before a call blocks, and after it has left its wait queue.
type yieldingContext struct{ context.Context }

func (c yieldingContext) Err() error {
	yield()
	return c.Context.Err()
}

func (c yieldingContext) Done() <-chan struct{} {
	yield()
	return c.Context.Done()
}

// plan returns clients with random calls.
func plan(random *rand.Rand) (clients []*client) {
	item, batch := Item(0), 0
	calls := 0
	for range 2 + random.IntN(3) {
		c := &client{}
		for range 1 + random.IntN(5) {
			if calls++; calls > 13 {
				break
			}
			c.calls = append(c.calls, planCall(random, &item, &batch))
		}
		clients = append(clients, c)
	}
	return clients
}

func planCall(random *rand.Rand, item *Item, batch *int) (p planned) {
	waits := true
	next := func() Item {
		*item++
		return *item
	}
	switch random.IntN(30) {
	case 0, 1, 2, 3:
		p.Op, p.Item = Put, next()
	case 4, 5, 6, 7:
		p.Op = Get
	case 8, 9:
		p.Op = PutBatch
		*batch++
		p.Batch = *batch
		for range 2 + random.IntN(2) {
			p.items = append(p.items, next())
		}
	case 10, 11:
		p.Op, p.N = GetBatch, 2+random.IntN(2)
	case 12, 13:
		p.Op = Join
	case 14, 15, 16:
		p.Op, p.N, p.Linger, p.turns = Batches, 1+random.IntN(4), random.IntN(3) > 0, 1+random.IntN(3)
	case 17:
		p.Op = Await
	default:
		waits = false
		switch random.IntN(18) {
		case 0, 1:
			p.Op, p.Item = TryPut, next()
		case 2, 3:
			p.Op = TryGet
		case 4:
			p.Op, p.Item = ForcePut, next()
		case 5:
			p.Op = Peek
		case 6:
			p.Op = Len
		case 7:
			p.Op = Stats
		case 8:
			p.Op, p.N = TaskDone, 1
		case 9:
			p.Op, p.N = TaskDoneN, random.IntN(4)-1
		case 10:
			p.Op, p.N = Resize, random.IntN(4)
		case 11:
			if random.IntN(2) == 0 {
				p.Op, p.N = Resize, random.IntN(4)
			} else {
				p.Op, p.Immediate = Shutdown, random.IntN(2) == 0
			}
		case 12, 13:
			p.Op = TryPutBatch
			*batch++
			p.Batch = *batch
			for range 2 + random.IntN(2) {
				p.items = append(p.items, next())
			}
		case 14:
			p.Op, p.N = TryGetBatch, 2+random.IntN(2)
		case 15:
			p.Op, p.Item = Requeue, next()
		case 16, 17:
			p.Op = Receive
		}
	}
	if waits {
		p.ctx = context.Background()
		if p.Op == Join || p.Op == Await || random.IntN(4) > 0 {
			p.Ctx = Within
			p.ctx, p.cancel = context.WithCancel(p.ctx)
			if random.IntN(2) == 0 { // else the queue calls Done under its lock
				p.ctx = yieldingContext{p.ctx}
			}
		}
	}
	return p
}

// record runs the program of a seed and returns its history. The same seed makes
// the same program, but not the same schedule.
func record(t *testing.T, seed uint64, q target) (history []porcupine.Operation) {
	random := rand.New(rand.NewPCG(seed, 0))
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{q: q, clients: plan(random)}
		history = r.run(t, random)
	})
	return history
}

func (r *recorder) run(t *testing.T, random *rand.Rand) (history []porcupine.Operation) {
	start := make(chan struct{})
	var cancels []context.CancelFunc
	for _, c := range r.clients {
		for _, p := range c.calls {
			if p.cancel != nil && random.IntN(3) == 0 {
				cancels = append(cancels, p.cancel)
			}
		}
		go func() {
			<-start
			r.work(c)
		}()
	}
	random.Shuffle(len(cancels), func(i, j int) { cancels[i], cancels[j] = cancels[j], cancels[i] })
	go func() {
		<-start
		for _, cancel := range cancels {
			yield()
			cancel()
		}
	}()
	close(start)

	// The last client is the recorder itself: it notes which calls are blocked
	// when all is at rest, and then lets time pass, or one of them proceed.
	self := &client{}
	for rests := 0; ; rests++ {
		synctest.Wait()
		var parked []*client
		for _, c := range r.clients {
			if c.current < len(c.calls) {
				parked = append(parked, c)
				r.call(self, planned{Input: Input{Op: whileParked(c.calls[c.current].Op)}})
			}
		}
		if len(parked) == 0 {
			break
		}
		require.Less(t, rests, 100, "calls are blocked that were cancelled or shut down")
		if random.IntN(2) == 0 {
			r.tick(self)
			continue
		}
		c := parked[random.IntN(len(parked))]
		if cancel := c.calls[c.current].cancel; cancel != nil {
			cancel()
		} else {
			r.call(self, planned{Input: Input{Op: Shutdown, Immediate: random.IntN(2) == 0}})
		}
	}
	r.call(self, planned{Input: Input{Op: Stats}})
	r.call(self, planned{Input: Input{Op: Shutdown, Immediate: true}})

	for id, c := range append(r.clients, self) {
		for _, p := range c.calls {
			if p.cancel != nil {
				p.cancel()
			}
		}
		for _, o := range c.history {
			o.ClientId = id
			// The steps of a batch overlap: each has a lane of its own in the picture.
			if in := o.Input.(Input); in.Batch > 0 && in.Index > 0 {
				o.ClientId = len(r.clients) + in.Index + 5*(in.Batch-1)
			}
			history = append(history, o)
		}
	}
	return history
}

func whileParked(op Op) Op {
	switch op {
	case Put, PutBatch:
		return ParkedPut
	case Get, GetBatch, Batches:
		return ParkedGet
	case Await:
		return ParkedAwait
	default:
		return ParkedJoin
	}
}

func (r *recorder) work(c *client) {
	for ; c.current < len(c.calls); c.current++ {
		yield()
		r.call(c, c.calls[c.current])
	}
}

// linger is that of all loops that have one.
const linger = time.Second

// tick lets time pass in which one turn can end by its linger, or two: one that
// began within that time as well.
func (r *recorder) tick(c *client) {
	o := porcupine.Operation{Call: r.clock.Add(1), Input: Input{Op: Tick}, Output: Output{}}
	time.Sleep(linger * 3 / 2)
	synctest.Wait()
	o.Return = r.clock.Add(1)
	c.history = append(c.history, o, o)
}

// loop runs a loop over Batches and notes each turn.
func (r *recorder) loop(c *client, p planned) {
	p.Batch = 1000 + int(r.turns.Add(1))
	began, inHand, broke := r.clock.Add(1), 0, false
	turn := func(items []Item) {
		ended := r.clock.Add(1)
		note := func(in Input, out Output) {
			c.history = append(c.history, porcupine.Operation{Call: began, Return: ended, Input: in, Output: out})
		}
		in := p.Input
		if inHand > 0 {
			in.Op, in.N, in.Leaves = Mark, inHand, items == nil && (broke || p.ctx.Err() != nil)
			note(in, Output{})
			in = p.Input
		}
		in.Op = Take
		for i, item := range items {
			in.Index, in.Last = i, i == p.N-1 || !p.Linger && i == len(items)-1
			note(in, Output{Items: string([]byte{byte(item)})})
		}
		switch {
		case items == nil && !broke:
			in.Op = End
			note(in, Output{})
		case items != nil && !in.Last:
			in.Op, in.Index = Cut, len(items)
			note(in, Output{})
		}
		inHand = len(items)
	}
	wait := time.Duration(0)
	if p.Linger {
		wait = linger
	}
	for items := range r.q.Batches(p.ctx, p.N, wait) {
		turn(items)
		yield()
		if p.turns--; p.turns == 0 {
			broke = true
		}
		began = r.clock.Add(1)
		p.Batch = 1000 + int(r.turns.Add(1))
		if broke {
			break
		}
	}
	turn(nil)
}

// call makes a call and notes it.
func (r *recorder) call(c *client, p planned) {
	if p.cancel != nil && p.ctx.Err() != nil && p.Op != Await {
		p.Ctx = Before
	}
	var ready <-chan struct{}
	switch p.Op {
	case Batches:
		r.loop(c, p)
		return
	case Receive, Await:
		o := porcupine.Operation{Call: r.clock.Add(1), Input: Input{Op: Ready}, Output: Output{}}
		ready = r.q.Ready()
		o.Return = r.clock.Add(1)
		c.history = append(c.history, o)
	}
	o := porcupine.Operation{Call: r.clock.Add(1)}
	var out Output
	var n int // items of a batch that went in
	one := func(item Item, err error) {
		if out.Err = err; err == nil {
			out.Items = string([]byte{byte(item)})
		}
	}
	many := func(items []Item) {
		for _, item := range items {
			out.Items += string([]byte{byte(item)})
		}
	}
	switch p.Op {
	case Put:
		out.Err = r.q.Put(p.ctx, p.Item)
	case TryPut:
		out.Err = r.q.TryPut(p.Item)
	case ForcePut:
		evicted, ok, err := r.q.ForcePut(p.Item)
		if out.Err = err; ok {
			one(evicted, err)
		}
	case PutBatch:
		n, out.Err = r.q.PutBatch(p.ctx, p.items)
	case Get:
		one(r.q.Get(p.ctx))
	case TryGet:
		one(r.q.TryGet())
	case Peek:
		one(r.q.Peek())
	case GetBatch:
		dst := make([]Item, p.N)
		n, out.Err = r.q.GetBatch(p.ctx, dst)
		many(dst[:n])
	case Len:
		out.N = r.q.Len()
	case Stats:
		s := r.q.Stats()
		out.Stats = Figures{
			Len: s.Len, Cap: s.Cap, Unfinished: s.Unfinished,
			Put: int(s.Put), Done: int(s.Done), Dropped: int(s.Dropped), Drained: int(s.Drained), Rejected: int(s.Rejected),
			Shutdown: s.Shutdown,
		}
	case TaskDone:
		out.Err = r.q.TaskDone()
	case TaskDoneN:
		out.Err = r.q.TaskDoneN(p.N)
	case TryPutBatch:
		n, out.Err = r.q.TryPutBatch(p.items)
	case TryGetBatch:
		dst := make([]Item, p.N)
		n, out.Err = r.q.TryGetBatch(dst)
		many(dst[:n])
	case Requeue:
		out.Err = r.q.Requeue(p.Item)
	case Receive:
		select {
		case _, out.Signal = <-ready:
			out.Closed = !out.Signal
		default:
		}
	case Await:
		select {
		case _, out.Signal = <-ready:
			out.Closed = !out.Signal
		case <-p.ctx.Done():
			out.Err = p.ctx.Err()
		}
	case Join:
		out.Err = r.q.Join(p.ctx)
	case Shutdown:
		many(r.q.Shutdown(p.Immediate))
	case Resize:
		r.q.Resize(p.N)
	}
	o.Return = r.clock.Add(1)
	o.Input, o.Output = p.Input, out
	if p.Op != PutBatch && p.Op != TryPutBatch {
		c.history = append(c.history, o)
		return
	}
	for i, item := range p.items[:n] {
		in := p.Input
		in.Item, in.Index, in.Last = item, i, i == len(p.items)-1
		o.Input, o.Output = in, Output{}
		c.history = append(c.history, o)
	}
	if out.Err != nil || n < len(p.items) {
		in := p.Input
		in.Index, in.N = n, len(p.items)-n
		o.Input, o.Output = in, out
		c.history = append(c.history, o)
	}
}
