package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boundq/queue"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const beMarketdata = "BE_MARKETDATA" // in the environment of a test binary that is to be the program

func TestMain(m *testing.M) {
	if os.Getenv(beMarketdata) != "" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

// A bed is a pipeline between an exchange and a store.
type bed struct {
	*pipeline
	exchange *exchange
	store    *store
}

// newBed makes a pipeline with these flags that reads what serve publishes.
func newBed(t *testing.T, serve func(b *bed, publish func([]wireTrade) error) error, args ...string) *bed {
	t.Helper()
	b := &bed{}
	ready := make(chan struct{})
	var err error
	b.exchange, err = startExchange(func(_ context.Context, publish func(message) error) error {
		<-ready
		return serve(b, func(trades []wireTrade) error {
			m, err := newTrades(trades[0].Coin, trades)
			require.NoError(t, err)
			return publish(m)
		})
	})
	require.NoError(t, err)
	t.Cleanup(b.exchange.close)
	b.store, err = openStore(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.close()) })
	c, err := parseFlags(append([]string{"-coins", "X"}, args...), io.Discard)
	require.NoError(t, err)
	b.pipeline = newPipeline(c, b.exchange.url, b.store.upsert, quiet)
	close(ready)
	return b
}

// end runs the pipeline until there are no more trades, and returns the
// summary.
func (b *bed) end(t *testing.T) summary {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it ends so late that only a pipeline that hangs sees it
	defer cancel()
	require.NoError(t, b.run(ctx, ctx))
	require.NoError(t, ctx.Err(), "the pipeline did not end by itself")
	require.NoError(t, b.exchange.failure())
	coins, err := b.store.summary(t.Context())
	require.NoError(t, err)
	s := b.summary(coins)
	require.NoError(t, s.check())
	return s
}

// A slow bed's one worker takes a second for each trade, so that the feed is
// faster, whatever the machine. hurry lets it work as fast as it can once it has
// been too slow for the queue, as seen by enough.
var slow = []string{"-workers", "1", "-work", "1s"}

func (b *bed) hurry(enough func(queue.Stats) bool) {
	for !enough(b.queue.Stats()) {
		time.Sleep(time.Millisecond)
	}
	if err := b.change(func(s *settings) error { s.extraWork = 0; return nil }); err != nil {
		panic(err)
	}
}

// trades returns n trades of the coin X with these ids and on, one a ms.
func trades(from, n int) []wireTrade {
	all := make([]wireTrade, n)
	for i := range all {
		id := int64(from + i)
		all[i] = wireTrade{Coin: "X", Side: "B", Price: decimal.New(id+100, -1).String(), Size: "0.1",
			Time: base + id, ID: &id}
	}
	return all
}

// publishAll publishes n trades, some at a time.
func publishAll(publish func([]wireTrade) error, n int) error {
	const frame = 50
	for from := 0; from < n; from += frame {
		if err := publish(trades(from, min(frame, n-from))); err != nil {
			return err
		}
	}
	return nil
}

func TestAReconnectInMidStreamLosesNothingAndRepeatsNothing(t *testing.T) {
	b := newBed(t, func(b *bed, publish func([]wireTrade) error) error {
		if err := publishAll(publish, 100); err != nil {
			return err
		}
		for b.feed.received.Load() < 100 {
			time.Sleep(time.Millisecond)
		}
		clients, _ := b.exchange.subscribers(subscription{channelTrades, "X"})
		for _, c := range clients {
			_ = c.conn.CloseNow()
		}
		return publish(trades(100, 20))
	})
	s := b.end(t)
	require.EqualValues(t, 120, s.Received)
	require.EqualValues(t, 120, s.Processed)
	require.GreaterOrEqual(t, s.Repeats, int64(replayed), "the subscription starts with the last trades")
	require.Equal(t, "12", s.Coins["X"].Volume)
}

func TestAFullQueueHoldsUpTheFeedAndLosesNothing(t *testing.T) {
	const n = 25_000
	b := newBed(t, func(_ *bed, publish func([]wireTrade) error) error { return publishAll(publish, n) }, slow...)
	go b.hurry(func(s queue.Stats) bool { return s.PutWaiting > 0 })
	s := b.end(t)
	require.EqualValues(t, n, s.Processed)
	require.Equal(t, 10_000, s.MaxDepth)
	require.NotZero(t, s.Blocked)
	require.Equal(t, "2500", s.Coins["X"].Volume)
}

func TestEveryTradeIsProcessedOrDropped(t *testing.T) {
	const n = 3_000
	for _, overflow := range []string{dropOldest, dropNewest} {
		t.Run(overflow, func(t *testing.T) {
			b := newBed(t, func(_ *bed, publish func([]wireTrade) error) error { return publishAll(publish, n) },
				append(slow, "-overflow", overflow, "-capacity", "100")...)
			go b.hurry(func(queue.Stats) bool { return b.dropped() > 0 })
			s := b.end(t)
			require.EqualValues(t, n, s.Received)
			require.Equal(t, s.Received, s.Processed+s.Dropped)
			require.NotZero(t, s.Dropped)
			require.Equal(t, 100, s.MaxDepth)
			if overflow == dropOldest {
				require.Equal(t, trades(n-1, 1)[0].Price, s.Coins["X"].Close, "the newest trade is never dropped")
			}
		})
	}
}

func TestAFailingStoreStopsThePipelineWithItsError(t *testing.T) {
	broken := errors.New("disk full")
	b := newBed(t, func(_ *bed, publish func([]wireTrade) error) error { return publishAll(publish, 1_000_000) },
		"-capacity", "10", "-work", "1ms")
	b.upsert = func([]bar, []quoteBar) (int, error) { return 0, broken }
	require.ErrorIs(t, b.run(t.Context(), t.Context()), broken)
	s := b.summary(nil)
	require.Equal(t, s.Received, s.Processed+s.Drained, "what was not processed is accounted for")
}

func TestStoppingFinishesWhatWasReceived(t *testing.T) {
	stop, cancel := context.WithCancel(t.Context())
	b := newBed(t, func(b *bed, publish func([]wireTrade) error) error {
		if err := publishAll(publish, 2_000); err != nil {
			return err
		}
		for b.feed.received.Load() < 500 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		return nil
	}, "-capacity", "300", "-work", "1ms")
	require.NoError(t, b.run(stop, t.Context()))
	coins, err := b.store.summary(t.Context())
	require.NoError(t, err)
	s := b.summary(coins)
	require.NoError(t, s.check())
	require.Equal(t, s.Received, s.Processed)
}

func TestChangingThePipelineInMidRunLosesNothingAndDoublesNothing(t *testing.T) {
	const parts, part = 30, 1000
	const n = parts * part
	var changes atomic.Int64
	b := newBed(t, func(_ *bed, publish func([]wireTrade) error) error {
		for i := range parts {
			for from := 0; from < part; from += 50 {
				if err := publish(trades(i*part+from, 50)); err != nil {
					return err
				}
			}
			for changes.Load() < int64(i) {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}, append(slow, "-capacity", "50")...)
	ended := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		b.hurry(func(s queue.Stats) bool { return s.PutWaiting > 0 })
		for ; ; changes.Add(1) {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
			require.NoError(t, b.change(func(s *settings) error {
				*s = settings{1 + rand.IntN(100), 1 + rand.IntN(40), time.Duration(rand.IntN(2)) * time.Millisecond, block}
				return nil
			}))
		}
	})
	s := b.end(t)
	close(ended)
	changing.Wait()
	require.GreaterOrEqual(t, changes.Load(), int64(parts-1))
	require.EqualValues(t, n, s.Processed)
	require.EqualValues(t, n, s.Coins["X"].Trades)
	require.Equal(t, "3000", s.Coins["X"].Volume)
	require.LessOrEqual(t, s.MaxDepth, 100)
	require.NotZero(t, s.Blocked)
	require.Nil(t, b.workers, "changes after the end still start workers")
}

// still returns a pipeline that does not run.
func still(t *testing.T, args ...string) *pipeline {
	t.Helper()
	c, err := parseFlags(args, io.Discard)
	require.NoError(t, err)
	return newPipeline(c, "", nil, quiet)
}

func TestExtraWorkTakesItsTimeHoweverShortItIs(t *testing.T) {
	for _, work := range []time.Duration{0, 10 * time.Microsecond, 300 * time.Microsecond, time.Millisecond, 7 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			const n = 1000
			p := still(t, "-work", work.String())
			for _, w := range trades(0, n) {
				tr, err := w.parse()
				require.NoError(t, err)
				p.put(tr)
			}
			p.queue.Shutdown(false)
			start := time.Now()
			p.work(t.Context())
			require.InDelta(t, n*work, time.Since(start), float64(time.Millisecond))
			require.EqualValues(t, n, p.processed.Load())
		})
	}
}

// The demo's load and its workers, at the pace of the bubble's clock.
func TestTheQueueOfTheDemoFillsByHalfAndDrainsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := still(t, "-http", ":0")
		workers := newPool(t.Context(), p.work)
		workers.resize(p.settings.workers)
		ctx, end := context.WithTimeout(t.Context(), 2*waveEvery)
		defer end()
		var high, drained int
		m := &market{coins: p.config.coins}
		err := m.trades(ctx, func(m message) error {
			if m.topic.Type != channelTrades {
				return nil
			}
			p.feed.handle(m.text)
			depth := p.queue.Len()
			high = max(high, depth)
			if high > 4000 && depth < 200 {
				drained = high
				high = 0
			}
			return nil
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Greater(t, drained, 4000)
		require.Less(t, drained, 9000)
		p.queue.Shutdown(false)
		workers.wait()
	})
}

func TestABlockedFeedFollowsANewOverflowPolicy(t *testing.T) {
	for _, overflow := range []string{dropOldest, dropNewest} {
		synctest.Test(t, func(t *testing.T) {
			p := still(t, "-capacity", "1")
			p.put(trade{id: 1})
			var putting sync.WaitGroup
			putting.Go(func() { p.put(trade{id: 2}) })
			time.Sleep(3 * time.Second)
			require.NoError(t, p.change(func(s *settings) error { s.workers = 9; return nil }))
			time.Sleep(time.Second)
			require.Equal(t, 1, p.queue.Stats().PutWaiting, "another change does not concern it")
			require.NoError(t, p.change(func(s *settings) error { s.overflow = overflow; return nil }))
			putting.Wait()
			require.EqualValues(t, 1, p.dropped())
			require.Equal(t, 4*time.Second, p.blocked.elapsed())
			left, err := p.queue.TryGet()
			require.NoError(t, err)
			require.Equal(t, overflow == dropOldest, left.id == 2)
			require.NoError(t, p.change(func(s *settings) error { s.overflow = block; return nil }))
			p.put(trade{id: 3})
			require.Equal(t, 1, p.queue.Len())
		})
	}
}

func TestABadChangeChangesNothing(t *testing.T) {
	b := newBed(t, func(*bed, func([]wireTrade) error) error { return nil })
	before := b.current()
	require.ErrorContains(t, b.change(func(s *settings) error { *s = settings{10, 0, 0, block}; return nil }), "workers 0")
	refused := errors.New("refused")
	require.Equal(t, refused, b.change(func(s *settings) error { s.workers = 9; return refused }))
	require.Equal(t, before, b.current())
	require.Equal(t, before.capacity, b.queue.Cap())
	b.end(t)
}

// program runs this test binary as the program.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, stdout *bufio.Reader, stderr *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), beMarketdata+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewReader(out), stderr
}

func TestInterruptsEndTheProgram(t *testing.T) {
	for _, test := range []struct {
		name    string
		signals []os.Signal
	}{
		{"one finishes what was received", []os.Signal{os.Interrupt}},
		{"SIGTERM does too", []os.Signal{syscall.SIGTERM}},
		{"two drain it", []os.Signal{os.Interrupt, syscall.SIGTERM}}, // of one kind, the second may be lost while the first is pending
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			work := "0"
			if len(test.signals) > 1 {
				work = "1s" // the backlog takes minutes
			}
			cmd, out, stderr := program(t, "-duration", "0", "-json", "-work", work)
			working := regexp.MustCompile(`out +[1-9]`)
			if len(test.signals) > 1 {
				working = regexp.MustCompile(`out +[1-9].* unfinished +\d{4}`)
			}
			for line := ""; !working.MatchString(line); { // a second's figures each
				var err error
				line, err = out.ReadString('\n')
				require.NoError(t, err, stderr)
			}
			for _, s := range test.signals {
				require.NoError(t, cmd.Process.Signal(s))
				time.Sleep(200 * time.Millisecond)
			}
			rest, err := io.ReadAll(out)
			require.NoError(t, err)
			require.NoError(t, cmd.Wait(), stderr)
			s := lastLine(t, rest)
			require.NoError(t, s.check())
			require.NotZero(t, s.Processed)
			require.Equal(t, len(test.signals) > 1, s.Drained > 0, "drained %d", s.Drained)
		})
	}
}

func lastLine(t *testing.T, output []byte) (s summary) {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(output), []byte("\n"))
	require.NoError(t, json.Unmarshal(lines[len(lines)-1], &s))
	return s
}

func TestTheSummaryIsOneJSONObjectOnTheLastLine(t *testing.T) {
	parquet := filepath.Join(t.TempDir(), "it's bars.parquet")
	db := filepath.Join(t.TempDir(), "bars.duckdb")
	for round, coin := range []string{"A", "B"} { // the second finds the first one's bars, and counts only its own
		var out bytes.Buffer
		capture := record(t, "1 "+strings.ReplaceAll(tradesFrame(t, 100), `"X"`, `"`+coin+`"`), false)
		c, err := parseFlags([]string{"-replay", capture, "-speed", "0", "-json", "-parquet", parquet, "-db", db}, io.Discard)
		require.NoError(t, err)
		require.NoError(t, run(c, t.Context(), t.Context(), &out, quiet))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var keys map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &keys))
		for _, key := range []string{"received", "repeats", "processed", "dropped", "drained", "bad", "bars", "max_depth", "coins",
			"put_blocked", "put_blocked_seconds", "latency", "in_queue", "late", "misdated"} {
			require.Contains(t, keys, key)
		}
		s := lastLine(t, out.Bytes())
		require.EqualValues(t, 100, s.Processed)
		require.Greater(t, s.ToBar.P99, 0.0)
		require.LessOrEqual(t, s.ToBar.P50, s.ToBar.P99)

		store, err := openStore(t.Context(), "")
		require.NoError(t, err)
		var trades, bars int64
		require.NoError(t, store.conn.QueryRowContext(t.Context(),
			"SELECT sum(trades)::BIGINT, count(*) FROM read_parquet(?)", parquet).Scan(&trades, &bars))
		require.NoError(t, store.close())
		if round == 0 {
			require.Equal(t, s.Processed, trades)
			require.Equal(t, s.Bars, bars)
		} else {
			require.Greater(t, trades, s.Processed)
		}
	}
}

func TestTheProgramFailsWithAnErrorAndAStatus(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"-workers", "0"}, 2, "-workers 0: must be at least 1"},
		{[]string{"-duration", "0", "-db", t.TempDir()}, 1, "store"},
		{[]string{"-duration", "100ms", "-parquet", filepath.Join(t.TempDir(), "missing", "x")}, 1, "store"},
	} {
		cmd, out, stderr := program(t, test.args...)
		_, err := io.ReadAll(out)
		require.NoError(t, err)
		var status *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &status)
		require.Equal(t, test.status, status.ExitCode())
		require.Contains(t, stderr.String(), test.stderr)
	}
}
