package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

// aside returns the side of a cell that compares the queues of package keyed,
// which no peer offers, with something plainer. Open makes what turn uses, with
// a backlog; size returns the length of the backlog, which no turn changes.
func aside[Q any](name string, open func() Q, turn func(q Q, n int), size func(q Q) int) side {
	return side{peer: name, prepare: func() (trial, error) {
		q := open()
		backlog := size(q)
		return trial{run: func(items int) (sample, error) {
			s := timed(items, func() {
				for n := range items {
					turn(q, n)
				}
			})
			return s, checkSum(size(q), backlog)
		}}, nil
	}}
}

// A lockedMap is a map and a mutex: the newest value of each key, without a
// queue.
type lockedMap struct {
	mu     sync.Mutex
	values map[int]int
}

func (m *lockedMap) put(key, value int) {
	m.mu.Lock()
	m.values[key] = value
	m.mu.Unlock()
}

// filledQueue returns a queue with n items.
func filledQueue(n int) *queue.Queue[int] {
	q := new(queue.Queue[int])
	for i := range n {
		_ = q.TryPut(i)
	}
	return q
}

// filledLatest returns a queue with n keys.
func filledLatest(n int) *keyed.Latest[int, int] {
	q := new(keyed.Latest[int, int])
	for key := range n {
		_, _, _ = q.Put(key, key)
	}
	return q
}

// latestReplace puts new values of keys that are queued.
func latestReplace(keys int) cell {
	return cell{name: fmt.Sprintf("latest/op=replace/keys=%d", keys), metrics: perItem, sides: []side{
		aside(subject, func() *keyed.Latest[int, int] { return filledLatest(keys) },
			func(q *keyed.Latest[int, int], n int) { _, _, _ = q.Put(n%keys, n) },
			(*keyed.Latest[int, int]).Len),
		aside(mapAside, func() *lockedMap {
			m := &lockedMap{values: map[int]int{}}
			for key := range keys {
				m.put(key, key)
			}
			return m
		}, func(m *lockedMap, n int) { m.put(n%keys, n) },
			func(m *lockedMap) int { return len(m.values) }),
	}}
}

// latestPair puts and gets, with half of the keys queued: each put queues its
// key.
func latestPair(keys int) cell {
	ctx := context.Background()
	return cell{name: fmt.Sprintf("latest/op=pair/keys=%d", keys), metrics: perItem, sides: []side{
		aside(subject, func() *keyed.Latest[int, int] { return filledLatest(keys / 2) },
			func(q *keyed.Latest[int, int], n int) {
				key, _, _ := q.Get(ctx)
				_, _, _ = q.Put((key+keys/2)%keys, n)
			}, (*keyed.Latest[int, int]).Len),
		aside(queueAside, func() *queue.Queue[int] { return filledQueue(keys / 2) },
			func(q *queue.Queue[int], n int) {
				_, _ = q.Get(ctx)
				_ = q.Put(ctx, n)
			}, (*queue.Queue[int]).Len),
	}}
}

// turns puts an item, gets another and marks it done, with an item of each key
// queued.
func turns(name string, open func(perKey int) *keyed.Fair[int, int], keys int) cell {
	ctx := context.Background()
	return cell{name: fmt.Sprintf("%s/keys=%d", name, keys), metrics: perItem, sides: []side{
		aside(subject, func() *keyed.Fair[int, int] {
			q := open(100)
			for key := range keys {
				_ = q.TryPut(key, key)
			}
			return q
		}, func(q *keyed.Fair[int, int], n int) {
			_ = q.Put(ctx, n%keys, n)
			key, _, _ := q.Get(ctx)
			_ = q.TaskDone(key)
		}, (*keyed.Fair[int, int]).Len),
		aside(queueAside, func() *queue.Queue[int] { return filledQueue(keys) },
			func(q *queue.Queue[int], n int) {
				_ = q.Put(ctx, n)
				_, _ = q.Get(ctx)
				_ = q.TaskDone()
			}, (*queue.Queue[int]).Len),
	}}
}
