package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

// Asking for Done may allocate, and releases the lock.
func TestACallThatNeedNotBlockDoesNotAskForDone(t *testing.T) {
	ctx := misbehavingContext{background, func() <-chan struct{} { panic("asked for Done") }, func() error { return nil }}
	forEachOrder(t, func(t *testing.T, o order) {
		for name, call := range map[string]func(q *queue.Queue[int]) error{
			"Put": func(q *queue.Queue[int]) error { return q.Put(ctx, 4) },
			"PutBatch that fits": func(q *queue.Queue[int]) error {
				_, err := q.PutBatch(ctx, []int{4, 5})
				return err
			},
			"Get": func(q *queue.Queue[int]) error {
				_, err := q.Get(ctx)
				return err
			},
			"GetBatch": func(q *queue.Queue[int]) error {
				_, err := q.GetBatch(ctx, make([]int, 5))
				return err
			},
			"Join": func(q *queue.Queue[int]) error {
				if err := q.TaskDoneN(3); err != nil {
					return err
				}
				return q.Join(ctx)
			},
		} {
			t.Run(name, func(t *testing.T) {
				q := o.filled(t, 5, 3)
				require.NotPanics(t, func() { require.NoError(t, call(q)) })
				check(t, q)
			})
		}
	})
}

// Another worker's item is unfinished as the loop ends.
func TestALoopMarksTheItemsOfItsLastTurnDoneOnce(t *testing.T) {
	loops := map[string]func(ctx context.Context, q *queue.Queue[int], body func()){
		"Tasks": func(ctx context.Context, q *queue.Queue[int], body func()) {
			for range q.Tasks(ctx) {
				body()
			}
		},
		"Batches": func(ctx context.Context, q *queue.Queue[int], body func()) {
			for range q.Batches(ctx, 5, 0) {
				body()
			}
		},
	}
	forEachOrder(t, func(t *testing.T, o order) {
		for name, loop := range loops {
			for how, end := range map[string]func(q *queue.Queue[int], cancel func()){
				"a shutdown in the body":          func(q *queue.Queue[int], _ func()) { q.Shutdown(false) },
				"its context's end in the body":   func(_ *queue.Queue[int], cancel func()) { cancel() },
				"a shutdown while it is blocked":  nil,
				"its context's end while blocked": nil,
			} {
				t.Run(name+", ended by "+how, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						q := o.make(5)
						require.NoError(t, q.TryPut(1))
						_, err := q.TryGet() // in progress elsewhere
						require.NoError(t, err)
						require.NoError(t, q.TryPut(2))
						ctx, cancel := context.WithCancel(background)
						defer cancel()
						go func() {
							time.Sleep(time.Second)
							if how == "a shutdown while it is blocked" {
								q.Shutdown(false)
							}
							cancel()
						}()
						loop(ctx, q, func() {
							if end != nil {
								end(q, cancel)
							}
						})
						time.Sleep(2 * time.Second)
						require.Equal(t, 1, q.Stats().Unfinished)
						require.EqualValues(t, 1, q.Stats().Done)
						check(t, q)
					})
				})
			}
		}
	})
}

// compare holds the lock for a while; the other call comes meanwhile, or later
// on a busy machine.
func TestACallThatFindsTheQueueLockedWaitsForTheLock(t *testing.T) {
	for name, call := range map[string]func(q *queue.Queue[int]){
		"Put":    func(q *queue.Queue[int]) { _ = q.Put(background, 3) },
		"TryPut": func(q *queue.Queue[int]) { _ = q.TryPut(3) },
		"Get":    func(q *queue.Queue[int]) { _, _ = q.Get(background) },
		"TryGet": func(q *queue.Queue[int]) { _, _ = q.TryGet() },
	} {
		t.Run(name, func(t *testing.T) {
			held := make(chan struct{})
			f := &fuse{left: -1, fail: func() {
				close(held)
				time.Sleep(20 * time.Millisecond)
			}}
			q := queue.NewPriority(queue.Unbounded, f.compare)
			require.NoError(t, q.TryPut(1))
			f.left = 0
			returned := make(chan error, 1)
			go func() { returned <- q.TryPut(2) }()
			<-held
			call(q)
			require.NoError(t, <-returned)
			check(t, q)
		})
	}
}
