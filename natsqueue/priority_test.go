package natsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openClasses opens a queue of three classes on the shared server.
func openClasses(t testing.TB, name string, opts ...natsqueue.Option) *natsqueue.Queue[int] {
	t.Helper()
	return open(t, name, append(opts, natsqueue.WithPriorities(3))...)
}

// putClass puts items of a class.
func putClass(t testing.TB, q *natsqueue.Queue[int], class int, items ...int) {
	t.Helper()
	for _, item := range items {
		require.NoError(t, q.Put(soon(t), item, natsqueue.PutPriority(class)))
	}
}

// getTask receives an item that was not delivered before.
func getTask(t testing.TB, q *natsqueue.Queue[int]) *natsqueue.Task[int] {
	t.Helper()
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, task.Deliveries(), "item %d of class %d", task.Item, task.Priority())
	return task
}

// consumers returns the state of the consumer of each class.
func consumers(t testing.TB, name string) (infos [3]*jetstream.ConsumerInfo) {
	t.Helper()
	js := connect(t, shared.ClientURL())
	for class := range infos {
		consumer, err := js.Consumer(soon(t), name, fmt.Sprintf("workers-%d", class))
		require.NoError(t, err)
		infos[class] = consumer.CachedInfo()
	}
	return infos
}

// allWait reports whether the consumer of each class holds a pull request.
func allWait(t testing.TB, name string) bool {
	for _, info := range consumers(t, name) {
		if info.NumWaiting == 0 {
			return false
		}
	}
	return true
}

// known blocks until the consumers know of so many queued items: they learn of an item
// a moment after the server has acknowledged it.
func known(t testing.TB, name string, queued int) {
	t.Helper()
	eventually(t, func() bool {
		n := uint64(0)
		for _, info := range consumers(t, name) {
			n += info.NumPending
		}
		return n == uint64(queued)
	}, "the consumers know of the items")
}

func TestItemsLeaveByClassAndInOrderWithinOne(t *testing.T) {
	t.Parallel()
	for how, receive := range map[string]func(t *testing.T, q *natsqueue.Queue[int]) (items []int){
		"Get": func(t *testing.T, q *natsqueue.Queue[int]) (items []int) {
			for range 9 {
				task := getTask(t, q)
				require.Equal(t, task.Item/10, task.Priority())
				items = append(items, task.Item)
				require.NoError(t, task.Done(soon(t)))
			}
			return items
		},
		"TryGet": func(t *testing.T, q *natsqueue.Queue[int]) (items []int) {
			for {
				task, err := q.TryGet(soon(t))
				if errors.Is(err, queue.ErrEmpty) {
					return items
				}
				require.NoError(t, err)
				items = append(items, task.Item)
			}
		},
		"Tasks": func(t *testing.T, q *natsqueue.Queue[int]) (items []int) {
			require.NoError(t, q.Shutdown(soon(t), false))
			for item := range q.Tasks(soon(t)) {
				items = append(items, item)
			}
			return items
		},
		"Handle": func(t *testing.T, q *natsqueue.Queue[int]) (items []int) {
			require.NoError(t, q.Shutdown(soon(t), false))
			require.NoError(t, q.Handle(soon(t), 1, func(_ context.Context, item int) error {
				items = append(items, item)
				return nil
			}))
			return items
		},
		"Batches": func(t *testing.T, q *natsqueue.Queue[int]) (items []int) {
			require.NoError(t, q.Shutdown(soon(t), false))
			var sizes []int
			for batch := range q.Batches(soon(t), 4, 0) {
				sizes = append(sizes, len(batch))
				items = append(items, batch...)
			}
			require.Equal(t, []int{4, 4, 1}, sizes)
			return items
		},
		"Batches that linger": func(t *testing.T, q *natsqueue.Queue[int]) (items []int) {
			require.NoError(t, q.Shutdown(soon(t), false))
			for batch := range q.Batches(soon(t), 4, 50*time.Millisecond) {
				require.LessOrEqual(t, len(batch), 4)
				items = append(items, batch...)
			}
			return items
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			name := newName(t)
			q := openClasses(t, name, natsqueue.WithAckWait(time.Hour))
			putClass(t, q, 2, 21)
			putClass(t, q, 1, 11, 12)
			n, err := q.PutBatch(soon(t), []int{22, 23}, natsqueue.PutPriority(2))
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.NoError(t, q.Put(soon(t), 1)) // 0 is the default
			require.NoError(t, q.TryPut(soon(t), 13, natsqueue.PutPriority(1)))
			putClass(t, q, 0, 2, 3)
			known(t, name, 9)
			require.Equal(t, []int{1, 2, 3, 11, 12, 13, 21, 22, 23}, receive(t, q))
		})
	}
}

func TestALoopOverClassesFetchesNothingAhead(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithPrefetch(0))
	putClass(t, q, 1, upTo(20)...)
	known(t, name, 20)
	turns := 0
	for item := range q.Tasks(soon(t)) {
		require.Equal(t, 1, stats(t, q).InFlight)
		if turns++; turns == 5 {
			putClass(t, q, 0, 100)
			known(t, name, 16)
		}
		if turns == 6 {
			require.Equal(t, 100, item, "it overtakes all that are queued")
			break
		}
	}
}

// By its count a consumer may have nothing, and have a message.
func TestACallThatIsRungInVainMakesTheServerLook(t *testing.T) {
	t.Parallel()
	name := newName(t)
	openClasses(t, name)
	nc := connect(t, shared.ClientURL()).Conn()
	prefix := "miscounts." + name
	_, err := nc.Subscribe(prefix+".>", func(msg *nats.Msg) {
		if strings.Contains(string(msg.Data), "no_wait") {
			assert.NoError(t, msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"No Messages"}}}))
			return
		}
		assert.NoError(t, nc.PublishRequest("$JS.API"+strings.TrimPrefix(msg.Subject, prefix), msg.Reply, msg.Data))
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	js, err := jetstream.NewWithAPIPrefix(connect(t, shared.ClientURL()).Conn(), prefix)
	require.NoError(t, err)
	q, err := natsqueue.Open[int](soon(t), js, name)
	require.NoError(t, err)
	defer q.Close()
	for class := range 3 {
		putClass(t, q, class, class)
		require.Equal(t, class, get(t, q))
	}
}

// A batch of any class costs as many requests as there are classes up to its own.
func TestABatchIsFetchedInOneRequestToAClass(t *testing.T) {
	t.Parallel()
	const size, batches = 8, 3
	for class := range 3 {
		for _, linger := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprintf("class=%d linger=%v", class, linger), func(t *testing.T) {
				t.Parallel()
				name := newName(t)
				js := connect(t, shared.ClientURL())
				q, err := natsqueue.Open[int](soon(t), js, name, natsqueue.WithPriorities(3))
				require.NoError(t, err)
				defer q.Close()
				putClass(t, q, class, upTo(size*batches)...)
				known(t, name, size*batches)
				// On the queue's own connection: Flush returns after all that it sent came back.
				pulls, err := js.Conn().SubscribeSync("$JS.API.CONSUMER.MSG.NEXT." + name + ".*")
				require.NoError(t, err)
				var items []int
				for batch := range q.Batches(soon(t), size, linger) {
					require.Len(t, batch, size)
					if items = append(items, batch...); len(items) == size*batches {
						break
					}
				}
				require.Equal(t, upTo(size*batches), items)
				require.NoError(t, js.Conn().Flush())
				requests, _, err := pulls.Pending()
				require.NoError(t, err)
				require.Equal(t, batches*(class+1), requests)
			})
		}
	}
}

func TestTheCapacityBoundsAllClassesTogether(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithCapacity(4))
	for class := range 3 {
		putClass(t, q, class, class)
	}
	putClass(t, q, 2, 22)
	known(t, name, 4)
	for class := range 3 {
		require.ErrorIs(t, q.TryPut(soon(t), 9, natsqueue.PutPriority(class)), queue.ErrFull)
	}
	var putters sync.WaitGroup
	for i, class := range []int{2, 0} { // blocked calls proceed in order of arrival
		putters.Go(func() { assert.NoError(t, q.Put(soon(t), 10+class, natsqueue.PutPriority(class))) })
		eventually(t, func() bool { return q.InLine() == i+1 }, "it is blocked")
	}
	require.Equal(t, 0, get(t, q))
	eventually(t, func() bool { return q.InLine() == 1 }, "the first is in")
	require.Equal(t, 4, stats(t, q).Unfinished)
	require.Equal(t, 1, get(t, q), "the blocked one of class 0 is not")
	putters.Wait()
	known(t, name, 4)
	for _, want := range []int{10, 2, 22, 12} {
		require.Equal(t, want, get(t, q))
	}
}

func TestABlockedPutHearsOfAcknowledgementsOfEveryClass(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q, other := openClasses(t, name, natsqueue.WithCapacity(1)), open(t, name)
	putClass(t, q, 2, 0)
	var putter sync.WaitGroup
	putter.Go(func() {
		for n := 1; !q.Heard(); n++ {
			assert.NoError(t, q.Put(soon(t), n, natsqueue.PutPriority(1+n%2)))
		}
	})
	eventually(t, func() bool {
		time.Sleep(100 * time.Millisecond) // by then it listens
		if task, err := other.TryGet(soon(t)); err == nil {
			require.NoError(t, task.Done(soon(t)))
		}
		return q.Heard()
	}, "it hears")
	task, err := other.Get(within(t, time.Second))
	if err == nil {
		require.NoError(t, task.Done(soon(t)))
	}
	putter.Wait()
}

// All items are stored before the workers begin, and none is redelivered. Then a call
// that begins after another returned receives no more urgent item than that one.
func TestSeveralWorkersReceiveNoItemWhileThereIsAMoreUrgentOne(t *testing.T) {
	t.Parallel()
	const items, handles, each = 240, 3, 2
	name := newName(t)
	q := openClasses(t, name)
	for i := range items {
		putClass(t, q, rand.IntN(3), i)
	}
	known(t, name, items)
	type turn struct {
		begin, end time.Time
		class      int
		item       int
	}
	var mu sync.Mutex
	var turns []turn
	start := make(chan struct{})
	var workers sync.WaitGroup
	for range handles {
		handle := open(t, name)
		for range each {
			workers.Go(func() {
				<-start
				for {
					begin := time.Now()
					task, err := handle.TryGet(soon(t))
					if errors.Is(err, queue.ErrEmpty) {
						return
					}
					end := time.Now()
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, 1, task.Deliveries())
					mu.Lock()
					turns = append(turns, turn{begin, end, task.Priority(), task.Item})
					mu.Unlock()
					assert.NoError(t, task.Done(soon(t)))
				}
			})
		}
	}
	close(start)
	workers.Wait()
	require.Len(t, turns, items)
	for _, a := range turns {
		for _, b := range turns {
			if a.end.Before(b.begin) {
				require.LessOrEqual(t, a.class, b.class, "an inversion")
				require.False(t, a.class == b.class && a.item > b.item, "items of a class out of order")
			}
		}
	}
}

func TestAnIdleWorkerReceivesItemsOfEveryClassAtTheirFirstDelivery(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithMaxDeliveries(1), natsqueue.WithAckWait(time.Hour))
	got := make(chan int)
	var worker sync.WaitGroup
	worker.Go(func() {
		for item := range q.Tasks(soon(t)) {
			got <- item
		}
	})
	other := open(t, name)
	for i := range 60 {
		if i%2 == 0 {
			eventually(t, func() bool { return allWait(t, name) }, "it is idle")
		}
		putClass(t, other, i%3, i)
		require.Equal(t, i, <-got)
	}
	require.NoError(t, other.Shutdown(soon(t), false))
	worker.Wait()
	s := stats(t, other)
	require.EqualValues(t, 60, s.Delivered)
	require.Zero(t, s.Redelivered)
	require.Zero(t, s.DeadLetters)
}

// The server may still hold requests of a worker that is busy, or whose call gave up.
// They must not be answered with an item: it would be handed back with one more
// delivery.
func TestAWorkerThatIsNoLongerBlockedIsSentNothing(t *testing.T) {
	t.Parallel()
	for how, stop := range map[string]func(t *testing.T, q *natsqueue.Queue[int]){
		"busy": func(t *testing.T, q *natsqueue.Queue[int]) {
			var worker sync.WaitGroup
			worker.Go(func() {
				task, err := q.Get(soon(t))
				assert.NoError(t, err)
				assert.Equal(t, 100, task.Item)
			})
			eventually(t, func() bool { return stats(t, q).Waiting == 1 }, "it waits")
			putClass(t, q, 1, 100)
			worker.Wait()
		},
		"gave up": func(t *testing.T, q *natsqueue.Queue[int]) {
			_, err := q.Get(within(t, 100*time.Millisecond))
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			name := newName(t)
			q, other := openClasses(t, name, natsqueue.WithAckWait(time.Hour)), open(t, name)
			for round := range 5 {
				stop(t, q)
				for class := range 3 {
					putClass(t, other, class, 10*round+class)
					require.Equal(t, 10*round+class, getTask(t, other).Item)
				}
			}
			require.Zero(t, stats(t, other).Redelivered)
		})
	}
}

// Items of all classes come at the same time, while many workers are blocked.
func TestIdleWorkersReceiveEachItemAtItsFirstDelivery(t *testing.T) {
	t.Parallel()
	const handles, each, rounds, burst = 4, 3, 20, 9
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithAckWait(time.Hour), natsqueue.WithMaxDeliveries(1))
	seen := make([]atomic.Int32, rounds*burst)
	var workers sync.WaitGroup
	for range handles {
		handle := open(t, name, natsqueue.WithMaxDeliveries(1))
		for range each {
			workers.Go(func() {
				for item := range handle.Tasks(soon(t)) {
					seen[item].Add(1)
				}
			})
		}
	}
	for round := range rounds {
		eventually(t, func() bool { return stats(t, q).Waiting > 0 }, "some wait")
		var putters sync.WaitGroup
		for i := range burst {
			putters.Go(func() { putClass(t, q, i%3, round*burst+i) })
		}
		putters.Wait()
		require.NoError(t, q.Join(soon(t)))
	}
	require.NoError(t, q.Shutdown(soon(t), false))
	workers.Wait()
	for item := range seen {
		require.EqualValues(t, 1, seen[item].Load(), item)
	}
	s := stats(t, q)
	require.EqualValues(t, rounds*burst, s.Delivered)
	require.Zero(t, s.DeadLetters)
}

func TestTheClassOutlivesRetryDelayRejectionAndRedrive(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithAckWait(time.Hour))
	require.NoError(t, q.PutAfter(soon(t), 1, 300*time.Millisecond, natsqueue.PutPriority(2)))
	task := getTask(t, q)
	require.Equal(t, 2, task.Priority(), "after a delay")
	require.NoError(t, task.Retry(soon(t), 100*time.Millisecond))
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, 2, task.Priority(), "after a retry")
	require.NoError(t, task.Reject(soon(t), "no"))
	putClass(t, q, 1, 11)
	task = getTask(t, q)
	require.NoError(t, task.Reject(soon(t), "no"))
	all := letters(t, q)
	require.Len(t, all, 2)
	require.Equal(t, 2, all[0].Priority)
	require.Equal(t, 1, all[1].Priority)
	n, err := q.Redrive(soon(t), 0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	known(t, name, 2)
	for _, want := range []int{11, 1} {
		task = getTask(t, q)
		require.Equal(t, want, task.Item)
		require.NoError(t, task.Done(soon(t)))
	}
	require.NoError(t, q.Join(soon(t)))
}

func TestOpenRefusesPrioritiesThatItCantHave(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	refuses := func(name, want string, opts ...natsqueue.Option) {
		t.Helper()
		_, err := natsqueue.Open[int](soon(t), js, name, opts...)
		require.ErrorContains(t, err, want)
	}
	plain, three := newName(t), newName(t)
	open(t, plain, natsqueue.WithPriorities(1))
	openClasses(t, three)
	for n, want := range map[int]string{0: "the number of priorities is 0 and must be from 1 to 16", -1: "is -1 and", 17: "is 17 and"} {
		name := newName(t)
		refuses(name, want, natsqueue.WithPriorities(n))
		_, err := js.Stream(soon(t), name)
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	}
	refuses(three, "the queue exists, and its number of priorities is 3, not 2", natsqueue.WithPriorities(2))
	refuses(three, "its number of priorities is 3, not 1", natsqueue.WithPriorities(1))
	refuses(plain, "its number of priorities is 1, not 3", natsqueue.WithPriorities(3))
	const inFlight = "the number of items in flight can't be bounded in a queue with several priorities"
	name := newName(t)
	refuses(name, inFlight, natsqueue.WithMaxInFlight(2), natsqueue.WithPriorities(3))
	_, err := js.Stream(soon(t), name)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	refuses(three, inFlight, natsqueue.WithMaxInFlight(2))
	open(t, newName(t), natsqueue.WithPriorities(1), natsqueue.WithMaxInFlight(2))
	most := open(t, newName(t), natsqueue.WithPriorities(16))
	putClass(t, most, 15, 15)
	require.Equal(t, 15, get(t, most))

	stream, err := js.Stream(soon(t), plain)
	require.NoError(t, err)
	for _, text := range []string{"many", "0", "17"} {
		config := stream.CachedInfo().Config
		config.Metadata["natsqueue-priorities"] = text
		_, err = js.UpdateStream(soon(t), config)
		require.NoError(t, err)
		refuses(plain, fmt.Sprintf("the stream's metadata has %q as the number of priorities", text))
	}
}

func TestAPutOfAClassThatTheQueueDoesNotHaveIsRefused(t *testing.T) {
	t.Parallel()
	one, three := open(t, newName(t)), openClasses(t, newName(t))
	for _, class := range []int{3, -1} {
		for _, err := range []error{
			three.Put(soon(t), 1, natsqueue.PutPriority(class)),
			three.TryPut(soon(t), 1, natsqueue.PutPriority(class)),
			func() error {
				n, err := three.PutBatch(soon(t), upTo(3), natsqueue.PutPriority(class))
				require.Zero(t, n)
				return err
			}(),
		} {
			require.EqualError(t, err, fmt.Sprintf("natsqueue: put: the priority is %d, and the queue has 3, from 0 to 2", class))
		}
	}
	require.ErrorContains(t, one.Put(soon(t), 1, natsqueue.PutPriority(1)), "the priority is 1, and the queue has 1")
	require.NoError(t, one.Put(soon(t), 1, natsqueue.PutPriority(0)))
	task := getTask(t, one)
	require.Zero(t, task.Priority())
	require.Zero(t, stats(t, three).Unfinished)
}

// A message of another subject would take a slot that no worker frees.
func TestAQueueOfClassesTakesNoMessagesOfOthers(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name)
	js := connect(t, shared.ClientURL())
	for _, subject := range []string{"3", "x", "0.0"} {
		_, err := js.Publish(soon(t), "natsqueue."+name+"."+subject, []byte("1"), jetstream.WithRetryAttempts(0))
		require.ErrorIs(t, err, jetstream.ErrNoStreamResponse, subject)
	}
	_, err := js.Publish(soon(t), "natsqueue."+name+".2", []byte("1"))
	require.NoError(t, err)
	require.Equal(t, 2, getTask(t, q).Priority())

	plain := newName(t)
	q = open(t, plain)
	_, err = js.Publish(soon(t), "natsqueue."+plain+".7", []byte("1"))
	require.NoError(t, err)
	require.Zero(t, getTask(t, q).Priority(), "without priorities all are of one class")
}

func TestAShutdownEndsEveryClass(t *testing.T) {
	t.Parallel()
	for _, immediate := range []bool{false, true} {
		name := newName(t)
		q, other := openClasses(t, name), open(t, name)
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				_, err := other.Get(soon(t))
				assert.ErrorIs(t, err, queue.ErrShutdown)
			})
		}
		eventually(t, func() bool { return stats(t, q).Waiting > 0 }, "they wait")
		require.NoError(t, q.Shutdown(soon(t), immediate))
		callers.Wait()
		require.ErrorIs(t, q.Put(soon(t), 1, natsqueue.PutPriority(2)), queue.ErrShutdown)
		_, err := open(t, name).TryGet(soon(t))
		require.ErrorIs(t, err, queue.ErrShutdown)
	}
	name := newName(t)
	q := openClasses(t, name)
	putClass(t, q, 0, 1)
	for class := 1; class < 3; class++ {
		_, err := q.PutBatch(soon(t), upTo(300), natsqueue.PutPriority(class))
		require.NoError(t, err)
	}
	known(t, name, 601)
	require.Equal(t, 1, get(t, q))
	task := getTask(t, q)
	require.Equal(t, 1, task.Priority())
	require.NoError(t, q.Shutdown(soon(t), false))
	require.NoError(t, q.Shutdown(soon(t), true)) // of a sealed stream
	eventually(t, func() bool { return stats(t, q).Unfinished == 1 }, "one is being worked on")
	require.NoError(t, task.Done(soon(t)))
	require.NoError(t, q.Join(soon(t)))

	q = openClasses(t, newName(t))
	for class := range 3 {
		putClass(t, q, class, 1)
	}
	require.NoError(t, q.Shutdown(soon(t), true))
	require.Zero(t, stats(t, q).Unfinished)
}

func TestABlockedGetOfSeveralClassesOutlivesTheConnection(t *testing.T) {
	t.Parallel()
	for how, fail := range map[string]func(p *proxy){
		"cut":       (*proxy).cut,
		"half-open": func(p *proxy) { p.deafen(true) },
	} {
		for class := range 3 {
			t.Run(fmt.Sprintf("%s class=%d", how, class), func(t *testing.T) {
				t.Parallel()
				name := newName(t)
				openClasses(t, name)
				q, p := openBehind(t, name)
				other := open(t, name)
				var worker sync.WaitGroup
				worker.Go(func() {
					task, err := q.Get(soon(t))
					if assert.NoError(t, err) {
						assert.Equal(t, class, task.Priority())
					}
				})
				eventually(t, func() bool { return stats(t, other).Waiting == 1 }, "it waits")
				fail(p)
				if how == "half-open" {
					eventually(t, func() bool { return stats(t, other).Waiting == 0 }, "its requests expire")
				}
				putClass(t, other, class, 1)
				worker.Wait()
			})
		}
	}
}

func TestADeletedConsumerOfAnyClassEndsEveryGet(t *testing.T) {
	t.Parallel()
	js := connect(t, shared.ClientURL())
	for class := range 3 {
		for _, waiting := range []bool{true, false} {
			name := newName(t)
			q := openClasses(t, name)
			consumer := fmt.Sprintf("workers-%d", class)
			var callers sync.WaitGroup
			if waiting {
				callers.Go(func() {
					_, err := q.Get(soon(t))
					assert.ErrorIs(t, err, jetstream.ErrConsumerDeleted)
				})
				callers.Go(func() {
					for range q.Tasks(soon(t)) {
					}
				})
				eventually(t, func() bool { return allWait(t, name) }, "they wait")
			}
			require.NoError(t, js.DeleteConsumer(soon(t), name, consumer))
			callers.Wait()
			_, err := q.Get(soon(t))
			require.True(t, errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound), err)
			require.Equal(t, err, q.Err())
		}
	}
}

func TestCloseEndsTheCallsOfAllClasses(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js := connect(t, shared.ClientURL())
	_, err := js.AccountInfo(soon(t)) // makes the connection's own inbox
	require.NoError(t, err)
	before := js.Conn().NumSubscriptions()
	q, err := natsqueue.Open[int](soon(t), js, name, natsqueue.WithPriorities(3))
	require.NoError(t, err)
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			_, err := q.Get(soon(t))
			assert.Equal(t, natsqueue.ErrClosed, err)
		})
	}
	eventually(t, func() bool { return allWait(t, name) }, "they wait")
	require.NoError(t, q.Close())
	callers.Wait()
	_, err = q.TryGet(soon(t))
	require.Equal(t, natsqueue.ErrClosed, err)
	eventually(t, func() bool { return js.Conn().NumSubscriptions() == before }, "no subscription is left")
	other := open(t, name)
	for class := range 3 {
		putClass(t, other, class, class)
		require.Equal(t, class, getTask(t, other).Item)
	}
}

func TestManyProducersAndWorkersOfAllClassesLoseNothing(t *testing.T) {
	t.Parallel()
	const producers, workers, each = 6, 4, 200
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithCapacity(20), natsqueue.WithAckWait(time.Hour)) // a lost item is not redelivered
	seen := make([]atomic.Int32, producers*each)
	var all sync.WaitGroup
	for range workers {
		handle := open(t, name)
		all.Go(func() {
			for item := range handle.Tasks(soon(t)) {
				seen[item].Add(1)
			}
		})
		all.Go(func() {
			for batch := range handle.Batches(soon(t), 3, time.Millisecond) {
				for _, item := range batch {
					seen[item].Add(1)
				}
			}
		})
		all.Go(func() { // calls that give up hand back items that come too late
			for handle.Err() == nil {
				ctx, cancel := context.WithTimeout(background, rand.N(5*time.Millisecond))
				if task, err := handle.Get(ctx); err == nil {
					seen[task.Item].Add(1)
					assert.NoError(t, task.Done(soon(t)))
				}
				cancel()
			}
		})
		all.Go(func() { // and so do loops
			for handle.Err() == nil {
				ctx, cancel := context.WithTimeout(background, rand.N(5*time.Millisecond))
				for batch := range handle.Batches(ctx, 5, 0) {
					for _, item := range batch {
						seen[item].Add(1)
					}
				}
				cancel()
			}
		})
	}
	var putters sync.WaitGroup
	for p := range producers {
		putters.Go(func() {
			for i := range each {
				putClass(t, q, p%3, p*each+i)
				if i%20 == 0 {
					time.Sleep(rand.N(10 * time.Millisecond)) // so that workers are idle at times
				}
			}
		})
	}
	putters.Wait()
	require.NoError(t, q.Join(soon(t)))
	require.NoError(t, q.Shutdown(soon(t), false))
	all.Wait()
	for item := range seen {
		require.EqualValues(t, 1, seen[item].Load(), item)
	}
}

func TestAUserNeedsNoPermissionsButThoseOfItsClasses(t *testing.T) {
	t.Parallel()
	opts := serverOptions(t.TempDir())
	opts.Users = []*server.User{{Username: "user", Password: "secret", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"natsqueue.jobs.>", "natsqueue.jobs_dead.>", "$JS.ACK.jobs.*.>", "$JS.API.STREAM.*.jobs", "$JS.API.STREAM.*.jobs_dead",
			"$JS.API.CONSUMER.*.jobs.*", "$JS.API.CONSUMER.CREATE.jobs.*.natsqueue.jobs.*", "$JS.API.CONSUMER.MSG.NEXT.jobs.*",
			"$JS.EVENT.METRIC.CONSUMER.ACK.jobs.*",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			"_INBOX.>", "$JS.EVENT.METRIC.CONSUMER.ACK.jobs.*",
			"$JS.EVENT.ADVISORY.STREAM.UPDATED.jobs", "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.jobs.*",
		}},
	}}}
	s := startServer(opts)
	defer s.WaitForShutdown()
	defer s.Shutdown()
	var violations atomic.Int32
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("user", "secret"), nats.Timeout(time.Minute), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) { violations.Add(1) }))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	q, err := natsqueue.Open[int](soon(t), js, "jobs", natsqueue.WithCapacity(3), natsqueue.WithPriorities(3))
	require.NoError(t, err)
	for class := range 3 {
		putClass(t, q, class, class)
	}
	var callers sync.WaitGroup
	callers.Go(func() { assert.NoError(t, q.Put(soon(t), 3, natsqueue.PutPriority(2))) })
	time.Sleep(200 * time.Millisecond)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Retry(soon(t), 0))
	task, err = q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Reject(soon(t), "no"))
	callers.Wait()
	eventually(t, func() bool { return stats(t, q).Len == 3 }, "the first has gone and the last has come")
	for _, want := range []int{1, 2, 3} {
		require.Equal(t, want, get(t, q))
	}
	require.NoError(t, q.Join(soon(t)))
	require.NoError(t, q.Shutdown(soon(t), true))
	_, err = q.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
	require.NoError(t, q.Close())
	require.Zero(t, violations.Load())
}

// A permission that is missing for one class ends the loops with an error that says so.
func TestAMissingPermissionForAClassIsFinal(t *testing.T) {
	t.Parallel()
	opts := serverOptions(t.TempDir())
	opts.Users = []*server.User{
		{Username: "all", Password: "secret"},
		{Username: "user", Password: "secret", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.MSG.NEXT.jobs.workers-1"}}}},
	}
	s := startServer(opts)
	defer s.WaitForShutdown()
	defer s.Shutdown()
	var qs []*natsqueue.Queue[int]
	for _, user := range opts.Users {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user.Username, "secret"), nats.Timeout(time.Minute), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		require.NoError(t, err)
		defer nc.Close()
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		q, err := natsqueue.Open[int](soon(t), js, "jobs", natsqueue.WithPriorities(3))
		require.NoError(t, err)
		defer q.Close()
		qs = append(qs, q)
	}
	putClass(t, qs[0], 0, 1)
	putClass(t, qs[0], 2, 2)
	var items []int
	for item := range qs[1].Tasks(soon(t)) {
		items = append(items, item)
	}
	require.Equal(t, []int{1}, items)
	require.ErrorIs(t, qs[1].Err(), nats.ErrPermissionViolation)
	require.ErrorContains(t, qs[1].Err(), "workers-1")
}

func TestStatsSumTheClasses(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := openClasses(t, name, natsqueue.WithAckWait(time.Hour))
	for class := range 3 {
		putClass(t, q, class, upTo(4)...)
	}
	known(t, name, 12)
	var tasks []*natsqueue.Task[int]
	for range 9 {
		tasks = append(tasks, getTask(t, q))
	}
	for _, task := range slices.Concat(tasks[:2], tasks[5:6]) {
		require.NoError(t, task.Done(soon(t)))
	}
	for range 3 {
		require.NoError(t, tasks[8].Retry(soon(t), 0))
		var err error
		tasks[8], err = q.Get(soon(t))
		require.NoError(t, err)
	}
	s := stats(t, q)
	require.Positive(t, s.Oldest)
	s.Oldest = 0
	require.Equal(t, natsqueue.Stats{
		Len: 3, InFlight: 6, Unfinished: 9, Put: 12, Done: 3, Delivered: 12, Redelivered: 3,
	}, s)
}
