package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	marketTick = 10 * time.Millisecond
	calm       = 40  // trades a tick, all coins together
	busy       = 400 // the same in a burst
	burstEvery = 3 * time.Second
	burst      = 500 * time.Millisecond
)

// madeUpTrades returns a source of invented trades: prices walk at random, and
// every few seconds there is a burst.
func madeUpTrades(coins []string) source {
	cents := make([]int64, len(coins))
	for i, coin := range coins {
		switch coin {
		case "BTC":
			cents[i] = 9_000_000
		case "ETH":
			cents[i] = 300_000
		default:
			cents[i] = 15_000
		}
	}
	return func(ctx context.Context, publish func(message) error) error {
		ticker := time.NewTicker(marketTick)
		defer ticker.Stop()
		start := time.Now()
		for id := int64(1); ; {
			var now time.Time
			select {
			case <-ctx.Done():
				return ctx.Err()
			case now = <-ticker.C:
			}
			perCoin := calm / len(coins)
			if now.Sub(start)%burstEvery > burstEvery-burst {
				perCoin = busy / len(coins)
			}
			for i, coin := range coins {
				trades := make([]wireTrade, 1+rand.IntN(2*max(perCoin, 1)))
				for j := range trades {
					step := cents[i]/10_000 + 1
					cents[i] = max(cents[i]+rand.Int64N(2*step+1)-step, 1)
					trades[j] = madeUpTrade(coin, id, now.UnixMilli(), cents[i])
					id++
				}
				m, err := newTrades(coin, trades)
				if err != nil {
					return err
				}
				if err := publish(m); err != nil {
					return err
				}
			}
		}
	}
}

func madeUpTrade(coin string, id, ms, cents int64) wireTrade {
	side := "B"
	if rand.IntN(2) == 0 {
		side = "A"
	}
	return wireTrade{
		Coin:  coin,
		Side:  side,
		Price: fmt.Sprintf("%d.%02d", cents/100, cents%100),
		Size:  fmt.Sprintf("0.%05d", 1+rand.IntN(99_999)),
		Time:  ms,
		ID:    &id,
	}
}
