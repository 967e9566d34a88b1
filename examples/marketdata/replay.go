package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
)

// A capture is a file of recorded WebSocket messages, one a line: the time of
// receipt in ns, a space, and the message as it came. It may be gzipped.
type capture struct {
	path    string
	coins   []string // that it has trades of, in the order in which they first come
	trades  int
	skipped int // messages that hold no trades
}

// openCapture reads a capture through once, so that the source that plays it
// has no surprises. It fails if a line has no time of receipt.
func openCapture(path string) (*capture, error) {
	c := &capture{path: path}
	err := c.each(func(_ time.Duration, trades []wireTrade) error {
		if len(trades) == 0 {
			c.skipped++
		}
		c.trades += len(trades)
		for _, t := range trades {
			if !slices.Contains(c.coins, t.Coin) {
				c.coins = append(c.coins, t.Coin)
			}
		}
		return nil
	})
	if err == nil && c.trades == 0 {
		err = fmt.Errorf("%s: no trades", path)
	}
	return c, err
}

// play returns a source of the capture's trades of the given coins, speed times
// as fast as they were recorded, or as fast as they are read if speed is 0.
func (c *capture) play(coins []string, speed float64) source {
	return func(ctx context.Context, publish func([]wireTrade) error) error {
		start := time.Now()
		return c.each(func(at time.Duration, trades []wireTrade) error {
			if speed > 0 {
				select {
				case <-time.After(time.Until(start.Add(time.Duration(float64(at) / speed)))):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			for _, coin := range coins {
				var frame []wireTrade
				for _, t := range trades {
					if t.Coin == coin {
						frame = append(frame, t)
					}
				}
				if len(frame) == 0 {
					continue
				}
				if err := publish(frame); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// each calls f with the trades of each message, none if it holds none, and with
// the time since the first one.
func (c *capture) each(f func(at time.Duration, trades []wireTrade) error) (err error) {
	file, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	lines, err := plain(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	var first int64
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s, line %d: %w", c.path, number, err)
		}
		received, message, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		ns, err := strconv.ParseInt(string(received), 10, 64)
		if err != nil {
			return fmt.Errorf("%s, line %d: no time of receipt in ns", c.path, number)
		}
		if number == 1 {
			first = ns
		}
		if err := f(time.Duration(ns-first), recordedTrades(message)); err != nil {
			return err
		}
	}
}

// plain returns a reader of r's contents, unpacked if they are gzipped.
func plain(r io.Reader) (*bufio.Reader, error) {
	packed := bufio.NewReader(r)
	if magic, _ := packed.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return packed, nil
	}
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return bufio.NewReader(unpacked), nil
}

// recordedTrades returns the trades in a message of Hyperliquid's or Binance's,
// and none if it is another.
func recordedTrades(message []byte) []wireTrade {
	var f frame
	if json.Unmarshal(message, &f) == nil && f.Channel == channelTrades {
		var trades []wireTrade
		if json.Unmarshal(f.Data, &trades) != nil {
			return nil
		}
		return trades
	}
	var b binanceMessage
	if json.Unmarshal(message, &b) == nil && b.Data.Event == "trade" {
		return []wireTrade{b.Data.wire()}
	}
	return nil
}

// A binanceMessage is one of Binance's combined streams:
// https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
type binanceMessage struct {
	Stream string       `json:"stream"`
	Data   binanceTrade `json:"data"`
}

type binanceTrade struct {
	Event      string `json:"e"`
	EventTime  int64  `json:"E"` // named, or encoding/json would take it for e
	Symbol     string `json:"s"`
	ID         int64  `json:"t"`
	Time       int64  `json:"T"` // in ms
	Price      string `json:"p"`
	Quantity   string `json:"q"`
	BuyerMaker bool   `json:"m"` // the buyer's order stood in the book: the aggressor sold
}

func (b binanceTrade) wire() wireTrade {
	side := "B"
	if b.BuyerMaker {
		side = "A"
	}
	return wireTrade{Coin: b.Symbol, Side: side, Price: b.Price, Size: b.Quantity, Time: b.Time, ID: b.ID}
}
