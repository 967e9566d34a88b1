package linearizability_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/anishathalye/porcupine"
	"github.com/boundq/queue"
	. "github.com/boundq/queue/verification/linearizability"
	"github.com/stretchr/testify/require"
)

// A target is what is checked: a queue, or one that is wrong on purpose.
type target interface {
	Put(ctx context.Context, item Item) error
	Get(ctx context.Context) (Item, error)
	TryPut(item Item) error
	TryGet() (Item, error)
	ForcePut(item Item) (evicted Item, ok bool, err error)
	Peek() (Item, error)
	PutBatch(ctx context.Context, items []Item) (n int, err error)
	GetBatch(ctx context.Context, dst []Item) (n int, err error)
	TaskDone() error
	TaskDoneN(n int) error
	Join(ctx context.Context) error
	Shutdown(immediate bool) (drained []Item)
	Resize(capacity int)
	Len() int
	Stats() queue.Stats
}

// A planned call is one that a client is to make. Its context can be cancelled
// if cancel is not nil.
type planned struct {
	Input
	items  []Item // of PutBatch
	ctx    context.Context
	cancel context.CancelFunc
}

// A client makes its calls one after another.
type client struct {
	calls   []planned
	current int // the call that it makes; len(calls) when it has made all
	history []porcupine.Operation
}

// A recorder runs clients on one queue and notes what they see.
type recorder struct {
	q       target
	clock   atomic.Int64
	clients []*client
}

// yield lets others run, now and then.
func yield() {
	for range rand.IntN(4) - 1 {
		runtime.Gosched()
	}
}

// A yieldingContext lets others run where the queue looks at it: just before the
// queue is locked, and just after a call has begun to wait.
type yieldingContext struct{ context.Context }

func (c yieldingContext) Err() error {
	yield()
	return c.Context.Err()
}

func (c yieldingContext) Done() <-chan struct{} {
	yield()
	return c.Context.Done()
}

// plan makes up the calls of the clients.
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
	switch random.IntN(24) {
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
	default:
		waits = false
		switch random.IntN(12) {
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
		}
	}
	if waits {
		p.ctx = context.Background()
		if p.Op == Join || random.IntN(4) > 0 {
			p.Ctx = Within
			ctx, cancel := context.WithCancel(p.ctx)
			p.ctx, p.cancel = yieldingContext{ctx}, cancel
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

	// The last client is the recorder itself: it notes which calls wait when all
	// has come to rest, and then lets one go on.
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
		require.Less(t, rests, 100, "calls wait that were cancelled or shut down")
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
			if in := o.Input.(Input); in.Op == PutBatch && in.Index > 0 {
				o.ClientId = len(r.clients) + in.Index + 3*(in.Batch-1)
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
	case Get, GetBatch:
		return ParkedGet
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

// call makes a call and notes it.
func (r *recorder) call(c *client, p planned) {
	if p.cancel != nil && p.ctx.Err() != nil {
		p.Ctx = Before
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
		out.Stats = Figures{s.Len, s.Cap, s.Unfinished, s.Shutdown}
	case TaskDone:
		out.Err = r.q.TaskDone()
	case TaskDoneN:
		out.Err = r.q.TaskDoneN(p.N)
	case Join:
		out.Err = r.q.Join(p.ctx)
	case Shutdown:
		many(r.q.Shutdown(p.Immediate))
	case Resize:
		r.q.Resize(p.N)
	}
	o.Return = r.clock.Add(1)
	o.Input, o.Output = p.Input, out
	if p.Op != PutBatch {
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
		in.Index = n
		o.Input, o.Output = in, out
		c.history = append(c.history, o)
	}
}
