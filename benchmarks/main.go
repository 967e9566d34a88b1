// Benchmarks compares the queue with channels and with other queues, side by
// side in one process, in alternating rounds, and prints the ratios. It also
// writes BENCHMARKS.md, its charts, and the summary in the README.
//
//	go run ./benchmarks                                  # everything but Python: about three minutes
//	go run ./benchmarks -run 'pipeline/.*cap=128/'       # some cells
//	go run ./benchmarks -run 'peer=chan(\+select)?$'     # some peers
//	go run ./benchmarks -run solo -rounds 25 -time 50ms  # more precisely
//	go run ./benchmarks -out . -python python3           # everything that is published
//	go run ./benchmarks -from benchmarks/rounds.json     # the published figures, as a table
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	c, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

type config struct {
	run     *regexp.Regexp
	rounds  int
	time    time.Duration
	python  string
	out     string
	from    string
	command string // to repeat the run, without paths of this machine
}

func parseFlags(args []string, usage io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(usage)
	pattern := flags.String("run", "", "measure the cells and peers whose `name` (workload/parameters/peer=...) matches this regular expression")
	flags.IntVar(&c.rounds, "rounds", 9, "how many `rounds` to run")
	flags.DurationVar(&c.time, "time", 20*time.Millisecond, "how long one round of one side takes, approximately; a round moves at least four times the capacity")
	flags.StringVar(&c.python, "python", "", "also measure the queues of the Python interpreter at `path`")
	flags.StringVar(&c.out, "out", "", "write BENCHMARKS.md, charts and the raw rounds of a whole run to `dir`, and the summary to the README.md there if it has the markers")
	flags.StringVar(&c.from, "from", "", "measure nothing; show the raw rounds that -out wrote to `file`")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	var err error
	switch c.run, err = regexp.Compile(*pattern); {
	case err != nil:
		return c, fmt.Errorf("-run: %w", err)
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.rounds < 1:
		return c, errors.New("-rounds must be at least 1")
	case c.time <= 0:
		return c, errors.New("-time must be positive")
	case c.out != "" && *pattern != "":
		return c, errors.New("-out needs a whole run: it cannot be combined with -run")
	}
	c.command = "go run ./benchmarks"
	flags.Visit(func(f *flag.Flag) {
		value := f.Value.String()
		if c.from != "" && f.Name != "from" && f.Name != "out" {
			err = fmt.Errorf("-from measures nothing: it cannot be combined with -%s", f.Name)
		}
		switch f.Name {
		case "python":
			value = filepath.Base(value)
		case "out":
			value = "."
		}
		c.command += " -" + f.Name + " " + value
	})
	return c, err
}

// selected returns the cells that a pattern selects, each with the queue and
// the peers that it selects.
func selected(all []cell, pattern *regexp.Regexp) (some []cell) {
	for _, c := range all {
		sides := c.sides[:1:1]
		for _, s := range c.sides[1:] {
			if pattern.MatchString(c.name + "/peer=" + s.peer) {
				sides = append(sides, s)
			}
		}
		if len(sides) > 1 {
			c.sides = sides
			some = append(some, c)
		}
	}
	return some
}

// run prints the table and writes the files that c asks for.
func run(ctx context.Context, c config, out, progress io.Writer) error {
	if c.out != "" { // fail now rather than after the measurements
		if err := os.MkdirAll(c.out, 0o777); err != nil {
			return err
		}
	}
	var r report
	var err error
	if c.from != "" {
		r, err = readReport(c.from)
	} else {
		r, err = compare(ctx, c, progress)
	}
	if err != nil {
		return err
	}
	if c.out != "" {
		if err := r.write(c.out); err != nil {
			return err
		}
	}
	return writeTable(out, r.Cells)
}

// compare measures the cells that c selects and reports its progress.
func compare(ctx context.Context, c config, progress io.Writer) (report, error) {
	r := report{Machine: thisMachine(), Command: c.command, Rounds: c.rounds, Modules: modules()}
	all := cells(fullSizes)
	if c.python != "" {
		python, err := startPython(ctx, c.python, progress)
		if err != nil {
			return r, fmt.Errorf("-python: %w", err)
		}
		defer python.close()
		python.join(all)
		r.Python = python.version
	}
	chosen := selected(all, c.run)
	if len(chosen) == 0 {
		return r, fmt.Errorf("-run: no cell matches %q", c.run)
	}
	begin := time.Now()
	for i, cell := range chosen {
		fmt.Fprintf(progress, "%4.0fs  %*d/%d  %s\n", time.Since(begin).Seconds(), 3, i+1, len(chosen), cell.name)
		result, err := cell.measure(ctx, c.rounds, c.time)
		if err != nil {
			return r, err
		}
		r.Cells = append(r.Cells, result)
	}
	fmt.Fprintf(progress, "%4.0fs\n", time.Since(begin).Seconds())
	return r, nil
}
