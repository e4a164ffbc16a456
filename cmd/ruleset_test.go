package cmd

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestRulesHere: without --rules they are those that the gateway of the Caddyfile here has, placeholders and choices of routes
// included.
func TestRulesHere(t *testing.T) {
	const more = "minimize: 1\nroles: [boss]\npurposes: [pay]\nallow: [{id: b, to: boss, for: pay, keep: [contact]}]\n"
	const site = "{\n\tminimize {\n\t\trules {env.RULES_HERE}/*.yaml\n\t}\n}\n:80 {\n\tSITE\n}\n"
	for _, c := range []struct{ site, purposes, err string }{
		{"minimize", "care pay", ""},
		{"minimize {\n\t\tdocuments more\n\t}", "pay", ""},
		{"minimize /a {\n\t\tdocuments more\n\t}\n\tminimize /b {\n\t\tdocuments rules\n\t}", "", "different `documents`"},
	} {
		dir := lintFolder(t, map[string]string{"Caddyfile": strings.Replace(site, "SITE", c.site, 1), "rules.yaml": lintRules, "more.yaml": more})
		t.Chdir(dir)
		t.Setenv("RULES_HERE", dir)
		code, out, errs := runCommand(t, "", "show", "--json")
		if (code != 0) != (c.err != "") || !strings.Contains(errs, c.err) {
			t.Fatalf("%s: exit code %d, %s", c.site, code, errs)
		}
		if c.err == "" && purposesOf(t, out) != c.purposes {
			t.Errorf("%s: the purposes are %s, want %s", c.site, purposesOf(t, out), c.purposes)
		}
	}
	t.Setenv("RULES_HERE", "")
	if code, _, errs := runCommand(t, "", "show"); code != 2 || !strings.Contains(errs, "a placeholder is empty") {
		t.Errorf("without the variable: exit code %d, %s", code, errs)
	}
}

// TestRulesTwice: a file that two patterns name is one document.
func TestRulesTwice(t *testing.T) {
	t.Chdir(lintFolder(t, map[string]string{"rules.yaml": lintRules}))
	code, out, errs := runCommand(t, "", "show", "--json", "--rules", "rules.yaml", "--rules", "*.yaml")
	if code != 0 || purposesOf(t, out) != "care" {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

func purposesOf(t *testing.T, shown string) string {
	t.Helper()
	var v shownView
	if err := json.Unmarshal([]byte(shown), &v); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range v.Purposes {
		names = append(names, p.Purpose)
	}
	return strings.Join(names, " ")
}
