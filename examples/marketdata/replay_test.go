package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const recorded = `1000000000 {"channel":"l2Book","data":{"coin":"BTC","levels":[]}}
1500000000 {"channel":"trades","data":[{"coin":"BTC","side":"B","px":"105056.0","sz":"0.00219","hash":"0xa","time":1737918794873,"tid":1,"users":["a","b"]},{"coin":"ETH","side":"A","px":"3000","sz":"1","hash":"0xb","time":1737918794874,"tid":2}]}
2000000000 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,"s":"BTCUSDT","t":3,"p":"61800.30","q":"0.006","X":"MARKET","m":true}}
2500000000 {"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":1723161256322,"s":"BTCUSDT"}}
3000000000 garbage
4000000000 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256400,"s":"BTCUSDT","t":4,"p":"61800.40","q":"0.007","X":"MARKET","m":false}}`

// record writes a capture to a file and returns its path.
func record(t *testing.T, text string, zipped bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capture")
	f, err := os.Create(path)
	require.NoError(t, err)
	var w io.WriteCloser = f
	if zipped {
		w = gzip.NewWriter(f)
	}
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return path
}

func TestACaptureIsPlayedAsFastAsAskedFor(t *testing.T) {
	for _, zipped := range []bool{false, true} {
		c, err := openCapture(record(t, recorded, zipped))
		require.NoError(t, err)
		require.Equal(t, []string{"BTC", "ETH", "BTCUSDT"}, c.coins)
		require.Equal(t, 4, c.trades)
		require.Equal(t, 2, c.skipped)
		for speed, want := range map[float64]time.Duration{0: 0, 1: 3 * time.Second, 2: 1500 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var played []wireTrade
				require.NoError(t, c.play(c.coins, speed)(t.Context(), func(m message) error {
					for _, e := range m.items {
						var w wireTrade
						require.NoError(t, json.Unmarshal(e, &w))
						require.Equal(t, m.topic.Coin, w.Coin)
						played = append(played, w)
					}
					return nil
				}))
				require.Equal(t, want, time.Since(start))
				require.Len(t, played, 4)
				require.Equal(t, wireTrade{Coin: "BTCUSDT", Side: "A", Price: "61800.30", Size: "0.006", Time: 1723161256321, ID: new(int64(3))}, played[2])
				require.Equal(t, "B", played[3].Side)
			})
		}
	}
}

func TestAGzippedCaptureMayBeCutOff(t *testing.T) {
	path := record(t, strings.Repeat(recorded+"\n", 10_000), true)
	packed, err := os.ReadFile(path)
	require.NoError(t, err)
	whole, err := openCapture(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, packed[:len(packed)*3/4], 0o644))
	cut, err := openCapture(path)
	require.NoError(t, err)
	require.Greater(t, cut.trades, whole.trades/2)
	require.Less(t, cut.trades, whole.trades)

	packed[len(packed)-8] ^= 0xff // the checksum
	require.NoError(t, os.WriteFile(path, packed, 0o644))
	_, err = openCapture(path)
	require.Error(t, err, "a gzipped capture that is damaged")
}

func TestPlayingEndsWithItsContext(t *testing.T) {
	c, err := openCapture(record(t, recorded, false))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	played := 0
	err = c.play(c.coins, 1e-6)(ctx, func(message) error {
		played++
		return nil
	})
	require.Equal(t, context.DeadlineExceeded, err)
	require.Zero(t, played)
}

func TestACaptureThatCannotBePlayedIsRefusedBeforehand(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "no trades",
		recorded + "\nyesterday {}":         "line 7: no time of receipt",
		"1 {\"channel\":\"l2Book\"}":        "no trades",
		"\x1f\x8b" + strings.Repeat("x", 9): "gzip",
	} {
		_, err := openCapture(record(t, text, false))
		require.ErrorContains(t, err, want)
	}
	_, err := openCapture(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAReplayEndsByItselfAndNeedsNoCoins(t *testing.T) {
	c, err := parseFlags([]string{"-replay", record(t, recorded, true), "-speed", "0", "-json"}, io.Discard)
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, run(c, t.Context(), t.Context(), &out, quiet))
	s := lastLine(t, []byte(out.String()))
	require.EqualValues(t, 4, s.Processed)
	require.EqualValues(t, 1, s.Bad, "the message that is no JSON")
	require.Zero(t, s.Repeats)
	require.Equal(t, coinSummary{Trades: 2, Volume: "0.013", Open: "61800.3", High: "61800.4", Low: "61800.3", Close: "61800.4"}, s.Coins["BTCUSDT"])
}

func TestAmountsAreExactOrRefused(t *testing.T) {
	for s, want := range map[string]string{
		"1": "1", "105056.0": "105056", "0.0000000001": "0.0000000001", "1e3": "1000", "1234567890123456789": "1234567890123456789",
	} {
		d, err := amount(s)
		require.NoError(t, err)
		require.Equal(t, want, d.String())
	}
	for _, s := range []string{"", "0", "-1", "abc", "NaN", "Inf", "1,5", "0.00000000001", "12345678901234567890", "1e999999999", "1e-999999999", "1e20",
		strings.Repeat("1", 1000)} {
		_, err := amount(s)
		require.Error(t, err, s)
	}
}

func TestATradeThatIsNoneIsRefused(t *testing.T) {
	good := wireTrade{Coin: "X", Side: "B", Price: "1", Size: "1", Time: base, ID: new(int64(1))}
	_, err := good.parse()
	require.NoError(t, err)
	for name, spoil := range map[string]func(w *wireTrade){
		"coin":      func(w *wireTrade) { w.Coin = "" },
		"side":      func(w *wireTrade) { w.Side = "C" },
		"price":     func(w *wireTrade) { w.Price = "" },
		"size":      func(w *wireTrade) { w.Size = "0" },
		"no id":     func(w *wireTrade) { w.ID = nil },
		"no time":   func(w *wireTrade) { w.Time = 0 },
		"late time": func(w *wireTrade) { w.Time = maxTime + 1 },
	} {
		bad := good
		spoil(&bad)
		_, err := bad.parse()
		require.Error(t, err, name)
	}
}

func TestBadFlagsAreRefusedWithAReason(t *testing.T) {
	capture := record(t, recorded, false)
	for flags, want := range map[string]string{
		"-overflow spill":                       "-overflow spill",
		"-capacity 0":                           "-capacity 0",
		"-workers -1":                           "-workers -1",
		"-work -1s":                             "-work -1s",
		"-bar 0":                                "-bar 0s",
		"-bar 1500ns":                           "-bar 1.5µs",
		"-speed -1":                             "-speed -1",
		"-speed NaN":                            "-speed NaN",
		"-duration -1s":                         "-duration -1s",
		"-coins BTC,,ETH":                       "empty name",
		"-coins BTC,BTC":                        "duplicate BTC",
		"extra":                                 `unexpected argument "extra"`,
		"-replay missing":                       "missing",
		"-replay " + capture + " -coins DOGE":   "no trades of DOGE",
		"-replay " + capture + " -url ws://x.y": "give one of them",
		"-capacity x":                           "invalid value",
		"-url exchange":                         `-url "exchange": must be the address of a WebSocket`,
		"-url ftp://x.y":                        "must be the address of a WebSocket",
		"-url ws://":                            "must be the address of a WebSocket",
	} {
		_, err := parseFlags(strings.Fields(flags), io.Discard)
		require.ErrorContains(t, err, want, flags)
	}
}

func TestTheGaugeShowsHowFullTheQueueIs(t *testing.T) {
	for depth, want := range map[int]string{
		0:   "[....................] ok      ",
		49:  "[#########...........] ok      ",
		50:  "[##########..........] moderate",
		79:  "[###############.....] moderate",
		80:  "[################....] HIGH    ",
		100: "[####################] FULL    ",
	} {
		require.Equal(t, want, gauge(depth, 100, false))
		require.Contains(t, gauge(depth, 100, true), "\x1b[")
	}
}
