package rules

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// Name looks a member name up, unescaped. It is slow: callers remember the answer for the scope's life, boundedly.
func (s *Scope) Name(unescaped []byte) Name {
	tokens := detect.Fold(unescaped)
	n := Name{
		step:    s.places.steps[string(unescaped)],
		keys:    s.names.Find(nil, tokens, s.yields),
		within:  s.within.Find(nil, tokens, nil),
		Context: detect.ContextOf(tokens),
	}
	for _, h := range s.Detect(nil, unescaped, 0) {
		if !slices.Contains(n.Data, h.Category) {
			n.Data = append(n.Data, h.Category)
		}
	}
	if !slices.ContainsFunc(n.keys, func(row uint32) bool { return len(s.keys[row].inside) > 0 }) {
		if len(n.keys) > 0 {
			n.label = s.keys[n.keys[0]].anywhere
		}
		n.keys = nil
	}
	s.lookInside(&n, steps(unescaped))
	return n
}

// yields reports whether a declared name only says whose the data is that another one behind it names. A person's name or
// account does: consigneePhone is a phone, in whatever language a pack spells the consignee.
func (s *Scope) yields(row, behind uint32) bool {
	whose, what := s.keys[row].anywhere, s.keys[behind].anywhere
	if whose == nil || whose.Silent || !s.namesSomebody(whose) {
		return false
	}
	return what == nil || what.Category != whose.Category
}

func (s *Scope) namesSomebody(l *Label) bool {
	c := s.rules.categories[l.Category].Name
	return Category("person.name").Contains(c) || Category("account.id").Contains(c)
}

// steps are those of a name that some readers take for a way into an object, user[name] or user.name: PHP, Rails and the
// qs of Node.js do so in forms and queries, and many in flattened documents. nil: it is no way.
func steps(name []byte) []string {
	if bytes.IndexByte(name, '[') < 0 && bytes.IndexByte(name, '.') < 0 {
		return nil
	}
	return strings.FieldsFunc(strings.ReplaceAll(string(name), "[]", "[0]"), func(r rune) bool { return r == '[' || r == ']' || r == '.' })
}

// stepIndex is the element that a step names.
func stepIndex(step string) (index int, ok bool) {
	n, err := strconv.ParseUint(step, 10, 31)
	return int(n), err == nil
}

// lookInside looks up the last of a name's steps, inside the one before it.
func (s *Scope) lookInside(n *Name, steps []string) {
	named := slices.DeleteFunc(steps, func(step string) bool { _, is := stepIndex(step); return is })
	if len(named) == 0 {
		return
	}
	last := s.Name([]byte(named[len(named)-1]))
	var around *Name
	if len(named) > 1 {
		outer := s.Name([]byte(named[len(named)-2]))
		around = &outer
	}
	if n.inner = s.Key(&last, around); n.inner != nil && n.inner.Silent {
		n.inner = nil // the name may be meant as it stands
	}
	if n.Context == 0 {
		n.Context = last.Context
	}
}

// Key returns what the name declares of its value inside the member in (the nearest named one around it; arrays are
// passed over; nil at the top), or nil. A place's Label goes before it.
func (s *Scope) Key(n, in *Name) *Label {
	label := s.key(n, in)
	if n.inner == nil || label != nil && (label.Silent || s.grade(label) > s.grade(n.inner)) {
		return label
	}
	return n.inner // of two readings the one that is worse to leak
}

func (s *Scope) grade(l *Label) Grade { return s.rules.categories[l.Category].Grade }

func (s *Scope) key(n, in *Name) *Label {
	for _, row := range n.keys {
		key := &s.keys[row]
		if in != nil {
			for i := range key.inside {
				if slices.Contains(in.within, key.inside[i].within) {
					return key.inside[i].label
				}
			}
		}
		if key.anywhere != nil {
			return key.anywhere
		}
	}
	return n.label
}

// Way is the place of the member with this name inside the object at p. A name that no selector knows may be a way to a
// place that one does.
func (s *Scope) Way(p Place, name []byte, n *Name) Place {
	place := s.Member(p, n)
	if p == 0 || s.Spot(place) != nil {
		return place
	}
	way := p
	for _, step := range steps(name) {
		if index, ok := stepIndex(step); ok {
			way = s.Element(way, index)
		} else {
			way = s.Member(way, &Name{step: s.places.steps[step]})
		}
	}
	if spot := s.Spot(way); way == p || spot == nil || spot.Label != nil && spot.Label.Silent {
		return place
	}
	return way
}
