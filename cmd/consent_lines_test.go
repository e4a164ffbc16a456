package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func TestParseItem(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`{"pii_principal_id":"u-1","purpose":"ads","event_state":"given","event_type":"explicit","given_by":"self"}`, ""},
		{`{"pii_principal_id":"u-1","event_state":"restricted"}`, ""},
		{`{"pii_principal_id":"u-1","birth_date":"2011-05-04","guardians":["g-1"],"minor":true}`, ""},
		{`{"pii_principal_id":"u-1","case_id":"T-1","kind":"ticket","roles":["support"],"ends":"2026-12-31T00:00:00Z"}`, ""},
		{`["SECRET"]`, "it is no JSON object"},
		{`{"pii_principal_id":"SECRET"`, "it is no JSON object"},
		{`{"SECRET":1}`, "it has a field that none of the kinds of lines has"},
		{`{"pii_principal_id":"SECRET","pii_principal_id":"SECRET2"}`, "pii_principal_id stands there twice"},
		{`{"Pii_principal_id":"SECRET"}`, "it has a field that none of the kinds of lines has"},
		{`{"purpose":"SECRET"}`, "it has neither event_state, case_id nor pii_principal_id"},
		{`{"pii_principal_id":"u-1","purpose":"ads"}`, "purpose does not belong to a line with pii_principal_id"},
		{`{"pii_principal_id":"u-1","case_id":"T","event_state":"given"}`, "case_id does not belong to a line with event_state"},
		{`{"pii_principal_id":"SECRET"}`, "it has nothing but pii_principal_id"},
		{`{"pii_principal_id":17,"minor":true}`, "pii_principal_id is not of its type"},
		{`{"pii_principal_id":"u-1","minor":"SECRET"}`, "minor is not of its type"},
		{`{"pii_principal_id":"u-1","ended":"SECRET"}`, "a time is written as in RFC 3339: 2026-11-22T09:30:00Z"},
		{`{"pii_principal_id":"u-1","purpose":"ads","event_state":"given","event_type":"explicit","expires":"0001-01-01T00:00:00Z"}`, "expires is the first moment of the year 1"},
		{`{"pii_principal_id":"u-1","case_id":"T-1","kind":"ticket","ends":"0001-01-01T01:00:00+01:00"}`, "ends is the first moment of the year 1"},
		{`{"pii_principal_id":"u-1","minor":true,"ended":"0001-01-01T00:00:00Z"}`, "ended is the first moment of the year 1"},
		{`{"pii_principal_id":"u-1","birth_date":"SECRET"}`, "birth_date is not a date such as 2006-01-02"},
		{`{"pii_principal_id":"u-1","event_state":"SECRET","purpose":"ads"}`, "event_state is not given, withdrawn, objected"},
		{"{\"pii_principal_id\":\"SECRET\xff\"}", "it is not in UTF-8"},
		{`{"pii_principal_id":"SECRET\ud800"}`, "pii_principal_id is not in UTF-8"},
		{`{"pii_principal_id":"","minor":true}`, "pii_principal_id is not a name of 1 to 256 bytes"},
	} {
		_, err := parseItem([]byte(c.doc), 7)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.doc, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "line 7: "+c.want) || strings.Contains(err.Error(), "SECRET")):
			t.Errorf("%s: %v, want %q", c.doc, err, c.want)
		}
	}
}

// TestCSV: a row says what the object with its names says.
func TestCSV(t *testing.T) {
	const table = "\ufeffpii_principal_id,event_state,purpose,event_type,pii_type,policy_version,minor,birth_date,guardians,gpc\r\n" +
		"u-1,given,ads,explicit,contact;device.imei,6,,,,\r\n" +
		"\"u,\"\"2\",,,,,,TRUE,2011-05-04,g-1;g-2,\r\n" +
		"u-3,objected,ads,,,,,,,true\r\n"
	next, err := readLines(strings.NewReader(table), formatCSV)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"pii_principal_id":"u-1","event_state":"given","purpose":"ads","event_type":"explicit","pii_type":["contact","device.imei"],"policy_version":6}`,
		`{"pii_principal_id":"u,\"2","minor":true,"birth_date":"2011-05-04","guardians":["g-1","g-2"]}`,
		`{"pii_principal_id":"u-3","event_state":"objected","purpose":"ads","gpc":true}`,
	}
	for i, w := range want {
		doc, line, err := next()
		if err != nil || string(doc) != w || line != i+2 {
			t.Errorf("line %d: %s, %v\nwant %s", line, doc, err, w)
		}
	}
	if _, _, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

func TestCSVBroken(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "reading the header",
		"pii_principal_id,SECRET\n":          "column 2 has no known name",
		"pii_principal_id;SECRET\n":          "columns are separated by commas",
		"SECRET\tpurpose\n":                  "columns are separated by commas",
		"SECRET\n":                           "column 1 has no known name",
		"pii_principal_id\nu-1,SECRET\n":     "line 2: it has 2 cells and the header 1",
		"pii_principal_id\n\"SECRET\nu-2\n":  "reading line",
		"pii_principal_id,minor\nu-1,SECRET": "line 2: minor is not of its type",
	} {
		r := &importRun{format: formatCSV, errs: new(bytes.Buffer), check: true}
		_, _, err := r.checkAll(strings.NewReader(text))
		all := fmt.Sprint(err, r.errs)
		if err == nil || !strings.Contains(all, want) || strings.Contains(all, "SECRET") {
			t.Errorf("%q: %s, want %q", text, all, want)
		}
	}
}

// TestREADMETable: the README's table is one that import takes.
func TestREADMETable(t *testing.T) {
	readme, err := os.ReadFile("../module/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "```text people.csv\n")
	table, _, _ = strings.Cut(table, "```")
	file := write(t, "people.csv", table)
	code, out, errs := consent(t, "", "import", "--dry-run", file)
	if code != exitOK || out != "Checked: read 2 lines: 2 entries, 0 profiles, 0 cases\n" {
		t.Errorf("%d %q %q", code, out, errs)
	}
}

// TestImportHelp: the lines in the help are ones that import takes.
func TestImportHelp(t *testing.T) {
	n := 0
	for line := range strings.SplitSeq(importHelp, "\n") {
		if doc, ok := strings.CutPrefix(line, "  {"); ok {
			n++
			if _, err := parseItem([]byte("{"+doc), n); err != nil {
				t.Error(err)
			}
		}
	}
	if n != 3 {
		t.Errorf("the help has %d lines, want one of each kind", n)
	}
}
