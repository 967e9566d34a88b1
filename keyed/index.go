package keyed

import "github.com/boundq/queue/internal/park"

// An index keeps the memory of this many keys once they are gone.
const keepKeys = 1024

// An index finds the entry of a key. A map that has grown never shrinks, so the
// index replaces it when few of its keys are left: at a cost of O(1) for each
// key that was removed.
type index[K comparable, E any] struct {
	entries map[K]*E
	most    int // most keys in entries since it was made
}

// find returns the entry of key, or nil. The lock must be held. If key cannot be
// hashed, because it holds an interface whose value is not comparable, find
// releases the lock and panics: no method has changed anything by then.
func (x *index[K, E]) find(lock *park.Mutex, key K) (e *E) {
	hashed := false
	defer func() {
		if !hashed {
			lock.Unlock()
		}
	}()
	e = x.entries[key]
	hashed = true
	return e
}

// add adds an entry for a key that has none. A key that is not equal to itself
// is left out: nothing could find it, nor remove it.
func (x *index[K, E]) add(key K, e *E) {
	if !selfEqual(key) {
		return
	}
	if x.entries == nil {
		x.entries = make(map[K]*E)
	}
	x.entries[key] = e
	x.most = max(x.most, len(x.entries))
}

// remove removes the entry of key, if there is one.
func (x *index[K, E]) remove(key K) {
	delete(x.entries, key)
	if x.most > keepKeys && len(x.entries) <= x.most/16 {
		x.remake()
	}
}

// clear removes all entries.
func (x *index[K, E]) clear() {
	clear(x.entries)
	if x.most > keepKeys {
		x.remake()
	}
}

func (x *index[K, E]) remake() {
	entries := make(map[K]*E, len(x.entries))
	for key, e := range x.entries {
		entries[key] = e
	}
	x.entries, x.most = entries, len(entries)
}

// selfEqual reports whether key is equal to itself, as all are but those that
// hold a NaN.
func selfEqual[K comparable](key K) bool {
	same := key
	return key == same
}
