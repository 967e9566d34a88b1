// Benchmarks compares the queue with channels and with other queues, side by
// side in one process, in alternating rounds, and prints the ratios.
//
//	go run ./benchmarks                                  # everything: about two minutes
//	go run ./benchmarks -run 'pipeline/.*cap=128/'       # some cells
//	go run ./benchmarks -run 'peer=chan(\+select)?$'     # some peers
//	go run ./benchmarks -run solo -rounds 25 -time 50ms  # more exactly
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	run    *regexp.Regexp
	rounds int
	time   time.Duration
	python string
	out    string
}

func parseFlags(args []string, usage io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(usage)
	pattern := flags.String("run", "", "measure the cells and peers whose `name` (workload/parameters/peer=...) matches this regular expression")
	flags.IntVar(&c.rounds, "rounds", 9, "how many rounds each side does")
	flags.DurationVar(&c.time, "time", 20*time.Millisecond, "how long the queue's round takes, about")
	flags.StringVar(&c.python, "python", "", "measure the queues of the Python interpreter at `path` too")
	flags.StringVar(&c.out, "out", "", "write BENCHMARKS.md, charts and the raw rounds into `dir`, and the short table into its README.md if that has a place for it")
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
	}
	return c, nil
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

// run measures what c asks for, reports its progress, and prints the table.
func run(ctx context.Context, c config, out, progress io.Writer) error {
	all := cells()
	if c.python != "" {
		python, err := startPython(ctx, c.python, progress)
		if err != nil {
			return fmt.Errorf("-python: %w", err)
		}
		defer python.close()
		python.join(all)
	}
	chosen := selected(all, c.run)
	if len(chosen) == 0 {
		return fmt.Errorf("-run: no cell matches %q", c.run)
	}
	var results []result
	for i, cell := range chosen {
		fmt.Fprintf(progress, "%3d/%d  %s", i+1, len(chosen), cell.name)
		start := time.Now()
		r, err := cell.measure(ctx, c.rounds, c.time)
		if err != nil {
			fmt.Fprintln(progress)
			return err
		}
		fmt.Fprintf(progress, "  %.1fs\n", time.Since(start).Seconds())
		results = append(results, r)
	}
	return writeTable(out, results)
}
