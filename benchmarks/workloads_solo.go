package main

import (
	"context"
	"fmt"
)

// solo puts and gets on one goroutine: the cost of an item without contention.
func solo(k kind) cell {
	return cell{name: fmt.Sprintf("solo/ctx=%s", k), metrics: perItem, sides: k.sides(preferCapacity(128), putAndGet)}
}

func putAndGet(ctx context.Context, t transport, items int) (s sample, err error) {
	sum := 0
	s = timed(items, func() {
		for i := range items {
			if err = t.put(ctx, i); err != nil {
				return
			}
			var item int
			if item, err = t.get(ctx); err != nil {
				return
			}
			sum += item
		}
	})
	if err != nil {
		return s, err
	}
	return s, checkSum(sum, sumBelow(items))
}

// try is solo without blocking.
func try() cell {
	c := cell{name: "try", metrics: perItem}
	for _, p := range peers {
		capacity, _ := preferCapacity(128)(p)
		if p.plain == nil || !offers[trier](p.plain, capacity) {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: newEachRound(func(items int) (sample, error) {
			t := p.plain(capacity).(trier)
			sum := 0
			s := timed(items, func() {
				for i := range items {
					if !t.tryPut(i) {
						return
					}
					item, ok := t.tryGet()
					if !ok {
						return
					}
					sum += item
				}
			})
			return s, checkSum(sum, sumBelow(items))
		})})
	}
	return c
}
