package openapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// A selector and a name hold for all bodies of an operation, and for those of each operation that the same request matches;
// a note is of one schema. A note that says less than the field's name, or silences the detectors, would open what other
// schemas have at its place. So it holds only where all of them say so. What is personal is shown by rules only.

// maxLower bounds how many steps are taken to find what notes open.
const maxLower = 1_000_000

// checkLower finds the fields of an operation that say less than what else can stand at their places.
func (c *converter) checkLower(o *operation, fields []rules.Field) {
	places, keys := &lowering{converter: c, seen: map[visit]bool{}}, &lowering{converter: c, seen: map[visit]bool{}, keys: true}
	for i := range fields {
		switch f := &fields[i]; {
		case c.steps > maxLower || f.Is != rules.None && c.grade(f.Is) >= rules.Personal: // what is personal needs a rule to be shown
		case f.At == nil && c.silences(f):
			keys.add(rules.Selector{deepStep, {Name: f.Keys[0]}}, f)
		case f.At != nil && (isStar(f.At) || c.lowers(f, "")):
			places.add(f.At, f)
		}
	}
	if !places.used && !keys.used {
		return
	}
	for _, other := range c.all {
		if o.overlaps(other) {
			places.operation(other)
			keys.operation(other)
		}
	}
	if c.steps > maxLower {
		c.fail(o.node, "the annotations of this document that say less than a field's name (such as `category: none`) stand in too many places to be compared: write fewer")
	}
}

// failLower reports what checkLower found, each note once.
func (c *converter) failLower() {
	for at, other := range c.lower {
		message := "this says less than the name of a field or the detectors, and also counts for what stands at " + other.String() +
			", which does not say so: annotate that, too, or leave this out"
		if at == other {
			message = "this says less than the detectors, and would count for members that the pattern does not match: " +
				"annotate `additionalProperties`, too, or leave this out"
		}
		c.errs = append(c.errs, &rules.Error{Pos: at, Message: message})
	}
}

// silences reports whether detectors do not look at a field any more.
func (c *converter) silences(f *rules.Field) bool {
	known := basePack().categories[f.Is]
	return f.Is == rules.None || known != nil && known.Grade == rules.Open
}

// lowers reports whether a field says less than its name does. Where its place has none, the name is that of a member there.
func (c *converter) lowers(f *rules.Field, member string) bool {
	if c.silences(f) {
		return true
	}
	if isStar(f.At) {
		return basePack().worst(member) > c.grade(f.Is)
	}
	names := namesOf(f.At)
	named := basePack().named(names[0], names[1])
	return named != nil && named.Grade > c.grade(f.Is)
}

func isStar(at rules.Selector) bool { return len(at) > 0 && at[len(at)-1].Kind == rules.StepAny }

// lowering walks what operations describe along the places, or the names, of some fields.
type lowering struct {
	*converter
	keys bool // a name counts as rules compare it, and a place less than a place of its own
	root trie
	used bool
	seen map[visit]bool
	todo []visit
}

// trie is the selectors of fields.
type trie struct {
	named  map[string]*trie
	any    *trie
	deep   *trie
	loop   bool // the step before is `**`
	below  bool // some step before is
	fields []*rules.Field
}

// visit is a schema at the end of a selector's first steps.
type visit struct {
	s     *schema
	on    *trie
	exact bool // the schema's own selector has at each step what this one has, or a name where this has a star
}

func (w *lowering) name(text string) string {
	if w.keys {
		return detect.Fold([]byte(text)).String()
	}
	return text
}

func (w *lowering) add(at rules.Selector, f *rules.Field) {
	w.used = true
	t := &w.root
	for _, step := range at {
		t = w.child(t, step)
	}
	t.fields = append(t.fields, f)
}

func (w *lowering) child(t *trie, step rules.Step) *trie {
	fresh := &trie{loop: step.Kind == rules.StepDeep, below: t.below || step.Kind == rules.StepDeep}
	switch step.Kind {
	case rules.StepAny:
		t.any = cmp.Or(t.any, fresh)
		return t.any
	case rules.StepDeep:
		t.deep = cmp.Or(t.deep, fresh)
		return t.deep
	}
	if t.named == nil {
		t.named = map[string]*trie{}
	}
	name := w.name(step.Name)
	t.named[name] = cmp.Or(t.named[name], fresh)
	return t.named[name]
}

func (w *lowering) operation(o *operation) {
	if !w.used {
		return
	}
	for _, body := range slices.Concat(o.requests, o.responses) {
		w.body(body)
	}
	if !w.keys {
		return
	}
	for _, p := range o.parameters {
		s := &schema{node: p.node, note: p.note}
		if p.schema != nil {
			s.edges = []edge{{to: p.schema}}
		}
		w.body(&schema{node: p.node, edges: []edge{{inside: true, step: rules.Step{Name: p.name}, to: s}}})
	}
}

func (w *lowering) body(s *schema) {
	w.join(s)
	w.arrive(visit{s, &w.root, true}, nil, edge{to: s})
	for len(w.todo) > 0 && w.steps <= maxLower {
		v := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		for _, e := range v.s.edges {
			if !e.inside {
				w.push(visit{e.to, v.on, v.exact})
				continue
			}
			w.down(v, e)
		}
	}
	w.todo = w.todo[:0]
}

func (w *lowering) push(v visit) {
	w.steps++
	if w.seen[v] {
		return
	}
	w.seen[v] = true
	w.todo = append(w.todo, v)
	if v.on.deep != nil {
		w.push(visit{v.s, v.on.deep, v.exact})
	}
}

// down takes the steps of the selectors that an edge inside can be.
func (w *lowering) down(v visit, e edge) {
	// What stands in a loop has a selector with `**`: it is less specific than one without.
	exact := v.exact && (v.on.below || e.to.group == nil || e.to.group != v.s.group)
	if v.on.loop {
		w.arrive(visit{e.to, v.on, exact}, v.s, e)
	}
	if v.on.any != nil {
		w.arrive(visit{e.to, v.on.any, exact}, v.s, e)
	}
	if e.named() {
		if to := v.on.named[w.name(e.step.Name)]; to != nil {
			w.arrive(visit{e.to, to, exact}, v.s, e)
		}
		return
	}
	for name, to := range v.on.named {
		if w.steps++; w.takes(v.s, e, name) {
			w.arrive(visit{e.to, to, false}, v.s, e)
		}
	}
}

// takes reports whether what an edge's star stands for can have a name.
func (w *lowering) takes(s *schema, e edge, name string) bool {
	switch e.from {
	case list:
		_, err := strconv.ParseUint(name, 10, 31)
		return err == nil
	case others:
		return w.get(w.get(s.node, "properties"), name) == nil
	}
	return true
}

// arrive looks at what stands at the end of an edge, and goes on from there.
func (w *lowering) arrive(v visit, around *schema, e edge) {
	for _, f := range v.on.fields {
		if w.opens(f, v, around, e) {
			w.note(f, v.s)
		}
	}
	w.push(v)
}

// opens reports whether a field would show what stands there and does not say so itself.
func (w *lowering) opens(f *rules.Field, v visit, around *schema, e edge) bool {
	member := ""
	if e.named() {
		member = e.step.Name
	}
	says := w.says(v.s)
	switch {
	case says.all && e.inside && e.from == pattern && !around.hasOthers():
		return w.silences(f)
	case says.all:
		return !w.keys && !v.exact && says.most > w.grade(f.Is)
	case harmless(w.Spec, v.s):
		return false
	}
	return w.keys || w.lowers(f, member)
}

// hasOthers reports whether members that no name and no pattern matches are described.
func (s *schema) hasOthers() bool {
	return slices.ContainsFunc(s.edges, func(e edge) bool { return e.inside && !e.named() && e.from == others })
}

// harmless reports whether a schema has no value that can be somebody's: null, or one of those that it lists.
func harmless(s *Spec, n *schema) bool {
	return len(n.edges) == 0 && !n.free && (s.get(n.node, "enum") != nil || s.get(n.node, "const") != nil || s.text(n.node, "type") == "null")
}

// note keeps the first position of what a field opens; its own is that of a pattern.
func (c *converter) note(f *rules.Field, s *schema) {
	at := c.at(s.node)
	if s.note != nil && c.at(s.note.node) == f.Pos {
		at = f.Pos
	}
	first, known := c.lower[f.Pos]
	if !known || cmp.Or(strings.Compare(at.File, first.File), at.Line-first.Line, at.Column-first.Column) < 0 {
		c.lower[f.Pos] = at
	}
}

// saying is what notes say of the value of a schema.
type saying struct {
	all  bool        // whatever the value is, a note says what
	most rules.Grade // the greatest of the notes
}

// says finds what the notes for a schema's value say. Of one that leads to itself it takes less for said than is.
func (c *converter) says(s *schema) *saying {
	if known := c.said[s]; known != nil {
		return known
	}
	own := &saying{}
	c.said[s] = own
	if s.note != nil {
		own.most = max(c.noted(s.note), s.note.least)
	}
	said, variants, silent := s.note != nil, false, s.free
	for _, e := range s.edges {
		if e.inside {
			continue
		}
		below := c.says(e.to)
		own.most = max(own.most, below.most)
		switch e.holds {
		case always:
			said = said || below.all
		case variant:
			variants = variants || below.all
			silent = silent || !below.all && !harmless(c.Spec, e.to)
		}
	}
	own.all = said || variants && !silent
	return own
}

// noted is the grade of a note's category. One that a rule document declares may be anything.
func (c *converter) noted(n *note) rules.Grade {
	if known := basePack().categories[n.is]; known != nil || n.is == rules.None {
		return c.grade(n.is)
	}
	return rules.Secret
}

// overlaps reports whether some request matches both operations. Backends may read a path regardless of case.
func (o *operation) overlaps(p *operation) bool {
	if o == p {
		return true
	}
	return slices.ContainsFunc(o.on, func(a rules.Operation) bool {
		return slices.ContainsFunc(p.on, func(b rules.Operation) bool { return a.Method == b.Method && overlapping(a.Path, b.Path) })
	})
}

func overlapping(a, b string) bool {
	for {
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		switch {
		case x == "**" || y == "**":
			return true
		case x != "*" && y != "*" && !strings.EqualFold(x, y), moreA != moreB:
			return false
		case !moreA:
			return true
		}
		a, b = restA, restB
	}
}
