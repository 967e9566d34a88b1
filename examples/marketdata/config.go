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

// The overflow policies: what happens to a trade when the queue is full.
const (
	block      = "block"
	dropOldest = "drop-oldest"
	dropNewest = "drop-newest"
)

// defaultCoins are subscribed to unless others are named.
const defaultCoins = "BTC,ETH,SOL"

// A config holds the values of the flags.
type config struct {
	settings settings      // at the start
	url      string        // of the exchange; empty for the embedded one
	coins    []string      // to subscribe to
	bar      time.Duration // the width of a bar
	db       string        // file; empty for memory
	parquet  string        // file; empty for none
	replay   *capture      // played by the embedded exchange; nil for invented trades
	speed    float64       // of the replay; 0 for as fast as possible
	duration time.Duration // until the feed is stopped; 0 for no limit
	http     string        // address of the live page; empty for none
	json     bool
}

// settings can be changed while the pipeline runs.
type settings struct {
	capacity  int
	workers   int
	extraWork time.Duration // per trade
	overflow  string
}

// Limits that keep a typing error from exhausting the memory, or from keeping a
// worker busy forever.
const (
	maxCapacity  = 10_000_000
	maxWorkers   = 10_000
	maxExtraWork = time.Minute
)

// allowed describes the values of each setting.
var allowed = map[string]string{
	"capacity": fmt.Sprintf("must be at least 1 and at most %d", maxCapacity),
	"workers":  fmt.Sprintf("must be at least 1 and at most %d", maxWorkers),
	"work":     fmt.Sprintf("must not be negative, and at most %v", maxExtraWork),
	"overflow": fmt.Sprintf("must be %s, %s or %s", block, dropOldest, dropNewest),
}

// define defines a flag for each setting; its current value is the default.
func (s *settings) define(flags *flag.FlagSet) {
	flags.IntVar(&s.capacity, "capacity", s.capacity, "capacity of the queue, in `trades`")
	flags.IntVar(&s.workers, "workers", s.workers, "number of goroutines that build bars")
	flags.DurationVar(&s.extraWork, "work", s.extraWork, "extra `time` that a worker spends on each trade; 800µs by default with -http and generated trades")
	flags.StringVar(&s.overflow, "overflow", s.overflow, "what to do when the queue is full: block, drop-oldest or drop-newest")
}

// check returns an error if a setting is out of range.
func (s settings) check() error {
	switch {
	case s.capacity < 1 || s.capacity > maxCapacity:
		return fmt.Errorf("capacity %d: %s", s.capacity, allowed["capacity"])
	case s.workers < 1 || s.workers > maxWorkers:
		return fmt.Errorf("workers %d: %s", s.workers, allowed["workers"])
	case s.extraWork < 0 || s.extraWork > maxExtraWork:
		return fmt.Errorf("work %v: %s", s.extraWork, allowed["work"])
	case s.overflow != block && s.overflow != dropOldest && s.overflow != dropNewest:
		return fmt.Errorf("overflow %s: %s", s.overflow, allowed["overflow"])
	}
	return nil
}

// set sets the settings that the values name, written as the flags are.
func (s *settings) set(values url.Values) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	s.define(flags)
	for name, values := range values {
		for _, value := range values {
			switch err := flags.Set(name, value); {
			case err != nil && allowed[name] != "":
				return fmt.Errorf("%s %q: %w; %s", name, value, err, allowed[name])
			case err != nil:
				return fmt.Errorf("%s %q: %w", name, value, err)
			}
		}
	}
	return s.check()
}

// parseFlags parses the arguments. If they ask for help, it writes the usage to w
// and returns flag.ErrHelp.
func parseFlags(args []string, w io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("marketdata", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Usage = func() {
		fmt.Fprintln(w, "usage: marketdata [flags]")
		flags.PrintDefaults()
	}
	flags.StringVar(&c.url, "url", "", "`address` of an exchange's WebSocket; if empty, an exchange is embedded")
	coins := flags.String("coins", defaultCoins, "comma-separated `coins` to subscribe to; for a replay, all by default")
	c.settings = settings{capacity: 10_000, workers: 4, overflow: block}
	c.settings.define(flags)
	flags.DurationVar(&c.bar, "bar", time.Second, "width of a bar")
	flags.StringVar(&c.db, "db", "", "DuckDB `file`; if empty, the bars are kept in memory")
	flags.StringVar(&c.parquet, "parquet", "", "also write the bars to this Parquet `file`")
	replay := flags.String("replay", "", "recorded `file` for the embedded exchange to play")
	flags.Float64Var(&c.speed, "speed", 1, "speed of the replay, as a multiple of the recorded one; 0 for as fast as possible")
	flags.DurationVar(&c.duration, "duration", 10*time.Second, "how long to run; 0 for no limit; by default, a replay runs to its end, and -http until it is stopped")
	flags.StringVar(&c.http, "http", "", "serve a live page and /metrics at this `address`, such as localhost:8080; the host defaults to the loopback interface")
	flags.BoolVar(&c.json, "json", false, "print the summary as one line of JSON")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })

	switch {
	case flags.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q", flags.Arg(0))
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
	if err := c.settings.check(); err != nil {
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
	if c.http != "" && c.url == "" && *replay == "" && !given["work"] {
		c.settings.extraWork = demoWork
	}
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
			return nil, fmt.Errorf("-coins %q: empty name", list)
		case slices.Contains(coins, coin):
			return nil, fmt.Errorf("-coins %q: duplicate %s", list, coin)
		case from != nil && !slices.Contains(from.coins, coin):
			return nil, fmt.Errorf("-coins %q: %s has no trades of %s", list, from.path, coin)
		}
		coins = append(coins, coin)
	}
	return coins, nil
}

// source returns the trades of the embedded exchange, and a function that asks
// for a burst of them, nil if they are recorded.
func (c config) source(log *slog.Logger) (trades source, burst func()) {
	if c.replay != nil {
		log.Info("replaying", "file", c.replay.path, "trades", c.replay.trades, "quotes", c.replay.quotes, "coins", c.coins, "other_messages", c.replay.skipped)
		return c.replay.play(c.coins, c.speed), nil
	}
	m := &market{coins: c.coins}
	return m.trades, m.burst
}
