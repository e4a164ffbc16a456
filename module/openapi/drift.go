package openapi

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// Drift is members of bodies that a document does not describe.
type Drift struct {
	Operation string
	In        string
	Pointer   string
	Bodies    int // with such a member
}

// Drifts gathers what bodies have that a document does not.
type Drifts struct {
	spec    *Spec
	Bodies  int // of operations that the document has
	Strange int // of others
	found   map[Drift]int
}

// Drifts starts to compare bodies with the document.
func (s *Spec) Drifts() *Drifts { return &Drifts{spec: s, found: map[Drift]int{}} }

// Add compares a body, as encoding/json reads one. It returns the operation, or "" where the document has none.
func (d *Drifts) Add(in, method, path string, body any) string {
	o, on := d.spec.operationOf(method, path)
	if o == nil {
		d.Strange++
		return ""
	}
	d.Bodies++
	bodies := o.responses
	if in == "request" {
		bodies = o.requests
	}
	w := &drifting{Spec: d.spec, unknown: map[string]bool{}}
	w.value(w.closed(bodies), "", body)
	for pointer := range w.unknown {
		d.found[Drift{Operation: on, In: in, Pointer: pointer}]++
	}
	return on
}

// List is what was found, in order.
func (d *Drifts) List() []Drift {
	var all []Drift
	for drift, bodies := range d.found {
		drift.Bodies = bodies
		all = append(all, drift)
	}
	slices.SortFunc(all, func(a, b Drift) int {
		return strings.Compare(a.Operation+" "+a.In+" "+a.Pointer, b.Operation+" "+b.In+" "+b.Pointer)
	})
	return all
}

// operationOf is the operation of a request, the one with the fewest variables (OpenAPI 3.1 section 4.8.8.2).
func (s *Spec) operationOf(method, path string) (found *operation, on string) {
	fewest := -1
	for _, o := range s.all {
		for _, p := range o.on {
			if p.Method != method || !samePath(p.Path, path) {
				continue
			}
			if stars := strings.Count(p.Path, "*"); fewest < 0 || stars < fewest {
				found, on, fewest = o, p.String(), stars
			}
		}
	}
	return found, on
}

func samePath(pattern, path string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	return slices.EqualFunc(a, b, func(want, have string) bool { return want == "*" || want == have })
}

// drifting compares one body.
type drifting struct {
	*Spec
	unknown map[string]bool // pointers, with stars for elements and for names that may be data
}

// closed is all schemas that hold for a value where these do.
func (w *drifting) closed(all []*schema) []*schema {
	seen := map[*schema]bool{}
	var add func(s *schema)
	add = func(s *schema) {
		if seen[s] {
			return
		}
		seen[s] = true
		for _, e := range s.edges {
			if !e.inside {
				add(e.to)
			}
		}
	}
	for _, s := range all {
		add(s)
	}
	return slices.Collect(maps.Keys(seen))
}

// manyNames are more names than an object that is no map has unknown ones.
const manyNames = 16

func (w *drifting) value(at []*schema, pointer string, value any) {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			if inside, _ := w.inside(at, strconv.Itoa(i)); inside != nil {
				w.value(inside, pointer+"/*", element)
			}
		}
	case map[string]any:
		if w.describes(at) {
			w.members(at, pointer, value)
		}
	}
}

func (w *drifting) members(at []*schema, pointer string, members map[string]any) {
	var strange []string
	for name, member := range members {
		inside, named := w.inside(at, name)
		switch {
		case inside == nil:
			strange = append(strange, name)
		case named:
			w.value(inside, pointer+rules.Selector{{Name: name}}.String(), member)
		default:
			w.value(inside, pointer+"/*", member)
		}
	}
	for _, name := range strange {
		if name = shown(name); len(strange) > manyNames {
			name = "*"
		}
		w.unknown[pointer+"/"+name] = true
	}
}

// describes reports whether the schemas say at all what is inside a value.
func (w *drifting) describes(at []*schema) bool {
	return slices.ContainsFunc(at, func(s *schema) bool {
		return slices.ContainsFunc(s.edges, func(e edge) bool { return e.inside }) || w.get(s.node, "properties") != nil
	})
}

// inside is the schemas of a member, or of the element with this index, and whether they are its own; nil: there are none.
func (w *drifting) inside(at []*schema, name string) (found []*schema, named bool) {
	var others []*schema
	for _, s := range at {
		for _, e := range s.edges {
			switch {
			case !e.inside:
			case e.step.Kind == rules.StepAny:
				others = append(others, e.to)
			case e.step.Name == name:
				found = append(found, e.to)
			}
		}
		if w.has(s.node, name) {
			found = append(found, &schema{}) // a property that is `true`: anything
		}
	}
	if found == nil && others == nil {
		return nil, false
	}
	if found == nil {
		return w.closed(others), false
	}
	return w.closed(found), true
}

func (w *drifting) has(n *yaml.Node, name string) bool {
	described := w.get(w.get(n, "properties"), name)
	return described != nil && described.Kind != yaml.MappingNode
}

var plainName = regexp.MustCompile(`^[A-Za-z_$@][A-Za-z0-9_$@.-]{0,39}$`)

var digits = regexp.MustCompile(`[0-9]{4}`)

// shown is an unknown member's name as a report may have it. One that is data, or does not look like a name, is a star.
func shown(name string) string {
	n := basePack().scope.Name([]byte(name))
	if len(n.Data) > 0 || !plainName.MatchString(name) || digits.MatchString(name) {
		return "*"
	}
	return rules.Selector{{Name: name}}.String()[1:]
}
