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
	items   int      // in a round; 0: as many as take the time that a round should
	least   int      // items in a round, however long it takes
	rounds  int      // at most; 0: as many as are asked for
	sides   []side   // the queue first
	python  *request // the same for a queue of Python's, if it is asked for
}

// A side is what one peer does for a cell.
type side struct {
	peer string
	// prepare makes what outlives a round, if anything does.
	prepare func() (trial, error)
}

// A trial does a round; close ends it, if there is something to end.
type trial struct {
	run   func(items int) (sample, error)
	close func()
}

// A sample is what a round of one side measured.
type sample struct {
	values  []float64 // one for each metric of the cell
	allocs  float64   // an item
	elapsed time.Duration
}

// timed measures body, which moves so many items. The garbage of what came
// before is collected first, so that nobody pays for another.
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

// measure does so many rounds of the cell, each side once in each. The order of
// the sides is turned round from one round to the next. It stops early, without
// a result, when ctx is done.
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
// take. Each side has a number of its own, so that a slow one makes nobody
// else's rounds short. What disturbs the machine for a moment only ever makes a
// sample longer: the shortest of three counts.
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
