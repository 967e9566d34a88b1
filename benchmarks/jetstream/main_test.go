package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryRowIsPrintedAndMovesAllItems(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, sizes{
		rounds: 1, items: 1000, itemsR3: 1000,
		fleets: []int{2, 3}, fleetItems: 10,
		handles: []int{1, 4}, settle: 10 * time.Millisecond, per: 10 * time.Millisecond,
	}))
	t.Log(out.String())
	for _, w := range workloads {
		require.Equal(t, 2, strings.Count(out.String(), w.name+","), "%s, on one server and on three", w.name)
		for _, v := range append([]variant{w.natsqueue}, w.client...) {
			require.GreaterOrEqual(t, strings.Count(out.String(), "  "+v.name+" "), 2, v.name)
		}
	}
	for _, row := range []string{"2  natsqueue", "2  client", "3  natsqueue", "3  client", "1  natsqueue", "4  natsqueue", "4  client"} {
		require.Contains(t, out.String(), "       "+row)
	}
}

func TestMedianIsTheMiddleValue(t *testing.T) {
	values := []float64{5, 1, 3}
	require.Equal(t, 3.0, median(values))
	require.Equal(t, []float64{5, 1, 3}, values)
}
