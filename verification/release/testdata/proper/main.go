// Proper is a program in which queuevet finds nothing.
package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/boundq/queue"
)

func main() {
	ctx := context.Background()
	q := queue.New[int](1)
	if err := q.TryPut(1); err != nil {
		fmt.Println(err)
	}
	var all [][]int
	for batch := range q.Batches(ctx, 10, 0) {
		if batch[0] < 3 {
			if err := q.Requeue(batch[0] + 1); err != nil {
				fmt.Println(err)
			}
		} else {
			q.Shutdown(false)
		}
		all = append(all, slices.Clone(batch))
	}
	fmt.Println(all, q.Shutdown(true))
}
