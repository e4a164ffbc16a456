package rulefile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(file, []byte("minimize: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, document string // "": it cannot be read
	}{
		{file, "shop"}, {file + "x", ""},
		{"pack:base", "base"}, {"pack:", ""}, {"pack:../rulefile", ""}, {"pack:base.yaml", ""},
	} {
		data, err := Read(c.name)
		if (err == nil) != (c.document != "") {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if d, err := Parse(c.name, data); err != nil || d.Name != c.document {
			t.Errorf("%s is the document %+v, %v", c.name, d, err)
		}
	}
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a.yaml", "c.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("minimize: 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Expand([]string{filepath.Join(dir, "*.yaml"), "pack:gdpr", filepath.Join(dir, "a.yaml")})
	if want := []string{filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml"), "pack:gdpr"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, pattern := range []string{filepath.Join(dir, "*.yml"), filepath.Join(dir, "[")} {
		if got, err := Expand([]string{pattern}); err == nil {
			t.Errorf("%s is %v", pattern, got)
		}
	}
}
