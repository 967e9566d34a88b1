package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// through returns the two ends of a connection through a path of one proxy.
func through(t *testing.T) (p path, client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	p, err = newPath([]string{l.Addr().String()})
	require.NoError(t, err)
	t.Cleanup(p.close)
	client, err = net.Dial("tcp", p.addresses()[0])
	require.NoError(t, err)
	server, err = l.Accept()
	require.NoError(t, err)
	for _, end := range []net.Conn{client, server} {
		require.NoError(t, end.SetDeadline(time.Now().Add(time.Minute)))
		t.Cleanup(func() { _ = end.Close() })
	}
	send(t, client, server, "hello") // the connection is known
	return p, client, server
}

func send(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(from, text)
	require.NoError(t, err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(to, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func TestProxyPassesBothDirections(t *testing.T) {
	_, client, server := through(t)
	send(t, client, server, "ping")
	send(t, server, client, "pong")
}

func TestProxyCutsInTheMiddleOfAWrite(t *testing.T) {
	p, client, server := through(t)
	p.cut()
	send(t, server, client, "what the server sends passes still")
	_, err := io.WriteString(client, "12345678")
	require.NoError(t, err)
	got, err := io.ReadAll(server)
	require.NoError(t, err)
	require.Equal(t, "1234", string(got))
	_, err = client.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestProxyLeavesAConnectionHalfOpen(t *testing.T) {
	p, client, server := through(t)
	p.halfOpen()
	_, err := io.WriteString(server, "lost")
	require.NoError(t, err)
	send(t, client, server, "what the client sends passes")
	p.mend()
	got, _ := io.ReadAll(client)
	require.Empty(t, got)
}

func TestProxyMendsNoConnectionWithoutAFault(t *testing.T) {
	p, client, server := through(t)
	p.mend()
	send(t, client, server, "ping")
	p.sever()
	_, err := client.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestProxyDelays(t *testing.T) {
	p, client, server := through(t)
	p.slow(30 * time.Millisecond)
	begin := time.Now()
	send(t, client, server, "ping")
	send(t, server, client, "pong")
	require.GreaterOrEqual(t, time.Since(begin), 60*time.Millisecond)
}

func TestProxyHoldsUntilItIsReleased(t *testing.T) {
	p, client, server := through(t)
	release := p.hold()
	released := make(chan struct{})
	go func() {
		defer close(released)
		_, err := server.Read(make([]byte, 9))
		assert.NoError(t, err)
	}()
	_, err := io.WriteString(client, "ping")
	require.NoError(t, err)
	select {
	case <-released:
		t.Error("it passed")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	<-released
}
