package main

import (
	"go/format"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEachVariantChangesTheMutex(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../internal/park/mutex.go"))
	require.NoError(t, err)
	source := strings.ReplaceAll(string(text), "\r\n", "\n")
	seen := map[string]bool{}
	for _, v := range variants {
		changed, err := v.apply(source)
		require.NoError(t, err)
		require.False(t, seen[changed], v.name)
		seen[changed] = true
		_, err = format.Source([]byte(changed))
		require.NoError(t, err, v.name)
	}
	require.True(t, seen[source], "the first is the mutex as it is")
	_, err = variant{"stale", []string{"no such text", ""}}.apply(source)
	require.ErrorContains(t, err, "no such text")
}

func TestAWorkloadCountsItsItems(t *testing.T) {
	for _, timed := range []bool{false, true} {
		r := workload{Producers: 2, Consumers: 2, Capacity: 8, Timed: timed, Length: time.Millisecond}.measure()
		require.Positive(t, r.Items)
		require.Positive(t, r.Time)
	}
	require.Error(t, measureAndPrint("no JSON", io.Discard))
}

func TestTheTableHasMediansOfRatios(t *testing.T) {
	w := workload{Producers: 4, Consumers: 4, Capacity: 8, Procs: 2}
	rounds := make([][]result, len(variants))
	for i := range rounds {
		rounds[i] = []result{{Time: 10, Processor: 20}, {Time: 30, Processor: 40}, {Time: 20, Processor: 30}}
	}
	rounds[1] = []result{{Time: 20, Processor: 10}, {Time: 15, Processor: 20}, {Time: 60, Processor: 15}}
	var b strings.Builder
	writeTable(&b, []workload{w}, [][][]result{rounds})
	require.Contains(t, b.String(), "\n2 | 4:4, capacity 8 | 20/30 | 2.00/0.50 | 1.00/1.00 | ")
}
