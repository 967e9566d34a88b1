package park

import "sync/atomic"

// A Signal is a channel that holds one signal, for use in a select. The zero
// value has no channel yet: sending to it costs a nil check.
//
// All methods but Made need the lock under which the state that it signals
// changes.
type Signal struct {
	// C is the channel, or nil before the first call of Chan. It is exported for
	// one check at each item: a method would be called, and not inlined, by the
	// generic code of a package that is instantiated in another.
	C      chan struct{}
	made   atomic.Pointer[chan struct{}] // C, for those without the lock
	closed bool
}

// Made returns the channel, or nil before the first call of Chan.
func (s *Signal) Made() <-chan struct{} {
	if c := s.made.Load(); c != nil {
		return *c
	}
	return nil
}

// Chan returns the channel, the same at every call. The first call makes it,
// with a signal in it if pending is true.
func (s *Signal) Chan(pending bool) <-chan struct{} {
	if s.C == nil {
		s.C = make(chan struct{}, 1)
		if s.closed {
			close(s.C)
		} else if pending {
			s.C <- struct{}{}
		}
		s.made.Store(&s.C) // last: a caller without the lock must find the signal in it
	}
	return s.C
}

// Send leaves a signal in the channel, unless one is there or it is closed.
func (s *Signal) Send() {
	if s.C == nil || s.closed {
		return
	}
	select {
	case s.C <- struct{}{}:
	default:
	}
}

// Close closes the channel, now or as soon as it is made. Further calls do
// nothing.
func (s *Signal) Close() {
	if s.C != nil && !s.closed {
		close(s.C)
	}
	s.closed = true
}
