package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// declared is what a document says of a place or a name.
type declared struct {
	doc  *Document
	says string
	pos  Pos
}

// compileFields checks the records and fields of every document, and that documents that can meet in one request do not
// contradict each other.
func (c *compiler) compileFields() {
	seen := map[string][]declared{}
	for i, d := range c.documents {
		for _, f := range d.Fields {
			if f.Is != None && f.Is != "" && c.checkCategory(f.Pos, string(f.Is)) && c.ids[f.Is] == 0 {
				c.errorf(f.Pos, "category %s is a parent only: declare it under `categories`, or name one of its children", f.Is)
			}
			if i == 0 {
				continue // the base pack is overridden, not contradicted
			}
			says := declared{d, string(f.Is), f.Pos}
			if f.Least > 0 {
				says.says += " of at least " + strconv.FormatInt(f.Least, 10)
			}
			if f.At != nil {
				c.meet(seen, "the place "+f.At.String(), "at "+f.At.String(), says)
			}
			for _, key := range f.Keys {
				for _, in := range orNone(f.In) {
					c.meet(seen, "the key "+key, "key "+foldedKey(key)+" "+foldedKey(in), says)
				}
			}
		}
		for _, r := range d.Records {
			c.meet(seen, "the record "+cmp.Or(r.At.String(), "of the whole body"), "record "+r.At.String(), declared{d, r.says(), r.Pos})
		}
	}
}

// says spells a record, but where it stands.
func (r *Record) says() string {
	return fmt.Sprintf("of subject %q, country %q, born %q, created %q, minor %t, retain %q", r.Subject, r.Country, r.Born, r.Created, r.Minor, r.Retain)
}

// meet reports what another document, or this one, says otherwise of the same thing.
func (c *compiler) meet(seen map[string][]declared, what, key string, says declared) {
	for _, other := range seen[key] {
		if other.says != says.says && says.doc.meets(other.doc) {
			c.errorf(says.pos, "%s is %s here and %s at %s: documents that hold for the same operation cannot differ", what, says.says, other.says, other.pos)
			return
		}
	}
	seen[key] = append(seen[key], says)
}

func orNone(in []string) []string {
	if len(in) == 0 {
		return []string{""}
	}
	return in
}

// foldedKey is equal for names that match the same: i_m_e_i and imei.
func foldedKey(key string) string {
	if folded, ok := foldedBase()[key]; ok {
		return folded
	}
	return detect.Fold([]byte(key)).String()
}

// foldedBase holds the base pack's names folded, because every scope of every rule set has them.
var foldedBase = sync.OnceValue(func() map[string]string {
	folded := map[string]string{}
	if base, err := basePack(); err == nil {
		for _, f := range base.Fields {
			for _, key := range slices.Concat(f.Keys, f.In) {
				folded[key] = detect.Fold([]byte(key)).String()
			}
		}
	}
	return folded
})

// newScope compiles the documents that hold. On error it returns a scope by which everything is refused.
func (r *Ruleset) newScope(hold rows) (*Scope, error) {
	s := &Scope{rules: r, vocabulary: r.vocabularyOf(hold)}
	s.kinds = make([]CategoryID, len(detect.Detectors))
	for i, d := range detect.Detectors {
		s.kinds[i] = r.ids[Category(d.Category)]
	}
	b := &scopeBuilder{Scope: s, builder: newPlaceBuilder()}
	for i, d := range r.holding(hold) {
		b.add(d, i == 0)
	}
	if !b.listed || b.open {
		s.detectors = detect.All
	}
	var err error
	if s.places, err = b.builder.build(r.mergeSpots); err != nil {
		s.broken = true
		s.places = &places{states: make([]placeState, 1)}
	}
	return s, err
}

type scopeBuilder struct {
	*Scope
	builder *placeBuilder
	listed  bool // some document lists its detectors
	open    bool // some document leaves the list open
}

func (b *scopeBuilder) add(d *Document, base bool) {
	for i := range d.Fields {
		if f := &d.Fields[i]; f.At != nil {
			label := b.rules.labelOf(f)
			label.Selector, label.wary = f.At.String(), d.wary
			if spot := b.builder.spot(f.At); spot.Label == nil || !d.wary || b.rules.moreHarmful(label, spot.Label) {
				spot.Label = label
			}
		}
	}
	for i := range d.Records {
		if !d.wary || b.builder.spot(d.Records[i].At).Record == 0 {
			b.addRecord(&d.Records[i])
		}
	}
	for _, s := range d.Signed {
		b.builder.spot(s).Signed = true
	}
	b.undeclared = b.undeclared || d.Undeclared == "strip"
	switch {
	case base:
	case d.Values != nil:
		b.listed = b.listed || !d.wary
		for _, w := range d.Values {
			kind, _ := detect.ParseName(w.Name)
			b.detectors = b.detectors.Add(kind)
		}
	case len(d.Fields) > 0 || len(d.Records) > 0: // it says what is in the data, and leaves the detectors open: all
		b.open = true
	}
}

func (r *Ruleset) labelOf(f *Field) *Label {
	label := &Label{Least: f.Least, Field: f}
	if f.Is == None {
		label.Silent = true
	} else {
		label.Category = r.ids[f.Is]
		label.Text = r.categories[label.Category].Text
	}
	return label
}

func (b *scopeBuilder) addRecord(r *Record) {
	b.records = append(b.records, r)
	row := len(b.records) - 1
	spot := b.builder.spot(r.At)
	spot.Record, spot.record = row+1, r.At
	further := 0
	for i, pointers := range r.pointers() {
		for n, pointer := range pointers {
			slot := Slot{row, i}
			if n > 0 {
				slot.Index = slotFields + len(b.rules.fields) + further
				further++
			}
			b.addFact(r, pointer, slot)
		}
	}
	b.further = max(b.further, further)
	for i, field := range b.rules.fields {
		b.addFact(r, field, Slot{row, slotFields + i})
	}
}

// pointers are a record's, by slot.
func (r *Record) pointers() [slotFields][]Selector {
	return [slotFields][]Selector{slotSubject: r.Subject, slotCountry: r.Country, slotBorn: r.Born, slotCreated: r.Created}
}

func (b *scopeBuilder) addFact(r *Record, pointer Selector, slot Slot) {
	spot := b.builder.spot(slices.Concat(r.At, pointer))
	spot.Facts = append(spot.Facts, slot)
	for n := 1; n < len(pointer); n++ {
		way := b.builder.spot(slices.Concat(r.At, pointer[:n]))
		way.Paths = append(way.Paths, slot)
	}
}

// mergeSpots makes one spot of those of all selectors that meet in one place: the most specific label and record count, but no
// label that holds warily before one that is more harmful.
func (r *Ruleset) mergeSpots(spots []*Spot) *Spot {
	if len(spots) == 1 {
		return spots[0]
	}
	merged := &Spot{}
	for _, s := range spots {
		if s.Label != nil && (merged.Label == nil || r.goesBefore(s.Label, merged.Label)) {
			merged.Label = s.Label
		}
		if s.Record != 0 && (merged.Record == 0 || moreSpecific(s.record, merged.record)) {
			merged.Record, merged.record = s.Record, s.record
		}
		merged.Facts = append(merged.Facts, s.Facts...)
		merged.Paths = append(merged.Paths, s.Paths...)
		merged.Signed = merged.Signed || s.Signed
	}
	return merged
}

func (r *Ruleset) goesBefore(a, b *Label) bool {
	switch {
	case a.wary && !b.wary:
		return r.moreHarmful(a, b)
	case b.wary && !a.wary:
		return !r.moreHarmful(b, a)
	}
	return moreSpecific(a.Field.At, b.Field.At)
}

// moreHarmful reports whether a label is of a higher grade than another. That of one that silences is the lowest.
func (r *Ruleset) moreHarmful(a, b *Label) bool {
	return !a.Silent && (b.Silent || r.categories[a.Category].Grade > r.categories[b.Category].Grade)
}

// moreSpecific compares two selectors of one place step by step: a name is more specific than `*`, and `*` than `**`.
func moreSpecific(a, b Selector) bool {
	return slices.CompareFunc(a, b, func(x, y Step) int { return cmp.Compare(x.Kind, y.Kind) }) < 0
}
