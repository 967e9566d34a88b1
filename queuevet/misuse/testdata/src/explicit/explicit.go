package explicit

import (
	"context"

	"github.com/boundq/queue"
)

func positive(ctx context.Context, q *queue.Queue[int]) {
	_ = q.TryPut(1)                  // want `the error of TryPut`
	_, _ = q.PutBatch(ctx, []int{1}) // want `the error of PutBatch`
	n, _ := q.TryPutBatch([]int{1})  // want `the error of TryPutBatch`
	_ = q.Shutdown(true)             // want `Shutdown\(true\)`
	_ = n
}

func negative(ctx context.Context, q *queue.Queue[int]) {
	err := q.TryPut(1)
	_, err = q.PutBatch(ctx, []int{1})
	_ = q.Shutdown(false)
	_ = err
}
