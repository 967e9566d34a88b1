package park

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckFindsEachInvariantThatIsBroken(t *testing.T) {
	for name, damage := range map[string]func(lot *Lot[int], line *Line[int]){
		"a completed call that is not woken":   func(lot *Lot[int], line *Line[int]) { lot.served = &Waiter[int]{} },
		"the end of those that are not woken":  func(lot *Lot[int], line *Line[int]) { lot.servedLast = &Waiter[int]{} },
		"a waiter that stands in no line":      func(_ *Lot[int], line *Line[int]) { line.Head.next.parked = false },
		"a link back that is missing":          func(_ *Lot[int], line *Line[int]) { line.tail.prev = nil },
		"a link back in front of the first":    func(_ *Lot[int], line *Line[int]) { line.Head.prev = line.tail },
		"a line that ends too early":           func(_ *Lot[int], line *Line[int]) { line.tail = line.tail.prev },
		"a length that is too large":           func(_ *Lot[int], line *Line[int]) { line.Len++ },
		"a length that is too small":           func(_ *Lot[int], line *Line[int]) { line.Len-- },
		"a line without a first waiter":        func(_ *Lot[int], line *Line[int]) { line.Head, line.Len = nil, 0 },
		"a last waiter that has one behind it": func(_ *Lot[int], line *Line[int]) { line.tail.next = &Waiter[int]{parked: true, prev: line.tail} },
	} {
		t.Run(name, func(t *testing.T) {
			var lot Lot[int]
			var line, sound Line[int]
			for range 3 {
				lot.Park(&line)
				lot.Park(&sound)
			}
			require.NoError(t, lot.Check(&sound, &line))
			damage(&lot, &line)
			require.Error(t, lot.Check(&sound, &line))
		})
	}
	var lot Lot[int]
	require.NoError(t, lot.Check())
	require.NoError(t, lot.Check(new(Line[int])))
}

func TestAFailureIsNamedInPanicsThatPrintIt(t *testing.T) {
	require.EqualError(t, &failure{"the fault"}, "park: failed")
}

// A line that is counted elsewhere too: the count is taken back by whichever
// takes the waiter out, under the lock.
func TestWaitOrCallsLeftOnceAndOnlyIfTheCallLeft(t *testing.T) {
	for _, served := range []bool{false, true} {
		var lot Lot[int]
		var line Line[int]
		done := make(chan struct{})
		lot.Lock()
		w := lot.Park(&line)
		if served {
			lot.Serve(&line, nil)
		} else {
			close(done)
		}
		lot.Unlock()
		left := 0
		lot.WaitOr(done, &line, w, func() {
			require.False(t, lot.Mu.TryLock(), "left is called without the lock")
			require.Nil(t, line.Head)
			left++
		})
		require.Equal(t, served, left == 0)
		_, _, err := lot.Collect(t.Context(), w)
		require.Equal(t, served, err == nil)
		require.NoError(t, lot.Check(&line))
	}
}

func TestTheMutexLeavesTheNumberOfProcessorsAlone(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	var m Mutex
	m.Lock()
	go func() {
		time.Sleep(time.Millisecond)
		m.Unlock()
	}()
	m.Lock()
	m.Unlock() //lint:ignore SA2001 the test is that Lock returns
	require.Equal(t, 3, runtime.GOMAXPROCS(0))
}
