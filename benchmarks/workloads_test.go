package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

var tinySizes = sizes{priority: []int{50, 60}, lifo: 5, memory: 1_000, pause: 1_000}

func TestEveryWorkloadRuns(t *testing.T) {
	for _, c := range cells(tinySizes) {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, subject, c.sides[0].peer)
			require.Greater(t, len(c.sides), 1, "there is nothing to compare with")
			for _, s := range c.sides {
				work, err := s.prepare()
				require.NoError(t, err, s.peer)
				for range 2 { // a second round must find what it needs too
					measured, err := work.run(130)
					require.NoError(t, err, s.peer)
					require.Len(t, measured.values, len(c.metrics), s.peer)
				}
				if work.close != nil {
					work.close()
				}
			}
		})
	}
}

func TestEveryPeerStandsInSomeCell(t *testing.T) {
	missing := map[string]bool{}
	for _, p := range peers {
		missing[p.name] = true
	}
	for _, c := range cells(tinySizes) {
		for _, s := range c.sides {
			delete(missing, s.peer)
		}
	}
	require.Empty(t, missing)
}

func TestCellsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cells(fullSizes) {
		require.False(t, seen[c.name], c.name)
		seen[c.name] = true
	}
}

// forger gives out another item than was put.
type forger struct{ transport }

func (f forger) get(ctx context.Context) (int, error) {
	item, err := f.transport.get(ctx)
	return item + 1, err
}

func TestARaceNoticesItemsThatAreLostOrDuplicated(t *testing.T) {
	ctx := context.Background()
	run := func(tr transport) error {
		_, err := race(2, 2, 100, putting(ctx, tr), getting(ctx, tr))
		return err
	}
	require.NoError(t, run(plainChan(make(chan int, 8))))
	require.ErrorContains(t, run(forger{plainChan(make(chan int, 8))}), "lost or duplicated")
}

func TestSoloNoticesItemsThatAreLostOrDuplicated(t *testing.T) {
	_, err := putAndGet(t.Context(), plainChan(make(chan int, 8)), 100)
	require.NoError(t, err)
	_, err = putAndGet(t.Context(), forger{plainChan(make(chan int, 8))}, 100)
	require.ErrorContains(t, err, "lost or duplicated")
}

func TestScaleSetsGOMAXPROCSAndRestoresIt(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	stop, most := make(chan struct{}), make(chan int)
	go func() {
		seen := 0
		for {
			select {
			case <-stop:
				most <- seen
				return
			default:
				seen = max(seen, runtime.GOMAXPROCS(0))
			}
		}
	}()
	for _, s := range scale(8, before+3).sides {
		trial, err := s.prepare()
		require.NoError(t, err)
		_, err = trial.run(100_000)
		require.NoError(t, err)
		require.Equal(t, before, runtime.GOMAXPROCS(0))
	}
	close(stop)
	require.Equal(t, before+3, <-most)
}

func TestARaceReportsAFault(t *testing.T) {
	ended, stop := context.WithCancel(t.Context())
	stop()
	_, err := race(1, 1, 10, putting(ended, ours{}), func(int, *int) error { return ended.Err() })
	require.ErrorIs(t, err, context.Canceled)
}

func TestARaceStartsAllAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	var began atomic.Int32
	var items atomic.Int64
	split(&wg, start, 7, 100, func(from, to int) error {
		began.Add(1)
		items.Add(int64(to - from))
		return nil
	}, func(err error) { t.Error(err) })
	for range 1000 {
		runtime.Gosched()
	}
	require.Zero(t, began.Load(), "a goroutine did not wait for the start")
	close(start)
	wg.Wait()
	require.EqualValues(t, 7, began.Load())
	require.EqualValues(t, 100, items.Load(), "the shares add up")
}
