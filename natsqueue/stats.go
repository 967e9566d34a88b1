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
	Cap        int `json:"cap"`        // most that may be unfinished; 0 is no limit
	InFlight   int `json:"in_flight"`  // items being processed, or handed back and not given out again
	Unfinished int `json:"unfinished"` // items put and not yet done

	Put         uint64 `json:"put"`          // items stored
	Done        uint64 `json:"done"`         // items done, rejected ones and those that Shutdown dropped included; Put - Unfinished
	Delivered   uint64 `json:"delivered"`    // times that an item was given out
	Redelivered uint64 `json:"redelivered"`  // of them, again
	DeadLetters int    `json:"dead_letters"` // rejected items that were not removed

	Waiting int           `json:"waiting"` // pull requests of blocked workers at the server; one stands for several loops of a handle
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

// Stats returns the queue's statistics. The server is asked for the stream, for
// the consumer and for the dead letters, one after the other, so under load the
// snapshot may be slightly inconsistent; Len + InFlight == Unfinished and Put ==
// Done + Unfinished always hold. It returns ctx.Err() if ctx is done, [ErrClosed]
// if the handle is closed, and an error if the stream was deleted.
func (q *Queue[T]) Stats(ctx context.Context) (Stats, error) {
	ctx, err := enter(ctx)
	if err != nil {
		return Stats{}, err
	}
	var consumer *jetstream.ConsumerInfo
	err = q.link.call(ctx, func(ctx context.Context) (err error) {
		consumer, err = q.consumer.Info(ctx)
		return err
	})
	if err != nil {
		return Stats{}, err
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
		InFlight:    min(consumer.NumAckPending, unfinished), // and not NumPending for Len: it lags behind what was put
		Unfinished:  unfinished,
		Put:         stream.State.LastSeq,
		Done:        stream.State.LastSeq - stream.State.Msgs,
		Delivered:   consumer.Delivered.Consumer,
		DeadLetters: letters,
		Waiting:     consumer.NumWaiting,
		Shutdown:    isShutdown(stream),
	}
	s.Len = unfinished - s.InFlight
	if first := consumer.Delivered.Stream; s.Delivered > first {
		s.Redelivered = s.Delivered - first
	}
	if unfinished > 0 {
		s.Oldest = max(stream.TimeStamp.Sub(stream.State.FirstTime), 0)
	}
	return s, nil
}
