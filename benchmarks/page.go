package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A section of the page shows the cells of one kind.
type section struct {
	id    string // of its chart
	title string
	cells *regexp.Regexp
	text  string
}

var sections = []section{
	{"solo", "One goroutine", regexp.MustCompile(`^(solo|try)`),
		"The goroutine that puts an item gets it: what an item costs when nobody competes for the queue. `try` does not wait: for a channel it is a select with a default."},
	{"pipeline-1", "Pipelines, capacity 1", regexp.MustCompile(`^pipeline/.*/cap=1/`),
		"So many producers to so many consumers, which hand each item to each other."},
	{"pipeline-128", "Pipelines, capacity 128", regexp.MustCompile(`^pipeline/.*/cap=128/`), ""},
	{"pipeline-8192", "Pipelines, capacity 8192", regexp.MustCompile(`^pipeline/.*/cap=8192/`), ""},
	{"pipeline-none", "Pipelines, no bound", regexp.MustCompile(`^pipeline/.*/cap=none/`),
		"No producer ever waits, and what is not gotten piles up: who moves more items in a round may have more of them waiting."},
	{"join", "Knowing that all is done", regexp.MustCompile(`^(join|tasks)`),
		"`join` is a pipeline whose consumers mark each item done. In `tasks`, workers range over `Tasks`, which marks the items done, and the producer waits until all are."},
	{"batch", "Batches", regexp.MustCompile(`^batch`),
		"`PutBatch` and `GetBatch` of so many items, from one goroutine to one, and a time an item. What knows no batches moves the same items one by one."},
	{"priority", "Priorities", regexp.MustCompile(`^priority`),
		"`waiting` gets an item and puts another while so many wait. Random keys are those of a simulation: the key that was gotten and a random step; rising keys are those of a clock. `burst` puts so many items and then gets them all, again and again."},
	{"drop-last", "Priorities, full", regexp.MustCompile(`^drop-last`),
		"`ForcePut` into a full priority queue, which drops for it the item that would leave last, beside a `TryGet` and a `TryPut` of the same queue. Each new key is a random step from the one that left. A binary heap, as the peers are, finds its last item only among all its leaves."},
	{"scale", "Many goroutines", regexp.MustCompile(`^scale`),
		"The queue beside itself: an item at 64:64, divided by an item at 4:4, with so many processors (GOMAXPROCS) to run them. That may be more than the machine has."},
	{"others", "Newest first; drop the oldest", regexp.MustCompile(`^(lifo|drop-oldest)`),
		"`lifo` puts and gets on top of what waits. `drop-oldest` puts into a full queue, with `ForcePut`; a channel is received from until there is room."},
	{"latency", "Hop latency", regexp.MustCompile(`^latency`),
		"From the beginning of a put to the return of the get that was parked for its item. Before each put the producer spins for 20 µs: it keeps its own processor busy, and the others may go idle. A hop costs either the waking of an idle processor, microseconds, or, where none is to be woken, some hundred nanoseconds, and the p50 is mostly the one or mostly the other: with GOMAXPROCS=1 it is the latter for all. Who spins lets no processor go idle. Why Workiva Queue, which parks, has as short a p50 (its p99 is that of the others) we do not know: its Put waits until the get that it woke has answered, but a channel that waits for an answer gains nothing by it. A round has 2000 hops, its p99.9 is the third longest of them, and depends on what else the machine does."},
	{"memory", "Memory", regexp.MustCompile(`^memory`),
		"How much the heap has grown when so many ints wait, after a collection."},
	{"pause", "The longest put while growing", regexp.MustCompile(`^pause`),
		"So many items are put into a queue without a bound. slice+Cond is a slice that grows by `append`. The collector's share is included."},
}

// of returns the results that belong into the section.
func (s section) of(results []result) (mine []result) {
	for _, r := range results {
		if s.cells.MatchString(r.Cell) {
			mine = append(mine, r)
		}
	}
	return mine
}

// everybody returns all peers of the queue, in the order in which they are shown.
func everybody() []peer { return slices.Concat(peers[1:], pythonPeers) }

// columns returns the names of all that the queue may be compared with.
func columns() (names []string) {
	for _, p := range everybody() {
		names = append(names, p.name)
	}
	return append(names, getAndPut, fourAside)
}

// columnsOf returns the names of those whom the results compare the queue with.
func columnsOf(results []result) []string {
	return slices.DeleteFunc(columns(), func(name string) bool {
		return !slices.ContainsFunc(results, func(r result) bool { return r.side(name) > 0 })
	})
}

// side returns which side of the result is the peer's; 0 if none is.
func (r result) side(peer string) int {
	return max(0, slices.IndexFunc(r.Sides, func(s rounds) bool { return s.Peer == peer }))
}

// find returns the median ratio of a cell's first metric to a peer.
func (r report) find(cell, peer string) (ratio float64, ok bool) {
	for _, c := range r.Cells {
		if i := c.side(peer); c.Cell == cell && i > 0 {
			return quartilesOf(c.ratios(i, 0)).median, true
		}
	}
	return 0, false
}

// marked renders a ratio, in bold if the queue loses.
func marked(ratio float64) string {
	if loses(ratio) {
		return "**" + share(ratio) + "**"
	}
	return share(ratio)
}

// loses reports whether the queue needs more than the peer, by a ratio that is
// not rendered as 1.00.
func loses(ratio float64) bool { return ratio >= 1.005 }

// A line of the short table: what the queue is compared with in the cell for a
// context that never ends, and in that for one that can be cancelled.
type line struct {
	label                   string
	background, cancellable string // cells
	plain, selecting        string // peers in them
}

func shortLines() []line {
	channel := func(label, cell string) line {
		return line{label, cell + "/ctx=background", cell + "/ctx=cancel", "chan", "chan+select"}
	}
	lines := []line{
		channel("put and get on one goroutine", "solo"),
		{"`TryPut` and `TryGet`; `select` with `default`", "try", "", "chan", ""},
	}
	for _, shape := range []string{"1:1", "4:4", "8:1", "1:8", "64:64"} {
		for _, capacity := range []string{"1", "128", "8192"} {
			label := shape + ", capacity " + capacity
			if shape == "1:1" && capacity == "1" {
				label = "1 producer, 1 consumer, capacity 1"
			}
			lines = append(lines, channel(label, "pipeline/shape="+shape+"/cap="+capacity))
		}
	}
	const tracked = "chan+select+WaitGroup"
	lines = append(lines,
		line{"4:4, each item marked done; a `WaitGroup`", "", "join/shape=4:4/cap=128/ctx=cancel", "", tracked},
		line{"`Tasks`, 1 worker; a `WaitGroup`", "", "tasks/shape=1:1/cap=128/ctx=cancel", "", tracked},
		line{"`Tasks`, 4 workers", "", "tasks/shape=1:4/cap=128/ctx=cancel", "", tracked},
		channel("batches of 64; one by one", "batch/size=64/cap=8192"),
	)
	for _, waiting := range []string{"1,000", "100,000", "1,000,000"} {
		cell := "priority/waiting=" + strings.ReplaceAll(waiting, ",", "") + "/keys=random"
		lines = append(lines,
			line{"priority, " + waiting + " waiting; `container/heap` under a mutex, plain", cell, "", "heap+mutex", ""},
			line{"the same; one that keeps equal items in order, as the queue does", cell, "", "heap+mutex, stable", ""},
		)
	}
	return lines
}

// summary returns what the README shows: the queue beside channels, and how it
// stands to each peer.
func (r report) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "![Time an item: queue / channel](%s/summary.svg)\n\n", chartsDir)
	b.WriteString("Workload; the channel's part | Background | Cancellable\n---|---|---\n")
	for _, l := range shortLines() {
		var cells [2]string
		for i, of := range [2][2]string{{l.background, l.plain}, {l.cancellable, l.selecting}} {
			if ratio, ok := r.find(of[0], of[1]); ok {
				cells[i] = marked(ratio)
			}
		}
		if cells[0] != "" || cells[1] != "" {
			b.WriteString(strings.TrimRight(l.label+" | "+cells[0]+" | "+cells[1], " ") + "\n")
		}
	}
	b.WriteString("\nOver all cells that a peer can do, memory and latency included:\n")
	b.WriteString("\nPeer | Median ratio | Queue loses in | At worst | What it does not do, or does otherwise\n---|---|---|---|---\n")
	for _, p := range everybody() {
		var ratios []float64
		lost, worst, where := 0, 0.0, ""
		for _, c := range r.Cells {
			i := c.side(p.name)
			if i == 0 {
				continue
			}
			for m := range c.Metrics {
				ratio := quartilesOf(c.ratios(i, m)).median
				ratios = append(ratios, ratio)
				if loses(ratio) {
					lost++
				}
				if ratio > worst {
					worst, where = ratio, c.label(m)
				}
			}
		}
		if len(ratios) > 0 {
			fmt.Fprintf(&b, "%s | %s | %d of %d | %s, %s | %s\n",
				p.name, marked(quartilesOf(ratios).median), lost, len(ratios), marked(worst), where, p.lacks())
		}
	}
	return b.String()
}

// label is a short name for a metric of the cell. It leaves the context out, for
// most peers stand in cells of one kind only.
func (r result) label(metric int) string {
	parts := strings.Split(r.Cell, "/")
	parts = slices.DeleteFunc(parts, func(part string) bool { return strings.HasPrefix(part, "ctx=") })
	label := strings.NewReplacer("shape=", "", "cap=", "capacity ", "order=", "", "=", " ").Replace(strings.Join(parts, " "))
	if len(r.Metrics) > 1 {
		_, name, _ := strings.Cut(r.Metrics[metric], " ")
		label += " " + name
	}
	return label
}

// page returns BENCHMARKS.md.
func (r report) page() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("<!-- Written by the command below. Changes are lost at its next run. -->\n")
	p("# Benchmarks\n")
	p("What the queue needs, divided by what a peer needs for the same work: below 1 the queue needs less. **Bold** is where it")
	p("loses. With a context that can be cancelled, a channel is used in a `select` with the context, as one must to be able to")
	p("stop.\n")
	b.WriteString(r.summary())
	p("\n## How it was made\n")
	p("```sh\n%s\n```\n", r.Command)
	p("| |\n---|---")
	p("Rounds | %d", r.Rounds)
	p("Processor | %s, %d logical", r.Machine.CPU, r.Machine.CPUs)
	p("GOMAXPROCS | %d", r.Machine.GOMAXPROCS)
	if r.Machine.GiB > 0 {
		p("Memory | %.0f GiB", r.Machine.GiB)
	}
	p("System | %s, %s", r.Machine.System, r.Machine.Go)
	for _, path := range slices.Sorted(maps.Keys(r.Modules)) {
		p("%s | %s", path, r.Modules[path])
	}
	if r.Python != "" {
		p("asyncio.Queue, queue.Queue | %s", r.Python)
	}
	b.WriteString(method)
	for _, s := range sections {
		mine := s.of(r.Cells)
		if len(mine) == 0 {
			continue
		}
		p("\n## %s\n", s.title)
		if s.text != "" {
			p("%s\n", s.text)
		}
		p("![%s](%s/%s.svg)\n", s.title, chartsDir, s.id)
		b.WriteString(tables(mine))
	}
	return b.String()
}

const method = `
All sides of a cell take turns in one process, in an order that is turned round from one round to the next. A ratio is that
of one round; what is shown is the median over the rounds, and the quartiles in brackets. Garbage is collected before each
round, outside the time. Where a time is an item's, each side moves as many ints as take it a round (-time, 20 ms if not said),
by the shortest of three samples, but four times the capacity at the least: a slow side moves fewer. Latency, memory and the
longest put are measured over as many for all.

What comes out is checked: the sum against what went in; of priorities, the order; of drop-oldest, what is left. (Of Python's
queues, only pipelines; memory and the longest put take nothing out.)

The goroutines of a pipeline wait at a barrier and start at once, so that no side is parked before the other begins. Each peer,
the queue included, is called through an interface, one call an item on either side. A context is handed to each call, and
the select asks it for its Done channel each time. Peers that only try are called again after runtime.Gosched until they
succeed: they spin, and are fast as long as there are processors that nobody else needs.

A cell's name selects it: ` + "`go run ./benchmarks -run 'pipeline/shape=4:4/cap=128/'`" + `. A dash is where the peer cannot do
the work, or is not asked: Python's queues stand in pipelines 1:1 and 4:4 and in priorities with items waiting. The raw rounds are in [` + roundsFile + `](` + roundsFile + `).
`

// tables returns a table of ratios and one of what was measured.
func tables(results []result) string {
	names := columnsOf(results)
	var ratios, values strings.Builder
	fmt.Fprintf(&ratios, "queue / peer | %s\n---%s\n", strings.Join(names, " | "), strings.Repeat("|---", len(names)))
	fmt.Fprintf(&values, "median | queue | %s\n---%s\n", strings.Join(names, " | "), strings.Repeat("|---", len(names)+1))
	for _, r := range results {
		for m, metric := range r.Metrics {
			fmt.Fprintf(&ratios, "`%s`", r.Cell)
			if len(r.Metrics) > 1 {
				fmt.Fprintf(&ratios, " %s", metric)
			}
			fmt.Fprintf(&values, "`%s`, %s | %s", r.Cell, metric, r.Sides[0].value(m))
			for _, name := range names {
				i := r.side(name)
				if i == 0 {
					ratios.WriteString(" | –")
					values.WriteString(" | –")
					continue
				}
				q := quartilesOf(r.ratios(i, m))
				fmt.Fprintf(&ratios, " | %s", marked(q.median))
				if len(r.Sides[i].Values[m]) > 1 {
					fmt.Fprintf(&ratios, " (%s–%s)", share(q.low), share(q.high))
				}
				fmt.Fprintf(&values, " | %s", r.Sides[i].value(m))
			}
			ratios.WriteString("\n")
			values.WriteString("\n")
		}
	}
	return ratios.String() + "\nAfter the slash, allocations an item, where there are any:\n\n" + values.String()
}

// value renders a side's median, and its allocations if there are any.
func (r rounds) value(metric int) string {
	v := figure(quartilesOf(r.Values[metric]).median)
	if allocs := quartilesOf(r.Allocs).median; allocs >= 0.05 {
		v += fmt.Sprintf(" / %.1f", allocs)
	}
	return v
}
