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

// Stats returns the queue's figures. The server is asked twice, so that those
// of a queue in motion need not add up. It returns ctx.Err() if ctx is done,
// [ErrClosed] if the handle is closed, and an error if the stream was deleted.
func (q *Queue[T]) Stats(ctx context.Context) (Stats, error) {
	stream, err := q.info(ctx)
	if err != nil {
		return Stats{}, err
	}
	s := Stats{
		Cap:        int(max(stream.Config.MaxMsgs, 0)),
		Unfinished: int(stream.State.Msgs),
		Shutdown:   isShutdown(stream),
	}
	err = q.persist(ctx, func(ctx context.Context) error {
		consumer, err := q.consumer.Info(ctx)
		if err != nil {
			return err
		}
		s.Len, s.InFlight = int(consumer.NumPending), consumer.NumAckPending
		return nil
	})
	return s, err
}
