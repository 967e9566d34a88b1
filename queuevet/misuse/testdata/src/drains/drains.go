package drains

import (
	"context"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/boundq/queue/natsqueue"
)

type service struct{ *queue.Queue[int] }

const now = true

func save([]int) {}

func positive(q *queue.Queue[int], s service, l *keyed.Latest[string, int], f *keyed.Fair[string, int]) {
	q.Shutdown(true)       // want `Shutdown\(true\) returns the items that were still queued, and this discards them; use the result, or call Shutdown\(false\) to let workers take them`
	defer q.Shutdown(true) // want `Shutdown\(true\)`
	go q.Shutdown(now)     // want `Shutdown\(true\)`
	s.Shutdown(true)       // want `Shutdown\(true\)`
	l.Shutdown(true)       // want `Shutdown\(true\)`
	f.Shutdown(true)       // want `Shutdown\(true\)`
	stop := q.Shutdown
	stop(true)                                // want `Shutdown\(true\)`
	(*queue.Queue[int]).Shutdown(q, true)     // want `Shutdown\(true\)`
	defer func() { s.Queue.Shutdown(true) }() // want `Shutdown\(true\)`
}

func generic[T any](q *queue.Queue[T]) {
	q.Shutdown(true) // want `Shutdown\(true\)`
}

func negative(ctx context.Context, q *queue.Queue[int], n *natsqueue.Queue[int], immediate bool) []int {
	q.Shutdown(false)
	q.Shutdown(immediate)
	save(q.Shutdown(true))
	for range q.Shutdown(true) {
	}
	_ = q.Shutdown(true)
	_ = n.Shutdown(ctx, true)
	return q.Shutdown(true)
}
