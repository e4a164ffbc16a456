package openapi

import (
	"slices"

	"github.com/caddy-minimize/minimize/rules"
)

// maxPlaces bounds the places of one body: schemas that are used in each other multiply.
const maxPlaces = 50_000

// place is where a note holds.
type place struct {
	at   rules.Selector
	note *note
}

// walk finds the places of notes in one body.
type walk struct {
	places []place
	steps  int
	full   bool // these are not all
}

// schema walks what stands at a selector. Schemas that lead to no note are not entered.
func (w *walk) schema(s *schema, at rules.Selector) {
	w.steps++
	if !s.group.noted || w.steps > maxPlaces {
		return
	}
	if s.group.loops {
		w.loop(s, at)
		return
	}
	w.edges(s, at)
}

// edges adds the note of a schema and walks what it leads to outside of its group.
func (w *walk) edges(s *schema, at rules.Selector) {
	w.note(s, at)
	for _, e := range s.edges {
		if e.to.group != s.group {
			w.schema(e.to, e.below(at))
		}
	}
}

func (w *walk) note(s *schema, at rules.Selector) {
	if s.note != nil {
		w.places = append(w.places, place{at, s.note})
	}
}

func (e edge) below(at rules.Selector) rules.Selector {
	if !e.inside {
		return at
	}
	return extend(at, e.step)
}

func extend(at rules.Selector, step rules.Step) rules.Selector { return append(slices.Clip(at), step) }

// loop walks a group of schemas that lead to each other: a comment that has comments. What is entered stands where it
// stands. Whatever a name inside the group leads to stands at any depth below, behind the last names on the way: a path for
// each way through the group would be endless, and one for each way out of it too many.
func (w *walk) loop(entry *schema, at rules.Selector) {
	w.entered(entry, at, map[*schema]bool{})
	below := entry.group.below()
	w.full = w.full || entry.group.full
	for _, p := range below {
		w.steps++
		w.places = append(w.places, place{append(deep(at), p.at...), p.note})
	}
}

// entered walks what stands at a group's entry, and in lists and maps there.
func (w *walk) entered(s *schema, at rules.Selector, seen map[*schema]bool) {
	if seen[s] || w.steps > maxPlaces {
		return
	}
	seen[s] = true
	w.edges(s, at)
	for _, e := range s.edges {
		if e.to.group == s.group && !e.named() {
			w.entered(e.to, e.below(at), seen)
		}
	}
}

func (e edge) named() bool { return e.inside && e.step.Kind == rules.StepName }

// below are the places of all notes behind some name of the group, from any depth on. They are found once.
func (g *group) below() []place {
	if g.deep != nil {
		return g.deep
	}
	g.deep = []place{}
	type state struct {
		s     *schema
		below rules.Selector
	}
	var todo []state
	nameless := g.nameless()
	for _, s := range g.members {
		for _, e := range s.edges {
			if e.to.group == g && e.inside && (e.named() || nameless) {
				todo = append(todo, state{e.to, rules.Selector{e.step}})
			}
		}
	}
	type key struct {
		s     *schema
		below string
	}
	seen := map[key]bool{}
	for len(todo) > 0 && len(seen) <= maxPlaces {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		k := key{v.s, v.below.String()}
		if seen[k] || !v.s.group.noted {
			continue
		}
		seen[k] = true
		if v.s.note != nil {
			g.deep = append(g.deep, place{v.below, v.s.note})
		}
		for _, e := range v.s.edges {
			todo = append(todo, state{e.to, e.behind(v.below)})
		}
	}
	g.full = len(seen) > maxPlaces
	return g.deep
}

// nameless reports whether some way through the group back to its start goes through lists and maps only: a map of maps.
func (g *group) nameless() bool {
	for _, s := range g.members {
		for _, e := range s.edges {
			if e.inside && !e.named() && e.to.group == g && e.to.leads(s, map[*schema]bool{}) {
				return true
			}
		}
	}
	return false
}

func (s *schema) leads(to *schema, seen map[*schema]bool) bool {
	if s == to {
		return true
	}
	if seen[s] {
		return false
	}
	seen[s] = true
	return slices.ContainsFunc(s.edges, func(e edge) bool {
		return e.to.group == s.group && !e.named() && e.to.leads(to, seen)
	})
}

// nearNames are how many names tell a place at any depth from others.
const nearNames = 2

// behind is what an edge makes of the steps at any depth: the last names, and the stars among them.
func (e edge) behind(below rules.Selector) rules.Selector {
	if !e.inside {
		return below
	}
	if n := len(below); e.step.Kind == rules.StepAny && n > 1 && below[n-1].Kind == rules.StepAny && below[n-2].Kind == rules.StepAny {
		return below // lists of lists without an end
	}
	steps := extend(below, e.step)
	names := 0
	for i, step := range slices.Backward(steps) {
		if step.Kind == rules.StepName {
			if names++; names == nearNames {
				return steps[i:]
			}
		}
	}
	return steps
}

func deep(at rules.Selector) rules.Selector {
	if len(at) > 0 && at[len(at)-1].Kind == rules.StepDeep {
		return at
	}
	return extend(at, deepStep)
}
