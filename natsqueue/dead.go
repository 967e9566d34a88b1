package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A DeadLetter is a rejected item.
type DeadLetter[T any] struct {
	Sequence uint64    // its place in the dead-letter stream
	Time     time.Time // when it was rejected
	Reason   string    // why; see [ReasonHeader]
	Priority int       // its class; see [PutPriority]
	Header   nats.Header
	Data     []byte // as it was put
	Item     T      // Data, decoded; the zero value if Err is not nil
	Err      error  // the codec's
}

// DeadLetters returns a loop over the dead letters, the oldest first, up to the last
// one at the time when the loop begins. It asks the server for one at a time, and
// ends with an error if that fails: the context's, or one of the connection or of
// the server.
func (q *Queue[T]) DeadLetters(ctx context.Context) iter.Seq2[DeadLetter[T], error] {
	return func(yield func(DeadLetter[T], error) bool) {
		ctx, err := enter(ctx)
		if err != nil {
			yield(DeadLetter[T]{}, err)
			return
		}
		last, stream, err := q.lastLetter(ctx)
		if err != nil {
			yield(DeadLetter[T]{}, err)
			return
		}
		for next := uint64(1); next <= last; {
			raw, err := q.letter(ctx, stream, next)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(DeadLetter[T]{}, err)
				return
			}
			if raw.Sequence > last {
				return
			}
			l := DeadLetter[T]{Sequence: raw.Sequence, Time: raw.Time, Reason: raw.Header.Get(ReasonHeader), Priority: classOf(raw.Subject), Header: raw.Header, Data: raw.Data}
			l.Err = q.codec.Unmarshal(raw.Data, &l.Item)
			if l.Err != nil {
				var zero T
				l.Item = zero
			}
			if !yield(l, nil) {
				return
			}
			next = raw.Sequence + 1
		}
	}
}

// lastLetter returns the sequence of the last dead letter, 0 if there is none.
func (q *Queue[T]) lastLetter(ctx context.Context) (last uint64, stream jetstream.Stream, err error) {
	err = q.link.call(ctx, func(ctx context.Context) error {
		stream, err = q.js.Stream(ctx, q.dead.Name)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound): // with all its letters
		return 0, nil, nil
	case err != nil:
		return 0, nil, err
	}
	if state := stream.CachedInfo().State; state.Msgs > 0 {
		last = state.LastSeq
	}
	return last, stream, nil
}

// letter returns the first dead letter from a sequence on.
func (q *Queue[T]) letter(ctx context.Context, stream jetstream.Stream, from uint64) (raw *jetstream.RawStreamMsg, err error) {
	err = q.link.call(ctx, func(ctx context.Context) error {
		raw, err = stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subjectRoot+q.dead.Name+allItems))
		return err
	})
	return raw, err
}

// Redrive puts dead letters back into the queue, the oldest first, up to limit of
// them and up to the last one at the time of the call; limit <= 0 is no limit. It
// returns how many it put back. Each is put like a new item, at the end of the queue,
// or of its class: Redrive blocks while the queue is full, deliveries are counted
// from 1, and the reason is dropped. A dead letter is removed after it was put back.
// If that fails the item is in both streams, and is not put twice if Redrive is
// called again within the duplicate window (see [WithDuplicateWindow]).
//
// Redrive returns the errors of [Queue.Put], and the server's for reading and
// removing a dead letter.
func (q *Queue[T]) Redrive(ctx context.Context, limit int) (n int, err error) {
	ctx, err = enter(ctx)
	if err != nil {
		return 0, err
	}
	last, stream, err := q.lastLetter(ctx)
	if err != nil {
		return 0, err
	}
	for next := uint64(1); next <= last && (limit <= 0 || n < limit); {
		raw, err := q.letter(ctx, stream, next)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && raw.Sequence > last {
			break
		}
		if err != nil {
			return n, err
		}
		header := nats.Header{}
		for key, values := range raw.Header {
			if !reserved(key) {
				header[key] = values
			}
		}
		// Within the duplicate window its own ID would still be known.
		header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s/%s:%d", raw.Header.Get(jetstream.MsgIDHeader), q.dead.Name, raw.Sequence))
		msg := &nats.Msg{Subject: itemSubject(q.name, q.class(raw.Subject)), Data: raw.Data, Header: header}
		if _, err := q.put(ctx, []*nats.Msg{msg}, false); err != nil {
			return n, err
		}
		n++
		err = q.link.call(ctx, func(ctx context.Context) error { return stream.DeleteMsg(ctx, raw.Sequence) })
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return n, err
		}
		next = raw.Sequence + 1
	}
	return n, nil
}

// reserved reports whether a header is the server's or this package's.
func reserved(key string) bool {
	return strings.HasPrefix(key, "Nats-") || strings.HasPrefix(key, "Natsqueue-")
}
