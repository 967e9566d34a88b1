package natsqueue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const answerTime = time.Second // how long an answer may take after the server should have sent it

// An intake decides how many messages a handle asks the server for, and which call
// receives each of them. It reaches the server only by its functions pull and back.
//
// Requests are counted here, and not left to package jetstream, because of the calls
// that give up. There the request's inbox is closed, and a message on its way to it
// is lost until its ack wait is over. Here one inbox takes all messages, for as long
// as the handle is open, and a message without a call is handed back at once.
//
// Invariants, while mu is not held:
//
//	len(waiting) > 0 implies len(ready) == 0
//	len(ready) <= room, ahead <= room
//	demand() > 0 implies asked > 0 or returning > 0 or lost or cause != nil
type intake struct {
	pull  func(n int) (time.Duration, error) // asks the server for n messages, and returns how long it keeps the request
	back  func(*nats.Msg)                    // hands a message back, and returns when the server has it
	state func() error                       // why the server does not answer, nil if it does

	mu        sync.Mutex
	waiting   []claim     // calls that no message has come for, the oldest first
	ready     []*nats.Msg // messages that were fetched ahead
	ahead     int         // messages to keep ready
	room      int         // limit of ready: messages asked for before ahead became smaller still come
	asked     int         // messages that were asked for and have not come
	due       time.Time   // when the server should have answered all requests
	lost      bool        // requests were lost or could not be sent; renew sends them again
	returning int         // messages that are being handed back
	cause     error       // why no more messages come
	last      error       // the server's last refusal
	closed    bool        // no goroutine is started any more

	work *sync.WaitGroup // goroutines that hand messages back

	// The server does not send messages, but announces that there is one. One request
	// is enough for that, and an announcement is not handed back.
	bells bool
}

// A claim is a call's claim on the next message. It receives nil if none will come. It
// has room for a message of each intake in which it is enqueued.
type claim chan *nats.Msg

// enqueue gives a claim a ready message, or a place among the blocked calls.
func (in *intake) enqueue(c claim) (isReady bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.cause != nil:
		c <- nil
		return true
	case len(in.ready) > 0:
		c <- in.ready[0]
		in.ready = slices.Delete(in.ready, 0, 1)
		isReady = true
	default:
		in.waiting = append(in.waiting, c)
	}
	in.ask()
	return isReady
}

// await blocks until the message of a claim comes. A message that comes as ctx ends
// goes to the next call.
func (in *intake) await(ctx context.Context, c claim) (*nats.Msg, error) {
	select {
	case <-ctx.Done():
		in.withdraw(c)
		return nil, ended(ctx, in.trouble())
	case msg := <-c:
		if msg != nil {
			return msg, nil
		}
		return nil, in.why()
	}
}

// withdraw removes a claim. If it has received a message, the next call gets it.
func (in *intake) withdraw(c claim) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if i := slices.Index(in.waiting, c); i >= 0 {
		in.waiting = slices.Delete(in.waiting, i, i+1)
	} else if len(c) > 0 {
		if msg := <-c; msg != nil {
			in.give(msg)
		}
	}
}

// trouble returns the server's last refusal, or why it does not answer; nil if it
// does.
func (in *intake) trouble() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.last != nil {
		return in.last
	}
	return in.state()
}

// tryClaim takes a ready message. It returns nil if there is none.
func (in *intake) tryClaim() (*nats.Msg, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cause != nil || len(in.ready) == 0 {
		return nil, in.cause
	}
	msg := in.ready[0]
	in.ready = slices.Delete(in.ready, 0, 1)
	in.ask()
	return msg, nil
}

// reserve changes the limit of ready messages by n. Messages beyond the limit are
// handed back, the oldest first, so that they are redelivered in order.
func (in *intake) reserve(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.room += n
	if len(in.ready) > in.room {
		excess := slices.Clone(in.ready[in.room:])
		in.ready = in.ready[:in.room]
		in.handBack(excess...)
	}
}

// fetch changes the number of messages to keep ready by n. If that is fewer, none is
// handed back: newer ones would overtake it.
func (in *intake) fetch(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ahead += n
	in.ask()
}

// demand returns how many messages are wanted. mu must be held.
func (in *intake) demand() int {
	n := len(in.waiting) + in.ahead - len(in.ready)
	if in.bells {
		return min(n, 1)
	}
	return n
}

// ask sends a request for the messages that are wanted and were not asked for. While
// messages come fast, many calls share a request: it is sent when half of the wanted
// messages are still to be asked for. None is sent while a message is being handed
// back, so that this one comes before newer ones. mu must be held.
func (in *intake) ask() {
	n := in.demand() - in.asked
	if n <= 0 || n < in.asked || in.returning > 0 || in.lost || in.cause != nil {
		return
	}
	expires, err := in.pull(n)
	if err != nil {
		in.lost = true
		return
	}
	due := time.Now().Add(expires + answerTime)
	if in.asked == 0 || due.After(in.due) {
		in.due = due
	}
	in.asked += n
}

// arrive takes a message from the server. counted says whether it answers a request
// that is still counted.
func (in *intake) arrive(msg *nats.Msg, counted bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if counted {
		in.asked = max(in.asked-1, 0)
	}
	in.last = nil
	in.give(msg)
	in.ask()
}

// refuse hands a message back.
func (in *intake) refuse(msg *nats.Msg) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.handBack(msg)
}

// give gives a message to the call that has been blocked longest, keeps it ready, or
// hands it back. mu must be held.
func (in *intake) give(msg *nats.Msg) {
	switch {
	case in.cause == nil && len(in.waiting) > 0:
		in.waiting[0] <- msg
		in.waiting = slices.Delete(in.waiting, 0, 1)
	case in.cause == nil && len(in.ready) < in.room:
		in.ready = append(in.ready, msg)
	case !in.bells:
		in.handBack(msg)
	}
}

// handBack hands messages back, one after the other. mu must be held.
func (in *intake) handBack(msgs ...*nats.Msg) {
	if in.closed {
		for _, msg := range msgs {
			_ = msg.Respond(nak(0))
		}
		return
	}
	in.returning++
	in.work.Go(func() {
		for _, msg := range msgs {
			in.back(msg)
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.returning--
		in.ask()
	})
}

// unanswered discounts n messages of a request that ended without them.
func (in *intake) unanswered(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.asked = max(in.asked-n, 0)
	in.ask()
}

// lose notes that all requests were lost, because of reason if there is one.
func (in *intake) lose(reason error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lost = true
	if reason != nil {
		in.last = reason
	}
}

// renew asks again for all wanted messages. prepare makes sure that messages of the
// earlier requests are no longer counted.
func (in *intake) renew(prepare func() error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cause != nil || prepare() != nil { // a new inbox would outlive Close
		return
	}
	in.asked = 0
	in.lost = false
	in.ask()
}

// overdue reports whether requests were lost, or should have ended.
func (in *intake) overdue() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.lost || in.asked > 0 && time.Now().After(in.due)
}

// isWaiting reports whether calls are blocked.
func (in *intake) isWaiting() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.waiting) > 0
}

// isReady reports whether a message was fetched ahead.
func (in *intake) isReady() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.ready) > 0
}

// fetchedAhead returns the messages that are ready.
func (in *intake) fetchedAhead() []*nats.Msg {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.ready)
}

// end ends all blocked calls, and all later ones, with err. Ready messages are handed
// back.
func (in *intake) end(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cause == nil || errors.Is(err, ErrClosed) {
		in.cause = err
	}
	for _, c := range in.waiting {
		c <- nil
	}
	in.waiting = nil
	if len(in.ready) > 0 {
		in.handBack(in.ready...)
		in.ready = nil
	}
}

// close makes the intake hand back the messages that still come without a goroutine.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
}

// why returns why no more messages come, nil if they do.
func (in *intake) why() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cause
}
