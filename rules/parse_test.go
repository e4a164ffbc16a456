package rules

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the expected errors of testdata/broken anew")

// TestParseBroken holds every broken document against the errors written beside it: all of them, each with its place.
func TestParseBroken(t *testing.T) {
	files, _ := filepath.Glob("testdata/broken/*.yaml")
	if len(files) == 0 {
		t.Fatal("no broken documents found")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Parse(filepath.Base(file), data)
			if err == nil || d != nil {
				t.Fatalf("Parse gave the document %v and the error %v, want an error only", d, err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".errors"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err2 := os.ReadFile(golden)
			if err2 != nil {
				t.Fatal(err2)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("the errors differ (go test -update writes them anew)\n--- got\n%s--- want\n%s", got, want)
			}
		})
	}
}

// TestParseDesign reads a document that uses every key of the language.
func TestParseDesign(t *testing.T) {
	data, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse("testdata/design.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	day := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	ads := d.Recipients[0]
	north := d.Limit[3]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"name", d.Name, "design"},
		{"home", d.Home, "CN"},
		{"policy", d.Policy, 6},
		{"second operation", d.Operations[1], Operation{Pos{"testdata/design.yaml", 5, 31}, "GET", "/api/orders/*"}},
		{"own categories", len(d.Categories), 3},
		{"blank of a category", d.Categories[1].Blank, "uuid"},
		{"text of a category", d.Categories[2].Text, true},
		{"retain", d.Records[0].Retain, "3y"},
		{"subject", d.Records[0].Subject[0].String(), "/buyer/id"},
		{"no subject", d.Records[1].Subject == nil, true},
		{"minor", d.Records[2].Minor, true},
		{"fields", len(d.Fields), 7},
		{"a Chinese key", d.Fields[1].Keys[2], "串号"},
		{"around a key", d.Fields[2].In[1], "bank card"},
		{"is none", d.Fields[5].Is, None},
		{"least", d.Fields[6].Least, int64(10)},
		{"values", len(d.Values), 5},
		{"contract's first instant", ads.From, day("2026-01-01T00:00:00Z")},
		{"contract's end is the end of its last day", ads.Until, day("2027-01-01T00:00:00Z")},
		{"suspended from the day's start", ads.Suspended, day("2026-11-01T00:00:00Z")},
		{"a time with a zone", ads.Transfer.From, day("2026-01-01T01:00:00Z")},
		{"NO is Norway", d.Recipients[1].Country, "NO"},
		{"a claim that is true", d.Allow[0].When[0].Want[0], "true"},
		{"a claim that is a number", d.Allow[0].When[1].Want[0], "3"},
		{"a field of the record", d.Allow[0].When[2].Fields[0].String(), "/status"},
		{"values of a field", strings.Join(d.Allow[0].When[2].Want, " "), "paid shipped"},
		{"actions", len(d.Allow[0].Acts), 4},
		{"an own mask", d.Allow[0].Masks["contact.phone"], "3+4"},
		{"a lone name for a list", d.Allow[1].From[0].Name, "self"},
		{"over", d.Limit[2].Over, 50},
		{"NO is Norway in conditions", strings.Join(north.When[0].Want, " "), "NO SE"},
		{"unless", north.Unless.Purpose[0].Name, "search"},
		{"a lone category", north.Acts[0], Act{Pos{"testdata/design.yaml", 69, 170}, Blank, "contact"}},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestParseValues tells a list that says "no detectors" from no list, which says "all of them".
func TestParseValues(t *testing.T) {
	for _, c := range []struct {
		text string
		none bool
	}{{"values: []", true}, {"roles: [a]", false}} {
		d, err := Parse("a.yaml", []byte("minimize: 1\n"+c.text))
		if err != nil {
			t.Fatal(err)
		}
		if none := d.Values != nil && len(d.Values) == 0; none != c.none {
			t.Errorf("%s: no detectors is %v, want %v", c.text, none, c.none)
		}
	}
}

func TestParseOperation(t *testing.T) {
	for _, c := range []struct {
		text, method, path string
	}{
		{"GET /api/orders/*", "GET", "/api/orders/*"},
		{"* /api/**", "*", "/api/**"},
		{"QUERY /", "QUERY", "/"},
		{"GTE /", "", ""},
		{"HEAD /", "", ""},
		{"GET /", "GET", "/"},
		{"GET", "", ""},
		{"get /a", "", ""},
		{"GET  /a", "", ""},
		{"GET a", "", ""},
		{"GET /a/**/b", "", ""},
		{"GET /a/***", "", ""},
		{"GET /*a", "", ""},
		{"GET /a//b", "", ""},
		{"GET /a/./b", "", ""},
		{"GET /a?b", "", ""},
		{"GET /a/{id}", "", ""},
		{"GET /a/:id/b", "", ""},
		{"", "", ""},
	} {
		o, err := ParseOperation(c.text)
		if o.Method != c.method || o.Path != c.path || (err == nil) != (c.method != "") {
			t.Errorf("ParseOperation(%q) = %q %q, %v, want %q %q", c.text, o.Method, o.Path, err, c.method, c.path)
		}
	}
}

func TestDocumentName(t *testing.T) {
	for file, want := range map[string]string{
		"rules/kangaroo-mall.yaml": "kangaroo-mall", "shop.rules.yml": "shop", "plain": "plain", "/a/.hidden": ".hidden",
	} {
		if got := DocumentName(file); got != want {
			t.Errorf("DocumentName(%q) = %q, want %q", file, got, want)
		}
	}
}

// FuzzParse: whatever the file, Parse answers with a document or with errors that say where, never with a panic, and no
// error drags a long text of the file along.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	broken, _ := filepath.Glob("testdata/broken/*.yaml")
	for _, file := range append(files, broken...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse("fuzz.yaml", data)
		if err == nil {
			if d == nil {
				t.Fatal("neither document nor error")
			}
			return
		}
		errs, ok := err.(Errors)
		if !ok || len(errs) == 0 || d != nil {
			t.Fatalf("got %T and document %v, want Errors alone", err, d)
		}
		for _, e := range errs {
			if e.Pos.Line < 1 || e.Pos.Column < 1 || e.Pos.File != "fuzz.yaml" {
				t.Errorf("%v has no place", e)
			}
			if len(e.Message) > 1000 {
				t.Errorf("a message of %d bytes", len(e.Message))
			}
		}
	})
}
