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
	"strings"
	"time"
)

// A capture is a file of recorded WebSocket messages, one a line: the time of
// receipt in ns, a space, and the message as it was received. It may be gzipped,
// and its end may be cut off.
type capture struct {
	path    string
	coins   []string // in the order in which they first come
	trades  int      // readable or not
	quotes  int      // readable or not
	skipped int      // messages of other channels
}

// openCapture reads a capture to its end, so that playing it cannot fail half
// way. It returns an error if a line has no time of receipt, or if there are
// neither trades nor quotes.
func openCapture(path string) (*capture, error) {
	c := &capture{path: path}
	err := c.each(func(_ time.Duration, recorded []message) error {
		if len(recorded) == 0 {
			c.skipped++
		}
		for _, m := range recorded {
			if m.topic.Type == channelQuotes {
				c.quotes++
			} else {
				c.trades += len(m.items)
			}
			if coin := m.topic.Coin; coin != "" && !slices.Contains(c.coins, coin) {
				c.coins = append(c.coins, coin)
			}
		}
		return nil
	})
	if err == nil && len(c.coins) == 0 {
		err = fmt.Errorf("%s: no trades or quotes", path)
	}
	return c, err
}

// play returns a source of the capture's trades and quotes of the given coins, speed times
// as fast as they were recorded, or as fast as they are read if speed is 0.
func (c *capture) play(coins []string, speed float64) source {
	return func(ctx context.Context, publish func(message) error) error {
		start := time.Now()
		return c.each(func(at time.Duration, recorded []message) error {
			if speed > 0 {
				select {
				case <-time.After(time.Until(start.Add(time.Duration(float64(at) / speed)))):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			for _, m := range recorded {
				if coin := m.topic.Coin; coin != "" && !slices.Contains(coins, coin) {
					continue
				}
				if err := publish(m); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// each calls f with what the exchange sends for each line, and with the time
// since the first one.
func (c *capture) each(f func(at time.Duration, recorded []message) error) (err error) {
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
	for number, begun := 1, false; ; number++ {
		line, err := lines.ReadBytes('\n')
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) // the second if it is gzipped and cut off
		if err != nil && !last {
			return fmt.Errorf("%s, line %d: %w", c.path, number, err)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			received, text, _ := bytes.Cut(line, []byte(" "))
			ns, err := strconv.ParseInt(string(received), 10, 64)
			if err != nil {
				return fmt.Errorf("%s, line %d: no time of receipt in ns", c.path, number)
			}
			if !begun {
				first, begun = ns, true
			}
			if err := f(time.Duration(ns-first), recordedMessages(text, ns)); err != nil {
				return err
			}
		}
		if last {
			return nil
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

// recordedMessages returns what the exchange sends for a message of Hyperliquid's
// or Binance's that was received at a time in ns: a frame for each coin whose
// trades it holds, a frame of its quote, or nothing if it is of another channel.
// Nothing is judged here: what cannot be read is sent as it is, and the feed
// counts it as it would with a live exchange.
func recordedMessages(text []byte, received int64) (frames []message) {
	var in struct {
		frame
		Stream string `json:"stream"` // Binance's
	}
	err := json.Unmarshal(text, &in)
	_, stream, _ := strings.Cut(in.Stream, "@")
	switch {
	case err != nil:
	case in.Channel == channelTrades:
		var elements []json.RawMessage
		if elements, err = in.elements(); err == nil {
			frames, err = byCoin(elements)
		}
	case in.Channel == channelQuotes:
		var m message
		m, err = newQuote(coinOf(in.Data), in.Data)
		frames = []message{m}
	case stream == "trade":
		frames, err = binanceTrade(in.Data)
	case stream == "bookTicker":
		frames, err = binanceQuote(in.Data, received)
	case in.Stream != "" || in.Channel != "" && in.Channel != channelError:
		return nil
	default:
		err = errNoChannel
	}
	if err != nil {
		return []message{{text: text}}
	}
	return frames
}

// coinOf returns the coin that a trade or a quote names, empty if it names none.
func coinOf(item []byte) string {
	var named struct {
		Coin string `json:"coin"`
	}
	if json.Unmarshal(item, &named) != nil {
		return ""
	}
	return named.Coin
}

// errNoChannel is the error for a message that names neither channel nor stream.
var errNoChannel = errors.New("no channel")

// byCoin returns a frame for each coin that the elements name. An element that
// names none goes with the one before it; if none of those does either, all
// clients get it.
func byCoin(elements []json.RawMessage) (frames []message, err error) {
	var coins []string
	of := make(map[string][]json.RawMessage)
	coin := ""
	for _, e := range elements {
		if named := coinOf(e); named != "" {
			coin = named
		}
		if of[coin] == nil {
			coins = append(coins, coin)
		}
		of[coin] = append(of[coin], e)
	}
	for _, coin := range coins {
		m, err := newTrades(coin, of[coin])
		if err != nil {
			return nil, err
		}
		frames = append(frames, m)
	}
	return frames, nil
}

// Binance's combined streams:
// https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
//
// Fields are passed on as they are. Some names differ in case only, which
// decoding into a struct would not tell apart.

// binanceTrade returns the frame for a trade.
func binanceTrade(data []byte) ([]message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	side := fields["m"] // whether the buyer's order was in the book: the aggressor sold
	switch string(side) {
	case "true":
		side = json.RawMessage(`"A"`)
	case "false":
		side = json.RawMessage(`"B"`)
	}
	element, err := json.Marshal(struct {
		Coin  json.RawMessage `json:"coin,omitempty"`
		Side  json.RawMessage `json:"side,omitempty"`
		Price json.RawMessage `json:"px,omitempty"`
		Size  json.RawMessage `json:"sz,omitempty"`
		Time  json.RawMessage `json:"time,omitempty"`
		ID    json.RawMessage `json:"tid,omitempty"`
	}{fields["s"], side, fields["p"], fields["q"], fields["T"], fields["t"]})
	if err != nil {
		return nil, err
	}
	return byCoin([]json.RawMessage{element})
}

// binanceQuote returns the frame for a best bid and ask. Spot's have no time;
// they get that of their receipt.
func binanceQuote(data []byte, received int64) ([]message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	at := fields["T"]
	if at == nil {
		at = strconv.AppendInt(nil, received/int64(time.Millisecond), 10)
	}
	type level struct {
		Price json.RawMessage `json:"px,omitempty"`
		Size  json.RawMessage `json:"sz,omitempty"`
	}
	side := func(price, size string) *level {
		if strings.Trim(string(fields[price]), `"0.`) == "" && fields[price] != nil {
			return nil // a price of zero: the side is empty
		}
		return &level{fields[price], fields[size]}
	}
	m, err := newQuote(coinOf([]byte(`{"coin":`+string(fields["s"])+`}`)), struct {
		Coin   json.RawMessage `json:"coin,omitempty"`
		Time   json.RawMessage `json:"time"`
		Levels [2]*level       `json:"bbo"`
	}{fields["s"], at, [2]*level{side("b", "B"), side("a", "A")}})
	return []message{m}, err
}
