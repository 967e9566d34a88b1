// Marketdata reads trades from a WebSocket into a queue. Several workers build
// bars (open, high, low, close and volume) from them, which are stored in a
// DuckDB database.
//
// By default the program generates the trades itself, serves them over a WebSocket
// on the loopback interface in Hyperliquid's protocol, and stops after ten seconds.
// With
//
//	go run ./examples/marketdata -url wss://api.hyperliquid.xyz/ws -coins BTC,ETH -duration 0
//
// it reads real trades until it is interrupted. With
//
//	go run ./examples/marketdata -http localhost:8080
//
// it serves a live page, with controls for the load and the settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	c, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "marketdata:", err)
		os.Exit(2)
	}
	stop, now := interrupts()
	if err := run(c, stop, now, os.Stdout, log); err != nil {
		fmt.Fprintln(os.Stderr, "marketdata:", err)
		os.Exit(1)
	}
}

// interrupts returns a context that is done at the first SIGINT or SIGTERM, and
// one that is done at the second. A third signal kills the program.
func interrupts() (first, second context.Context) {
	first, stop := context.WithCancel(context.Background())
	second, halt := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		halt()
		signal.Stop(signals)
	}()
	return first, second
}

// run runs the pipeline, from the exchange to the summary.
func run(c config, stop, now context.Context, out io.Writer, log *slog.Logger) (err error) {
	stop, shutdown := context.WithCancel(stop)
	defer shutdown()
	if c.duration > 0 {
		defer time.AfterFunc(c.duration, shutdown).Stop()
	}
	url := c.url
	var embedded *exchange
	var burst func()
	if url == "" {
		var trades source
		trades, burst = c.source(log)
		if embedded, err = startExchange(trades); err != nil {
			return err
		}
		defer embedded.close()
		url = embedded.url
	}
	store, err := openStore(context.Background(), c.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()

	p := newPipeline(c, url, store.upsert, log)
	var live *page
	if c.http != "" {
		if live, err = servePage(c.http, p, shutdown, burst); err != nil {
			return err
		}
		defer live.close()
		fmt.Fprintf(out, "live at %s\n", live.url)
	}
	monitoring, endMonitor := context.WithCancel(context.Background())
	var monitor sync.WaitGroup
	monitor.Go(func() { p.monitor(monitoring, out) })
	err = p.run(stop, now)
	endMonitor()
	monitor.Wait()
	if err != nil {
		return err
	}
	if embedded != nil {
		if err := embedded.failure(); err != nil {
			return err
		}
	}

	if c.parquet != "" {
		if err := store.writeParquet(context.Background(), c.parquet); err != nil {
			return err
		}
	}
	coins, err := store.summary(context.Background())
	if err != nil {
		return err
	}
	s := p.summary(coins)
	if live != nil {
		live.end(s)
	}
	if c.json {
		err = s.writeJSON(out)
	} else {
		err = s.writeText(out)
	}
	return errors.Join(err, s.check())
}
