// Package openapi makes rule documents of OpenAPI documents: what their annotations (x-data-classification,
// x-sensitive-data) say of the fields of each operation. It reads OpenAPI 3.0, 3.1 and 3.2, and overlays that annotate a
// document of somebody else.
package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// Spec is an OpenAPI document as read.
type Spec struct {
	schemas
	name string // of the file that was named
	sum  [32]byte
	all  []*operation
}

// Operations are the document's own.
func (s *Spec) Operations() []rules.Operation {
	var all []rules.Operation
	for _, o := range s.all {
		all = append(all, o.on...)
	}
	return all
}

// Is reports whether a text is an OpenAPI document or an overlay, and no rule document.
func Is(data []byte) bool { return has(data, "openapi") || has(data, "swagger") || isOverlay(data) }

func isOverlay(data []byte) bool { return has(data, "overlay") }

// has reports whether a text has a key at its top. It is asked at every poll of the files, so it reads only what may have it.
func has(data []byte, key string) bool {
	if !bytes.Contains(data, []byte(key)) {
		return false
	}
	if !isJSON(data) {
		return regexp.MustCompile(`(?m)^["']?` + key + `["']?[ \t]*:`).Match(data)
	}
	if !bytes.Contains(data, []byte(`"`+key+`"`)) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil || name == key {
			return err == nil
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

func isJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '{'
}

// Parse makes a rule document of an OpenAPI document, or of an overlay and the document that it extends. All errors come at
// once, as rules.Errors. One that annotates nothing is an error, too: whoever names it believes that its fields are covered.
func Parse(file Text, extended Text) (*rules.Document, error) {
	s, err := Read(file, extended)
	if err != nil {
		return nil, err
	}
	d, err := s.Document()
	if err == nil && len(d.Routes) == 0 {
		return nil, rules.Errors{{Pos: d.Pos, Message: "no field that an operation reads or answers with is annotated, so this document protects nothing: " +
			"write `x-data-classification: {category: contact.email}` beside a property's `type`, here or in an overlay that `extends` this file " +
			"(then `rules` names the overlay, and not this file)"}}
	}
	return d, err
}

// Text is a file.
type Text struct {
	File string
	Data []byte
}

// Read reads an OpenAPI document, or an overlay and the document that it extends.
func Read(file Text, extended Text) (*Spec, error) {
	s := &Spec{name: file.File, sum: sha256.Sum256(append(append([]byte(nil), file.Data...), extended.Data...))}
	s.schemas = schemas{tree: newTree(file.File), known: map[*yaml.Node]*schema{}, visited: map[*yaml.Node]bool{}}
	s.root = s.load(file.Data)
	if s.root != nil && s.get(s.root, "overlay") != nil {
		s.overlay(extended)
	}
	if s.root != nil && s.version() {
		s.operations()
		s.rest()
		s.checkNotes(s.root)
	}
	if err := s.errs.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Spec) version() bool {
	version := s.text(s.root, "openapi")
	if strings.HasPrefix(version, "3.") {
		return true
	}
	s.fail(s.root, "this reads OpenAPI 3 (openapi: 3.0.4, 3.1.1, 3.2.0); convert an older document first")
	return false
}
