package keyed_test

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/boundq/queue/keyed"
	"github.com/stretchr/testify/require"
)

// allocs is testing.AllocsPerRun without garbage collections, which empty the
// runtime's stores of what goroutines park with.
func allocs(runs int, f func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return testing.AllocsPerRun(runs, f)
}

// heapInUse returns how many bytes of objects are alive.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestNoCallAllocatesForKeysThatStayAlive(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	for _, s := range subjects {
		t.Run(s.kind, func(t *testing.T) {
			q := s.make(100)
			const keys = 5
			round := func() { // fills each key's queue, and empties it but for one item
				for i := range 99 * keys {
					_, _, err := q.put(ctx, float64(i%keys), i, i%2 == 0)
					require.NoError(t, err)
				}
				for q.Len() > keys {
					key, _, _ := q.TryGet()
					_ = q.done(key)
				}
			}
			for key := range keys {
				_, _, _ = q.put(ctx, float64(key), 0, false)
			}
			for range 5 {
				round()
			}
			require.Zero(t, allocs(50, round))
		})
	}
}

func TestALongLaneThatFillsAndEmptiesDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const perKey = 5000
	for _, k := range kinds {
		q := k.make(perKey)
		require.NoError(t, q.TryPut(1, 0))
		round := func() {
			for q.TryPut(1, 0) == nil {
			}
			for q.Len() > 1 {
				_, _, _ = q.TryGet()
				_ = q.TaskDone(1)
			}
		}
		for range 3 {
			round()
		}
		require.Zero(t, allocs(5, round), k.name)
	}
}

func TestBlockedCallsDoNotAllocateForKeysThatStayAlive(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			there, back := k.make(1), k.make(1)
			require.NoError(t, there.TryPut(2, 0)) // is unfinished until the end
			_, _, _ = there.TryGet()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for key, item := range there.Tasks(ctx) {
					_ = back.Put(ctx, key, item)
				}
			}()
			const runs = 1000
			round := func() { // both sides block in turn
				for there.Stats().GetWaiting == 0 {
					runtime.Gosched()
				}
				for range 3 {
					_ = there.Put(ctx, 1, 1)
				}
				for range 3 {
					key, _, _ := back.Get(ctx)
					_ = back.TaskDone(key)
				}
			}
			for range 300 {
				round()
			}
			require.Zero(t, allocs(runs, round))
			require.GreaterOrEqual(t, there.Stats().GetBlocked, uint64(runs))
			there.Shutdown(false)
			<-done
		})
	}
}

func TestKeysThatComeAndGoSeldomAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, s := range subjects {
		for _, keys := range []int{1, 500, 5000} {
			q := s.make(0)
			round := func() {
				for i := range keys {
					_, _, _ = q.put(background, float64(i), i, true)
				}
				for range keys {
					key, _, _ := q.TryGet()
					_ = q.done(key)
				}
			}
			for i := range 20 * 5000 { // leaves no memory that others then lack
				_, _, _ = q.put(background, -1-float64(i%20), i, true)
			}
			for q.Len() > 0 {
				key, _, _ := q.TryGet()
				_ = q.done(key)
			}
			round()
			most := 0.1
			if keys > 1000 && s.kind != "latest" {
				most = 3 // a lane and its first items
			}
			require.Less(t, allocs(20, round)/float64(keys), most, "%s, %d keys", s.kind, keys)
		}
	}
}

func TestTheMemoryOfAMillionKeysIsGivenBack(t *testing.T) {
	for _, s := range subjects {
		for name, drain := range map[string]func(q subject){
			"taken": func(q subject) {
				for q.Len() > 0 {
					key, _, _ := q.TryGet()
					_ = q.done(key)
				}
			},
			"but for a few": func(q subject) {
				for q.Len() > 100 {
					key, _, _ := q.TryGet()
					_ = q.done(key)
				}
			},
			"drained": func(q subject) { q.Shutdown(true) },
		} {
			t.Run(s.kind+" "+name, func(t *testing.T) {
				burst := 100_000
				if name == "taken" && s.kind != "fair" && !raceEnabled && !testing.Short() {
					burst = 1_000_000
				}
				before := heapInUse()
				q := s.make(0)
				for i := range burst {
					_, _, _ = q.put(background, float64(i), i, true)
				}
				require.Greater(t, heapInUse()-before, int64(burst*2*strconv.IntSize/8))
				drain(q)
				require.Less(t, heapInUse()-before, int64(600_000)) // 600 for each key that may be kept
				require.NoError(t, q.CheckInvariants())
				runtime.KeepAlive(q)
			})
		}
	}
}

// Each key is there for a moment, and none is twice.
func TestAKeyThatIsGoneCostsNoMemory(t *testing.T) {
	rounds := 1_000_000
	if raceEnabled || testing.Short() {
		rounds /= 10
	}
	for _, s := range subjects {
		for name, key := range map[string]func(i int) float64{
			"new keys": func(i int) float64 { return float64(i) },
			"NaNs":     func(int) float64 { return math.NaN() },
		} {
			t.Run(s.kind+" "+name, func(t *testing.T) {
				before := heapInUse()
				q := s.make(1)
				for i := range rounds {
					_, _, _ = q.put(background, key(i), i, false)
					_, _, _ = q.put(background, key(i), i, false) // is refused, or replaces it
					for range 2 {
						if k, _, err := q.TryGet(); err == nil {
							_ = q.done(k)
						}
					}
				}
				require.Less(t, heapInUse()-before, int64(400_000))
				require.NoError(t, q.CheckInvariants())
				runtime.KeepAlive(q)
			})
		}
	}
}

func TestBulkyValuesOfKeysThatAreGoneCostLittleMemory(t *testing.T) {
	const keys = 2000
	before := heapInUse()
	q := keyed.NewFair[int, [4096]byte](0)
	for key := range keys {
		_ = q.TryPut(key, [4096]byte{})
	}
	require.Greater(t, heapInUse()-before, int64(keys*4096))
	for q.Len() > 0 {
		key, _, err := q.TryGet()
		require.NoError(t, err)
		require.NoError(t, q.TaskDone(key))
	}
	require.Less(t, heapInUse()-before, int64(1<<20))
	runtime.KeepAlive(q)
}

func TestAnUnboundedLaneThatDrainsGivesItsMemoryBack(t *testing.T) {
	const items = 50_000
	before := heapInUse()
	q := keyed.NewFair[int, [64]byte](0)
	for range items {
		_ = q.TryPut(1, [64]byte{})
	}
	require.Greater(t, heapInUse()-before, int64(items*64))
	for q.Len() > 0 { // the key stays, with its unfinished items
		_, _, err := q.TryGet()
		require.NoError(t, err)
	}
	require.Less(t, heapInUse()-before, int64(1<<18))
	runtime.KeepAlive(q)
}

func TestPutsThatGiveUpLeaveNothingBehind(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			q := k.make(1)
			for key := range 10 {
				require.NoError(t, q.TryPut(key, key))
			}
			before := heapInUse()
			for i := range 20_000 {
				ctx, cancel := context.WithCancel(background)
				go cancel()
				require.Equal(t, context.Canceled, q.Put(ctx, i%10, i))
			}
			require.Less(t, heapInUse()-before, int64(300_000))
			require.Zero(t, q.Stats().PutWaiting)
			require.NoError(t, q.CheckInvariants())
		})
	}
}

type payload [64]byte

func TestValuesThatLeftAreNotKeptAlive(t *testing.T) {
	type item struct {
		value *payload
		key   *payload
	}
	const n = 20
	fresh := func() (items [n]item, pointers []weak.Pointer[payload]) {
		for i := range items {
			items[i] = item{new(payload), new(payload)}
			pointers = append(pointers, weak.Make(items[i].value), weak.Make(items[i].key))
		}
		return items, pointers
	}
	latest := func() (put func(item), get func(), shutdown func()) {
		var q keyed.Latest[*payload, *payload]
		return func(i item) { _, _, _ = q.Put(i.key, i.value) },
			func() { _, _, _ = q.TryGet(); _ = q.TaskDone() },
			func() { _ = q.Shutdown(true) }
	}
	of := func(q *keyed.Fair[*payload, *payload]) func() (put func(item), get func(), shutdown func()) {
		return func() (func(item), func(), func()) {
			return func(i item) { _ = q.TryPut(i.key, i.value) },
				func() {
					if key, _, err := q.TryGet(); err == nil {
						_ = q.TaskDone(key)
					}
				},
				func() { _ = q.Shutdown(true) }
		}
	}
	for name, make := range map[string]func() (func(item), func(), func()){
		"latest": latest,
		"fair":   of(keyed.NewFair[*payload, *payload](2)),
		"serial": of(keyed.NewSerial[*payload, *payload](2)),
	} {
		for _, drained := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				put, get, shutdown := make()
				items, pointers := fresh()
				for i := range items {
					put(items[i])
				}
				if drained {
					shutdown()
				} else {
					for range items {
						get()
					}
				}
				items = [n]item{}
				runtime.GC()
				for i, p := range pointers {
					require.Nil(t, p.Value(), "payload %d is kept alive", i)
				}
				runtime.KeepAlive(put)
				runtime.KeepAlive(items)
			})
		}
	}
}

func TestAReplacedValueIsNotKeptAlive(t *testing.T) {
	var q keyed.Latest[int, *payload]
	old := new(payload)
	pointer := weak.Make(old)
	_, _, _ = q.Put(1, old)
	_, _, _ = q.Put(1, new(payload))
	runtime.GC()
	require.Nil(t, pointer.Value())
	runtime.KeepAlive(&q)
}

func TestACancelledPutLeavesNothingBehind(t *testing.T) {
	for _, make := range []func(int) *keyed.Fair[int, *payload]{keyed.NewFair[int, *payload], keyed.NewSerial[int, *payload]} {
		synctest.Test(t, func(t *testing.T) {
			q := make(1)
			require.NoError(t, q.TryPut(1, nil))
			value := new(payload)
			pointer := weak.Make(value)
			ctx, cancel := context.WithCancel(background)
			ended := false
			go func() {
				_ = q.Put(ctx, 1, value)
				ended = true
			}()
			synctest.Wait()
			cancel()
			synctest.Wait()
			require.True(t, ended)
			runtime.GC()
			require.Nil(t, pointer.Value())
			runtime.KeepAlive(q)
		})
	}
}
