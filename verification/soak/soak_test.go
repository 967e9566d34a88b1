package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// never is what cannot happen to a queue.
var never = map[string][]string{
	"latest": {"resizes", "requeued", "batches", "refused"},
	"fair":   {"resizes", "requeued", "batches", "evicted"},
	"serial": {"resizes", "requeued", "batches", "evicted"},
}

// It runs until everything has happened: a second, on a machine that is not busy.
// The limit on the test ends it if something never happens.
func TestAShortSoakFindsNoDiscrepancy(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			o := options{duration: time.Hour, round: 30 * time.Millisecond, seed: uint64(time.Now().UnixNano()), orders: []string{order},
				patience: 30 * time.Second, make: newQueue}
			missing := func(f figures) string {
				for what, n := range map[string]*atomic.Uint64{
					"rounds": &f.rounds, "put": &f.put, "received": &f.received, "evicted": &f.evicted, "drained": &f.drained, "refused": &f.refused,
					"cancelled": &f.cancelled, "panics": &f.panics, "exits": &f.exits, "joins": &f.joins, "resizes": &f.resizes,
					"requeued": &f.requeued, "batches": &f.batches, "signals": &f.signals, "context faults": &f.contextFaults,
				} {
					if n.Load() == 0 && !slices.Contains(never[order], what) {
						return what
					}
				}
				return ""
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			f, err := soak(ctx, o, func(f figures) {
				if missing(f) == "" {
					cancel()
				}
			})
			require.NoError(t, err, "seed %d", o.seed)
			require.Empty(t, missing(f), "this never happened")
			if order != "priority" {
				require.Zero(t, f.lost.Load(), "compare ends no goroutine here")
			}
		})
	}
}

// An interrupter interrupts the program when it writes a line about rounds.
type interrupter struct {
	strings.Builder
	interrupt context.CancelFunc
}

func (w *interrupter) Write(text []byte) (int, error) {
	if strings.Contains(string(text), " rounds ") {
		w.interrupt()
	}
	return w.Builder.Write(text)
}

func TestTheProgramPrintsWhatItDid(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	stdout, stderr := interrupter{interrupt: cancel}, strings.Builder{}
	require.Zero(t, run(ctx, []string{"-duration", "1h", "-seed", "7", "-order", "fifo"}, &stdout, &stderr))
	require.Empty(t, stderr.String())
	require.Contains(t, stdout.String(), "soak: 1h0m0s, -seed 7 -order fifo -round 200ms\n")
	lines := regexp.MustCompile(`(?m)^ +\d+s +\d+ rounds `).FindAllString(stdout.String(), -1)
	require.GreaterOrEqual(t, len(lines), 2, "a live line and the last one")
	require.True(t, strings.HasSuffix(stdout.String(), "No discrepancy.\n"), stdout.String())
}

func TestAnInterruptEndsTheProgramEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr strings.Builder
	require.Zero(t, run(ctx, nil, &stdout, &stderr))
	require.Regexp(t, `\n +\d+s       0 rounds `, stdout.String())
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"-duration 0s", "-duration 0s is not longer than 0"},
		{"-duration soon", `invalid value "soon" for flag -duration`},
		{"-round -1s", "-round -1s is not longer than 0"},
		{"-order fila", `-order "fila" is none of fifo, lifo, priority, latest, fair, serial and all`},
		{"-seed -1", `invalid value "-1" for flag -seed`},
		{"1m", `unexpected argument "1m"`},
	} {
		var stdout, stderr strings.Builder
		require.Equal(t, 2, run(context.Background(), strings.Fields(c.flags), &stdout, &stderr), c.flags)
		require.Contains(t, stderr.String(), c.want)
		require.Empty(t, stdout.String())
	}
	var stdout, stderr strings.Builder
	require.Zero(t, run(context.Background(), []string{"-h"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "how long to run")
}

// The command that the documentation names is run from the repository's root.
func TestTheProgramIsWhereItsDocumentationSays(t *testing.T) {
	work, err := os.ReadFile(filepath.Join("..", "..", "go.work"))
	require.NoError(t, err)
	require.Contains(t, string(work), "./verification\n")
}
