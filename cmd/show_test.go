package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShow holds the tables against a file.
func TestShow(t *testing.T) {
	code, out, errs := runCommand(t, "", "show", "--rules", explainRules, "--time", "2026-11-22", "--operation", "GET /api/orders")
	if code != 0 || errs != "" {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	golden(t, "testdata/explain/show.txt", out)
	code, out, errs = runCommand(t, "", "show", "--rules", explainRules, "--for", "advertising", "--to", "third_party", "--time", "2025-11-22")
	if code != 0 || errs != "" || !strings.Contains(out, "ads-partner") || strings.Contains(out, " us") || !strings.Contains(out, "Blocked: ads-partner: agreement.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestShowNarrow: what does not fit beside each other stands below, and nothing is cut off.
func TestShowNarrow(t *testing.T) {
	rules := "minimize: 1\npurposes: [work]\nroles: ["
	for i := range 12 {
		rules += fmt.Sprintf("department-%d, ", i)
	}
	rules += "head]\nallow:\n"
	for i := range 12 {
		rules += fmt.Sprintf("  - {id: r%d, to: department-%d, for: work, case: ticket, keep: [contact], mask: [person.name]}\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "wide.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	_, out, errs := runCommand(t, "", "show", "--json", "--rules", file)
	var v shownView
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	var narrow bytes.Buffer
	(&painter{out: &narrow, columns: 80}).matrices(&v)
	for line := range strings.SplitSeq(narrow.String(), "\n") {
		if cellsOf(line) > 80 {
			t.Errorf("%d cells: %s", cellsOf(line), line)
		}
	}
	if n := strings.Count(narrow.String(), "mask t"); n != 12 || strings.Count(narrow.String(), "CATEGORY") < 2 || strings.Contains(narrow.String(), "head") {
		t.Errorf("%d cells are masked:\n%s", n, &narrow)
	}
}

// TestShowJSON: a machine reads every category, also those that nobody gets.
func TestShowJSON(t *testing.T) {
	code, out, errs := runCommand(t, "", "show", "--json", "--rules", explainRules, "--for", "after_sales")
	var v shownView
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || errs != "" {
		t.Fatalf("exit code %d, %v, %s", code, err, errs)
	}
	for _, l := range v.Purposes[0].Categories {
		if l.Category == "contact.phone" {
			if c := l.Cells[0]; c.Action != "keep" || c.Otherwise != "mask" || c.Limited != "block" || c.Marks != "twl" || c.Rule != "support-case" || c.Limits[0] != "no-export" {
				t.Errorf("%+v", c)
			}
			return
		}
	}
	t.Error("contact.phone is missing")
}

func TestShowBroken(t *testing.T) {
	for want, args := range map[string][]string{
		"--rules FILE":        {},
		"rule documents are":  {explainRules},
		"there are adver":     {"--rules", explainRules, "--for", "sales"},
		"a recipient nobody":  {"--rules", explainRules, "--to", "nobody"},
		"reading --operation": {"--rules", explainRules, "--operation", "x"},
		"reading --time":      {"--rules", explainRules, "--time", "x"},
		"no rule document is": {"--rules", "none.yaml"},
	} {
		if code, out, errs := runCommand(t, "", append([]string{"show"}, args...)...); code != exitBroken || out != "" || !strings.Contains(errs, want) || !strings.Contains(errs, "Nothing was shown") {
			t.Errorf("%v: exit code %d, output %q, errors %q, want %q", args, code, out, errs, want)
		}
	}
}
