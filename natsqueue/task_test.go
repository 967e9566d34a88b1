package natsqueue_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/boundq/queue"
	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deadLetters returns the messages of the dead-letter stream of a queue.
func deadLetters(t testing.TB, name string) (letters []*jetstream.RawStreamMsg) {
	t.Helper()
	stream, err := connect(t, shared.ClientURL()).Stream(soon(t), name+"_dead")
	require.NoError(t, err)
	for i := range stream.CachedInfo().State.LastSeq {
		letter, err := stream.GetMsg(soon(t), i+1)
		require.NoError(t, err)
		letters = append(letters, letter)
	}
	return letters
}

// settle marks a task with a short ack wait done: the ack wait may pass while the
// server is asked, and then settle asks again.
func settle(t testing.TB, task *natsqueue.Task[int]) {
	t.Helper()
	eventually(t, func() bool { return task.Done(soon(t)) == nil }, "it is done")
}

func TestATaskIsSettledOnce(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	for _, settle := range []func(*natsqueue.Task[int]) error{
		func(task *natsqueue.Task[int]) error { return task.Done(soon(t)) },
		func(task *natsqueue.Task[int]) error { return task.Reject(soon(t), "no") },
		func(task *natsqueue.Task[int]) error { return task.Retry(soon(t), time.Hour) },
	} {
		fill(t, q, 1)
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		cancelled, cancel := context.WithCancel(background)
		cancel()
		require.Equal(t, context.Canceled, task.Done(cancelled))
		require.Equal(t, context.Canceled, task.Extend(cancelled))
		require.NoError(t, task.Extend(soon(t)))
		require.NoError(t, settle(task))
		require.ErrorIs(t, task.Done(soon(t)), queue.ErrTaskDone)
		require.ErrorIs(t, task.Retry(soon(t), 0), queue.ErrTaskDone)
		require.ErrorIs(t, task.Reject(soon(t), "no"), queue.ErrTaskDone)
		require.ErrorIs(t, task.Extend(soon(t)), queue.ErrTaskDone)
	}
}

func TestOneOfManyConcurrentCallsOfDoneSucceeds(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	errs := make(chan error, 8)
	var callers sync.WaitGroup
	for range cap(errs) {
		callers.Go(func() { errs <- task.Done(soon(t)) })
	}
	callers.Wait()
	close(errs)
	done := 0
	for err := range errs {
		if err == nil {
			done++
		} else {
			require.ErrorIs(t, err, queue.ErrTaskDone)
		}
	}
	require.Equal(t, 1, done)
}

func TestARetriedItemComesAheadOfNewerOnes(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	fill(t, q, 3)
	for deliveries := range 3 {
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		require.Equal(t, 1, task.Item)
		require.Equal(t, deliveries+1, task.Deliveries())
		require.NoError(t, task.Retry(soon(t), 0))
	}
	require.Equal(t, 1, get(t, q))
	require.Equal(t, 2, get(t, q))
	require.Equal(t, 3, get(t, q))
}

func TestARetriedItemComesAfterItsDelay(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	for delay := time.Second; ; delay *= 2 {
		fill(t, q, 2)
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		begin := time.Now()
		require.NoError(t, task.Retry(soon(t), delay))
		next := get(t, q)
		later := get(t, q)
		require.GreaterOrEqual(t, time.Since(begin), delay)
		require.ElementsMatch(t, []int{1, 2}, []int{next, later})
		if next == 2 { // the other items come first, unless the test was too slow to see it
			return
		}
	}
}

func TestARejectedItemBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithCapacity(1))
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Reject(soon(t), "not a prime"))
	require.NoError(t, q.Join(soon(t)))
	letters := deadLetters(t, name)
	require.Len(t, letters, 1)
	require.Equal(t, "1", string(letters[0].Data))
	require.Equal(t, "not a prime", letters[0].Header.Get(natsqueue.ReasonHeader))
	require.NoError(t, q.TryPut(soon(t), 2), "its slot is free")
}

func TestAnItemWhoseRejectionFailedHalfwayIsOneDeadLetter(t *testing.T) {
	t.Parallel()
	for _, ours := range []bool{true, false} {
		name := newName(t)
		f := &faulty{err: errors.New("the connection breaks"), stores: true}
		q := openFaulty(t, name, f)
		if ours {
			require.NoError(t, q.Put(soon(t), 1))
		} else { // put by another program, without an ID
			_, err := f.Publish(soon(t), "natsqueue."+name+".0", []byte("1"))
			require.NoError(t, err)
		}
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		f.faults.Store(1)
		require.Equal(t, f.err, task.Reject(soon(t), "no"))
		require.Equal(t, 1, stats(t, q).Unfinished)
		require.NoError(t, task.Reject(soon(t), "no"))
		require.NoError(t, q.Join(soon(t)))
		require.Len(t, deadLetters(t, name), 1)
	}
}

func TestAMessageThatCantBeDecodedBecomesADeadLetterAndDelaysNoCall(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	js := connect(t, shared.ClientURL())
	poison := func(data string) {
		_, err := js.Publish(soon(t), "natsqueue."+name+".0", []byte(data))
		require.NoError(t, err)
	}
	poison("{")
	require.NoError(t, q.Put(soon(t), 1))
	poison("")
	poison(`"a string"`)
	require.NoError(t, q.Put(soon(t), 2))
	require.Equal(t, 1, get(t, q))
	require.NoError(t, q.Shutdown(soon(t), false))
	for item := range q.Tasks(soon(t)) {
		require.Equal(t, 2, item)
	}
	require.NoError(t, q.Join(soon(t)))
	letters := deadLetters(t, name)
	require.Len(t, letters, 3)
	for i, want := range []string{"{", "", `"a string"`} {
		require.Equal(t, want, string(letters[i].Data))
		require.Contains(t, letters[i].Header.Get(natsqueue.ReasonHeader), "can't be decoded: ")
	}
}

// openPoisoned opens a queue with a message that can't be decoded.
func openPoisoned(t *testing.T) (q *natsqueue.Queue[int], f *faulty, name string) {
	name = newName(t)
	f = &faulty{err: errors.New("no room for dead letters")}
	q = openFaulty(t, name, f, natsqueue.WithAckWait(time.Hour))
	_, err := f.Publish(soon(t), "natsqueue."+name+".0", []byte("{"))
	require.NoError(t, err)
	return q, f, name
}

func TestARejectionThatFailsForNowDelaysNoCall(t *testing.T) {
	t.Parallel()
	q, f, name := openPoisoned(t)
	fill(t, q, 2)
	require.NoError(t, q.Shutdown(soon(t), false))

	f.faults.Store(1)
	var items []int
	for item := range q.Tasks(soon(t)) {
		items = append(items, item)
	}
	require.Equal(t, []int{1, 2}, items)
	require.Less(t, f.faults.Load(), int32(0), "and then it was rejected")
	require.Len(t, deadLetters(t, name), 1)
}

func TestGetSkipsAMessageThatCantBeRejected(t *testing.T) {
	t.Parallel()
	q, f, _ := openPoisoned(t)
	fill(t, q, 1)
	f.faults.Store(1 << 30)
	_, err := q.Get(soon(t))
	require.ErrorIs(t, err, f.err)
	eventually(t, func() bool {
		task, err := q.Get(soon(t))
		return err == nil && task.Item == 1
	}, "the one behind it comes")
}

// With its headers, the dead letter of the largest message that the server accepts
// would be too large.
func TestAMessageOfAnySizeCanBeRejected(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js := connect(t, shared.ClientURL())
	q, err := natsqueue.Open[string](soon(t), js, name, natsqueue.WithAckWait(time.Hour))
	require.NoError(t, err)
	defer q.Close()
	most := int(js.Conn().MaxPayload())
	var want []string
	for _, size := range []int{most, most - 10, most - 80, most - 100} {
		want = append(want, strings.Repeat("x", size))
		_, err = js.PublishMsg(soon(t), &nats.Msg{Subject: "natsqueue." + name + ".0", Data: []byte(want[len(want)-1])})
		require.NoError(t, err)
	}
	require.NoError(t, q.Put(soon(t), "good"))
	require.Equal(t, "good", get(t, q))
	require.NoError(t, q.Join(soon(t)))

	largest := strings.Repeat("x", most)
	for err = q.Put(soon(t), largest); errors.Is(err, nats.ErrMaxPayload); err = q.Put(soon(t), largest) {
		largest = largest[1:]
	}
	require.NoError(t, err)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, largest, task.Item)
	require.NoError(t, task.Reject(soon(t), "no"))
	require.NoError(t, q.Join(soon(t)))

	letters := deadLetters(t, name)
	for i, want := range append(want, `"`+largest+`"`) {
		require.True(t, want == string(letters[i].Data))
	}
	reason := func(i int) string { return letters[i].Header.Get(natsqueue.ReasonHeader) }
	require.Empty(t, letters[0].Header)
	require.Empty(t, reason(2))
	require.NotEmpty(t, letters[2].Header.Get(jetstream.MsgIDHeader))
	require.Regexp(t, "^can.t be", reason(3))
	require.NotEmpty(t, letters[4].Header.Get(jetstream.MsgIDHeader))
}

func TestALongReasonIsTruncated(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js := connect(t, shared.ClientURL())
	q, err := natsqueue.Open[string](soon(t), js, name)
	require.NoError(t, err)
	defer q.Close()
	for _, reason := range []string{strings.Repeat("no", 100_000), " \nno\r\nno " + strings.Repeat("\t", 100_000), strings.Repeat("ä", 1<<20)} {
		require.NoError(t, q.Put(soon(t), "item"))
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		require.NoError(t, task.Reject(soon(t), reason))
	}
	letters := deadLetters(t, name)
	require.Len(t, letters, 3)
	for i, want := range []string{strings.Repeat("no", 30_000), "no  no", strings.Repeat("ä", 30_000)} {
		got := letters[i].Header.Get(natsqueue.ReasonHeader)
		require.True(t, strings.HasPrefix(got, want), "%d: %d bytes: %.20q", i, len(got), got)
		require.True(t, utf8.ValidString(got))
		require.NotEmpty(t, letters[i].Header.Get(jetstream.MsgIDHeader))
	}
}

func TestADeadLetterDropsTheHeadersThatInstructTheServer(t *testing.T) {
	t.Parallel()
	name := newName(t)
	js := connect(t, shared.ClientURL())
	q := open(t, name)
	msg := &nats.Msg{Subject: "natsqueue." + name + ".0", Data: []byte("{"), Header: nats.Header{"Sender": {"billing"}}}
	_, err := js.PublishMsg(soon(t), msg, jetstream.WithExpectStream(name), jetstream.WithExpectLastSequence(0))
	require.NoError(t, err)
	require.NoError(t, q.Shutdown(soon(t), false))
	_, err = q.Get(soon(t))
	require.ErrorIs(t, err, queue.ErrShutdown)
	letters := deadLetters(t, name)
	require.Len(t, letters, 1)
	require.Equal(t, "billing", letters[0].Header.Get("Sender"))
}

func TestADeadLetterThatIsPutBackAndRejectedAgainHasTheNewReason(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	msg := &nats.Msg{Subject: "natsqueue." + name + ".0", Data: []byte("1"), Header: nats.Header{natsqueue.ReasonHeader: {"old"}}}
	_, err := connect(t, shared.ClientURL()).PublishMsg(soon(t), msg)
	require.NoError(t, err)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Reject(soon(t), "new"))
	letters := deadLetters(t, name)
	require.Len(t, letters, 1)
	require.Equal(t, []string{"new"}, letters[0].Header.Values(natsqueue.ReasonHeader))
}

func TestAnItemThatIsNotMarkedDoneIsRedelivered(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithAckWait(time.Second))
	fill(t, q, 1)
	first, err := q.Get(soon(t))
	require.NoError(t, err)
	second, err := open(t, name).Get(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, second.Item)
	require.Equal(t, 2, second.Deliveries())
	settle(t, first) // late, but it succeeds
	require.NoError(t, q.Join(soon(t)))
}

func TestExtendKeepsAnItem(t *testing.T) {
	t.Parallel()
	for ackWait := 2 * time.Second; ; ackWait *= 2 {
		name := newName(t)
		q, other := open(t, name, natsqueue.WithAckWait(ackWait)), open(t, name)
		fill(t, q, 1)
		begin := time.Now()
		extended := begin // or earlier than the server did it
		task, err := q.Get(soon(t))
		require.NoError(t, err)
		late := false // to extend: then the item may be redelivered
		for !late && time.Since(begin) < 5*ackWait/2 {
			_, err := other.Get(within(t, ackWait/7))
			if late = time.Since(extended) >= ackWait; late {
				break
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			now := time.Now()
			require.NoError(t, task.Extend(soon(t)))
			late = time.Since(extended) >= ackWait
			extended = now
		}
		if !late {
			settle(t, task)
			return
		}
	}
}

func TestALoopBodyMayOutlastTheAckWait(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name, natsqueue.WithAckWait(9*time.Second)) // enough for a machine that stalls for 5 s
	other := open(t, name)
	fill(t, q, 1)
	require.NoError(t, q.Shutdown(soon(t), false))
	var idle sync.WaitGroup
	turns := 0
	for range q.Tasks(soon(t)) {
		turns++
		idle.Go(func() {
			for range other.Tasks(soon(t)) {
				assert.Fail(t, "an item in progress was given to another")
			}
		})
		time.Sleep(12 * time.Second)
	}
	idle.Wait()
	require.Equal(t, 1, turns)
}

func TestABodyThatPanicsHandsItsItemBackAtOnce(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("body") }, "Goexit": runtime.Goexit} {
		q := open(t, newName(t), natsqueue.WithAckWait(time.Hour), natsqueue.WithBackoff(func(int) time.Duration { return 0 }))
		fill(t, q, 2)
		var worker sync.WaitGroup
		worker.Go(func() {
			defer func() { _ = recover() }()
			for range q.Tasks(soon(t)) {
				end()
			}
		})
		worker.Wait()
		task, err := q.Get(soon(t))
		require.NoError(t, err, name)
		require.Equal(t, 1, task.Item, "ahead of newer ones")
		require.Equal(t, 2, task.Deliveries())
	}
}

// With the client library's own pull requests, a message that comes after a cancelled
// Get would be lost for its whole ack wait.
func TestACancelledGetLosesNoItem(t *testing.T) {
	t.Parallel()
	name := newName(t)
	a, b := open(t, name, natsqueue.WithAckWait(time.Hour)), open(t, name)
	for i := range 60 {
		ctx, cancel := context.WithTimeout(background, time.Duration(i%5)*time.Millisecond/2)
		_, err := a.Get(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, b.Put(soon(t), i))
		task, err := b.Get(soon(t))
		require.NoError(t, err, "the item is lost until its ack wait is over")
		require.Equal(t, i, task.Item)
		require.NoError(t, task.Done(soon(t)))
	}
}

// A heldConn holds the answers that hand messages back, until it is released.
type heldConn struct {
	net.Conn
	mu       sync.Mutex
	kept     []byte
	released bool
}

var nak = regexp.MustCompile(`PUB \$JS\.ACK\.[^\r]*\r\n-NAK\r\n`)

func (c *heldConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := b
	if !c.released {
		c.kept = append(c.kept, bytes.Join(nak.FindAll(b, -1), nil)...)
		out = nak.ReplaceAll(b, nil)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *heldConn) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.kept) > 0
}

func (c *heldConn) release(t *testing.T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	_, err := c.Conn.Write(c.kept)
	require.NoError(t, err)
}

func (c *heldConn) Dial(network, address string) (_ net.Conn, err error) {
	c.Conn, err = net.Dial(network, address)
	return c, err
}

// The next Get must not be given a newer message while an older one is being handed
// back.
func TestGetWaitsForAMessageThatIsBeingHandedBack(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(background)
	cancel()
	for {
		c := &heldConn{}
		nc, err := nats.Connect(shared.ClientURL(), nats.Timeout(time.Minute), nats.SetCustomDialer(c))
		require.NoError(t, err)
		defer nc.Close()
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		name := newName(t)
		q, err := natsqueue.Open[int](soon(t), js, name)
		require.NoError(t, err)
		_, err = q.Await(cancelled, q.Claim())
		require.Equal(t, context.Canceled, err)

		begin := time.Now()
		fill(t, open(t, name), 2)
		eventually(t, c.holds, "the first item came, and is handed back")
		claim := q.Claim()
		require.NoError(t, nc.Flush()) // a request for a newer one would be at the server
		time.Sleep(20 * time.Millisecond)
		c.release(t)
		late := time.Since(begin) > time.Second // it may have given up handing back the item
		task, err := q.Await(soon(t), claim)
		require.NoError(t, err)
		require.NoError(t, q.Close())
		if !late {
			require.Equal(t, 1, task.Item)
			return
		}
	}
}

func TestCancelledGetsKeepTheOrder(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t))
	for range 20 {
		for range 3 {
			_, err := q.Get(within(t, time.Millisecond))
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		fill(t, q, 5)
		for want := range 5 {
			require.Equal(t, want+1, get(t, q))
		}
	}
}

// The item comes before the caller sees that its context is done.
func TestACancelledGetPassesItsItemOn(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(background)
	cancel()
	q := open(t, newName(t), natsqueue.WithAckWait(time.Hour))
	claim := q.Claim()
	fill(t, q, 1)
	eventually(t, func() bool { return len(claim) == 1 }, "the item comes")
	untilHandedOn(t, q, claim, cancelled)
	task, err := q.Get(soon(t))
	require.NoError(t, err, "it waits out its ack wait")
	require.Equal(t, 2, task.Deliveries())
	require.NoError(t, task.Done(soon(t)))

	first, second := q.Claim(), q.Claim()
	fill(t, q, 1)
	eventually(t, func() bool { return len(first) == 1 }, "an item comes for the first of two")
	untilHandedOn(t, q, first, cancelled)
	task, err = q.Await(soon(t), second)
	require.NoError(t, err)
	require.Equal(t, 1, task.Deliveries(), "the other gets it")
}

// untilHandedOn awaits claims whose items have come, with a context that has ended,
// until select chooses the context.
func untilHandedOn(t *testing.T, q *natsqueue.Queue[int], claim natsqueue.Claim, cancelled context.Context) {
	t.Helper()
	for {
		task, err := q.Await(cancelled, claim)
		if err != nil {
			require.Equal(t, context.Canceled, err)
			return
		}
		claim <- task.Message()
	}
}

// A loop asks for the next item before the last is acknowledged.
func TestALoopMakesProgressWithOneItemInFlight(t *testing.T) {
	t.Parallel()
	q := open(t, newName(t), natsqueue.WithMaxInFlight(1))
	fill(t, q, 30)
	require.NoError(t, q.Shutdown(soon(t), false))
	var working, done atomic.Int32
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for range q.Tasks(soon(t)) {
				assert.EqualValues(t, 1, working.Add(1))
				working.Add(-1)
				done.Add(1)
			}
		})
	}
	workers.Wait()
	require.EqualValues(t, 30, done.Load())
}

func TestTheDeadLetterStreamIsRecreatedAfterItWasDeleted(t *testing.T) {
	t.Parallel()
	name := newName(t)
	q := open(t, name)
	require.NoError(t, connect(t, shared.ClientURL()).DeleteStream(soon(t), name+"_dead"))
	fill(t, q, 1)
	task, err := q.Get(soon(t))
	require.NoError(t, err)
	require.NoError(t, task.Reject(soon(t), "no"))
	require.Len(t, deadLetters(t, name), 1)
}
