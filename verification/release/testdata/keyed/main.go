// Keyed is a program that keeps the latest value of each key, and one that
// processes each key's items in order.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/boundq/queue/keyed"
)

func main() {
	ctx := context.Background()
	var prices keyed.Latest[string, float64]
	for _, price := range []float64{101, 101.5} {
		if _, _, err := prices.Put("BTC", price); err != nil {
			log.Fatal(err)
		}
	}
	prices.Shutdown(false)
	for name, price := range prices.Tasks(ctx) {
		fmt.Println(name, price)
	}

	orders := keyed.NewSerial[string, int](10)
	for n := range 3 {
		if err := orders.Put(ctx, "alice", n); err != nil {
			log.Fatal(err)
		}
	}
	orders.Shutdown(false)
	for customer, n := range orders.Tasks(ctx) {
		fmt.Println(customer, n)
	}
}
