package bytelimit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/boundq/queue"
	"github.com/boundq/queue/examples/bytelimit"
	"github.com/stretchr/testify/require"
)

// Three items fit, or a hundred bytes.
func Example() {
	q := bytelimit.New(3, 100)
	fmt.Println(q.TryPut(make([]byte, 60)))
	fmt.Println(q.TryPut(make([]byte, 60)))
	fmt.Println(q.TryPut(make([]byte, 200)))
	for item := range q.Tasks(context.Background()) {
		fmt.Println("processed", len(item), "bytes")
		break
	}
	fmt.Println(q.TryPut(make([]byte, 60)))
	// Output:
	// <nil>
	// queue: full
	// bytelimit: item is larger than the limit: 200 of 100 bytes
	// processed 60 bytes
	// <nil>
}

// fits reports whether the queue has its whole limit of 100 bytes free.
func fits(t *testing.T, q *bytelimit.Queue) {
	t.Helper()
	require.NoError(t, q.TryPut(make([]byte, 100)), "bytes were not released")
}

func TestPutBlocksUntilTheBytesAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := bytelimit.New(10, 100)
		require.NoError(t, q.TryPut(make([]byte, 70)))
		put := make(chan error, 1)
		go func() { put <- q.Put(context.Background(), make([]byte, 40)) }()
		synctest.Wait()
		require.Empty(t, put)
		for range q.Tasks(context.Background()) {
			synctest.Wait()
			require.Empty(t, put, "an item in progress counts")
			break
		}
		require.NoError(t, <-put)
	})
}

func TestBytesAreReleasedWhereverAnItemEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, q *bytelimit.Queue){
		"processed": func(t *testing.T, q *bytelimit.Queue) {
			for range q.Tasks(context.Background()) {
				break
			}
		},
		"given up by a panic": func(t *testing.T, q *bytelimit.Queue) {
			require.Panics(t, func() {
				for range q.Tasks(context.Background()) {
					panic("body")
				}
			})
		},
		"evicted": func(t *testing.T, q *bytelimit.Queue) {
			evicted, err := q.Replace(nil)
			require.NoError(t, err)
			require.Len(t, evicted, 60)
			for range q.Tasks(context.Background()) {
				break
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := bytelimit.New(1, 100)
			require.NoError(t, q.TryPut(make([]byte, 60)))
			end(t, q)
			fits(t, q)
		})
	}
	t.Run("refused because no slot is free", func(t *testing.T) {
		q := bytelimit.New(1, 100)
		require.NoError(t, q.TryPut(nil))
		require.Equal(t, queue.ErrFull, q.TryPut(make([]byte, 60)))
		for range q.Tasks(context.Background()) {
			break
		}
		fits(t, q)
	})
	t.Run("cut off by its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := bytelimit.New(1, 100)
			require.NoError(t, q.TryPut(nil))
			ctx, cancel := context.WithCancel(context.Background())
			put := make(chan error, 1)
			go func() { put <- q.Put(ctx, make([]byte, 60)) }()
			synctest.Wait()
			cancel()
			require.Equal(t, context.Canceled, <-put)
			for range q.Tasks(context.Background()) {
				break
			}
			fits(t, q)
		})
	})
	t.Run("drained", func(t *testing.T) {
		q := bytelimit.New(1, 100)
		require.NoError(t, q.TryPut(make([]byte, 60)))
		require.Len(t, q.Shutdown(), 1)
		require.True(t, errors.Is(q.TryPut(make([]byte, 100)), queue.ErrShutdown), "and not ErrFull")
		require.Equal(t, queue.ErrShutdown, q.Put(context.Background(), make([]byte, 100)))
	})
}
