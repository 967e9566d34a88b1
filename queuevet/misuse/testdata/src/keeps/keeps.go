package keeps

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"golang.org/x/sync/errgroup"
)

type row struct{ name string }

type rows []row

type message struct {
	rows []row
	sent time.Time
}

type store struct {
	last    []row
	pending map[int][]row
	state   *struct{ rows []row }
}

func write([]row) {}

var all [][]row

func sent(ctx context.Context, q *queue.Queue[row], ch chan []row, messages chan message, names chan rows) {
	for batch := range q.Batches(ctx, 10, time.Second) {
		ch <- batch                      // want `the slice that q\.Batches yields is sent on a channel, but the loop reuses it at the next turn; use slices\.Clone\(batch\)`
		ch <- batch[1:]                  // want `sent on a channel`
		names <- rows(batch)             // want `sent on a channel`
		messages <- message{rows: batch} // want `sent on a channel`
		part := batch[:1]
		ch <- part // want `sent on a channel`
		var m message
		m.rows = batch
		messages <- m // want `sent on a channel`
		kept := batch[:0]
		for _, r := range batch {
			kept = append(kept, r)
		}
		ch <- kept // want `sent on a channel`
		select {
		case ch <- batch: // want `sent on a channel`
		case <-ctx.Done():
			return
		}
		ch <- append(batch[:0], batch[1]) // want `sent on a channel`
		func() {
			ch <- batch // want `sent on a channel`
			return
		}()
		ch <- append(batch, row{})
		ch <- slices.Clone(batch)
		ch <- append([]row(nil), batch...)
		ch <- append(batch[:0:0], batch...)
		write(batch)
	}
	q.Batches(ctx, 10, 0)(func(batch []row) bool {
		ch <- batch // want `sent on a channel`
		return true
	})
	q.Batches(ctx, 10, 0)(func(batch []row) bool {
		ch <- batch
		return false
	})
}

func stored(ctx context.Context, q *queue.Queue[row], s *store, p *[]row) (last []row) {
	batches := q.Batches(ctx, 10, time.Second)
	for batch := range batches {
		last = batch             // want `stored in last`
		s.last = batch           // want `the slice that q\.Batches yields is stored in s\.last`
		s.pending[0] = batch     // want `stored in s\.pending\[0\]`
		*p = batch               // want `stored in \*p`
		all = append(all, batch) // want `appended as a whole to all`
		state := s.state
		state.rows = batch // want `stored in state\.rows`

		mine := *s
		mine.last = batch
		local := map[int][]row{}
		local[0] = batch
		var groups [][]row
		groups = append(groups, batch[:1], batch[1:])
		write(groups[0])
		batch = batch[:1]
		last = append(last[:0], batch...)
		s.last = append(s.last, batch...)
		copy(last, batch)
		first := batch[0]
		*p = append(*p, first)
	}
	return last
}

// A slice that is replaced before the turn ends is not kept.
func replaced(ctx context.Context, q *queue.Queue[row], s *store) {
	for batch := range q.Batches(ctx, 10, time.Second) {
		s.last = batch
		write(s.last)
		s.last = nil
	}
}

// Without a next turn nothing is reused.
func left(ctx context.Context, q *queue.Queue[row], ch chan []row) (first []row) {
	for batch := range q.Batches(ctx, 10, time.Second) {
		first = batch
		break
	}
	for batch := range q.Batches(ctx, 10, time.Second) {
		if len(batch) > 5 {
			ch <- batch
			return batch
		}
	}
outer:
	for batch := range q.Batches(ctx, 10, time.Second) {
		switch len(batch) {
		case 1:
			first = batch
			break outer
		case 2:
			first = batch // want `stored in first`
			break
		}
		select {
		case ch <- batch:
			return nil
		default:
		}
	}
	return first
}

func goroutines(ctx context.Context, q *queue.Queue[row]) {
	var wg sync.WaitGroup
	var g errgroup.Group
	for batch := range q.Batches(ctx, 10, time.Second) {
		go write(batch)                    // want `used by a goroutine`
		go func() { write(batch) }()       // want `used by a goroutine`
		wg.Go(func() { write(batch[1:]) }) // want `used by a goroutine`
		g.Go(func() error {                // want `used by a goroutine`
			write(batch)
			return nil
		})
		go write(slices.Clone(batch))
		go func() { println(len(batch)) }()
		owned := slices.Clone(batch)
		go func() { write(owned) }()
		func() { write(batch) }()
	}
	wg.Wait()
}

// The body ends after the goroutines' work.
func waited(ctx context.Context, q *queue.Queue[row], ch chan []row, done chan bool) {
	for batch := range q.Batches(ctx, 10, time.Second) {
		var wg sync.WaitGroup
		for part := range slices.Chunk(batch, 3) {
			wg.Go(func() { write(part) })
		}
		wg.Go(func() { write(batch) })
		wg.Wait()
	}
	for batch := range q.Batches(ctx, 10, time.Second) {
		ch <- batch
		<-done
	}
	for batch := range q.Batches(ctx, 10, time.Second) {
		ch <- batch // want `sent on a channel`
		go func() { <-done }()
	}
}

type alias[T any] = queue.Queue[T]

type owner[T any] struct {
	q    *alias[T]
	last []T
}

func (o *owner[T]) run(ctx context.Context) {
	read := o.q.Batches
	for batch := range read(ctx, 10, 0) {
		o.last = batch // want `the slice that o\.q\.Batches yields is stored in o\.last`
	}
	for item := range o.q.Tasks(ctx) {
		o.last = append(o.last, item)
	}
}

// Each turn of natsqueue's loop has a slice of its own.
func distributed(ctx context.Context, q *natsqueue.Queue[row]) {
	for batch := range q.Batches(ctx, 10, 0) {
		all = append(all, batch)
	}
}
