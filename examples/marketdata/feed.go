package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	remembered     = 1000 // ids of each coin, to know the repeats by; a subscription repeats 30
)

// A feed reads trades from an exchange and gives each to put, once. It
// reconnects for as long as it runs; what it cannot read it counts and logs.
type feed struct {
	url     string
	coins   []string
	put     func(trade)
	silence time.Duration // after this long it pings, after twice this long it reconnects
	log     *slog.Logger

	received, repeats, bad atomic.Int64

	seen map[string]*recentIDs
}

func newFeed(url string, coins []string, log *slog.Logger, put func(trade)) *feed {
	f := &feed{url: url, coins: coins, put: put, silence: longestSilence, log: log, seen: make(map[string]*recentIDs)}
	for _, coin := range coins {
		f.seen[coin] = newRecentIDs(remembered)
	}
	return f
}

// run returns when the exchange says that there are no more trades, or when ctx
// is done; the frame that is being worked on is worked on to its end.
func (f *feed) run(ctx context.Context) {
	for backoff := minBackoff; ; {
		before := f.received.Load()
		err := f.session(ctx)
		var closed websocket.CloseError
		if ctx.Err() != nil ||
			errors.As(err, &closed) && closed.Code == websocket.StatusNormalClosure && closed.Reason == endOfTrades {
			return
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
			return
		}
	}
}

// session connects, subscribes and reads until the connection ends.
func (f *feed) session(ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, f.url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxMessage)
	for _, coin := range f.coins {
		if err := send(ctx, conn, request{"subscribe", &subscription{channelTrades, coin}}); err != nil {
			return err
		}
	}

	var reading atomic.Int64 // when the wait for the next message began, in ns; 0 when there is none
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go f.watch(watching, conn, &reading)

	for {
		reading.Store(time.Now().UnixNano())
		_, message, err := conn.Read(ctx)
		reading.Store(0) // a full queue holds up the feed, but that is not the exchange's silence
		if err != nil {
			return err
		}
		f.handle(message)
	}
}

// watch pings an exchange that is silent, and closes the connection of one that
// stays so. (A deadline for Read would not do: Read closes the connection when
// its context ends.)
func (f *feed) watch(ctx context.Context, conn *websocket.Conn, reading *atomic.Int64) {
	ticker := time.NewTicker(f.silence / 30)
	defer ticker.Stop()
	for pinged := int64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		since := reading.Load()
		if since == 0 {
			continue
		}
		silent := time.Since(time.Unix(0, since))
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

// handle puts a frame's trades.
func (f *feed) handle(message []byte) {
	var in frame
	if err := json.Unmarshal(message, &in); err != nil {
		f.reject("no JSON", message, err)
		return
	}
	switch in.Channel {
	case channelTrades:
		var trades []json.RawMessage // one by one, so that a bad one costs only itself
		if err := json.Unmarshal(in.Data, &trades); err != nil {
			f.reject("no trades", message, err)
			return
		}
		for _, raw := range trades {
			f.handleTrade(raw)
		}
	case channelSubscribed, channelPong:
	case channelError:
		f.reject("the exchange reports an error", message, nil)
	default:
		f.reject("unknown channel", message, nil)
	}
}

func (f *feed) handleTrade(raw []byte) {
	var w wireTrade
	if err := json.Unmarshal(raw, &w); err != nil {
		f.reject("bad trade", raw, err)
		return
	}
	t, err := w.parse()
	if err != nil {
		f.reject("bad trade", raw, err)
		return
	}
	seen := f.seen[t.coin]
	switch {
	case seen == nil:
		f.reject("a coin that was not asked for", raw, nil)
	case !seen.add(t.id):
		f.repeats.Add(1)
	default:
		f.received.Add(1)
		f.put(t)
	}
}

// reject counts and logs what cannot be used.
func (f *feed) reject(what string, message []byte, err error) {
	f.bad.Add(1)
	const shown = 200 // bytes
	if len(message) > shown {
		message = message[:shown]
	}
	f.log.Warn(what, "message", fmt.Sprintf("%q", message), "error", err)
}

// recentIDs remembers the ids that were last added to it.
type recentIDs struct {
	set  map[int64]struct{}
	ring []int64
	next int // the place in ring of the oldest id, once ring is full
}

func newRecentIDs(size int) *recentIDs {
	return &recentIDs{set: make(map[int64]struct{}, size), ring: make([]int64, 0, size)}
}

// add reports whether id is new.
func (r *recentIDs) add(id int64) bool {
	if _, ok := r.set[id]; ok {
		return false
	}
	r.set[id] = struct{}{}
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, id)
		return true
	}
	delete(r.set, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % len(r.ring)
	return true
}
