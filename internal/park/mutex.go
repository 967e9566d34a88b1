package park

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A goroutine that finds the mutex locked backs off for lockPause turns of an
// empty loop, some microseconds, and tries again; after lockAttempts tries it
// blocks in the mutex's own queue. Critical sections last some ten nanoseconds,
// so while it backs off the others complete many calls, on processors that need
// not fetch the queue's memory from each other at each call. The simpler ways
// do worse: trying again at once makes the processors contend for that memory;
// yielding with runtime.Gosched takes the scheduler's lock, which the others
// need to park and to wake; and a goroutine that sleeps on the mutex is passed
// over for a millisecond and then puts the mutex into its starvation mode, in
// which each hand-over costs a switch of goroutines.
//
// With one processor spinning is useless: the goroutine that holds the mutex can
// only run once this one blocks.
//
// go run ./benchmarks/lock compares the backoff with the simpler ways and with
// other lengths.
//
// Calls do not wait for items or slots this way: for those, they park.
const (
	lockAttempts = 4
	lockPause    = 8000
)

// A Mutex is a sync.Mutex that backs off before it blocks. The zero value is
// unlocked.
type Mutex struct{ sync.Mutex }

// Lock locks m. Calls that matter for speed have the body instead, which is too
// long to be inlined.
func (m *Mutex) Lock() {
	if !m.TryLock() {
		m.LockContended()
	}
}

// LockContended locks m after an attempt that failed.
func (m *Mutex) LockContended() {
	if runtime.GOMAXPROCS(0) > 1 {
		for range lockAttempts {
			var idle atomic.Bool
			for range lockPause {
				idle.Load() // which no compiler takes out of the loop
			}
			if m.TryLock() {
				return
			}
		}
	}
	m.Mutex.Lock()
}
