package natsqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/boundq/queue"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrClosed is returned by the calls of a handle after [Queue.Close].
	ErrClosed = errors.New("natsqueue: closed")

	// ErrUnconfirmed is returned by a task's methods if the server did not
	// confirm them within the ack wait (see [WithAckWait]). They may have taken
	// effect or not, and the item may be redelivered.
	ErrUnconfirmed = errors.New("natsqueue: not confirmed by the server within the ack wait; the item may be redelivered")

	// ErrDuplicate is returned by a put whose [PutID] is that of an item that was
	// stored within the duplicate window (see [WithDuplicateWindow]).
	ErrDuplicate = errors.New("natsqueue: an item with this ID was stored before")
)

// Errors after which a request is sent again. The caller gets them together with the
// context's error, as the reason why the call did not succeed.
var (
	errUnanswered  = errors.New("natsqueue: no answer from the server")
	errReconnect   = errors.New("natsqueue: the connection was replaced before the answer came")
	errPullRefused = errors.New("natsqueue: the server refused a pull request")
	errOvertaken   = errors.New("natsqueue: another shutdown changed the stream at the same time")
	errQueued      = errors.New("natsqueue: there are still queued items")
)

// Error codes of JetStream; nats.go/jetstream has few of them.
const (
	codeClusterNotActive    jetstream.ErrorCode = 10006
	codeClusterNotAvailable jetstream.ErrorCode = 10008
	codeClusterNotLeader    jetstream.ErrorCode = 10009
	codeResourcesExceeded   jetstream.ErrorCode = 10023
	codePurgeFailed         jetstream.ErrorCode = 10051 // any failure to remove; only the description tells them apart
	codeInvalidConfig       jetstream.ErrorCode = 10052
	codeStoreFailed         jetstream.ErrorCode = 10077 // any failure to store; only the description tells them apart
	codeSealed              jetstream.ErrorCode = 10109
	codeStreamOffline       jetstream.ErrorCode = 10118
	codeConsumerOffline     jetstream.ErrorCode = 10119
	codeDuplicateInProcess  jetstream.ErrorCode = 10158
	codeTooManyRequests     jetstream.ErrorCode = 10167
	codeBatchDisabled       jetstream.ErrorCode = 10205
	codeBatchUnknown        jetstream.ErrorCode = 10208 // its leader or its timer is gone
	codeBatchTooMany        jetstream.ErrorCode = 10211
)

// transient reports whether the same request may succeed when it is sent again.
func transient(err error) bool {
	for _, e := range []error{
		context.DeadlineExceeded, context.Canceled, // of the attempt, not of the caller
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		jetstream.ErrNoStreamResponse, errUnanswered, errPullRefused, errOvertaken, errQueued,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	switch errorCode(err) {
	case codeClusterNotActive, codeClusterNotAvailable, codeClusterNotLeader, codeStreamOffline, codeConsumerOffline,
		codeDuplicateInProcess, codeTooManyRequests, codeBatchUnknown, codeBatchTooMany:
		return true
	}
	return false
}

// errorCode returns the code of an error of JetStream's, 0 if it is none.
func errorCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// isSealed reports whether a purge was refused because the stream is sealed. It
// has a code of its own only if it was sealed when the request came.
func isSealed(err error) bool {
	var api *jetstream.APIError
	return errorCode(err) == codeSealed || errors.As(err, &api) && api.ErrorCode == codePurgeFailed && api.Description == "sealed stream"
}

// isFull reports whether an item was refused because the queue is full: by the
// number of messages, or by their bytes if the stream bounds these.
func isFull(err error, bytesBounded bool) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != codeStoreFailed {
		return false
	}
	return api.Description == "maximum messages exceeded" || bytesBounded && api.Description == "maximum bytes exceeded"
}

// ended returns the error of a call whose context or handle has ended. last is the
// error of its last attempt, or nil.
func ended(ctx context.Context, last error) error {
	err := ctx.Err()
	switch {
	case err == nil:
		err = context.Canceled
	case errors.Is(context.Cause(ctx), ErrClosed):
		err = ErrClosed
	}
	if last != nil && !errors.Is(last, queue.ErrFull) {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

// A sound context keeps the promises of context.Context for one that may not:
// Err is not nil once Done is closed, and neither panics in a goroutine of
// package context's.
type sound struct {
	context.Context
	done <-chan struct{}
}

// enter wraps the context of a call, and returns its error if it has ended. A call
// must not be enqueued anywhere before.
func enter(ctx context.Context) (context.Context, error) {
	s := sound{ctx, ctx.Done()}
	if err := ctx.Err(); err != nil {
		return s, err
	}
	return s, s.Err()
}

func (s sound) Done() <-chan struct{} { return s.done }

func (s sound) Err() (err error) {
	select {
	case <-s.done:
	default:
		return nil
	}
	defer func() {
		if p := recover(); p != nil || err == nil {
			err = context.Canceled
		}
	}()
	return s.Context.Err()
}
