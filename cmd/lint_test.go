package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/packs"
)

// lintDay is when the tests' contracts are judged.
var lintDay = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// lintFolder writes files by name and returns where they are.
func lintFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// lintCodes lints files and returns "file:line code" of each finding.
func lintCodes(t *testing.T, paths ...string) []string {
	t.Helper()
	found, err := lintFiles(paths, lintDay)
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{}
	for _, f := range found {
		_, place, _ := strings.Cut(f.Pos.String(), filepath.Base(f.Pos.File))
		codes = append(codes, filepath.Base(f.Pos.File)+place[:strings.LastIndex(place, ":")]+" "+f.Code)
	}
	return codes
}

const lintRules = `minimize: 1
roles: [support]
purposes: [care]
allow:
  - {id: a, to: support, for: care, keep: [contact]}
`

// lintSite is a Caddyfile in which nothing is found, with room in the global options (line 2) and in its site (line 13).
const lintSite = `{
	GLOBAL
	log {
		format minimize
	}
	minimize {
		rules rules.yaml
	}
}

http://shop.example.com {
	# what is tested, in the line below
	SITE
	minimize {
		caller {
			role support
			purpose care
		}
	}
	reverse_proxy localhost:9000
}
`

func TestLintGateway(t *testing.T) {
	for _, c := range []struct{ name, global, site, want string }{
		{"nothing", "", "", ""},
		{"a route behind it", "", "@files path /files/*\n\tfile_server @files", ""},
		{"a site without it", "", "respond ok\n}\n\nhttp://files.example.com {\n\tfile_server\n}\n\nhttp://other.example.com {", "Caddyfile:17 bypass"},
		{"handle_errors proxies", "", "handle_errors {\n\t\treverse_proxy localhost:9001\n\t}", "Caddyfile:14 bypass"},
		{"handle_errors answers", "", "handle_errors {\n\t\trespond \"sorry\"\n\t}", ""},
		{"report mode", "", "minimize /a {\n\t\tmode report\n\t}", "Caddyfile:14 report-mode"},
		{"enforce", "", "minimize /a {\n\t\tmode enforce\n\t}", ""},
		{"everybody's headers", "", "minimize /a {\n\t\tcaller {\n\t\t\trole {header.X-Role}\n\t\t\tpurpose care\n\t\t\ttrust 10.0.0.0/8\n\t\t}\n\t}", "Caddyfile:17 trusted-header"},
		{"everybody's headers for the console", "", "minimize_console /console/* {\n\t\tcaller {\n\t\t\trole {header.X-Role}\n\t\t\ttrust 0.0.0.0/0\n\t\t}\n\t\troles support\n\t}", "Caddyfile:16 trusted-header"},
		{"two proxies' headers", "", "minimize /a {\n\t\tcaller {\n\t\t\trole {header.X-Role}\n\t\t\tpurpose care\n\t\t\ttrust 10.1.2.0/30 127.0.0.0/8\n\t\t}\n\t}", ""},
		{"request bodies", "", "log_append body {http.request.body}", "Caddyfile:13 log-append"},
		{"answers", "", "log_append body {http.response.body}", "Caddyfile:13 log-append"},
		{"request headers", "", "log_append agent {header.User-Agent}", "Caddyfile:13 log-append"},
		{"an upstream's name", "", "log_append upstream {http.reverse_proxy.upstream.hostport}", ""},
		{"credentials", "servers {\n\t\tlog_credentials\n\t}", "", "Caddyfile:3 log-credentials"},
		{"servers", "servers {\n\t\ttrusted_proxies static 10.0.0.1\n\t}", "", ""},
		{"a log of the site", "", "log {\n\t\toutput file a.log\n\t}", "Caddyfile:13 log-format"},
		{"with our format", "", "log {\n\t\toutput file a.log\n\t\tformat minimize\n\t}", ""},
		{"that goes nowhere", "", "log {\n\t\toutput discard\n\t}", ""},
		{"of something else", "log other {\n\t\tinclude tls\n\t}", "", ""},
		{"admin for everybody", "admin :2019", "", "Caddyfile:2 admin-open"},
		{"admin on this machine", "admin 127.0.0.1:2020", "", ""},
		{"admin on a socket", "admin unix//run/caddy.sock", "", ""},
		{"admin off", "admin off", "", ""},
		{"encode as it is ordered", "", "encode", ""},
		{"encode inside", "", "route /a {\n\t\tminimize\n\t\tencode\n\t\treverse_proxy localhost:9001\n\t}", "Caddyfile:15 encode-order"},
		{"for shared caches", "", "minimize /a {\n\t\tcache \"public, max-age=60\"\n\t}", "Caddyfile:14 shared-cache"},
		{"a console before everything", "", "minimize_console {\n\t\tcaller {\n\t\t\tid {http.auth.user.id}\n\t\t\trole {http.auth.user.role}\n\t\t}\n\t\troles dpo\n\t}", "Caddyfile:13 buried"},
		{"for browsers", "", "minimize /a {\n\t\tcache \"private, max-age=60\"\n\t}", ""},
	} {
		site := strings.NewReplacer("\tGLOBAL\n", "\t"+c.global+"\n", "\tSITE\n", "\t"+c.site+"\n").Replace(lintSite)
		dir := lintFolder(t, map[string]string{"rules.yaml": lintRules, "Caddyfile": site})
		if got := strings.Join(lintCodes(t, filepath.Join(dir, "Caddyfile")), ", "); got != c.want {
			t.Errorf("%s: found %q, want %q in\n%s", c.name, got, c.want, site)
		}
	}
}

// TestLintGatewayJSON: in JSON a cache handler may stand that this binary has no directive for, and no line does.
func TestLintGatewayJSON(t *testing.T) {
	dir := lintFolder(t, map[string]string{"rules.yaml": lintRules})
	config := `{"logging": {"logs": {"default": {"encoder": {"format": "minimize"}}}}, "apps": {"minimize": {"rules": [` + "\"" + dir + `/rules.yaml"]},
		"http": {"servers": {"s": {"routes": [{"handle": [ONE, TWO, {"handler": "reverse_proxy"}]}]}}}}}`
	for _, c := range []struct{ one, two, want string }{
		{"cache", "minimize", "caddy.json:1 shared-cache"},
		{"minimize", "cache", ""},
	} {
		text := strings.NewReplacer("ONE", `{"handler": "`+c.one+`"}`, "TWO", `{"handler": "`+c.two+`"}`).Replace(config)
		path := filepath.Join(dir, "caddy.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(lintCodes(t, path), func(s string) bool { return strings.HasSuffix(s, "bypass") }) // the cache itself is one
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s before %s: found %q, want %q", c.one, c.two, got, c.want)
		}
	}
}

// TestLintChoices: a rule that another document makes needless is needed on a route that leaves that document out.
func TestLintChoices(t *testing.T) {
	files := map[string]string{
		"rules.yaml": lintRules,
		"more.yaml":  "minimize: 1\nallow:\n  - {id: b, to: support, for: care, keep: [contact.phone]}\n",
		"try.yaml":   "minimize: 1\ncandidate: true\nallow:\n  - {id: c, to: support, for: care, keep: [contact.fax]}\n",
		"base.yaml":  "minimize: 1\nroles: [support]\npurposes: [care]\n",
	}
	dir := lintFolder(t, files)
	write := func(site string) string {
		path := filepath.Join(dir, "Caddyfile")
		text := strings.NewReplacer("GLOBAL", "", "SITE", site, "rules.yaml", "*.yaml").Replace(lintSite)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got := strings.Join(lintCodes(t, write("")), ", "); got != "more.yaml:3 shadowed, try.yaml:4 shadowed" {
		t.Errorf("on the only route: found %q", got)
	}
	got := strings.Join(lintCodes(t, write("minimize /a {\n\t\tdocuments more base\n\t}")), ", ")
	if got != "try.yaml:4 shadowed" {
		t.Errorf("beside a route without rules.yaml: found %q", got)
	}
}

func TestLintSilence(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "rules.yaml:7 shadowed"},
		{"# lint: shadowed because the other one goes next month", ""},
		{"# lint: unused, shadowed because the other one goes next month", ""},
		{"# lint: shadowed", "rules.yaml:7 shadowed, rules.yaml:7 silence"},
		{"# lint: shadowed because", "rules.yaml:7 shadowed, rules.yaml:7 silence"},
		{"# lint: unused because of that", "rules.yaml:7 shadowed, rules.yaml:7 silence"},
		{"# it is shadowed because", "rules.yaml:7 shadowed"},
	} {
		text := lintRules + "\n  - {id: b, to: support, for: care, mask: [contact]} " + c.line + "\n"
		dir := lintFolder(t, map[string]string{"rules.yaml": text})
		if got := strings.Join(lintCodes(t, filepath.Join(dir, "rules.yaml")), ", "); got != c.want {
			t.Errorf("%s: found %q, want %q", c.line, got, c.want)
		}
		if c.want == "" { // alone in the line before
			text = lintRules + "  " + c.line + "\n  - {id: b, to: support, for: care, mask: [contact]}\n"
			dir = lintFolder(t, map[string]string{"rules.yaml": text})
			if got := lintCodes(t, filepath.Join(dir, "rules.yaml")); len(got) > 0 {
				t.Errorf("%s, in the line before: found %q", c.line, got)
			}
		}
	}
}

// TestLintJSON: rules are rules in JSON, too, and what is neither rules nor Caddy's is not found clean.
func TestLintJSON(t *testing.T) {
	dir := lintFolder(t, map[string]string{
		"rules.json": `{"minimize": 1, "roles": ["support", "idle"], "purposes": ["care"], "allow": [{"id": "a", "to": "support", "for": "care", "keep": ["contact"]}]}`,
		"over.json":  `{"overlay": "1.0.0", "extends": "none.yaml", "actions": []}`,
		"other.json": `{"name": "shop", "version": "1.0.0"}`,
	})
	if got := strings.Join(lintCodes(t, filepath.Join(dir, "rules.json")), ", "); got != "rules.json:1 unused" {
		t.Errorf("found %q", got)
	}
	for name, want := range map[string]string{"over.json": "reading what", "other.json": "none of apps, admin and logging"} {
		if _, err := lintFiles([]string{filepath.Join(dir, name)}, lintDay); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestLintFolder(t *testing.T) {
	dir := lintFolder(t, map[string]string{"a.yaml": lintRules, "b.yaml": "minimize: 1\nallow:\n  - {id: b, to: support, for: care, mask: [contact]}\n", "c.fixtures.yaml": "rules: a.yaml\n"})
	if got := strings.Join(lintCodes(t, dir), ", "); got != "b.yaml:3 shadowed" {
		t.Errorf("found %q", got)
	}
	if _, err := lintFiles([]string{t.TempDir()}, lintDay); err == nil {
		t.Error("an empty folder is linted")
	}
}

// TestLintExamples: what we show to others is as we tell them to write it.
func TestLintExamples(t *testing.T) {
	t.Setenv("MINIMIZE_CONSENT_DSN", "postgres://localhost/minimize")
	var paths []string
	for _, pattern := range []string{"Caddyfile", "*/Caddyfile", "*/*/Caddyfile"} {
		found, err := filepath.Glob(filepath.Join("../caddyfile-examples", pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) < 10 {
		t.Fatalf("only %d examples were found", len(paths))
	}
	for _, path := range paths {
		if got := lintCodes(t, path); len(got) > 0 {
			t.Errorf("%s: found %q", path, got)
		}
	}
	for _, name := range packs.Names() {
		found, err := lintFiles([]string{"pack:" + name}, lintDay)
		if err != nil {
			t.Logf("pack:%s needs other documents: %v", name, err)
		}
		for _, f := range found {
			if f.Severity != rules.SeverityNote { // what others build on may have rules for what is to come
				t.Errorf("pack:%s: found %+v", name, f)
			}
		}
	}
}

func TestLintCommand(t *testing.T) {
	dir := lintFolder(t, map[string]string{
		"good.yaml":    lintRules,
		"warning.yaml": lintRules + "  - {id: b, to: support, for: care, mask: [contact]}\n",
		"error.yaml":   lintRules + "  - {id: p, to: p, for: care, basis: contract, keep: [contact]}\nrecipients: {p: {kind: processor, contract: {until: 2026-01-31}}}\n",
		"broken.yaml":  "minimize: 2\n",
	})
	for _, c := range []struct {
		file         string
		code, strict int
		says         string
	}{
		{"good.yaml", 0, 0, "Nothing was found."},
		{"warning.yaml", 0, 1, "warning.yaml:6:5: warning: rule b permits nothing that a does not permit as well"},
		{"error.yaml", 1, 1, "error: the contract with p ended on 2026-01-31"},
		{"broken.yaml", 2, 2, "broken.yaml:1:11: "},
		{"missing.yaml", 2, 2, "missing.yaml"},
	} {
		path := filepath.Join(dir, c.file)
		for _, strict := range []bool{false, true} {
			var out, errs bytes.Buffer
			want := c.code
			if strict {
				want = c.strict
			}
			if got := runLint(&out, &errs, "minimize lint", []string{path}, lintOptions{strict: strict, now: lintDay}); got != want {
				t.Errorf("%s, strict %t: exit code %d, want %d", c.file, strict, got, want)
			}
			if text := out.String() + errs.String(); !strings.Contains(text, c.says) {
				t.Errorf("%s: said %q, want %q in it", c.file, text, c.says)
			}
		}
	}
	var out, errs bytes.Buffer
	var document struct {
		Findings []struct {
			File, Code, Severity, Message string
			Line, Column                  int
		}
	}
	runLint(&out, &errs, "minimize lint", []string{filepath.Join(dir, "warning.yaml")}, lintOptions{asJSON: true, now: lintDay})
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if f := document.Findings; len(f) != 1 || f[0].Code != "shadowed" || f[0].Severity != "warning" || f[0].Line != 6 || f[0].Column != 5 {
		t.Errorf("as JSON: %+v", f)
	}
}
