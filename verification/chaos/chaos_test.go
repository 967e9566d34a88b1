package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if play, ok := roles[os.Getenv(roleKey)]; ok {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func TestEachFaultOnOneNodeLeavesTheAccountEven(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, play(t.Context(), options{seed: 1, verbose: true}, 1, newBooks(), &out))
	for kind, injection := range injections {
		require.Equal(t, !injection.clustered, strings.Contains(out.String(), kind), kind)
	}
	require.Equal(t, len(kinds), strings.Count(out.String(), "lost 0, invented 0, over capacity 0, early Joins 0, duplicates stored 0"))
}

func TestARunFailsIfItsAccountDoesNotComeOutEven(t *testing.T) {
	t.Parallel()
	b := newBooks()
	b.read("plain begin 99 Put 1 1")
	b.read("plain put 99 Put 1 1")
	b.read("priorities worked 99 Put 1 1")
	err := play(t.Context(), options{seed: 2}, 1, b, io.Discard)
	require.ErrorContains(t, err, "queue plain: lost: 1")
	require.ErrorContains(t, err, "queue priorities: ")
	require.ErrorContains(t, err, "invented: 1")
}

func TestAClientThatFailsEndsTheRun(t *testing.T) {
	p, err := start("producer 1", "producer", part{Servers: []string{"nats://127.0.0.1:port"}}, func(string) {})
	require.NoError(t, err)
	s := &stage{producers: []*client{{process: p}}}
	require.ErrorContains(t, s.until(t.Context(), func() string { return "nothing" }), "producer 1: exit status 1")
	require.ErrorContains(t, s.await(t.Context(), s.producers), "producer 1: exit status 1")
}

func TestARunThatIsInterruptedSaysWhatItWaitedFor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&stage{}).until(ctx, func() string { return "the moon is not full" })
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "the moon is not full")
}

func TestABadCommandLineIsRefused(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"now", `unexpected argument "now"`},
		{"-duration -1s", "-duration -1s is negative"},
		{"-duration soon", "invalid value"},
	} {
		var stderr strings.Builder
		require.Equal(t, 2, run(t.Context(), strings.Fields(c.args), io.Discard, &stderr))
		require.Contains(t, stderr.String(), c.want)
	}
	require.Zero(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard))
}

func TestFreePortsAreDifferent(t *testing.T) {
	ports, err := freePorts(6)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, p := range ports {
		seen[p] = true
	}
	require.Len(t, seen, 6)
}
