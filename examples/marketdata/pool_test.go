package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/boundq/queue"
)

func TestAPoolHasAsManyWorkersAsItWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New[int](10)
		p := newPool(t.Context(), func(ctx context.Context) {
			for range q.Tasks(ctx) {
			}
		})
		for _, n := range []int{1, 7, 7, 2, 5, 0, 3} {
			p.resize(n)
			synctest.Wait()
			require.Equal(t, n, q.Stats().GetWaiting)
		}
		q.Shutdown(false)
		p.wait()
	})
}

func TestADismissedWorkerFinishesWhatItHasBegunAndTakesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New[int](10)
		for n := range 6 {
			require.NoError(t, q.TryPut(n))
		}
		p := newPool(t.Context(), func(ctx context.Context) {
			for range q.Tasks(ctx) {
				time.Sleep(time.Second)
			}
		})
		p.resize(3)
		synctest.Wait()
		p.resize(1) // two have one item each in their hands
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 3, q.Stats().Done)
		require.EqualValues(t, 4, q.Stats().Got, "only the one that stayed took another")
		q.Shutdown(false)
		require.NoError(t, q.Join(t.Context()))
		p.wait()
	})
}

func TestAPoolEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newPool(ctx, func(ctx context.Context) { <-ctx.Done() })
		p.resize(4)
		cancel()
		p.wait()
	})
}
