package openapi

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// schema is a Schema Object, as far as it says where values stand and what they are.
type schema struct {
	node   *yaml.Node
	note   *note // nil: it has none
	edges  []edge
	free   bool // one of its variants is any value
	group  *group
	index  int // Tarjan's, from 1; 0: not visited
	low    int
	landed bool // its group is complete
}

// edge leads from a schema to one that holds for the same value, or for a value inside.
type edge struct {
	inside bool // one step down
	step   rules.Step
	to     *schema
	holds  holding // of one for the same value
	from   source  // of a star
}

// holding is when a schema holds for the same value.
type holding uint8

const (
	always  holding = iota
	variant         // it, or another variant
	maybe           // on a condition
)

// source is what a star stands for.
type source uint8

const (
	others  source = iota // members that have no name here
	pattern               // members whose names match an expression
	list                  // elements
)

// group is schemas that lead to each other; mostly it is one schema alone.
type group struct {
	members []*schema
	loops   bool
	noted   bool // a note stands here or somewhere below
	deep    []place
	full    bool // deep is not all
}

// Where schemas stand in a Schema Object: those of JSON Schema 2020-12 (OpenAPI 3.1), and what only OpenAPI 3.0 and older
// drafts have. `not` says nothing about what is there, and a $dynamicRef without a place is a plain one.
var (
	sameValue = []struct {
		key   string
		holds holding
	}{
		{"$ref", always}, {"$dynamicRef", always}, {"allOf", always}, {"anyOf", variant}, {"oneOf", variant},
		{"if", maybe}, {"then", maybe}, {"else", maybe},
	}
	sameMap    = []string{"dependentSchemas"}
	anyMember  = []string{"additionalProperties", "unevaluatedProperties"}
	anyElement = []string{"additionalItems", "unevaluatedItems", "contains"}
)

// schemas are the Schema Objects met, by their nodes.
type schemas struct {
	*tree
	known   map[*yaml.Node]*schema
	visited map[*yaml.Node]bool // whatever a note may stand in
	counter int
	stack   []*schema
}

// of returns the schema at a node; nil where nothing describes a value (true, false, a broken $ref).
func (g *schemas) of(n *yaml.Node) *schema {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	if s := g.known[n]; s != nil {
		return s
	}
	s := &schema{node: n, note: g.noteOf(n)}
	g.known[n] = s
	for _, same := range sameValue {
		value := g.get(n, same.key)
		switch {
		case value == nil:
		case value.Kind == yaml.ScalarNode:
			g.same(s, g.follow(value), same.holds)
		case value.Kind == yaml.SequenceNode:
			for _, item := range items(value) {
				g.same(s, item, same.holds)
			}
		default:
			g.same(s, value, same.holds)
		}
	}
	for _, key := range sameMap {
		for _, value := range pairs(g.get(n, key)) {
			g.same(s, value, maybe)
		}
	}
	for _, value := range pairs(g.get(g.get(n, "discriminator"), "mapping")) {
		if value.Kind == yaml.ScalarNode && len(value.Value) > 1 && value.Value[0] == '#' {
			g.same(s, g.follow(value), maybe)
		}
	}
	g.properties(s)
	g.elements(s)
	return s
}

func (g *schemas) same(s *schema, n *yaml.Node, holds holding) {
	if to := g.of(n); to != nil {
		s.edges = append(s.edges, edge{to: to, holds: holds})
	} else if holds == variant && n != nil {
		s.free = s.free || n.Value != "false"
	}
}

func (g *schemas) inside(s *schema, step rules.Step, from source, n *yaml.Node) {
	if to := g.of(n); to != nil {
		s.edges = append(s.edges, edge{inside: true, step: step, from: from, to: to})
	}
}

func (g *schemas) properties(s *schema) {
	for name, value := range pairs(g.get(s.node, "properties")) {
		g.inside(s, rules.Step{Name: name.Value}, others, value)
	}
	for _, value := range pairs(g.get(s.node, "patternProperties")) {
		g.inside(s, anyStep, pattern, value)
	}
	for _, key := range anyMember {
		g.inside(s, anyStep, others, g.get(s.node, key))
	}
}

func (g *schemas) elements(s *schema) {
	for i, value := range items(g.get(s.node, "prefixItems")) {
		g.inside(s, rules.Step{Name: strconv.Itoa(i)}, list, value)
	}
	all := g.get(s.node, "items")
	for i, value := range items(all) { // drafts before 2020-12
		g.inside(s, rules.Step{Name: strconv.Itoa(i)}, list, value)
	}
	g.inside(s, anyStep, list, all)
	for _, key := range anyElement {
		g.inside(s, anyStep, list, g.get(s.node, key))
	}
}

var (
	anyStep  = rules.Step{Kind: rules.StepAny}
	deepStep = rules.Step{Kind: rules.StepDeep}
)

// join finds the groups of all schemas that can be reached from s: strongly connected components (Tarjan 1972). A group is
// complete after those that it leads to.
func (g *schemas) join(s *schema) {
	if s.index > 0 {
		return
	}
	g.counter++
	s.index, s.low = g.counter, g.counter
	g.stack = append(g.stack, s)
	for _, e := range s.edges {
		g.join(e.to)
		if !e.to.landed {
			s.low = min(s.low, e.to.low)
		}
	}
	if s.low < s.index {
		return
	}
	at := len(g.stack) - 1
	for g.stack[at] != s {
		at--
	}
	c := &group{members: append([]*schema(nil), g.stack[at:]...)}
	g.stack = g.stack[:at]
	for _, m := range c.members {
		m.group, m.landed = c, true
	}
	for _, m := range c.members {
		c.noted = c.noted || m.note != nil
		for _, e := range m.edges {
			c.noted = c.noted || e.to.group.noted
			c.loops = c.loops || e.to.group == c
		}
	}
}

// marked finds the schemas whose value has a note: theirs, or that of another schema for the same value.
func (g *schemas) marked() map[*schema]bool {
	above := map[*schema][]*schema{}
	marked := map[*schema]bool{}
	var todo []*schema
	for _, s := range g.known {
		if s.note != nil {
			todo = append(todo, s)
		}
		for _, e := range s.edges {
			if !e.inside {
				above[e.to] = append(above[e.to], s)
			}
		}
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !marked[s] {
			marked[s] = true
			todo = append(todo, above[s]...)
		}
	}
	return marked
}

// checkMaps finds the named members of annotated maps: the star that stands for a map's members would take them, too.
func (g *schemas) checkMaps() {
	marked := g.marked()
	for _, s := range g.known {
		if !slices.ContainsFunc(s.edges, func(e edge) bool { return e.inside && e.step.Kind == rules.StepAny && marked[e.to] }) {
			continue
		}
		for name, value := range pairs(g.get(s.node, "properties")) {
			if member := g.known[value]; member != nil && !marked[member] {
				g.fail(name, "this member stands beside annotated ones without a name, and would be taken for one of them: "+
					"annotate it, too (`category: none`, if it is nobody's)")
			}
		}
	}
}
