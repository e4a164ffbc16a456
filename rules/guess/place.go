package guess

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-minimize/minimize/rules"
)

// place is a place in documents, alike for all elements of a list and for all names that are ids.
type place struct {
	parent  *place
	step    rules.Step
	order   int // of first sight
	at      rules.Place
	name    *rules.Name  // of the nearest named place, this one included
	label   *rules.Label // by its place or its name
	inherit *rules.Label // of what is around it
	named   bool         // only names count here: a text that is a document, or a query
	data    []rules.CategoryID

	objects int // documents of an object here
	scalars int // values that are no text and no number
	stats   stats

	names  map[string]*place
	any    *place
	inside *place // the documents in the texts here
}

func (g *Guesser) newPlace(parent *place, step rules.Step, at rules.Place) *place {
	p := &place{parent: parent, step: step, order: g.places, at: at, names: map[string]*place{}}
	if parent != nil {
		p.named, p.name, p.inherit = parent.named, parent.name, parent.declared()
	}
	if spot := g.scope.Spot(at); at != 0 && spot != nil {
		p.label = spot.Label
	}
	g.places++
	return p
}

// declared is what is known of a place by rules and names.
func (p *place) declared() *rules.Label {
	if p.label != nil {
		return p.label
	}
	return p.inherit
}

// isOpen reports whether nothing is declared, or only that a name is no person's: then values may still tell something.
func (g *Guesser) isOpen(l *rules.Label) bool {
	return l == nil || !l.Silent && g.scope.Rules().Categories()[l.Category].Grade == rules.Open
}

// member is the place of a name inside a place. Names that are ids share one.
func (g *Guesser) member(p *place, name string) *place {
	if known := p.names[name]; known != nil {
		return known
	}
	meaning := g.scope.Name([]byte(name))
	in := p.name
	label := g.scope.Key(&meaning, in)
	if label == nil && isID(name) || len(meaning.Data) > 0 || g.places > maxPlaces || len(p.names) > mostNames {
		p.data = append(p.data, missing(p.data, meaning.Data)...)
		return g.anyOf(p, g.scope.Member(p.at, &meaning), &meaning)
	}
	to := g.newPlace(p, rules.Step{Name: name}, g.scope.Member(p.at, &meaning))
	if to.label == nil {
		to.label = label
	}
	to.name = &meaning
	p.names[name] = to
	return to
}

func missing(have, more []rules.CategoryID) []rules.CategoryID {
	return slices.DeleteFunc(slices.Clone(more), func(c rules.CategoryID) bool { return slices.Contains(have, c) })
}

func (g *Guesser) element(p *place) *place { return g.anyOf(p, g.scope.Element(p.at, 0), p.name) }

func (g *Guesser) anyOf(p *place, at rules.Place, name *rules.Name) *place {
	if p.any == nil {
		p.any = g.newPlace(p, rules.Step{Kind: rules.StepAny}, at)
		p.any.name = name
	}
	return p.any
}

// isID reports whether a name is one of very many: a number, a UUID, a hash, a day, somebody's address.
func isID(name string) bool {
	digits, hex, others := 0, 0, 0
	for _, r := range name {
		switch {
		case unicode.IsDigit(r):
			digits++
		case r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F':
			hex++
		case r == '@':
			return true
		case r != '-' && r != '_' && r != ':' && r != '.':
			others++
		}
	}
	return digits > 0 && others+hex == 0 || digits >= 4 && digits > others+hex || digits >= 3 && digits+hex >= 16 && others == 0
}

const (
	mapNames  = 200  // of an object with more names those are data that are
	mostNames = 2000 // further names of an object share a place at once
	rare      = 0.05 // in fewer of its documents than these
	mapLeast  = 4    // an object with that many names for objects that are all alike is a map, too
)

// fold makes one place of those whose names are data of a map.
func (p *place) fold() {
	alike, isLarge := p.isMap(), len(p.names) > mapNames
	for _, child := range p.children() {
		many := isLarge && child.label == nil && float64(child.seen()) < rare*float64(p.objects)
		if child == p.any || !alike && !many {
			continue
		}
		if p.any == nil {
			p.any = &place{parent: p, step: rules.Step{Kind: rules.StepAny}, order: child.order, at: child.at, name: child.name, inherit: p.declared(), named: p.named, names: map[string]*place{}}
		}
		p.any.merge(child)
		delete(p.names, child.step.Name)
	}
	for _, child := range p.children() {
		child.fold()
	}
	if p.inside != nil {
		p.inside.fold()
	}
}

// seen is how often something stood at a place.
func (p *place) seen() int { return p.objects + p.scalars + p.stats.values }

// isMap reports whether all names stand for objects that are alike.
func (p *place) isMap() bool {
	if len(p.names) < mapLeast {
		return false
	}
	var form string
	for _, child := range p.names {
		names := strings.Join(slices.Sorted(maps.Keys(child.names)), "\x00")
		if len(child.names) < 2 || child.label != nil || child.name.Around() != "" || form != "" && names != form {
			return false
		}
		form = names
	}
	return true
}

// merge adds what another place holds.
func (p *place) merge(q *place) {
	p.objects += q.objects
	p.scalars += q.scalars
	p.data = append(p.data, missing(p.data, q.data)...)
	p.stats.merge(&q.stats)
	for name, child := range q.names {
		if p.names[name] == nil {
			p.names[name] = child
			child.parent = p
			continue
		}
		p.names[name].merge(child)
	}
	for _, pair := range []struct{ to, from **place }{{&p.any, &q.any}, {&p.inside, &q.inside}} {
		switch {
		case *pair.from == nil:
		case *pair.to == nil:
			*pair.to = *pair.from
			(*pair.to).parent = p
		default:
			(*pair.to).merge(*pair.from)
		}
	}
}

// children are the places inside, in the order in which they were seen.
func (p *place) children() []*place {
	all := slices.Collect(maps.Values(p.names))
	if p.any != nil {
		all = append(all, p.any)
	}
	slices.SortFunc(all, func(a, b *place) int { return a.order - b.order })
	return all
}

// each calls visit for a place and all inside it.
func (p *place) each(visit func(*place)) {
	visit(p)
	for _, child := range p.children() {
		child.each(visit)
	}
	if p.inside != nil {
		p.inside.each(visit)
	}
}

// root is the document that a place stands in.
func (p *place) root() *place {
	for p.parent != nil && p.parent.inside != p {
		p = p.parent
	}
	return p
}

// selector is the way from a place around it, or from its document.
func (p *place) selector(from *place) rules.Selector {
	sel := rules.Selector{}
	for root := p.root(); p != from && p != root; p = p.parent {
		sel = append(sel, p.step)
	}
	slices.Reverse(sel)
	return sel
}

// lastName is the nearest name of a place in its document, "" where only lists are around it.
func (p *place) lastName() (name string, of *place) {
	for root := p.root(); p != root; p = p.parent {
		if p.step.Kind == rules.StepName {
			return p.step.Name, p
		}
	}
	return "", nil
}
