// Jetstream measures the cost of package natsqueue: items per second through its
// calls, compared with the best loops over NATS' own client with the same
// guarantees, and with a local queue; on one server and with three replicas. It
// then measures a full queue with many blocked producers, and how many messages
// handles exchange with the server while they are blocked. The servers run in the
// same process, are reached over TCP and store files on disk.
//
//	go run ./benchmarks/jetstream
//
// takes about ten minutes.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// sizes says how much is measured.
type sizes struct {
	rounds      int
	items       int   // of a workload, on one server
	itemsR3     int   // with three replicas
	fleets      []int // blocked handles
	fleetItems  int
	handles     []int // at rest
	settle, per time.Duration
}

func main() {
	err := run(context.Background(), os.Stdout, sizes{
		rounds: 5, items: 15_000, itemsR3: 6_000,
		fleets: []int{4, 50, 100, 200}, fleetItems: 600,
		handles: []int{1, 100, 1_000}, settle: 40 * time.Second, per: 20 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "jetstream:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, s sizes) error {
	dir, err := os.MkdirTemp("", "jetstream")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	one, err := deploy(ctx, dir, 1)
	if err != nil {
		return err
	}
	defer one.close()
	fmt.Fprintf(out, "Medians of %d alternating rounds; the ratio is to the client's best loop.\n", s.rounds)
	if err := throughput(ctx, out, one, "One server", s.rounds, s.items); err != nil {
		return err
	}
	if err := blockedFleets(ctx, out, one, s); err != nil {
		return err
	}
	if err := resting(ctx, out, one, s); err != nil {
		return err
	}

	three, err := deploy(ctx, dir, 3)
	if err != nil {
		return err
	}
	defer three.close()
	return throughput(ctx, out, three, "Three servers, three replicas", s.rounds, s.itemsR3)
}

func throughput(ctx context.Context, out io.Writer, d *deployment, title string, rounds, items int) error {
	fmt.Fprintf(out, "\n%s %*s %7s\n", title, 66-len(title), "items/s", "ratio")
	for _, w := range workloads {
		variants := append([]variant{w.natsqueue}, w.client...)
		if d.replicas == 1 {
			variants = append(variants, variant{"local queue", w.local})
		}
		items := items / w.share / batch * batch
		rates := make([][]float64, len(variants))
		for range rounds { // alternating, so that a change of the machine's load meets all alike
			for i, v := range variants {
				elapsed, err := v.measure(ctx, d, items)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, v.name, err)
				}
				rates[i] = append(rates[i], float64(items)/elapsed.Seconds())
			}
		}
		medians := make([]float64, len(variants))
		for i := range rates {
			medians[i] = median(rates[i])
		}
		best := slices.Max(medians[1 : 1+len(w.client)])
		fmt.Fprintf(out, "%s, %d items\n", w.name, items)
		for i, v := range variants {
			fmt.Fprintf(out, "  %-56s %10.0f %7.2f\n", v.name, medians[i], medians[i]/best)
		}
	}
	return nil
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func blockedFleets(ctx context.Context, out io.Writer, d *deployment, s sizes) error {
	fmt.Fprintf(out, "\nA full queue with room for one, one worker, a handle a connection; %d items\n", s.fleetItems)
	fmt.Fprintf(out, "%8s  %-10s %9s %7s %15s %14s\n", "blocked", "", "items/s", "ratio", "publishes/item", "wake-ups/item")
	for _, size := range s.fleets {
		items, publishes, wakeUps := make([][]float64, len(ways)), make([][]float64, len(ways)), make([][]float64, len(ways))
		for range s.rounds {
			for i, w := range ways {
				rate, err := blockedFleet(ctx, d, w, size, s.fleetItems)
				if err != nil {
					return fmt.Errorf("%d blocked handles, %s: %w", size, w.name, err)
				}
				items[i] = append(items[i], rate.items)
				publishes[i] = append(publishes[i], rate.publishes)
				wakeUps[i] = append(wakeUps[i], rate.wakeUps)
			}
		}
		client := median(items[len(ways)-1])
		for i, w := range ways {
			fmt.Fprintf(out, "%8d  %-10s %9.0f %7.2f %15.1f %14.1f\n",
				size, w.name, median(items[i]), median(items[i])/client, median(publishes[i]), median(wakeUps[i]))
		}
	}
	return nil
}

// resting measures idle fleets of all sizes at the same time, for they do little.
func resting(ctx context.Context, out io.Writer, d *deployment, s sizes) error {
	fmt.Fprintf(out, "\nMessages a second between the server and handles at rest, over %v after %v\n", s.per, s.settle)
	fmt.Fprintf(out, "%8s  %-10s %12s %15s\n", "handles", "", "empty queue", "full queue")
	rates := make([][][2]float64, len(ways)) // by size, empty and full
	for i, w := range ways {
		rates[i] = make([][2]float64, len(s.handles))
		for k, full := range []bool{false, true} {
			var fleets errgroup.Group
			if full { // the client's loops keep the server busy
				fleets.SetLimit(1)
			}
			for j, size := range s.handles {
				fleets.Go(func() (err error) {
					rates[i][j][k], err = atRest(ctx, d, w, full, size, s.settle, s.per)
					return err
				})
			}
			if err := fleets.Wait(); err != nil {
				return err
			}
		}
	}
	for j, size := range s.handles {
		for i, w := range ways {
			fmt.Fprintf(out, "%8d  %-10s %12.1f %15.1f\n", size, w.name, rates[i][j][0], rates[i][j][1])
		}
	}
	return nil
}
