package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func runTestCommand(t *testing.T, asJSON bool, paths ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runTests(&o, &e, "minimize test", paths, asJSON)
	return code, o.String(), e.String()
}

func TestFixturesPass(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/passing.fixtures.yaml")
	if code != testPassed || errs != "" || !strings.Contains(out, "All 5 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("colors go to a terminal only")
	}
}

// TestFixturesPeople: what a fixture says of people and cases decides as in a store.
func TestFixturesPeople(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/people.fixtures.yaml")
	if code != testPassed || !strings.Contains(out, "All 12 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFixturesDirections: what is sent is judged as well as what is answered.
func TestFixturesDirections(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/directions.fixtures.yaml")
	if code != testPassed || !strings.Contains(out, "All 4 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFixturesFail: what differs is named by its place, with what was wanted and what came, and nothing else.
func TestFixturesFail(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/failing.fixtures.yaml")
	if code != testFailed || errs != "" {
		t.Errorf("exit code %d, %s", code, errs)
	}
	want, err := os.ReadFile("testdata/fixtures/failing.txt")
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("--- got\n%s--- want\n%s", out, want)
	}
}

func TestFixturesJSON(t *testing.T) {
	code, out, _ := runTestCommand(t, true, "testdata/fixtures/passing.fixtures.yaml", "testdata/fixtures/failing.fixtures.yaml")
	var doc struct {
		Passed, Failed int
		Fixtures       []result
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if code != testFailed || doc.Passed != 6 || doc.Failed != 6 || len(doc.Fixtures) != 12 {
		t.Fatalf("exit code %d, %d passed, %d failed", code, doc.Passed, doc.Failed)
	}
	first, refused := doc.Fixtures[0], doc.Fixtures[4]
	if first.Clause != "1.2" || first.Line != 5 || !first.Passed || first.Differences != nil {
		t.Errorf("the first fixture: %+v", first)
	}
	if refused.Refused != "limit" || refused.Rule != "never-export" {
		t.Errorf("the refused one: %+v", refused)
	}
}

// TestFixturesBroken: everything that is wrong comes at once, each with its place, and nothing runs.
func TestFixturesBroken(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/broken.fixtures.yaml")
	if code != testBroken || out != "" {
		t.Errorf("exit code %d, output %q", code, out)
	}
	want, err := os.ReadFile("testdata/fixtures/broken.txt")
	if err != nil {
		t.Fatal(err)
	}
	if errs != string(want) {
		t.Errorf("--- got\n%s--- want\n%s", errs, want)
	}
}

func TestFixturesPaths(t *testing.T) {
	empty := t.TempDir()
	text := filepath.Join(empty, "note.fixtures.yaml")
	for _, c := range []struct {
		name, content, path, want string
	}{
		{"no such file", "", filepath.Join(empty, "none"), "finding fixtures"},
		{"a folder without fixtures", "", empty, "no *.fixtures.yaml in"},
		{"an empty file", "", text, "no documents in stream"},
		{"no YAML", "rules: [", text, text + ":"},
		{"no fixtures", "rules: []", text, "has `rules`, a list of files, and `fixtures`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path == text {
				if err := os.WriteFile(text, []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, out, errs := runTestCommand(t, false, c.path)
			if code != testBroken || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "Nothing was tested") {
				t.Errorf("exit code %d, output %q, errors %q", code, out, errs)
			}
		})
	}
}

func TestFixturesNone(t *testing.T) {
	if code, out, errs := runTestCommand(t, false); code != testBroken || out != "" || !strings.Contains(errs, "Name files") {
		t.Errorf("exit code %d, output %q, errors %q", code, out, errs)
	}
}

func TestFixturesFolder(t *testing.T) {
	files, err := fixtureFiles("testdata/fixtures")
	if err != nil || len(files) != 5 {
		t.Errorf("found %v, %v, want the five files of fixtures", files, err)
	}
}

// TestTree: bodies are compared as JSON, but a member that stands there twice counts twice, and 1.0 is not 1.
func TestTree(t *testing.T) {
	for _, c := range []struct {
		want, got string
		at        string // of the differences
	}{
		{`{"a":1,"b":[true,null,"x"]}`, `{ "b" : [true, null, "\u0078"], "a" : 1 }`, ""},
		{`{"a":1,"a":2}`, `{"a":1,"a":2}`, ""},
		{`{"a":2}`, `{"a":1,"a":2}`, "/a /a"},
		{`{"a":2}`, `{"a":2,"a":2}`, "/a"},
		{`{"a":1}`, `{"a":1.0}`, "/a"},
		{`{"a":"1"}`, `{"a":1}`, "/a"},
		{`{"a":"null"}`, `{"a":null}`, "/a"},
		{`[1,2]`, `[2,1]`, "/0 /1"},
		{`[1]`, `[1,2]`, "/1"},
		{`{"a~/b":{"":1}}`, `{"a~/b":{}}`, "/a~0~1b/"},
		{`{}`, `[]`, ""},
	} {
		want, err := parseTree([]byte(c.want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseTree([]byte(c.got))
		if err != nil {
			t.Fatal(err)
		}
		r := &result{}
		(&comparison{result: r, tokens: map[string]string{}}).compare("", want, got)
		var at []string
		for _, d := range r.Differences {
			at = append(at, d.At)
		}
		if strings.Join(at, " ") != c.at || c.want == `{}` && len(at) != 1 {
			t.Errorf("%s and %s differ at %q, want %q", c.want, c.got, at, c.at)
		}
	}
}

// TestFixturesHelp runs the example in the command's help.
func TestFixturesHelp(t *testing.T) {
	var example []string
	for line := range strings.SplitSeq(testCommand().Long, "\n") {
		if text, ok := strings.CutPrefix(line, "  "); ok {
			example = append(example, text)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"help.fixtures.yaml": strings.Join(example, "\n"),
		"shop.yaml": `
minimize: 1
roles: [support]
purposes: [after_sales]
fields:
  - {key: id, is: account.id}
allow:
  - {id: support, to: support, for: after_sales, keep: account, mask: contact}
limit:
  - {id: no-export, to: anonymous, when: {download: true}, block: contact}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errs := runTestCommand(t, false, dir); code != testPassed {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFit: of two long values the part is shown where they differ.
func TestFit(t *testing.T) {
	p := &painter{columns: 55}
	long := strings.Repeat("好", 100)
	for _, c := range []struct{ want, got, showWant, showGot string }{
		{"", "x", "nothing", "x"},
		{"short", "shore", "short", "shore"},
		{"x" + long, "y", "x" + long[:39*3] + "…", "y"},
		{long + "a", long + "b", "…" + long[:10*3] + "a", "…" + long[:10*3] + "b"},
		{long, long[:50*3], "…" + long[:40*3] + "…", "…" + long[:10*3]},
	} {
		if want, got := p.fit(c.want, c.got); want != c.showWant || got != c.showGot {
			t.Errorf("fit(%q, %q) = %q, %q", c.want, c.got, want, got)
		}
	}
}

// TestFixturesCommand: the exit code is Caddy's to make out of the error, and nothing else is printed.
func TestFixturesCommand(t *testing.T) {
	for file, failed := range map[string]bool{"passing": false, "failing": true, "broken": true} {
		c := testCommand()
		var out, errs bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&errs)
		c.SetArgs([]string{"--json", "testdata/fixtures/" + file + ".fixtures.yaml"})
		if err := c.Execute(); (err != nil) != failed {
			t.Errorf("%s: %v", file, err)
		}
		if json.Valid(out.Bytes()) == (file == "broken") || strings.Contains(errs.String(), "Usage") {
			t.Errorf("%s: printed %q and %q", file, out.String(), errs.String())
		}
	}
}
