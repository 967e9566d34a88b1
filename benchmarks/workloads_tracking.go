package main

import (
	"context"
	"fmt"
)

// trackers returns the sides of the cells that track unfinished items.
func trackers(run func(ctx context.Context, t tracker, items int) (sample, error)) (sides []side) {
	for _, p := range peers {
		if p.tracking == nil {
			continue
		}
		open := func() transport { return p.tracking(128) }
		sides = append(sides, cancel.side(p.name, open, func(ctx context.Context, t transport, items int) (sample, error) {
			return run(ctx, t.(tracker), items)
		}))
	}
	return sides
}

// join is a pipeline whose consumers mark each item done; it ends with a Join.
func join(producers, consumers int) cell {
	return cell{
		name:    fmt.Sprintf("join/shape=%d:%d/cap=128/ctx=cancel", producers, consumers),
		metrics: perItem,
		sides: trackers(func(ctx context.Context, t tracker, items int) (sample, error) {
			s, err := race(producers, consumers, items, putting(ctx, t), func(n int, sum *int) error {
				for range n {
					item, err := t.get(ctx)
					if err != nil {
						return err
					}
					*sum += item
					t.taskDone()
				}
				return nil
			})
			if err != nil {
				return s, err
			}
			return s, t.join(ctx)
		}),
	}
}

// tasks has workers range over Tasks, which marks the items done, and one
// producer that joins.
func tasks(workers int) cell {
	return cell{
		name:    fmt.Sprintf("tasks/shape=1:%d/cap=128/ctx=cancel", workers),
		metrics: perItem,
		sides: trackers(func(ctx context.Context, t tracker, items int) (sample, error) {
			produce := func(from, to int) error {
				if err := putting(ctx, t)(from, to); err != nil {
					return err
				}
				if err := t.join(ctx); err != nil {
					return err
				}
				t.finish()
				return nil
			}
			return race(1, workers, items, produce, func(_ int, sum *int) error {
				t.tasks(ctx, func(item int) { *sum += item })
				return nil
			})
		}),
	}
}

// requeue has workers process a binary tree: each item that they take leads to
// two more, which they add to the queue that they serve.
func requeue(workers int) cell {
	c := cell{name: fmt.Sprintf("requeue/workers=%d/cap=128/ctx=cancel", workers), metrics: perItem}
	for _, p := range peers {
		if p.tracking == nil {
			continue
		}
		open := func() transport { return p.tracking(128) }
		if _, ok := open().(requeuer); !ok {
			continue
		}
		c.sides = append(c.sides, cancel.side(p.name, open, func(ctx context.Context, t transport, items int) (sample, error) {
			r := t.(requeuer)
			produce := func(int, int) error {
				if err := r.put(ctx, 0); err != nil {
					return err
				}
				if err := r.join(ctx); err != nil {
					return err
				}
				r.finish()
				return nil
			}
			return race(1, workers, items, produce, func(_ int, sum *int) error {
				r.tasks(ctx, func(item int) {
					*sum += item
					for child := 2*item + 1; child <= 2*item+2 && child < items; child++ {
						r.requeue(child)
					}
				})
				return nil
			})
		}))
	}
	return c
}
