package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/boundq/queue"
)

// keyMask wraps the index into a table of random numbers, which costs less than
// drawing them while the clock runs.
const keyMask = 1<<16 - 1

var random = func() []int {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := make([]int, keyMask+1)
	for i := range numbers {
		numbers[i] = r.IntN(1 << 30)
	}
	return numbers
}()

// priority gets and puts in front of a backlog. Random keys are those of a
// simulation: the key that was received plus a random step. (Independent random
// keys would soon all be lower than the backlog.) Rising keys are those of a
// clock: each is higher than all before.
func priority(queued int, rising bool) cell {
	keys := "random"
	if rising {
		keys = "rising"
	}
	c := cell{name: fmt.Sprintf("priority/queued=%d/keys=%s", queued, keys), metrics: perItem}
	c.python = &request{Workload: "priority", Queued: queued, Rising: rising}
	for _, p := range peers {
		if p.priority == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: func() (trial, error) {
			ctx := context.Background()
			t := p.priority()
			next, last := 0, 0
			for next < queued {
				key := next
				if !rising {
					key = random[next&keyMask] + next
				}
				if err := t.put(ctx, key); err != nil {
					return trial{}, err
				}
				next++
			}
			return trial{run: func(items int) (s sample, err error) {
				ordered := true
				s = timed(items, func() {
					for range items {
						var key int
						if key, err = t.get(ctx); err != nil {
							return
						}
						ordered = ordered && last <= key
						last = key
						key += random[next&keyMask]
						if rising {
							key = next
						}
						if err = t.put(ctx, key); err != nil {
							return
						}
						next++
					}
				})
				return s, cmp.Or(err, checkOrder(ordered))
			}, close: func() { shut(t) }}, nil
		}})
	}
	return c
}

// sorting puts n random keys and then gets them all, repeatedly.
func sorting(n int) cell {
	c := cell{name: fmt.Sprintf("priority/burst=%d/keys=random", n), metrics: perItem, least: n}
	for _, p := range peers {
		if p.priority == nil {
			continue
		}
		c.sides = append(c.sides, side{peer: p.name, prepare: newEachRound(func(items int) (s sample, err error) {
			ctx := context.Background()
			t := p.priority()
			defer shut(t)
			sum, ordered := 0, true
			burst := func(n int) {
				for i := range n {
					key := random[i&keyMask] ^ i
					sum += key
					if err = t.put(ctx, key); err != nil {
						return
					}
				}
				last := 0
				for range n {
					var item int
					if item, err = t.get(ctx); err != nil {
						return
					}
					sum -= item
					ordered = ordered && last <= item
					last = item
				}
			}
			s = timed(items, func() {
				for left := items; left > 0 && err == nil; left -= n {
					burst(min(left, n))
				}
			})
			return s, cmp.Or(err, checkOrder(ordered), checkSum(sum, 0))
		})})
	}
	return c
}

// dropLast puts into a full priority queue, which drops the item that would
// leave last. It is compared with a get and a put of the same queue, because the
// peers are binary heaps, which have no such operation: their last item may be
// any leaf. As in priority, each new key is a random step from the one that
// left, here below it.
func dropLast(queued int) cell {
	c := cell{name: fmt.Sprintf("drop-last/queued=%d/keys=random", queued), metrics: perItem}
	full := func(name string, last int, replace func(q *queue.Queue[int], last, step int) int, ordered func(last, left int) bool) {
		c.sides = append(c.sides, side{peer: name, prepare: func() (trial, error) {
			q := queue.NewPriority(queued, cmp.Compare[int])
			for i := range queued {
				if err := q.TryPut(random[i&keyMask] + i); err != nil {
					return trial{}, err
				}
			}
			next := queued
			return trial{run: func(items int) (sample, error) {
				inTurn := true
				s := timed(items, func() {
					for range items {
						left := replace(q, last, random[next&keyMask])
						inTurn = inTurn && ordered(last, left)
						last = left
						next++
					}
				})
				return s, cmp.Or(checkOrder(inTurn), checkSum(q.Len(), queued))
			}}, nil
		}})
	}
	full(subject, 1<<30+queued, func(q *queue.Queue[int], last, step int) int {
		evicted, _, _ := q.ForcePut(last - step)
		return evicted
	}, func(last, left int) bool { return left <= last })
	full(getAndPut, 0, func(q *queue.Queue[int], _, step int) int {
		first, _ := q.TryGet()
		_ = q.TryPut(first + step)
		return first
	}, func(last, left int) bool { return last <= left })
	return c
}
