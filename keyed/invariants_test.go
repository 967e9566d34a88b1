package keyed

import (
	"fmt"

	"github.com/boundq/queue/internal/park"
)

// JoinWaiting returns how many calls of Join are blocked.
func (q *Latest[K, V]) JoinWaiting() int { return q.core.joinWaiting() }

// JoinWaiting returns how many calls of Join are blocked.
func (q *Fair[K, V]) JoinWaiting() int { return q.core.joinWaiting() }

func (c *core[T]) joinWaiting() int {
	c.lock()
	defer c.unlock()
	return c.tally.Joiners.Len
}

// CheckInvariants checks the invariants that stand above the type's fields.
func (q *Latest[K, V]) CheckInvariants() error {
	q.core.lock()
	defer q.core.lot.Mu.Unlock()
	entries := q.at.entries
	for key, e := range entries {
		if e.Key != key {
			return fmt.Errorf("broken: at[k] is where the item with the key k stands: at %v is %v", key, e.Key)
		}
	}
	if len(entries) > q.core.len {
		return fmt.Errorf("broken: %d items in line, %d keys in at", q.core.len, len(entries))
	}
	if err := q.at.check(); err != nil {
		return err
	}
	return q.core.check(q)
}

// CheckInvariants checks the invariants that stand above the type's fields.
func (q *Fair[K, V]) CheckInvariants() error {
	q.core.lock()
	defer q.core.lot.Mu.Unlock()
	all := map[*lane[K, V]]string{}
	for _, l := range q.lanes.entries {
		all[l] = "nowhere"
	}
	for name, list := range map[string]*list[K, V]{"turns": &q.turns, "behind": &q.behind} {
		var last *lane[K, V]
		for l := list.head; l != nil; l = l.links[byTurn].next {
			if all[l] != "nowhere" && selfEqual(l.key) {
				return fmt.Errorf("broken: a lane is in %s and was in %q", name, all[l])
			}
			if l.links[byTurn].prev != last {
				return fmt.Errorf("broken: links of %s", name)
			}
			last = l
			all[l] = name
		}
		if list.tail != last {
			return fmt.Errorf("broken: tail of %s", name)
		}
	}
	crowded := map[*lane[K, V]]bool{}
	for l := q.crowded.head; l != nil; l = l.links[byCrowd].next {
		if all[l] == "" {
			return fmt.Errorf("broken: a lane in crowded is gone")
		}
		crowded[l] = true
	}
	var items, unfinished, putting int
	lines := []*park.Line[task[K, V]]{&q.core.getters, &q.core.tally.Joiners}
	for l, at := range all {
		where := "nowhere"
		switch {
		case l.len > 0 && l.inHand == 0:
			where = "turns"
		case l.len > 0:
			where = "behind"
		}
		for _, c := range []struct {
			holds bool
			what  string
		}{
			{at == where, "a lane is where it belongs: " + where},
			{l.len > 0 || l.unfinished > 0, "a lane has items or unfinished ones"},
			{l.putters.Len == 0 || q.full(l) && crowded[l] && !q.core.shutdown, "a lane has blocked Puts => it is full and in crowded, and the queue is not shut down"},
			{l.crowded == crowded[l], "a lane is in crowded <=> l.crowded"},
			{!q.serial || l.unfinished == l.len+min(int(l.inHand), 1), "serial => unfinished == len + (inHand > 0 ? 1 : 0)"},
			{q.serial || l.inHand == 0, "inHand > 0 => serial"},
		} {
			if !c.holds {
				return fmt.Errorf("broken: %s: in %s, %+v", c.what, at, *l)
			}
		}
		items += l.len
		unfinished += l.unfinished
		putting += l.putters.Len
		lines = append(lines, &l.putters)
	}
	if items != q.core.len || putting != q.core.putWaiting || int64(unfinished) > q.core.tally.Unfinished {
		return fmt.Errorf("broken: sums over lanes: %d items, %d unfinished, %d blocked Puts; core %+v", items, unfinished, putting, q.core.snapshot())
	}
	if err := q.core.lot.Check(lines...); err != nil {
		return err
	}
	bytes := 0
	for l := q.spare.first; l != nil; l = l.links[byTurn].next {
		bytes += l.bytes()
	}
	if bytes != q.spare.bytes || bytes > spareBytes {
		return fmt.Errorf("broken: spare lanes take up %d bytes, counted as %d", bytes, q.spare.bytes)
	}
	if err := q.lanes.check(); err != nil {
		return err
	}
	return q.core.check(q)
}

func (x *index[K, E]) check() error {
	if len(x.entries) > x.most || x.most > keepKeys && len(x.entries)*16 <= x.most {
		return fmt.Errorf("broken: %d keys in a map that had %d", len(x.entries), x.most)
	}
	return nil
}

func (c *core[T]) check(q source[T]) error {
	got := int64(c.put) - int64(c.dropped) - int64(c.len)
	open := int64(c.put) - int64(c.tally.Done) - int64(c.dropped)
	for _, i := range []struct {
		holds bool
		what  string
	}{
		{0 <= c.len && c.len <= c.maxLen, "0 <= len <= maxLen"},
		{got >= 0, "got >= 0"},
		{open <= c.tally.Unfinished && 0 <= c.tally.Unfinished && c.tally.Unfinished <= int64(c.put), "0 <= tally.Unfinished <= put, put - done - dropped <= tally.Unfinished"},
		{c.drained <= c.dropped, "drained <= dropped"},
		{c.tally.Joiners.Len == 0 || c.tally.Unfinished > 0, "tally.Joiners.Len > 0 => tally.Unfinished > 0"},
		{c.getters.Len == 0 || !q.available() && !c.ended(), "getters.Len > 0 => !available() && !ended()"},
		{c.putWaiting >= 0, "putWaiting >= 0"},
	} {
		if !i.holds {
			return fmt.Errorf("broken: %s: %+v", i.what, c.snapshot())
		}
	}
	return c.lot.Check(&c.getters, &c.tally.Joiners)
}
