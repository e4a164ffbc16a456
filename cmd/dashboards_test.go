package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v4"
)

// TestDashboardsCommand takes the dashboard and the rules in both ways.
func TestDashboardsCommand(t *testing.T) {
	run := func(args ...string) (string, error) {
		c := dashboardsCommand()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&out)
		c.SetArgs(args)
		err := c.Execute()
		return out.String(), err
	}
	dashboard, err := run()
	if err != nil || gjson.Get(dashboard, "uid").Str != "caddy-minimize" {
		t.Errorf("no dashboard: %v", err)
	}
	alerts, err := run("--alerts")
	if err != nil || yaml.Unmarshal([]byte(alerts), new(any)) != nil || !strings.Contains(alerts, "alert: MinimizeNotProtected") {
		t.Errorf("no alert rules: %v", err)
	}
	dir := t.TempDir()
	told, err := run("--write", dir)
	if err != nil || !strings.Contains(told, "Grafana") || !strings.Contains(told, "rule_files") {
		t.Errorf("%v: %s", err, told)
	}
	for name, want := range map[string]string{dashboardFile: dashboard, alertsFile: alerts} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is not what is printed (%v)", name, err)
		}
	}
	for _, wrong := range [][]string{{"--write", filepath.Join(dir, "missing")}, {"--alerts", "--write", dir}, {"more"}} {
		if _, err := run(wrong...); err == nil {
			t.Errorf("%q is no error", wrong)
		}
	}
}
