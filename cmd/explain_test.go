package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/rules/explain"
)

const explainRules = "testdata/explain/shop.yaml"

// runCommand runs a command of ours and returns its exit code as the process would have it.
func runCommand(t *testing.T, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	c := &cobra.Command{Use: "minimize"}
	addCommands(c)
	c.SetIn(strings.NewReader(stdin))
	c.SetOut(&o)
	c.SetErr(&e)
	c.SetArgs(args)
	code = exitCodeOf(c.ExecuteContext(t.Context()))
	return code, o.String(), e.String()
}

func exitCodeOf(err error) int {
	switch {
	case err == nil:
		return 0
	case err.Error() == "exiting with status 1":
		return 1
	}
	return 2
}

// TestExplainOutput holds what people read against files.
func TestExplainOutput(t *testing.T) {
	orders := "testdata/explain/orders.json"
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"support":   {0, []string{"--role", "support", "--purpose", "after_sales", "--country", "CN", orders}},
		"values":    {0, []string{"--values", "--role", "support", "--purpose", "after_sales", "--country", "CN", "--id", "s1", "--claim", "mfa=true", "--case", "ticket:u1", orders}},
		"download":  {0, []string{"--role", "support", "--purpose", "after_sales", "--country", "CN", "--download", orders}},
		"anonymous": {0, []string{"--role", "boss", "--purpose", "after-sales", orders}},
		"egress":    {1, []string{"--to", "ads-partner", "--purpose", "advertising", "--operation", "POST /v1/events", "--subject", "u1", "--consent", "u1:advertising:explicit:ads-partner", "testdata/explain/event.json"}},
		"agreed":    {0, []string{"--to", "ads-partner", "--purpose", "advertising", "--operation", "POST /v1/events", "--subject", "u:1", "--consent", "u:1:advertising:separate:ads-partner", "testdata/explain/event.json"}},
		"inbound":   {0, []string{"--us", "--purpose", "advertising", "--operation", "POST /v1/events", "testdata/explain/event.json"}},
		"fixture":   {1, []string{"--fixture", "testdata/explain/explain.fixtures.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"explain", "--time", "2026-11-22", "--rules", explainRules}, c.args...)
			code, out, errs := runCommand(t, "", args...)
			if code != c.code || errs != "" {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, errs)
			}
			golden(t, filepath.Join("testdata/explain", name+".txt"), out)
		})
	}
}

// golden compares with a file; UPDATE=1 writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\n--- got\n%s--- want\n%s", file, got, want)
	}
}

// TestExplainNarrow: no line is wider than the terminal.
func TestExplainNarrow(t *testing.T) {
	code, out, _ := runCommand(t, "", "explain", "--json", "--rules", explainRules, "--role", "support", "--purpose", "after_sales", "testdata/explain/orders.json")
	var view explain.Account
	if err := json.Unmarshal([]byte(out), &view); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	var narrow bytes.Buffer
	p := &painter{out: &narrow, columns: 80}
	p.explanation(&view)
	table, _, _ := strings.Cut(narrow.String(), "\nWhy not ")
	for line := range strings.SplitSeq(table, "\n") {
		if !strings.HasPrefix(line, "Record ") && !strings.HasPrefix(line, "Note: ") && cellsOf(line) > 80 {
			t.Errorf("%d cells: %s", cellsOf(line), line)
		}
	}
}

// TestExplainHidesValues: without --values nothing of the document is printed but its names.
func TestExplainHidesValues(t *testing.T) {
	for _, format := range []string{"--json=false", "--json"} {
		_, out, _ := runCommand(t, "", "explain", format, "--time", "2026-11-22", "--rules", explainRules, "--role", "support", "--purpose", "after_sales", "--country", "CN", "testdata/explain/orders.json")
		for _, value := range []string{"D2026110300017", "u1", "Ana", "138", "310104", "overdue, call", "a.example", "ana@", "socks"} {
			if strings.Contains(out, value) {
				t.Errorf("%s: %s is printed", format, value)
			}
		}
	}
}

// TestExplainJSON: a machine finds the place, the reason and what each rule lacks.
func TestExplainJSON(t *testing.T) {
	body := `{"orders":[{"buyer":{"id":"u1","imei":"490154203237518","phone":"13817640235"}}]}`
	code, out, errs := runCommand(t, body, "explain", "--json", "--rules", explainRules, "--role", "support", "--purpose", "after_sales", "--country", "CN", "-")
	var view explain.Account
	if err := json.Unmarshal([]byte(out), &view); err != nil || code != 0 || errs != "" {
		t.Fatalf("exit code %d, %v, %s", code, err, errs)
	}
	imei, phone := view.Values[1], view.Values[2]
	if imei.At != "/orders/0/buyer/imei" || imei.Action != "strip" || imei.Reason != "surplus" || imei.By != "key" || strings.Join(imei.Silent, " ") != "support-masked support-case" {
		t.Errorf("%+v", imei)
	}
	if phone.Rule != "support-masked" || !strings.HasPrefix(phone.Written, explainRules+":22:") || *phone.Record != "/orders/0" || phone.Subject != "/orders/0/buyer/id" {
		t.Errorf("%+v", phone)
	}
	var lacks []string
	for _, l := range phone.Lacking[0].Lacks {
		lacks = append(lacks, l.Key)
	}
	if phone.Lacking[0].Rule != "support-case" || strings.Join(lacks, " ") != "when case" {
		t.Errorf("%+v", phone.Lacking)
	}
}

// TestExplainFixtures: of every fixture explain says what test expects, of those too whose message it cannot explain.
func TestExplainFixtures(t *testing.T) {
	suites, err := loadSuites([]string{"../test/scenarios", "testdata/explain", "testdata/wire", "testdata/fixtures/messages.fixtures.yaml", "testdata/fixtures/plain.fixtures.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	explained, not := 0, 0
	for _, s := range suites {
		for _, f := range s.fixtures {
			m, err := f.explained(s)
			if s.wantError != "" || !isJSON(f.mediaType) {
				if not++; err == nil || !strings.HasPrefix(err.Error(), f.pos.String()) {
					t.Errorf("%s is explained: %v", f.pos, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			explained++
			var out, errs bytes.Buffer
			code := m.explain(&out, &errs, false, true)
			var view explain.Account
			if err := json.Unmarshal(out.Bytes(), &view); err != nil {
				t.Fatalf("%s: %v\n%s", f.pos, err, &errs)
			}
			got := ""
			if view.Refused != nil {
				got = view.Refused.Reason
			}
			if got != f.Expect.Refused || (code == exitFound) != (got != "") {
				t.Errorf("%s: explained with exit code %d as refused %q, want %q", f.pos, code, got, f.Expect.Refused)
			}
		}
	}
	if explained == 0 || not == 0 {
		t.Errorf("%d fixtures were explained, %d not", explained, not)
	}
}

// TestExplainHead: what is sent nowhere at all is not sent because nothing in its body is personal.
func TestExplainHead(t *testing.T) {
	for _, c := range []struct{ to, reason string }{
		{"ads-partner", ""},
		{"old", "agreement"},
		{"nobody", "recipient"},
	} {
		code, out, _ := runCommand(t, `{"status":"x"}`, "explain", "--rules", explainRules, "--purpose", "advertising", "--to", c.to, "--operation", "POST /v1/events", "--time", "2026-11-22", "-")
		want := "The message is sent."
		if c.reason != "" {
			want = "The message is refused: " + c.reason
		}
		if (code == exitFound) != (c.reason != "") || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d\n%s", c.to, code, out)
		}
	}
}

// TestExplainBroken: what is wrong with the input is said, and nothing is explained.
func TestExplainBroken(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("minimize: 1\nroles: support\nallow: [{id: x}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(args ...string) []string {
		return append([]string{"explain", "--rules", explainRules}, args...)
	}
	for want, args := range map[string][]string{
		"give one file":                     with(),
		"reading the document":              with("none.json"),
		"there is no ./Caddyfile":           {"explain", "-"},
		"no rule document is named":         {"explain", "--rules", "none-*.yaml", "-"},
		broken + ":3:":                      {"explain", "--rules", broken, "-"},
		"reading --operation":               with("--operation", "orders", "-"),
		"reading --time":                    with("--time", "yesterday", "-"),
		"reading --consent":                 with("--consent", "u1:advertising", "-"),
		"reading --claim":                   with("--claim", "mfa", "-"),
		"reading --case":                    with("--case", "ticket", "-"),
		"--from only with --us":             with("--from", "ads-partner", "-"),
		"a partner without a consent":       {"explain", "--fixture", "testdata/explain/explain.fixtures.yaml", "another"},
		"rules that must not load":          {"explain", "--fixture", "../test/scenarios/bags-plain.fixtures.yaml"},
		"no pack is named \"nowhere\"":      {"explain", "--rules", "pack:nowhere", "-"},
		"open testdata/none.fixtures.yaml:": {"explain", "--fixture", "testdata/none.fixtures.yaml"},
	} {
		if code, out, errs := runCommand(t, "{}", args...); code != exitBroken || out != "" || !strings.Contains(errs, want) || !strings.Contains(errs, "Nothing was explained") {
			t.Errorf("%v: exit code %d, output %q, errors %q, want %q", args, code, out, errs, want)
		}
	}
}

// TestExplainUnreadable: a body that is no strict JSON is one that the gateway refuses.
func TestExplainUnreadable(t *testing.T) {
	code, out, errs := runCommand(t, `{"a":1,}`, "explain", "--rules", explainRules, "-")
	if code != exitFound || errs != "" || !strings.Contains(out, "The message is refused: unreadable, expecting a name at byte 7.") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
}
