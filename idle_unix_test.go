//go:build unix

package queue_test

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// processorTime returns how long the processors have worked for this process.
func processorTime(t *testing.T) time.Duration {
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestAThousandBlockedCallsUseNoProcessorTime(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	full, empty := queue.New[int](1), queue.New[int](1)
	require.NoError(t, full.TryPut(1))
	var parked sync.WaitGroup
	for range 200 {
		for _, call := range []func(){
			func() { _ = full.Put(ctx, 1) },
			func() { _, _ = full.PutBatch(ctx, []int{1, 2}) },
			func() { _ = full.Join(ctx) },
			func() { _, _ = empty.Get(ctx) },
			func() {
				for range empty.Tasks(ctx) {
				}
			},
		} {
			parked.Go(call)
		}
	}
	for full.Stats().PutWaiting < 400 || empty.Stats().GetWaiting < 400 {
		runtime.Gosched()
	}
	runtime.GC()

	// Starting them and collecting garbage has an end; what calls that poll use
	// has none.
	const idle = 300 * time.Millisecond
	used := idle
	for begin := time.Now(); used >= idle/10 && time.Since(begin) < time.Minute; {
		before := processorTime(t)
		time.Sleep(idle) // of real time: none may be used in it
		used = processorTime(t) - before
	}
	require.Less(t, used, idle/10)
	cancel()
	parked.Wait()
}
