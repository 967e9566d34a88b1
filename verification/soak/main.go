// Soak subjects the queues to everything at once and accounts for every item:
// producers, consumers, workers that panic or exit, contexts that end at any time,
// compare functions that fail, resizes, joins, and shutdowns, with a new queue
// after each shutdown.
//
//	go run ./verification/soak -duration 1m
//
// It prints its progress each second. It exits with status 0 if every guarantee
// held, and with 1 at the first discrepancy: it then prints what was wrong, the
// last calls of each goroutine, and the seed with which to try again. The seed
// repeats what the goroutines do, but not how the scheduler interleaves them, so
// reproducing a failure may take several tries. If interrupted, it finishes the
// current round first.
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
	"slices"
	"strings"
	"time"

	"github.com/boundq/queue"
	"github.com/boundq/queue/keyed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	options := options{make: newQueue, patience: 30 * time.Second}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&options.duration, "duration", time.Minute, "how long to run")
	flags.Uint64Var(&options.seed, "seed", uint64(rand.Uint32()), "seed of the first round; each further round uses the next one")
	flags.DurationVar(&options.round, "round", 200*time.Millisecond, "how long a queue is used before it is shut down and replaced by a new one")
	order := flags.String("order", "all", strings.Join(orders, ", ")+" or all")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	wrong := ""
	switch {
	case flags.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q: there are only flags", flags.Arg(0))
	case options.duration <= 0:
		wrong = fmt.Sprintf("-duration %v is not longer than 0", options.duration)
	case options.round <= 0:
		wrong = fmt.Sprintf("-round %v is not longer than 0", options.round)
	case *order == "all":
		options.orders = orders
	case !slices.Contains(orders, *order):
		wrong = fmt.Sprintf("-order %q is none of %s and all", *order, strings.Join(orders, ", "))
	default:
		options.orders = []string{*order}
	}
	if wrong != "" {
		fmt.Fprintln(stderr, "soak:", wrong)
		return 2
	}

	again := fmt.Sprintf("-order %s -round %v", *order, options.round)
	fmt.Fprintf(stdout, "soak: %v, -seed %d %s\n", options.duration, options.seed, again)
	total, err := soak(ctx, options, func(f figures) { fmt.Fprintln(stdout, f) })
	fmt.Fprintln(stdout, total)
	fmt.Fprintln(stdout, total.summary())
	var d *discrepancy
	if errors.As(err, &d) {
		fmt.Fprintf(stdout, "\nWhat each did last, in the order in which it began:\n%s\nDISCREPANCY in a %s: %s\nTo try again: go run ./verification/soak -seed %d %s\n",
			d.history, d.where, d.what, d.seed, again)
		return 1
	}
	fmt.Fprintln(stdout, "No discrepancy.")
	return 0
}

var orders = []string{"fifo", "lifo", "priority", "latest", "fair", "serial"}

func newQueue(order string, capacity int, compare func(a, b item) int) target {
	switch order {
	case "fifo":
		return queue.New[item](capacity)
	case "lifo":
		return queue.NewLIFO[item](capacity)
	case "latest":
		return newLatest()
	case "fair":
		return newFair(keyed.NewFair[uint16, item](capacity))
	case "serial":
		return newFair(keyed.NewSerial[uint16, item](capacity))
	default:
		return queue.NewPriority(capacity, compare)
	}
}
