package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleKey)]; ok {
		if err := role(); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestNothingIsLostThoughAWorkerAndTheLeaderAreKilled(t *testing.T) {
	var out bytes.Buffer
	err := run(context.Background(), config{replicas: 3, producers: 2, items: 150, workers: 3, every: 2 * time.Millisecond, metrics: "127.0.0.1:0"}, &out)
	require.NoError(t, err, out.String())
	require.Contains(t, out.String(), "kill worker 1")
	require.Contains(t, out.String(), "which leads the queue")
	require.Contains(t, out.String(), "metrics at http://127.0.0.1:")
	require.Contains(t, out.String(), "boundq_nats_put_total 300\n")
	require.Contains(t, out.String(), "boundq_nats_unfinished 0\n")
	require.Contains(t, out.String(), "put 300 items: processed 300")
	require.Contains(t, out.String(), "lost 0; outside of their trace 0")
}

func TestUntilReturnsTheErrorOfAProcessThatFails(t *testing.T) {
	s := scenario{tally: newTally(), out: io.Discard}
	producer, err := start("producer 1", "producer", settings{Servers: "no address"}.env(), s.tally.put)
	require.NoError(t, err)
	<-producer.ended
	s.processes = []*process{producer}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.ErrorContains(t, s.until(ctx, nil, 1), "producer 1: exit status 1")
}

func TestTallySeesItemsThatAreLostOrUnknown(t *testing.T) {
	a := newTally()
	a.put("0 1 x")
	a.processed("0 1 x")
	a.processed("0 1 x")
	var out bytes.Buffer
	require.NoError(t, a.report(&out, 1))
	require.Contains(t, out.String(), "put 1 items: processed 1, 1 of them more than once; lost 0")
	require.Error(t, a.report(io.Discard, 2), "one was not put")
	a.put("0 2 x")
	require.ErrorContains(t, a.report(io.Discard, 2), "1 items were lost")
	a.processed("0 2 x")
	a.processed("0 3 x")
	require.ErrorContains(t, a.report(io.Discard, 2), "1 were never put")
	b := newTally()
	b.processed("nonsense")
	require.ErrorContains(t, b.report(io.Discard, 0), "nonsense")
}

func TestTallySeesItemsThatLeaveTheirTrace(t *testing.T) {
	a := newTally()
	a.put("0 1 x")
	a.processed("0 1 x")
	a.processed("0 1 y")
	require.ErrorContains(t, a.report(io.Discard, 1), "1 items were processed outside of their trace")
}

func TestTraceGoesThroughTheHeadersOfAMessage(t *testing.T) {
	ctx, span := tracer.Start(context.Background(), "put")
	defer span.End()
	header := traceHeader(ctx)
	require.Contains(t, header, "traceparent", "as W3C spells it")
	want := newEvent(ctx, job{1, 2})
	require.NotEqual(t, newEvent(context.Background(), job{1, 2}), want)
	require.Equal(t, want, newEvent(withTrace(context.Background(), header), job{1, 2}))
	got, err := parseEvent(want.String())
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestFlags(t *testing.T) {
	c, err := parseFlags([]string{"-nats", "nats://x", "-replicas", "1"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "nats://x", c.nats)
	require.Equal(t, 1, c.replicas)
	_, err = parseFlags([]string{"x"}, io.Discard)
	require.EqualError(t, err, `unexpected argument "x"`)
	_, err = parseFlags([]string{"-h"}, io.Discard)
	require.True(t, errors.Is(err, flag.ErrHelp))
}
