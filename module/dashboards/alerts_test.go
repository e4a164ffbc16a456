package dashboards

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/test/missing"
)

type rule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alertRules(t *testing.T) (rules []rule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(Alerts, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// TestAlertsSayWhatToDo: whoever is woken finds how bad it is, what happened, and a paragraph in the runbook.
func TestAlertsSayWhatToDo(t *testing.T) {
	runbook, err := os.ReadFile("RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range alertRules(t) {
		for _, name := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if s := r.Labels["severity"]; s != "info" && s != "warning" && s != "critical" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "#"+strings.ToLower(r.Alert)) || !strings.Contains(string(runbook), "\n## "+r.Alert+"\n") {
			t.Errorf("%s: the runbook has no such heading, or the link leads elsewhere", r.Alert)
		}
	}
}

// TestAlertsFire runs alerts_test.yaml and alerts_months_test.yaml, which must let each alert fire, and each severity of it.
func TestAlertsFire(t *testing.T) {
	tests, fires := []string{"alerts_test.yaml", "alerts_months_test.yaml"}, ""
	for _, name := range tests {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fires += string(data)
	}
	for _, r := range alertRules(t) {
		if !strings.Contains(fires, `{alertname="`+r.Alert+`", severity="`+r.Labels["severity"]+`"}`) {
			t.Errorf("no test lets %s fire as %s", r.Alert, r.Labels["severity"])
		}
	}
	tool := promtool(t)
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, append([]string{"test", "rules"}, tests...)} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func promtool(t *testing.T) string {
	t.Helper()
	if tool, err := exec.LookPath("promtool"); err == nil {
		return tool
	}
	if cache, err := os.UserCacheDir(); err == nil {
		if tool := filepath.Join(cache, "minimize-test", "prometheus", "usr", "bin", "promtool"); exec.Command(tool, "--version").Run() == nil {
			return tool
		}
	}
	missing.Tool(t, "promtool is missing: test/run fetches it with Debian's package prometheus")
	return ""
}
