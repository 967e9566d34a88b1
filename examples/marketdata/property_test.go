package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// A random session is a sequence of messages as an exchange might send them, at
// its worst. Each part of one is labelled with what it is.
type part struct {
	coin        string
	ms, id      int64
	price, size string
	bad         bool // or unreadable, or misdated
	misdated    bool
	quote       bool
	bid, ask    string
}

// key identifies a trade.
func (p part) key() [3]any { return [3]any{p.coin, p.ms, p.id} }

type sent struct {
	text  string
	parts []part
}

// spoil makes a field of an element bad.
func spoil(r *rand.Rand, fields map[string]any) {
	wrong := map[string][]any{
		"coin": {nil, "", 5, []int{1}},
		"side": {nil, "", "C", 1, true},
		"px":   {nil, "", "0", "-1", "x", "NaN", "Inf", "1e99", "0.00000000001", strings.Repeat("9", 40), 1.5, map[string]int{}},
		"sz":   {nil, "", "0", "-0.1", "1,5", "1e-99", 2, false},
		"time": {nil, 0, -5, "then", 1.5, int64(maxTime + 1), 1e300},
		"tid":  {nil, "1", 1.5, 1e300, []int{}},
	}
	field := []string{"coin", "side", "px", "sz", "time", "tid"}[r.IntN(6)]
	if n := r.IntN(len(wrong[field]) + 1); n < len(wrong[field]) {
		fields[field] = wrong[field][n]
	} else {
		delete(fields, field)
	}
}

func randomSession(r *rand.Rand) (messages []sent) {
	coins := []string{"A", "B", "C"}
	clock := int64(base)
	rightly := make(map[string]bool) // whether a coin's last new trade has a right date
	seen := make(map[[3]any]bool)
	element := func(coin string) (string, part) {
		switch r.IntN(10) {
		case 0, 1:
			clock += r.Int64N(400)
		case 2:
			clock -= r.Int64N(3000)
		}
		p := part{coin: coin, ms: clock, id: 7, price: decimal.New(1+r.Int64N(1e6), -r.Int32N(6)).String(), size: decimal.New(1+r.Int64N(1e6), -r.Int32N(11)).String()}
		switch r.IntN(4) {
		case 0:
			p.id = r.Int64()
		case 1:
			p.id = -clock
		case 2:
			p.id = r.Int64N(3) // at the same time, a repeat
		}
		if rightly[coin] && r.IntN(20) == 0 {
			p.ms += []int64{-day, day, -base + day, 3000 * day}[r.IntN(4)]
			p.id, p.misdated, p.bad, rightly[coin] = r.Int64(), true, true, false
		}
		fields := map[string]any{"coin": coin, "side": "BA"[r.IntN(2):][:1], "px": p.price, "sz": p.size, "time": p.ms, "tid": p.id, "hash": r.IntN(2), "users": nil}
		if !p.misdated && r.IntN(10) == 0 {
			p = part{bad: true}
			spoil(r, fields)
		} else if !p.misdated && !seen[p.key()] {
			rightly[coin], seen[p.key()] = true, true
		}
		text, err := json.Marshal(fields)
		if err != nil {
			panic(err)
		}
		return string(text), p
	}
	for range 5 + r.IntN(40) {
		var m sent
		switch r.IntN(12) {
		case 0:
			garbage := []string{`{"channel":"trades","data":{}}`, `{"channel":"trades","data":null}`, `{"channel":"trades"}`, `{"channel":"trades","data":[{]}`,
				`{}`, `5`, `[]`, `null`, `"trades"`, `x`, `{"channel":5,"data":[]}`, `{"channel":"error","data":"no"}`}
			m = sent{garbage[r.IntN(len(garbage))], []part{{bad: true}}}
		case 1:
			m.text = `{"channel":"trades","data":[]}`
		case 2, 3, 4:
			p := part{quote: true, coin: coins[r.IntN(len(coins))], ms: clock}
			level := func(price *string) string {
				if r.IntN(5) == 0 {
					return "null"
				}
				*price = decimal.New(1+r.Int64N(1e6), -r.Int32N(6)).String()
				return fmt.Sprintf(`{"px":%q,"sz":"1","n":1}`, *price)
			}
			m.text = fmt.Sprintf(`{"channel":"bbo","data":{"coin":%q,"time":%d,"bbo":[%s,%s]}}`, p.coin, p.ms, level(&p.bid), level(&p.ask))
			if r.IntN(5) == 0 {
				p = part{bad: true}
				m.text = strings.NewReplacer(`:"`, `:["`, `"bbo":[`, `"bbo":[{},`).Replace(m.text)
			}
			m.parts = []part{p}
		default:
			var texts []string
			coin := coins[r.IntN(len(coins))]
			for range 1 + r.IntN(30) {
				if r.IntN(10) == 0 {
					coin = coins[r.IntN(len(coins))]
				}
				text, p := []string{"null", "5", `"x"`, "[]", "{}"}[r.IntN(5)], part{bad: true}
				if r.IntN(20) > 0 {
					text, p = element(coin)
				}
				texts, m.parts = append(texts, text), append(m.parts, p)
			}
			m.text = `{"channel":"trades","data":[` + strings.Join(texts, ",") + `]}`
		}
		messages = append(messages, m)
	}
	return messages
}

// An account is what a plain reading of the messages yields.
type account struct {
	received, repeats, bad int64
	bars                   map[string][]part // by coin and start, in the order of the feed
	quotes                 int64
	last                   map[string][2]string // bid and ask of each coin
}

func (a *account) read(messages []sent) {
	a.bars, a.last = make(map[string][]part), make(map[string][2]string)
	seen := make(map[[3]any]bool)
	for _, m := range messages {
		for _, p := range m.parts {
			switch {
			case p.quote:
				a.quotes++
				a.last[p.coin] = [2]string{p.bid, p.ask}
				continue
			case p.coin != "" && seen[p.key()]:
				a.repeats++
			case p.bad:
				a.bad++
			default:
				a.received++
				start := p.ms - p.ms%1000
				bar := fmt.Sprint(p.coin, " ", start)
				a.bars[bar] = append(a.bars[bar], p)
			}
			seen[p.key()] = true
		}
	}
}

// requireQuotes fails unless the summary has all quotes, and the last ones.
func (a *account) requireQuotes(t *testing.T, s quoteSummary, seed uint64) {
	t.Helper()
	require.Equal(t, a.quotes, s.Received, "quotes, seed %d", seed)
	last := make(map[string][2]string)
	for coin, c := range s.Coins {
		last[coin] = [2]string{c.Bid, c.Ask}
	}
	require.Equal(t, a.last, last, "last quotes, seed %d", seed)
}

// rows returns the bars as a database has them, computed one trade after
// another.
func (a *account) rows() map[string]string {
	rows := make(map[string]string)
	for bar, parts := range a.bars {
		inTime := slices.Clone(parts)
		slices.SortStableFunc(inTime, func(p, q part) int { return int(p.ms - q.ms) })
		var high, low, volume decimal.Decimal
		for i, p := range parts {
			price, size := decimal.RequireFromString(p.price), decimal.RequireFromString(p.size)
			if i == 0 || price.GreaterThan(high) {
				high = price
			}
			if i == 0 || price.LessThan(low) {
				low = price
			}
			volume = volume.Add(size)
		}
		fixed := func(d decimal.Decimal) string { return d.StringFixed(scale) }
		rows[bar] = strings.Join([]string{fixed(decimal.RequireFromString(inTime[0].price)), fixed(high), fixed(low),
			fixed(decimal.RequireFromString(inTime[len(inTime)-1].price)), fixed(volume), fmt.Sprint(len(parts))}, " ")
	}
	return rows
}

// storedRows returns the bars that the database has.
func storedRows(t *testing.T, s *store) map[string]string {
	t.Helper()
	rows, err := s.conn.QueryContext(t.Context(), `SELECT coin || ' ' || epoch_ms(start),
		concat_ws(' ', open, high, low, close, volume, trades) FROM bars`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	stored := make(map[string]string)
	for rows.Next() {
		var bar, row string
		require.NoError(t, rows.Scan(&bar, &row))
		stored[bar] = row
	}
	require.NoError(t, rows.Err())
	return stored
}

// A cutConn loses its connection after so many bytes were written to it.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:c.left])
	_ = c.Close()
	return n, io.ErrClosedPipe
}

// A live exchange sends random messages, loses connections in the middle of
// frames and repeats some frames on the next connection. The bars are those of
// a plain reading of what was delivered.
func TestBarsOfRandomMessagesEqualAPlainReadingOfThem(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		messages := randomSession(r)
		overflow := []string{block, block, dropOldest, dropNewest}[r.IntN(4)]
		halted := r.IntN(5) == 0
		args := []string{"-coins", "A,B,C", "-overflow", overflow, "-capacity", fmt.Sprint(1 + r.IntN(60)), "-workers", fmt.Sprint(1 + r.IntN(8)),
			"-work", []string{"0", "1ms"}[r.IntN(2)]}
		pause := time.Duration(r.IntN(20)) * time.Millisecond
		cuts := rand.New(rand.NewPCG(seed, 2))
		var mu sync.Mutex // guards cuts, next and delivered
		wrap := func(c net.Conn) net.Conn {
			mu.Lock()
			defer mu.Unlock()
			left := 1 << 30
			if cuts.IntN(5) > 0 {
				left = cuts.IntN(30_000)
			}
			return &cutConn{c, left}
		}
		var delivered []sent
		next := 0
		inBubble(t, wrap, func(ctx context.Context, conn *websocket.Conn) {
			for range 6 { // the subscriptions, as a pipe keeps nothing
				_, _, _ = conn.Read(ctx)
			}
			mu.Lock()
			next = max(next-cuts.IntN(4), 0)
			rest := messages[next:]
			mu.Unlock()
			for _, m := range rest {
				time.Sleep(pause)
				if conn.Write(ctx, websocket.MessageText, []byte(m.text)) != nil {
					return
				}
				mu.Lock()
				next++
				delivered = append(delivered, m)
				mu.Unlock()
			}
			_ = conn.Close(websocket.StatusNormalClosure, endOfTrades)
		}, func(t *testing.T) {
			s, err := openStore(t.Context(), "")
			require.NoError(t, err)
			defer func() { require.NoError(t, s.close()) }()
			defer time.Sleep(time.Second) // until the exchange sees that its client has gone
			c, err := parseFlags(args, io.Discard)
			require.NoError(t, err)
			p := newPipeline(c, "ws://exchange", s.upsert, quiet)
			now, halt := context.WithCancel(t.Context())
			defer halt()
			if halted {
				defer time.AfterFunc(time.Duration(r.IntN(300))*time.Millisecond, halt).Stop()
			}
			require.NoError(t, p.run(now, now))
			coins, err := s.summary(t.Context())
			require.NoError(t, err)
			sum := p.summary(coins)
			require.NoError(t, sum.check(), "seed %d", seed)
			require.Equal(t, sum.Received, sum.Processed+sum.Dropped+sum.Drained)
			if halted && now.Err() != nil {
				return
			}
			var want account
			mu.Lock()
			want.read(delivered)
			mu.Unlock()
			require.Equal(t, want.received, sum.Received, "received, seed %d", seed)
			require.Equal(t, want.repeats, sum.Repeats, "repeats, seed %d", seed)
			require.Equal(t, want.bad, sum.Bad, "bad, seed %d", seed)
			want.requireQuotes(t, sum.Quotes, seed)
			if overflow == block {
				require.Zero(t, sum.Dropped)
				require.Equal(t, want.rows(), storedRows(t, s), "seed %d", seed)
			}
		})
	}
}

// The same messages, recorded and played.
func TestBarsOfARandomCaptureEqualAPlainReadingOfIt(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		messages := randomSession(r)
		messages = append([]sent{{`{"channel":"trades","data":[` + element("7", base, 1) + `]}`, []part{{coin: "X", ms: base, id: 1, price: "7", size: "1"}}}}, messages...)
		var text strings.Builder
		for i, m := range messages {
			fmt.Fprintf(&text, "%d %s\n", i, m.text)
		}
		recorded := text.String()
		if r.IntN(2) == 0 { // cut in its last line
			last := messages[len(messages)-1].text
			recorded = recorded[:len(recorded)-1-(1+r.IntN(len(last)))]
			messages[len(messages)-1] = sent{parts: []part{{bad: true}}}
		}
		path := record(t, recorded, r.IntN(2) == 0)
		c, err := parseFlags([]string{"-replay", path, "-speed", "0", "-workers", fmt.Sprint(1 + r.IntN(8)), "-capacity", fmt.Sprint(1 + r.IntN(60))}, io.Discard)
		require.NoError(t, err)
		trades, _ := c.source(quiet)
		e, err := startExchange(trades)
		require.NoError(t, err)
		s, err := openStore(t.Context(), "")
		require.NoError(t, err)
		p := newPipeline(c, e.url, s.upsert, quiet)
		require.NoError(t, p.run(t.Context(), t.Context()))
		require.NoError(t, e.failure())
		e.close()
		coins, err := s.summary(t.Context())
		require.NoError(t, err)
		sum := p.summary(coins)
		require.NoError(t, sum.check())

		var want account
		want.read(messages)
		require.Equal(t, want.received, sum.Received, "received, seed %d", seed)
		require.Equal(t, want.repeats, sum.Repeats, "repeats, seed %d", seed)
		require.Equal(t, want.bad, sum.Bad, "bad, seed %d", seed)
		want.requireQuotes(t, sum.Quotes, seed)
		require.Equal(t, want.rows(), storedRows(t, s), "seed %d", seed)
		require.NoError(t, s.close())
	}
}
