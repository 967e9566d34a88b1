package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// quoteFrame returns a frame of a quote of X; an empty price is none.
func quoteFrame(ms int64, bid, ask string) string {
	level := func(price string) string {
		if price == "" {
			return "null"
		}
		return fmt.Sprintf(`{"px":%q,"sz":"1","n":3}`, price)
	}
	return fmt.Sprintf(`{"channel":"bbo","data":{"coin":"X","time":%d,"bbo":[%s,%s]}}`, ms, level(bid), level(ask))
}

func TestAQuoteThatIsNoneIsRefused(t *testing.T) {
	const good = `{"coin":"X","time":1700000000000,"bbo":[{"px":"1.5","sz":"2","n":1},{"px":"1.6","sz":"3","n":4}]}`
	q, err := parseQuote([]byte(good))
	require.NoError(t, err)
	require.Equal(t, "0.1", q.spread().Decimal.String())
	for _, replace := range [][2]string{
		{`"X"`, `""`}, {`"X"`, `5`}, {`1700000000000`, `0`}, {`1700000000000`, `"now"`}, {`1700000000000`, `253402300800000`},
		{`"1.5"`, `1.5`}, {`"1.5"`, `"x"`}, {`"1.6"`, `"-1"`}, {`"3"`, `""`}, {`"1.6"`, `"1e99"`},
		{`,{"px":"1.6","sz":"3","n":4}`, ``}, {`[`, `[null,`}, {`[{"px":"1.5","sz":"2","n":1},{"px":"1.6","sz":"3","n":4}]`, `null`},
	} {
		bad := strings.Replace(good, replace[0], replace[1], 1)
		require.NotEqual(t, good, bad)
		_, err := parseQuote([]byte(bad))
		require.Error(t, err, bad)
	}
	for _, missing := range []string{`{"px":"1.5","sz":"2","n":1}`, `{"px":"1.6","sz":"3","n":4}`} {
		q, err := parseQuote([]byte(strings.Replace(good, missing, "null", 1)))
		require.NoError(t, err)
		require.False(t, q.spread().Valid)
	}
}

func TestQuotesAreReadLiveAndInAReplayAlike(t *testing.T) {
	frames := []string{
		quoteFrame(base, "1", "2"),
		strings.Replace(quoteFrame(base+1, "3", "4"), `"3"`, `3`, 1),
		quoteFrame(base+2, "", "2.5"),
		`{"channel":"bbo","data":null}`,
		`{"channel":"bbo"}`,
		quoteFrame(base+day, "7", "8"), // misdated
		strings.Replace(quoteFrame(base+3, "5", "6"), `"X"`, `""`, 1),
		quoteFrame(base+3, "5", "6"),
		`{"channel":"trades","data":[` + element("7", base, 1) + `]}`,
		quoteFrame(base-day, "7", "8"), // misdated, as none comes after it
	}
	check := func(received, bad, misdated int64, last coinQuotes) {
		t.Helper()
		require.EqualValues(t, 3, received)
		require.EqualValues(t, 6, bad)
		require.EqualValues(t, 2, misdated)
		require.Equal(t, "5", last.Bid)
		require.Equal(t, "6", last.Ask)
	}
	var text strings.Builder
	for i, f := range frames {
		fmt.Fprintf(&text, "%d %s\n", i, f)
	}
	s := replay(t, text.String())
	check(s.Quotes.Received, s.Bad, s.Misdated, s.Quotes.Coins["X"])
	require.EqualValues(t, 1, s.Processed)

	url := serve(t, func(ctx context.Context, conn *websocket.Conn) {
		for _, f := range frames {
			_ = conn.Write(ctx, websocket.MessageText, []byte(f))
		}
		_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
	})
	q := newQuotes([]string{"X"}, time.Second)
	f := newFeed(url, []string{"X"}, quiet, func(trade) {}, q.put)
	require.NoError(t, f.run(t.Context()))
	q.queue.Shutdown(false)
	q.work(t.Context(), new(atomic.Int64))
	check(q.summary().Received, f.bad.Load(), f.misdated.Load(), q.summary().Coins["X"])
}

func TestBinancesQuotesAreReplayed(t *testing.T) {
	s := replay(t, `1700000000000000000 {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"10.10","B":"1.5","a":"10.20","A":"2","T":1700000000100,"E":1700000000101}}
1700000000200000000 {"stream":"btcusdt@bookTicker","data":{"u":2,"s":"BTCUSDT","b":"10.30","B":"1.5","a":"10.40","A":"2"}}
1700000000300000000 {"stream":"ethusdt@bookTicker","data":{"u":3,"s":"ETHUSDT","b":"0.00000000","B":"0.00000000","a":"10.40","A":"2"}}
1700000000300000000 {"stream":"ethusdt@bookTicker","data":{"u":3,"s":"ETHUSDT","b":"x","B":"1","a":"10.40","A":"2"}}
1700000000300000000 {"stream":"ethusdt@bookTicker","data":5}
`, "-work", "100ms") // the worker is still busy when the feed ends
	require.EqualValues(t, 3, s.Quotes.Received)
	require.EqualValues(t, 2, s.Bad)
	btc, eth := s.Quotes.Coins["BTCUSDT"], s.Quotes.Coins["ETHUSDT"]
	require.Equal(t, [2]string{"10.3", "10.4"}, [2]string{btc.Bid, btc.Ask})
	require.Equal(t, [2]string{"", "10.4"}, [2]string{eth.Bid, eth.Ask})
	var text strings.Builder
	require.NoError(t, s.writeText(&text))
	require.Regexp(t, `BTCUSDT .*10\.3 +10\.4`, text.String(), "a coin without trades has a line too")
}

func TestASlowWorkerGetsTheNewestQuoteOfEachCoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuotes([]string{"X", "Y"}, time.Second)
		var delay atomic.Int64
		delay.Store(int64(time.Second))
		done := make(chan struct{})
		go func() { q.work(t.Context(), &delay); close(done) }()
		price := func(n int64) decimal.NullDecimal { return decimal.NewNullDecimal(decimal.NewFromInt(n)) }
		const n = 1000
		for i := range int64(n) { // ten milliseconds each
			for _, coin := range []string{"X", "Y"} {
				q.put(quote{coin: coin, time: time.Now(), bid: price(i + 1), ask: price(i + 2)})
			}
			time.Sleep(10 * time.Millisecond)
			if behind := i + 1 - q.book.last("X").bid.Decimal.IntPart(); i > 300 {
				require.LessOrEqual(t, behind, int64(302), "two seconds in hand or queued, and the one that is shown")
			}
		}
		q.queue.Shutdown(false)
		<-done
		s := q.summary()
		require.EqualValues(t, 2*n, s.Received)
		require.Equal(t, s.Received, s.Processed+s.Replaced)
		require.InDelta(t, 12, s.Processed, 1)
		for _, coin := range []string{"X", "Y"} {
			require.Equal(t, "1000", s.Coins[coin].Bid)
			require.Equal(t, "1001", s.Coins[coin].Ask)
		}
	})
}

func TestAQuotesWorkerEndsAtOnceWhenThePipelineIsHalted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuotes([]string{"X", "Y", "Z"}, time.Second)
		for _, coin := range []string{"X", "Y", "Z"} {
			q.put(quote{coin: coin, time: time.Now()})
		}
		q.queue.Shutdown(false)
		var delay atomic.Int64
		delay.Store(int64(time.Minute))
		ctx, halt := context.WithTimeout(t.Context(), time.Second)
		defer halt()
		start := time.Now()
		q.work(ctx, &delay)
		require.Equal(t, time.Second, time.Since(start))
		require.EqualValues(t, 3, q.summary().Processed, "what is queued is shown all the same")
	})
}

func TestTheSpreadOfABarIsWeightedByTime(t *testing.T) {
	b := newBook(time.Second)
	set := func(ms int64, bid, ask string) {
		q, err := parseQuote([]byte(strings.TrimSuffix(strings.TrimPrefix(quoteFrame(base+ms, bid, ask), `{"channel":"bbo","data":`), `}`)))
		require.NoError(t, err)
		b.set(q)
	}
	rows := func() (rows []string) {
		text := func(d decimal.NullDecimal) string {
			if !d.Valid {
				return "none"
			}
			return d.Decimal.String()
		}
		for _, r := range b.changed() {
			rows = append(rows, fmt.Sprint(r.start.UnixMilli()-base, " ", text(r.bid), " ", text(r.ask), " ", text(r.spread)))
		}
		return rows
	}
	set(0, "10", "12")
	require.Equal(t, []string{"0 10 12 2"}, rows(), "in force for no time yet")
	set(250, "10", "14") // 2 for 250 ms
	require.Equal(t, []string{"0 10 14 2"}, rows())
	set(500, "", "14")    // 4 for 250 ms
	set(1500, "10", "11") // none for the rest of the bar, and for half of the next one
	require.Equal(t, []string{"0 none 14 3", "1000 10 11 1"}, rows())
	set(1400, "10", "13") // later in the order of the feed
	set(4250, "10", "20") // 3 for 600 ms of that bar, and for 250 ms of this one; bars without a quote are left out
	require.Equal(t, []string{"1000 10 13 3", "4000 10 20 3"}, rows())
	require.Empty(t, rows())
	set(4500, "10", "11")
	require.Equal(t, []string{"4000 10 11 6.5"}, rows())
	set(2*keepBars.Milliseconds(), "10", "11")
	rows()
	rows()
	require.Len(t, b.bars, 1, "old bars are forgotten")
}

func TestSpreadsEqualAPlainComputation(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 9))
		b := newBook(time.Second)
		var quotes []quote
		at := int64(base)
		for range 1 + r.IntN(60) {
			at += r.Int64N(700)
			bid := 1 + r.Int64N(100)
			q := quote{coin: "X", time: time.UnixMilli(at).UTC(), bid: decimal.NewNullDecimal(decimal.NewFromInt(bid))}
			if r.IntN(5) > 0 {
				q.ask = decimal.NewNullDecimal(decimal.NewFromInt(bid + r.Int64N(9)))
			}
			quotes = append(quotes, q)
			b.set(q)
		}
		sum, weight := make(map[int64]int64), make(map[int64]int64) // by bar, each ms by itself
		touched := make(map[int64]bool)
		for i, q := range quotes {
			touched[q.time.Unix()] = true
			if i+1 == len(quotes) || !q.spread().Valid {
				continue
			}
			for ms := q.time.UnixMilli(); ms < quotes[i+1].time.UnixMilli(); ms++ {
				sum[ms/1000] += q.spread().Decimal.IntPart()
				weight[ms/1000]++
			}
		}
		bars := b.changed()
		require.Len(t, bars, len(touched))
		for _, bar := range bars {
			if n := weight[bar.start.Unix()]; n > 0 {
				want := decimal.NewFromInt(sum[bar.start.Unix()]).DivRound(decimal.NewFromInt(n), scale)
				require.True(t, want.Equal(bar.spread.Decimal), "seed %d: %v is not %v", seed, bar.spread, want)
			}
		}
	}
}

func TestQuotesAreStoredBesideTheBars(t *testing.T) {
	s, err := openStore(t.Context(), "")
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	start := time.UnixMilli(base).UTC()
	price := decimal.NewNullDecimal(decimal.RequireFromString("1.0000000001"))
	for _, bid := range []decimal.NullDecimal{{}, price} { // the second replaces the first
		_, err = s.upsert(nil, []quoteBar{{"X", start, bid, price, price}, {"Y", start, decimal.NullDecimal{}, price, decimal.NullDecimal{}}})
		require.NoError(t, err)
	}
	var rows string
	require.NoError(t, s.conn.QueryRowContext(t.Context(),
		`SELECT string_agg(concat(coin, ' ', epoch_ms(start), ' ', ifnull(bid::TEXT, '-'), ' ', ifnull(ask::TEXT, '-'), ' ', ifnull(spread::TEXT, '-')), ';' ORDER BY coin) FROM quotes`).Scan(&rows))
	require.Equal(t, fmt.Sprintf("X %d 1.0000000001 1.0000000001 1.0000000001;Y %d - 1.0000000001 -", int64(base), int64(base)), rows)
}

func TestASubscriptionToQuotesStartsWithTheLastOne(t *testing.T) {
	published := make(chan struct{})
	e, err := startExchange(func(ctx context.Context, publish func(message) error) error {
		for i := range int64(3) {
			m, err := newQuote("X", inventQuote("X", base+i, 100))
			require.NoError(t, err)
			if err := publish(m); err != nil {
				return err
			}
		}
		close(published)
		<-ctx.Done()
		return nil
	})
	require.NoError(t, err)
	defer e.close()
	subscribe := func() *websocket.Conn {
		conn, _, err := websocket.Dial(t.Context(), e.url, nil)
		require.NoError(t, err)
		require.NoError(t, send(t.Context(), conn, request{"subscribe", &subscription{channelQuotes, "X"}}))
		return conn
	}
	first := subscribe()
	defer func() { _ = first.CloseNow() }()
	<-published
	second := subscribe()
	defer func() { _ = second.CloseNow() }()
	for _, want := range []string{channelSubscribed, fmt.Sprint(base + 2)} {
		_, text, err := second.Read(t.Context())
		require.NoError(t, err)
		require.Contains(t, string(text), want)
	}
}
