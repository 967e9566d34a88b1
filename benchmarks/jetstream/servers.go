package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A deployment is one server, or a cluster, and a connection to it.
type deployment struct {
	servers  []*server.Server
	replicas int
	nc       *nats.Conn
	js       jetstream.JetStream
}

// deploy starts so many servers in this process, which store in files below dir.
func deploy(ctx context.Context, dir string, size int) (*deployment, error) {
	ports, err := freePorts(size)
	if err != nil {
		return nil, err
	}
	var routes []*url.URL
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	d := &deployment{replicas: size}
	for i, port := range ports {
		name := fmt.Sprintf("server-%d-of-%d", i+1, size)
		opts := &server.Options{
			ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: filepath.Join(dir, name),
		}
		if size > 1 {
			opts.Cluster = server.ClusterOpts{Name: "benchmark", Host: "127.0.0.1", Port: port}
			opts.Routes = routes
		}
		s, err := server.NewServer(opts)
		if err != nil {
			d.close()
			return nil, err
		}
		d.servers = append(d.servers, s)
		s.Start()
	}
	for _, s := range d.servers {
		if !s.ReadyForConnections(time.Minute) {
			d.close()
			return nil, errors.New("the server does not start")
		}
	}
	if d.nc, d.js, err = d.connect(); err != nil {
		d.close()
		return nil, err
	}
	// A server without streams removes their directory, and may do so while the
	// next one is being created in it. Besides, Open waits until there is a leader.
	if _, err := natsqueue.Open[string](ctx, d.js, "stays", natsqueue.WithReplicas(size)); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// connect returns another connection, as another process would have it.
func (d *deployment) connect() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(d.servers[0].ClientURL(), nats.Timeout(time.Minute))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

func (d *deployment) close() {
	if d.nc != nil {
		d.nc.Close()
	}
	for _, s := range d.servers {
		s.Shutdown()
	}
	for _, s := range d.servers {
		s.WaitForShutdown()
	}
}

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
