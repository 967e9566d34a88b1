package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/coder/websocket"
)

const (
	replayed    = 30              // trades of a coin that each subscription starts with
	endOfTrades = "end of trades" // the reason with which an exchange closes that has no more
)

// A source calls publish with one frame's trades after another, all of one coin
// each, until there are no more (nil) or publish fails (its error).
type source func(ctx context.Context, publish func(trades []wireTrade) error) error

// An exchange serves a source's trades over a WebSocket on the loopback. It
// publishes no faster than its clients read, so that what holds them up is felt
// here: the end of the line of backpressure.
type exchange struct {
	url    string
	server *http.Server
	stop   context.CancelFunc
	ended  chan struct{} // closed when the source has ended
	err    error         // of the source; to be read once ended is closed

	running sync.WaitGroup // the source and the connections

	mu      sync.Mutex
	clients map[*client]struct{}
	recent  map[string][]wireTrade // the last trades of each coin
	changed chan struct{}          // closed and replaced at each subscription
}

// A client is a connection and the coins that it subscribed to.
type client struct {
	conn  *websocket.Conn
	coins map[string]bool // guarded by exchange.mu

	// Held while a frame is sent, and from subscribing until the last trades
	// are sent: neither newer ones nor the end may come before them.
	sending sync.Mutex
}

func (c *client) send(ctx context.Context, message []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.conn.Write(ctx, websocket.MessageText, message)
}

// startExchange starts an exchange. The caller must close it.
func startExchange(src source) (*exchange, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &exchange{
		url:     "ws://" + listener.Addr().String(),
		stop:    stop,
		ended:   make(chan struct{}),
		clients: make(map[*client]struct{}),
		recent:  make(map[string][]wireTrade),
		changed: make(chan struct{}),
	}
	e.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.running.Add(1)
		defer e.running.Done()
		e.serve(ctx, w, r)
	})}
	go func() { _ = e.server.Serve(listener) }()
	e.running.Go(func() {
		e.err = src(ctx, func(trades []wireTrade) error { return e.publish(ctx, trades) })
		close(e.ended)
		e.disconnect()
	})
	return e, nil
}

// close ends all connections and waits until everything has stopped.
func (e *exchange) close() {
	e.stop()
	_ = e.server.Close()
	e.running.Wait()
}

// failure returns why the source ended, nil if it has not or came to its end.
func (e *exchange) failure() error {
	select {
	case <-e.ended:
		return e.err
	default:
		return nil
	}
}

// publish sends trades of one coin to all that subscribed to it. If nobody did,
// or all who did are gone, it waits for somebody.
func (e *exchange) publish(ctx context.Context, trades []wireTrade) error {
	message, err := newFrame(channelTrades, trades)
	if err != nil {
		return err
	}
	for recorded := false; ; {
		to, changed := e.subscribers(trades[0].Coin)
		if len(to) > 0 && !recorded {
			e.record(trades)
			recorded = true
		}
		sent := false
		for _, c := range to {
			if c.send(ctx, message) == nil {
				sent = true
			}
		}
		if sent {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// record keeps the last trades of a coin for those who subscribe to it later.
// It comes before the writing: a client that subscribes in between gets them.
func (e *exchange) record(trades []wireTrade) {
	e.mu.Lock()
	defer e.mu.Unlock()
	coin := trades[0].Coin
	all := slices.Concat(e.recent[coin], trades)
	e.recent[coin] = slices.Clone(all[max(len(all)-replayed, 0):])
}

// subscribers returns who subscribed to coin, and a channel that is closed when
// somebody else does.
func (e *exchange) subscribers(coin string) (to []*client, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.clients {
		if c.coins[coin] {
			to = append(to, c)
		}
	}
	return to, e.changed
}

// serve talks to one client until it goes.
func (e *exchange) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	c := &client{conn: conn, coins: make(map[string]bool)}
	e.mu.Lock()
	e.clients[c] = struct{}{}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.clients, c)
		e.mu.Unlock()
	}()
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if e.answer(ctx, c, message) != nil {
			return
		}
		if e.over(c) {
			_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
			return
		}
	}
}

// answer does what a client asks for.
func (e *exchange) answer(ctx context.Context, c *client, message []byte) error {
	send := func(channel string, data any) error {
		message, err := newFrame(channel, data)
		if err != nil {
			return err
		}
		return c.conn.Write(ctx, websocket.MessageText, message)
	}
	var r request
	switch err := json.Unmarshal(message, &r); {
	case err == nil && r.Method == "ping":
		return c.conn.Write(ctx, websocket.MessageText, []byte(`{"channel":"pong"}`))
	case err == nil && r.Method == "subscribe" && r.Subscription != nil && r.Subscription.Type == channelTrades:
		c.sending.Lock()
		defer c.sending.Unlock()
		if err := send(channelSubscribed, r); err != nil {
			return err
		}
		coin := r.Subscription.Coin
		e.mu.Lock()
		recent := e.recent[coin]
		c.coins[coin] = true
		close(e.changed)
		e.changed = make(chan struct{})
		e.mu.Unlock()
		if len(recent) > 0 {
			return send(channelTrades, recent)
		}
		return nil
	default:
		return send(channelError, fmt.Sprintf("Error parsing JSON into valid websocket request: %s", message))
	}
}

// disconnect tells all clients that there are no more trades.
func (e *exchange) disconnect() {
	e.mu.Lock()
	var closing sync.WaitGroup
	for c := range e.clients {
		closing.Go(func() {
			c.sending.Lock()
			defer c.sending.Unlock()
			_ = c.conn.Close(websocket.StatusNormalClosure, endOfTrades)
		})
	}
	e.mu.Unlock()
	closing.Wait()
}

// over reports whether c, which came back after the last trade, has been given
// the last ones of every coin.
func (e *exchange) over(c *client) bool {
	select {
	case <-e.ended:
	default:
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for coin := range e.recent {
		if !c.coins[coin] {
			return false
		}
	}
	return true
}
