package guess

import (
	"hash/maphash"
	"strconv"
	"strings"
	"unicode"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// stats is what is counted of a place's texts and numbers.
type stats struct {
	values    int
	distinct  set
	sentences int
	whole     map[string]*tally // by detector or shape: values that are one
	within    map[string]*tally // by detector: texts that hold one
	decimals  int               // numbers with at least five decimals
	least     float64           // of those
	most      float64
}

// tally counts hits.
type tally struct {
	hits      int
	distinct  set
	plausible int // hits that no other kind of data looks like
	spread    set // what tells a counter from people's numbers: how they begin; of a birthday the year
}

// set counts different things as far as that matters, by their hashes.
type set map[uint64]struct{}

// MaxDistinct bounds a set. More than that is very many.
const MaxDistinct = 1000

func (s *set) add(h uint64) {
	if *s == nil {
		*s = set{}
	}
	if len(*s) < MaxDistinct {
		(*s)[h] = struct{}{}
	}
}

func (s *set) merge(t set) {
	for h := range t {
		s.add(h)
	}
}

func (s *stats) merge(t *stats) {
	if t.decimals > 0 {
		s.decimal(t.least)
		s.decimal(t.most)
		s.decimals += t.decimals - 2
	}
	s.values += t.values
	s.sentences += t.sentences
	s.distinct.merge(t.distinct)
	for _, pair := range []struct {
		to   *map[string]*tally
		from map[string]*tally
	}{{&s.whole, t.whole}, {&s.within, t.within}} {
		for name, from := range pair.from {
			to := tallyOf(pair.to, name)
			to.hits += from.hits
			to.plausible += from.plausible
			to.distinct.merge(from.distinct)
			to.spread.merge(from.spread)
		}
	}
}

func tallyOf(m *map[string]*tally, name string) *tally {
	if *m == nil {
		*m = map[string]*tally{}
	}
	if (*m)[name] == nil {
		(*m)[name] = &tally{}
	}
	return (*m)[name]
}

// scalar counts a text or a number at a place.
func (g *Guesser) scalar(p *place, text string, number bool) {
	if text == "" {
		return
	}
	g.values++
	s := &p.stats
	s.values++
	hash := maphash.String(g.seed, text)
	s.distinct.add(hash)
	if !g.isOpen(p.declared()) {
		return // what it is, is known
	}
	var about detect.Context
	if p.name != nil {
		about = p.name.Context
	}
	if number {
		if kind, ok := detect.All.Number([]byte(text), about); ok {
			g.hit(&s.whole, detect.Detectors[kind].Name, text, hash)
		}
	} else if !g.detected(s, text, about, hash) {
		g.shaped(s, text, hash)
	}
	if v, ok := preciseNumber(text); ok {
		s.decimal(v)
	}
}

// detected counts what detectors find in a text. It reports whether all of it is one such.
func (g *Guesser) detected(s *stats, text string, about detect.Context, hash uint64) bool {
	for _, h := range detect.All.Find(nil, []byte(text), about) {
		found, name := text[h.Start:h.End], detect.Detectors[h.Kind].Name
		if len(found) == len(strings.TrimSpace(text)) {
			g.hit(&s.whole, name, found, hash)
			return true
		}
		g.hit(&s.within, name, found, maphash.String(g.seed, found))
	}
	return false
}

// shaped counts what a text looks like.
func (g *Guesser) shaped(s *stats, text string, hash uint64) {
	if isSentence(text) {
		s.sentences++
	}
	for _, shape := range shapes {
		if ok, spread := shape.is(text); ok {
			t := tallyOf(&s.whole, shape.name)
			if t.hits++; shape.surely == nil || shape.surely(text) {
				t.plausible++
			}
			t.distinct.add(hash)
			t.spread.add(maphash.String(g.seed, spread))
		}
	}
}

func (g *Guesser) hit(m *map[string]*tally, name, text string, hash uint64) {
	t := tallyOf(m, name)
	t.hits++
	t.distinct.add(hash)
	if name != "ip" || isHostAddress(text) {
		t.plausible++
	}
	begins := text
	if !strings.HasPrefix(text, "+") { // no counter writes a country's code
		begins = strings.TrimLeft(strings.TrimPrefix(text, "86"), " -")
		begins = begins[:min(3, len(begins))]
	}
	t.spread.add(maphash.String(g.seed, begins))
}

// isHostAddress tells an address from a version, which rarely has a number above a hundred in it.
func isHostAddress(text string) bool {
	if strings.Contains(text, ":") {
		return true
	}
	for part := range strings.SplitSeq(text, ".") {
		if n, err := strconv.Atoi(part); err == nil && n >= 100 {
			return true
		}
	}
	return false
}

// isSentence reports whether a text is written for people: words with blanks between them, or a run of Han characters.
func isSentence(text string) bool {
	blanks, han := 0, 0
	for _, r := range text {
		switch {
		case r == ' ' || r == '，' || r == '。':
			blanks++
		case unicode.Is(unicode.Han, r):
			han++
		}
	}
	return blanks >= 2 || han >= 4
}

func (s *stats) decimal(v float64) {
	if s.decimals == 0 {
		s.least, s.most = v, v
	}
	s.decimals++
	s.least, s.most = min(s.least, v), max(s.most, v)
}

// preciseNumber reads what has at least five decimals, as degrees have: one metre is the fifth.
func preciseNumber(text string) (float64, bool) {
	_, fraction, ok := strings.Cut(text, ".")
	if !ok || len(fraction) < 5 || len(text) > 24 || strings.Trim(fraction, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && v >= -180 && v <= 180
}
