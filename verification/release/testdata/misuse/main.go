// Misuse is a program in which queuevet finds something in each line that says so.
package main

import (
	"context"
	"time"

	"github.com/boundq/queue"
)

func main() {
	ctx := context.Background()
	q := queue.New[int](1)
	q.TryPut(1) // found
	for n := range q.Tasks(ctx) {
		if err := q.Put(ctx, n); err != nil { // found
			return
		}
		_ = q.TaskDone() // found
	}
	var all [][]int
	for batch := range q.Batches(ctx, 10, time.Second) {
		all = append(all, batch) // found
	}
	q.Shutdown(true) // found
}
