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
	coins   []string // in the order in which their trades first come
	trades  int      // readable or not
	skipped int      // messages of other channels
}

// openCapture reads a capture to its end, so that playing it cannot fail half
// way. It returns an error if a line has no time of receipt, or if there are no
// trades.
func openCapture(path string) (*capture, error) {
	c := &capture{path: path}
	err := c.each(func(_ time.Duration, recorded []message) error {
		if len(recorded) == 0 {
			c.skipped++
		}
		for _, m := range recorded {
			c.trades += len(m.trades)
			if m.coin != "" && !slices.Contains(c.coins, m.coin) {
				c.coins = append(c.coins, m.coin)
			}
		}
		return nil
	})
	if err == nil && len(c.coins) == 0 {
		err = fmt.Errorf("%s: no trades", path)
	}
	return c, err
}

// play returns a source of the capture's trades of the given coins, speed times
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
				if m.coin != "" && !slices.Contains(coins, m.coin) {
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
			if err := f(time.Duration(ns-first), recordedMessages(text)); err != nil {
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

// recordedMessages returns what the exchange sends for a recorded message of
// Hyperliquid's or Binance's: a frame for each coin whose trades it holds, or
// nothing if it is of another channel. Nothing is judged here: what cannot be
// read is sent as it is, and the feed counts it as it would with a live exchange.
func recordedMessages(text []byte) []message {
	var elements []json.RawMessage
	var in struct {
		frame
		Stream string `json:"stream"` // Binance's
	}
	err := json.Unmarshal(text, &in)
	switch {
	case err != nil:
	case in.Channel == channelTrades:
		elements, err = in.elements()
	case strings.HasSuffix(in.Stream, "@trade"):
		elements = make([]json.RawMessage, 1)
		elements[0], err = binanceTrade(in.Data)
	case in.Stream != "" || in.Channel != "" && in.Channel != channelError:
		return nil
	default:
		err = errNoChannel
	}
	var frames []message
	if err == nil {
		frames, err = byCoin(elements)
	}
	if err != nil {
		return []message{{text: text}}
	}
	return frames
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
		var named struct {
			Coin string `json:"coin"`
		}
		if json.Unmarshal(e, &named) == nil && named.Coin != "" {
			coin = named.Coin
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

// binanceTrade returns a trade of Binance's, the data of a message of a combined
// stream, as an element of a frame. Its fields are passed on as they are; their
// names differ in case only, which decoding into a struct would overlook.
// https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
func binanceTrade(data []byte) (element json.RawMessage, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	side := fields["m"] // the buyer's order was in the book: the aggressor sold
	switch string(side) {
	case "true":
		side = json.RawMessage(`"A"`)
	case "false":
		side = json.RawMessage(`"B"`)
	}
	return json.Marshal(struct {
		Coin  json.RawMessage `json:"coin,omitempty"`
		Side  json.RawMessage `json:"side,omitempty"`
		Price json.RawMessage `json:"px,omitempty"`
		Size  json.RawMessage `json:"sz,omitempty"`
		Time  json.RawMessage `json:"time,omitempty"`
		ID    json.RawMessage `json:"tid,omitempty"`
	}{fields["s"], side, fields["p"], fields["q"], fields["T"], fields["t"]})
}
