// Chaos runs queues of package natsqueue under faults and accounts for every
// item. Each producer and worker is a process behind a proxy that cuts its
// connections in the middle of a write, leaves them half-open, delays them and
// drops answers. Producers, workers and servers are killed, and leaders step down.
// It runs on one server and on a cluster of three servers at the same time; on each
// there is a queue without priorities and a queue of three.
//
//	go run ./verification/chaos -duration 1m
//
// It exits with status 0 if no item was lost, invented or stored twice, if no
// queue held more than its capacity, and if no Join returned while an item
// was unfinished; otherwise with 1. Faults are injected for the given duration,
// each kind at least once; the producers and workers then need some seconds to
// finish. The seed repeats the faults, but not their timing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	if play, ok := roles[os.Getenv(roleKey)]; ok {
		if err := play(); err != nil {
			fmt.Fprintf(os.Stderr, "chaos: %s: %v\n", os.Getenv(roleKey), err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	duration time.Duration
	seed     uint64
	verbose  bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "how long to inject faults; each kind is injected at least once")
	flags.Uint64Var(&o.seed, "seed", uint64(rand.Uint32()), "seed of the choice and order of faults")
	flags.BoolVar(&o.verbose, "v", false, "print each fault")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	switch {
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "chaos: unexpected argument %q: there are only flags\n", flags.Arg(0))
		return 2
	case o.duration < 0:
		fmt.Fprintf(stderr, "chaos: -duration %v is negative\n", o.duration)
		return 2
	}
	fmt.Fprintf(stdout, "chaos: -duration %v -seed %d\n", o.duration, o.seed)
	var both sync.WaitGroup
	sizes := []int{1, 3}
	errs := make([]error, len(sizes))
	out := &lines{w: stdout}
	for i, size := range sizes {
		both.Go(func() { errs[i] = play(ctx, o, size, newBooks(), out) })
	}
	both.Wait()
	fmt.Fprintln(stdout)
	for i, err := range errs {
		if err != nil {
			fmt.Fprintf(stdout, "FAILED on %s: %v\n", nodes(sizes[i]), err)
			status = 1
		}
	}
	if status == 0 {
		fmt.Fprintln(stdout, "No discrepancy.")
	}
	return status
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprint(n, " nodes")
}

// lines lets goroutines write, each a whole text at a time.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(text)
}
