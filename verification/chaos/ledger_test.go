package main

import (
	"strings"
	"testing"

	"github.com/boundq/queue/natsqueue"
	"github.com/stretchr/testify/require"
)

// sound are lines of a run in which all went well, a look and a Join included.
const sound = `
	begin 1 Put 1 10
	put 1 Put 1 20
	begin 1 TryPut 2 21
	refused 1 TryPut 2 22
	begin 2 PutBatch 1 30
	begin 2 PutBatch 2 30
	put 2 PutBatch 1 40
	put 2 PutBatch 2 40
	worked 1 Put 1 50
	worked 2 PutBatch 1 60
	worked 2 PutBatch 2 70
	worked 2 PutBatch 2 80`

// fill reads lines into a ledger that has seen a look and a Join.
func fill(lines string) *ledger {
	l := newLedger(2)
	l.look(natsqueue.Stats{Unfinished: 2})
	l.joined(span{15, 90})
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			l.read(line)
		}
	}
	return l
}

func TestLedgerOfASoundRunSettles(t *testing.T) {
	l := fill(sound)
	l.joinFailed()
	a := l.settle(3)
	require.NoError(t, a.err())
	require.Equal(t, `4 items: 3 put, 1 refused, 0 unknown to their killed producers
3 stored, 3 worked on; 4 deliveries, 1 of them repeated
1 looks at the capacity; 1 Joins returned nil, 1 timed out
lost 0, invented 0, over capacity 0, early Joins 0, duplicates stored 0
`, a.String())
}

func TestLedgerFindsEachBrokenPromise(t *testing.T) {
	for name, c := range map[string]struct {
		lines, without string
		also           func(*ledger)
		stored         uint64
		want           string
	}{
		"an item that was put and never came out":       {lines: "begin 1 Put 3 1\nput 1 Put 3 2", want: "lost: 1"},
		"an item that was put, and no line of its work": {without: "worked 1 Put 1 50", stored: 3, want: "lost: 1"},
		"an item that was never begun":                  {lines: "worked 1 Put 9 1", stored: 4, want: "invented: 1"},
		"an item that was refused":                      {lines: "worked 1 TryPut 2 60", stored: 4, want: "invented: 1"},
		"an item that was stored twice":                 {stored: 4, want: "duplicates stored: 1"},
		"more items out than in":                        {stored: 2, want: "stored 2 items, and 3 different ones came out"},
		"a look that saw too many":                      {also: func(l *ledger) { l.look(natsqueue.Stats{Unfinished: 3}) }, want: "over capacity: 1"},
		"a Join while an item was queued":               {also: func(l *ledger) { l.joined(span{25, 45}) }, want: "early Joins: 1"},
		"a Join while one item after another was there": {also: func(l *ledger) { l.joined(span{20, 70}) }, want: "early Joins: 1"},
		"an item whose producer never heard":            {lines: "begin 1 Put 3 1", want: "of 1 items their producers were never told"},
		"a line that is none":                           {lines: "panic: oh", want: `"panic: oh"`},
		"an event that is none":                         {lines: "eaten 1 Put 1 50", want: `"eaten 1 Put 1 50"`},
		"half a line":                                   {lines: "put 1 Put", want: `"put 1 Put"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := fill(strings.Replace(sound, c.without, "", 1) + "\n" + c.lines)
			if c.also != nil {
				c.also(l)
			}
			stored := c.stored
			if stored == 0 {
				stored = 3
			}
			require.ErrorContains(t, l.settle(stored).err(), c.want)
		})
	}
}

func TestLedgerThatSawNothingSettlesNothing(t *testing.T) {
	err := newLedger(1).settle(0).err()
	require.ErrorContains(t, err, "no item was put")
	require.ErrorContains(t, err, "no look at the capacity succeeded")
	require.ErrorContains(t, err, "no Join returned")
}

func TestLedgerCallsNoJoinEarlyThatMayHaveSeenZero(t *testing.T) {
	for _, call := range []span{{15, 45}, {65, 75}, {75, 80}, {5, 8}} {
		l := fill(sound)
		l.joined(call)
		require.NoError(t, l.settle(3).err(), call)
	}
	l := fill(sound + "\nbegin 3 Put 1 72\nput 3 Put 1 75\nworked 3 Put 1 85")
	l.joined(span{60, 80}) // the queue was empty from 70 to 72
	require.NoError(t, l.settle(4).err())
}

func TestLedgerLeavesOpenWhetherAKilledProducersItemIsIn(t *testing.T) {
	for _, worked := range []string{"", "\nworked 4 Put 1 65"} {
		l := fill(sound + "\nbegin 4 Put 1 60" + worked)
		require.Equal(t, []item{{4, "Put", 1}}, l.pending())
		l.killed(3)
		require.Len(t, l.stillPending(l.pending()), 1)
		l.killed(4)
		require.Empty(t, l.stillPending([]item{{4, "Put", 1}, {1, "Put", 1}}))
		a := l.settle(uint64(3 + min(len(worked), 1)))
		require.NoError(t, a.err())
		require.Equal(t, 1, a.doubtful)
	}
}

func TestBooksReadEachLineIntoTheLedgerOfItsQueueAndStrayOnesIntoAll(t *testing.T) {
	b := newBooks()
	b.read("plain begin 1 Put 1 10")
	b.read("priorities begin 1 Put 2 10")
	require.Equal(t, []item{{1, "Put", 1}}, b["plain"].pending())
	require.Equal(t, []item{{1, "Put", 2}}, b["priorities"].pending())
	b.read("another begin 1 Put 3 10")
	for name, l := range b {
		require.ErrorContains(t, l.settle(0).err(), `"another begin 1 Put 3 10"`, name)
	}
}
