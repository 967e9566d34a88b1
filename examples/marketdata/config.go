package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What happens to a trade that comes when the queue is full.
const (
	block      = "block"
	dropOldest = "drop-oldest"
	dropNewest = "drop-newest"
)

// defaultCoins are the coins that are asked for if none are named.
const defaultCoins = "BTC,ETH,SOL"

// A config says what the pipeline does. The flags set it.
type config struct {
	settings
	url      string   // of the exchange; empty for the embedded one
	coins    []string // to subscribe to
	overflow string
	bar      time.Duration // the width of a bar
	db       string        // file; empty for memory
	parquet  string        // file; empty for none
	replay   *capture      // that the embedded exchange plays; nil for made-up trades
	speed    float64       // of the replay; 0 for as fast as possible
	duration time.Duration // until the feed is stopped; 0 for ever
	http     string        // address that the page is served at; empty for none
	json     bool
}

// settings are what can be changed while the pipeline runs.
type settings struct {
	capacity  int
	workers   int
	extraWork time.Duration // spent on each trade
}

// Beyond these, a slip of the finger would fill the memory, or keep a worker
// from ending.
const (
	maxCapacity  = 10_000_000
	maxWorkers   = 10_000
	maxExtraWork = time.Minute
)

// define defines a flag for each setting; its value now is the default.
func (s *settings) define(flags *flag.FlagSet) {
	flags.IntVar(&s.capacity, "capacity", s.capacity, "how many trades may wait in the queue")
	flags.IntVar(&s.workers, "workers", s.workers, "how many goroutines build bars")
	flags.DurationVar(&s.extraWork, "work", s.extraWork, "extra `time` that a worker spends on each trade")
}

// check returns an error if a setting is out of its range.
func (s settings) check() error {
	switch {
	case s.capacity < 1 || s.capacity > maxCapacity:
		return fmt.Errorf("capacity %d: must be at least 1 and at most %d", s.capacity, maxCapacity)
	case s.workers < 1 || s.workers > maxWorkers:
		return fmt.Errorf("workers %d: must be at least 1 and at most %d", s.workers, maxWorkers)
	case s.extraWork < 0 || s.extraWork > maxExtraWork:
		return fmt.Errorf("work %v: must not be negative, and at most %v", s.extraWork, maxExtraWork)
	}
	return nil
}

// parseFlags returns what the arguments say. Help goes to w, and ends with
// flag.ErrHelp.
func parseFlags(args []string, w io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("marketdata", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Usage = func() {
		fmt.Fprintln(w, "usage: marketdata [flags]")
		flags.PrintDefaults()
	}
	flags.StringVar(&c.url, "url", "", "`address` of an exchange's WebSocket; without it, one is embedded")
	coins := flags.String("coins", defaultCoins, "comma-separated `coins` to ask for; of a replay, all by default")
	flags.StringVar(&c.overflow, "overflow", block, "what to do when the queue is full: block, drop-oldest or drop-newest")
	c.settings = settings{capacity: 10_000, workers: 4}
	c.define(flags)
	flags.DurationVar(&c.bar, "bar", time.Second, "width of a bar")
	flags.StringVar(&c.db, "db", "", "DuckDB `file`; without it, the bars are kept in memory")
	flags.StringVar(&c.parquet, "parquet", "", "also write the bars to this Parquet `file`")
	replay := flags.String("replay", "", "recorded `file` that the embedded exchange plays")
	flags.Float64Var(&c.speed, "speed", 1, "how many times as fast as recorded to replay; 0 for as fast as possible")
	flags.DurationVar(&c.duration, "duration", 10*time.Second, "when to stop; 0 for never; unless this is given, a replay ends by itself, and -http runs until it is stopped")
	flags.StringVar(&c.http, "http", "", "serve a live page and /metrics at this `address`, such as localhost:8080; without a host, on the loopback")
	flags.BoolVar(&c.json, "json", false, "print the summary as one line of JSON")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })

	switch {
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case c.overflow != block && c.overflow != dropOldest && c.overflow != dropNewest:
		return c, fmt.Errorf("-overflow %s: must be %s, %s or %s", c.overflow, block, dropOldest, dropNewest)
	case c.bar < time.Millisecond || c.bar%time.Microsecond != 0:
		return c, fmt.Errorf("-bar %v: must be at least 1ms, and whole microseconds", c.bar)
	case c.speed < 0 || math.IsNaN(c.speed) || math.IsInf(c.speed, 0):
		return c, fmt.Errorf("-speed %v: must be a number of at least 0", c.speed)
	case c.duration < 0:
		return c, fmt.Errorf("-duration %v: must not be negative", c.duration)
	case c.url != "" && !webSocket(c.url):
		return c, fmt.Errorf("-url %q: must be the address of a WebSocket, such as wss://api.hyperliquid.xyz/ws", c.url)
	case c.url != "" && *replay != "":
		return c, errors.New("-url and -replay: a replay is served by the embedded exchange; give one of them")
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("-%w", err)
	}

	if c.http != "" {
		host, port, err := net.SplitHostPort(c.http)
		if err != nil {
			return c, fmt.Errorf("-http: %w", err)
		}
		if host == "" { // to net.Listen, every interface
			c.http = net.JoinHostPort("127.0.0.1", port)
		}
	}
	// Somebody who watches, or who plays a file, wants all of it.
	if (c.http != "" || *replay != "") && !given["duration"] {
		c.duration = 0
	}
	if *replay != "" {
		if c.replay, err = openCapture(*replay); err != nil {
			return c, fmt.Errorf("-replay: %w", err)
		}
		c.coins = c.replay.coins
		if !given["coins"] {
			return c, nil
		}
	}
	c.coins, err = parseCoins(*coins, c.replay)
	return c, err
}

// webSocket reports whether an address can be that of a WebSocket.
func webSocket(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && slices.Contains([]string{"ws", "wss", "http", "https"}, u.Scheme)
}

// parseCoins splits a list of coins. All must be in the capture, if there is
// one.
func parseCoins(list string, from *capture) (coins []string, err error) {
	for coin := range strings.SplitSeq(list, ",") {
		coin = strings.TrimSpace(coin)
		switch {
		case coin == "":
			return nil, fmt.Errorf("-coins %q: an empty name", list)
		case slices.Contains(coins, coin):
			return nil, fmt.Errorf("-coins %q: %s comes twice", list, coin)
		case from != nil && !slices.Contains(from.coins, coin):
			return nil, fmt.Errorf("-coins %q: %s has no trades of %s", list, from.path, coin)
		}
		coins = append(coins, coin)
	}
	return coins, nil
}

// trades returns what the embedded exchange serves.
func (c config) trades(log *slog.Logger) source {
	if c.replay == nil {
		return madeUpTrades(c.coins)
	}
	log.Info("replaying", "file", c.replay.path, "trades", c.replay.trades, "coins", c.coins, "other messages", c.replay.skipped)
	return c.replay.play(c.coins, c.speed)
}
