package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// The protocol of Hyperliquid's public WebSocket, as far as trades and quotes go:
// https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket

// A request is what a client sends.
type request struct {
	Method       string        `json:"method"` // subscribe, ping
	Subscription *subscription `json:"subscription,omitempty"`
}

type subscription struct {
	Type string `json:"type"` // a channel
	Coin string `json:"coin"`
}

// The channels of the frames that a server sends.
const (
	channelTrades     = "trades"
	channelQuotes     = "bbo"
	channelSubscribed = "subscriptionResponse"
	channelPong       = "pong"
	channelError      = "error"
)

// A frame is what a server sends.
type frame struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// errNoList is the error for a frame of trades that are not in a list.
var errNoList = errors.New("the data are not a list")

// elements returns the trades of a frame, undecoded, so that a bad one costs
// only itself.
func (f frame) elements() (elements []json.RawMessage, err error) {
	if err := json.Unmarshal(f.Data, &elements); err != nil {
		return nil, err
	}
	if elements == nil { // null
		return nil, errNoList
	}
	return elements, nil
}

func newFrame(channel string, data any) ([]byte, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(frame{channel, raw})
}

// A wireTrade holds the fields of a trade in a frame that are used. Only coin, time and id
// together identify it: ids are hashes.
type wireTrade struct {
	Coin  string `json:"coin"`
	Side  string `json:"side"` // of the aggressor: B bought, A sold
	Price string `json:"px"`
	Size  string `json:"sz"`
	Time  int64  `json:"time"` // in ms
	ID    *int64 `json:"tid"`
}

// A trade is an item of the queue.
type trade struct {
	coin        string
	id          int64
	time        time.Time // by the exchange's clock
	order       int64     // in which the feed received it, from 1
	received    time.Time // when its message was read, on the monotonic clock
	queued      time.Time // when the feed put it, on the monotonic clock
	price, size decimal.Decimal
}

func (t trade) when() time.Time { return t.time }

// A wireQuote holds a coin's best bid and ask, null if there is none.
type wireQuote struct {
	Coin   string       `json:"coin"`
	Time   int64        `json:"time"` // in ms
	Levels []*wireLevel `json:"bbo"`  // bid, ask
}

type wireLevel struct {
	Price  string `json:"px"`
	Size   string `json:"sz"`
	Orders int64  `json:"n"`
}

// The range of times that can be stored.
const (
	minTime = 0
	maxTime = 253402300799999 // the end of the year 9999, in ms
)

var (
	errNoCoin = errors.New("no coin")
	errNoSide = errors.New(`side is neither "B" nor "A"`)
	errNoID   = errors.New("no tid")
	errTime   = errors.New("time out of range")
	errLevels = errors.New("bbo is not a bid and an ask")
)

// parseTrade returns the trade that an element of a frame holds.
func parseTrade(element []byte) (trade, error) {
	var w wireTrade
	if err := json.Unmarshal(element, &w); err != nil {
		return trade{}, err
	}
	return w.parse()
}

// parse returns the trade, or an error if a field is missing or out of range.
func (w wireTrade) parse() (trade, error) {
	switch {
	case w.ID == nil:
		return trade{}, errNoID
	case w.Coin == "":
		return trade{}, errNoCoin
	case w.Side != "B" && w.Side != "A":
		return trade{}, errNoSide
	case w.Time <= minTime || w.Time > maxTime:
		return trade{}, errTime
	}
	price, err := amount(w.Price)
	if err != nil {
		return trade{}, fmt.Errorf("price: %w", err)
	}
	size, err := amount(w.Size)
	if err != nil {
		return trade{}, fmt.Errorf("size: %w", err)
	}
	return trade{coin: w.Coin, id: *w.ID, time: time.UnixMilli(w.Time).UTC(), price: price, size: size}, nil
}

// parseQuote returns the quote that the data of a frame hold.
func parseQuote(data []byte) (quote, error) {
	var w wireQuote
	if err := json.Unmarshal(data, &w); err != nil {
		return quote{}, err
	}
	switch {
	case w.Coin == "":
		return quote{}, errNoCoin
	case w.Time <= minTime || w.Time > maxTime:
		return quote{}, errTime
	case len(w.Levels) != 2:
		return quote{}, errLevels
	}
	q := quote{coin: w.Coin, time: time.UnixMilli(w.Time).UTC()}
	for i, price := range []*decimal.NullDecimal{&q.bid, &q.ask} {
		level := w.Levels[i]
		if level == nil {
			continue
		}
		d, err := amount(level.Price)
		if err != nil {
			return quote{}, fmt.Errorf("price: %w", err)
		}
		if _, err := amount(level.Size); err != nil {
			return quote{}, fmt.Errorf("size: %w", err)
		}
		*price = decimal.NewNullDecimal(d)
	}
	return q, nil
}

// The bars are stored as DECIMAL(38,10). An amount may have so many digits that
// a billion of them can be summed; nothing is rounded.
const (
	scale     = 10 // digits after the point
	precision = 38 // digits in all
	maxDigits = precision - scale - 9
)

// amount parses a positive decimal number.
func amount(s string) (decimal.Decimal, error) {
	const longest = maxDigits + 1 + scale
	if len(s) > longest {
		return decimal.Zero, fmt.Errorf("a number of more than %d characters", longest)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Zero, fmt.Errorf("%q is no decimal number", s)
	}
	// The exponent first: arithmetic on 1e999999999 would fill the memory.
	if e := d.Exponent(); e < -longest || e > maxDigits {
		return decimal.Zero, fmt.Errorf("%q is out of range", s)
	}
	switch {
	case d.Sign() <= 0:
		return decimal.Zero, fmt.Errorf("%q is not positive", s)
	case !d.Equal(d.Truncate(scale)):
		return decimal.Zero, fmt.Errorf("%q has more than %d digits after the point", s, scale)
	case d.Truncate(0).NumDigits() > maxDigits:
		return decimal.Zero, fmt.Errorf("%q has more than %d digits before the point", s, maxDigits)
	}
	return d, nil
}
