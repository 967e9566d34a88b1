package natsqueue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stats holds a queue's statistics, over all processes. Counters begin when the
// queue is created.
type Stats struct {
	Len        int // queued items
	Cap        int // most that may be unfinished; 0 is no limit
	InFlight   int // items being processed, or handed back and not given out again
	Unfinished int // items put and not yet done

	Put         uint64 // items stored
	Done        uint64 // items done, rejected ones and those that Shutdown dropped included; Put - Unfinished
	Delivered   uint64 // times that an item was given out
	Redelivered uint64 // of them, again
	DeadLetters int    // rejected items that were not removed

	Waiting int           // pull requests of blocked workers at the server; one stands for several loops of a handle
	Oldest  time.Duration // age of the oldest unfinished item; 0 if there is none

	Shutdown bool // Shutdown was called
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
