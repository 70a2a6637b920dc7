package report

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// TestBrowser opens the report as a reader would: on a desk and on a telephone,
// in light and in dark. SHOWDOWN_SHOTS names a folder to keep the pictures in; so
// does go test -artifacts.
func TestBrowser(t *testing.T) {
	browser := newBrowser(t)
	shots := os.Getenv("SHOWDOWN_SHOTS")
	if shots == "" {
		shots = t.ArtifactDir()
	}
	for _, n := range []int{6, 12} {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("report-%d.html", n))
		d := document(t, invented(many(n), 5, true))
		if err := os.WriteFile(file, written(t, d.WriteHTML), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				name := fmt.Sprintf("%d-%d-%s", n, width, scheme)
				t.Run(name, func(t *testing.T) {
					got, complaints := visit(t, browser, file, width, scheme, filepath.Join(shots, name+".png"))
					judge(t, got, complaints)
					judgeRun(t, got)
				})
			}
		}
	}
}

// newBrowser starts a browser that ends with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path := findBrowser()
	if path == "" {
		const reason = "no Chromium found; install one, such as with: apt-get install chromium"
		if os.Getenv("SHOWDOWN_REQUIRE_ALL") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("hide-scrollbars", true),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	browser, release := chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	process := chromedp.FromContext(browser).Browser.Process()
	t.Cleanup(func() {
		patience, cancel := context.WithTimeout(browser, 10*time.Second)
		defer cancel()
		if err := chromedp.Cancel(patience); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		release()
		stop() // waits for the process
		if process.Signal(syscall.Signal(0)) == nil {
			t.Errorf("browser process %d is still there", process.Pid)
		}
	})
	return browser
}

func findBrowser() string {
	for _, name := range []string{"/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// findings is what audit.js reports of an open page.
type findings struct {
	Overflow int      `json:"overflow"` // pixels by which the page is wider than the screen
	Charts   int      `json:"charts"`   // drawn and visible
	Missing  []string `json:"missing"`  // figures without exactly one visible chart
	Overlaps []string `json:"overlaps"` // pairs of texts in one chart
	Outside  []string `json:"outside"`  // texts that stick out of their chart
	Contrast []string `json:"contrast"` // texts that are hard to read
	Sorted   bool     `json:"sorted"`   // by a click, least capacity first
	Tip      string   `json:"tip"`      // what is wrong with the crosshair's words
	Saved    []string `json:"saved"`    // beginnings of the files behind the buttons
}

// visit opens a page, keeps a picture of it and gives what is to be found there.
func visit(t *testing.T, browser context.Context, file string, width int64, scheme, shot string) (got findings, complaints []string) {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 20*time.Second)
	defer cancel()

	heard := listen(t, ctx)
	emulate(t, ctx, width, scheme)
	address := url.URL{Scheme: "file", Path: file}
	if err := chromedp.Do(ctx, chromedp.Navigate(address.String()), chromedp.WaitVisible("#data")); err != nil {
		t.Fatal(err)
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shot, picture, 0o644); err != nil {
		t.Fatal(err)
	}
	audit, err := os.ReadFile("testdata/audit.js")
	if err != nil {
		t.Fatal(err)
	}
	got, err = chromedp.Run(ctx, chromedp.Evaluate[findings](string(audit), chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return got, heard()
}

func emulate(t *testing.T, ctx context.Context, width int64, scheme string) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
		t.Fatal(err)
	}
}

// judge holds a page against what is wanted of all.
func judge(t *testing.T, got findings, complaints []string) {
	t.Helper()
	for what, found := range map[string][]string{
		"console": complaints, "figures without one visible chart": got.Missing, "overlapping labels": got.Overlaps,
		"labels outside their chart": got.Outside, "contrast below 4.5:1": got.Contrast,
	} {
		if len(found) > 0 {
			t.Errorf("%s:\n  %s", what, strings.Join(found, "\n  "))
		}
	}
	if got.Overflow > 0 {
		t.Errorf("the page is %d pixels wider than the screen", got.Overflow)
	}
	if got.Tip != "" {
		t.Errorf("pointing at the lines does not name each: %s", got.Tip)
	}
}

// judgeRun holds the findings against what a run's report has.
func judgeRun(t *testing.T, got findings) {
	t.Helper()
	if got.Charts != 6 {
		t.Errorf("%d visible charts, want 6", got.Charts)
	}
	if n := len(got.Saved); n != 8 || !strings.HasPrefix(got.Saved[0], "contender,") ||
		!strings.HasPrefix(got.Saved[n-2], "{\n  \"schema\": \"showdown.results/1\"") || !strings.HasPrefix(got.Saved[n-1], "contender,language") {
		t.Errorf("the buttons save %q", got.Saved)
	}
	if !got.Sorted {
		t.Error("a click on the head of a column does not sort by it")
	}
}

// listen gathers what the page complains of.
func listen(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var complaints []string
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, "exception: "+e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprintf("console.%s", e.Type))
		case *log.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text)
		case *page.EventJavascriptDialogOpening:
			complaints = append(complaints, "dialog: "+e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return complaints
	}
}
