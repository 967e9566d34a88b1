// Lock compares the backoff that the queue's mutex uses under contention with
// simpler alternatives, and prints a Markdown table. It builds itself once for each
// alternative, with internal/park/mutex.go changed, and runs the programs in
// alternating rounds.
//
//	go run ./benchmarks/lock                       # about four minutes
//	go run ./benchmarks/lock -rounds 3 -time 50ms  # less precisely
//
// Times are the medians of the mutex as it is. The other columns are medians of
// the ratios to it in the same round: time per item, and after the slash
// processor time per item. On a busy machine, one process per processor spins
// meanwhile, so that goroutines are descheduled while they hold the mutex.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var err error
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case len(os.Args) == 3 && os.Args[1] == measureArg:
		err = measureAndPrint(os.Args[2], os.Stdout)
	case len(os.Args) == 2 && os.Args[1] == spinArg:
		spin(os.Stdin)
	default:
		rounds := flag.Int("rounds", 9, "how many `rounds` to run")
		length := flag.Duration("time", 100*time.Millisecond, "how long each program runs")
		flag.Parse()
		if flag.NArg() > 0 || *rounds < 1 || *length <= 0 {
			flag.Usage()
			os.Exit(2)
		}
		err = run(ctx, *rounds, *length, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lock:", err)
		os.Exit(1)
	}
}

// The arguments with which the program runs itself.
const (
	measureArg = "measure"
	spinArg    = "spin"
)

// A variant is a way to lock the mutex: mutex.go with some text replaced.
type variant struct {
	name    string
	replace []string // old, new, old, new, ...
}

var variants = []variant{
	{name: "as is"},
	{"Lock", []string{"lockAttempts = 4", "lockAttempts = 0"}},
	{"Gosched", []string{"lockAttempts = 4", "lockAttempts = 16", pause, "runtime.Gosched()", `"sync/atomic"`, ""}},
	{"1/4", []string{"lockPause    = 8000", "lockPause = 2000"}},
	{"1/2", []string{"lockPause    = 8000", "lockPause = 4000"}},
	{"x 2", []string{"lockPause    = 8000", "lockPause = 16000"}},
	{"NumCPU", []string{"runtime.GOMAXPROCS(0) > 1", "runtime.NumCPU() > 1"}},
}

const pause = `var idle atomic.Bool
			for range lockPause {
				idle.Load() // which no compiler takes out of the loop
			}`

// apply returns the source of the variant. Each text must be there once.
func (v variant) apply(source string) (string, error) {
	for i := 0; i < len(v.replace); i += 2 {
		if strings.Count(source, v.replace[i]) != 1 {
			return "", fmt.Errorf("variant %s: mutex.go does not have once: %s", v.name, v.replace[i])
		}
		source = strings.Replace(source, v.replace[i], v.replace[i+1], 1)
	}
	return source, nil
}

// A workload is what the programs run.
type workload struct {
	Producers, Consumers, Capacity int
	Timed                          bool // measure the p99.9 of Put, not the time per item
	Busy                           bool // on a busy machine
	Procs                          int
	Length                         time.Duration
}

func workloads(length time.Duration) (all []workload) {
	for _, procs := range []int{1, 2, 4, 8} {
		for _, w := range []workload{
			{Producers: 4, Consumers: 4, Capacity: 8192},
			{Producers: 4, Consumers: 4, Capacity: 128},
			{Producers: 8, Consumers: 1, Capacity: 128},
			{Producers: 1, Consumers: 8, Capacity: 128},
			{Producers: 4, Consumers: 4, Capacity: 8192, Timed: true},
			{Producers: 4, Consumers: 4, Capacity: 8192, Busy: true},
			{Producers: 4, Consumers: 4, Capacity: 8192, Timed: true, Busy: true},
		} {
			w.Procs, w.Length = procs, length
			all = append(all, w)
		}
	}
	return all
}

func (w workload) String() string {
	name := fmt.Sprintf("%d:%d, capacity %d", w.Producers, w.Consumers, w.Capacity)
	if w.Timed {
		name += ", p99.9 of Put"
	}
	if w.Busy {
		name += ", busy"
	}
	return name
}

// A result is what one program measured.
type result struct {
	Time      float64 // ns an item, or the p99.9 of Put
	Processor float64 // ns an item
	Items     int
}

func run(ctx context.Context, rounds int, length time.Duration, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "lock")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := build(ctx, dir)
	if err != nil {
		return err
	}
	all := workloads(length)
	results := make([][][]result, len(all)) // by workload and variant
	order := make([]int, len(variants))
	for i := range order {
		order[i] = i
	}
	for round := range rounds {
		fmt.Fprintf(progress, "round %d of %d\n", round+1, rounds)
		for i, w := range all {
			if results[i] == nil {
				results[i] = make([][]result, len(variants))
			}
			for _, v := range order {
				r, err := w.runIn(ctx, programs[v])
				if err != nil {
					return err
				}
				results[i][v] = append(results[i][v], r)
			}
		}
		slices.Reverse(order)
	}
	fmt.Fprintf(out, "%d rounds of %v, %s, %s/%s, %d processors\n\n", rounds, length, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	writeTable(out, all, results)
	return nil
}

// build builds the program of each variant in dir.
func build(ctx context.Context, dir string) (programs []string, err error) {
	where := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/boundq/queue/internal/park")
	text, err := where.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	file := filepath.Join(strings.TrimSpace(string(text)), "mutex.go")
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for i, v := range variants {
		changed, err := v.apply(string(source))
		if err != nil {
			return nil, err
		}
		base := filepath.Join(dir, fmt.Sprint(i))
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: base + ".go"}})
		if err != nil {
			return nil, err
		}
		if err := errors.Join(os.WriteFile(base+".go", []byte(changed), 0o666), os.WriteFile(base+".json", overlay, 0o666)); err != nil {
			return nil, err
		}
		program := base + ".exe"
		compile := exec.CommandContext(ctx, "go", "build", "-overlay="+base+".json", "-o", program, "github.com/boundq/queue/benchmarks/lock")
		if text, err := compile.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", v.name, err, text)
		}
		programs = append(programs, program)
	}
	return programs, nil
}

// runIn runs the workload in a program of its own.
func (w workload) runIn(ctx context.Context, program string) (r result, err error) {
	if w.Busy {
		stop, err := spinners(ctx, program, runtime.NumCPU())
		if err != nil {
			return r, err
		}
		defer stop()
	}
	arg, err := json.Marshal(w)
	if err != nil {
		return r, err
	}
	command := exec.CommandContext(ctx, program, measureArg, string(arg))
	command.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", w.Procs))
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", w, err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, err
	}
	used := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	r.Processor = float64(used.Nanoseconds()) / float64(r.Items)
	return r, nil
}

// spinners starts programs that keep processors busy until stop.
func spinners(ctx context.Context, program string, n int) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running []*exec.Cmd
	stop = func() {
		cancel()
		for _, s := range running {
			_ = s.Wait()
		}
	}
	for range n {
		s := exec.CommandContext(ctx, program, spinArg)
		if _, err := s.StdinPipe(); err != nil {
			stop()
			return nil, err
		}
		if err := s.Start(); err != nil {
			stop()
			return nil, err
		}
		running = append(running, s)
	}
	return stop, nil
}

// writeTable writes a row for each workload.
func writeTable(out io.Writer, all []workload, results [][][]result) {
	fmt.Fprint(out, "GOMAXPROCS | Workload | as is, ns")
	for _, v := range variants[1:] {
		fmt.Fprint(out, " | ", v.name)
	}
	fmt.Fprintf(out, "\n---%s\n", strings.Repeat("|---", len(variants)+1))
	for i, w := range all {
		base := results[i][0]
		fmt.Fprintf(out, "%d | %s | %s", w.Procs, w, w.cell("%.0f", base, func(r, _ float64) float64 { return r }, base))
		for _, v := range results[i][1:] {
			fmt.Fprint(out, " | ", w.cell("%.2f", v, func(r, base float64) float64 { return r / base }, base))
		}
		fmt.Fprintln(out)
	}
}

// cell renders the medians of what of makes of the rounds of a variant and of
// the mutex as it is.
func (w workload) cell(format string, rounds []result, of func(r, base float64) float64, base []result) string {
	var times, processor []float64
	for i, r := range rounds {
		times = append(times, of(r.Time, base[i].Time))
		processor = append(processor, of(r.Processor, base[i].Processor))
	}
	if w.Timed {
		return fmt.Sprintf(format, median(times))
	}
	return fmt.Sprintf(format+"/"+format, median(times), median(processor))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
