package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Servers are the NATS servers of a run, each a process.
type servers struct {
	parts     []part
	processes []*process
}

// startServers starts n servers; three are a cluster.
func startServers(ctx context.Context, dir string, n int) (*servers, error) {
	ports, err := freePorts(2 * n)
	if err != nil {
		return nil, err
	}
	s := &servers{processes: make([]*process, n)}
	var routes []string
	for i := range n {
		p := part{Name: fmt.Sprint("server-", i+1), Port: ports[i]}
		p.Dir = filepath.Join(dir, p.Name)
		if n > 1 {
			p.Cluster = ports[n+i]
			routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p.Cluster))
		}
		s.parts = append(s.parts, p)
	}
	ready := make(chan error, n) // one waits for the others of the cluster
	for i := range n {
		s.parts[i].Routes = routes
		go func() { ready <- s.start(ctx, i) }()
	}
	for range n {
		if e := <-ready; e != nil {
			err = e
		}
	}
	return s, err
}

// start starts a server, or starts it again where it was killed, and returns when
// it takes connections.
func (s *servers) start(ctx context.Context, i int) error {
	ready := make(chan struct{}, 1)
	p, err := start(s.parts[i].Name, "server", s.parts[i], func(string) { ready <- struct{}{} })
	if err != nil {
		return err
	}
	s.processes[i] = p
	select {
	case <-ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("%s ended at once: %w", p.name, p.err)
	case <-ctx.Done():
		return fmt.Errorf("%s does not start: %w", p.name, ctx.Err())
	}
}

func (s *servers) addresses() (all []string) {
	for _, p := range s.parts {
		all = append(all, fmt.Sprintf("127.0.0.1:%d", p.Port))
	}
	return all
}

// serve is one server.
func serve() error {
	p, _, err := begin()
	if err != nil {
		return err
	}
	opts := &server.Options{
		ServerName: p.Name, Host: "127.0.0.1", Port: p.Port, JetStream: true, StoreDir: p.Dir,
		NoLog: true, NoSigs: true, AuthTimeout: 60, // seconds, as a busy machine may need
	}
	if p.Cluster > 0 {
		opts.Cluster = server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: p.Cluster, NoAdvertise: true}
		for _, route := range p.Routes {
			u, err := url.Parse(route)
			if err != nil {
				return err
			}
			opts.Routes = append(opts.Routes, u)
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("%s does not start", p.Name)
	}
	fmt.Println("ready")
	select {}
}

// freePorts returns ports that nothing listens on, outside of the range from which
// systems choose: they must stay free while a server is away.
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
