package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
)

func TestStatsCountsWhatHappened(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.make(2)
			require.Equal(t, queue.Stats{Cap: 2}, q.Stats())

			go func() { _, _ = q.Get(background) }()
			synctest.Wait()
			require.Equal(t, queue.Stats{Cap: 2, GetWaiting: 1, GetBlocked: 1}, q.Stats())
			require.NoError(t, q.Put(background, 1))
			require.Equal(t, queue.Stats{Cap: 2, Unfinished: 1, Put: 1, Got: 1, GetBlocked: 1}, q.Stats())
			require.NoError(t, q.TaskDone())

			for i := range 2 {
				require.NoError(t, q.TryPut(i+2))
			}
			require.Equal(t, queue.ErrFull, q.TryPut(9))
			go func() { _ = q.Put(background, 4) }()
			synctest.Wait()
			want := queue.Stats{Len: 2, Cap: 2, MaxLen: 2, Unfinished: 2, PutWaiting: 1,
				Put: 3, Got: 1, Done: 1, Rejected: 1, PutBlocked: 1, GetBlocked: 1}
			require.Equal(t, want, q.Stats())

			_, evicted, err := q.ForcePut(5)
			require.NoError(t, err)
			require.True(t, evicted)
			want.Put++
			want.Dropped++
			require.Equal(t, want, q.Stats())

			_ = q.Shutdown(true)
			want.Len, want.PutWaiting, want.Unfinished, want.Shutdown = 0, 0, 0, true
			want.Dropped += 2
			want.Drained += 2
			require.Equal(t, want, q.Stats())
			check(t, q)
		})
	})
}

func TestACallThatParksAndIsCancelledLeavesOnlyItsCount(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 1, 1)
			before := q.Stats()
			ctx, cancel := context.WithTimeout(background, time.Second)
			defer cancel()
			require.Equal(t, context.DeadlineExceeded, q.Put(ctx, 2))
			before.PutBlocked++
			require.Equal(t, before, q.Stats())
			require.Equal(t, []int{1}, empty(q))
		})
	})
}

func TestResizeLetsBlockedPutsInIfThereIsRoom(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		synctest.Test(t, func(t *testing.T) {
			q := o.filled(t, 2, 2)
			for i := range 5 {
				go func() { _ = q.Put(background, i+3) }()
				synctest.Wait()
			}
			q.Resize(4)
			check(t, q)
			require.Equal(t, 4, q.Len(), "the items that were let in are queued when Resize returns")
			require.Equal(t, 4, q.Cap())
			require.Equal(t, 3, q.Stats().PutWaiting)

			q.Resize(1)
			check(t, q)
			require.Equal(t, 4, q.Len(), "shrinking drops nothing")
			require.True(t, q.Full())
			for waiting := 3; waiting >= 1; waiting-- {
				_, err := q.TryGet()
				require.NoError(t, err)
				require.Equal(t, waiting, q.Len())
				require.Equal(t, 3, q.Stats().PutWaiting, "a Put was let in though there was no room")
				require.Equal(t, queue.ErrFull, q.TryPut(99))
			}
			_, evicted, err := q.ForcePut(100)
			require.NoError(t, err)
			require.True(t, evicted)
			_, err = q.TryGet()
			require.NoError(t, err)
			require.Equal(t, 2, q.Stats().PutWaiting)

			q.Resize(-7)
			check(t, q)
			require.Zero(t, q.Cap())
			require.Zero(t, q.Stats().PutWaiting)
			require.Equal(t, 3, q.Len())
		})
	})
}

func TestStringShowsTheFiguresAndNeverTheItems(t *testing.T) {
	for want, q := range map[string]*queue.Queue[string]{
		"FIFO":     queue.New[string](3),
		"LIFO":     queue.NewLIFO[string](3),
		"priority": queue.NewPriority(3, func(a, b string) int { return len(a) - len(b) }),
	} {
		require.NoError(t, q.TryPut("secret"))
		require.Regexp(t, "^"+want+` queue \{Len:1 Cap:3 .*Put:1 .*\}$`, q.String())
		require.NotContains(t, q.String(), "secret")
	}
}

func TestAQueueIsPrintedByEveryVerbWithoutItsItemsWhileItIsUsed(t *testing.T) {
	forEachOrder(t, func(t *testing.T, o order) {
		const secret = 987654321
		q := o.make(queue.Unbounded)
		var producers sync.WaitGroup
		producers.Go(func() { // which the race detector sees, if printing reads the fields
			for range 1000 {
				_ = q.TryPut(secret)
			}
		})
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%80v", "%-80s"} {
			text := fmt.Sprintf(format, q)
			require.NotContains(t, text, strconv.Itoa(secret), format)
			require.Contains(t, text, " queue", format)
		}
		producers.Wait()
		require.Equal(t, q.String(), fmt.Sprintf("%d", q))
		require.Equal(t, strconv.Quote(q.String()), fmt.Sprintf("%q", q))
	})
}

func TestStatsGoesByTheSameNamesInJSONAndInLogs(t *testing.T) {
	s := queue.Stats{Len: 1, Cap: 2, MaxLen: 3, Unfinished: 4, PutWaiting: 5, GetWaiting: 6, Put: 7, Got: 8,
		Done: 9, Dropped: 10, Drained: 11, Rejected: 12, PutBlocked: 13, GetBlocked: 14, Shutdown: true}
	want := `{"len":1,"cap":2,"max_len":3,"unfinished":4,"put_waiting":5,"get_waiting":6,"put":7,"got":8,` +
		`"done":9,"dropped":10,"drained":11,"rejected":12,"put_blocked":13,"get_blocked":14,"shutdown":true}`

	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, want, string(text))
	require.Equal(t, want, logged(t, s))

	var back queue.Stats
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, s, back)
}

func TestALoggedQueueShowsItsFiguresAndNeverItsItems(t *testing.T) {
	q := queue.New[string](3)
	require.NoError(t, q.TryPut("secret"))
	require.Equal(t, logged(t, q.Stats()), logged(t, q))
	require.Contains(t, logged(t, q), `"len":1,"cap":3`)

	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("now", "queue", q)
	require.Regexp(t, ` queue\.len=1 queue\.cap=3 .* queue\.put=1 .* queue\.shutdown=false\n$`, text.String())
	require.NotContains(t, text.String(), "secret")
}

// logged returns what slog's JSON handler makes of value.
func logged(t *testing.T, value any) string {
	var text bytes.Buffer
	slog.New(slog.NewJSONHandler(&text, nil)).Info("now", "queue", value)
	var line struct{ Queue json.RawMessage }
	require.NoError(t, json.Unmarshal(text.Bytes(), &line))
	return string(line.Queue)
}
