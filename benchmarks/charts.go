package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
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
	color  color.Color
	values []float64
}

// palette is readable on light and dark backgrounds and with color blindness
// (Okabe and Ito's, and lighter shades of the same).
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
	color.RGBA{0x1f, 0xb5, 0xad, 0xff},
	color.RGBA{0xf4, 0x7c, 0x9a, 0xff},
	color.RGBA{0x8c, 0x6d, 0x31, 0xff},
	color.RGBA{0xa0, 0xc4, 0x5a, 0xff},
}

// thick is a bar's height in points; between two groups there is a bar's room.
const thick = 7

func (c bars) save(file string) error {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text, p.X.Label.Text = c.title, c.axis
	p.Title.Padding = thick
	var drawn rectangles
	var groups plot.ConstantTicks
	rows := 0.0
	high, low := 0.0, 0.0
	for j, label := range c.labels {
		top := rows
		for _, s := range c.series {
			if math.IsNaN(s.values[j]) {
				continue
			}
			end := math.Log(s.values[j]/c.base) / math.Log(c.radix)
			low, high = min(low, end), max(high, end)
			drawn = append(drawn, rectangle{row: -rows, end: end, color: s.color})
			rows++
		}
		groups = append(groups, plot.Tick{Value: -(top + rows - 1) / 2, Label: label})
		rows++
	}
	p.Add(drawn)
	for _, s := range c.series {
		p.Legend.Add(s.name, swatch{s.color})
	}
	p.Legend.Top = true
	p.Legend.Padding = 2
	p.Legend.ThumbnailWidth = 30
	p.Y.Padding = 12 // labels are wider in some fonts
	p.Y.Min, p.Y.Max = -rows, 1
	p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
	p.Y.Tick.Marker = groups
	p.X.Min, p.X.Max = math.Floor(low), math.Ceil(high)
	step := math.Ceil((p.X.Max - p.X.Min) / 10)
	var ticks plot.ConstantTicks
	for v := math.Ceil(p.X.Min/step) * step; v <= p.X.Max; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: c.tick(c.base * math.Pow(c.radix, v))})
	}
	p.X.Tick.Marker = ticks
	p.X.Max += (p.X.Max - p.X.Min) / 3 // room for the legend
	height := max(thick*rows+80, 16*float64(len(c.series))+80)
	drawing, err := p.WriterTo(vg.Points(760), vg.Points(height), "svg")
	if err != nil {
		return err
	}
	var svg bytes.Buffer
	if _, err := drawing.WriteTo(&svg); err != nil {
		return err
	}
	// Fallbacks with the same widths, for readers without the font.
	text := strings.ReplaceAll(svg.String(), "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return os.WriteFile(file, []byte(text), 0o666)
}

// rectangles draws the bars, and the line where they begin.
type rectangles []rectangle

type rectangle struct {
	row, end float64
	color    color.Color
}

func (r rectangles) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	for _, bar := range r {
		canvas.FillPolygon(bar.color, corners(x(0), y(bar.row-0.45), x(bar.end), y(bar.row+0.45)))
	}
	line := draw.LineStyle{Color: color.Gray{0x80}, Width: vg.Points(0.5)}
	canvas.StrokeLine2(line, x(0), y(p.Y.Min), x(0), y(p.Y.Max))
}

// swatch stands for a series in the legend.
type swatch struct{ color color.Color }

func (s swatch) Thumbnail(canvas *draw.Canvas) {
	canvas.FillPolygon(s.color, corners(canvas.Min.X+12, canvas.Min.Y+2, canvas.Max.X, canvas.Max.Y-2))
}

func corners(left, low, right, high vg.Length) []vg.Point {
	return []vg.Point{{X: left, Y: low}, {X: right, Y: low}, {X: right, Y: high}, {X: left, Y: high}}
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
	return bars{title: title, axis: "queue / peer: bars to the left are in the queue's favor", base: 1, radix: 2, tick: func(v float64) string {
		if v < 1 {
			return fmt.Sprintf("1/%.0f", 1/v)
		}
		return fmt.Sprintf("%.0f", v)
	}}
}

func (r report) summaryChart() bars {
	c := ratios("Time per item: queue / channel")
	background := series{name: "Background", color: palette[0]}
	cancellable := series{name: "cancellable", color: palette[1]}
	for _, l := range summaryLines() {
		plain, ok := r.find(l.background, l.plain)
		if !ok {
			plain = math.NaN()
		}
		selecting, also := r.find(l.cancellable, l.selecting)
		if !also {
			selecting = math.NaN()
		}
		if ok || also {
			c.labels = append(c.labels, strings.ReplaceAll(l.workload, "`", ""))
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
		_, parameters, ok := strings.Cut(r.Cell, "/")
		if !ok {
			parameters = r.Cell
		}
		c.labels = append(c.labels, parameters)
	}
	for _, name := range columnsOf(results) {
		place := slices.Index(columns(), name)
		s := series{name: name, color: palette[place%len(palette)]} // the same in all charts
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
	c := bars{title: title, axis: "from put to the return of the blocked get", base: 100, radix: 10, tick: func(v float64) string {
		switch {
		case v < 999:
			return fmt.Sprintf("%.0f ns", v)
		case v < 999e3:
			return fmt.Sprintf("%.0f µs", v/1e3)
		}
		return fmt.Sprintf("%.0f ms", v/1e6)
	}}
	for m, metric := range results[0].Metrics {
		s := series{name: strings.TrimPrefix(metric, "ns "), color: palette[m]}
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
