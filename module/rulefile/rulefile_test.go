package rulefile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

const (
	api     = "openapi: 3.1.0\npaths: {/a: {get: {responses: {default: {content: {application/json: {schema: {properties: {b: {}}}}}}}}}}\n"
	overlay = "overlay: 1.0.0\nextends: vendor/api.yaml\nactions:\n  - {target: '$..properties.b', update: {x-data-classification: {category: contact.email}}}\n"
)

// TestOverlay reads an overlay with the document that it extends, and nothing that does not lie beside it.
func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file, vendor := write("rules/shop.overlay.yaml", overlay), write("rules/vendor/api.yaml", api)
	d, err := Parse(file, []byte(overlay))
	if err != nil || d.Name != "shop" || d.Pos.File != file || len(d.Routes) != 1 || d.Routes[0].Fields[0].Is != "contact.email" {
		t.Fatalf("%+v, %v", d, err)
	}
	first := d.Sum
	write("rules/vendor/api.yaml", api+"# changed\n")
	if d, err = Parse(file, []byte(overlay)); err != nil || d.Sum == first {
		t.Errorf("a changed document has the same sum, %v", err)
	}
	if _, err := Parse(vendor, []byte(api)); err == nil || !strings.Contains(err.Error(), "this document protects nothing") {
		t.Errorf("a document without annotations: %v", err)
	}
	outside := write("secret.yaml", api)
	if err := errors.Join(os.Remove(vendor), os.Symlink(outside, vendor)); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(file, []byte(overlay)); err == nil || strings.Contains(err.Error(), "properties") {
		t.Errorf("a link out of the directory is followed: %v", err)
	}
	if err := os.Remove(vendor); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(file, []byte(overlay)); err == nil || !strings.Contains(err.Error(), "vendor/api.yaml") {
		t.Errorf("a missing document: %v", err)
	}
}

// TestLoad: what is wrong in all documents comes at once, and two of one name are wrong.
func TestLoad(t *testing.T) {
	good := File{"a/shop.yaml", []byte("minimize: 1\n")}
	docs, err := Load([]File{good, {"a/stock.yaml", good.Data}})
	if err != nil || len(docs) != 2 || docs[1].Name != "stock" {
		t.Errorf("%v, %v", docs, err)
	}
	_, err = Load([]File{good, {"b/shop.yaml", good.Data}, {"bad.yaml", []byte("minimize: 2\n")}, {"worse.yaml", []byte("minimize: 1\nroles: {}\n")}})
	for _, want := range []string{`b/shop.yaml:1:1: a second document is named "shop" (the first is a/shop.yaml)`, "bad.yaml:1:", "worse.yaml:2:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
