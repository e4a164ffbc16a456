package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestREADMEExplains holds the README's explanation and table against what its commands print.
func TestREADMEExplains(t *testing.T) {
	dir := readmeDir(t)
	if err := os.WriteFile(filepath.Join(dir, "order.json"), []byte(readmeBlock(t, "json", "before").text), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "minimize")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/minimize").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, args := range map[string][]string{
		"explained": {"explain", "--time", "2026-11-22", "--rules", "rules/shop.yaml", "--role", "support", "--purpose", "after_sales", "order.json"},
		"shown":     {"show", "--rules", "rules/shop.yaml", "--for", "after_sales"},
	} {
		command := exec.Command(binary, args...)
		command.Dir = dir
		out, err := command.CombinedOutput()
		if want := readmeBlock(t, "text", name).text; err != nil || string(out) != want {
			t.Errorf("%v: %v\n--- got\n%s--- want\n%s", args, err, out, want)
		}
	}
}
