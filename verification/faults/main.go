// Command faults shows that the tests detect faults that other queues are known to
// have had. It builds each fault of a table into the code, runs the fault's test,
// and expects it to fail.
//
//	go run ./verification/faults          # all
//	go run ./verification/faults -short   # the first of each class
//	go run ./verification/faults -run 17  # one class
//	go run ./verification/faults -match 'Goexit|nil' # those whose description matches
//
// The table describes a fault by a function, the code to look for in it, and its
// replacement. Code is matched by syntax, regardless of comments and formatting.
//
// A test that hangs has detected the fault too, whether its own watchdog or the
// time limit ends it. The program exits with status 1 if a test passes in spite of
// the fault, or if the code to replace is not found.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/boundq/queue/verification/internal/changed"
)

func main() {
	short := flag.Bool("short", false, "try only the first fault of each class")
	only := flag.Int("run", 0, "try only faults of the class with this `number`")
	match := flag.String("match", "", "try only faults whose description matches this `regexp`")
	workers := flag.Int("workers", 2, "how many faults are tried at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	described, err := regexp.Compile(*match)
	if err == nil {
		err = run(ctx, os.Stdout, *short, *only, described, *workers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// A trial is a fault and what came of it.
type trial struct {
	class int // from 1 on
	fault
	result string
	err    error
	took   time.Duration
	over   chan struct{} // closed when the above are set
}

func run(ctx context.Context, out io.Writer, short bool, only int, described *regexp.Regexp, workers int) error {
	root, err := changed.Root(ctx)
	if err != nil {
		return err
	}
	var trials []*trial
	for i, c := range classes {
		for j, f := range c.faults {
			if (only == 0 || only == i+1) && (!short || j == 0) && described.MatchString(f.what) {
				trials = append(trials, &trial{class: i + 1, fault: f, over: make(chan struct{})})
			}
		}
	}
	usual, err := passing(ctx, root, trials)
	if err != nil {
		return err
	}
	queue := make(chan *trial)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for t := range queue {
				began := time.Now()
				t.result, t.err = t.try(ctx, root, 5*time.Second+5*usual[t.dir()][t.name()])
				t.took = time.Since(began)
				close(t.over)
			}
		})
	}
	all.Go(func() {
		defer close(queue)
		for _, t := range trials {
			queue <- t
		}
	})
	defer all.Wait()
	return report(out, trials)
}

// report says of each trial what came of it, in their order, as soon as it is
// over.
func report(out io.Writer, trials []*trial) error {
	class, wrong := 0, 0
	for _, t := range trials {
		<-t.over
		if t.class != class {
			class = t.class
			fmt.Fprintf(out, "%2d %s\n", class, classes[class-1].name)
		}
		result := t.result
		if t.err != nil {
			wrong++
			result = "WRONG: " + t.err.Error()
		}
		fmt.Fprintf(out, "   %-58s %s: %s (%.1f s)\n", t.what, t.test, result, t.took.Seconds())
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d faults: not as expected", wrong, len(trials))
	}
	fmt.Fprintf(out, "%d faults, each noticed by its test\n", len(trials))
	return nil
}

var ended = regexp.MustCompile(`(?m)^--- PASS: (\w+) \(([0-9.]+)s\)$`)

// passing runs the tests of all trials on the code as it is, on which they must
// pass, and returns how long each took, by the directory of its package and its
// name.
func passing(ctx context.Context, root string, trials []*trial) (map[string]map[string]time.Duration, error) {
	tests := make(map[string][]string)
	for _, t := range trials {
		tests[t.dir()] = append(tests[t.dir()], t.name())
	}
	usual := make(map[string]map[string]time.Duration)
	for dir, names := range tests {
		var err error
		if usual[dir], err = pass(ctx, filepath.Join(root, dir), names); err != nil {
			return nil, err
		}
	}
	return usual, nil
}

// pass runs tests of the package in a directory, which must pass, and returns
// how long each took.
func pass(ctx context.Context, dir string, names []string) (map[string]time.Duration, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-run", "^("+strings.Join(names, "|")+")$", ".")
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("the tests fail without any fault: %w\n%s", err, output)
	}
	usual := make(map[string]time.Duration)
	for _, match := range ended.FindAllStringSubmatch(string(output), -1) {
		seconds, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return nil, err
		}
		usual[match[1]] = time.Duration(seconds * float64(time.Second))
	}
	for _, name := range names {
		if _, ran := usual[name]; !ran {
			return nil, fmt.Errorf("there is no test %s", name)
		}
	}
	return usual, nil
}

// try builds the fault in and runs its test, which must fail.
func (t *trial) try(ctx context.Context, root string, limit time.Duration) (string, error) {
	code, err := apply(root, t.edits)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := changed.Overlay(dir, code)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "queue.test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", program, ".")
	cmd.Dir = filepath.Join(root, t.dir())
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the fault does not compile: %w\n%s", err, output)
	}
	cmd = exec.CommandContext(ctx, program, "-test.run", "^"+t.name()+"$", "-test.failfast", "-test.timeout", limit.String())
	cmd.Dir = filepath.Join(root, t.dir())
	output, err := cmd.CombinedOutput()
	switch text := string(output); {
	case err == nil:
		return "", fmt.Errorf("the test passes")
	case strings.Contains(text, "panic: test timed out"), strings.Contains(text, "panic: a call hangs"), strings.Contains(text, "panic: keyed: a call hangs"):
		return "hangs", nil
	case strings.Contains(text, "deadlock"):
		return "deadlocks", nil
	case strings.Contains(text, "--- FAIL: "+t.name()):
		return "fails", nil
	case strings.Contains(text, "panic: "), strings.Contains(text, "fatal error: "):
		return "panics", nil
	default:
		return "", fmt.Errorf("the test does not end as one that fails: %w\n%s", err, text)
	}
}
