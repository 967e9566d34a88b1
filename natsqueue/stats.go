package natsqueue

import "context"

// Stats holds the figures of a queue, over all processes.
type Stats struct {
	Len        int // items that wait now
	Cap        int // most that may be unfinished; 0 is no bound
	InFlight   int // items that are being worked on, or that were handed back and wait for their next turn
	Unfinished int // items put and not yet done

	Shutdown bool // Shutdown was called
}

// Stats returns the queue's figures. The server is asked for the stream and for
// the consumer, one after the other, so that those of a queue in motion may be
// off by what moved in between; Len + InFlight == Unfinished all the same. It
// returns ctx.Err() if ctx is done, [ErrClosed] if the handle is closed, and an
// error if the stream was deleted.
func (q *Queue[T]) Stats(ctx context.Context) (Stats, error) {
	var inFlight int
	err := q.call(ctx, func(ctx context.Context) error {
		consumer, err := q.consumer.Info(ctx)
		if err != nil {
			return err
		}
		inFlight = consumer.NumAckPending // and not NumPending: it lags behind what was put
		return nil
	})
	if err != nil {
		return Stats{}, err
	}
	stream, err := q.info(ctx)
	if err != nil {
		return Stats{}, err
	}
	unfinished := int(stream.State.Msgs)
	inFlight = min(inFlight, unfinished)
	return Stats{
		Len:        unfinished - inFlight,
		Cap:        int(max(stream.Config.MaxMsgs, 0)),
		InFlight:   inFlight,
		Unfinished: unfinished,
		Shutdown:   isShutdown(stream),
	}, nil
}
