package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
)

// A cluster is three servers on this machine.
type cluster struct {
	servers map[string]*process // by name
	urls    string
}

func startCluster(dir string) (c *cluster, err error) {
	const size = 3
	ports, err := freePorts(2 * size)
	if err != nil {
		return nil, err
	}
	var urls, routes []string
	for i := range size {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[size+i]))
	}
	c = &cluster{servers: map[string]*process{}, urls: strings.Join(urls, ",")}
	ready := make(chan struct{}, size)
	for i := range size {
		name := fmt.Sprintf("server-%d", i+1)
		p := settings{Node: name, Dir: filepath.Join(dir, name), Port: ports[i], Cluster: ports[size+i], Routes: routes}
		c.servers[name], err = start(name, "server", p.env(), func(string) { ready <- struct{}{} })
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	for _, s := range c.servers {
		select {
		case <-ready:
		case <-s.ended:
			return nil, errors.Join(fmt.Errorf("%s ended at once", s.name), s.wait(), c.stop())
		}
	}
	return c, nil
}

func (c *cluster) stop() (err error) {
	for _, s := range c.servers {
		if s != nil && !s.killed {
			err = errors.Join(err, s.kill(), s.wait())
		}
	}
	return err
}

// freePorts returns ports without a listener, below those that systems hand out
// for port 0, so that no other program takes one before its server does.
func freePorts(n int) (ports []int, err error) {
	for tries := 1000; len(ports) < n; tries-- {
		port := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		switch {
		case err == nil:
			defer l.Close()
			ports = append(ports, port)
		case tries <= 0:
			return nil, err
		}
	}
	return ports, nil
}
