package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	maxMessage     = 8 << 20 // bytes; the client's own limit of 32 KiB is less than a busy frame
	dialTimeout    = 10 * time.Second
	minBackoff     = 250 * time.Millisecond
	maxBackoff     = 30 * time.Second
	longestSilence = 30 * time.Second
)

// A feed reads trades and quotes from an exchange. It passes each trade to put,
// once, numbered in the order of receipt, and each quote to putQuote. It
// reconnects when the connection is lost. Messages, trades and quotes that it
// cannot use are counted and logged.
type feed struct {
	url      string
	coins    []string
	put      func(trade)
	putQuote func(quote)
	silence  time.Duration // after this long it pings, after twice this long it reconnects
	log      *slog.Logger

	received, repeats, bad atomic.Int64
	misdated               atomic.Int64 // of bad

	started time.Time // for durations, which the wall clock cannot tell: it may be set
	order   int64     // of the last trade
	tapes   map[string]*tape
}

func newFeed(url string, coins []string, log *slog.Logger, put func(trade), putQuote func(quote)) *feed {
	f := &feed{url: url, coins: coins, put: put, putQuote: putQuote, silence: longestSilence, log: log,
		started: time.Now(), tapes: make(map[string]*tape)}
	for _, coin := range coins {
		f.tapes[coin] = new(tape)
	}
	return f
}

// run returns when the exchange says that there are no more trades, or when ctx
// is done, once it has put the trades of the last message. It returns an error
// if the exchange refuses the connection, which trying again would not change.
func (f *feed) run(ctx context.Context) error {
	defer f.settle()
	for backoff := minBackoff; ; {
		before := f.received.Load()
		err := f.session(ctx)
		var closed websocket.CloseError
		if ctx.Err() != nil ||
			errors.As(err, &closed) && closed.Code == websocket.StatusNormalClosure && closed.Reason == endOfTrades {
			return nil
		}
		if errors.As(err, new(refusal)) {
			return err
		}
		if f.received.Load() > before {
			backoff = minBackoff
		}
		wait := backoff/2 + rand.N(backoff/2) // or all clients of an exchange that restarts come back at once
		backoff = min(2*backoff, maxBackoff)
		f.log.Warn("reconnecting", "in", wait.Round(time.Millisecond), "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// A refusal is an exchange's answer to a request that it will not accept later
// either.
type refusal struct{ error }

// refused reports whether an HTTP status says so.
func refused(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// session connects, subscribes and reads until the connection ends.
func (f *feed) session(ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, answer, err := websocket.Dial(dialing, f.url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: lossy{}}})
	if err != nil {
		if answer != nil && refused(answer.StatusCode) {
			return refusal{fmt.Errorf("feed: %s refuses the connection: %w", f.url, err)}
		}
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxMessage)
	for _, coin := range f.coins {
		for _, channel := range []string{channelTrades, channelQuotes} {
			if err := send(ctx, conn, request{"subscribe", &subscription{channel, coin}}); err != nil {
				return err
			}
		}
	}

	var reading atomic.Int64 // when Read was called, in ns since the feed started; negative while it is not running
	reading.Store(-1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go f.watch(watching, conn, &reading)

	for {
		reading.Store(int64(time.Since(f.started)))
		_, message, err := conn.Read(ctx)
		reading.Store(-1) // while the queue is full, the feed blocks, and the exchange is not silent
		if err != nil {
			return err
		}
		f.handle(message)
	}
}

// lossy is a transport whose WebSockets report the end of the connection as an
// error. Package websocket ends a message at io.EOF, which it also gets if the
// connection is lost in the middle of one; the rest would be lost unnoticed.
type lossy struct{}

func (lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		if conn, ok := answer.Body.(io.ReadWriteCloser); ok {
			answer.Body = lossyConn{conn}
		}
	}
	return answer, err
}

type lossyConn struct{ io.ReadWriteCloser }

func (c lossyConn) Read(b []byte) (n int, err error) {
	if n, err = c.ReadWriteCloser.Read(b); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// watch pings an exchange that is silent, and closes the connection if it stays
// silent. (A deadline for Read cannot do this: Read closes the connection when
// its context is done.)
func (f *feed) watch(ctx context.Context, conn *websocket.Conn, reading *atomic.Int64) {
	ticker := time.NewTicker(f.silence / 30)
	defer ticker.Stop()
	for pinged := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		since := reading.Load()
		if since < 0 {
			continue
		}
		silent := time.Since(f.started) - time.Duration(since)
		switch {
		case silent >= 2*f.silence:
			f.log.Warn("no answer to a ping", "silent", silent.Round(time.Millisecond))
			_ = conn.CloseNow()
			return
		case silent >= f.silence && pinged != since:
			pinged = since
			_ = send(ctx, conn, request{Method: "ping"})
		}
	}
}

func send(ctx context.Context, conn *websocket.Conn, r request) error {
	message, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, message)
}

// handle puts the trades or the quote of a message.
func (f *feed) handle(message []byte) {
	var in frame
	if err := json.Unmarshal(message, &in); err != nil {
		f.reject("not JSON", message, err)
		return
	}
	switch in.Channel {
	case channelTrades:
		elements, err := in.elements()
		if err != nil {
			f.reject("no trades", message, err)
			return
		}
		now := time.Now()
		for _, e := range elements {
			f.handleTrade(e, now)
		}
	case channelQuotes:
		f.handleQuote(in.Data, time.Now())
	case channelSubscribed, channelPong:
	case channelError:
		f.reject("the exchange reports an error", message, nil)
	default:
		f.reject("unknown channel", message, nil)
	}
}

// handleTrade puts a trade that was received now, and one that was held before
// it, unless they are repeated or misdated.
func (f *feed) handleTrade(element []byte, now time.Time) {
	t, err := parseTrade(element)
	if err != nil {
		f.reject("bad trade", element, err)
		return
	}
	tape := f.tapes[t.coin]
	if tape == nil {
		f.reject("no subscription to this coin", element, nil)
		return
	}
	if !tape.seen.add(tradeID{t.time.UnixMilli(), t.id}) {
		f.repeats.Add(1)
		return
	}
	f.order++
	t.order, t.received = f.order, now
	pass, misdated := tape.trades.next(t, element, now)
	if misdated != nil {
		f.rejectDate(misdated.element)
	}
	for _, t := range pass {
		f.received.Add(1)
		f.put(t)
	}
}

// handleQuote puts a quote that was received now, and one that was held before
// it, unless they are misdated.
func (f *feed) handleQuote(data []byte, now time.Time) {
	q, err := parseQuote(data)
	if err != nil {
		f.reject("bad quote", data, err)
		return
	}
	tape := f.tapes[q.coin]
	if tape == nil {
		f.reject("no subscription to this coin", data, nil)
		return
	}
	pass, misdated := tape.quotes.next(q, data, now)
	if misdated != nil {
		f.rejectDate(misdated.element)
	}
	for _, q := range pass {
		f.putQuote(q)
	}
}

// settle rejects what is held: nothing comes any more that could confirm its
// date.
func (f *feed) settle() {
	for _, tape := range f.tapes {
		if h := tape.trades.settle(); h != nil {
			f.rejectDate(h.element)
		}
		if h := tape.quotes.settle(); h != nil {
			f.rejectDate(h.element)
		}
	}
}

func (f *feed) rejectDate(element []byte) {
	f.misdated.Add(1)
	f.reject("misdated", element, nil)
}

// reject counts and logs a message or a trade that cannot be used.
func (f *feed) reject(what string, message []byte, err error) {
	f.bad.Add(1)
	const shown = 200 // bytes
	if len(message) > shown {
		message = message[:shown]
	}
	f.log.Warn(what, "message", fmt.Sprintf("%q", message), "error", err)
}
