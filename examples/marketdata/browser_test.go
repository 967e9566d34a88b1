package main

import (
	"bufio"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// screenshots is the folder that pictures of the page are written to, which takes
// a minute; empty for none.
var screenshots = flag.String("screenshots", "", "take pictures of the page and write them to this `folder`")

const maxPicture = 200_000 // bytes

// A tab is a browser's, and shows the page.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string // addresses that were asked for
	faults   []string // what the console has to complain of
}

// openTab starts a browser and has it show the page at an address. The test is
// skipped if there is no browser.
func openTab(t *testing.T, address string) *tab {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(browser(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless,
		chromedp.NoSandbox, // it shows nothing but this program's page, and a sandbox needs more rights than a container has
		chromedp.NoFirstRun,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"), // nothing but this machine
	)
	t.Cleanup(stop)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, b.note))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(address)))
	return b
}

// browser returns where a browser is.
func browser(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium or Chrome on the PATH: the page is not tested in a browser")
	return ""
}

// note keeps what must not happen in any test.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.faults = append(b.faults, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, e.ExceptionDetails.Text)
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (R, error) {
		return cdp.Call(ctx, t, command, params)
	})
	require.NoError(b.t, err)
}

// eval returns the value of a JavaScript expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return value
}

// until waits until a JavaScript expression is true in the page.
func (b *tab) until(condition string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return eval[bool](b, condition) }, 2*time.Minute, 50*time.Millisecond, condition)
}

// press focuses an element and presses keys.
func (b *tab) press(id, keys string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Focus(chromedp.CSS("#"+id)), chromedp.KeyEvent(keys)))
}

// enter types a number into a field.
func (b *tab) enter(id string, n int) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Focus(chromedp.CSS("#"+id))))
	eval[chromedp.Void](b, "document.activeElement.select()")
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent(strconv.Itoa(n)+kb.Enter)))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector))))
}

func (b *tab) colours(scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)))
}

// picture writes what the tab shows to a file.
func (b *tab) picture(path string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.Less(b.t, len(png), maxPicture, path)
	require.NoError(b.t, os.WriteFile(path, png, 0o644))
}

// number is a JavaScript expression for the number that an element shows.
func number(id string) string {
	return fmt.Sprintf(`Number(document.getElementById(%q).textContent.replaceAll(",", ""))`, id)
}

// watched starts the program with its page, and shows it in a browser's tab.
func watched(t *testing.T) (cmd *exec.Cmd, stdout *bufio.Reader, b *tab) {
	t.Helper()
	browser(t)
	cmd, stdout, stderr := program(t, "-http", "127.0.0.1:0", "-json")
	line, err := stdout.ReadString('\n')
	require.NoError(t, err, stderr)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "live at ")
	require.True(t, ok, line)
	return cmd, stdout, openTab(t, address)
}

// axe is axe-core, which finds what hinders people with disabilities, as
// released: https://github.com/dequelabs/axe-core/releases/tag/v4.14.1
//
//go:embed testdata/axe.min.js
var axe string

// accessible fails if axe finds anything in what the tab shows now.
func (b *tab) accessible(when string) {
	b.t.Helper()
	eval[chromedp.Void](b, "if (!window.axe) {"+axe+"} void 0")
	eval[chromedp.Void](b, `window.found = null; axe.run().then(r => window.found = r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + " " + n.failureSummary))); void 0`)
	b.until("window.found !== null")
	require.Empty(b.t, eval[[]string](b, "window.found"), when)
}

// fits fails if the page is wider than the window.
func (b *tab) fits(width int64) {
	b.t.Helper()
	const right = "Math.max(...[...document.querySelectorAll('*')].map(e => e.getBoundingClientRect().right))"
	b.until(fmt.Sprintf("document.documentElement.clientWidth === %d && %s <= %d", width, right, width))
}

func text(id string) string { return fmt.Sprintf("document.getElementById(%q).textContent", id) }

func TestABrowserShowsBackpressureComeAndGo(t *testing.T) {
	t.Parallel()
	cmd, out, b := watched(t)

	const chart = `document.querySelector("#depth-chart canvas").toDataURL()`
	b.until(number("received") + " > 0")
	b.until(fmt.Sprintf("%s !== %q", chart, eval[string](b, chart)))
	b.until(`document.querySelectorAll("#candles canvas").length === 3`)

	b.press("work", kb.End)
	b.until(text("work-text") + ` === "50 ms"`)
	b.until(number("depth") + " > 8000")
	b.until(text("level") + ` === "full"`)
	b.until(number("parked") + " === 1")
	b.until(text("blocked") + ` !== "none"`)

	b.click("[data-for=workers][data-add='1']")
	b.until(number("workers-now") + " === 5")
	b.enter("capacity", 20_000)
	b.until(number("capacity-now") + " === 20000")
	b.until(number("depth") + " > 10500")
	for value, want := range map[string]string{"0": "capacity 0: must be at least 1 and at most 10000000", "1e9": "must be at least 1 and at most 10000000", "": `capacity \"\": parse error; must be at least 1`} {
		eval[chromedp.Void](b, fmt.Sprintf(`document.getElementById("capacity").focus(); document.getElementById("capacity").value = %q; void 0`, value))
		eval[chromedp.Void](b, `document.getElementById("capacity").dispatchEvent(new Event("change")); void 0`)
		b.until(text("message") + `.includes("` + want + `")`)
		b.until(`document.activeElement.id === "capacity" && document.getElementById("capacity").value === "20000"`)
	}
	require.Equal(t, 20_000, eval[int](b, number("capacity-now")))
	for _, change := range []string{"work 50 ms", "workers 5", "capacity 20,000"} {
		b.until(fmt.Sprintf(`[...document.querySelectorAll("#depth-chart .change")].some(e => e.textContent.includes(%q))`, change))
	}

	// The feed, which is blocked, follows another policy at once.
	b.until(number("parked") + " === 1")
	eval[chromedp.Void](b, `document.getElementById("overflow").value = "drop-oldest"; document.getElementById("overflow").dispatchEvent(new Event("change")); void 0`)
	b.until(number("parked") + " === 0 && " + number("dropped") + " > 0")

	b.press("work", kb.Home)
	b.until(text("work-text") + ` === "none"`)
	b.until(number("depth") + " < 5000")

	b.shutDown()
	b.until(text("state") + ` === "ended"`)
	require.NotContains(t, eval[string](b, text("message")), "none lost", "some were dropped")
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	s := lastLine(t, rest)
	require.NoError(t, s.check())
	require.Greater(t, s.MaxDepth, 10_000, "the queue was never larger than it was at first")
	require.NotZero(t, s.Dropped)
	require.NotZero(t, s.BlockedS)

	// Nothing that has ended looks alive, and the account stays.
	for _, id := range []string{"in", "out", "parked", "depth", "workers-now", "latency", "level"} {
		require.Equal(t, "–", eval[string](b, text(id)), id)
	}
	require.True(t, eval[bool](b, `[...document.querySelectorAll("#quotes .rate")].every(e => e.textContent === "–")`))
	require.Zero(t, eval[int](b, `document.querySelectorAll("a").length`))
	require.True(t, eval[bool](b, `document.getElementById("controls").disabled`))
	require.True(t, eval[bool](b, `document.getElementById("account").checkVisibility()`))
	for _, figure := range []int64{s.Received, s.Processed, s.Dropped} {
		require.True(t, eval[bool](b, fmt.Sprintf(`document.getElementById("account").textContent.replaceAll(",", "").includes("%d")`, figure)))
	}
	b.accessible("after the end")

	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.requests)
	home := strings.TrimSuffix(b.requests[0], "/")
	for _, request := range b.requests {
		require.True(t, strings.HasPrefix(request, home+"/") || strings.HasPrefix(request, "data:"), "asks for %s", request)
	}
	require.Len(t, b.faults, 3, "%q", b.faults)
	for _, fault := range b.faults {
		require.Contains(t, fault, "400", "the capacities that were refused")
	}
}

// shutDown uses the button, and the question that it asks, by keyboard.
func (b *tab) shutDown() {
	b.t.Helper()
	b.press("shutdown", kb.Enter)
	b.until(`document.getElementById("confirm").open`)
	b.press("confirm-yes", kb.Enter)
}

func TestThePageIsAccessibleOnAnyScreen(t *testing.T) {
	t.Parallel()
	_, _, b := watched(t)
	b.until(number("received") + " > 0")
	b.until(`document.querySelectorAll("#candles canvas").length === 3`)
	for _, scheme := range []string{"light", "dark"} {
		b.colours(scheme)
		for _, width := range []int64{1280, 320} {
			b.size(width, 800)
			b.fits(width)
			b.accessible(fmt.Sprintf("%s, %d px", scheme, width))
		}
	}

	const above = `[...document.querySelectorAll("main .card")].filter(e => e.checkVisibility() && e.getBoundingClientRect().bottom <= document.querySelector(".controls").getBoundingClientRect().top).length`
	require.LessOrEqual(t, eval[int](b, above), 1, "cards above the controls, on a phone")

	// The question before the end, which is asked once.
	b.press("shutdown", kb.Enter)
	b.until(`document.getElementById("confirm").open`)
	b.accessible("the question")
	require.NoError(t, chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Escape)))
	b.until(`!document.getElementById("confirm").open`)
	require.Equal(t, "live", eval[string](b, text("state")))
	b.size(1280, 800)

	// By keyboard alone, from the first control to the last.
	reached := make(map[string]bool)
	eval[chromedp.Void](b, "document.activeElement.blur()")
	for range 20 {
		require.NoError(t, chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Tab)))
		reached[eval[string](b, "document.activeElement.id")] = true
	}
	for _, id := range []string{"work", "workers", "capacity", "overflow", "burst", "shutdown"} {
		require.True(t, reached[id], id)
	}

	// The labels at 50 and 80 percent, after a Resize to a small part of what
	// the chart still shows.
	const overlap = `(() => {
		const [a, b] = ["80 %", "50 %"].map(n => document.querySelector('#depth-chart [data-label="' + n + '"]').getBoundingClientRect());
		return a.bottom > b.top;
	})()`
	b.enter("capacity", 50)
	b.until(number("capacity-now") + " === 50")
	require.False(t, eval[bool](b, overlap))
}

func TestTheDemoShowsQuotesLatenciesAndBursts(t *testing.T) {
	t.Parallel()
	_, _, b := watched(t)
	b.until(text("work-text") + ` === "800 µs"`)
	b.until(`document.querySelectorAll("#quotes tbody tr").length === 3`)
	b.until(`[...document.querySelectorAll("#quotes .spread")].every(e => /^[\d.]+ \([\d.]+ bp\)$/.test(e.textContent))`)
	b.until(`[...document.querySelectorAll("#quotes .conflated")].every(e => parseFloat(e.textContent) > 0)`)
	b.until(`[...document.querySelectorAll("#quotes .rate")].every(e => parseFloat(e.textContent) > 0)`)
	require.Regexp(t, `^[\d.]+ (µs|ms|s)$`, eval[string](b, text("latency")))
	require.Regexp(t, `^[\d.]+ (µs|ms|s)$`, eval[string](b, text("latency-p99")))
	require.Regexp(t, `^[\d.]+ (µs|ms|s)$`, eval[string](b, text("wait")))

	b.click("#burst")
	b.until(`[...document.querySelectorAll("#depth-chart .change")].some(e => e.textContent === "burst")`)

	b.press("work", kb.Home)
	b.press("work", kb.ArrowRight)
	b.until(text("work-text") + ` === "10 µs"`)
	stop := 10 * time.Microsecond
	for stop < 50*time.Millisecond {
		b.press("work", kb.ArrowRight)
		next, err := time.ParseDuration(strings.ReplaceAll(eval[string](b, text("work-text")), " ", ""))
		require.NoError(t, err)
		require.Greater(t, next, stop)
		require.LessOrEqual(t, next, 2*stop, "a step from %v", stop)
		stop = next
	}
}

// Waves and a burst come; more work on each trade fills the queue, which is made
// larger; and more workers drain it: a minute worth a picture.
func TestThePageIsPictured(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots names no folder")
	}
	_, _, b := watched(t)
	time.Sleep(20 * time.Second)
	b.click("#burst")
	time.Sleep(8 * time.Second)
	b.press("work", kb.ArrowRight)
	time.Sleep(12 * time.Second)
	b.enter("capacity", 20_000)
	time.Sleep(9 * time.Second)
	b.enter("workers", 16)
	time.Sleep(13 * time.Second)
	eval[chromedp.Void](b, "document.activeElement.blur()")
	b.colours("light")
	b.picture(filepath.Join(*screenshots, "marketdata.png"))
	b.colours("dark")
	b.picture(filepath.Join(*screenshots, "marketdata-dark.png"))
}
