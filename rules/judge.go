package rules

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Judge answers for one disclosure. Safe for concurrent use.
type Judge struct {
	*kind
	scope      *Scope
	disclosure *Disclosure
}

// maxKinds bounds the kinds of disclosure a rule set remembers. What a kind depends on is declared in the rules, so more
// than this means rules with very many conditions; those kinds are compiled anew each time.
const maxKinds = 4096

// Judge answers for one disclosure of messages in this scope. What is alike for many disclosures is compiled once.
func (s *Scope) Judge(d *Disclosure) *Judge {
	r := s.rules
	key := string(r.kindKey(s, d))
	r.mu.RLock()
	k := r.kinds[key]
	r.mu.RUnlock()
	if k == nil {
		k = newKind(s, d)
		r.mu.Lock()
		if len(r.kinds) < maxKinds {
			r.kinds[key] = k
		}
		r.mu.Unlock()
	}
	return &Judge{k, s, d}
}

// kindKey spells what a kind of disclosure depends on: nothing that a caller could make new ones of without end.
func (r *Ruleset) kindKey(s *Scope, d *Disclosure) []byte {
	key := make([]byte, 0, 128)
	key = append(key, byte(d.Position), bit(s.undeclared), bit(s.broken), bit(d.Caller.ID != ""), bit(len(d.Caller.Guardian) > 0),
		bit(d.Caller.Organisation != ""), bit(inside(r.home, d.Caller.Country)), bit(s.retains()))
	key = binary.LittleEndian.AppendUint64(key, uint64(s.detectors))
	for _, t := range r.tests {
		if !t.ofRecord() {
			key = append(key, byte(t.ask(d)))
		}
	}
	if r.purposes[d.Purpose] {
		key = append(key, d.Purpose...)
	}
	key = append(key, 0)
	for _, role := range r.knownRoles(d) {
		key = append(append(key, role...), 0)
	}
	if r.lifting[d.Caller.Organisation] {
		key = append(append(key, 0), d.Caller.Organisation...)
	}
	for _, c := range d.Issues {
		key = append(append(key, 0), c...)
	}
	return key
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// knownRoles returns the caller's declared roles, sorted; none left is anonymous.
func (r *Ruleset) knownRoles(d *Disclosure) []string {
	var known []string
	for _, role := range d.Caller.Roles {
		if r.roles[role] {
			known = append(known, role)
		}
	}
	if len(known) == 0 {
		return []string{Anonymous}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// Scope is the scope it was made by.
func (j *Judge) Scope() *Scope { return j.scope }

// Value is what a record's slot gathered.
type Value struct {
	State ValueState
	Text  []byte // a string unescaped, another scalar as its literal
}

// ValueState says what Value.Text is worth.
type ValueState uint8

// The states of a slot.
const (
	Missing   ValueState = iota // not there (yet)
	Known                       // once, a scalar
	Ambiguous                   // twice, a container, null, or too long: no answer
)

// answer is true, false, or that nobody can tell.
type answer uint8

const (
	unknown answer = iota
	no
	yes
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

// maxConditions is how many answers Facts hold; the rules of one disclosure that ask more get no answer to the rest.
const maxConditions = 4 * 32

// Facts are the answers about one record that this disclosure asks for, comparable. Two records with the same Facts are
// judged alike. The zero Facts know nothing.
type Facts struct{ bits [maxConditions / 32]uint64 }

func (f Facts) get(i int) answer {
	if i >= maxConditions {
		return unknown
	}
	return answer(f.bits[i/32] >> (i % 32 * 2) & 3)
}

func (f *Facts) set(i int, a answer) {
	if i < maxConditions {
		f.bits[i/32] |= uint64(a) << (i % 32 * 2)
	}
}

// Facts answers what the disclosure asks of a record of this row. Values are in the order of its slots.
func (j *Judge) Facts(record int, values []Value) Facts {
	var f Facts
	for i, c := range j.conditions {
		f.set(i, j.answer(c, record, values))
	}
	return f
}

func (j *Judge) answer(c condition, record int, values []Value) answer {
	caller := &j.disclosure.Caller
	switch c.what {
	case askSelf, askGuardian:
		subject := values[slotSubject]
		if subject.State != Known || len(subject.Text) == 0 {
			return unknown
		}
		if c.what == askSelf {
			return answerOf(string(subject.Text) == caller.ID)
		}
		return answerOf(slices.Contains(caller.Guardian, string(subject.Text)))
	case askMinor:
		if j.scope.records[record].Minor {
			return oneOf("true", c.want)
		}
	case askCountry:
		if v := values[slotCountry]; IsCountry(string(v.Text)) { // "China" is no answer, rather than a no
			return ask(v, c.want)
		}
	case askEnded: // time does not count yet, so what has an end is past it
		return answerOf(j.scope.records[record].Retain != "")
	case askField:
		return ask(values[slotFields+c.field], c.want)
	}
	return unknown
}

func ask(v Value, want []string) answer {
	if v.State != Known {
		return unknown
	}
	return oneOf(string(v.Text), want)
}

// oneOf answers whether a scalar is one of some. Numbers are equal in any spelling: 3, 3.0 and 30e-1.
func oneOf(have string, want []string) answer {
	return answerOf(slices.ContainsFunc(want, func(w string) bool { return w == have || sameNumber(w, have) }))
}

// MessageFacts are the facts of values outside all records: whose data the route says it is.
func (j *Judge) MessageFacts() Facts {
	var f Facts
	subject := j.disclosure.Subject
	for i, c := range j.conditions {
		switch {
		case c.what == askEnded:
			f.set(i, no)
		case c.what == askSelf && subject != "":
			f.set(i, answerOf(subject == j.disclosure.Caller.ID))
		case c.what == askGuardian && subject != "":
			f.set(i, answerOf(slices.Contains(j.disclosure.Caller.Guardian, subject)))
		}
	}
	return f
}

// UnknownFacts are the facts of a record that could not be read to its end in time: the least is disclosed.
func (j *Judge) UnknownFacts() Facts { return Facts{} }

// condition is one question about a record.
type condition struct {
	what  question
	field int // of askField: row of Ruleset.fields
	want  []string
}

type question uint8

const (
	askSelf question = iota
	askGuardian
	askMinor
	askCountry
	askField
	askEnded
)

// The claims of `when` that are no claims: what is asked of the record, or of the message.
const (
	whenMinor    = "minor"
	whenCountry  = "country"
	whenDownload = "download"
)

// ofRecord reports whether a test asks the record, not the caller.
func (t *Test) ofRecord() bool {
	return t.Claim == "" || t.Claim == whenMinor || t.Claim == whenCountry
}

// ask answers a test that does not ask the record.
func (t *Test) ask(d *Disclosure) answer {
	if t.Claim == whenDownload {
		return oneOf(strconv.FormatBool(d.Download), t.Want)
	}
	have, ok := d.Caller.Claims[t.Claim]
	if !ok {
		return unknown
	}
	return oneOf(have, t.Want)
}

// kind is what all disclosures share that differ in nothing a rule asks for: which rules apply, and the decisions.
type kind struct {
	rules      *Ruleset
	roles      []string
	abroad     bool // outside home, or nobody knows where
	recipient  bool // of an organisation: judged as that recipient
	broken     bool
	undeclared Action
	issues     []Category
	ended      int // 1 + row of the condition that a record is past its time; 0: no record has one
	allow      []kindRule
	limit      []kindRule
	conditions []condition
	fixed      []*Decision // by CategoryID; nil: depends on the record
	detecting  bool
	mayBlock   bool

	mu     sync.RWMutex
	tables map[Facts]*Table
}

// kindRule is a rule as far as one kind of disclosure is concerned by it.
type kindRule struct {
	*compiledRule
	audience string // who of `to` the caller is, besides self and guardian; "" nobody
	self     int    // 1 + row of conditions, where `to` names self; 0: it does not
	guardian int
	holds    answer // what `when` asks of the caller
	record   []int  // rows of conditions that `when` asks of the record
	lifted   bool   // of a limit: its unless is met
}

// Table holds a decision for every category.
type Table struct{ decisions []Decision }

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
	t = &Table{decisions: make([]Decision, len(k.rules.categories))}
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
func (k *kind) AsksNothing() bool { return len(k.conditions) == 0 }

// KeepsAll reports whether everything stays as it is, whatever it is.
func (k *kind) KeepsAll() bool {
	return !slices.ContainsFunc(k.fixed, func(d *Decision) bool { return d == nil || d.Action != Keep })
}

// Fixed returns the decision for a category where it is the same for every record, or nil.
func (k *kind) Fixed(c CategoryID) *Decision { return k.fixed[c] }

// Detecting reports whether any detector's category may be anything but kept; if not, nothing needs detecting.
func (k *kind) Detecting() bool { return k.detecting }

// MayBlock reports whether any decision of this disclosure can be Block.
func (k *kind) MayBlock() bool { return k.mayBlock }

func newKind(s *Scope, d *Disclosure) *kind {
	r := s.rules
	k := &kind{
		rules: r, roles: r.knownRoles(d), broken: s.broken,
		abroad:    r.home != "" && !inside(r.home, d.Caller.Country),
		recipient: d.Caller.Organisation != "",
		issues:    slices.Clone(d.Issues),
		tables:    map[Facts]*Table{},
	}
	if s.undeclared {
		k.undeclared = Strip
	}
	if s.retains() {
		k.ended = 1 + k.condition(condition{what: askEnded})
	}
	k.allow = k.applying(r.allow, d)
	k.limit = k.applying(r.limit, d)
	if k.abroad { // reading one's own is no transfer
		k.caller(d, true, true)
	}
	k.fix(s)
	return k
}

// applying picks the rules whose `to`, `from` and `for` can be this disclosure's.
func (k *kind) applying(all []*compiledRule, d *Disclosure) []kindRule {
	var list []kindRule
	for _, c := range all {
		if !c.purposeFits(d.Purpose) || len(c.From) > 0 { // a response has no sender that a rule could name
			continue
		}
		rule := kindRule{compiledRule: c, holds: yes, lifted: c.Unless.met(d)}
		for _, role := range k.roles {
			if rule.audience == "" && hasWord(c.To, role) {
				rule.audience = role
			}
		}
		rule.self, rule.guardian = k.caller(d, hasWord(c.To, Self), hasWord(c.To, Guardian))
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
		list = append(list, rule)
	}
	return list
}

// caller returns the conditions of being self and guardian, 1 + their rows; 0 where this caller can be neither.
func (k *kind) caller(d *Disclosure, self, guardian bool) (int, int) {
	var s, g int
	if self && d.Caller.ID != "" {
		s = 1 + k.condition(condition{what: askSelf})
	}
	if guardian && len(d.Caller.Guardian) > 0 {
		g = 1 + k.condition(condition{what: askGuardian})
	}
	return s, g
}

// condition returns the row of a condition, adding it where it is new.
func (k *kind) condition(c condition) int {
	for i, have := range k.conditions {
		if have.what == c.what && have.field == c.field && slices.Equal(have.want, c.want) {
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
		return condition{what: askMinor, want: t.Want}
	case whenCountry:
		return condition{what: askCountry, want: t.Want}
	}
	field := slices.IndexFunc(r.fields, func(s Selector) bool { return slices.Equal(s, t.Field) })
	return condition{what: askField, field: field, want: t.Want}
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
	k.mayBlock = k.abroad || k.recipient || k.broken
	for c := range k.fixed {
		if !k.asksRecord(CategoryID(c)) {
			k.fixed[c] = table.Decide(CategoryID(c))
		}
	}
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
	if k.abroad && slices.ContainsFunc(k.conditions, func(c condition) bool { return c.what <= askGuardian }) {
		return true
	}
	for _, rule := range slices.Concat(k.allow, k.limit) {
		if _, named := rule.act(c); named && (len(rule.record) > 0 || rule.audience == "") {
			return true
		}
	}
	return false
}

// Role names the caller for metrics and audit: its declared roles, sorted and joined, or anonymous.
func (k *kind) Role() string { return strings.Join(k.roles, "+") }
