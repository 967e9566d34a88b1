package main

import (
	"errors"
	"fmt"
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
		p := part{Node: name, Dir: filepath.Join(dir, name), Port: ports[i], Cluster: ports[size+i], Routes: routes}
		c.servers[name], err = start(name, "server", p.env(), func(string) { ready <- struct{}{} })
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
	}
	for _, s := range c.servers {
		select {
		case <-ready:
		case err := <-s.ended:
			return nil, errors.Join(fmt.Errorf("%s: %w", s.name, err), c.stop())
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

// freePorts returns ports that nobody listens on.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
