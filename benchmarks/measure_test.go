package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fake is a side that takes so long an item, without running.
func fake(name string, each time.Duration, log *[]string) side {
	return side{peer: name, prepare: func() (trial, error) {
		return trial{
			run: func(items int) (sample, error) {
				*log = append(*log, name)
				return sample{values: []float64{float64(each)}, elapsed: time.Duration(items) * each}, nil
			},
			close: func() { *log = append(*log, "close "+name) },
		}, nil
	}}
}

func TestTheOrderOfTheSidesIsReversedEachRound(t *testing.T) {
	var log []string
	c := cell{name: "c", metrics: perItem, items: 10}
	for _, name := range []string{"a", "b", "c"} {
		c.sides = append(c.sides, fake(name, time.Microsecond, &log))
	}
	r, err := c.measure(t.Context(), 3, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, "a b c c b a a b c close c close b close a", strings.Join(log, " "))
	for _, s := range r.Sides {
		require.Len(t, s.Values[0], 3)
		require.Len(t, s.Allocs, 3)
	}
}

func TestACellMayBoundItsRounds(t *testing.T) {
	var log []string
	c := cell{name: "c", metrics: perItem, items: 10, rounds: 1, sides: []side{fake("a", time.Microsecond, &log)}}
	r, err := c.measure(t.Context(), 9, time.Millisecond)
	require.NoError(t, err)
	require.Len(t, r.Sides[0].Values[0], 1)
}

func TestEachSideMovesAsManyItemsAsFillARound(t *testing.T) {
	items := func(least int, each ...time.Duration) (n []int) {
		var log []string
		c := cell{name: "c", metrics: perItem, least: least}
		for _, e := range each {
			c.sides = append(c.sides, fake("side", e, &log))
		}
		r, err := c.measure(t.Context(), 1, 100*time.Millisecond)
		require.NoError(t, err)
		for _, s := range r.Sides {
			n = append(n, s.Items)
		}
		return n
	}
	require.Equal(t, []int{100_000, 10_000}, items(0, time.Microsecond, 10*time.Microsecond), "a slow side does not shorten the rounds of the others")
	require.Equal(t, []int{100_000_000, 2048}, items(0, time.Nanosecond, time.Millisecond), "a minimum of items")
	require.Equal(t, []int{100_000, 65_536}, items(65_536, time.Microsecond, 10*time.Microsecond), "enough for the steady state")
}

func TestADisturbedSampleDoesNotMakeTheRoundsShort(t *testing.T) {
	for disturbed := range 3 { // which of the first samples
		samples := 0
		c := cell{name: "c", metrics: perItem, sides: []side{{peer: "a", prepare: newEachRound(func(items int) (sample, error) {
			elapsed := time.Duration(items) * time.Microsecond
			if samples++; samples-1 == disturbed {
				elapsed += time.Second
			}
			return sample{values: []float64{1}, elapsed: elapsed}, nil
		})}}}
		r, err := c.measure(t.Context(), 1, 100*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, 100_000, r.Sides[0].Items)
	}
}

func TestACellMayFixItsItems(t *testing.T) {
	var log []string
	c := cell{name: "c", metrics: perItem, items: 10, least: 20, sides: []side{fake("a", time.Microsecond, &log)}}
	r, err := c.measure(t.Context(), 1, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 10, r.Sides[0].Items)
	require.Equal(t, "a close a", strings.Join(log, " "), "there is nothing to find out")
}

func TestAMeasurementEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	rounds := 0
	c := cell{name: "c", metrics: perItem, items: 1, sides: []side{{peer: "a", prepare: newEachRound(func(int) (sample, error) {
		if rounds++; rounds == 2 {
			stop()
		}
		return sample{values: []float64{1}}, nil
	})}}}
	_, err := c.measure(ctx, 9, time.Millisecond)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, rounds)
}

func TestAFaultNamesTheCellAndThePeer(t *testing.T) {
	broken := errors.New("broken")
	c := cell{name: "the cell", metrics: perItem, items: 1, sides: []side{
		{peer: "the peer", prepare: newEachRound(func(int) (sample, error) { return sample{}, broken })},
	}}
	_, err := c.measure(t.Context(), 1, time.Millisecond)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "the cell: the peer: ")

	c.sides[0].prepare = func() (trial, error) { return trial{}, broken }
	_, err = c.measure(t.Context(), 1, time.Millisecond)
	require.ErrorIs(t, err, broken)
}

func TestTimedCountsTheAllocationsOfAnItem(t *testing.T) {
	var kept [100]*[64]byte
	s := timed(len(kept), func() {
		for i := range kept {
			kept[i] = new([64]byte)
		}
	})
	require.InDelta(t, 1, s.allocs, 0.5)
	require.NotNil(t, kept[99])
	require.InDelta(t, float64(s.elapsed)/100, s.values[0], 1e-6)
}
