package main

import (
	"context"
	"fmt"
	"time"
)

// selecting has one producer put and one consumer receive in a select beside a
// ticker: up to take items a turn, where the peer can.
func selecting(take int, k kind) cell {
	const capacity = 128
	c := cell{name: fmt.Sprintf("select/take=%d/cap=%d/ctx=%s", take, capacity, k), metrics: perItem}
	c.sides = k.sides(func(p peer) (int, bool) {
		open := k.constructor(p)
		return capacity, open != nil && p.holds(capacity) && offers[selecter](open, capacity)
	}, func(ctx context.Context, t transport, items int) (sample, error) {
		s := t.(selecter)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		return race(1, 1, items, putting(ctx, t), func(n int, sum *int) error {
			dst := make([]int, take)
			for n > 0 {
				got, err := s.receive(ctx, ticker.C, dst)
				if err != nil {
					return err
				}
				for _, item := range dst[:got] {
					*sum += item
				}
				n -= got
			}
			return nil
		})
	})
	return c
}
