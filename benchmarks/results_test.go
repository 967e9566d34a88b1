package main

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuartilesLieBetweenTheNearestValues(t *testing.T) {
	require.Equal(t, quartiles{2, 3, 4}, quartilesOf([]float64{5, 1, 4, 2, 3}))
	require.Equal(t, quartiles{1.75, 2.5, 3.25}, quartilesOf([]float64{4, 3, 2, 1}))
	require.Equal(t, quartiles{7, 7, 7}, quartilesOf([]float64{7}))
	require.True(t, math.IsNaN(quartilesOf(nil).median))
}

func TestQuartilesLeaveTheValuesInTheirOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	quartilesOf(values)
	require.Equal(t, []float64{3, 1, 2}, values)
}

// measured is a result with two peers in three rounds.
var measured = result{Cell: "solo/ctx=background", Metrics: perItem, Sides: []rounds{
	{Peer: subject, Items: 10, Values: [][]float64{{10, 20, 30}}, Allocs: []float64{0, 0, 0}},
	{Peer: "chan", Items: 10, Values: [][]float64{{100, 40, 40}}, Allocs: []float64{0, 0, 0}},
	{Peer: "slice+Cond", Items: 10, Values: [][]float64{{5, 40, 20}}, Allocs: []float64{1, 1, 1}},
}}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	require.Equal(t, []float64{0.1, 0.5, 0.75}, measured.ratios(1, 0))
	require.Equal(t, []float64{2, 0.5, 1.5}, measured.ratios(2, 0))
	require.Equal(t, 1.5, quartilesOf(measured.ratios(2, 0)).median, "the medians' ratio is another: 20/20")
}

func TestTheTableHasALineForEachPeer(t *testing.T) {
	var b strings.Builder
	require.NoError(t, writeTable(&b, []result{measured}))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, strings.Fields("solo/ctx=background ns an item chan 20.0 40.0 0.50 0.30-0.62 0.00 0.00"), strings.Fields(lines[1]))
	require.Equal(t, strings.Fields("solo/ctx=background ns an item slice+Cond 20.0 20.0 1.50 1.00-1.75 0.00 1.00"), strings.Fields(lines[2]))
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	require.Equal(t, []string{"0.05", "1.23", "12.3", "123", "1235"},
		[]string{figure(0.05), figure(1.234), figure(12.34), figure(123.4), figure(1234.6)})
	require.Equal(t, []string{"0.006", "0.10", "1.00", "12.3"},
		[]string{share(0.0061), share(0.0999), share(0.999), share(12.34)})
	require.Equal(t, []float64{12346, 0.012346}, []float64{brief(12345.678), brief(0.012345678)})
}
