package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/boundq/queue"
)

// memory fills a queue and measures how much the heap has grown after a
// collection. One round is enough: the result does not vary.
func memory(items int, ordered bool) cell {
	order := "fifo"
	if ordered {
		order = "priority"
	}
	c := cell{
		name:    fmt.Sprintf("memory/order=%s/queued=%d", order, items),
		metrics: []string{"B an item"},
		items:   items,
		rounds:  1,
	}
	for _, p := range peers {
		open := func() transport { return p.priority() }
		switch {
		case ordered && p.priority == nil || !ordered && p.plain == nil:
			continue
		case !ordered && p.unbounded:
			open = func() transport { return p.plain(queue.Unbounded) }
		case !ordered:
			open = func() transport { return p.plain(items) }
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: newEachRound(func(items int) (s sample, err error) {
			before := heapInUse()
			t := open()
			defer shut(t)
			s = timed(items, func() {
				for i := range items {
					key := i // each once: the workqueue drops duplicates
					if ordered {
						key ^= random[i&keyMask]
					}
					if err = t.put(context.Background(), key); err != nil {
						return
					}
				}
			})
			s.values = []float64{float64(heapInUse()-before) / float64(items)}
			return s, err
		})})
	}
	return c
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// pause fills an unbounded queue and measures the longest single put.
func pause(items int) cell {
	c := cell{
		name:    fmt.Sprintf("pause/queued=%d", items),
		metrics: []string{"ms at worst"},
		items:   items,
		rounds:  3,
	}
	for _, p := range peers {
		if p.plain == nil || !p.unbounded || !offers[trier](p.plain, queue.Unbounded) {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: newEachRound(func(items int) (sample, error) {
			t := p.plain(queue.Unbounded).(trier)
			var worst time.Duration
			moved := 0
			s := timed(items, func() {
				start := time.Now()
				var last time.Duration
				for i := range items {
					if !t.tryPut(i) {
						return
					}
					now := time.Since(start)
					worst = max(worst, now-last)
					last = now
					moved++
				}
			})
			s.values = []float64{float64(worst.Nanoseconds()) / 1e6}
			return s, checkSum(moved, items)
		})})
	}
	return c
}
