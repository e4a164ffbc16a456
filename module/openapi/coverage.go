package openapi

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// Field is a value that a document describes.
type Field struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Operation string `json:"operation"` // one that has it
	In        string `json:"in"`        // request, response or parameter
	Pointer   string `json:"pointer"`   // of a parameter its name
	Type      string `json:"type,omitempty"`
	covered   bool
}

// Coverage finds the values that can be somebody's and that these rules do not know: not by their place, not by their name,
// not by what holds them, and not by a name that tells detectors what they look at. Each stands once for the place where it
// is described, with an operation where it is not known; all is how many places there are. What only says yes or no, or one
// word of a list, does not count.
func (s *Spec) Coverage(r *rules.Ruleset) (uncovered []Field, all int) {
	c := &coverage{Spec: s, fields: map[fieldKey]Field{}, seen: map[seenAt]bool{}, names: map[*rules.Scope]map[string]*rules.Name{}}
	for _, o := range s.all {
		on := o.on[0]
		c.scope, c.on = r.Scope(on.Method, on.Path), on.String()
		c.bodies("request", o.requests)
		c.bodies("response", o.responses)
		for _, p := range o.parameters {
			c.parameter(p)
		}
	}
	for _, f := range c.fields {
		if !f.covered {
			uncovered = append(uncovered, f)
		}
	}
	slices.SortFunc(uncovered, func(a, b Field) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.In, b.In), strings.Compare(a.Pointer, b.Pointer))
	})
	return uncovered, len(c.fields)
}

// fieldKey is where a field is described.
type fieldKey struct {
	node *yaml.Node
	in   string
}

type coverage struct {
	*Spec
	scope  *rules.Scope
	on     string
	in     string
	seen   map[seenAt]bool
	names  map[*rules.Scope]map[string]*rules.Name
	fields map[fieldKey]Field
}

// add counts a field. One that is not known anywhere is uncovered.
func (c *coverage) add(n *yaml.Node, in, pointer, kind string, covered bool) {
	key := fieldKey{n, in}
	if first, known := c.fields[key]; known && (covered || !first.covered) {
		return
	}
	pos := c.at(n)
	c.fields[key] = Field{pos.File, pos.Line, c.on, in, pointer, kind, covered}
}

// seenAt tells values apart as far as rules can.
type seenAt struct {
	scope  *rules.Scope // the same for operations that no rule tells apart
	in     string
	s      *schema
	place  rules.Place
	around string
	known  bool
}

// spot is where a schema stands.
type spot struct {
	at    rules.Selector
	place rules.Place
	in    *rules.Name // the member around
	known bool        // by a rule for the value or for what holds it
}

func (c *coverage) bodies(in string, bodies []*schema) {
	c.in = in
	for _, body := range bodies {
		root := spot{place: c.scope.Root()}
		root.known = c.labelled(root.place)
		c.walk(body, root)
	}
}

func (c *coverage) labelled(p rules.Place) bool {
	if p == 0 {
		return false
	}
	found := c.scope.Spot(p)
	return found != nil && found.Label != nil
}

func (c *coverage) walk(s *schema, at spot) {
	key := seenAt{c.scope, c.in, s, at.place, "", at.known}
	if at.in != nil {
		key.around = at.in.Around()
	}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	if kind, leaf := c.leaf(s); leaf {
		c.add(s.node, c.in, at.at.String(), kind, at.known)
	}
	for _, e := range s.edges {
		c.walk(e.to, c.below(at, e))
	}
}

func (c *coverage) below(at spot, e edge) spot {
	switch {
	case !e.inside:
		return at
	case e.step.Kind == rules.StepAny: // an element, or a member of some name
		at.at, at.place = extend(at.at, e.step), c.scope.Element(at.place, 0)
		at.known = at.known || c.labelled(at.place)
		return at
	}
	name := c.name(e.step.Name)
	below := spot{at: extend(at.at, e.step), place: c.scope.Member(at.place, name), in: name}
	below.known = at.known || c.labelled(below.place) || c.scope.Key(name, at.in) != nil || name.Context != 0
	return below
}

func (c *coverage) name(text string) *rules.Name {
	names := c.names[c.scope]
	if names == nil {
		names = map[string]*rules.Name{}
		c.names[c.scope] = names
	}
	if names[text] == nil {
		n := c.scope.Name([]byte(text))
		names[text] = &n
	}
	return names[text]
}

// leaf reports whether a schema describes a value that can be somebody's, and its type.
func (s *Spec) leaf(n *schema) (kind string, ok bool) {
	if len(n.edges) > 0 || s.get(n.node, "enum") != nil || s.get(n.node, "const") != nil {
		return "", false
	}
	kind = s.kind(n.node)
	switch {
	case kind == "boolean", kind == "null":
		return "", false
	case kind == "object" || kind == "array": // of anything, unless it says that nothing is inside
		closed := s.get(n.node, "additionalProperties")
		return kind, closed == nil || closed.Value != "false"
	}
	return kind, true
}

// kind is a schema's type; of several (OpenAPI 3.1) the first that is not null.
func (s *Spec) kind(n *yaml.Node) string {
	kind := s.get(n, "type")
	for _, one := range items(kind) {
		if one.Value != "null" {
			return one.Value
		}
	}
	if kind == nil {
		return ""
	}
	return kind.Value
}

func (c *coverage) parameter(p parameter) {
	name := c.name(p.name)
	known := c.scope.Key(name, nil) != nil || name.Context != 0
	kind, leaf := "", true
	if p.schema != nil {
		kind, leaf = c.leaf(p.schema)
	}
	if leaf {
		c.add(p.node, "parameter", p.name, kind, known)
	}
}
