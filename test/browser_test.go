//go:build linux

package test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/caddy-minimize/minimize/test/missing"
)

// axeHash is of axe.min.js of axe-core 4.14.1, which test/run installs.
const axeHash = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

// tab is a page in a real browser. What goes wrong in it, and where it asks, is noted.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	wrong    []string
	requests []string
}

// openTab starts a browser with an empty profile.
func openTab(t *testing.T) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.WSURLReadTimeout(time.Minute))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, b.note)
	b.do("starting the browser", network.Enable(), log.Enable(), runtime.Enable())
	return b
}

func chromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing.Tool(t, "no Chromium is installed: test/run does it")
	return ""
}

// note notes what a person would see in the browser's console, Content-Security-Policy's complaints among it.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			b.wrong = append(b.wrong, "console: "+e.Type.String())
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			b.wrong = append(b.wrong, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

func (b *tab) do(what string, actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, strings.Join(b.wrong, "\n"))
	}
}

// settled follows what the action leads to, until the page that comes of it is there.
func (b *tab) settled(what string, actions ...chromedp.Action) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 30*time.Second)
	defer stop()
	if _, err := chromedp.RunResponse(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.settled("opening "+url, chromedp.Navigate(url))
}

func (b *tab) text(script string) (text string) {
	b.t.Helper()
	b.do(script, chromedp.Evaluate("String("+script+")", &text))
	return text
}

// until waits for a script to become true.
func (b *tab) until(what, script string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 30*time.Second)
	defer stop()
	if err := chromedp.Run(ctx, chromedp.Poll(script, nil)); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// tabTo presses Tab until the element has the focus, as people do who have no mouse.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	for range 400 {
		b.do("pressing Tab", chromedp.KeyEvent(kb.Tab))
		if b.text("document.activeElement.matches("+string(quoted)+")") == "true" {
			if b.text("getComputedStyle(document.activeElement).outlineStyle") == "none" {
				b.t.Errorf("%s has the focus, and nothing shows it", selector)
			}
			return
		}
	}
	b.t.Fatalf("no Tab leads to %s", selector)
}

func (b *tab) press(keys string) { b.t.Helper(); b.do("pressing a key", chromedp.KeyEvent(keys)) }

// look makes the window as wide, and chooses the colors.
func (b *tab) look(width int64, scheme string) {
	b.t.Helper()
	b.do("making the window "+scheme, chromedp.EmulateViewport(width, 900),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// keep keeps a screenshot and the page's text, and returns the text.
func (b *tab) keep(name string) string {
	b.t.Helper()
	var picture []byte
	b.do("taking a screenshot", chromedp.FullScreenshot(&picture, 100))
	text := b.text("document.body.innerText")
	for file, data := range map[string][]byte{name + ".png": picture, name + ".txt": []byte(text)} {
		if err := os.WriteFile(filepath.Join(screenshots(b.t), file), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return text
}

// screenshots is the folder that the run keeps.
func screenshots(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MINIMIZE_SCREENSHOTS")
	if dir == "" {
		dir = "out/screenshots"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fits wants no page to be scrolled sideways.
func (b *tab) fits(name string) {
	b.t.Helper()
	if over := b.text("document.scrollingElement.scrollWidth - document.documentElement.clientWidth"); over != "0" {
		b.t.Errorf("%s is %s pixels wider than the window", name, over)
	}
}

// ends wants nothing behind the page's foot.
func (b *tab) ends(name string) {
	b.t.Helper()
	const below = `document.scrollingElement.scrollHeight - Math.max(innerHeight, scrollY + document.querySelector("footer").getBoundingClientRect().bottom) > 50`
	if b.text(below) == "true" {
		b.t.Errorf("%s goes on behind its foot", name)
	}
}

// accessible runs axe-core. Its script comes through the debugger, which Content-Security-Policy does not stop.
func (b *tab) accessible(name, axe string) {
	b.t.Helper()
	if axe == "" {
		return
	}
	const run = `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations
		.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => v.impact + " " + v.id + ": " + v.help + "\n  " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + n.failureSummary).join("\n  "))))`
	var found string
	b.do("running axe-core", chromedp.Evaluate(axe, nil), chromedp.Evaluate(run, &found, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	var findings []string
	if err := json.Unmarshal([]byte(found), &findings); err != nil {
		b.t.Fatal(err)
	}
	for _, finding := range findings {
		b.t.Errorf("%s: %s", name, finding)
	}
}

// axeCore is the script of axe-core; "" where it is not installed.
func axeCore(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MINIMIZE_AXE")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(cache, "minimize-test", "axe-4.14.1.min.js")
	}
	script, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		if os.Getenv("MINIMIZE_SKIP") == "fail" {
			t.Fatal("axe-core is not installed: test/run does it where npm is")
		}
		t.Log("axe-core is not installed, so accessibility is not looked at: test/run installs it where npm is")
		return ""
	}
	if sum := sha256.Sum256(script); err != nil || hex.EncodeToString(sum[:]) != axeHash {
		t.Fatalf("axe-core is not the version that is wanted, or cannot be read: %v", err)
	}
	return string(script)
}

// clean wants that nothing went wrong, and that no other site was asked.
func (b *tab) clean(site string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wrong := range b.wrong {
		b.t.Error("in the browser: " + wrong)
	}
	for _, url := range b.requests {
		if !strings.HasPrefix(url, site+"/") && !strings.HasPrefix(url, "data:") { // a date's little calendar is Chromium's own
			b.t.Errorf("the browser asked %s", url)
		}
	}
	if len(b.requests) == 0 {
		b.t.Error("the browser asked nobody: does this test still look?")
	}
}
