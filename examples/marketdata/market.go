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
// the queue of 10,000 fills by more than half, in the trough it drains.
const (
	marketTick = 10 * time.Millisecond
	catchUp    = 100 * time.Millisecond // at most, after ticks that were missed
	meanRate   = 4000                   // trades a second, all coins together
	swing      = 2500                   // above and below it
	waveEvery  = 16 * time.Second
	quoteRate  = 12_000 // quotes a second, all coins together
	burstSize  = 5000   // trades
	demoWork   = 800 * time.Microsecond
)

// A market generates trades and quotes: prices are random walks.
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
	last := start
	for id := int64(1); ; {
		var now time.Time
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now = <-ticker.C:
		}
		wave := meanRate - swing*math.Cos(2*math.Pi*now.Sub(start).Seconds()/waveEvery.Seconds())
		since := min(now.Sub(last), catchUp) // a slow machine misses ticks, but no trades
		last = now
		total := int(wave*since.Seconds()) + burstSize*int(m.bursts.Swap(0))
		perCoin := max(total/len(m.coins), 1)
		for i, coin := range m.coins {
			trades := make([]wireTrade, 1+rand.IntN(2*perCoin))
			for j := range trades {
				step := cents[i]/10_000 + 1
				cents[i] = max(cents[i]+rand.Int64N(2*step+1)-step, 1)
				trades[j] = inventTrade(coin, id, now.UnixMilli(), cents[i])
				id++
			}
			frame, err := newTrades(coin, trades)
			if err != nil {
				return err
			}
			if err := publish(frame); err != nil {
				return err
			}
			for range max(int(quoteRate*marketTick.Seconds())/len(m.coins), 1) {
				frame, err := newQuote(coin, inventQuote(coin, now.UnixMilli(), cents[i]))
				if err != nil {
					return err
				}
				if err := publish(frame); err != nil {
					return err
				}
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
		Size:  randomSize(),
		Time:  ms,
		ID:    &id,
	}
}

// inventQuote returns a quote around a price, with a spread of up to 2 basis
// points.
func inventQuote(coin string, ms, cents int64) wireQuote {
	half := 1 + rand.Int64N(cents/10_000+1)
	level := func(cents int64) *wireLevel {
		cents = max(cents, 1)
		return &wireLevel{Price: fmt.Sprintf("%d.%02d", cents/100, cents%100), Size: randomSize(), Orders: 1 + rand.Int64N(20)}
	}
	return wireQuote{Coin: coin, Time: ms, Levels: []*wireLevel{level(cents - half), level(cents + half)}}
}

func randomSize() string { return fmt.Sprintf("0.%05d", 1+rand.IntN(99_999)) }
