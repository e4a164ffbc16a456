package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// The model decides as DESIGN's semantics read, one sentence after another, for one value at a time and without any
// table. It shares no code with decide.

// modelRecord is what is known of a record; nil is unknown.
type modelRecord struct {
	subject, country *string
	minor            bool
	born             string  // "" where the record should say and does not
	nobody           bool    // no rule says whose data it is
	person           *Person // what the store says; nil: it is away
	fields           map[string]string
}

// modelNow is when the model's disclosures happen.
var modelNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type model struct {
	docs   []*Document
	grades map[Category]Grade
	home   string
	roles  []string
}

func (m *model) decide(d *Disclosure, rec *modelRecord, c Category) Action {
	action := Keep
	if m.grades[c] > Open {
		if d.Caller.Organisation != "" {
			return Block // nobody is registered
		}
		action = m.allowed(d, rec, c)
	}
	for _, doc := range m.docs {
		for _, rule := range doc.Limit {
			if a, named := m.speaks(rule, c); named && m.limited(d, rec, rule, c) && a > action {
				action = a
			}
		}
	}
	if strings.HasPrefix(string(c), "auth.secret") && action < Strip {
		action = Strip
	}
	if m.grades[c] > Open && action < Blank {
		if m.home != "" && d.Caller.Country != m.home && m.own(d, rec) != "yes" {
			return Block
		}
	}
	return action
}

func (m *model) allowed(d *Disclosure, rec *modelRecord, c Category) Action {
	best := Strip
	for _, doc := range m.docs {
		for _, rule := range doc.Allow {
			a, named := m.speaks(rule, c)
			if named && m.about(d, rec, rule) == "yes" && m.purpose(d, rule) && m.when(d, rec, rule) == "yes" && m.grounds(d, rec, rule, a, c) && a < best {
				best = a
			}
		}
	}
	return best
}

func (m *model) limited(d *Disclosure, rec *modelRecord, rule Rule, c Category) bool {
	if m.about(d, rec, m.spared(d, rec, rule)) == "no" || len(rule.For) > 0 && !m.purpose(d, rule) || m.when(d, rec, rule) == "no" {
		return false
	}
	if rule.Unless != nil {
		for _, p := range rule.Unless.Purpose {
			if p.Name == d.Purpose {
				return false
			}
		}
		if u := rule.Unless; u.Case != "" && m.inCase(d, rec, u.Case) || u.Consent != "" && m.agreed(d, rec, u.Consent, 0, c) {
			return false
		}
	}
	return true
}

// grounds: case, consent and basis of an allow, where something of the value is left.
func (m *model) grounds(d *Disclosure, rec *modelRecord, rule Rule, a Action, c Category) bool {
	if rule.Case != "" && !m.inCase(d, rec, rule.Case) {
		return false
	}
	if a >= Blank {
		return true
	}
	known := d.People != nil && rec.subject != nil && rec.person != nil
	if rule.Since > 0 && (!known || rec.person.Policy < rule.Since) {
		return false
	}
	law := rule.Basis == "legal_obligation"
	if m.grades[c] > General && !law && m.cannotExclude(d, rec, func(p *Person) bool { return p.Ended }) {
		return false
	}
	said := func(when func(Consent) time.Time) func(p *Person) bool {
		return func(p *Person) bool {
			for _, c := range p.Consents {
				if !when(c).IsZero() && c.Recipient == "" && (c.Purpose == "" || c.Purpose == d.Purpose) {
					return true
				}
			}
			return false
		}
	}
	switch {
	case rule.Consent != "":
		return m.agreed(d, rec, rule.Consent, rule.Since, c)
	case law:
		return true
	case m.cannotExclude(d, rec, said(func(c Consent) time.Time { return c.Restricted })):
		return false
	}
	return rule.Basis != "legitimate_interests" || !m.cannotExclude(d, rec, said(func(c Consent) time.Time { return c.Objected }))
}

// cannotExclude: nobody can have said it where there is no store, or nobody says whose data it is.
func (m *model) cannotExclude(d *Disclosure, rec *modelRecord, says func(*Person) bool) bool {
	switch {
	case d.People == nil || rec.nobody && d.Caller.CaseID == "" && d.Caller.Case == nil: // a case is about somebody
		return false
	case rec.subject == nil || rec.person == nil:
		return true
	}
	return says(rec.person)
}

func (m *model) agreed(d *Disclosure, rec *modelRecord, least string, since int, name Category) bool {
	if d.People == nil || rec.subject == nil || rec.person == nil || rec.person.Ended {
		return false
	}
	want, _ := ParseLevel(least)
	var ended time.Time
	for _, c := range rec.person.Consents {
		if (c.Purpose == d.Purpose || c.Purpose == "") && c.Recipient == "" {
			for _, said := range []time.Time{c.Objected, c.Withdrawn} {
				if said.After(ended) {
					ended = said
				}
			}
		}
	}
	for _, c := range rec.person.Consents {
		covers := len(c.Categories) == 0
		for _, in := range c.Categories {
			covers = covers || in.Contains(name)
		}
		if c.Purpose == d.Purpose && c.Recipient == "" && !c.Given.IsZero() && (c.Expires.IsZero() || modelNow.Before(c.Expires)) &&
			(ended.IsZero() || c.Given.After(ended)) && !c.Given.After(modelNow) && c.Level >= want && c.Policy >= since && covers && (c.ByGuardian || !m.child(rec)) {
			return true
		}
	}
	return false
}

// child: under the limit, or perhaps, where the record should say.
func (m *model) child(rec *modelRecord) bool {
	limit := 18
	if rec.country != nil && *rec.country == "CN" {
		limit = 14
	}
	under := func(t time.Time) bool { return modelNow.Before(t.AddDate(limit, 0, 0)) }
	if rec.minor || rec.person.Minor || !rec.person.Born.IsZero() && under(rec.person.Born) {
		return true
	}
	if rec.born == "" {
		return rec.person.Born.IsZero() && !rec.nobody
	}
	t, _ := time.Parse(time.DateOnly, rec.born)
	return under(t)
}

func (m *model) inCase(d *Disclosure, rec *modelRecord, kind string) bool {
	if rec.subject == nil {
		return false
	}
	if c := d.Caller.Case; c != nil {
		return c.Subject == *rec.subject && c.Kind == kind && (c.Ends.IsZero() || modelNow.Before(c.Ends))
	}
	if d.People == nil || rec.person == nil {
		return false
	}
	for _, c := range rec.person.Cases {
		named := slices.Contains(c.Callers, d.Caller.ID) && d.Caller.ID != ""
		for _, r := range c.Roles {
			named = named || slices.Contains(d.Caller.Roles, r)
		}
		if len(c.Callers)+len(c.Roles) == 0 {
			named = d.Caller.CaseID == c.ID
		}
		if c.Kind == kind && named && (d.Caller.CaseID == "" || d.Caller.CaseID == c.ID) && (c.Ends.IsZero() || modelNow.Before(c.Ends)) {
			return true
		}
	}
	return false
}

// speaks: inside one rule the longest category prefix speaks, then the grade.
func (m *model) speaks(rule Rule, c Category) (Action, bool) {
	longest, found := -1, Keep
	for _, act := range rule.Acts {
		if Category(act.Name).Contains(c) && len(act.Name) > longest {
			longest, found = len(act.Name), act.Action
		}
	}
	if longest >= 0 {
		return found, true
	}
	for _, act := range rule.Acts {
		if act.Name == m.grades[c].String() {
			return act.Action, true
		}
	}
	return 0, false
}

func (m *model) purpose(d *Disclosure, rule Rule) bool {
	return slices.ContainsFunc(rule.For, func(w Word) bool { return w.Name == d.Purpose })
}

func (m *model) about(d *Disclosure, rec *modelRecord, rule Rule) string {
	known := slices.DeleteFunc(slices.Clone(d.Caller.Roles), func(r string) bool { return !slices.Contains(m.roles, r) })
	result := "no"
	for _, to := range rule.To {
		switch {
		case to.Name == "anonymous" && len(known) == 0, slices.Contains(known, to.Name):
			return "yes"
		case to.Name == "self" && d.Caller.ID != "":
			if rec.subject == nil {
				result = "unknown"
			} else if *rec.subject == d.Caller.ID {
				return "yes"
			}
		case to.Name == "guardian" && d.Caller.ID != "" && d.People != nil:
			switch {
			case rec.subject == nil || rec.person == nil:
				result = "unknown"
			case slices.Contains(rec.person.Guardians, d.Caller.ID):
				return "yes"
			}
		}
	}
	return result
}

// spared is a limit as it holds for who reads their own record or a ward's: they are not anonymous.
func (m *model) spared(d *Disclosure, rec *modelRecord, rule Rule) Rule {
	if m.about(d, rec, Rule{To: []Word{{Name: "self"}, {Name: "guardian"}}}) == "yes" {
		rule.To = slices.DeleteFunc(slices.Clone(rule.To), func(w Word) bool { return w.Name == "anonymous" })
	}
	return rule
}

func (m *model) own(d *Disclosure, rec *modelRecord) string {
	return m.about(d, rec, Rule{To: []Word{{Name: "self"}}})
}

func (m *model) when(d *Disclosure, rec *modelRecord, rule Rule) string {
	result := "yes"
	for _, t := range rule.When {
		have, known := "", false
		switch {
		case t.Fields != nil:
			have, known = m.field(rec, t)
		case t.Claim == "minor":
			have, known = m.minority(rec)
		case t.Claim == "country":
			if known = rec.country != nil; known {
				have = *rec.country
			}
		case t.Claim == "download":
			have, known = fmt.Sprint(d.Download), true
		default:
			have, known = d.Caller.Claims[t.Claim]
		}
		switch {
		case !known && result == "yes":
			result = "unknown"
		case known && !slices.Contains(t.Want, have):
			result = "no"
		}
	}
	return result
}

// field: what the fields of a record say that are there, where all of them are wanted or none is.
func (m *model) field(rec *modelRecord, t Test) (have string, known bool) {
	for _, f := range t.Fields {
		says := rec.fields[f.String()]
		switch {
		case says == "":
		case known && slices.Contains(t.Want, says) != slices.Contains(t.Want, have):
			return "", false
		default:
			have, known = says, true
		}
	}
	return have, known
}

// minority: what a record or the store says of being a minor.
func (m *model) minority(rec *modelRecord) (string, bool) {
	person := rec.person
	if person == nil {
		person = &Person{}
	}
	asked := &modelRecord{country: rec.country, minor: rec.minor, born: rec.born, person: person, nobody: true}
	known := rec.minor || rec.born != "" || person.Minor || !person.Born.IsZero()
	return fmt.Sprint(m.child(asked)), known
}

// modelBase stands for the base pack: a small tree of categories, so that a rule set compiles in microseconds.
func modelBase() *Document {
	return &Document{Name: "base", Categories: []CategoryRule{
		{Name: "a", Grade: Personal}, {Name: "a.b", Grade: Sensitive}, {Name: "a.b.c", Grade: Personal}, {Name: "d", Grade: General},
		{Name: "free", Grade: Open}, {Name: "auth.secret", Grade: Secret},
	}}
}

var modelCategories = []Category{"a", "a.b", "a.b.c", "d", "free", "auth.secret"}

func newModel(home string, docs ...*Document) *model {
	m := &model{docs: docs, home: home, grades: map[Category]Grade{}}
	for _, c := range modelBase().Categories {
		m.grades[c.Name] = c.Grade
	}
	for _, d := range docs {
		for _, w := range d.Roles {
			m.roles = append(m.roles, w.Name)
		}
	}
	return m
}

func ptr(s string) *string { return &s }

func words(names ...string) []Word {
	var list []Word
	for _, n := range names {
		list = append(list, Word{Name: n})
	}
	return list
}

// modelRecords are the states a record can be in, as far as the rules below can tell.
func modelRecords() []*modelRecord {
	var records []*modelRecord
	for _, subject := range []*string{nil, ptr("me"), ptr("you")} {
		for _, status := range []string{"", "paid", "open"} {
			for _, country := range []*string{nil, ptr("CN")} {
				for _, minor := range []bool{false, true} {
					records = append(records, &modelRecord{subject: subject, country: country, minor: minor, fields: map[string]string{"/status": status}})
				}
			}
		}
	}
	return records
}

func modelDisclosures() []*Disclosure {
	var list []*Disclosure
	for _, roles := range [][]string{nil, {"staff"}, {"staff", "boss"}, {"stranger"}} {
		for _, id := range []string{"", "me"} {
			for _, purpose := range []string{"p", "q", "unheard-of"} {
				for _, claims := range []map[string]string{nil, {"mfa": "true"}, {"mfa": "false"}} {
					for _, country := range []string{"", "CN", "VN"} {
						list = append(list, &Disclosure{Purpose: purpose, Caller: Caller{ID: id, Roles: roles, Claims: claims, Country: country}})
					}
				}
			}
		}
	}
	list = append(list, &Disclosure{Purpose: "p", Caller: Caller{ID: "me", Roles: []string{"staff"}, Country: "CN", Organisation: "elsewhere"}})
	return list
}

// facts turns a model record into the slots that a rewriter would have gathered.
func (rec *modelRecord) facts(j *Judge) Facts {
	values := make([]Value, j.Scope().SlotCount())
	put := func(slot int, s *string) {
		if s != nil && *s != "" {
			values[slot] = Value{Known, []byte(*s)}
		}
	}
	put(slotSubject, rec.subject)
	put(slotCountry, rec.country)
	for i, f := range j.Scope().rules.fields {
		put(slotFields+i, ptr(rec.fields[f.String()]))
	}
	put(slotBorn, &rec.born)
	row := 0
	switch {
	case rec.nobody:
		row = 2
	case rec.minor:
		row = 1
	}
	p := j.Begin(row, values)
	if !p.Known() {
		return j.Complete(&p, nil, 0, modelNow)
	}
	return j.Complete(&p, rec.person, 0, modelNow)
}

func compileModel(t *testing.T, doc *Document) *Ruleset {
	t.Helper()
	id, born := []Selector{{{Name: "id"}}}, []Selector{{{Name: "born"}}}
	doc.Records = []Record{{At: Selector{{Name: "r"}}, Subject: id, Born: born}, {At: Selector{{Name: "m"}}, Subject: id, Minor: true}, {At: Selector{{Name: "n"}}}}
	r, err := compile(modelBase(), []*Document{doc}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// compare holds the rule set against the model for every disclosure, record and category.
func compare(t *testing.T, doc *Document, disclosures []*Disclosure, records []*modelRecord) int {
	t.Helper()
	r := compileModel(t, doc)
	m := newModel(doc.Home, doc)
	scope := r.Scope("GET", "/")
	n := 0
	for _, d := range disclosures {
		j := scope.Judge(d)
		for _, rec := range records {
			table := j.Table(rec.facts(j))
			for _, c := range modelCategories {
				id := r.ids[c]
				have, want := table.Decide(id).Action, m.decide(d, rec, c)
				if have != want {
					t.Fatalf("%s: the rules say %v, the model %v\ndisclosure %+v\nrecord %+v\nallow %+v\nlimit %+v", c, have, want, d, rec, doc.Allow, doc.Limit)
				}
				if fixed := j.Fixed(id); fixed != nil && fixed.Action != want {
					t.Fatalf("%s: fixed as %v, the model says %v", c, fixed.Action, want)
				}
				if have == Block && !j.MayBlock() {
					t.Fatalf("%s: blocked, but MayBlock says no", c)
				}
				n++
			}
		}
	}
	return n
}

func modelRules(limit bool) []Rule {
	var list []Rule
	whens := [][]Test{nil, {{Claim: "mfa", Want: []string{"true"}}}, {{Fields: []Selector{{{Name: "status"}}, {{Name: "state"}}}, Want: []string{"paid"}}}, {{Claim: "minor", Want: []string{"true"}}}}
	acts := [][]Act{{{Action: Keep, Name: "a"}, {Action: Mask, Name: "a.b"}}, {{Action: Mask, Name: "personal"}, {Action: Blank, Name: "d"}}, {{Action: Strip, Name: "a.b"}}}
	if limit {
		acts = [][]Act{{{Action: Mask, Name: "a"}}, {{Action: Block, Name: "sensitive"}, {Action: Strip, Name: "free"}}}
	}
	for _, to := range [][]string{{"staff"}, {"self"}, {"anonymous", "boss"}, {"self", "staff"}} {
		for _, when := range whens {
			for _, a := range acts {
				list = append(list, Rule{To: words(to...), For: words("p"), When: when, Acts: a})
			}
		}
	}
	if limit {
		list = append(list, Rule{To: words("staff"), Acts: acts[0], Unless: &Unless{Purpose: words("q")}})
	} else {
		list = append(list, Rule{To: words("staff"), For: words("p", "q"), Acts: acts[0], Case: "ticket"})
	}
	return list
}

func modelDoc(home string) *Document {
	return &Document{Name: "model", Home: home, Roles: words("staff", "boss"), Purposes: words("p", "q")}
}

// TestModelExhaustive compares every pair of an allow with an allow or a limit, over every disclosure and record.
func TestModelExhaustive(t *testing.T) {
	records, disclosures := modelRecords(), modelDisclosures()
	if testing.Short() {
		disclosures = disclosures[:20]
	}
	allows, limits := modelRules(false), modelRules(true)
	n := 0
	for i, allow := range allows {
		doc := modelDoc([]string{"", "CN"}[i%2])
		allow.ID = "one"
		second := allows[(i*7+3)%len(allows)]
		second.ID = "two"
		doc.Allow = []Rule{allow, second}
		for k := i % 13; k < len(limits); k += 13 {
			limit := limits[k]
			limit.ID = "limit"
			doc.Limit = []Rule{limit}
			n += compare(t, doc, disclosures[i%3:], records)
		}
	}
	t.Logf("%d decisions", n)
}

func randomDoc(rng *rand.Rand) *Document {
	doc := modelDoc([]string{"", "CN"}[rng.IntN(2)])
	pick := func(limit bool) []Rule {
		all := modelRules(limit)
		var list []Rule
		for i := range rng.IntN(5) {
			r := all[rng.IntN(len(all))]
			r.ID = fmt.Sprintf("%v-%d", limit, i)
			list = append(list, r)
		}
		return list
	}
	doc.Allow, doc.Limit = pick(false), pick(true)
	return doc
}

// TestModelRandom compares random rule sets, and holds what the order of rules, fewer allows and more limits do.
func TestModelRandom(t *testing.T) {
	records, disclosures := modelRecords(), modelDisclosures()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		doc := randomDoc(rng)
		some := []*Disclosure{disclosures[rng.IntN(len(disclosures))], disclosures[rng.IntN(len(disclosures))], disclosures[rng.IntN(len(disclosures))]}
		compare(t, doc, some, records)
		shuffled := *doc
		shuffled.Allow, shuffled.Limit = slices.Clone(doc.Allow), slices.Clone(doc.Limit)
		slices.Reverse(shuffled.Allow)
		slices.Reverse(shuffled.Limit)
		fewer := shuffled
		if len(fewer.Allow) > 0 {
			fewer.Allow = fewer.Allow[1:]
		}
		full, turned, less := compileModel(t, doc), compileModel(t, &shuffled), compileModel(t, &fewer)
		for _, d := range some {
			for _, rec := range records {
				for _, c := range modelCategories {
					a, b, l := decisionOf(full, d, rec, c), decisionOf(turned, d, rec, c), decisionOf(less, d, rec, c)
					if a.Action != b.Action || a.Rule != b.Rule || a.Reason != b.Reason {
						t.Fatalf("seed %d: the order of rules matters for %s: %+v, %+v", seed, c, a, b)
					}
					if l.Action < leaves(a) {
						t.Fatalf("seed %d: one allow fewer discloses more of %s", seed, c)
					}
				}
			}
			j := full.Scope("GET", "/").Judge(d)
			nothing := j.Table(j.UnknownFacts())
			for _, rec := range records {
				for _, c := range modelCategories {
					if known := decisionOf(full, d, rec, c); leaves(known) > nothing.Decide(full.ids[c]).Action {
						t.Fatalf("seed %d: of an unknown record more is disclosed of %s", seed, c)
					}
				}
			}
		}
	}
}

// leaves is the action as far as the value itself goes: abroad, what would be permitted blocks the message, and what is
// not permitted is stripped; neither lets the value out.
func leaves(d *Decision) Action {
	if d.Reason == Country || d.Reason == RecipientUnknown {
		return Strip
	}
	return d.Action
}

func decisionOf(r *Ruleset, d *Disclosure, rec *modelRecord, c Category) *Decision {
	j := r.Scope("GET", "/").Judge(d)
	return j.Table(rec.facts(j)).Decide(r.ids[c])
}
