package main

import (
	"context"
	"fmt"
	"time"
)

// batch moves size items in a call, from one goroutine to one. A channel has no
// batches: it moves the items one by one.
func batch(size int, k kind) cell {
	const capacity = 8192
	rule := func(p peer) (int, bool) {
		open := k.constructor(p)
		n, _ := preferCapacity(capacity)(p)
		return n, open != nil && (p.module == "" || offers[batcher](open, n))
	}
	return cell{
		name:    fmt.Sprintf("batch/size=%d/cap=%d/ctx=%s", size, capacity, k),
		metrics: perItem,
		least:   fills * capacity,
		sides: k.sides(rule, func(ctx context.Context, t transport, items int) (sample, error) {
			return race(1, 1, items, puttingBatches(ctx, t, size), gettingBatches(ctx, t, size))
		}),
	}
}

// inBatches returns t as a batcher, which moves the items of a batch one by one
// if t has no batches.
func inBatches(t transport) batcher {
	if b, ok := t.(batcher); ok {
		return b
	}
	return oneByOne{t}
}

type oneByOne struct{ transport }

func (o oneByOne) putBatch(ctx context.Context, items []int) error {
	for _, item := range items {
		if err := o.put(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func (o oneByOne) getBatch(ctx context.Context, dst []int) (n int, err error) {
	dst[0], err = o.get(ctx)
	return 1, err
}

func puttingBatches(ctx context.Context, t transport, size int) func(from, to int) error {
	b := inBatches(t)
	return func(from, to int) error {
		batch := make([]int, size)
		for i := from; i < to; i += size {
			part := batch[:min(size, to-i)]
			for j := range part {
				part[j] = i + j
			}
			if err := b.putBatch(ctx, part); err != nil {
				return err
			}
		}
		return nil
	}
}

func gettingBatches(ctx context.Context, t transport, size int) func(n int, sum *int) error {
	b := inBatches(t)
	return func(n int, sum *int) error {
		dst := make([]int, size)
		for n > 0 {
			got, err := b.getBatch(ctx, dst[:min(size, n)])
			if err != nil {
				return err
			}
			for _, item := range dst[:got] {
				*sum += item
			}
			n -= got
		}
		return nil
	}
}

// lingers are the batches that workers collect.
var lingers = []struct {
	size   int
	linger time.Duration
}{{64, 0}, {64, 10 * time.Millisecond}, {500, 200 * time.Millisecond}}

// batches has one worker collect batches in a loop, and one producer that puts
// so many items in a call. The loop is compared with one over GetBatch too,
// which does not linger.
func batches(size int, linger time.Duration, put int) cell {
	const capacity = 8192
	c := cell{
		name:    fmt.Sprintf("batches/size=%d/linger=%s/put=%d/ctx=cancel", size, linger, put),
		metrics: perItem,
		least:   fills * capacity,
	}
	produce := func(ctx context.Context, t transport) func(from, to int) error {
		if put == 1 {
			return putting(ctx, t)
		}
		return puttingBatches(ctx, t, put)
	}
	for _, p := range peers {
		if p.batching == nil || linger == 0 && p.lingers {
			continue
		}
		open := func() transport { return p.batching(capacity) }
		if _, ok := open().(collector); !ok {
			continue
		}
		c.sides = append(c.sides, cancel.side(p.name, open, func(ctx context.Context, t transport, items int) (sample, error) {
			l := t.(collector)
			put := produce(ctx, t)
			return race(1, 1, items, func(from, to int) error {
				defer l.finish()
				return put(from, to)
			}, func(_ int, sum *int) error {
				l.batches(ctx, size, linger, func(batch []int) {
					for _, item := range batch {
						*sum += item
					}
				})
				return nil
			})
		}))
	}
	c.sides = append(c.sides, cancel.side(getBatch, func() transport { return peers[0].cancellable(capacity) },
		func(ctx context.Context, t transport, items int) (sample, error) {
			return race(1, 1, items, produce(ctx, t), gettingBatches(ctx, t, size))
		}))
	return c
}
