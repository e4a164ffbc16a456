package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestInit: the first files are a valid configuration, formatted as Caddy formats it.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "first")
	if out, err := exec.Command("go", "run", "../cmd/minimize", "init", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "Caddyfile")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	validate(t, file, text)
}
