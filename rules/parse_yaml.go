package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// parser reads a document's YAML tree by hand, and goes on after an error: a type that decodes itself would stop at the
// first one, forget the positions, and take NO for a boolean.
type parser struct {
	file   string
	errs   Errors
	places []Word // the zones that are named
}

func (p *parser) at(n *yaml.Node) Pos { return Pos{p.file, n.Line, n.Column} }

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, &Error{p.at(n), fmt.Sprintf(format, args...)})
}

// load reads the YAML and returns its root, or nil.
func (p *parser) load(data []byte) *yaml.Node {
	top := &yaml.Node{Line: 1, Column: 1}
	if !utf8.Valid(data) {
		p.fail(top, "a rule document is UTF-8 text; save it as that")
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		p.syntax(err)
		return nil
	}
	p.plain(doc.Content[0])
	if len(p.errs) > 0 {
		return nil
	}
	return doc.Content[0]
}

// syntax reports the YAML reader's own error.
func (p *parser) syntax(err error) {
	top, message := &yaml.Node{Line: 1, Column: 1}, err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		message = load.Message
		if load.Mark.Line > 0 {
			top.Line, top.Column = load.Mark.Line, max(load.Mark.Column, 1)
		}
	}
	switch {
	case strings.Contains(message, "found multiple"):
		message = "a file holds one rule document; write the next one in a file of its own"
	case strings.Contains(message, "no documents"):
		message = "a rule document starts with `minimize: 1`; this one is empty"
	case strings.Contains(message, "anchor"), strings.Contains(message, "alphabetic or numeric"):
		message = "rules have no anchors and aliases; put quotes around a text that starts with a star or an ampersand"
	default:
		message = "this is not readable as YAML: " + message + "; look at the indentation (spaces, no tabs), quotes and brackets"
	}
	p.fail(top, "%s", message)
}

// plain refuses what makes a document say something else than what stands there: anchors, aliases, merge keys, own tags.
// Without aliases a document is as large as its file (no "billion laughs").
func (p *parser) plain(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.fail(n, "rules have no anchors and aliases; write it out, or put quotes around a text that starts with a star or an ampersand")
	case n.Tag == "!!merge":
		p.fail(n, "rules have no merge keys; write it out")
	case n.Style&yaml.TaggedStyle != 0:
		p.fail(n, "rules have no tags; leave it out, or put quotes around a text that starts with an exclamation mark")
	}
	for _, child := range n.Content {
		p.plain(child)
	}
}

// keys says what reads each key of a mapping.
type keys map[string]func(*yaml.Node)

// mapping reads a mapping with these keys. what names it in errors.
func (p *parser) mapping(n *yaml.Node, what string, k keys, required ...string) {
	ok := p.pairs(n, what, func(name, value *yaml.Node) {
		read := k[name.Value]
		if read == nil {
			p.fail(name, "%s has no key `%s`%s", what, shorten(name.Value), suggest(name.Value, slices.Sorted(maps.Keys(k))))
			return
		}
		read(value)
	})
	for _, name := range required {
		if ok && has(n, name) == 0 {
			p.fail(n, "%s needs `%s`", what, name)
		}
	}
}

// pairs calls read for each key of a mapping, once. It reports whether n is a mapping.
func (p *parser) pairs(n *yaml.Node, what string, read func(name, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "want %s as key: value pairs, got %s", what, kindOf(n))
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			p.fail(name, "want a text as a key, got %s", kindOf(name))
			continue
		}
		if line := seen[name.Value]; line > 0 {
			p.fail(name, "`%s` stands here twice (first in line %d); put both into one", shorten(name.Value), line)
			continue
		}
		seen[name.Value] = name.Line
		read(name, value)
	}
	return true
}

// has is 1 if the mapping has the key.
func has(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return 1
		}
	}
	return 0
}

func set[T any](dst *T, read func(*yaml.Node) T) func(*yaml.Node) {
	return func(n *yaml.Node) { *dst = read(n) }
}

// entries reads a mapping from names to things.
func entries[T any](p *parser, dst *[]T, read func(name, n *yaml.Node) T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.pairs(n, "this", func(name, value *yaml.Node) { *dst = append(*dst, read(name, value)) })
	}
}

// sequence reads a list of things.
func sequence[T any](p *parser, dst *[]T, read func(*yaml.Node) T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			p.fail(n, "want a list, each entry after a dash, got %s", kindOf(n))
			return
		}
		for _, item := range n.Content {
			*dst = append(*dst, read(item))
		}
	}
}

// list reads a scalar or a list of different scalars.
func list[T any](p *parser, dst *[]T, read func(*yaml.Node) T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		items := n.Content
		if n.Kind != yaml.SequenceNode {
			items = []*yaml.Node{n}
		}
		if len(items) == 0 {
			p.fail(n, "this list is empty; leave it out or fill it")
		}
		seen := map[string]bool{}
		for _, item := range items {
			if item.Kind == yaml.ScalarNode && seen[item.Value] {
				p.fail(item, "`%s` stands in this list twice", shorten(item.Value))
			}
			seen[item.Value] = true
			*dst = append(*dst, read(item))
		}
	}
}

// scalar reads a text as it is written: NO is Norway.
func (p *parser) scalar(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		p.fail(n, "want a text, got %s", kindOf(n))
		return "", false
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		p.fail(n, "this text holds a line break or another control character; write it on one line")
		return "", false
	}
	return n.Value, true
}

// text reads a text that is not empty. After an error it returns "".
func (p *parser) text(n *yaml.Node) string {
	s, ok := p.scalar(n)
	if ok && strings.TrimSpace(s) == "" {
		p.fail(n, "this text is empty")
		return ""
	}
	return s
}

// literal reads a scalar as JSON writes it, to be compared with what stands in a body or a token: true, 3, paid.
func (p *parser) literal(n *yaml.Node) string {
	s := p.text(n)
	switch n.Tag {
	case "!!bool":
		return strings.ToLower(s)
	case "!!int", "!!float":
		if !json.Valid([]byte(s)) {
			p.fail(n, "`%s` is no number as JSON writes it; put quotes around a text", shorten(s))
		}
	}
	return s
}

func (p *parser) boolean(n *yaml.Node) bool {
	if n.Tag != "!!bool" {
		p.fail(n, "want true or false")
	}
	return strings.EqualFold(n.Value, "true")
}

func (p *parser) integer(n *yaml.Node) (int, bool) {
	i, err := strconv.Atoi(n.Value)
	if n.Tag != "!!int" || err != nil {
		p.fail(n, "want a whole number")
		return 0, false
	}
	return i, true
}

func (p *parser) positive(n *yaml.Node) int {
	i, ok := p.integer(n)
	if ok && i < 1 {
		p.fail(n, "want a whole number above 0")
	}
	return i
}

func (p *parser) oneOf(n *yaml.Node, what string, names ...string) string {
	s := p.text(n)
	if s != "" && !slices.Contains(names, s) {
		p.fail(n, "`%s` is not %s (want %s)%s", shorten(s), what, strings.Join(names, ", "), suggest(s, names))
		return ""
	}
	return s
}
