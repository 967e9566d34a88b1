package main

import (
	"context"
	"fmt"
)

// lifo puts and gets on top of a backlog.
func lifo(queued int) cell {
	c := cell{name: fmt.Sprintf("lifo/queued=%d", queued), metrics: perItem}
	for _, p := range peers {
		if p.lifo == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: newEachRound(func(items int) (sample, error) {
			ctx := context.Background()
			t := p.lifo()
			for i := range queued {
				if err := t.put(ctx, i); err != nil {
					return sample{}, err
				}
			}
			return putAndGet(ctx, t, items)
		})})
	}
	return c
}

// dropping puts into a full queue, which drops its oldest item to make room.
func dropping(capacity int) cell {
	c := cell{name: fmt.Sprintf("drop-oldest/cap=%d", capacity), metrics: perItem, least: fills * capacity}
	for _, p := range peers {
		if p.dropping == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: newEachRound(func(items int) (sample, error) {
			d := p.dropping(capacity)
			defer shut(d)
			for i := range capacity {
				d.forcePut(i - capacity)
			}
			s := timed(items, func() {
				for i := range items {
					d.forcePut(i)
				}
			})
			ordered := true
			for i := range capacity {
				item, err := d.get(context.Background())
				if err != nil {
					return s, err
				}
				ordered = ordered && item == items-capacity+i
			}
			return s, checkOrder(ordered)
		})})
	}
	return c
}
