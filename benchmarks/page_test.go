package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// everything is a report with all cells, in which nothing was measured: each
// side has the value 1, and the queue another one.
func everything(queue float64) report {
	r := report{Command: "go run ./benchmarks", Machine: machine{CPU: "a processor"}}
	all := cells(fullSizes)
	(&interpreter{}).join(all)
	for _, c := range all {
		filled := result{Cell: c.name, Metrics: c.metrics}
		for i, s := range c.sides {
			side := rounds{Peer: s.peer, Items: 1}
			for range c.metrics {
				v := 1.0
				if i == 0 {
					v = queue
				}
				side.Values = append(side.Values, []float64{v, v})
			}
			side.Allocs = []float64{0, 0}
			filled.Sides = append(filled.Sides, side)
		}
		r.Cells = append(r.Cells, filled)
	}
	return r
}

func TestEachCellStandsInOneSection(t *testing.T) {
	for _, c := range everything(1).Cells {
		var in []string
		for _, s := range sections {
			if s.cells.MatchString(c.Cell) {
				in = append(in, s.id)
			}
		}
		require.Len(t, in, 1, c.Cell)
	}
}

func TestThePageHasEachCellAndEachPeer(t *testing.T) {
	r := everything(0.5)
	page := r.page()
	for _, c := range r.Cells {
		require.Contains(t, page, "`"+c.Cell+"`")
	}
	for _, p := range otherPeers() {
		require.Contains(t, page, "\n"+p.name+" | 0.50 | 0 of ")
	}
	require.NotContains(t, page, "NaN")
}

func TestTheSummaryFindsAllItsCells(t *testing.T) {
	r := everything(0.5)
	for _, l := range summaryLines() {
		for cell, peer := range map[string]string{l.background: l.plain, l.cancellable: l.selecting} {
			if cell == "" || peer == "" {
				continue
			}
			_, ok := r.find(cell, peer)
			require.True(t, ok, "%s: %s", cell, peer)
		}
	}
	require.Contains(t, r.summary(), "\nput and get on one goroutine | channel | 0.50 | 0.50\n")
}

func TestWhereTheQueueLosesIsMarked(t *testing.T) {
	require.Equal(t, []string{"0.99", "1.00", "**1.01**", "**2.50**"},
		[]string{marked(0.99), marked(1.004), marked(1.006), marked(2.5)})
	summary := everything(2).summary()
	require.Contains(t, summary, "\nput and get on one goroutine | channel | **2.00** | **2.00**\n")
	require.Contains(t, summary, "\nchan+select+WaitGroup | **2.00** | 6 of 6 | **2.00**, join 1:1 capacity 128 | ")
	require.NotContains(t, everything(0.5).page(), "**0.50**")
}

func TestTheSummaryNamesTheCellInWhichTheQueueIsWorst(t *testing.T) {
	other, hops := measured, measured
	other.Cell = "pipeline/shape=8:1/cap=1/ctx=background"
	hops.Cell, hops.Metrics = "latency/ctx=cancel", []string{"ns p50", "ns p99"}
	hops.Sides = []rounds{{Values: [][]float64{{1}, {9}}}, {Peer: "chan", Values: [][]float64{{2}, {6}}}}
	summary := report{Cells: []result{measured, other, hops}}.summary()
	require.Contains(t, summary, "\nchan | 0.50 | 1 of 4 | **1.50**, latency p99 | ")
	require.Contains(t, summary, "\nslice+Cond | **1.50** | 2 of 2 | **1.50**, solo | ", "the first of two alike")
	require.Equal(t, "pipeline 8:1 capacity 1", other.label(0))
}

func TestTheREADMEHasAFewLinesAndTheWorstRatioToAChannel(t *testing.T) {
	other := measured
	other.Cell = "pipeline/shape=1:1/cap=1/ctx=background"
	other.Sides = []rounds{{Values: [][]float64{{3}}}, {Peer: "chan", Values: [][]float64{{2}}}, {Peer: "chanx", Values: [][]float64{{1}}}}
	require.Equal(t, "![Time per item: queue / channel](benchmarks/charts/summary.svg)\n\n"+
		"Workload | Compared with | Background | Cancellable\n---|---|---|---\n"+
		"put and get on one goroutine | channel | 0.50 |\n"+
		"1 producer, 1 consumer, capacity 1 | channel | **1.50** |\n\n"+
		"The worst ratio to a channel is **1.50** (pipeline 1:1 capacity 1). [BENCHMARKS.md](BENCHMARKS.md) has all workloads and peers.\n",
		report{Cells: []result{measured, other}}.brief())
	table, _, _ := strings.Cut(everything(0.5).brief(), "\n\nThe worst")
	require.Equal(t, 3+6, strings.Count(table, "\n"), table)
}

func TestADashStandsWhereAPeerCannotDoTheWork(t *testing.T) {
	other := measured
	other.Cell, other.Sides = "try", measured.Sides[:2]
	require.Equal(t, "queue / peer | chan | slice+Cond\n"+
		"---|---|---\n"+
		"`solo/ctx=background` | 0.50 (0.30–0.62) | **1.50** (1.00–1.75)\n"+
		"`try` | 0.50 (0.30–0.62) | –\n"+
		"\n"+
		"median | queue | chan | slice+Cond\n"+
		"---|---|---|---\n"+
		"`solo/ctx=background`, ns an item | 20.0 | 40.0 | 20.0 / 1.0\n"+
		"`try`, ns an item | 20.0 | 40.0 | –\n", tables([]result{measured, other}))
}

func TestTheSummaryGoesIntoItsPlaceInAREADME(t *testing.T) {
	readme := "before\n" + injectFrom + "old\n" + injectTo + "after\n"
	got, ok := inject(readme, "new\n")
	require.True(t, ok)
	require.Equal(t, "before\n"+injectFrom+"\nnew\n\n"+injectTo+"after\n", got)
	again, ok := inject(got, "new\n")
	require.True(t, ok)
	require.Equal(t, got, again)

	for _, without := range []string{"nothing\n", "only " + injectFrom} {
		_, ok := inject(without, "new\n")
		require.False(t, ok)
	}
}

func TestWhatIsWrittenCanBeReadAgain(t *testing.T) {
	dir := t.TempDir()
	r := everything(0.5)
	r.Modules = map[string]string{"example.com/peer": "v1.2.3"}
	require.NoError(t, os.WriteFile(filepath.Join(dir, readmeFile), []byte(injectFrom+injectTo), 0o666))
	require.NoError(t, r.write(dir))

	again, err := readReport(filepath.Join(dir, roundsFile))
	require.NoError(t, err)
	require.Equal(t, r, again)
	page := read(t, filepath.Join(dir, pageFile))
	require.Equal(t, r.page(), page)
	require.Contains(t, read(t, filepath.Join(dir, readmeFile)), "\n"+r.brief())

	charts := 0
	for _, part := range strings.Split(page, "](")[1:] {
		file, _, _ := strings.Cut(part, ")")
		if !strings.HasSuffix(file, ".svg") {
			continue
		}
		charts++
		svg := xml.NewDecoder(strings.NewReader(read(t, filepath.Join(dir, file))))
		for err == nil {
			_, err = svg.Token()
		}
		require.True(t, errors.Is(err, io.EOF), "%s: %v", file, err)
		err = nil
	}
	require.Equal(t, len(sections)+1, charts)
}

func TestAFileThatHoldsNoRoundsIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rounds.json")
	_, err := readReport(file)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(file, []byte("no JSON"), 0o666))
	_, err = readReport(file)
	require.ErrorContains(t, err, file)
}

// The page and the README say what the rounds beside them say, and nothing that was
// written by hand.
func TestThePublishedFiguresAreThoseOfTheRounds(t *testing.T) {
	root := ".."
	r, err := readReport(filepath.Join(root, roundsFile))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("none are published")
	}
	require.NoError(t, err)
	require.Equal(t, r.page(), read(t, filepath.Join(root, pageFile)))
	readme := read(t, filepath.Join(root, readmeFile))
	again, ok := inject(readme, r.brief())
	require.True(t, ok, "the README has no place for the summary")
	require.Equal(t, again, readme)
}

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
