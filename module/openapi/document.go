package openapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// Document makes a rule document: a route with the annotated fields of each operation.
func (s *Spec) Document() (*rules.Document, error) {
	d := &rules.Document{Name: rules.DocumentName(s.name), Pos: s.at(s.root), Sum: s.sum, Operations: s.Operations()}
	d.Pos.File = s.name
	c := &converter{Spec: s, made: made{}, routes: map[string]*rules.Document{}, said: map[*schema]*saying{}, lower: map[rules.Pos]rules.Pos{}}
	for _, o := range s.all {
		fields := c.fields(o)
		c.checkLower(o, fields)
		c.operation(d, o, fields)
	}
	c.failLower()
	d.Categories = c.made.all(d.Pos)
	if err := s.errs.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

type converter struct {
	*Spec
	made   made
	routes map[string]*rules.Document // by what they say
	said   map[*schema]*saying
	lower  map[rules.Pos]rules.Pos // notes that say less than what stands at another position
	steps  int                     // taken to find those
}

// operation adds a route for an operation, or the operation to the route that says the same.
func (c *converter) operation(d *rules.Document, o *operation, fields []rules.Field) {
	if len(fields) == 0 {
		return
	}
	var says strings.Builder
	for _, f := range fields {
		says.WriteString(f.At.String() + " " + strings.Join(f.Keys, " ") + " " + string(f.Is) + "\n")
	}
	route := c.routes[says.String()]
	if route == nil {
		route = &rules.Document{Name: d.Name, Pos: c.at(o.node), Fields: fields}
		c.routes[says.String()] = route
		d.Routes = append(d.Routes, route)
	}
	route.Operations = append(route.Operations, o.on...)
}

func (c *converter) fields(o *operation) []rules.Field {
	f := &fields{converter: c, byPlace: map[string]int{}}
	for _, body := range slices.Concat(o.requests, o.responses) {
		for _, p := range c.places(o, body) {
			f.place(p)
		}
	}
	for _, p := range o.parameters {
		f.parameter(o, p)
	}
	slices.SortStableFunc(f.all, func(a, b rules.Field) int {
		return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), slices.Compare(a.Keys, b.Keys))
	})
	return f.all
}

// places are where the notes of a body hold.
func (s *Spec) places(o *operation, body *schema) []place {
	s.join(body)
	w := &walk{}
	w.schema(body, rules.Selector{})
	if w.steps > maxPlaces || w.full {
		s.fail(o.node, "the annotated fields of this operation stand in more than %d places: annotate what holds them instead", maxPlaces)
		return nil
	}
	return w.places
}

// fields are those of one operation.
type fields struct {
	*converter
	all     []rules.Field
	byPlace map[string]int // of the first field there
}

func (f *fields) add(p rules.Pos, note *note, names [2]string) rules.Field {
	is, made := note.categoryOf(names[0], names[1])
	if made != nil {
		f.made[is] = made
	}
	return rules.Field{Pos: p, Is: is}
}

// place adds a field at a place. What differs from one that stands there already is left for Compile to refuse, but where a
// schema that leads to itself reaches places that cannot be told apart: there the more harmful one counts.
func (f *fields) place(p place) {
	field := f.add(f.at(p.note.node), p.note, namesOf(p.at))
	field.At = p.at
	key := p.at.String()
	first, known := f.byPlace[key]
	switch {
	case !known:
		f.byPlace[key] = len(f.all)
	case f.all[first].Is == field.Is:
		return
	case strings.Contains(key, "/**/") && f.grade(f.all[first].Is) != f.grade(field.Is):
		if f.grade(f.all[first].Is) < f.grade(field.Is) {
			f.all[first] = field
		}
		return
	}
	f.all = append(f.all, field)
}

// grade is a category's, as far as it is known here.
func (c *converter) grade(of rules.Category) rules.Grade {
	if made := c.made[of]; made != nil {
		return made.Grade
	}
	if known := basePack().categories[of]; known != nil {
		return known.Grade
	}
	return rules.Open
}

// namesOf are the last name on the way to a place, and the one around it.
func namesOf(at rules.Selector) (names [2]string) {
	i := 0
	for _, step := range slices.Backward(at) {
		if step.Kind == rules.StepName && i < len(names) {
			names[i] = step.Name
			i++
		}
	}
	return names
}

// parameter adds the names of a parameter, and of what is written in it. In bodies of the operation these names mean the same
// then, so a name that says something more harmful anywhere stays what it is.
func (f *fields) parameter(o *operation, p parameter) {
	var places []place
	if p.note != nil {
		places = append(places, place{rules.Selector{}, p.note})
	}
	if p.schema != nil {
		places = append(places, f.places(o, p.schema)...)
	}
	for _, q := range places {
		names := namesOf(q.at)
		if names[0] == "" {
			names[0] = p.name
		}
		field := f.add(f.at(q.note.node), q.note, names)
		field.Keys = []string{names[0]}
		if basePack().worst(names[0]) > f.grade(field.Is) {
			continue
		}
		if !slices.ContainsFunc(f.all, func(g rules.Field) bool { return slices.Equal(g.Keys, field.Keys) && g.Is == field.Is }) {
			f.all = append(f.all, field)
		}
	}
}
