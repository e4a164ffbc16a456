package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
	"github.com/caddy-minimize/minimize/rules/guess"
	"github.com/caddy-minimize/minimize/rules/packs"
)

// knownPlants has a name of the base pack for each category that is somebody's, spelled otherwise.
func knownPlants(t *testing.T) (list []plant) {
	t.Helper()
	base, err := rules.Parse("base.yaml", packs.Base())
	if err != nil {
		t.Fatal(err)
	}
	grades := map[rules.Category]rules.Grade{}
	for _, c := range base.Categories {
		grades[c.Name] = c.Grade
	}
	done := map[rules.Category]bool{}
	for _, f := range base.Fields {
		if done[f.Is] || grades[f.Is] < rules.Personal || f.In != nil {
			continue
		}
		done[f.Is] = true
		list = append(list, plant{"xx_" + strings.ToUpper(f.Keys[0]), string(f.Is), text(func(d *dice) string { return "q" + d.hex(10) })})
	}
	if len(list) < 60 {
		t.Fatalf("only %d categories have names", len(list))
	}
	return list
}

// scanText scans files and returns what is printed.
func scanText(t *testing.T, o scanOptions, paths ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := runScan(strings.NewReader(""), &out, &errs, "minimize scan", paths, o); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	return out.String()
}

func scanJSON(t *testing.T, paths ...string) *scanned {
	t.Helper()
	s := &scanned{Draft: &guess.Draft{}}
	if err := json.Unmarshal([]byte(scanText(t, scanOptions{asJSON: true}, paths...)), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestScanSample: in a sample with many kinds of numbers every planted category is found under its disguise, and nothing else
// is proposed; and the gateway withholds what was found.
func TestScanSample(t *testing.T) {
	for seed := range uint64(3) {
		known := knownPlants(t)
		lines, planted := sampleOf(newDice(seed), 150, known)
		dir := lintFolder(t, map[string]string{"sample.ndjson": string(bytes.Join(lines, []byte("\n")))})
		sample := filepath.Join(dir, "sample.ndjson")
		s := scanJSON(t, sample)
		for _, p := range disguised {
			if f := fieldAt(s.Fields, "/rows/*/"+p.key); f == nil || string(f.Is) != p.category {
				t.Errorf("seed %d: %s at %s is %+v", seed, p.category, p.key, f)
			}
			i := slices.IndexFunc(s.Fields, func(f guess.Field) bool { return f.Key == "n"+p.key && f.Inside == "/rows/*/payload" })
			if i < 0 || string(s.Fields[i].Is) != p.category {
				t.Errorf("seed %d: %s inside a text at n%s was not found", seed, p.category, p.key)
			}
		}
		for _, p := range known {
			if f := fieldAt(s.Known, "/rows/*/other/"+p.key); f == nil || string(f.Is) != p.category {
				t.Errorf("seed %d: %s at %s is %+v", seed, p.category, p.key, f)
			}
		}
		for _, p := range innocents {
			for _, fields := range [][]guess.Field{s.Fields, s.Known, s.Unsure} {
				if f := fieldAt(fields, "/rows/*/more/"+p.key); f != nil {
					t.Errorf("seed %d: %s (%s) is %+v", seed, p.category, p.key, f)
				}
			}
		}
		if len(s.Records) != 1 || s.Records[0].At != "/rows/*" || s.Records[0].Subject != "/cust/userId" {
			t.Errorf("seed %d: the records are %+v", seed, s.Records)
		}
		draft := scanText(t, scanOptions{}, sample)
		checkDraft(t, draft, lines, planted)
	}
}

func fieldAt(fields []guess.Field, at string) *guess.Field {
	if i := slices.IndexFunc(fields, func(f guess.Field) bool { return f.At == at }); i >= 0 {
		return &fields[i]
	}
	return nil
}

// checkDraft wants no value in a draft, and that the gateway withholds by it all that was planted.
func checkDraft(t *testing.T, draft string, lines [][]byte, planted map[string][]string) {
	t.Helper()
	telling := func(value string) bool {
		return len(value) > 7 || len(value) > 5 && !strings.ContainsAny(value, "0123456789")
	}
	for place, values := range planted {
		for _, v := range values[:25] {
			if telling(v) && strings.Contains(draft, v) {
				t.Fatalf("a value of %s is in the draft", place)
			}
		}
	}
	with, without := withheld(t, draft, lines), withheld(t, "minimize: 1\nfields: [{key: nothing, is: none}]\n", lines)
	left := 0
	for place, values := range planted {
		for _, v := range values[:25] {
			if telling(v) && strings.Contains(with, v) {
				t.Errorf("a value of %s passes", place)
				break
			}
			if telling(v) && strings.Contains(without, v) {
				left++
			}
		}
	}
	if left == 0 {
		t.Error("without the draft nothing passes, so that this test shows nothing")
	}
}

// withheld is what is left of bodies for somebody who may have nothing.
func withheld(t *testing.T, document string, bodies [][]byte) string {
	t.Helper()
	doc, err := rules.Parse("draft.yaml", []byte(document))
	if err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	compiled, err := rules.Compile([]*rules.Document{doc}, rules.Options{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	var out bytes.Buffer
	for _, b := range bodies {
		judge := compiled.Scope("GET", "/").Judge(&rules.Disclosure{Time: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)})
		w := body.NewJSON(judge, body.Limits{}, func(p []byte, _ bool) error {
			out.Write(p)
			return nil
		})
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.Release()
	}
	return out.String()
}

// TestScanAgain: what the first draft declares is nothing new.
func TestScanAgain(t *testing.T) {
	lines, _ := sampleOf(newDice(7), 60, nil)
	dir := lintFolder(t, map[string]string{"sample.ndjson": string(bytes.Join(lines, []byte("\n")))})
	sample, draft := filepath.Join(dir, "sample.ndjson"), filepath.Join(dir, "draft.yaml")
	scanText(t, scanOptions{output: draft}, sample)
	again := scanText(t, scanOptions{rules: []string{draft}}, sample)
	if !strings.Contains(again, "# Nothing new.\n") || strings.Contains(again, "fields:") || strings.Contains(again, "records:") {
		t.Errorf("the second time:\n%s", again)
	}
	more := append(slices.Clone(lines), []byte(`{"rows":[{"later":{"z1":"li.na@example.com"}}]}`))
	if err := os.WriteFile(sample, bytes.Join(more, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	again = scanText(t, scanOptions{rules: []string{draft}}, sample)
	if !strings.Contains(again, "- {at: /rows/*/later/z1, is: contact.email}") || strings.Count(again, " is: ") != 1 {
		t.Errorf("with one place more:\n%s", again)
	}
	before, err := os.ReadFile(draft)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := runScan(nil, &out, &errs, "minimize scan", []string{sample}, scanOptions{output: draft}); code != exitBroken {
		t.Errorf("over a file that is there: exit code %d", code)
	}
	if after, _ := os.ReadFile(draft); !bytes.Equal(before, after) {
		t.Error("the draft was written over")
	}
}

// TestScanDraft compares whole drafts.
func TestScanDraft(t *testing.T) {
	const har = `{"log": {"version": "1.2", "entries": [
		{"request": {"method": "GET", "url": "https://shop.example.com/api/v2/orders/10017?f9=li.na%40example.com", "queryString": [{"name": "f9", "value": "li.na@example.com"}]},
		 "response": {"content": {"mimeType": "application/json", "encoding": "base64", "text": "eyJ4MSI6ICJsaS5uYUBleGFtcGxlLmNvbSJ9"}}},
		{"request": {"method": "POST", "url": "https://shop.example.com/api/v2/orders", "queryString": [], "postData": {"mimeType": "application/json", "text": "{\"x2\": \"GB82WEST12345698765432\"}"}},
		 "response": {"content": {"mimeType": "text/html", "text": "<p>li.na@example.com</p>"}}},
		{"request": {"method": "GET", "url": "https://shop.example.com/logo.png", "queryString": [{"name": "mail", "value": "x"}]}, "response": {"content": {"mimeType": "image/png"}}}
	]}}`
	for _, c := range []struct{ name, file, sample, want string }{
		{"nothing", "a.json", `{"state": "open", "n": 12}`, "minimize: 1\n"},
		{"maps and lists", "a.json", `{"users": {"1001": {"id": 1001, "x": ["a@example.com"]}, "1002": {"id": 1002, "x": ["b@example.com", "c@example.com"]}}}`,
			"minimize: 1\n\nrecords: # whose data\n  # in 2 of 2, 2 distinct\n  - {at: /users/*, subject: /id}\n\nfields:\n  # email in 3 of 3 values, 3 distinct\n  - {at: /users/*/x/*, is: contact.email}\n"},
		{"objects that are alike", "a.json", `{"by": {"anna": {"m": "a@example.com", "n": 1}, "bert": {"m": "b@example.com", "n": 1}, "cara": {"m": "c@example.com", "n": 1}, "dora": {"m": "d@example.com", "n": 1}}}`,
			"minimize: 1\n\nfields:\n  # email in 4 of 4 values, 4 distinct\n  - {at: /by/*/m, is: contact.email}\n"},
		{"names that are data", "a.json", `{"by": {"a@example.com": {"n": 1}}}`, "minimize: 1\n\n# Known by their names, so that they need no line:\n#   /by: contact.email (names in an object)\n"},
		{"names with signs", "a.json", `{"a/b: c": {"#~": "a@example.com"}}`, "minimize: 1\n\nfields:\n  # email in 1 of 1 value, 1 distinct\n  - {at: \"/a~1b: c/#~0\", is: contact.email}\n"},
		{"with a byte order mark", "a.json", "\xef\xbb\xbf{\"n\": 1}", "minimize: 1\n"},
		{"a card seen once", "a.json", `{"f1": "4111111111111111"}`, "minimize: 1\n\n# Too few values to tell:\n#   /f1: card.number (card_number)\n"},
		{"some of them", "a.json", `[{"f": "a@example.com"}, {"f": "x"}, {"f": "b@example.com"}]`, "minimize: 1\n\n# Some values only, which detectors find one by one:\n#   /*/f: contact.email (email)\n"},
		{"the document itself", "a.json", `["a@example.com", "b@example.com"]`, "minimize: 1\n\nfields:\n  # email in 2 of 2 values, 2 distinct\n  - {at: /*, is: contact.email}\n"},
		{"inside what is known", "a.json", `{"address": {"f1": "a@example.com"}}`, "minimize: 1\n\n# Known by their names, so that they need no line:\n#   /address: contact.address (address)\n"},
		{"an archive", "a.har", har, "minimize: 1\noperations:\n  - \"GET /api/v2/orders/*\"\n  - POST /api/v2/orders\n\nfields:\n  # email in 1 of 1 value, 1 distinct\n  - {at: /x1, is: contact.email}\n" +
			"  # iban in 1 of 1 value, 1 distinct\n  - {at: /x2, is: financial.account.iban}\n  # email in 1 of 1 value, 1 distinct\n  - {key: f9, is: contact.email}\n"},
	} {
		dir := lintFolder(t, map[string]string{c.file: c.sample, "readme.txt": "no sample"})
		_, got, _ := strings.Cut(scanText(t, scanOptions{}, dir), "`minimize test`.\n")
		if got != c.want {
			t.Errorf("%s: drafted\n%s\nwant\n%s", c.name, got, c.want)
		}
		if doc, err := rules.Parse("draft.yaml", []byte(got)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if _, err = rules.Compile([]*rules.Document{doc}, rules.Options{}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestScanBroken: what cannot be read is named by its place, in words that repeat nothing of it.
func TestScanBroken(t *testing.T) {
	dir := lintFolder(t, map[string]string{
		"cut.json": `{"a": "secret-value`, "bad.json": `{"a": secret-value}`, "deep.json": strings.Repeat("[", 1000), "no.har": `{"secret": "value"}`,
		"bad.har": `{"log": {"entries": [{"request": "secret-value"}]}}`, "none.txt": "",
	})
	empty := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "cut.json"): "it ends too early", filepath.Join(dir, "bad.json"): "at byte 6", filepath.Join(dir, "deep.json"): "nested too deeply",
		filepath.Join(dir, "no.har"): "no HTTP archive", filepath.Join(dir, "bad.har"): "another form", empty: "finding samples: no .json",
		filepath.Join(dir, "missing"): "no such file",
	} {
		var out, errs bytes.Buffer
		if code := runScan(nil, &out, &errs, "minimize scan", []string{path}, scanOptions{}); code != exitBroken || out.Len() > 0 {
			t.Errorf("%s: exit code %d, printed %q", path, code, out.String())
		}
		if text := strings.ReplaceAll(errs.String(), dir, ""); !strings.Contains(text, want) || strings.Contains(text, "secret") {
			t.Errorf("%s: said %q, want %q in it", path, text, want)
		}
	}
}

// endless is NDJSON without end, up to n bytes.
type endless struct {
	n    int
	line int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	e.line++
	n := copy(p, fmt.Sprintf("{\"users\": {\"%d\": {\"mail_of\": \"u%d@example.com\", \"tag%d\": 1}}}\n", e.line, e.line, e.line))
	e.n -= n
	return n, nil
}

// TestScanForm: however many documents and names there are, what is kept of them is bounded.
func TestScanForm(t *testing.T) {
	var out, errs bytes.Buffer
	if code := runScan(&endless{n: 8 << 20}, &out, &errs, "minimize scan", []string{"-"}, scanOptions{}); code != exitOK {
		t.Fatal(errs.String())
	}
	if out.Len() > 2000 || !strings.Contains(out.String(), "/users/*/mail_of") {
		t.Errorf("printed %d bytes:\n%.2000s", out.Len(), out.String())
	}
}
