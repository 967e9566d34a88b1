package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// serve starts a WebSocket server that gives each connection to handle, and
// returns its address.
func serve(t *testing.T, handle func(ctx context.Context, conn *websocket.Conn)) string {
	t.Helper()
	server := httptest.NewServer(accepting(handle))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func accepting(handle func(ctx context.Context, conn *websocket.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		handle(r.Context(), conn)
	})
}

// inBubble runs a test in a bubble, with a server at ws://exchange that gives
// each connection to handle. The connections are pipes, which wrap may change.
func inBubble(t *testing.T, wrap func(net.Conn) net.Conn, handle func(ctx context.Context, conn *websocket.Conn), test func(t *testing.T)) {
	t.Helper()
	transport := http.DefaultTransport
	defer func() { http.DefaultTransport = transport }()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(base).AddDate(0, 0, 1))) // a bubble's clock starts long before these trades
		l := pipeListener{make(chan net.Conn), make(chan struct{})}
		pipes := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			if wrap != nil {
				server = wrap(server)
			}
			l.conn <- server
			return client, nil
		}}
		http.DefaultTransport = pipes
		server := &http.Server{Handler: accepting(handle)}
		defer func() { require.NoError(t, server.Close()) }()
		defer pipes.CloseIdleConnections()
		go func() { _ = server.Serve(l) }()
		test(t)
	})
}

// tradesFrame returns a frame of n trades.
func tradesFrame(t *testing.T, n int) string {
	t.Helper()
	message, err := newFrame(channelTrades, trades(0, n))
	require.NoError(t, err)
	return string(message)
}

func TestWhatTheFeedCannotReadIsCountedAndNeverFatal(t *testing.T) {
	const good = `{"coin":"X","side":"A","px":"1.5","sz":"2","hash":"0x","time":1700000000007,"tid":7}`
	frames := []struct {
		message            string
		bad, received, rep int64
	}{
		{`{"channel":"subscriptionResponse","data":{"method":"subscribe"}}`, 0, 0, 0},
		{`{"channel":"pong"}`, 0, 0, 0},
		{`not JSON`, 1, 0, 0},
		{``, 1, 0, 0},
		{`[]`, 1, 0, 0},
		{`{"channel":"news","data":{}}`, 1, 0, 0},
		{`{"channel":"error","data":"Invalid subscription"}`, 1, 0, 0},
		{`{"channel":"trades","data":{}}`, 1, 0, 0},
		{`{"channel":"trades"}`, 1, 0, 0},
		{`{"channel":"trades","data":[]}`, 0, 0, 0},
		{`{"channel":"trades","data":[1,` + strings.ReplaceAll(good, `"1.5"`, `"abc"`) + `,` +
			strings.ReplaceAll(good, `"2"`, `"-2"`) + `,` + strings.ReplaceAll(good, `"tid":7`, `"tid":"7"`) + `,` + good + `]}`, 4, 1, 0},
		{`{"channel":"trades","data":[` + strings.ReplaceAll(good, `"X"`, `"Y"`) + `,` + good + `]}`, 1, 0, 1},
		{tradesFrame(t, 1000), 0, 999, 1}, // far above the client's own limit for a message
	}
	var bad, received, repeats int64
	url := serve(t, func(ctx context.Context, conn *websocket.Conn) {
		for _, f := range frames {
			_ = conn.Write(ctx, websocket.MessageText, []byte(f.message))
		}
		_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
	})
	var put []trade
	f := newFeed(url, []string{"X"}, quiet, func(t trade) { put = append(put, t) }, func(quote) {})
	require.NoError(t, f.run(t.Context()))
	for _, f := range frames {
		bad, received, repeats = bad+f.bad, received+f.received, repeats+f.rep
	}
	require.Equal(t, bad, f.bad.Load())
	require.Equal(t, received, f.received.Load())
	require.Equal(t, repeats, f.repeats.Load())
	require.Len(t, put, int(received))
}

func TestTheFeedPingsASilentExchangeAndLeavesADeadOne(t *testing.T) {
	var connections, pings atomic.Int64
	inBubble(t, nil, func(ctx context.Context, conn *websocket.Conn) {
		_, _, _ = conn.Read(ctx) // the subscriptions, as a pipe keeps nothing
		_, _, _ = conn.Read(ctx)
		if connections.Add(1) == 3 {
			_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
			return
		}
		for {
			_, message, err := conn.Read(ctx)
			if err != nil {
				return
			}
			// The first connection answers twice, the second one never.
			if string(message) == `{"method":"ping"}` && pings.Add(1) <= 2 {
				_ = conn.Write(ctx, websocket.MessageText, []byte(`{"channel":"pong"}`))
			}
		}
	}, func(t *testing.T) {
		f := newFeed("ws://exchange", []string{"X"}, quiet, func(trade) {}, func(quote) {})
		start := time.Now()
		require.NoError(t, f.run(t.Context()))
		require.EqualValues(t, 3, connections.Load())
		require.EqualValues(t, 4, pings.Load(), "two that were answered, one that was not, and one on the second connection")
		require.Zero(t, f.bad.Load())
		require.Greater(t, time.Since(start), 4*f.silence)
		require.Less(t, time.Since(start), 7*f.silence)
	})
}

func TestWaitingForRoomIsNotSilence(t *testing.T) {
	var pings atomic.Int64
	put := func(trade) { time.Sleep(4 * longestSilence) }
	inBubble(t, nil, func(ctx context.Context, conn *websocket.Conn) {
		go func() {
			for {
				_, message, err := conn.Read(ctx)
				if err != nil {
					return
				}
				if strings.Contains(string(message), "ping") {
					pings.Add(1)
				}
			}
		}()
		_ = conn.Write(ctx, websocket.MessageText, []byte(tradesFrame(t, 1)))
		_ = conn.Write(ctx, websocket.MessageText, []byte(tradesFrame(t, 2)))
		_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
	}, func(t *testing.T) {
		f := newFeed("ws://exchange", []string{"X"}, quiet, put, func(quote) {})
		require.NoError(t, f.run(t.Context()))
		require.EqualValues(t, 2, f.received.Load(), "the connection was given up")
		require.Zero(t, pings.Load())
	})
}

func TestRunEndsWithItsContextThoughNoExchangeListens(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, newFeed("ws://127.0.0.1:1", []string{"X"}, quiet, func(trade) {}, func(quote) {}).run(ctx))
	require.Error(t, ctx.Err())
}

func TestARefusalEndsTheFeedAndATroubleOfTheMomentDoesNot(t *testing.T) {
	for status, want := range map[int]bool{400: true, 401: true, 403: true, 404: true, 410: true, 451: true, 408: false, 425: false, 429: false, 500: false, 503: false} {
		var asked atomic.Int64
		answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				w.WriteHeader(status)
				return
			}
			accepting(func(_ context.Context, conn *websocket.Conn) {
				_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
			}).ServeHTTP(w, r)
		})
		server := httptest.NewServer(answers)
		err := newFeed("ws"+strings.TrimPrefix(server.URL, "http"), []string{"X"}, quiet, func(trade) {}, func(quote) {}).run(t.Context())
		server.Close()
		if want {
			require.ErrorContains(t, err, "refuses the connection")
			require.ErrorContains(t, err, strconv.Itoa(status))
			require.EqualValues(t, 1, asked.Load())
		} else {
			require.NoError(t, err)
			require.EqualValues(t, 2, asked.Load())
		}
	}
}

func TestAMessageThatIsCutOffIsNeverTakenForAWholeOne(t *testing.T) {
	message := tradesFrame(t, 30)
	const header = 4 // bytes, of a WebSocket's frame of this size
	for cut := range header + len(message) {
		var connections atomic.Int64
		wrap := func(c net.Conn) net.Conn {
			if connections.Add(1) > 1 {
				return c
			}
			return &cutConn{c, len(handshake) + cut}
		}
		inBubble(t, wrap, func(ctx context.Context, conn *websocket.Conn) {
			_, _, _ = conn.Read(ctx) // the subscriptions, as a pipe keeps nothing
			_, _, _ = conn.Read(ctx)
			if connections.Load() == 1 {
				_ = conn.Write(ctx, websocket.MessageText, []byte(message))
				return
			}
			_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
		}, func(t *testing.T) {
			f := newFeed("ws://exchange", []string{"X"}, quiet, func(trade) {}, func(quote) {})
			require.NoError(t, f.run(t.Context()))
			require.Zero(t, f.bad.Load(), "cut after %d bytes", cut)
			require.Zero(t, f.received.Load())
		})
	}
}

// handshake is what a server answers before the first frame.
const handshake = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ............................\r\nUpgrade: websocket\r\n\r\n"
