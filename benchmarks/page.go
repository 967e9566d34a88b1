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
		"One goroutine puts an item and gets it: the cost without contention. `try` uses the calls that do not block: `TryPut` and `TryGet`, and for a channel a `select` with a `default`."},
	{"pipeline-1", "Pipelines, capacity 1", regexp.MustCompile(`^pipeline/.*/cap=1/`),
		"N:M is N producers and M consumers. With capacity 1 every item is a hand-off."},
	{"pipeline-128", "Pipelines, capacity 128", regexp.MustCompile(`^pipeline/.*/cap=128/`), ""},
	{"pipeline-8192", "Pipelines, capacity 8192", regexp.MustCompile(`^pipeline/.*/cap=8192/`), ""},
	{"pipeline-none", "Pipelines, unbounded", regexp.MustCompile(`^pipeline/.*/cap=none/`),
		"Producers never block, so the backlog grows; a faster peer may therefore run with a longer one."},
	{"join", "Tracking unfinished items", regexp.MustCompile(`^(join|tasks|requeue)`),
		"`join` is a pipeline whose consumers mark each item done. In `tasks`, workers range over `Tasks`, which marks the items done, and the producer joins. In `requeue`, each item that a worker takes leads to two more, which it adds with `Requeue`. With a channel, a worker that finds it full starts a goroutine to send the item, because it would block on itself."},
	{"batch", "Batches", regexp.MustCompile(`^batch/`),
		"`PutBatch` in one goroutine, `GetBatch` in another: time per item. Peers without batches move the items one by one."},
	{"batches", "Collecting batches", regexp.MustCompile(`^batches/`),
		"One worker ranges over `Batches`. One producer puts `put` items per call, or sends them one by one to a channel. The peers collect batches from a channel, with a timer unless linger is 0. `GetBatch` is the queue's own method, called in a loop; it does not linger."},
	{"select", "Receiving in a select", regexp.MustCompile(`^select/`),
		"One consumer waits in a `select` for an item, a ticker and, if it can be canceled, its context. With the queue it receives from `Ready` and then calls `TryGet`, or `TryGetBatch` for `take` items. A channel yields one item per `select`. The producer puts items one by one."},
	{"priority", "Priorities", regexp.MustCompile(`^priority`),
		"With `queued`, an item is taken and another put, with a backlog of that size. Random keys are those of a simulation: the key that was taken plus a random step. Rising keys are those of a clock. With `burst`, that many items are put and then all taken, repeatedly."},
	{"drop-last", "Priorities, full", regexp.MustCompile(`^drop-last`),
		"`ForcePut` into a full priority queue drops the item that would leave last. It is compared with a `TryGet` and a `TryPut` on the same queue, because the peers are binary heaps, which have no such operation. Each new key is a random step from the one that left."},
	{"scale", "Many goroutines", regexp.MustCompile(`^scale`),
		"The queue is compared with itself: time per item at 64:64 divided by time per item at 4:4, with GOMAXPROCS set to `procs`, which may exceed the machine's processors."},
	{"others", "LIFO and drop-oldest", regexp.MustCompile(`^(lifo|drop-oldest)`),
		"`lifo` puts and gets an item on top of a backlog. `drop-oldest` puts into a full queue with `ForcePut`; with a channel, items are received until there is room."},
	{"keyed", "Queues with keys", regexp.MustCompile(`^(latest|fair|serial)/`),
		"The types of package keyed on one goroutine, with 1000 keys. `latest` with `op=replace` puts a new value for a queued key and is compared with a write to a map under a mutex; `op=pair` gets a key and puts another. `fair` and `serial` put an item, get one of another key and mark it done. They are compared with a `Queue`, which has no keys."},
	{"latency", "Hand-off latency", regexp.MustCompile(`^latency`),
		"The time from the start of a put to the return of the get that is blocked for its item. Before each put the producer spins for 20 µs, which keeps its own processor busy and lets the others go idle. A hand-off then costs microseconds if an idle processor must be woken, and some hundred nanoseconds otherwise; the p50 is usually one or the other, and with GOMAXPROCS=1 it is the latter for all peers. A spinning peer never lets a processor go idle. Workiva Queue blocks, yet its p50 is as short (its p99 is not). We have not found the reason: its Put waits for an answer from the get that it woke, but a channel that does the same is no faster. A round has 2000 hand-offs, so its p99.9 is the third longest of them and depends on what else the machine is doing."},
	{"memory", "Memory", regexp.MustCompile(`^memory`),
		"Heap growth per queued int, after a garbage collection."},
	{"pause", "The longest put while growing", regexp.MustCompile(`^pause`),
		"Items are put into an unbounded queue, and the longest put is measured. slice+Cond is a slice that grows with `append`. The time includes garbage collection."},
}

// of returns the results that belong to the section.
func (s section) of(results []result) (mine []result) {
	for _, r := range results {
		if s.cells.MatchString(r.Cell) {
			mine = append(mine, r)
		}
	}
	return mine
}

// otherPeers returns all peers but the queue, in the order in which they are
// shown.
func otherPeers() []peer { return slices.Concat(peers[1:], pythonPeers) }

// columns returns the names of all sides that the queue may be compared with.
func columns() (names []string) {
	for _, p := range otherPeers() {
		names = append(names, p.name)
	}
	return append(names, getBatch, getAndPut, fourAside, queueAside, mapAside)
}

// columnsOf returns the names of the sides that the results compare the queue with.
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

// marked renders a ratio, in bold if the queue is slower or larger.
func marked(ratio float64) string {
	if loses(ratio) {
		return "**" + share(ratio) + "**"
	}
	return share(ratio)
}

// loses reports whether the queue needs more than the peer, by a ratio that does
// not round to 1.00.
func loses(ratio float64) bool { return ratio >= 1.005 }

// A line of a summary: the cells in which the queue is compared with a channel,
// or with what stands in for one, for a context that is never done and for one
// that can be canceled.
type line struct {
	workload, peer          string // labels
	background, cancellable string // cells
	plain, selecting        string // peers in them
	brief                   bool   // stands in the README too
}

func summaryLines() []line {
	channel := func(workload, cell string, brief bool) line {
		return line{workload, "channel", cell + "/ctx=background", cell + "/ctx=cancel", "chan", "chan+select", brief}
	}
	lines := []line{
		channel("put and get on one goroutine", "solo", true),
		{"`TryPut` and `TryGet`", "channel, `select` with `default`", "try", "", "chan", "", false},
	}
	for _, shape := range []string{"1:1", "4:4", "8:1", "1:8", "64:64"} {
		for _, capacity := range []string{"1", "128", "8192"} {
			workload := shape + ", capacity " + capacity
			if shape == "1:1" && capacity == "1" {
				workload = "1 producer, 1 consumer, capacity 1"
			}
			brief := shape == "1:1" && capacity == "1" || shape == "4:4" && capacity == "128"
			lines = append(lines, channel(workload, "pipeline/shape="+shape+"/cap="+capacity, brief))
		}
	}
	tracked := func(workload, cell string, brief bool) line {
		return line{workload, "channel and `WaitGroup`", "", cell + "/cap=128/ctx=cancel", "", "chan+select+WaitGroup", brief}
	}
	lines = append(lines,
		tracked("4:4, each item marked done", "join/shape=4:4", false),
		tracked("`Tasks`, 1 worker", "tasks/shape=1:1", false),
		tracked("`Tasks`, 4 workers", "tasks/shape=1:4", true),
		tracked("`Requeue`, 4 workers that feed themselves", "requeue/workers=4", false),
		line{"`PutBatch` and `GetBatch` of 64", "channel, one by one", "batch/size=64/cap=8192/ctx=background", "batch/size=64/cap=8192/ctx=cancel", "chan", "chan+select", false},
		line{"`Batches` of 64, or after 10 ms", "channel and `time.Timer`", "", "batches/size=64/linger=10ms/put=64/ctx=cancel", "", "chan+select+Timer", true},
		line{"`Ready` and `TryGet` in a `select`", "channel in the same `select`", "select/take=1/cap=128/ctx=background", "select/take=1/cap=128/ctx=cancel", "chan", "chan+select", false},
		line{"`Ready` and `TryGetBatch` of 64", "channel in the same `select`", "select/take=64/cap=128/ctx=background", "select/take=64/cap=128/ctx=cancel", "chan", "chan+select", false},
		line{"`keyed.Latest`, a put that replaces", "map and mutex", "latest/op=replace/keys=1000", "", mapAside, "", false},
		line{"`keyed.Fair`, put, get and done, 1000 keys", "`Queue`", "fair/keys=1000", "", queueAside, "", false},
	)
	for _, queued := range []string{"1,000", "100,000", "1,000,000"} {
		cell := "priority/queued=" + strings.ReplaceAll(queued, ",", "") + "/keys=random"
		lines = append(lines,
			line{"priority, " + queued + " queued", "`container/heap` and mutex, not stable", cell, "", "heap+mutex", "", queued == "100,000"},
			line{"priority, " + queued + " queued", "`container/heap` and mutex, stable", cell, "", "heap+mutex, stable", "", false},
		)
	}
	return lines
}

// summaryTable writes the lines that were measured.
func (r report) summaryTable(b *strings.Builder, lines []line) {
	fmt.Fprintf(b, "![Time per item: queue / channel](%s/summary.svg)\n\n", chartsDir)
	b.WriteString("Workload | Compared with | Background | Cancellable\n---|---|---|---\n")
	for _, l := range lines {
		var cells [2]string
		for i, of := range [2][2]string{{l.background, l.plain}, {l.cancellable, l.selecting}} {
			if ratio, ok := r.find(of[0], of[1]); ok {
				cells[i] = marked(ratio)
			}
		}
		if cells[0] != "" || cells[1] != "" {
			b.WriteString(strings.TrimRight(l.workload+" | "+l.peer+" | "+cells[0]+" | "+cells[1], " ") + "\n")
		}
	}
}

// A standing is how the queue compares with one peer over all cells.
type standing struct {
	ratios []float64 // medians
	lost   int       // ratios in which the queue loses
	worst  float64
	where  string // the worst is
}

func (r report) standing(peer string) (s standing) {
	for _, c := range r.Cells {
		i := c.side(peer)
		if i == 0 {
			continue
		}
		for m := range c.Metrics {
			ratio := quartilesOf(c.ratios(i, m)).median
			s.ratios = append(s.ratios, ratio)
			if loses(ratio) {
				s.lost++
			}
			if ratio > s.worst {
				s.worst, s.where = ratio, c.label(m)
			}
		}
	}
	return s
}

// brief returns what the README shows: a few lines, and where the queue loses
// most.
func (r report) brief() string {
	var b strings.Builder
	r.summaryTable(&b, slices.DeleteFunc(summaryLines(), func(l line) bool { return !l.brief }))
	worst, by := standing{}, ""
	for _, p := range otherPeers() {
		if s := r.standing(p.name); s.worst > worst.worst && strings.HasPrefix(p.name, "chan") && p.module == "" {
			worst, by = s, p.name
		}
	}
	if by != "" {
		fmt.Fprintf(&b, "\nThe worst ratio to a channel is %s (%s). [%s](%s) has all workloads and peers.\n", marked(worst.worst), worst.where, pageFile, pageFile)
	}
	return b.String()
}

// summary returns the table with which the page begins, and how the queue
// compares with each peer.
func (r report) summary() string {
	var b strings.Builder
	r.summaryTable(&b, summaryLines())
	b.WriteString("\nAll workloads that a peer supports, including memory and latency:\n")
	b.WriteString("\nPeer | Median ratio | Queue loses in | Worst ratio | Differences\n---|---|---|---|---\n")
	for _, p := range otherPeers() {
		if s := r.standing(p.name); len(s.ratios) > 0 {
			fmt.Fprintf(&b, "%s | %s | %d of %d | %s, %s | %s\n",
				p.name, marked(quartilesOf(s.ratios).median), s.lost, len(s.ratios), marked(s.worst), s.where, p.lacks())
		}
	}
	return b.String()
}

// label is a short name for a metric of the cell. It leaves out the context,
// because most peers stand in cells of one kind only.
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
	p("Each ratio is queue ÷ peer for the same workload: below 1 the queue is faster (or smaller); **bold** marks where it is slower.")
	p("With a cancellable context, a channel is used in a `select` with the context, as in a program that must be able to stop.\n")
	b.WriteString(r.summary())
	p("\n## Method\n")
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
The queue and its peers take turns in one process, in an order that is reversed each round. Ratios are computed within each
round; the tables show the median over the rounds, with the quartiles in parentheses. Garbage is collected before each round
and not timed. For times per item, each side moves as many ints as it can in the time of a round (-time, 20 ms by default), as
calibrated by the fastest of three samples, but at least four times the capacity. A slow side therefore moves fewer. Latency,
memory and the longest put are measured over the same number of items on all sides.

Each round checks what was received: the sum of the items, the order of priorities, the last items of drop-oldest. (Python's
queues are checked in pipelines only; memory and the longest put receive nothing.)

The goroutines of a pipeline start together at a barrier, so neither producers nor consumers are blocked before the others
begin. Each peer, including the queue, is called through an interface, once per item. Each call is passed a context, and each
` + "`select`" + ` calls its Done method. Peers that cannot block are called again after runtime.Gosched until they succeed: they
busy-wait, and are fast as long as there are processors to spare.

The name of a cell selects it: ` + "`go run ./benchmarks -run 'pipeline/shape=4:4/cap=128/'`" + `. A dash means that the peer does not support
the workload or was not measured: Python's queues are measured in pipelines 1:1 and 4:4 and in priorities with a backlog. In the
tables of medians, a number after a slash is allocations per item. The raw rounds are in [` + roundsFile + `](` + roundsFile + `).
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
	return ratios.String() + "\n" + values.String()
}

// value renders a side's median, and its allocations if it has any.
func (r rounds) value(metric int) string {
	v := figure(quartilesOf(r.Values[metric]).median)
	if allocs := quartilesOf(r.Allocs).median; allocs >= 0.05 {
		v += fmt.Sprintf(" / %.1f", allocs)
	}
	return v
}
