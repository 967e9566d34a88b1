// Natsqueue is a program with a queue on a NATS server, which it brings along.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/boundq/queue/natsqueue"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "natsqueue")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	q, err := natsqueue.Open[int](ctx, js, "numbers", natsqueue.WithCapacity(10))
	if err != nil {
		return err
	}
	defer q.Close()
	for n := range 3 {
		if err := q.Put(ctx, n); err != nil {
			return err
		}
	}
	if err := q.Shutdown(ctx, false); err != nil {
		return err
	}
	for n := range q.Tasks(ctx) {
		fmt.Println(n)
	}
	return ctx.Err()
}
