package rulefile

import (
	"os"
	"path/filepath"
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
