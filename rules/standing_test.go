package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// somePeople stands for a store; the model's records hold what it would answer.
type somePeople struct{}

func (somePeople) Find([]*Person, [][]byte)                           {}
func (somePeople) Now() time.Time                                     { return modelNow }
func (somePeople) Case(string) *Case                                  { return nil }
func (somePeople) Seen([]int, string, [][]byte, int)                  {}
func (somePeople) Send(_ []*Person, write func() error) (bool, error) { return true, write() }

type history struct{ *rand.Rand }

func oneIn[T any](h history, from ...T) T { return from[h.IntN(len(from))] }

func (h history) when() time.Time {
	return oneIn(h, time.Time{}, time.Time{}, time.Time{}, modelNow.AddDate(0, -1, 0))
}

func (h history) person() *Person {
	if h.IntN(10) == 0 {
		return nil
	}
	p := &Person{
		Born: oneIn(h, time.Time{}, time.Time{}, modelNow.AddDate(-15, 0, 0), modelNow.AddDate(-40, 0, 0)), Minor: h.IntN(9) == 0, Ended: h.IntN(9) == 0,
		Policy: h.IntN(4), Guardians: oneIn(h, nil, []string{"me"}),
	}
	for range h.IntN(4) {
		p.Consents = append(p.Consents, Consent{
			Purpose: oneIn(h, "p", "p", "q", ""), Recipient: oneIn(h, "", "", "", "elsewhere", "third_party"), Categories: oneIn(h, nil, nil, []Category{"a.b"}, []Category{"d", "a"}),
			Level: Level(1 + h.IntN(5)), ByGuardian: h.IntN(2) == 0, Policy: h.IntN(4), Given: oneIn(h, time.Time{}, modelNow, modelNow, modelNow.AddDate(0, -2, 0), modelNow.Add(1)), Expires: oneIn(h, time.Time{}, time.Time{}, modelNow, modelNow.Add(1)),
			Withdrawn: h.when(), Objected: h.when(), Restricted: h.when(),
		})
	}
	for i := range h.IntN(3) {
		p.Cases = append(p.Cases, Case{ID: fmt.Sprint("c", i), Kind: oneIn(h, "ticket", "order"), Callers: oneIn(h, nil, []string{"me"}), Roles: oneIn(h, nil, nil, []string{"staff"}),
			Ends: oneIn(h, time.Time{}, modelNow, modelNow.Add(1))})
	}
	return p
}

func (h history) record() *modelRecord {
	rec := &modelRecord{
		subject: oneIn(h, nil, ptr("me"), ptr("you"), ptr("you")), country: oneIn(h, nil, ptr("CN"), ptr("DE")), born: oneIn(h, "", "2011-01-01", "1980-01-01"),
		fields: map[string]string{"/status": oneIn(h, "", "paid")}, person: h.person(),
	}
	switch h.IntN(6) {
	case 0:
		rec.nobody, rec.subject, rec.born, rec.person = true, nil, "", nil
	case 1:
		rec.minor, rec.born = true, ""
	}
	if rec.subject == nil {
		rec.person = nil
	}
	return rec
}

func (h history) doc() *Document {
	doc := modelDoc("")
	acts := [][]Act{{{Action: Keep, Name: "a"}, {Action: Mask, Name: "a.b"}}, {{Action: Mask, Name: "personal"}, {Action: Keep, Name: "d"}}, {{Action: Blank, Name: "a"}, {Action: Keep, Name: "a.b"}}}
	for i := range 1 + h.IntN(4) {
		r := Rule{
			ID: fmt.Sprint("allow", i), To: words(oneIn(h, []string{"staff"}, []string{"self"}, []string{"guardian"}, []string{"staff", "guardian"})...), For: words(oneIn(h, "p", "p", "q")),
			Acts: oneIn(h, acts...), Since: oneIn(h, 0, 0, 0, 2), Case: oneIn(h, "", "", "ticket"),
		}
		if h.IntN(2) == 0 {
			r.Consent = oneIn(h, "general", "explicit", "separate", "written")
		} else {
			r.Basis = oneIn(h, "", "legal_obligation", "legitimate_interests", "contract")
		}
		doc.Allow = append(doc.Allow, r)
	}
	for i := range h.IntN(3) {
		doc.Limit = append(doc.Limit, Rule{
			ID: fmt.Sprint("limit", i), To: words(oneIn(h, "staff", "self", "guardian")), When: oneIn(h, nil, []Test{{Claim: "minor", Want: []string{"true"}}}),
			Acts:   oneIn(h, []Act{{Action: Mask, Name: "a"}}, []Act{{Action: Block, Name: "sensitive"}}),
			Unless: oneIn(h, nil, &Unless{Consent: "explicit"}, &Unless{Case: "ticket"}, &Unless{Consent: "written", Case: "order"}),
		})
	}
	return doc
}

func (h history) disclosure() *Disclosure {
	d := &Disclosure{
		Purpose: oneIn(h, "p", "p", "q"), Time: modelNow, People: somePeople{},
		Caller: Caller{ID: oneIn(h, "", "me", "me"), Roles: oneIn(h, nil, []string{"staff"}, []string{"staff"}), CaseID: oneIn(h, "", "", "c0")},
	}
	if h.IntN(8) == 0 {
		d.People = nil
	}
	if h.IntN(6) == 0 {
		d.Caller.Case = &Case{ID: "signed", Kind: "ticket", Subject: oneIn(h, "me", "you"), Ends: oneIn(h, time.Time{}, modelNow, modelNow.Add(1))}
	}
	return d
}

// less takes something away from what a person granted, or adds what the person forbids.
func (h history) less(p *Person) *Person {
	q := *p
	q.Consents, q.Cases = slices.Clone(p.Consents), slices.Clone(p.Cases)
	switch k := h.IntN(7); {
	case k == 0 && len(q.Cases) > 0:
		q.Cases = q.Cases[1:]
	case k == 1 && len(q.Cases) > 0:
		q.Cases[0].Ends = modelNow
	case k == 2:
		q.Consents = append(q.Consents, Consent{Purpose: oneIn(h, "p", "q"), Objected: modelNow})
	case k == 3:
		q.Consents = append(q.Consents, Consent{Purpose: oneIn(h, "p", ""), Restricted: modelNow})
	case k == 4:
		q.Ended = true
	case len(q.Consents) > 0:
		i := h.IntN(len(q.Consents))
		switch c := &q.Consents[i]; h.IntN(5) {
		case 0: // a grant that was never made; what was forbidden with it stays
			c.Given = time.Time{}
		case 1:
			c.Withdrawn = modelNow
		case 2:
			c.Objected = modelNow
		case 3:
			c.Expires = modelNow
		case 4:
			c.Restricted = modelNow
		}
	}
	return &q
}

// TestModelConsent compares random rules over random histories with the model, and holds that taking a consent or a case
// away, objecting, restricting and deleting never disclose more.
func TestModelConsent(t *testing.T) {
	seed := rand.Uint64()
	h := history{rand.New(rand.NewPCG(seed, 3))}
	decided := map[Reason]int{}
	for range 1500 {
		doc := h.doc()
		r, m := compileModel(t, doc), newModel("", doc)
		for range 20 {
			d, rec := h.disclosure(), h.record()
			if d.People == nil {
				rec.person = nil
			}
			j := r.Scope("GET", "/").Judge(d)
			table := j.Table(rec.facts(j))
			var lost *Table
			if rec.person != nil {
				rec := *rec
				rec.person = h.less(rec.person)
				lost = j.Table(rec.facts(j))
			}
			for _, c := range modelCategories {
				have, want := table.Decide(r.ids[c]), m.decide(d, rec, c)
				decided[have.Reason]++
				if have.Action != want {
					t.Fatalf("seed %d: %s: the rules say %v (%v, %s), the model %v\ndisclosure %+v case %+v\nrecord %+v\nperson %+v\nallow %+v\nlimit %+v", seed, c, have.Action, have.Reason, have.Rule, want, d, d.Caller.Case, rec, rec.person, doc.Allow, doc.Limit)
				}
				if lost != nil && lost.Decide(r.ids[c]).Action < have.Action {
					t.Fatalf("seed %d: %s: less granted discloses more: %v after %v\ndisclosure %+v\nrecord %+v\nperson %+v\nallow %+v\nlimit %+v", seed, c, lost.Decide(r.ids[c]).Action, have.Action, d, rec, rec.person, doc.Allow, doc.Limit)
				}
				if fixed := j.Fixed(r.ids[c]); fixed != nil && fixed.Action != want {
					t.Fatalf("seed %d: %s is fixed as %v, the model says %v", seed, c, fixed.Action, want)
				}
			}
		}
	}
	for _, reason := range []Reason{Permitted, CaseMissing, PolicyVersion, GuardianMissing, ConsentMissing, Objection, Ended, Limited, Unavailable} {
		if decided[reason] == 0 {
			t.Errorf("no decision had the reason %v", reason)
		}
	}
}
