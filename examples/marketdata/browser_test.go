package main

import (
	"bufio"
	"context"
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

func TestABrowserShowsBackpressureComeAndGo(t *testing.T) {
	t.Parallel()
	cmd, out, b := watched(t)

	const chart = `document.querySelector("#depth-chart canvas").toDataURL()`
	b.until(number("received") + " > 0")
	b.until(fmt.Sprintf("%s !== %q", chart, eval[string](b, chart)))
	b.until(`document.querySelectorAll("#candles canvas").length === 3`)

	b.press("work", kb.End)
	b.until(`document.getElementById("work-text").textContent === "50 ms"`)
	b.until(number("depth") + " > 8000")
	b.until(`document.getElementById("level").textContent === "high"`)
	b.until(number("parked") + " === 1")

	b.click("[data-for=workers][data-add='1']")
	b.until(number("workers-now") + " === 5")
	b.enter("capacity", 20_000)
	b.until(number("capacity-now") + " === 20000")
	b.until(number("depth") + " > 10500")
	b.enter("capacity", 0)
	b.until(`document.getElementById("message").textContent.includes("capacity 0: must be at least 1")`)
	b.until(`document.activeElement.id === "capacity" && document.getElementById("capacity").value === "20000"`)
	require.Equal(t, 20_000, eval[int](b, number("capacity-now")))

	for _, scheme := range []string{"light", "dark"} {
		b.colours(scheme)
		for _, width := range []int64{1280, 320} {
			b.size(width, 800)
			const right = "Math.max(...[...document.querySelectorAll('*')].map(e => e.getBoundingClientRect().right))"
			b.until(fmt.Sprintf("document.documentElement.clientWidth === %d && %s <= %d", width, right, width))
		}
	}

	b.press("work", kb.Home)
	b.until(number("depth") + " < 5000")
	b.until(number("parked") + " === 0")

	b.click("#shutdown")
	b.until(`document.getElementById("state").textContent === "ended"`)
	require.Contains(t, eval[string](b, `document.getElementById("message").textContent`), "none lost")
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	s := lastLine(t, rest)
	require.NoError(t, s.check())
	require.Greater(t, s.MaxDepth, 10_000, "the queue was never larger than it was at first")

	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.requests)
	home := strings.TrimSuffix(b.requests[0], "/")
	for _, request := range b.requests {
		require.True(t, strings.HasPrefix(request, home+"/") || strings.HasPrefix(request, "data:"), "asks for %s", request)
	}
	require.Len(t, b.faults, 1, "%q", b.faults)
	require.Contains(t, b.faults[0], "400", "the capacity that was refused")
}

// The queue fills, is made larger and fills again, and more workers let it
// drain: a minute worth a picture.
func TestThePageIsPictured(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots names no folder")
	}
	_, _, b := watched(t)
	time.Sleep(14 * time.Second)
	b.press("work", kb.ArrowRight)
	time.Sleep(11 * time.Second)
	b.enter("capacity", 20_000)
	time.Sleep(11 * time.Second)
	b.enter("workers", 16)
	time.Sleep(27 * time.Second)
	eval[chromedp.Void](b, "document.activeElement.blur()")
	b.colours("light")
	b.picture(filepath.Join(*screenshots, "marketdata.png"))
	b.colours("dark")
	b.picture(filepath.Join(*screenshots, "marketdata-dark.png"))
}
