package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// A bars is a chart of horizontal bars on a logarithmic scale: a group for each
// label, and in it a bar for each series.
type bars struct {
	title, axis string
	labels      []string
	series      []series
	base        float64 // where the bars begin
	tick        func(v float64) string
	radix       float64 // of the ticks
}

// A series has a value for each label; NaN is none.
type series struct {
	name   string
	values []float64
}

// palette is readable on white and on dark backgrounds, and by those who see
// fewer colours (Okabe and Ito's, and lighter ones of the same).
var palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	color.RGBA{0xb8, 0xae, 0x00, 0xff},
	color.RGBA{0x77, 0x77, 0x77, 0xff},
	color.RGBA{0x7a, 0x4e, 0x9f, 0xff},
	color.RGBA{0x99, 0x44, 0x44, 0xff},
	color.RGBA{0x44, 0x66, 0x22, 0xff},
	color.RGBA{0x22, 0x22, 0x22, 0xff},
}

func (c bars) save(file string) error {
	const thick, gap = 6, 10 // points
	p := plot.New()
	p.Title.Text, p.X.Label.Text = c.title, c.axis
	p.BackgroundColor = color.White
	p.Title.Padding = 8
	group := float64(len(c.series)*thick + gap)
	low, high := 0.0, 0.0
	for i, s := range c.series {
		values := make(plotter.Values, len(c.labels))
		for j, v := range s.values {
			if !math.IsNaN(v) {
				values[len(values)-1-j] = math.Log(v/c.base) / math.Log(c.radix) // the first label on top
			}
		}
		low, high = min(low, slices.Min(values)), max(high, slices.Max(values))
		bar, err := plotter.NewBarChart(values, vg.Points(thick))
		if err != nil {
			return err
		}
		bar.Horizontal = true
		bar.Color = palette[i%len(palette)]
		bar.LineStyle.Width = 0
		bar.Offset = vg.Points(thick * (float64(len(c.series)-1)/2 - float64(i)))
		p.Add(bar)
		p.Legend.Add(s.name, bar)
	}
	labels := slices.Clone(c.labels)
	slices.Reverse(labels)
	p.NominalY(labels...)
	p.X.Min, p.X.Max = math.Floor(low), math.Ceil(high)
	p.X.Max += 0.35 * (p.X.Max - p.X.Min) // room for the legend
	step := math.Ceil((p.X.Max - p.X.Min) / 12)
	var ticks plot.ConstantTicks
	for v := math.Ceil(p.X.Min/step) * step; v <= math.Ceil(high); v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: c.tick(c.base * math.Pow(c.radix, v))})
	}
	p.X.Tick.Marker = ticks
	p.Legend.Top = true
	p.Y.Min, p.Y.Max = -0.5, float64(len(labels))-0.5
	height := max(group*float64(len(labels))+90, float64(16*len(c.series)+110))
	return p.Save(vg.Points(760), vg.Points(height), file)
}

// writeCharts writes a chart for each section, and the summary's.
func (r report) writeCharts(dir string) error {
	if err := r.summaryChart().save(filepath.Join(dir, "summary.svg")); err != nil {
		return err
	}
	for _, s := range sections {
		mine := s.of(r.Cells)
		if len(mine) == 0 {
			continue
		}
		chart := ratioChart(s.title, mine)
		if s.id == "latency" {
			chart = latencyChart(s.title, mine)
		}
		if err := chart.save(filepath.Join(dir, s.id+".svg")); err != nil {
			return err
		}
	}
	return nil
}

func ratios(title string) bars {
	return bars{title: title, axis: "queue / peer: a bar to the left is the queue's gain", base: 1, radix: 2, tick: func(v float64) string {
		if v < 1 {
			return fmt.Sprintf("1/%.0f", 1/v)
		}
		return fmt.Sprintf("%.0f", v)
	}}
}

func (r report) summaryChart() bars {
	c := ratios("Time an item, queue / channel")
	background := series{name: "Background"}
	cancellable := series{name: "cancellable"}
	for _, l := range shortLines() {
		plain, ok := r.find(l.background, l.plain)
		if !ok {
			plain = math.NaN()
		}
		selecting, also := r.find(l.cancellable, l.selecting)
		if !also {
			selecting = math.NaN()
		}
		if ok || also {
			c.labels = append(c.labels, strings.ReplaceAll(l.label, "`", ""))
			background.values = append(background.values, plain)
			cancellable.values = append(cancellable.values, selecting)
		}
	}
	c.series = []series{background, cancellable}
	return c
}

// ratioChart shows the medians of the cells' first metrics.
func ratioChart(title string, results []result) bars {
	c := ratios(title)
	for _, r := range results {
		c.labels = append(c.labels, r.Cell)
	}
	for _, name := range peersIn(results) {
		s := series{name: name}
		for _, r := range results {
			v := math.NaN()
			if i := r.side(name); i > 0 {
				v = quartilesOf(r.ratios(i, 0)).median
			}
			s.values = append(s.values, v)
		}
		c.series = append(c.series, s)
	}
	return c
}

// latencyChart shows the percentiles of all sides.
func latencyChart(title string, results []result) bars {
	c := bars{title: title, axis: "from put to the return of the parked get", base: 100, radix: 10, tick: func(v float64) string {
		switch {
		case v < 999:
			return fmt.Sprintf("%.0f ns", v)
		case v < 999e3:
			return fmt.Sprintf("%.0f µs", v/1e3)
		}
		return fmt.Sprintf("%.0f ms", v/1e6)
	}}
	for m, metric := range results[0].Metrics {
		s := series{name: strings.TrimPrefix(metric, "ns ")}
		for _, r := range results {
			for _, side := range r.Sides {
				if m == 0 {
					c.labels = append(c.labels, side.Peer+", "+r.Cell[strings.LastIndex(r.Cell, "=")+1:])
				}
				s.values = append(s.values, quartilesOf(side.Values[m]).median)
			}
		}
		c.series = append(c.series, s)
	}
	return c
}
