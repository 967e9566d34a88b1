package park

import "context"

// A Tally counts unfinished items, and blocks calls until there are none. The
// zero value counts none.
//
// All methods but Join need the lot's mutex.
type Tally[T any] struct {
	// Invariant, whenever the mutex is free: Joiners.Len > 0  =>  Unfinished > 0    (inv_joiners in the model)

	Unfinished int64 // may be more than an int of 32 bits holds
	Done       uint64
	Joiners    Line[T]
	zeros      uint // how often Unfinished has become 0
}

// MarkDone marks n unfinished items done. There must be as many.
func (t *Tally[T]) MarkDone(lot *Lot[T], n int) {
	t.Done += uint64(n)
	t.Finish(lot, n)
}

// Finish takes n items off the count, which were done or dropped. There must be
// as many.
func (t *Tally[T]) Finish(lot *Lot[T], n int) {
	t.Unfinished -= int64(n)
	if t.Unfinished == 0 {
		t.zeros++
		lot.ServeAll(&t.Joiners, nil)
	}
}

// Join blocks until no item is unfinished or ctx is done. It returns nil as well
// if none was at some moment since the call.
func (t *Tally[T]) Join(ctx context.Context, lot *Lot[T]) error {
	lot.Lock()
	zeros, idle := t.zeros, t.Unfinished == 0
	lot.Mu.Unlock()  // nothing was completed, here and below
	err := ctx.Err() // like Done, it may call the queue, and take the count through zero
	if err != nil || idle {
		return err
	}
	done := ctx.Done()
	lot.Lock()
	if t.zeros != zeros {
		lot.Mu.Unlock()
		return nil
	}
	w := lot.Park(&t.Joiners)
	lot.Mu.Unlock()
	lot.Wait(done, &t.Joiners, w)
	_, _, err = lot.Collect(ctx, w)
	return err
}
