package rules

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reaches is a selector's meaning read step by step.
func reaches(s Selector, path []string) bool {
	switch {
	case len(s) == 0:
		return len(path) == 0
	case s[0].Kind == StepDeep:
		return reaches(s[1:], path) || len(path) > 0 && reaches(s, path[1:])
	case len(path) == 0:
		return false
	}
	return (s[0].Kind == StepAny || s[0].Name == path[0]) && reaches(s[1:], path[1:])
}

func randomSelector(rng *rand.Rand) Selector {
	s := Selector{}
	for range rng.IntN(5) {
		switch k := rng.IntN(6); {
		case k == 0:
			s = append(s, Step{Kind: StepAny})
		case k == 1 && (len(s) == 0 || s[len(s)-1].Kind != StepDeep):
			s = append(s, Step{Kind: StepDeep})
		default:
			s = append(s, Step{Name: []string{"a", "b", "0", "1"}[rng.IntN(4)]})
		}
	}
	return s
}

// TestPlacesReach holds the automaton against the selectors, one by one, on random paths through objects and arrays.
func TestPlacesReach(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := newPlaceBuilder()
		var selectors []Selector
		for i := range 1 + rng.IntN(8) {
			s := randomSelector(rng)
			selectors = append(selectors, s)
			spot := b.spot(s)
			spot.Facts = append(spot.Facts, Slot{Record: i})
		}
		p, err := b.build(new(Ruleset).mergeSpots)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			at := p.root
			var path []string
			for range rng.IntN(6) {
				name := []string{"a", "b", "0", "1", "other"}[rng.IntN(5)]
				path = append(path, name)
				if i, err := strconv.Atoi(name); err == nil && rng.IntN(2) == 0 {
					at = p.element(at, i)
				} else {
					at = p.member(at, p.steps[name])
				}
			}
			var have, want []int
			if spot := p.states[at].spot; spot != nil {
				for _, f := range spot.Facts {
					have = append(have, f.Record)
				}
			}
			for i, s := range selectors {
				if reaches(s, path) {
					want = append(want, i)
				}
			}
			slices.Sort(have)
			if !slices.Equal(have, want) {
				t.Fatalf("seed %d: /%s is reached by %v, want %v of %v", seed, strings.Join(path, "/"), have, want, selectors)
			}
		}
	}
}

// TestPlacesBounded: selectors that multiply each other are an error, not a machine out of memory.
func TestPlacesBounded(t *testing.T) {
	b := newPlaceBuilder()
	for i := range 20 {
		name := strconv.Itoa(i)
		b.spot(Selector{{Kind: StepDeep}, {Name: "a" + name}, {Kind: StepDeep}, {Name: "b" + name}}).Record = 1
	}
	if _, err := b.build(new(Ruleset).mergeSpots); err == nil {
		t.Fatal("twenty selectors with two `**` each tell a million places apart: this must be refused")
	}
}

func TestSelectorText(t *testing.T) {
	for _, text := range []string{"", "/a", "/a/*/b", "/**/a", "/a~1b/~0/~2", "/"} {
		s, err := parseSelector(text)
		if err != nil || s.String() != text {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"a", "/**/**", "/~", "/~3"} {
		if _, err := parseSelector(text); err == nil {
			t.Errorf("%q must be an error", text)
		}
	}
}

func TestOperation(t *testing.T) {
	for _, test := range []struct {
		pattern, method, path string
		want                  bool
	}{
		{"GET /api/orders", "GET", "/api/orders", true},
		{"GET /api/orders", "HEAD", "/api/orders", true},
		{"GET /api/orders", "POST", "/api/orders", false},
		{"GET /api/orders", "GET", "/api/orders/1", false},
		{"GET /api/orders/*", "GET", "/api/orders/1", true},
		{"GET /api/orders/*", "GET", "/api/orders", false},
		{"* /api/**", "PUT", "/api", true},
		{"* /api/**", "PUT", "/api/a/b", true},
		{"* /api/**", "PUT", "/ap", false},
		{"* /api/*/b/**", "PUT", "/api/*/b", true},
		{"GET /", "GET", "/", true},
		{"GET /", "GET", "/a", false},
		{"GET /a", "GET", "/a/", true},
	} {
		o, err := ParseOperation(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		newOperationTree([]*Document{{}, {Operations: []Operation{o}}}).each(test.method, test.path, func(at operationAt, named bool) { found = found || named })
		if found != test.want {
			t.Errorf("%s on %s %s: want %v", test.pattern, test.method, test.path, test.want)
		}
	}
	a, _ := ParseOperation("GET /a/*/c")
	b, _ := ParseOperation("GET /a/b/*")
	c, _ := ParseOperation("GET /a/b/*/d")
	if !a.overlaps(b) || b.overlaps(c) || !c.overlaps(c) {
		t.Error("overlaps is wrong")
	}
}

// TestTakenFor: what a backend may take for an operation, though its pattern does not say so.
func TestTakenFor(t *testing.T) {
	for _, test := range []struct {
		pattern, method, path string
		want                  bool
	}{
		{"GET /api/Orders", "GET", "/API/oRders", true}, {"GET /api/\u00e4", "GET", "/api/\u00c4", true}, {"GET /api/k/s", "GET", "/api/\u212a/\u017f", true},
		{"GET /api/orders", "GET", "/api/orders.json", true}, {"GET /api/orders", "GET", "/api/orders.a.b", true},
		{"GET /api/orders.json", "GET", "/api/orders", true}, {"GET /api/orders.json", "GET", "/api/orders.xml", true},
		{"GET /api/users.list", "GET", "/api/users.info", false}, {"GET /api/users.list", "GET", "/api/users", false},
		{"GET /api/orders", "GET", "/api.json/orders", false}, {"GET /api", "GET", "/api/.json", false},
		{"GET /api/orders", "POST", "/api/orders", true}, {"DELETE /api/orders", "POST", "/api/orders", true}, {"GET /a", "PROPFIND", "/a", true},
		{"GET /a", "OPTIONS", "/a", true}, {"GET /api/orders", "PUT", "/api/orders", false}, {"POST /api/orders", "GET", "/api/orders", false},
	} {
		o, err := ParseOperation(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		newOperationTree([]*Document{{Operations: []Operation{o}}}).each(test.method, test.path, func(_ operationAt, named bool) {
			if found = true; named {
				t.Errorf("%s names %s %s", test.pattern, test.method, test.path)
			}
		})
		if found != test.want {
			t.Errorf("%s for %s %s: want %v", test.pattern, test.method, test.path, test.want)
		}
	}
}
