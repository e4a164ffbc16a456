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
	code = runTests(&o, &e, "minimize test", paths, testOptions{json: asJSON})
	return code, o.String(), e.String()
}

func TestFixturesPass(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/passing.fixtures.yaml")
	if code != exitOK || errs != "" || !strings.Contains(out, "All 5 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if strings.Contains(out, "\x1b[") {
		t.Error("colors go to a terminal only")
	}
}

// TestFixturesPeople: what a fixture says of people and cases decides as in a store.
func TestFixturesPeople(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/people.fixtures.yaml")
	if code != exitOK || !strings.Contains(out, "All 12 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFixturesDirections: what is sent is judged as well as what is answered.
func TestFixturesDirections(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/directions.fixtures.yaml")
	if code != exitOK || !strings.Contains(out, "All 4 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFixturesMessages: headers, queries, forms and paths are judged as on a route.
func TestFixturesMessages(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/messages.fixtures.yaml", "testdata/fixtures/plain.fixtures.yaml")
	if code != exitOK || !strings.Contains(out, "All 13 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFixturesThatLoad: rules that should not load and do, or do not for another reason, are a failure.
func TestFixturesThatLoad(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"right.yaml": "minimize: 1", "wrong.yaml": "minimize: 2",
		"a.fixtures.yaml": "rules: right.yaml\nname: none\nexpect_error: version",
		"b.fixtures.yaml": "rules: wrong.yaml\nname: another\nexpect_error: something else",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := runTestCommand(t, false, dir)
	if code != exitFound || !strings.Contains(out, "got  rules that load") || !strings.Contains(out, "2 of 2 fixtures failed") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestFixturesRun: --run takes fixtures by their names, and says so where there are none.
func TestFixturesRun(t *testing.T) {
	var out, errs bytes.Buffer
	if code := runTests(&out, &errs, "", []string{"testdata/fixtures"}, testOptions{run: "^(no export|to a)"}); code != exitBroken || !strings.Contains(errs.String(), "broken.fixtures.yaml") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
	files := []string{"testdata/fixtures/passing.fixtures.yaml", "testdata/fixtures/failing.fixtures.yaml", "testdata/fixtures/directions.fixtures.yaml"}
	for expression, want := range map[string]struct {
		code int
		text string
	}{
		"^(no export|to a)": {exitOK, "All 2 fixtures passed."}, "no such": {exitBroken, "no fixture's name matches no such"}, "(": {exitBroken, "reading --run"},
	} {
		out.Reset()
		errs.Reset()
		if code := runTests(&out, &errs, "", files, testOptions{run: expression}); code != want.code || !strings.Contains(out.String()+errs.String(), want.text) {
			t.Errorf("%s: exit code %d\n%s%s", expression, code, out.String(), errs.String())
		}
	}
}

// TestFixturesQuiet: of many files that pass nobody reads every name.
func TestFixturesQuiet(t *testing.T) {
	files := []string{"testdata/fixtures/passing.fixtures.yaml", "testdata/fixtures/failing.fixtures.yaml"}
	for _, verbose := range []bool{false, true} {
		var out, errs bytes.Buffer
		runTests(&out, &errs, "", files, testOptions{verbose: verbose})
		named := strings.Contains(out.String(), "analysts compare tokens")
		if named != verbose || !strings.Contains(out.String(), "✗ not refused") || strings.Contains(out.String(), "5 of 5 passed") == verbose {
			t.Errorf("verbose %v:\n%s", verbose, out.String())
		}
	}
}

// TestFixturesJUnit: a CI system finds each fixture with its file and line, and what differs.
func TestFixturesJUnit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "junit.xml")
	var out, errs bytes.Buffer
	if code := runTests(&out, &errs, "", []string{"testdata/fixtures/failing.fixtures.yaml"}, testOptions{junit: file}); code != exitFound {
		t.Fatalf("exit code %d, %s", code, errs.String())
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/fixtures/failing.xml")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("--- got\n%s--- want\n%s", got, want)
	}
	if code := runTests(&out, &errs, "", []string{"testdata/fixtures/passing.fixtures.yaml"}, testOptions{junit: filepath.Join(file, "x")}); code != exitBroken {
		t.Errorf("exit code %d where no file can be written", code)
	}
}

// TestFixturesCoverage: what could be deleted without any fixture noticing is named with its line.
func TestFixturesCoverage(t *testing.T) {
	var out, errs bytes.Buffer
	o := testOptions{coverage: true}
	if code := runTests(&out, &errs, "", []string{"testdata/fixtures/covered.fixtures.yaml"}, o); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	const want = `testdata/fixtures/covered.yaml 5 of 10 (50%)
  – testdata/fixtures/covered.yaml:8 record /others/*
  – testdata/fixtures/covered.yaml:11 field nickname
  – testdata/fixtures/covered.yaml:15 recipient unused
  – testdata/fixtures/covered.yaml:18 rule also-masked
  – testdata/fixtures/covered.yaml:22 limit unused
Fixtures touch 5 of 10 (50%) of the entries`
	if !strings.Contains(out.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	o.json = true
	out.Reset()
	runTests(&out, &errs, "", []string{"testdata/fixtures/covered.fixtures.yaml"}, o)
	var doc struct{ Coverage []fileCoverage }
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || len(doc.Coverage) != 1 || doc.Coverage[0].Touched != 5 || len(doc.Coverage[0].Untouched) != 5 {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestFixturesFail: what differs is named by its place, with what was wanted and what came, and nothing else.
func TestFixturesFail(t *testing.T) {
	code, out, errs := runTestCommand(t, false, "testdata/fixtures/failing.fixtures.yaml")
	if code != exitFound || errs != "" {
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
	if code != exitFound || doc.Passed != 6 || doc.Failed != 6 || len(doc.Fixtures) != 12 {
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
	if code != exitBroken || out != "" {
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
			if code != exitBroken || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "Nothing was tested") {
				t.Errorf("exit code %d, output %q, errors %q", code, out, errs)
			}
		})
	}
}

func TestFixturesNone(t *testing.T) {
	if code, out, errs := runTestCommand(t, false); code != exitBroken || out != "" || !strings.Contains(errs, "Name files") {
		t.Errorf("exit code %d, output %q, errors %q", code, out, errs)
	}
}

func TestFixturesFolder(t *testing.T) {
	files, err := fixtureFiles("testdata/fixtures")
	if err != nil || len(files) != 8 {
		t.Errorf("found %v, %v, want the eight files of fixtures", files, err)
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
recipients: {courier: {kind: processor, contract: {from: 2026-01-01}}}
allow:
  - {id: support, to: support, for: after_sales, keep: account, mask: contact}
  - {id: courier, to: courier, for: after_sales, basis: contract, mask: contact}
limit:
  - {id: no-export, to: anonymous, when: {download: true}, block: contact}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errs := runTestCommand(t, false, dir); code != exitOK {
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
