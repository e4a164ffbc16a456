package rules

import (
	"slices"
	"sync"
)

// kind is what all disclosures share that differ in nothing a rule asks for: which rules apply, and the decisions.
type kind struct {
	rules       *Ruleset
	roles       []string
	inbound     bool   // we collect
	egress      bool   // it is sent, and nobody reads it here
	abroad      bool   // read outside home, or nobody knows where
	party       *party // nil: a caller who reads for us
	broken      bool
	undeclared  Action
	issues      []Category
	people      bool // a store is asked
	since       int  // the policy version that whoever is disclosed to this recipient has accepted
	ended       int  // 1 + row of the condition that a data subject or a record is past its time; 0: none ever is
	restricted  int  // likewise
	objected    int
	allow       []kindRule
	limit       []kindRule
	conditions  []condition
	later       []int // rows of the conditions that turn on whose data it is
	asksConsent bool
	most        int         // the greatest number of data subjects that some limit lets a caller see
	fixed       []*Decision // by CategoryID; nil: depends on the record
	detecting   bool
	keepsAll    bool
	mayBlock    bool

	mu     sync.RWMutex
	tables map[Facts]*Table
	grants map[string]*grants
}

// kindRule is a rule as far as one kind of disclosure is concerned by it.
type kindRule struct {
	*compiledRule
	audience string // who of `to` the caller is, besides self and guardian; "" nobody
	self     int    // 1 + row of conditions, where `to` names self; 0: it does not
	spares   bool   // of a limit for readers whom nobody knows: who reads their own, or a ward's, is not one
	guardian int
	holds    answer // what `when` asks of the caller
	record   []int  // rows of conditions that `when` asks of the record
	lifted   bool   // of a limit: its unless is met
	inCase   int    // 1 + row of the condition that the caller acts in a case, of an allow or of `unless`
	accepted int    // likewise, that the data subject accepted a policy version
	over     int    // likewise, that the caller has seen too many
}

// Table holds a decision for every category.
type Table struct {
	decisions []Decision
	facts     Facts
}

// Facts are what the table was made by.
func (t *Table) Facts() Facts { return t.facts }

// Decide returns the decision for a category. For 0, nothing known, it is keep, or strip where the undeclared is stripped.
func (t *Table) Decide(c CategoryID) *Decision { return &t.decisions[c] }

// maxTables bounds the tables of one kind; records whose facts are rarer than that are judged anew.
const maxTables = 1024

// Table returns the decisions for records with these facts.
func (k *kind) Table(f Facts) *Table {
	k.mu.RLock()
	t := k.tables[f]
	k.mu.RUnlock()
	if t != nil {
		return t
	}
	t = &Table{decisions: make([]Decision, len(k.rules.categories)), facts: f}
	for c := range t.decisions {
		t.decisions[c] = k.decide(CategoryID(c), f)
	}
	k.mu.Lock()
	if len(k.tables) < maxTables {
		k.tables[f] = t
	}
	k.mu.Unlock()
	return t
}

// AsksNothing reports whether every record is judged alike.
func (k *kind) AsksNothing() bool { return len(k.conditions) == 0 && !k.asksConsent }

// asksPeople reports whether something depends on what a store knows of data subjects.
func (k *kind) asksPeople() bool { return k.people && !k.AsksNothing() }

// KeepsAll reports whether everything stays as it is, whatever it is.
func (k *kind) KeepsAll() bool { return k.keepsAll }

// Fixed returns the decision for a category where it is the same for every record, or nil.
func (k *kind) Fixed(c CategoryID) *Decision { return k.fixed[c] }

// Detecting reports whether any detector's category may be anything but kept; if not, nothing needs detecting.
func (k *kind) Detecting() bool { return k.detecting }

// MayBlock reports whether any decision of this disclosure can be Block.
func (k *kind) MayBlock() bool { return k.mayBlock }

func newKind(s *Scope, d *Disclosure, p *party) *kind {
	r := s.rules
	k := &kind{
		rules: r, roles: r.knownRoles(d), broken: s.broken,
		inbound: d.Position == Inbound,
		egress:  d.Position == Egress,
		abroad:  r.home != "" && !r.Within(r.home, d.Caller.Country) && p == nil && d.Position == Response,
		party:   p,
		people:  d.People != nil,
		issues:  slices.Clone(d.Issues),
		tables:  map[Facts]*Table{},
		grants:  map[string]*grants{},
	}
	if p != nil && p.entry != nil {
		k.since = p.entry.Since
	}
	if s.undeclared || p != nil && p.entry != nil && p.entry.Undeclared == "strip" {
		k.undeclared = Strip
	}
	k.asksConsent = p != nil && p.transfer != nil && p.transfer.Consent != ""
	if k.people || s.retains() {
		k.ended = 1 + k.condition(condition{what: askEnded})
	}
	if k.people {
		k.restricted = 1 + k.condition(condition{what: askRestricted})
	}
	if k.people || slices.Contains(d.Objected, d.Purpose) {
		k.objected = 1 + k.condition(condition{what: askObjected})
	}
	k.allow = k.applying(r.allow, d, false)
	k.limit = k.applying(r.limit, d, true)
	if k.abroad { // reading one's own is no transfer
		k.caller(d, true, true)
	}
	for i, c := range k.conditions {
		if c.what != askField && c.what != askCountry {
			k.later = append(k.later, i)
		}
	}
	k.fix(s)
	return k
}

// applying picks the rules whose `to`, `from` and `for` can be this disclosure's.
func (k *kind) applying(all []*compiledRule, d *Disclosure, limit bool) []kindRule {
	var list []kindRule
	for _, c := range all {
		if !c.purposeFits(d.Purpose) || !k.comesFrom(c.From, d) {
			continue
		}
		rule := kindRule{compiledRule: c, holds: yes, lifted: c.Unless.met(d)}
		k.address(&rule, d, limit)
		if rule.audience == "" && rule.self == 0 && rule.guardian == 0 {
			continue
		}
		for _, t := range c.When {
			if t.ofRecord() {
				rule.record = append(rule.record, k.condition(k.rules.conditionOf(t)))
			} else {
				rule.holds = both(rule.holds, t.ask(d))
			}
		}
		k.ask(&rule)
		list = append(list, rule)
	}
	return list
}

// comesFrom reports whether the sender is one of those that a rule names. Only what we collect has a sender.
func (k *kind) comesFrom(from []Word, d *Disclosure) bool {
	if len(from) == 0 {
		return true
	}
	sender := &party{name: d.sender()}
	sender.entry = k.rules.register[sender.name]
	return k.inbound && slices.ContainsFunc(from, func(w Word) bool {
		switch {
		case sender.name != "":
			return sender.is(w.Name)
		case w.Name == Self:
			return d.Caller.ID != ""
		}
		return slices.Contains(k.roles, w.Name)
	})
}

// address says who of a rule's `to` the disclosure is to. Who reads for an organisation may have what that recipient may
// have, and nothing by a role; a limit of the role holds, too. Nobody is anonymous who reads for one or calls one.
func (k *kind) address(rule *kindRule, d *Disclosure, limit bool) {
	if k.inbound {
		if hasWord(rule.To, Us) {
			rule.audience = Us
		}
		return
	}
	if k.party != nil {
		if hasWord(rule.To, Any) || slices.ContainsFunc(rule.To, func(w Word) bool { return k.party.entry != nil && k.party.is(w.Name) }) {
			rule.audience = k.party.name
		}
		if !limit {
			return
		}
	}
	for _, role := range k.roles {
		if rule.audience == "" && (hasWord(rule.To, role) || hasWord(rule.To, Any)) && (k.party == nil || role != Anonymous) {
			rule.audience = role
		}
	}
	rule.self, rule.guardian = k.caller(d, hasWord(rule.To, Self), hasWord(rule.To, Guardian))
	if limit && rule.audience == Anonymous && !hasWord(rule.To, Any) {
		self, guardian := k.caller(d, true, true)
		rule.spares = self > 0 || guardian > 0
	}
}

// ask adds what a rule wants to know of the data subject.
func (k *kind) ask(rule *kindRule) {
	inCase := rule.Case
	if u := rule.Unless; u != nil {
		inCase = u.Case
		k.asksConsent = k.asksConsent || u.Consent != ""
	}
	if inCase != "" {
		rule.inCase = 1 + k.condition(condition{what: askCase, name: inCase})
	}
	if since := max(rule.Since, k.since); since > 0 {
		rule.accepted = 1 + k.condition(condition{what: askPolicy, least: since})
	}
	if rule.Over > 0 {
		rule.over = 1 + k.condition(condition{what: askOver, least: rule.Over})
		k.most = k.rules.most // all limits share one count
	}
	k.asksConsent = k.asksConsent || rule.level > LevelNone
}

// caller returns the conditions of being self and guardian, 1 + their rows; 0 where this caller can be neither.
func (k *kind) caller(d *Disclosure, self, guardian bool) (int, int) {
	var s, g int
	if self && d.Caller.ID != "" {
		s = 1 + k.condition(condition{what: askSelf})
	}
	if guardian && (len(d.Caller.Guardian) > 0 || d.People != nil && d.Caller.ID != "") {
		g = 1 + k.condition(condition{what: askGuardian})
	}
	return s, g
}

// condition returns the row of a condition, adding it where it is new.
func (k *kind) condition(c condition) int {
	for i, have := range k.conditions {
		if have.what == c.what && slices.Equal(have.fields, c.fields) && have.name == c.name && have.least == c.least && slices.Equal(have.want, c.want) {
			return i
		}
	}
	k.conditions = append(k.conditions, c)
	return len(k.conditions) - 1
}

// conditionOf turns a test that asks the record into a condition.
func (r *Ruleset) conditionOf(t Test) condition {
	switch t.Claim {
	case whenMinor:
		want := t.Want
		if slices.Contains(want, minorKnown) {
			want = []string{minorKnown, "true"}
		}
		return condition{what: askMinor, want: want}
	case whenCountry:
		var want []string // a record names a country
		for _, place := range t.Want {
			want = append(want, r.countriesOf(place)...)
		}
		return condition{what: askCountry, want: want}
	}
	c := condition{what: askField, want: t.Want}
	for _, field := range t.Fields {
		c.fields = append(c.fields, slices.IndexFunc(r.fields, func(s Selector) bool { return slices.Equal(s, field) }))
	}
	return c
}

func (r *Rule) purposeFits(purpose string) bool { return len(r.For) == 0 || hasWord(r.For, purpose) }

func hasWord(words []Word, name string) bool {
	return slices.ContainsFunc(words, func(w Word) bool { return w.Name == name })
}

// both is the conjunction of two answers.
func both(a, b answer) answer {
	switch {
	case a == no || b == no:
		return no
	case a == unknown || b == unknown:
		return unknown
	}
	return yes
}

// either is the disjunction of two answers.
func either(a, b answer) answer {
	switch {
	case a == yes || b == yes:
		return yes
	case a == unknown || b == unknown:
		return unknown
	}
	return no
}

// fix finds what no record can change.
func (k *kind) fix(s *Scope) {
	table := k.Table(Facts{})
	k.fixed = make([]*Decision, len(k.rules.categories))
	k.mayBlock = k.abroad || k.party != nil || k.broken
	for c := range k.fixed {
		if !k.asksRecord(CategoryID(c)) {
			k.fixed[c] = table.Decide(CategoryID(c))
		}
	}
	k.keepsAll = !slices.ContainsFunc(k.fixed, func(d *Decision) bool { return d == nil || d.Action != Keep })
	for _, rule := range slices.Concat(k.allow, k.limit) {
		k.mayBlock = k.mayBlock || slices.ContainsFunc(rule.Acts, func(a Act) bool { return a.Action == Block })
	}
	for kind, c := range s.kinds {
		if c != 0 && s.detectors&(1<<kind) != 0 && (k.fixed[c] == nil || k.fixed[c].Action != Keep) {
			k.detecting = true
		}
	}
}

// asksRecord reports whether the decision for a category can differ between records.
func (k *kind) asksRecord(c CategoryID) bool {
	if c == 0 {
		return false
	}
	if k.ended > 0 && k.rules.categories[c].Grade > General {
		return true
	}
	if k.party != nil && k.party.transfer != nil && k.party.transfer.Consent != "" {
		return true
	}
	if k.abroad && slices.ContainsFunc(k.conditions, func(c condition) bool { return c.what <= askGuardian }) {
		return true
	}
	for _, rule := range slices.Concat(k.allow, k.limit) {
		if _, named := rule.act(c); named && rule.asksRecord(k) {
			return true
		}
	}
	return false
}

// asksRecord reports whether what a rule does can differ between records.
func (r *kindRule) asksRecord(k *kind) bool {
	return len(r.record) > 0 || r.audience == "" || r.spares || r.inCase > 0 || r.accepted > 0 || r.over > 0 || r.level > LevelNone ||
		r.Unless != nil && r.Unless.Consent != "" || k.restricted > 0 && r.Basis != basisLaw ||
		k.objected > 0 && r.Basis == basisLegitimate
}
