package park

// A Signal is a channel that holds one signal, for use in a select. The zero
// value has no channel yet: sending to it costs a nil check.
//
// All methods need the lock under which the state that it signals changes.
type Signal struct {
	c      chan struct{}
	closed bool
}

// Chan returns the channel, the same at every call. The first call makes it,
// with a signal in it if pending is true.
func (s *Signal) Chan(pending bool) <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{}, 1)
		if s.closed {
			close(s.c)
		} else if pending {
			s.c <- struct{}{}
		}
	}
	return s.c
}

// Used reports whether Chan was called.
func (s *Signal) Used() bool { return s.c != nil }

// Send leaves a signal in the channel, unless one is there or it is closed.
func (s *Signal) Send() {
	if s.c == nil || s.closed {
		return
	}
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// Close closes the channel, now or as soon as it is made. Further calls do
// nothing.
func (s *Signal) Close() {
	if s.c != nil && !s.closed {
		close(s.c)
	}
	s.closed = true
}
