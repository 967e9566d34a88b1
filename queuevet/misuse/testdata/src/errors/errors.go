package errors

import (
	"context"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
	"github.com/boundq/queue/natsqueue"
)

type shop struct {
	*queue.Queue[int]
	orders *queue.Queue[int]
}

type orders = natsqueue.Queue[int]

func positive(ctx context.Context, q *queue.Queue[int], s *shop, n *orders, l *keyed.Latest[string, int], f *keyed.Fair[string, int]) {
	q.Put(ctx, 1)                   // want `the error of Put is ignored: an item that q does not accept is lost; handle the error`
	q.TryPut(1)                     // want `the error of TryPut`
	q.PutBatch(ctx, []int{1})       // want `the error of PutBatch`
	q.TryPutBatch([]int{1})         // want `the error of TryPutBatch`
	q.Requeue(1)                    // want `the error of Requeue`
	go q.Put(ctx, 1)                // want `the error of Put`
	defer q.Put(ctx, 1)             // want `the error of Put`
	s.orders.Put(ctx, 1)            // want `the error of Put is ignored: an item that s\.orders does not`
	s.Put(ctx, 1)                   // want `the error of Put`
	n.Put(ctx, 1)                   // want `the error of Put`
	n.TryPut(ctx, 1)                // want `the error of TryPut`
	n.PutAfter(ctx, 1, time.Second) // want `the error of PutAfter`
	l.Put("a", 1)                   // want `the error of Put`
	f.Put(ctx, "a", 1)              // want `the error of Put`
	f.TryPut("a", 1)                // want `the error of TryPut`
	put := q.TryPut
	put(1)                           // want `the error of TryPut`
	(*queue.Queue[int]).TryPut(q, 1) // want `the error of TryPut`
	func() { q.TryPut(1) }()         // want `the error of TryPut`
}

func generic[T any](q *queue.Queue[T], item T) {
	q.TryPut(item) // want `the error of TryPut`
}

func negative(ctx context.Context, q *queue.Queue[int], n *orders) error {
	if err := q.Put(ctx, 1); err != nil {
		return err
	}
	_ = q.TryPut(1)
	_, _ = q.PutBatch(ctx, []int{1})
	if added, _ := q.TryPutBatch([]int{1}); added == 0 {
		return nil
	}
	q.ForcePut(1)
	q.TaskDone()
	n.Shutdown(ctx, true)
	return q.Put(ctx, 1)
}
