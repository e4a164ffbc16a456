package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInit: what init writes passes its own fixtures, and a second init leaves it alone.
func TestInit(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, errs := runCommand(t, "", "init")
	if code != exitOK || errs != "" || !strings.Contains(out, "test fixtures") || strings.Contains(out, "cd ") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := runCommand(t, "", "test", "fixtures"); code != exitOK || !strings.Contains(out, "All 4 fixtures passed.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	// explain and show take the rules of the Caddyfile here.
	body := `{"orders":[{"buyer":{"id":"u-1","phone":"13800138000"}}]}`
	if code, out, errs := runCommand(t, body, "explain", "--role", "courier", "--purpose", "delivery", "-"); code != exitOK || !strings.Contains(out, "courier-delivers") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := runCommand(t, "", "show"); code != 0 || !strings.Contains(out, "For delivery") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	mine := []byte("mine")
	if err := os.WriteFile("Caddyfile", mine, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := runCommand(t, "", "init"); code != exitFound || out != "" || !strings.Contains(errs, "Caddyfile, fixtures") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if kept, err := os.ReadFile("Caddyfile"); err != nil || string(kept) != "mine" {
		t.Errorf("the Caddyfile became %q, %v", kept, err)
	}
}

// TestInitElsewhere: one file that is there already keeps all from being written.
func TestInitElsewhere(t *testing.T) {
	dir := t.TempDir()
	if code, out, errs := runCommand(t, "", "init", filepath.Join(dir, "new")); code != exitOK || !strings.Contains(out, "cd "+filepath.Join(dir, "new")) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if err := os.MkdirAll(filepath.Join(dir, "old/rules/api.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := runCommand(t, "", "init", filepath.Join(dir, "old")); code != exitFound || !strings.Contains(errs, "api.yaml: there already") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "old/Caddyfile")); err == nil {
		t.Error("a part was written")
	}
	if code, _, errs := runCommand(t, "", "init", "a", "b"); code != 2 || !strings.Contains(errs, "one folder") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
