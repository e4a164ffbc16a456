package openapi

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

var update = flag.Bool("update", false, "write the golden files")

// spell writes what a document says, a line for each field.
func spell(d *rules.Document) string {
	var b strings.Builder
	for _, c := range d.Categories {
		fmt.Fprintf(&b, "category %s: %s, mask %s\n", c.Name, c.Grade, c.Mask)
	}
	for _, o := range d.Operations {
		fmt.Fprintf(&b, "operation %s\n", o)
	}
	for _, route := range d.Routes {
		b.WriteString("\n")
		for _, o := range route.Operations {
			fmt.Fprintf(&b, "%s\n", o)
		}
		for _, f := range route.Fields {
			where := f.At.String()
			if f.Keys != nil {
				where = strings.Join(f.Keys, " ")
			}
			fmt.Fprintf(&b, "  %-28s %-28s %s\n", where, f.Is, f.Pos)
		}
	}
	return b.String()
}

func parse(t *testing.T, file string) (*rules.Document, error) {
	t.Helper()
	text := Text{File: filepath.Base(file), Data: read(t, file)}
	extends, err := Extends(text)
	if err != nil || extends == "" {
		if err != nil {
			return nil, err
		}
		return Parse(text, Text{})
	}
	return Parse(text, Text{File: extends, Data: read(t, filepath.Join(filepath.Dir(file), extends))})
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGolden holds what a document becomes; `go test -update` writes it. Each must compile, with the base pack and alone.
func TestGolden(t *testing.T) {
	for _, name := range []string{"shop", "overlay"} {
		d, err := parse(t, "testdata/"+name+".yaml")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := rules.Compile([]*rules.Document{d}, rules.Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		golden := "testdata/" + name + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(spell(d)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := spell(d), string(read(t, golden)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}
