package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReaderOfAHistoryMissesNothingThatIsKept(t *testing.T) {
	h := newHistory()
	samples, read, end, changed := h.since(0)
	require.Empty(t, samples)
	require.NotNil(t, samples, "in JSON, a list")
	require.Nil(t, end)

	next := int64(0)
	for range 5 * keepSamples {
		h.add(sample{Time: next})
		<-changed
		samples, read, _, changed = h.since(read)
		require.Equal(t, []sample{{Time: next}}, samples)
		next++
	}

	samples, _, _, _ = h.since(read - 3)
	require.Equal(t, []sample{{Time: next - 3}, {Time: next - 2}, {Time: next - 1}}, samples)
	samples, _, _, _ = h.since(0)
	require.Len(t, samples, keepSamples, "older ones are not kept")
	require.Equal(t, next-1, samples[keepSamples-1].Time)

	select {
	case <-changed:
		t.Fatal("nothing changed")
	default:
	}
	h.finish(summary{Received: 7})
	<-changed
	_, _, end, _ = h.since(read)
	require.EqualValues(t, 7, end.Received)
}
