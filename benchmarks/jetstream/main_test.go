package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryContestantMovesAllItems(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out, 300, 1))
	for _, w := range workloads {
		require.Contains(t, out.String(), w.name)
		for _, c := range w.contestants {
			require.Contains(t, out.String(), c.name)
		}
	}
}
