package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/boundq/queue"
)

// measureAndPrint runs a workload given as JSON and prints the result as JSON.
func measureAndPrint(arg string, out io.Writer) error {
	var w workload
	if err := json.Unmarshal([]byte(arg), &w); err != nil {
		return fmt.Errorf("%s: %w", arg, err)
	}
	return json.NewEncoder(out).Encode(w.measure())
}

// measure moves items through a queue for the workload's length.
func (w workload) measure() result {
	ctx := context.Background()
	q := queue.New[int](w.Capacity)
	var over atomic.Bool
	var items atomic.Int64
	var producers, consumers sync.WaitGroup
	var mu sync.Mutex
	all := newHistogram()
	start := time.Now()
	for range w.Producers {
		producers.Go(func() {
			n, took := 0, newHistogram()
			for ; n == 0 || !over.Load(); n++ {
				var begin time.Time
				if w.Timed {
					begin = time.Now()
				}
				_ = q.Put(ctx, n)
				if w.Timed {
					_ = took.RecordValue(time.Since(begin).Nanoseconds())
				}
			}
			items.Add(int64(n))
			mu.Lock()
			defer mu.Unlock()
			all.Merge(took)
		})
	}
	for range w.Consumers {
		consumers.Go(func() {
			for {
				if _, err := q.Get(ctx); err != nil {
					return
				}
			}
		})
	}
	time.Sleep(w.Length)
	over.Store(true)
	producers.Wait()
	q.Shutdown(false)
	consumers.Wait()
	r := result{Time: float64(time.Since(start).Nanoseconds()) / float64(items.Load()), Items: int(items.Load())}
	if w.Timed {
		r.Time = float64(all.ValueAtQuantile(99.9))
	}
	return r
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute), 3)
}

// spin keeps a processor busy until the end of in, which comes when the program
// that started this one ends, however it does.
func spin(in io.Reader) {
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(0)
	}()
	for {
		var idle atomic.Bool
		idle.Load()
	}
}
