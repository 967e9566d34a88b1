// Distributed lets producers and workers, each a process of its own, share a
// queue on a cluster of three NATS servers, and kills a worker and a server
// while they do. In the end it accounts for every item: all that were put have
// been worked on, some of them twice.
//
//	go run ./examples/distributed
//
// starts everything itself and takes about a quarter of a minute. With
//
//	go run ./examples/distributed -nats nats://a:4222,nats://b:4222
//
// it uses a cluster of your own, none of whose servers it kills, and deletes its
// queue there at the end.
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
	nats     string // the servers' addresses; "" starts a cluster
	replicas int

	producers, items int // processes, and how many items each puts
	workers          int // processes
	every            time.Duration
}

func main() {
	if play, ok := roles[os.Getenv(roleKey)]; ok {
		if err := play(); err != nil {
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
	flags.StringVar(&c.nats, "nats", "", "use the NATS servers at these `URLs`, separated by commas, instead of a cluster of the program's own")
	flags.IntVar(&c.replicas, "replicas", 3, "keep the queue on so many servers")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return c, nil
}
