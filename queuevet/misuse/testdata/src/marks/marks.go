package marks

import (
	"context"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

type jobs = queue.Queue[int]

type list[T any] = queue.Queue[T]

type pool struct {
	*queue.Queue[int]
	in, out *queue.Queue[int]
	lanes   [2]*queue.Queue[int]
}

func use(...any) {}

func direct(ctx context.Context, q *queue.Queue[int]) {
	for n := range q.Tasks(ctx) {
		use(n)
		_ = q.TaskDone() // want `TaskDone in the body of a loop over q\.Tasks marks an item done that the loop marks too, so Join returns early; remove the call`
	}
	for batch := range q.Batches(ctx, 10, time.Second) {
		if err := q.TaskDoneN(len(batch)); err != nil { // want `TaskDoneN in the body of a loop over q\.Batches`
			return
		}
	}
	for range q.Tasks(ctx) {
		if ctx.Err() != nil {
			defer q.TaskDone() // want `TaskDone in the body`
		}
	}
	_ = q.TaskDone()
}

func aliases(ctx context.Context, a *jobs, b *list[string], c jobs) {
	other := a
	for range a.Tasks(ctx) {
		_ = other.TaskDone() // want `TaskDone in the body of a loop over a\.Tasks`
	}
	for range b.Tasks(ctx) {
		_ = b.TaskDone() // want `TaskDone`
		_ = a.TaskDone()
	}
	for range c.Tasks(ctx) {
		_ = (&c).TaskDone() // want `TaskDone`
	}
}

func fields(ctx context.Context, p *pool, q pool, i int) {
	for range p.in.Tasks(ctx) {
		_ = p.in.TaskDone() // want `TaskDone in the body of a loop over p\.in\.Tasks`
		_ = p.out.TaskDone()
		_ = q.in.TaskDone()
	}
	in := p.in
	for range in.Tasks(ctx) {
		_ = p.in.TaskDone() // want `TaskDone`
	}
	for range p.Tasks(ctx) {
		_ = p.TaskDone()       // want `TaskDone`
		_ = p.Queue.TaskDone() // want `TaskDone`
	}
	for range p.lanes[0].Tasks(ctx) {
		_ = p.lanes[0].TaskDone() // want `TaskDone`
		_ = p.lanes[1].TaskDone()
		_ = p.lanes[i].TaskDone()
	}
	for i := range p.lanes {
		for range p.lanes[i].Tasks(ctx) {
			_ = p.lanes[i].TaskDone() // want `TaskDone`
		}
	}
	for range q.lanes[i].Tasks(ctx) {
		i++
		_ = q.lanes[i].TaskDone()
	}
}

func reassigned(ctx context.Context, q, next *queue.Queue[int]) {
	for range q.Tasks(ctx) {
		q = next
		_ = q.TaskDone()
	}
	other := q
	other = next
	for range q.Tasks(ctx) {
		_ = other.TaskDone()
	}
}

func reassignedField(ctx context.Context, p *pool) {
	in := p.in
	p.in = p.out
	for range p.in.Tasks(ctx) {
		_ = in.TaskDone()
	}
}

func nested(ctx context.Context, q *queue.Queue[int]) {
	for range q.Tasks(ctx) {
		for range q.Tasks(ctx) {
			_ = q.TaskDone() // want `TaskDone`
		}
	}
}

func generics[T any, Q interface{ TaskDone() error }](ctx context.Context, q *queue.Queue[T], any Q) {
	for item := range q.Tasks(ctx) {
		use(item)
		_ = q.TaskDone() // want `TaskDone`
		_ = any.TaskDone()
	}
}

func methodValues(ctx context.Context, q, other *queue.Queue[int]) {
	done, tasks := q.TaskDone, q.Tasks
	for range tasks(ctx) {
		_ = done() // want `TaskDone in the body of a loop over q\.Tasks`
	}
	seq := q.Tasks(ctx)
	for range seq {
		_ = (*queue.Queue[int]).TaskDone(q) // want `TaskDone`
		_ = (*queue.Queue[int]).TaskDone(other)
	}
}

func changedMethodValue(ctx context.Context, q, other *queue.Queue[int]) {
	done := q.TaskDone
	if ctx.Err() == nil {
		done = other.TaskDone
	}
	for range q.Tasks(ctx) {
		_ = done()
	}
}

func closures(ctx context.Context, q *queue.Queue[int]) {
	finish := func() { _ = q.TaskDone() }
	for n := range q.Tasks(ctx) {
		func() {
			defer q.TaskDone() // want `TaskDone`
			use(n)
		}()
		go func() {
			_ = q.TaskDone() // want `TaskDone`
		}()
		time.AfterFunc(time.Second, func() {
			_ = q.TaskDone() // want `TaskDone`
		})
		finish() // want `TaskDone`
	}
	q.Tasks(ctx)(func(n int) bool {
		_ = q.TaskDone() // want `TaskDone`
		return true
	})
	finish()
}

// The code that takes an item marks it.
func taken(ctx context.Context, q *queue.Queue[int]) {
	for n := range q.Tasks(ctx) {
		use(n)
		if more, err := q.TryGet(); err == nil {
			use(more)
			_ = q.TaskDone()
		}
	}
	for {
		n, err := q.Get(ctx)
		if err != nil {
			return
		}
		use(n)
		_ = q.TaskDone()
	}
}

func latest(ctx context.Context, q *keyed.Latest[string, int]) {
	for k, v := range q.Tasks(ctx) {
		use(k, v)
		_ = q.TaskDone() // want `TaskDone`
	}
}

func serial(ctx context.Context, q, other *keyed.Fair[string, int]) {
	for k := range q.Tasks(ctx) {
		_ = q.TaskDone(k) // want `TaskDone`
		_ = other.TaskDone(k)
	}
}
