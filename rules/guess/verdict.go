package guess

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

// Evidence is why a place is what it is.
type Evidence struct {
	By       string `json:"by"`       // a detector, a shape, or "degrees"
	Hits     int    `json:"hits"`     // values that are such
	Values   int    `json:"values"`   // of so many
	Distinct int    `json:"distinct"` // different ones among the hits
}

// proof is what a detector's hits take to be no chance.
type proof struct {
	distinct int     // hits that differ
	spread   int     // beginnings that differ: counters have one
	surely   float64 // the share of hits that nothing else looks like
	strong   bool    // by a structure that no number has: one hit tells
}

// proofs are those of detectors. One number in ten has Luhn's check digit, and all of a counter's have a telephone's shape.
var proofs = map[string]proof{
	"email": {distinct: 1, strong: true}, "iban": {distinct: 1, strong: true}, "mac": {distinct: 1, strong: true},
	"jwt": {distinct: 1, strong: true}, "password_hash": {distinct: 1, strong: true}, "codice_fiscale": {distinct: 1, strong: true},
	"national_id.cn": {distinct: 2, strong: true},
	"phone":          {distinct: 3, spread: 3},
	"ip":             {distinct: 2, surely: 0.5},
	"card_number":    {distinct: 3}, "imei": {distinct: 3}, "imsi": {distinct: 3}, "iccid": {distinct: 3},
}

// others is the proof of detectors that ask for a name, which has told something already.
var others = proof{distinct: 2}

const (
	mostly  = 0.8 // the share of values that are what their place is; the rest is empty, masked or wrong
	chance  = 0.3 // the share of sentences with a number that is no chance
	writing = 0.5 // the share of sentences in a text that people write
)

func proofOf(detector string) proof {
	if p, ok := proofs[detector]; ok {
		return p
	}
	return others
}

// enough reports whether the hits are so many and so different that they are none by chance.
func (t *tally) enough(p proof) bool {
	return len(t.distinct) >= p.distinct && len(t.spread) >= p.spread && float64(t.plausible) >= p.surely*float64(t.hits)
}

func (s *stats) share(hits int) float64 { return float64(hits) / float64(s.values) }

// verdict is what a place's values are, where nothing is declared of them. unsure says that it would be that with more values.
type verdict struct {
	category rules.Category
	evidence Evidence
	unsure   bool
}

func (s *stats) evidence(by string, t *tally) Evidence {
	return Evidence{by, t.hits, s.values, len(t.distinct)}
}

// judge returns what most values are, "" where that is nothing.
func (s *stats) judge(looks bool) verdict {
	var best verdict
	for _, d := range detect.Detectors {
		t := s.whole[d.Name]
		if t == nil || s.share(t.hits) < mostly || t.hits <= best.evidence.Hits {
			continue
		}
		few := len(t.distinct) == s.values && len(t.distinct) < proofOf(d.Name).distinct
		if t.enough(proofOf(d.Name)) || few {
			best = verdict{rules.Category(d.Category), s.evidence(d.Name, t), few}
		}
	}
	if best.category == "" {
		best = s.mixed()
	}
	if best.category != "" || !looks {
		return best
	}
	for _, shape := range shapes {
		t := s.whole[shape.name]
		if t != nil && s.share(t.hits) >= shape.rate && t.enough(proof{shape.distinct, shape.spread, chance, false}) {
			return verdict{shape.category, s.evidence(shape.name, t), false}
		}
	}
	return s.text()
}

// partly are the kinds that some values are, of those that are none by chance.
func (s *stats) partly() (list []verdict) {
	for _, d := range detect.Detectors {
		if t := s.whole[d.Name]; t != nil && proofOf(d.Name).strong && len(t.distinct) >= 2 {
			list = append(list, verdict{rules.Category(d.Category), s.evidence(d.Name, t), false})
		}
	}
	return list
}

// mixed is the category that contains all of several kinds: a login is a telephone number or an email address.
func (s *stats) mixed() verdict {
	var names []string
	hits, distinct := 0, 0
	var common rules.Category
	for _, d := range detect.Detectors {
		t := s.whole[d.Name]
		if t == nil || !t.enough(proofOf(d.Name)) {
			continue
		}
		category := rules.Category(d.Category)
		if len(names) > 0 {
			category = parentOf(common, category)
		}
		common, names = category, append(names, d.Name)
		hits, distinct = hits+t.hits, distinct+len(t.distinct)
	}
	if len(names) < 2 || common == "" || s.share(hits) < mostly {
		return verdict{}
	}
	return verdict{common, Evidence{strings.Join(names, ", "), hits, s.values, distinct}, false}
}

// parentOf is the category that contains both, or "".
func parentOf(a, b rules.Category) rules.Category {
	for !a.Contains(b) {
		i := strings.LastIndexByte(string(a), '.')
		if i < 0 {
			return ""
		}
		a = a[:i]
	}
	return a
}

// text is content.text where people write sentences with personal data in them.
func (s *stats) text() verdict {
	if s.share(s.sentences) < writing {
		return verdict{}
	}
	var names []string
	hits, distinct := 0, 0
	for _, name := range slices.Sorted(maps.Keys(s.within)) {
		t, p := s.within[name], proofOf(name)
		rare := float64(t.hits) < chance*float64(s.sentences)
		if !p.strong && name != "phone" && rare || float64(t.plausible) < p.surely*float64(t.hits) {
			continue
		}
		names, hits, distinct = append(names, name), hits+t.hits, distinct+len(t.distinct)
	}
	if names == nil || distinct < min(2, s.values) {
		return verdict{}
	}
	return verdict{"content.text", Evidence{strings.Join(names, ", ") + " in sentences", min(hits, s.values), s.values, distinct}, false}
}

// arePosition reports whether two places are latitude and longitude: numbers as precise as those, in ranges that prices of
// one thing, which move together, have not.
func arePosition(a, b *stats) bool {
	precise := func(s *stats) bool {
		return s.values > 0 && s.share(s.decimals) >= mostly && len(s.distinct) >= min(3, s.values)
	}
	if !precise(a) || !precise(b) || a.values != b.values {
		return false
	}
	apart := a.most < b.least || b.most < a.least
	wide := a.most-a.least > 30 && b.most-b.least > 30
	latitude := func(s *stats) bool { return s.least >= -90 && s.most <= 90 }
	return a.values >= 3 && (apart || wide) && (latitude(a) || latitude(b))
}
