package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

// A kind of context to block with: one that is never done, or one that can be
// canceled and is not.
type kind string

const (
	background kind = "background"
	cancel     kind = "cancel"
)

func (k kind) context() (context.Context, context.CancelFunc) {
	if k == background {
		return context.Background(), func() {}
	}
	return context.WithCancel(context.Background())
}

// constructor returns how p is made for a context of this kind, or nil if it
// takes none.
func (k kind) constructor(p peer) func(capacity int) transport {
	if k == background {
		return p.plain
	}
	return p.cancellable
}

// perItem is the metric of the cells that measure throughput.
var perItem = []string{"ns an item"}

// sizes says how many items are queued in the cells that need a backlog.
type sizes struct {
	priority            []int
	lifo, memory, pause int
}

var fullSizes = sizes{
	priority: []int{1_000, 100_000, 1_000_000},
	lifo:     1_000,
	memory:   1_000_000,
	pause:    10_000_000,
}

// cells returns everything that is measured, in the order of the report.
func cells(n sizes) []cell {
	var all []cell
	for _, k := range []kind{background, cancel} {
		all = append(all, solo(k))
	}
	all = append(all, try())
	for _, shape := range [][2]int{{1, 1}, {4, 4}, {8, 1}, {1, 8}, {64, 64}} {
		for _, capacity := range []int{1, 128, 8192, 0} {
			for _, k := range []kind{background, cancel} {
				all = append(all, pipeline(shape[0], shape[1], capacity, k))
			}
		}
	}
	for _, shape := range [][2]int{{1, 1}, {4, 4}} {
		all = append(all, join(shape[0], shape[1]))
	}
	for _, workers := range []int{1, 4} {
		all = append(all, tasks(workers))
	}
	for _, workers := range []int{1, 4} {
		all = append(all, requeue(workers))
	}
	for _, size := range []int{8, 64, 512} {
		for _, k := range []kind{background, cancel} {
			all = append(all, batch(size, k))
		}
	}
	for _, c := range lingers {
		for _, put := range []int{1, c.size} {
			all = append(all, batches(c.size, c.linger, put))
		}
	}
	for _, take := range []int{1, 64} {
		for _, k := range []kind{background, cancel} {
			all = append(all, selecting(take, k))
		}
	}
	for _, queued := range n.priority {
		for _, rising := range []bool{false, true} {
			all = append(all, priority(queued, rising))
		}
	}
	for _, queued := range n.priority {
		all = append(all, sorting(queued))
	}
	for _, queued := range n.priority[:2] {
		all = append(all, dropLast(queued))
	}
	for _, capacity := range []int{1, 128, 8192} {
		for _, procs := range []int{1, 2, 4, 8} {
			all = append(all, scale(capacity, procs))
		}
	}
	all = append(all, lifo(n.lifo))
	const keys = 1000
	all = append(all,
		latestReplace(keys),
		latestPair(keys),
		turns("fair", keyed.NewFair[int, int], keys),
		turns("serial", keyed.NewSerial[int, int], keys),
	)
	for _, capacity := range []int{128, 8192} {
		all = append(all, dropping(capacity))
	}
	for _, k := range []kind{background, cancel} {
		all = append(all, latency(k))
	}
	for _, ordered := range []bool{false, true} {
		all = append(all, memory(n.memory, ordered))
	}
	return append(all, pause(n.pause))
}

// newEachRound is the prepare of a side that keeps nothing between rounds.
func newEachRound(run func(items int) (sample, error)) func() (trial, error) {
	return func() (trial, error) { return trial{run: run}, nil }
}

// shut ends the goroutines of a transport that has some.
func shut(t any) {
	if c, ok := t.(closer); ok {
		c.close()
	}
}

// offers reports whether the transports of a peer have the methods of M.
func offers[M any](open func(capacity int) transport, capacity int) bool {
	t := open(capacity)
	defer shut(t)
	_, ok := t.(M)
	return ok
}

// A capacityRule returns the capacity with which a peer takes part in a cell,
// and whether it does.
type capacityRule func(p peer) (capacity int, ok bool)

// requireCapacity admits the peers that can have this capacity.
func requireCapacity(capacity int) capacityRule {
	return func(p peer) (int, bool) { return capacity, p.holds(capacity) }
}

// preferCapacity returns capacity for peers that can be bounded, and Unbounded
// for the rest: it is for cells in which the capacity does not matter.
func preferCapacity(capacity int) capacityRule {
	return func(p peer) (int, bool) {
		if p.minCapacity == 0 {
			return queue.Unbounded, true
		}
		return capacity, true
	}
}

// fills is how many times its capacity a bounded queue moves in a round at
// least, so that filling and draining it once is little beside the steady state.
const fills = 4

// sides returns a side for each peer that takes a context of this kind and that
// the rule admits.
func (k kind) sides(rule capacityRule, run func(ctx context.Context, t transport, items int) (sample, error)) (sides []side) {
	for _, p := range peers {
		open := k.constructor(p)
		capacity, ok := rule(p)
		if open == nil || !ok {
			continue
		}
		sides = append(sides, k.side(p.name, func() transport { return open(capacity) }, run))
	}
	return sides
}

// side returns a side that runs over a new transport in each round.
func (k kind) side(peer string, open func() transport, run func(ctx context.Context, t transport, items int) (sample, error)) side {
	return side{peer: peer, prepare: newEachRound(func(items int) (sample, error) {
		ctx, stop := k.context()
		defer stop()
		t := open()
		defer shut(t)
		return run(ctx, t, items)
	})}
}

// checkSum reports whether the items that came out are those that went in, by
// their sum.
func checkSum(got, want int) error {
	if got != want {
		return fmt.Errorf("items were lost or duplicated: %d for %d", got, want)
	}
	return nil
}

// sumBelow returns the sum of the numbers below n.
func sumBelow(n int) int { return n * (n - 1) / 2 }

// checkOrder reports whether items came out in the order in which they should.
func checkOrder(ordered bool) error {
	if !ordered {
		return errors.New("items came out of order")
	}
	return nil
}
