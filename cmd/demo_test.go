package cmd

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	_ "github.com/caddy-minimize/minimize/module"
)

// TestDemoOnce runs what the README's first command runs: it fails where the callers do not differ.
func TestDemoOnce(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var out bytes.Buffer
	if err := runDemo(t.Context(), &out, 18080, true, false); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("there are colors in what is no terminal")
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 0 {
		t.Errorf("the demo left %d files behind (%v)", len(left), err)
	}
}

// TestDemoAnswers holds what each caller of the demo sees against what its rules say.
func TestDemoAnswers(t *testing.T) {
	d, stop := startDemo(t)
	defer stop()
	seen, err := d.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const w, c, g = cellWhole, cellChanged, cellGone
	want := map[string][]string{ //  customer, support, courier, fraud, marketing, anonymous
		"order_no":    {w, w, w, w, w, g},
		"buyer name":  {w, c, w, c, w, g},
		"phone":       {w, c, w, g, g, g},
		"email":       {w, c, g, g, w, g},
		"id_card":     {w, c, g, g, g, g},
		"street":      {w, c, w, g, g, g},
		"card_number": {w, c, g, c, g, g},
		"card_expiry": {w, g, g, g, g, g},
		"imei":        {w, g, g, w, g, g},
		"iccid":       {w, g, g, w, g, g},
		"ip":          {w, g, g, w, g, g},
		"remark":      {w, c, g, g, g, g},
		"next buyer":  {g, c, w, c, g, g},
	}
	for _, row := range seen.Rows {
		kinds, ok := want[row.Label]
		if !ok {
			continue // nobody's data
		}
		for i, cell := range row.Cells {
			if cell.Kind != kinds[i] {
				t.Errorf("%s as %s: %s, want %s", row.Label, seen.Callers[i].Name, cell.Kind, kinds[i])
			}
		}
	}
}

// TestDemoPage reads the page through the gateway, as a browser does.
func TestDemoPage(t *testing.T) {
	d, stop := startDemo(t)
	defer stop()
	status, page, err := d.get(t.Context(), "/", &demoCaller{})
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v", status, err)
	}
	for _, want := range []string{"<!doctype html>", "curl -s -H @", "nobody-exports-people", d.dir} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func startDemo(t *testing.T) (*demo, func()) {
	t.Helper()
	d := newDemo(t.TempDir())
	stop, err := d.start(18080)
	if err != nil {
		t.Fatal(err)
	}
	return d, stop
}

// TestDemoTraffic: each visit of a round is answered as the demo's rules say, and so is that of the next round.
func TestDemoTraffic(t *testing.T) {
	d, stop := startDemo(t)
	defer stop()
	visits, err := demoVisits()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range slices.Concat(visits, visits) {
		status, err := d.visit(t.Context(), v)
		if err != nil || status != v.want {
			t.Errorf("visit %d, %q %s %s: status %d (%v), want %d", i, v.as, v.method, v.path, status, err, v.want)
		}
	}
	_, metrics, err := d.get(t.Context(), "/metrics", &demoCaller{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`caddy_minimize_egress_total{country="CN",outcome="minimized",recipient="warehouse"}`,
		`caddy_minimize_egress_total{country="US",outcome="minimized",recipient="ads-partner"}`,
		`caddy_minimize_egress_refusals_total{country="US",reason="consent",recipient="ads-partner"}`,
		`caddy_minimize_consent_changes_total{event="withdrawn"}`,
		`caddy_minimize_would_values_total{action="strip",because="candidate",category="contact.email",role="support"}`,
	} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// TestDemoFindsAPort takes the port that the demo wants first.
func TestDemoFindsAPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port
	port, err := freePort(taken)
	if err != nil || port <= taken {
		t.Errorf("port %d (%v), want the next free one after %d", port, err, taken)
	}
}

// TestDemoRefusesTheExport asks the shop's own answer first: without the gateway the export is a file with everything.
func TestDemoRefusesTheExport(t *testing.T) {
	d, stop := startDemo(t)
	defer stop()
	for _, caller := range d.callers {
		status, problem, err := d.get(context.Background(), demoExport, caller)
		if err != nil {
			t.Fatal(err)
		}
		refused := caller.Name == "support" || caller.Name == "fraud" || caller.Name == "marketing"
		if refused != (status == http.StatusForbidden) || refused != (gjson.Get(problem, "rule").Str == "nobody-exports-people") {
			t.Errorf("%s saves the list as a file: status %s", caller.Name, strconv.Itoa(status))
		}
	}
}

// TestPad holds a Han character to its two cells.
func TestPad(t *testing.T) {
	for text, want := range map[string]string{
		"":         "      ",
		"abc":      "abc   ",
		"abcdefgh": "abcde…",
		"李娜":       "李娜  ",
		"李娜李娜":     "李娜… ",
		"a李娜李娜":    "a李娜…",
	} {
		if got := pad(text, 6); got != want {
			t.Errorf("pad(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestShorten maps our own binary's words to Caddy's.
func TestShorten(t *testing.T) {
	for args, want := range map[string]string{
		"minimize":                   "minimize minimize --help",
		"minimize -h":                "minimize minimize --help",
		"minimize help":              "minimize minimize --help",
		"minimize help lint":         "minimize help minimize lint",
		"minimize help run":          "minimize help run",
		"minimize lnit":              "minimize lnit",
		"minimize demo --once":       "minimize minimize demo --once",
		"minimize run --config file": "minimize run --config file",
		"minimize minimize demo":     "minimize minimize demo",
	} {
		if got := strings.Join(Shorten(strings.Fields(args)), " "); got != want {
			t.Errorf("%q becomes %q, want %q", args, got, want)
		}
	}
}

// TestHelp: what the help tells to type can be typed, whatever the binary is called.
func TestHelp(t *testing.T) {
	for binary, want := range map[string]string{"minimize": "minimize consent show [", "caddy": "caddy minimize consent show ["} {
		root, minimize := &cobra.Command{Use: binary}, &cobra.Command{Use: "minimize"}
		root.AddCommand(minimize)
		addCommands(minimize)
		var out bytes.Buffer
		root.SetOut(&out)
		for _, args := range []string{"minimize consent show --help", "minimize consent --help", "minimize test --help", "minimize demo --help"} {
			root.SetArgs(strings.Fields(args))
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(out.String(), "  "+want) || strings.Contains(out.String(), "minimize minimize") {
			t.Errorf("the help of %s lacks %q, or calls it `minimize minimize`:\n%s", binary, want, out.String())
		}
	}
}

// TestDemoTakesChangedRules edits the rules as the demo invites to.
func TestDemoTakesChangedRules(t *testing.T) {
	d, stop := startDemo(t)
	defer stop()
	file := filepath.Join(d.dir, "rules.yaml")
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(rules), "keep: [order, content.text]", "keep: [order, content.text, device]", 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	support := d.callers[demoRefusedCaller]
	for range 200 {
		_, body, err := d.get(t.Context(), "/api/orders", support)
		if err != nil {
			t.Fatal(err)
		}
		if gjson.Get(body, "orders.0.device.imei").Exists() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("support does not see devices 10 seconds after the rules let it")
}

// TestDemoWithdraws takes the customer's consent back, as the demo invites to: marketing's next answer lacks her.
func TestDemoWithdraws(t *testing.T) {
	d, stop := startDemo(t)
	defer stop()
	marketing := d.callers[4]
	buyer := func() string {
		_, body, err := d.get(t.Context(), "/api/orders", marketing)
		if err != nil {
			t.Fatal(err)
		}
		return gjson.Get(body, "orders.0.buyer.name").Str
	}
	for _, c := range []struct{ curl, want string }{
		{"", "李娜"},
		{d.withdrawCurl(), ""},
		{d.agreeCurl(), "李娜"},
	} {
		if c.curl != "" {
			if out, err := exec.Command("sh", "-c", c.curl).CombinedOutput(); err != nil || string(out) != "answered with 204\n" {
				t.Fatalf("%s: %v %s", c.curl, err, out)
			}
		}
		if got := buyer(); got != c.want {
			t.Errorf("after %q marketing sees %q, want %q", c.curl, got, c.want)
		}
	}
}
