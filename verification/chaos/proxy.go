package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A proxy stands between the clients that dial it and a server.
type proxy struct {
	listener net.Listener
	target   string
	delay    atomic.Int64 // of each read, in each direction
	gate     sync.RWMutex // locked while nothing passes
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// A conn is a connection of a client through the proxy.
type conn struct {
	client, server net.Conn
	halfOpen       atomic.Bool // what the server sends is lost
	cutting        atomic.Bool // the next write of the client is its last, and passes by half
}

func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, conns: map[*conn]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &conn{client: client, server: server}
		p.mu.Lock()
		p.conns[c] = struct{}{}
		p.mu.Unlock()
		var pumps sync.WaitGroup
		pumps.Go(func() { p.pump(c, true) })
		pumps.Go(func() { p.pump(c, false) })
		p.work.Go(func() {
			pumps.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.conns, c)
		})
	}
}

// pump copies what one side sends to the other, and closes both at its end.
func (p *proxy) pump(c *conn, fromClient bool) {
	defer c.close()
	from, to := c.server, c.client
	if fromClient {
		from, to = to, from
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			time.Sleep(time.Duration(p.delay.Load()))
			last := fromClient && c.cutting.Load()
			if last {
				n /= 2
			}
			if !p.pass(to, buffer[:n], !fromClient && c.halfOpen.Load()) || last {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass writes data while the gate is open, unless it is lost.
func (p *proxy) pass(to net.Conn, data []byte, lost bool) bool {
	p.gate.RLock()
	defer p.gate.RUnlock()
	if lost {
		return true
	}
	_, err := to.Write(data)
	return err == nil
}

func (c *conn) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func (p *proxy) each(do func(*conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		do(c)
	}
}

// close ends the proxy and its connections.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.each((*conn).close)
	p.work.Wait()
}

// A path is how a client reaches the servers: a proxy for each.
type path []*proxy

func newPath(targets []string) (p path, err error) {
	for _, target := range targets {
		one, err := newProxy(target)
		if err != nil {
			p.close()
			return nil, err
		}
		p = append(p, one)
	}
	return p, nil
}

func (p path) close() {
	for _, one := range p {
		one.close()
	}
}

func (p path) addresses() (all []string) {
	for _, one := range p {
		all = append(all, one.address())
	}
	return all
}

// cut closes the connections in the middle of the client's next write.
func (p path) cut() {
	for _, one := range p {
		one.each(func(c *conn) { c.cutting.Store(true) })
	}
}

// sever closes the connections at once.
func (p path) sever() {
	for _, one := range p {
		one.each((*conn).close)
	}
}

// halfOpen loses from now on what servers send on the connections that exist.
func (p path) halfOpen() {
	for _, one := range p {
		one.each(func(c *conn) { c.halfOpen.Store(true) })
	}
}

// mend closes the connections that have a fault.
func (p path) mend() {
	for _, one := range p {
		one.each(func(c *conn) {
			if c.halfOpen.Load() || c.cutting.Load() {
				c.close()
			}
		})
	}
}

// slow delays everything by d in each direction.
func (p path) slow(d time.Duration) {
	for _, one := range p {
		one.delay.Store(int64(d))
	}
}

// hold lets nothing pass until the function that it returns is called.
func (p path) hold() (release func()) {
	for _, one := range p {
		one.gate.Lock()
	}
	return func() {
		for _, one := range p {
			one.gate.Unlock()
		}
	}
}
