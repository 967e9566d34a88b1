// Command mutation tests the tests: it changes the queue's code in many small
// ways, one at a time, runs the queue's tests on each of these mutants, and
// reports those on which no test fails.
//
//	go run ./verification/mutation                  # all, some minutes
//	go run ./verification/mutation -sample 200      # a random sample
//	go run ./verification/mutation -match '^join.go' # those of one file
//
// A mutant negates a condition or leaves out a part of it, shifts a bound,
// exchanges an operator, deletes a statement, zeroes a returned value, or makes a
// number one larger or smaller. equivalent.txt lists mutants that behave like the
// original, or differ only in ways that no documentation excludes, each with the
// reason; they are not run.
//
// All mutants of a package are compiled into one test program, and an environment
// variable selects one of them: compiling each separately would take far longer
// than running the tests on it.
//
// The program exits with status 1 if fewer than 95 % of the mutants are killed.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/boundq/queue/verification/internal/changed"
	"golang.org/x/tools/go/packages"
)

const required = 0.95 // the least score

//go:embed equivalent.txt
var equivalentText string

type options struct {
	sample      int
	seed        uint64
	match       *regexp.Regexp
	list        bool
	equivalents bool
	verbose     bool
	workers     int
}

func main() {
	var o options
	flag.IntVar(&o.sample, "sample", 0, "run a random sample of this `number` of mutants; 0 runs all")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the random sample")
	match := flag.String("match", "", "run only mutants whose description matches this `regexp`")
	flag.BoolVar(&o.list, "list", false, "list the mutants and run none")
	flag.BoolVar(&o.equivalents, "equivalents", false, "run only the mutants that are listed as equivalent")
	flag.BoolVar(&o.verbose, "v", false, "print the result of each mutant, and how long it took")
	flag.IntVar(&o.workers, "workers", 2, "number of mutants run at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if o.match, err = regexp.Compile(*match); err == nil {
		err = run(ctx, os.Stdout, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, o options) error {
	files, err := load(ctx)
	if err != nil {
		return err
	}
	reasons, err := parseEquivalent(equivalentText)
	if err != nil {
		return err
	}
	var chosen []*mutant
	equivalent := 0
	for _, f := range files {
		for _, m := range f.all {
			if !o.match.MatchString(m.String()) {
				continue
			}
			_, listed := reasons[m.String()]
			if listed {
				equivalent++
			}
			if listed == o.equivalents {
				chosen = append(chosen, m)
			}
		}
	}
	if o.list {
		for _, m := range chosen {
			fmt.Fprintf(out, "line %d: %s\n", m.line, m)
		}
		return nil
	}
	if total := len(chosen); o.sample > 0 && o.sample < total {
		fmt.Fprintf(out, "%d of %d mutants, chosen by -seed %d\n", o.sample, total, o.seed)
		rand.New(rand.NewPCG(o.seed, 0)).Shuffle(total, func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:o.sample]
	}

	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs, err := build(ctx, dir, files)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := p.measure(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	count := judgeAll(ctx, out, programs, chosen, o)
	if err := ctx.Err(); err != nil {
		return err
	}
	dead := count[killed] + count[timedOut]
	score := float64(dead) / float64(max(len(chosen), 1))
	fmt.Fprintf(out, "%d mutants: %d killed, %d of them by a timeout; %d survived; score %.1f %%; %d more are equivalent; %.0f s\n",
		len(chosen), dead, count[timedOut], count[survived], 100*score, equivalent, time.Since(began).Seconds())
	switch {
	case o.equivalents && dead > 0:
		return errors.New("mutants that are listed as equivalent were killed")
	case !o.equivalents && score < required:
		return errors.New("too many mutants survived")
	}
	return nil
}

// load reads the module's packages and finds their mutants.
func load(ctx context.Context) ([]*file, error) {
	root, err := changed.Root(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, err := packages.Load(&packages.Config{Context: ctx, Dir: root, Mode: packages.LoadSyntax}, "./...")
	if err != nil {
		return nil, err
	}
	var files []*file
	next := 1
	for _, pkg := range pkgs {
		if len(pkg.Errors) > 0 {
			return nil, pkg.Errors[0]
		}
		if strings.HasSuffix(pkg.PkgPath, "test") {
			continue // of use to tests alone
		}
		for i, source := range pkg.CompiledGoFiles {
			src, err := os.ReadFile(source)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(root, source)
			if err != nil {
				return nil, err
			}
			f := newFile(pkg, pkg.Syntax[i], filepath.ToSlash(name), src, next)
			next += len(f.all)
			files = append(files, f)
		}
	}
	return files, nil
}

// parseEquivalent returns the reason of each mutant that is listed. A line is a
// mutant, and the indented lines below it, or below it and more mutants, are the
// reason.
func parseEquivalent(text string) (map[string]string, error) {
	reasons := make(map[string]string)
	var names []string
	reason := ""
	end := func() {
		for _, name := range names {
			reasons[name] = reason
		}
		names, reason = nil, ""
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "\t"):
			reason = strings.TrimSpace(reason + " " + strings.TrimSpace(line))
		default:
			if reason != "" {
				end()
			}
			if _, again := reasons[line]; again {
				return nil, fmt.Errorf("equivalent.txt:%d: %s: listed twice", i+1, line)
			}
			names = append(names, line)
		}
	}
	end()
	return reasons, nil
}

// judgeAll runs the tests on the mutants, says which survived, and returns how
// many ended in which way.
func judgeAll(ctx context.Context, out io.Writer, programs []*program, mutants []*mutant, o options) map[verdict]int {
	count := make(map[verdict]int)
	queue := make(chan *mutant)
	var mu sync.Mutex // guards count and out
	var all sync.WaitGroup
	for range o.workers {
		all.Go(func() {
			for m := range queue {
				began := time.Now()
				v := m.judge(ctx, programs)
				mu.Lock()
				count[v]++
				if o.verbose {
					fmt.Fprintf(out, "%s after %.1f s, line %d: %s\n", v, time.Since(began).Seconds(), m.line, m)
				} else if v == survived {
					fmt.Fprintf(out, "%s, line %d: %s\n", v, m.line, m)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		if ctx.Err() == nil {
			queue <- m
		}
	}
	close(queue)
	all.Wait()
	return count
}
