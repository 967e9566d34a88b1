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
	endOfTrades = "end of trades" // the reason for closing the connection when the source has ended
)

// A message is sent to the clients that subscribed to its topic.
type message struct {
	topic subscription      // zero: all clients
	text  []byte            // as it is sent
	items []json.RawMessage // trades or a quote that text holds
}

// newTrades returns a frame of trades of a coin.
func newTrades[T any](coin string, trades []T) (m message, err error) {
	if coin != "" {
		m.topic = subscription{channelTrades, coin}
	}
	m.items = make([]json.RawMessage, len(trades))
	for i, t := range trades {
		if m.items[i], err = json.Marshal(t); err != nil {
			return m, err
		}
	}
	m.text, err = newFrame(channelTrades, m.items)
	return m, err
}

// newQuote returns a frame of a quote of a coin.
func newQuote(coin string, q any) (m message, err error) {
	if coin != "" {
		m.topic = subscription{channelQuotes, coin}
	}
	item, err := json.Marshal(q)
	if err != nil {
		return m, err
	}
	m.items = []json.RawMessage{item}
	m.text, err = newFrame(channelQuotes, m.items[0])
	return m, err
}

// A source calls publish with one message after another, until there are no
// more, or publish returns an error, which the source returns.
type source func(ctx context.Context, publish func(message) error) error

// An exchange serves a source's trades and quotes over a WebSocket on the loopback. It
// publishes no faster than its clients read, so backpressure reaches the source.
type exchange struct {
	url    string
	server *http.Server
	stop   context.CancelFunc
	ended  chan struct{} // closed when the source has ended
	err    error         // of the source; to be read once ended is closed

	running sync.WaitGroup // the source and the connections

	mu      sync.Mutex
	clients map[*client]struct{}
	recent  map[subscription][]json.RawMessage // the last trades of each coin, and the last quote
	changed chan struct{}                      // closed and replaced at each subscription
}

// A client is a connection and its subscriptions.
type client struct {
	conn   *websocket.Conn
	topics map[subscription]bool // guarded by exchange.mu

	// sending is held while a frame is sent, and from a subscription until the
	// recent items are sent, which must precede newer ones and the end.
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
		recent:  make(map[subscription][]json.RawMessage),
		changed: make(chan struct{}),
	}
	e.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.running.Add(1)
		defer e.running.Done()
		e.serve(ctx, w, r)
	})}
	go func() { _ = e.server.Serve(listener) }()
	e.running.Go(func() {
		e.err = src(ctx, func(m message) error { return e.publish(ctx, m) })
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

// publish sends a message to all subscribers of its topic. If there are none, or
// their connections are lost, it blocks until there is one.
func (e *exchange) publish(ctx context.Context, m message) error {
	for recorded := false; ; {
		to, changed := e.subscribers(m.topic)
		if len(to) > 0 && !recorded {
			e.record(m)
			recorded = true
		}
		sent := false
		for _, c := range to {
			if c.send(ctx, m.text) == nil {
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

// record keeps the last items of a topic for clients that subscribe later. It is
// called before the message is sent, for clients that subscribe meanwhile.
func (e *exchange) record(m message) {
	keep := replayed
	switch m.topic.Type {
	case "":
		return
	case channelQuotes:
		keep = 1
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Concat(e.recent[m.topic], m.items)
	e.recent[m.topic] = slices.Clone(all[max(len(all)-keep, 0):])
}

// subscribers returns the subscribers of a topic, or all if it is zero, and a
// channel that is closed at the next subscription.
func (e *exchange) subscribers(topic subscription) (to []*client, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.clients {
		if c.topics[topic] || topic == (subscription{}) && len(c.topics) > 0 {
			to = append(to, c)
		}
	}
	return to, e.changed
}

// serve serves one connection until it is closed.
func (e *exchange) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	c := &client{conn: conn, topics: make(map[subscription]bool)}
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

// answer answers a client's request.
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
	case err == nil && r.Method == "subscribe" && r.Subscription != nil && slices.Contains([]string{channelTrades, channelQuotes}, r.Subscription.Type):
		c.sending.Lock()
		defer c.sending.Unlock()
		if err := send(channelSubscribed, r); err != nil {
			return err
		}
		topic := *r.Subscription
		e.mu.Lock()
		recent := e.recent[topic]
		c.topics[topic] = true
		close(e.changed)
		e.changed = make(chan struct{})
		e.mu.Unlock()
		switch {
		case len(recent) == 0:
			return nil
		case topic.Type == channelQuotes:
			return send(channelQuotes, recent[0])
		}
		return send(channelTrades, recent)
	default:
		return send(channelError, fmt.Sprintf("Error parsing JSON into valid websocket request: %s", message))
	}
}

// disconnect closes all connections with the reason endOfTrades.
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

// over reports whether the source has ended, and c has the recent items of every
// topic.
func (e *exchange) over(c *client) bool {
	select {
	case <-e.ended:
	default:
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for topic := range e.recent {
		if !c.topics[topic] {
			return false
		}
	}
	return true
}
