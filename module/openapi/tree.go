package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// tree is a document's YAML tree and what is wrong in it. The nodes are read as they stand: an overlay's nodes become part
// of the document that it extends, and keep the position in their own file. A library that reads a document into types
// knows one file only.
type tree struct {
	file    string // of nodes that are not in files
	files   map[*yaml.Node]string
	root    *yaml.Node
	members map[*yaml.Node]map[string]*yaml.Node // of large mappings
	refs    map[string]*yaml.Node
	errs    rules.Errors
}

func newTree(file string) *tree {
	return &tree{
		file: file, files: map[*yaml.Node]string{},
		members: map[*yaml.Node]map[string]*yaml.Node{}, refs: map[string]*yaml.Node{},
	}
}

func (t *tree) at(n *yaml.Node) rules.Pos {
	file := t.file
	if own, ok := t.files[n]; ok {
		file = own
	}
	return rules.Pos{File: file, Line: max(n.Line, 1), Column: max(n.Column, 1)}
}

func (t *tree) fail(n *yaml.Node, format string, args ...any) {
	t.errs = append(t.errs, &rules.Error{Pos: t.at(n), Message: fmt.Sprintf(format, args...)})
}

// load reads the text of a file, JSON or YAML. On an error it returns nil.
func (t *tree) load(data []byte) *yaml.Node {
	top := &yaml.Node{Line: 1, Column: 1}
	if !utf8.Valid(data) {
		t.fail(top, "an OpenAPI document is UTF-8 text; save it as that")
		return nil
	}
	if isJSON(data) {
		data = surrogates.ReplaceAllFunc(data, joinSurrogates)
	}
	var doc yaml.Node
	err := yaml.Load(data, &doc)
	if err == nil && len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
		return t.plain(doc.Content[0])
	}
	message := "want an OpenAPI document as key: value pairs"
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		top.Line, top.Column = max(load.Mark.Line, 1), max(load.Mark.Column, 1)
		message = "this is readable neither as YAML nor as JSON: " + load.Message
	} else if err != nil {
		message = "this is readable neither as YAML nor as JSON"
	}
	t.fail(top, "%s", message)
	return nil
}

// surrogates are how JSON escapes a character beyond the first 65,536 (RFC 8259 section 7). YAML has no such escape.
var surrogates = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)

func joinSurrogates(pair []byte) []byte {
	high, _ := strconv.ParseUint(string(pair[2:6]), 16, 32)
	low, _ := strconv.ParseUint(string(pair[8:12]), 16, 32)
	return fmt.Appendf(nil, `\U%08x`, 0x10000+(high-0xd800)<<10+(low-0xdc00))
}

// plain returns a tree without aliases, or nil: with them a short text can be an endless document.
func (t *tree) plain(root *yaml.Node) *yaml.Node {
	before := len(t.errs)
	t.refuseAliases(root)
	if len(t.errs) > before {
		return nil
	}
	return root
}

func (t *tree) refuseAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		t.fail(n, "aliases of YAML are not read: write a $ref, or convert the document to JSON")
	}
	for _, child := range n.Content {
		t.refuseAliases(child)
	}
}

// largeMapping is from how many keys on a mapping is worth an index: a document has a thousand schemas side by side.
const largeMapping = 16

// get returns the value of a key, or nil.
func (t *tree) get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	if len(n.Content) >= 2*largeMapping {
		index := t.members[n]
		if index == nil {
			index = make(map[string]*yaml.Node, len(n.Content)/2)
			for name, value := range pairs(n) {
				index[name.Value] = value
			}
			t.members[n] = index
		}
		return index[key]
	}
	for name, value := range pairs(n) {
		if name.Value == key {
			return value
		}
	}
	return nil
}

// text returns the text of a key's value, or "".
func (t *tree) text(n *yaml.Node, key string) string {
	if value := t.get(n, key); value != nil && value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return ""
}

// pairs are the keys and values of a mapping.
func pairs(n *yaml.Node) func(yield func(name, value *yaml.Node) bool) {
	return func(yield func(name, value *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// items are the elements of a list.
func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// resolve follows a Reference Object to what is no reference any more; nil after an error.
func (t *tree) resolve(n *yaml.Node) *yaml.Node {
	for range 100 {
		ref := t.get(n, "$ref")
		if ref == nil || ref.Kind != yaml.ScalarNode {
			return n
		}
		if n = t.follow(ref); n == nil {
			return nil
		}
	}
	t.fail(n, "this $ref leads to itself")
	return nil
}

// follow returns what a $ref names in this document; nil after an error.
func (t *tree) follow(ref *yaml.Node) *yaml.Node {
	found, known := t.refs[ref.Value]
	if !known {
		found = t.find(ref)
		t.refs[ref.Value] = found
	}
	return found
}

func (t *tree) find(ref *yaml.Node) *yaml.Node {
	pointer, local := strings.CutPrefix(ref.Value, "#")
	if !local {
		// What a document names is not what an operator named: it could be any file of this machine, or another machine.
		t.fail(ref, "this $ref leads into another file, and those are not read: bundle the document into one file")
		return nil
	}
	n := t.root
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(unescapePercent(step))
		if list := items(n); list != nil {
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(list) {
				n = nil
				break
			}
			n = list[i]
		} else if n = t.get(n, step); n == nil {
			break
		}
	}
	if pointer != "" && !strings.HasPrefix(pointer, "/") {
		n = nil
	}
	if n == nil {
		t.fail(ref, "nothing stands where this $ref leads (it is written as #/components/schemas/Name)")
	}
	return n
}
