package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"
)

// A cell is one line of the comparison: a workload with its parameters, done by
// the queue and by its peers.
type cell struct {
	name    string   // workload/key=value/...
	metrics []string // what a round measures, with units
	items   int      // in a round; 0: as many as fit the time of a round
	least   int      // items in a round, however long it takes
	rounds  int      // at most; 0: as many as are asked for
	sides   []side   // the queue first
	python  *request // the same for Python's queues, or nil
}

// A side is one peer's part in a cell.
type side struct {
	peer string
	// prepare makes the state that outlives a round, if any.
	prepare func() (trial, error)
}

// A trial runs rounds; close, if not nil, releases what it holds.
type trial struct {
	run   func(items int) (sample, error)
	close func()
}

// A sample is the result of one round of one side.
type sample struct {
	values  []float64 // one for each metric of the cell
	allocs  float64   // an item
	elapsed time.Duration
}

// timed measures body, which moves so many items. It collects garbage first, so
// that no side pays for that of another.
func timed(items int, body func()) sample {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	body()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	n := float64(items)
	return sample{
		values:  []float64{float64(elapsed.Nanoseconds()) / n},
		allocs:  float64(after.Mallocs-before.Mallocs) / n,
		elapsed: elapsed,
	}
}

// measure runs n rounds of the cell, each side once in each, in an order that is
// reversed each round. It returns early, without a result, when ctx is done.
func (c cell) measure(ctx context.Context, n int, target time.Duration) (result, error) {
	none := result{}
	trials := make([]trial, len(c.sides))
	for i, s := range c.sides {
		t, err := s.prepare()
		if err != nil {
			return none, fmt.Errorf("%s: %s: %w", c.name, s.peer, err)
		}
		if t.close != nil {
			defer t.close()
		}
		trials[i] = t
	}
	items := make([]int, len(c.sides))
	for i, t := range trials {
		var err error
		if items[i], err = c.calibrate(ctx, i, t, target); err != nil {
			return none, err
		}
	}
	if c.rounds > 0 {
		n = min(n, c.rounds)
	}
	r := result{Cell: c.name, Metrics: c.metrics, Sides: make([]rounds, len(c.sides))}
	order := make([]int, len(c.sides))
	for i, s := range c.sides {
		order[i] = i
		r.Sides[i] = rounds{Peer: s.peer, Items: items[i], Values: make([][]float64, len(c.metrics))}
	}
	for range n {
		for _, i := range order {
			s, err := c.round(ctx, i, trials[i], items[i])
			if err != nil {
				return none, err
			}
			r.Sides[i].add(s)
		}
		slices.Reverse(order)
	}
	return r, nil
}

func (c cell) round(ctx context.Context, i int, t trial, items int) (sample, error) {
	if err := ctx.Err(); err != nil {
		return sample{}, err
	}
	s, err := t.run(items)
	if err != nil {
		return s, fmt.Errorf("%s: %s: %w", c.name, c.sides[i].peer, err)
	}
	return s, nil
}

// calibrate finds how many items a side moves in the time that a round should
// take. Each side has its own number, so that a slow one does not shorten the
// rounds of the others. It uses the shortest of three samples, because
// disturbances only ever make a sample longer.
func (c cell) calibrate(ctx context.Context, i int, t trial, target time.Duration) (int, error) {
	if c.items > 0 {
		return c.items, nil
	}
	least := max(c.least, 2048) // some for each of many goroutines
	for n := least; ; n *= 2 {
		shortest := time.Duration(math.MaxInt64)
		for range 3 {
			s, err := c.round(ctx, i, t, n)
			if err != nil {
				return 0, err
			}
			shortest = min(shortest, s.elapsed)
		}
		if shortest >= target/8 || n >= 1<<30 {
			return max(least, int(float64(n)*float64(target)/float64(shortest))), nil
		}
	}
}
