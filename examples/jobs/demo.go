package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log.Println("ended:", demo(ctx))
}

// demo has two tenants submit jobs, one of them many, and changes the settings
// in between. A critical job ends it.
func demo(ctx context.Context) error {
	r := newRunner(10)
	served := make(chan error, 1)
	go func() {
		served <- r.serve(ctx, settings{workers: 2, backoff: 10 * time.Millisecond}, 500*time.Millisecond)
	}()

	var submitters sync.WaitGroup
	for tenant, jobs := range map[string]int{"large": 60, "small": 6} {
		for i := range jobs {
			submitters.Go(func() {
				fails := i % 3 // so often, before it succeeds
				value, err := r.submit(ctx, job{tenant: tenant, urgent: i%5 == 0, retries: 2, deadline: time.Now().Add(5 * time.Second),
					do: func(context.Context) (string, error) {
						time.Sleep(20 * time.Millisecond)
						if fails--; fails >= 0 {
							return "", errors.New("not yet")
						}
						return fmt.Sprintf("%s %d", tenant, i), nil
					}})
				if err != nil {
					log.Println(tenant, i, err)
				} else if tenant == "small" {
					log.Println("done:", value) // its turn comes although the other has ten times as many
				}
			})
		}
	}
	time.Sleep(300 * time.Millisecond)
	select {
	case r.reload <- settings{workers: 8, backoff: 5 * time.Millisecond}:
	case <-ctx.Done():
	}
	submitters.Wait()
	_, err := r.submit(ctx, job{tenant: "small", critical: true, do: func(context.Context) (string, error) { return "", errors.New("the disk is full") }})
	log.Println("critical job:", err)
	return <-served
}
