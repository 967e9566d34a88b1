package keyed_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

// These are for profiles, and for benchstat, which compares two commits or, with
// -col /impl, each type with the plain thing beside it:
//
//	go test -run '^$' -bench . -count 10 ./keyed >new.txt; benchstat -col /impl new.txt

// plain is what a value for each key costs at least: a map under a mutex.
type plain struct {
	mu     sync.Mutex
	values map[int]int
}

func (p *plain) put(key, value int) {
	p.mu.Lock()
	p.values[key] = value
	p.mu.Unlock()
}

const benchKeys = 1000

func BenchmarkReplace(b *testing.B) {
	b.Run("impl=map", func(b *testing.B) {
		p := plain{values: map[int]int{}}
		for key := range benchKeys {
			p.put(key, 0)
		}
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			p.put(n%benchKeys, n)
		}
	})
	b.Run("impl=latest", func(b *testing.B) {
		var q keyed.Latest[int, int]
		for key := range benchKeys {
			_, _, _ = q.Put(key, 0)
		}
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			_, _, _ = q.Put(n%benchKeys, n)
		}
	})
}

// One Put and one Get, with backlog items in the queue.
func BenchmarkPutGet(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, backlog := range []int{0, benchKeys / 2} {
		at := fmt.Sprintf("backlog=%d/impl=", backlog)
		b.Run(at+"queue", func(b *testing.B) {
			q := queue.New[int](queue.Unbounded)
			for key := range backlog {
				_ = q.Put(ctx, key)
			}
			b.ReportAllocs()
			for n := backlog; b.Loop(); n++ {
				_ = q.Put(ctx, n)
				_, _ = q.Get(ctx)
			}
		})
		b.Run(at+"latest", func(b *testing.B) {
			var q keyed.Latest[int, int]
			for key := range backlog {
				_, _, _ = q.Put(key, 0)
			}
			b.ReportAllocs()
			for n := backlog; b.Loop(); n++ {
				_, _, _ = q.Put(n%benchKeys, n)
				_, _, _ = q.Get(ctx)
			}
		})
	}
}

// A Put, a Get and a TaskDone. Each key has items queued all the time, or none
// but the one that is put and taken.
func BenchmarkTurns(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, backlog := range []int{0, benchKeys} {
		at := fmt.Sprintf("backlog=%d/impl=", backlog)
		b.Run(at+"queue", func(b *testing.B) {
			q := queue.New[int](queue.Unbounded)
			for key := range backlog {
				_ = q.Put(ctx, key)
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				_ = q.Put(ctx, n)
				_, _ = q.Get(ctx)
				_ = q.TaskDone()
			}
		})
		for _, kind := range kinds {
			b.Run(at+kind.name, func(b *testing.B) {
				q := kind.make(100)
				for key := range backlog {
					_ = q.Put(ctx, key, 0)
				}
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					_ = q.Put(ctx, n%benchKeys, n)
					key, _, _ := q.Get(ctx)
					_ = q.TaskDone(key)
				}
			})
		}
	}
}
