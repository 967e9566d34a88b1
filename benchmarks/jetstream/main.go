// Jetstream measures what package natsqueue costs on top of the engine that
// carries it: items a second through its Put and Tasks, beside loops that use
// the engine's client directly and give the same guarantees, and beside a local
// queue. The server runs in the same process, is reached over TCP and stores in
// files.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	items      = 15_000
	rounds     = 5
	goroutines = 16
)

func main() {
	if err := run(os.Stdout, items, rounds); err != nil {
		fmt.Fprintln(os.Stderr, "jetstream:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, items, rounds int) error {
	dir, err := os.MkdirTemp("", "jetstream")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// A server without streams removes their directory, and may do so just as
	// the next one is being made there.
	if _, err := js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "stays"}); err != nil {
		return err
	}

	for i, w := range workloads {
		items := items
		if i == 0 {
			items /= 10 // one goroutine mostly waits
		}
		fmt.Fprintf(out, "%s, items/s and beside the first, median of %d rounds of %d\n", w.name, rounds, items)
		rates := make([][]float64, len(w.contestants))
		for range rounds { // in turns, so that the machine's moods strike all alike
			for i, c := range w.contestants {
				elapsed, err := c.run(context.Background(), js, items)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, c.name, err)
				}
				rates[i] = append(rates[i], float64(items)/elapsed.Seconds())
			}
		}
		var first float64
		for i, c := range w.contestants {
			slices.Sort(rates[i])
			median := rates[i][len(rates[i])/2]
			if i == 0 {
				first = median
			}
			fmt.Fprintf(out, "  %-44s %10.0f  %8.2f\n", c.name, median, median/first)
		}
	}
	return nil
}
