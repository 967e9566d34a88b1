// Distributed runs producers and workers, each in its own process, on one queue in
// a cluster of three NATS servers, and kills a worker and a server while they run.
// At the end it checks that every item put was processed, some of them more than
// once, each in the trace that its producer started. It serves the queue's metrics
// meanwhile.
//
//	go run ./examples/distributed
//
// starts everything itself and takes about 15 seconds. With
//
//	go run ./examples/distributed -nats nats://a:4222,nats://b:4222
//
// it uses your cluster, kills none of its servers, and deletes its queue there at
// the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type config struct {
	nats     string // the servers' addresses; if empty, a cluster is started
	replicas int

	producers, items int           // processes, and how many items each puts
	workers          int           // processes
	every            time.Duration // pause between puts, and time to process an item
	metrics          string        // where to serve metrics
}

func main() {
	if role, ok := roles[os.Getenv(roleKey)]; ok {
		if err := role(); err != nil {
			fmt.Fprintf(os.Stderr, "distributed: %s: %v\n", os.Getenv(roleKey), err)
			os.Exit(1)
		}
		return
	}
	c, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "distributed:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "distributed:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string, usage io.Writer) (config, error) {
	c := config{producers: 2, items: 1000, workers: 3, every: 8 * time.Millisecond}
	flags := flag.NewFlagSet("distributed", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&c.nats, "nats", "", "use the NATS servers at these comma-separated `URLs`, instead of starting a cluster")
	flags.IntVar(&c.replicas, "replicas", 3, "store the queue on this `number` of servers")
	flags.StringVar(&c.metrics, "metrics", "127.0.0.1:0", "serve the queue's metrics at this `address`")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return c, nil
}
