package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// settle is how long a consumer is blocked before the next item is put: long
// enough for its processor to go idle too.
const settle = 20 * time.Microsecond

// latency has one goroutine blocked in a get, and measures the time from the
// beginning of the put to the return of that get.
func latency(k kind) cell {
	return cell{
		name:    fmt.Sprintf("latency/ctx=%s", k),
		metrics: []string{"ns p50", "ns p99", "ns p99.9"},
		items:   2_000,
		sides:   k.sides(preferCapacity(128), hops),
	}
}

func hops(ctx context.Context, t transport, items int) (sample, error) {
	var asked atomic.Int64 // how many gets have begun
	sent := make([]time.Time, items)
	took := hdrhistogram.New(1, int64(time.Minute), 3)
	produce := func(_, _ int) error {
		for i := range items {
			for asked.Load() <= int64(i) {
				runtime.Gosched()
			}
			for parked := time.Now(); time.Since(parked) < settle; {
			}
			sent[i] = time.Now()
			if err := t.put(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := race(1, 1, items, produce, func(n int, sum *int) error {
		for range n {
			asked.Add(1)
			item, err := t.get(ctx)
			if err != nil {
				return err
			}
			if err := took.RecordValue(time.Since(sent[item]).Nanoseconds()); err != nil {
				return err
			}
			*sum += item
		}
		return nil
	})
	s.values = nil
	for _, percentile := range []float64{50, 99, 99.9} {
		s.values = append(s.values, float64(took.ValueAtQuantile(percentile)))
	}
	return s, err
}
