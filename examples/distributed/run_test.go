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
	if play, ok := roles[os.Getenv(roleKey)]; ok {
		if err := play(); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestNothingIsLostThoughAWorkerAndTheLeaderAreKilled(t *testing.T) {
	var out bytes.Buffer
	err := run(context.Background(), config{replicas: 3, producers: 2, items: 150, workers: 3, every: 2 * time.Millisecond}, &out)
	require.NoError(t, err, out.String())
	require.Contains(t, out.String(), "kill worker 1")
	require.Contains(t, out.String(), "which leads the queue")
	require.Contains(t, out.String(), "put 300 items: processed 300")
	require.Contains(t, out.String(), "lost 0")
}

func TestAProcessThatFailsEndsThePlay(t *testing.T) {
	s := stage{account: newAccount(), out: io.Discard}
	p := part{Servers: "no address"}
	producer, err := start("producer 1", "producer", p.env(), s.account.put)
	require.NoError(t, err)
	<-producer.ended
	s.players = []*process{producer}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.ErrorContains(t, s.until(ctx, nil, 1), "producer 1: exit status 1")
}

func TestTheAccountSeesWhatIsLostOrUnknown(t *testing.T) {
	a := newAccount()
	a.put("0 1")
	a.worked("0 1")
	a.worked("0 1")
	var out bytes.Buffer
	require.NoError(t, a.settle(&out, 1))
	require.Contains(t, out.String(), "put 1 items: processed 1, of them 1 more than once; lost 0")
	require.Error(t, a.settle(io.Discard, 2), "one was not put")
	a.put("0 2")
	require.ErrorContains(t, a.settle(io.Discard, 2), "1 items were lost")
	a.worked("0 2")
	a.worked("0 3")
	require.ErrorContains(t, a.settle(io.Discard, 2), "1 appeared from nowhere")
	b := newAccount()
	b.worked("nonsense")
	require.ErrorContains(t, b.settle(io.Discard, 0), "nonsense")
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
