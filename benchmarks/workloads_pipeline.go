package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// split calls work in k goroutines, each with its share of the numbers below n.
// They block on start before they begin; split returns when all of them do.
func split(wg *sync.WaitGroup, start <-chan struct{}, k, n int, work func(from, to int) error, fail func(error)) {
	var ready sync.WaitGroup
	ready.Add(k)
	for i := range k {
		wg.Go(func() {
			ready.Done()
			<-start
			if err := work(n*i/k, n*(i+1)/k); err != nil {
				fail(err)
			}
		})
	}
	ready.Wait()
}

// race runs producers and consumers that move the numbers below items. A barrier
// starts all of them at once, so that neither side is blocked before the other
// begins. It checks that each item came out once.
func race(producers, consumers, items int, produce func(from, to int) error, consume func(n int, sum *int) error) (sample, error) {
	var wg sync.WaitGroup
	var fault atomic.Pointer[error]
	var total atomic.Int64
	fail := func(err error) { fault.CompareAndSwap(nil, &err) }
	start := make(chan struct{})
	split(&wg, start, producers, items, produce, fail)
	split(&wg, start, consumers, items, func(from, to int) error {
		sum := 0
		err := consume(to-from, &sum)
		total.Add(int64(sum))
		return err
	}, fail)
	s := timed(items, func() {
		close(start)
		wg.Wait()
	})
	if err := fault.Load(); err != nil {
		return s, *err
	}
	return s, checkSum(int(total.Load()), sumBelow(items))
}

// pipeline has producers put and consumers get concurrently.
func pipeline(producers, consumers, capacity int, k kind) cell {
	c := cell{name: fmt.Sprintf("pipeline/shape=%d:%d/%s/ctx=%s", producers, consumers, bound(capacity), k), metrics: perItem, least: fills * capacity}
	if capacity > 0 && k == background && producers == consumers && producers <= 4 {
		c.python = &request{Workload: "pipeline", Workers: producers, Capacity: capacity}
	}
	c.sides = k.sides(requireCapacity(capacity), func(ctx context.Context, t transport, items int) (sample, error) {
		return race(producers, consumers, items, putting(ctx, t), getting(ctx, t))
	})
	return c
}

func bound(capacity int) string {
	if capacity == 0 {
		return "cap=none"
	}
	return fmt.Sprintf("cap=%d", capacity)
}

func putting(ctx context.Context, t transport) func(from, to int) error {
	return func(from, to int) error {
		for i := from; i < to; i++ {
			if err := t.put(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
}

func getting(ctx context.Context, t transport) func(n int, sum *int) error {
	return func(n int, sum *int) error {
		for range n {
			item, err := t.get(ctx)
			if err != nil {
				return err
			}
			*sum += item
		}
		return nil
	}
}

// scale compares 64 producers and 64 consumers with 4 and 4, on procs
// processors.
func scale(capacity, procs int) cell {
	c := cell{name: fmt.Sprintf("scale/cap=%d/procs=%d", capacity, procs), metrics: perItem, least: fills * capacity}
	crowd := func(name string, n int) {
		c.sides = append(c.sides, side{peer: name, prepare: newEachRound(func(items int) (sample, error) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			ctx, t := context.Background(), peers[0].plain(capacity)
			return race(n, n, items, putting(ctx, t), getting(ctx, t))
		})})
	}
	crowd(subject, 64)
	crowd(fourAside, 4)
	return c
}
