package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// A result holds the measurements of a cell.
type result struct {
	Cell    string   `json:"cell"`
	Metrics []string `json:"metrics"`
	Sides   []rounds `json:"sides"` // the queue first
}

// rounds are the samples of one side, in the order in which they were taken.
type rounds struct {
	Peer   string      `json:"peer"`
	Items  int         `json:"items"`  // moved in each round
	Values [][]float64 `json:"values"` // for each metric, a value a round
	Allocs []float64   `json:"allocs"` // an item, a value a round
}

func (r *rounds) add(s sample) {
	for i, v := range s.values {
		r.Values[i] = append(r.Values[i], brief(v))
	}
	r.Allocs = append(r.Allocs, brief(s.allocs))
}

// brief rounds to five significant digits: more is noise.
func brief(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	return v
}

// ratios returns the queue's value divided by that of a side, round by round,
// because a disturbance of the machine slows both.
func (r result) ratios(side, metric int) []float64 {
	queue, peer := r.Sides[0].Values[metric], r.Sides[side].Values[metric]
	ratios := make([]float64, len(queue))
	for i := range queue {
		ratios[i] = queue[i] / peer[i]
	}
	return ratios
}

// quartiles are the median and the values below which a quarter and three
// quarters of the others lie.
type quartiles struct{ low, median, high float64 }

// quartilesOf returns the quartiles of some values, interpolated linearly
// between the two nearest.
func quartilesOf(values []float64) quartiles {
	sorted := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 {
		if len(sorted) == 0 {
			return math.NaN()
		}
		place := share * float64(len(sorted)-1)
		below := int(place)
		above := min(below+1, len(sorted)-1)
		return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
	}
	return quartiles{at(0.25), at(0.5), at(0.75)}
}

// writeTable writes a line for each cell, metric and peer.
func writeTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "cell\tmetric\tpeer\tqueue\tpeer\tqueue/peer\tquartiles\tallocs queue\tallocs peer")
	for _, r := range results {
		for m, metric := range r.Metrics {
			queue := quartilesOf(r.Sides[0].Values[m])
			for i, side := range r.Sides {
				if i == 0 {
					continue
				}
				peer := quartilesOf(side.Values[m])
				ratio := quartilesOf(r.ratios(i, m))
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s-%s\t%.2f\t%.2f\n", r.Cell, metric, side.Peer,
					figure(queue.median), figure(peer.median), share(ratio.median), share(ratio.low), share(ratio.high),
					quartilesOf(r.Sides[0].Allocs).median, quartilesOf(side.Allocs).median)
			}
		}
	}
	return t.Flush()
}

// figure renders a value with three digits, or all of those before the point.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// share renders a ratio, with more digits where it is small.
func share(v float64) string {
	if v < 0.0995 {
		return fmt.Sprintf("%.3f", v)
	}
	return figure(v)
}
