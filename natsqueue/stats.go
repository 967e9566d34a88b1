package natsqueue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stats holds a queue's statistics, over all processes. Counters begin when the
// queue is created. In JSON, in structured logs and in metrics each number has its
// field's name in snake case.
type Stats struct {
	Len        int `json:"len"`        // queued items
	Cap        int `json:"cap"`        // capacity, the limit of unfinished items; 0 is unbounded
	InFlight   int `json:"in_flight"`  // items in progress, or handed back and not yet redelivered
	Unfinished int `json:"unfinished"` // items put and not yet done

	Put         uint64 `json:"put"`          // items stored
	Done        uint64 `json:"done"`         // items done, rejected or dropped by Shutdown; Put - Unfinished
	Delivered   uint64 `json:"delivered"`    // deliveries, including redeliveries
	Redelivered uint64 `json:"redelivered"`  // redeliveries
	DeadLetters int    `json:"dead_letters"` // rejected items in the dead-letter stream

	Waiting int           `json:"waiting"` // pull requests of blocked workers at the server, in the class with the most; several loops of a handle share one
	Oldest  time.Duration `json:"oldest"`  // age of the oldest unfinished item, in nanoseconds; 0 if there is none

	Shutdown bool `json:"shutdown"` // Shutdown was called
}

// LogValue returns the statistics as a group of attributes, so that
// slog.Any("queue", stats) logs each by its name.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("len", s.Len),
		slog.Int("cap", s.Cap),
		slog.Int("in_flight", s.InFlight),
		slog.Int("unfinished", s.Unfinished),
		slog.Uint64("put", s.Put),
		slog.Uint64("done", s.Done),
		slog.Uint64("delivered", s.Delivered),
		slog.Uint64("redelivered", s.Redelivered),
		slog.Int("dead_letters", s.DeadLetters),
		slog.Int("waiting", s.Waiting),
		slog.Duration("oldest", s.Oldest),
		slog.Bool("shutdown", s.Shutdown),
	)
}

// Stats returns the queue's statistics. It asks the server for the stream, the
// consumer of each class (see [WithPriorities]) and the dead letters, one after the
// other, so under load the snapshot may be slightly inconsistent; Len + InFlight ==
// Unfinished and Put == Done + Unfinished always hold. With several classes,
// Redelivered may be too small: by the items put during the call, until the next
// one, and by the items that Shutdown dropped.
//
// Stats returns ctx.Err() if ctx is done, [ErrClosed] if the handle is closed, and an
// error if the stream was deleted.
func (q *Queue[T]) Stats(ctx context.Context) (Stats, error) {
	ctx, err := enter(ctx)
	if err != nil {
		return Stats{}, err
	}
	consumers := make([]*jetstream.ConsumerInfo, len(q.classes))
	for i, r := range q.classes {
		err = q.link.call(ctx, func(ctx context.Context) (err error) {
			consumers[i], err = r.consumer.Info(ctx)
			return err
		})
		if err != nil {
			return Stats{}, err
		}
	}
	stream, err := q.info(ctx)
	if err != nil {
		return Stats{}, err
	}
	letters := 0
	_, dead, err := q.lastLetter(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return Stats{}, err
	}
	if dead != nil {
		letters = int(dead.CachedInfo().State.Msgs)
	}
	unfinished := int(stream.State.Msgs)
	s := Stats{
		Cap:         int(max(stream.Config.MaxMsgs, 0)),
		Unfinished:  unfinished,
		Put:         stream.State.LastSeq,
		Done:        stream.State.LastSeq - stream.State.Msgs,
		DeadLetters: letters,
		Shutdown:    isShutdown(stream),
	}
	queued := uint64(0)
	for _, c := range consumers {
		s.InFlight += c.NumAckPending
		s.Delivered += c.Delivered.Consumer
		s.Waiting = max(s.Waiting, c.NumWaiting) // a blocked worker has a request at each
		queued += c.NumPending
	}
	s.InFlight = min(s.InFlight, unfinished) // Len is not the consumers' NumPending, which lags behind the puts
	s.Len = unfinished - s.InFlight
	first := consumers[0].Delivered.Stream // items that were delivered: all up to the last delivered one
	if len(consumers) > 1 {                // which does not hold with several classes
		first = s.Put - min(queued, s.Put)
	}
	s.Redelivered = s.Delivered - min(first, s.Delivered)
	if unfinished > 0 {
		s.Oldest = max(stream.TimeStamp.Sub(stream.State.FirstTime), 0)
	}
	return s, nil
}
