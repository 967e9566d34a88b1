package main

import (
	"context"
	"strings"
	"time"
)

const (
	many  = 16    // goroutines, of each kind
	batch = 100   // items of a PutBatch
	ahead = 16    // items that a client's loop fetches ahead, as WithPrefetch does
	room  = 1_000 // capacity of the queue that producers find full

	priorities = 3
)

var item = strings.Repeat("x", 100)

// A measurement moves so many items, and returns how long that took.
type measurement func(ctx context.Context, d *deployment, items int) (time.Duration, error)

// A workload is done with natsqueue, with each loop that the client allows, and
// with a local queue.
type workload struct {
	name      string
	share     int // of the items: one in so many, for loops that take a round trip an item
	natsqueue variant
	client    []variant
	local     measurement
}

type variant struct {
	name    string
	measure measurement
}

var workloads = []workload{
	{
		"Put, Get and Done, one goroutine", 10,
		variant{"natsqueue: Put, Get, Done", queueSolo},
		[]variant{{"client: Publish, Next, DoubleAck", clientSolo}},
		localSolo,
	}, {
		"Put, 16 goroutines", 1,
		variant{"natsqueue: Put", queuePut},
		[]variant{{"client: Publish", clientPut}},
		localPut,
	}, {
		"PutBatch of 100, one goroutine", 1,
		variant{"natsqueue: PutBatch", queueBatches},
		[]variant{{"client: 100 PublishAsync, then all confirmations", clientBatches}},
		localBatches,
	}, {
		"Tasks, one loop", 2,
		variant{"natsqueue: Tasks", queueTasks(1)},
		[]variant{
			{"client: Messages, DoubleAck", clientTake(1, 1)},
			{"client: Messages, 16 DoubleAcks under way", clientTake(1, ahead)},
		},
		localTasks(1),
	}, {
		"Tasks, 16 loops", 1,
		variant{"natsqueue: Tasks", queueTasks(many)},
		[]variant{
			{"client: Messages, DoubleAck", clientTake(many, 1)},
			{"client: Messages, 16 DoubleAcks under way each", clientTake(many, ahead)},
		},
		localTasks(many),
	}, {
		"Tasks of 3 priorities, one loop", 5,
		variant{"natsqueue: Tasks", queueByPriority},
		[]variant{
			{"client: FetchNoWait of each class, DoubleAck", clientByPriority(1)},
			{"client: the same, 16 DoubleAcks under way", clientByPriority(ahead)},
		},
		localByPriority,
	}, {
		"16 producers, 16 workers, room for 1,000", 1,
		variant{"natsqueue: Put, Tasks", queueThrough},
		[]variant{
			{"client: Publish until there is room, Messages, DoubleAck", clientThrough(1)},
			{"client: the same, 16 DoubleAcks under way each", clientThrough(ahead)},
		},
		localThrough,
	},
}
