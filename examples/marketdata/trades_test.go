package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An exchange's ids and times are its own: an id need not grow, nor be unique
// by itself, and a time may be equal to the last one, or far off.

// base is the start of a bar, in ms.
const base = 1_700_000_000_000

// element returns a trade of 1 X as it stands in a frame.
func element(price string, ms, id int64) string {
	return fmt.Sprintf(`{"coin":"X","side":"B","px":%q,"sz":"1","hash":"0x","time":%d,"tid":%d}`, price, ms, id)
}

// lines returns a capture of frames of these elements, one frame a line.
func lines(frames ...[]string) string {
	var text strings.Builder
	for i, elements := range frames {
		fmt.Fprintf(&text, "%d {\"channel\":\"trades\",\"data\":[%s]}\n", i+1, strings.Join(elements, ","))
	}
	return text.String()
}

// replay plays a capture, as fast as it can, and returns the summary.
func replay(t *testing.T, text string, args ...string) summary {
	t.Helper()
	c, err := parseFlags(append([]string{"-replay", record(t, text, false), "-speed", "0", "-json"}, args...), io.Discard)
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, run(c, t.Context(), t.Context(), &out, quiet))
	return lastLine(t, []byte(out.String()))
}

func TestAmongEqualTimesTheOrderOfTheFeedOpensAndClosesABar(t *testing.T) {
	for range 20 { // several workers: each order in which they may come
		s := replay(t, lines(
			[]string{element("7", base+1, 55), element("9", base+1, 80), element("8", base+5, 70)},
			[]string{element("3", base+5, 90), element("4", base+5, 20)},
			[]string{element("5", base+5, 60)},
		))
		require.Equal(t, coinSummary{Trades: 6, Volume: "6", Open: "7", High: "9", Low: "3", Close: "5"}, s.Coins["X"])
	}
}

func TestAnIDThatComesAgainAtAnotherTimeIsAnotherTrade(t *testing.T) {
	s := replay(t, lines(
		[]string{element("7", base+1, 55), element("8", base+2, 55)},
		[]string{element("8", base+2, 55), element("9", base+3, 55)},
	))
	require.EqualValues(t, 3, s.Received)
	require.EqualValues(t, 1, s.Repeats)
	require.Equal(t, coinSummary{Trades: 3, Volume: "3", Open: "7", High: "9", Low: "7", Close: "9"}, s.Coins["X"])
}

func TestABadElementOfACaptureCostsOnlyItself(t *testing.T) {
	good := []string{element("7", base+1, 1), element("8", base+2, 2), element("9", base+3, 3)}
	for what, bad := range map[string]string{
		"a number for a price":  strings.Replace(good[1], `"8"`, `8`, 1),
		"a text for a time":     strings.Replace(good[1], fmt.Sprint(base+2), `"then"`, 1),
		"a text for an id":      strings.Replace(good[1], `"tid":2`, `"tid":"2"`, 1),
		"no id":                 strings.Replace(good[1], `,"tid":2`, ``, 1),
		"a number for a coin":   strings.Replace(good[1], `"X"`, `8`, 1),
		"no coin":               strings.Replace(good[1], `"X"`, `""`, 1),
		"a fraction for a time": strings.Replace(good[1], fmt.Sprint(base+2), fmt.Sprint(base+2)+`.5`, 1),
		"null":                  "null",
		"a number":              "8",
	} {
		for place := range 3 {
			elements := append(append(append([]string{}, good[:place]...), bad), good[place:]...)
			s := replay(t, lines(elements))
			require.EqualValues(t, 3, s.Received, what)
			require.EqualValues(t, 1, s.Bad, what)
			require.Equal(t, coinSummary{Trades: 3, Volume: "3", Open: "7", High: "9", Low: "7", Close: "9"}, s.Coins["X"])
		}
	}
}

func TestASummaryOfARunThatDroppedTradesSaysThatTheyAreLost(t *testing.T) {
	s := summary{Received: 10, Processed: 7, Dropped: 3, Coins: map[string]coinSummary{"X": {Trades: 7}}}
	require.NoError(t, s.check())
	var text strings.Builder
	require.NoError(t, s.writeText(&text))
	require.NotContains(t, text.String(), "none lost")
}

// day is a day, in ms.
const day = int64(24 * time.Hour / time.Millisecond)

func TestAMisdatedTradeSpoilsNothing(t *testing.T) {
	const n = 6
	wrong := map[string]int64{
		"a day ahead":       base + day,
		"a year behind":     base - 365*day,
		"at the beginning":  1,
		"a thousand years":  base + 365_000*day,
		"as far as it goes": maxTime,
	}
	for what, ms := range wrong {
		for place := 1; place <= n; place++ {
			var frames [][]string
			for i := range int64(n) {
				if int(i) == place {
					frames = append(frames, []string{element("1000", ms, 99)})
				}
				frames = append(frames, []string{element(fmt.Sprint(10+i), base+i, i)})
			}
			if place == n {
				frames = append(frames, []string{element("1000", ms, 99)})
			}
			s := replay(t, lines(frames...))
			require.EqualValues(t, n, s.Processed, "%s, before trade %d", what, place)
			require.EqualValues(t, 1, s.Bad)
			require.EqualValues(t, 1, s.Misdated)
			require.EqualValues(t, 1, s.Bars)
			require.Equal(t, coinSummary{Trades: n, Volume: "6", Open: "10", High: "15", Low: "10", Close: "15"}, s.Coins["X"])
		}
	}
}

func TestAFirstTradeOfTomorrowIsMisdated(t *testing.T) {
	s := replay(t, lines([]string{element("1000", time.Now().UnixMilli()+day, 1), element("1000", time.Now().UnixMilli()+day, 2)},
		[]string{element("7", base, 3)}))
	require.EqualValues(t, 1, s.Processed)
	require.EqualValues(t, 2, s.Misdated)
}

func TestTradesWithLongPausesAreNotMisdated(t *testing.T) {
	var elements []string
	for i := range int64(9) { // a week from one to the next
		elements = append(elements, element("7", base-100*day+7*i*day, 2*i), element("8", base-100*day+7*i*day+1, 2*i+1))
	}
	s := replay(t, lines(elements))
	require.EqualValues(t, 18, s.Processed)
	require.EqualValues(t, 9, s.Bars)
	require.Zero(t, s.Bad)
}

// judge judges trades of these times, in hours, each so many hours
// after the one before, and returns the times of those that were passed on and
// of the misdated ones.
func judge(p *dates[trade], each time.Duration, hours ...int) (passed, misdated []int) {
	now := time.Now()
	hour := func(t time.Time) int { return int(t.Sub(time.UnixMilli(base)) / time.Hour) }
	for i, h := range hours {
		pass, bad := p.next(trade{time: time.UnixMilli(base).Add(time.Duration(h) * time.Hour), order: int64(i + 1)}, nil, now)
		for _, t := range pass {
			passed = append(passed, hour(t.time))
		}
		if bad != nil {
			misdated = append(misdated, hour(bad.item.time))
		}
		now = now.Add(each)
	}
	return passed, misdated
}

func TestAMisdatedTradeIsToldByItsNeighbours(t *testing.T) {
	for _, test := range []struct{ hours, passed, misdated []int }{
		{[]int{0, 1, 12, 13}, []int{0, 1, 12, 13}, nil},
		{[]int{0, 99, 1, 2}, []int{0, 1, 2}, []int{99}},
		{[]int{0, -99, 1, 2}, []int{0, 1, 2}, []int{-99}},
		{[]int{0, 99, 98, 97}, []int{0, 99, 98, 97}, nil}, // the clock was set, or there was a pause
		{[]int{0, -99, -98}, []int{0, -99, -98}, nil},
		{[]int{0, 99, 198, 297, 298}, []int{0, 99, 198, 297, 298}, nil},
		{[]int{0, 99, -99, 1}, []int{0, 1}, []int{99, -99}},
		{[]int{99, 0, 1}, []int{99, 0, 1}, nil}, // no trade before the first one
		{[]int{0, 99}, []int{0}, nil},           // held
	} {
		passed, misdated := judge(new(dates[trade]), 0, test.hours...)
		require.Equal(t, test.passed, passed, "%v", test.hours)
		require.Equal(t, test.misdated, misdated, "%v", test.hours)
	}
}

func TestATradeMayBeAheadByTheTimeThatHasPassed(t *testing.T) {
	passed, misdated := judge(new(dates[trade]), 24*time.Hour, 0, 24, 48, 49, 84)
	require.Equal(t, []int{0, 24, 48, 49, 84}, passed, "none is held")
	require.Empty(t, misdated)
}

func TestRecentTradesForgetsTheOldestTradesOnly(t *testing.T) {
	var r recentTrades
	for id := range int64(3 * remembered) {
		require.True(t, r.add(tradeID{1, id}))
		require.True(t, r.add(tradeID{2, id}))
		for _, recent := range []int64{0, 1, remembered/2 - 1} {
			require.False(t, r.add(tradeID{1, max(id-recent, 0)}))
		}
	}
	require.True(t, r.add(tradeID{1, 0}))
	require.Len(t, r.set, remembered)
	require.Len(t, r.ring, remembered)
}

func TestALateTradeDoesNotReplaceAStoredBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBars(time.Second)
		add := func(order, ms int64) bool {
			tr, err := parseTrade([]byte(element("7", ms, order)))
			require.NoError(t, err)
			tr.order = order
			return b.add(tr)
		}
		require.True(t, add(1, base))
		require.True(t, add(2, base+10*day), "dated ahead")
		require.True(t, add(3, base+5_000))
		require.Len(t, b.changed(), 3)
		time.Sleep(keepBars + 1)
		require.Empty(t, b.changed())
		require.Len(t, b.open, 2, "the current bar stays, and the one ahead of it")
		require.False(t, add(4, base+999))
		require.False(t, add(5, base-1))
		require.True(t, add(6, base+5_000))
		require.True(t, add(7, base+1_000))
		require.Len(t, b.changed(), 2)
	})
}

func TestRecentBarsAreTheLastOnesOfEachCoinUpToItsNewestTrade(t *testing.T) {
	b := newBars(time.Second)
	for i, ms := range []int64{9_000, 0, 1_000, 60_000, 10_500, 8_000, 4_000, 10_600} {
		tr, err := parseTrade([]byte(element("7", base+ms, int64(i))))
		require.NoError(t, err)
		tr.order = int64(2 * i)
		require.True(t, b.add(tr))
		tr.coin, tr.time, tr.order = "Y", tr.time.Add(-time.Hour), tr.order+1
		require.True(t, b.add(tr))
	}
	recent := b.recent(4)
	require.Len(t, recent, 2)
	for coin, shift := range map[string]time.Duration{"X": 0, "Y": -time.Hour} {
		var starts []int64
		for _, bar := range recent[coin] {
			require.Equal(t, coin, bar.coin)
			starts = append(starts, bar.start.Add(-shift).UnixMilli()-base)
		}
		require.Equal(t, []int64{4_000, 8_000, 9_000, 10_000}, starts)
	}
}

func TestACaptureThatIsCutOffIsPlayedToItsEnd(t *testing.T) {
	text := lines([]string{element("7", base, 1)}, []string{element("8", base+1, 2)})
	second := strings.Index(text, "\n") + 1
	for end := second; end <= len(text); end++ {
		s := replay(t, text[:end])
		whole, bad := int64(1), int64(1)
		switch {
		case end >= len(text)-1: // a line needs no end
			whole, bad = 2, 0
		case end == second:
			bad = 0
		}
		require.Equal(t, whole, s.Received, "%q", text[second:end])
		require.Equal(t, bad, s.Bad, "%q", text[second:end])
	}
}
