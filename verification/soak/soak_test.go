package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// As long as it takes for everything to have happened: a second, on a machine that
// is not busy.
func TestAShortSoakFindsNoDiscrepancy(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			o := options{duration: time.Minute, round: 30 * time.Millisecond, seed: uint64(time.Now().UnixNano()), orders: []string{order},
				patience: 30 * time.Second, make: newQueue}
			missing := func(f figures) string {
				for what, n := range map[string]*atomic.Uint64{
					"rounds": &f.rounds, "put": &f.put, "gotten": &f.gotten, "evicted": &f.evicted, "drained": &f.drained, "refused": &f.refused,
					"cancelled": &f.cancelled, "panics": &f.panics, "exits": &f.exits, "joins": &f.joins, "resizes": &f.resizes,
				} {
					if n.Load() == 0 {
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

func TestTheProgramPrintsWhatItDid(t *testing.T) {
	var stdout, stderr strings.Builder
	require.Zero(t, run(context.Background(), []string{"-duration", "1100ms", "-seed", "7", "-order", "fifo"}, &stdout, &stderr))
	require.Empty(t, stderr.String())
	require.Contains(t, stdout.String(), "soak: 1.1s, -seed 7 -order fifo -round 200ms\n")
	require.Contains(t, stdout.String(), "    1s  ")
	require.True(t, strings.HasSuffix(stdout.String(), "No discrepancy.\n"), stdout.String())
}

func TestAnInterruptEndsTheProgramEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr strings.Builder
	require.Zero(t, run(ctx, nil, &stdout, &stderr))
	require.Contains(t, stdout.String(), "\n    0s       0 rounds ")
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"-duration 0s", "-duration 0s is not longer than 0"},
		{"-duration soon", `invalid value "soon" for flag -duration`},
		{"-round -1s", "-round -1s is not longer than 0"},
		{"-order fila", `-order "fila" is none of fifo, lifo, priority and all`},
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
