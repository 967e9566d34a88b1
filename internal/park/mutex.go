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
// do worse if there are several of each: trying again at once makes the
// processors contend for that memory; yielding with runtime.Gosched takes the
// scheduler's lock, which the others need to park and to wake; and a goroutine
// that sleeps on the mutex is passed over for a millisecond and then puts the
// mutex into its starvation mode, in which each hand-over costs a switch of
// goroutines.
//
// With one processor spinning is useless: the goroutine that holds the mutex can
// only run once this one blocks.
//
// This is what go run ./benchmarks/lock printed for two and for eight Ps on two
// processors: the time per Put and Get and the processor time, of the mutex as
// it is in nanoseconds, of the other ways as a ratio to it. The workloads are
// producers:consumers and the capacity; p99.9 is that of a Put's time; busy
// means that another process spins on each processor. Gosched wins with a
// single producer or consumer, and loses by far more elsewhere. Twice as long a
// backoff is up to a fifth faster, and its slowest Puts take half as long
// again. Four Ps lie in between, and with one all ways are alike.
//
//	                           as is, ns       Lock    Gosched        1/4        1/2        x 2
//	2  4:4, 8192                   39/77  4.86/5.03  1.98/2.01  1.55/1.56  1.19/1.20  0.93/0.94
//	2  4:4, 128                   55/111  4.32/4.27  1.85/1.82  1.56/1.54  1.27/1.26  0.83/0.83
//	2  8:1, 128                    45/68  1.02/0.89  0.83/0.62  1.50/1.67  1.19/1.19  0.88/0.75
//	2  1:8, 128                    42/57  1.01/0.94  0.87/0.74  1.61/2.14  1.35/1.59  0.94/0.92
//	2  4:4, 8192, p99.9             5479      14.11       5.10       0.86       0.73       1.46
//	2  4:4, 8192, busy             58/50  0.96/0.86  0.94/0.71  0.86/0.84  0.96/0.99  0.91/0.75
//	2  4:4, 8192, p99.9, busy       3351       8.13       0.66       0.64       0.68       0.92
//	8  4:4, 8192                   39/75  2.14/1.92  2.05/1.97  1.43/1.47  1.15/1.17  0.93/0.95
//	8  4:4, 128                   53/101  1.73/1.58  1.60/1.44  1.41/1.36  1.18/1.25  0.86/0.87
//	8  8:1, 128                    43/56  1.09/1.09  0.99/0.96  1.51/1.89  1.35/1.62  0.92/0.84
//	8  1:8, 128                    46/52  1.07/1.10  0.97/0.92  1.49/1.83  1.31/1.53  0.88/0.81
//	8  4:4, 8192, p99.9             5815       7.25       2.24       0.65       0.72       1.37
//	8  4:4, 8192, busy             42/48  1.27/1.00  1.37/1.20  1.32/1.20  1.09/1.10  1.09/1.02
//	8  4:4, 8192, p99.9, busy       4275       4.22       1.57       0.68       0.77       1.41
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
