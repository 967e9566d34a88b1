package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// The load comes in waves, which four workers with demoWork follow: at the crest
// trades queue up to some three quarters of 10,000, in the trough the queue
// drains.
const (
	marketTick = 10 * time.Millisecond
	meanRate   = 8000 // trades a second, all coins together
	swing      = 5000 // above and below it
	waveEvery  = 8 * time.Second
	burstSize  = 5000 // trades
	demoWork   = 400 * time.Microsecond
)

// A market invents trades: prices walk at random.
type market struct {
	coins  []string
	bursts atomic.Int64 // that were asked for and did not come yet
}

// burst has burstSize trades come at once.
func (m *market) burst() { m.bursts.Add(1) }

// trades is a source.
func (m *market) trades(ctx context.Context, publish func(message) error) error {
	cents := make([]int64, len(m.coins))
	for i, coin := range m.coins {
		switch coin {
		case "BTC":
			cents[i] = 9_000_000
		case "ETH":
			cents[i] = 300_000
		default:
			cents[i] = 15_000
		}
	}
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
		wave := meanRate - swing*math.Cos(2*math.Pi*now.Sub(start).Seconds()/waveEvery.Seconds())
		total := int(wave*marketTick.Seconds()) + burstSize*int(m.bursts.Swap(0))
		perCoin := max(total/len(m.coins), 1)
		for i, coin := range m.coins {
			trades := make([]wireTrade, 1+rand.IntN(2*perCoin))
			for j := range trades {
				step := cents[i]/10_000 + 1
				cents[i] = max(cents[i]+rand.Int64N(2*step+1)-step, 1)
				trades[j] = inventTrade(coin, id, now.UnixMilli(), cents[i])
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

func inventTrade(coin string, id, ms, cents int64) wireTrade {
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
