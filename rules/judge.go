package rules

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"time"
)

// Judge answers for one disclosure. Safe for concurrent use.
type Judge struct {
	*kind
	scope      *Scope
	disclosure *Disclosure
	subject    string // of the message
}

// maxKinds bounds the kinds of disclosure a rule set remembers. What a kind depends on is declared in the rules, so more
// than this means rules with very many conditions; those kinds are compiled anew each time.
const maxKinds = 4096

// Judge answers for one disclosure of messages in this scope. What is alike for many disclosures is compiled once.
func (s *Scope) Judge(d *Disclosure) *Judge {
	r := s.rules
	p := r.partyOf(d)
	key := string(r.kindKey(s, d, p))
	r.mu.RLock()
	k := r.kinds[key]
	r.mu.RUnlock()
	if k == nil {
		k = newKind(s, d, p)
		r.mu.Lock()
		if len(r.kinds) < maxKinds {
			r.kinds[key] = k
		}
		r.mu.Unlock()
	}
	j := &Judge{k, s, d, ""}
	j.subject = j.about()
	return j
}

// about is whose data a message is where no record says so: that of its route, or of the case that the caller acts in.
func (j *Judge) about() string {
	d := j.disclosure
	switch c := d.Caller.Case; {
	case d.Subject != "":
		return d.Subject
	case d.Position == Inbound && d.Recipient == "":
		return d.Caller.ID
	case c != nil && c.open(j.Now()):
		return c.Subject
	case c == nil && d.Caller.CaseID != "" && d.People != nil:
		if c = d.People.Case(d.Caller.CaseID); c != nil && c.open(j.Now()) && j.mayAct(c) {
			return c.Subject
		}
	}
	return ""
}

// kindKey spells what a kind of disclosure depends on: nothing that a caller could make new ones of without end.
func (r *Ruleset) kindKey(s *Scope, d *Disclosure, p *party) []byte {
	key := make([]byte, 0, 128)
	key = append(key, byte(d.Position), bit(s.undeclared), bit(s.broken), bit(d.Caller.ID != ""), bit(len(d.Caller.Guardian) > 0),
		bit(p != nil), bit(d.sender() != ""), bit(r.Within(r.home, d.Caller.Country)), bit(s.retains()),
		bit(d.People != nil), bit(slices.Contains(d.Objected, d.Purpose)))
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
	if d.Position == Inbound && r.register[d.sender()] != nil {
		key = append(append(key, 0), d.sender()...)
	}
	if p != nil {
		key = append(key, 0, byte(p.refusal), bit(p.transfer != nil))
		if p.entry != nil {
			key = append(key, p.name...)
		}
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
type Facts struct {
	bits [maxConditions / 32]uint64
	consent
}

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

// Pending is a record as far as it answers by itself. What is known of its data subject completes it.
type Pending struct {
	facts   Facts
	subject subjectState
	ward    bool // the caller is said to be its guardian
	self    bool
	minor   answer
	born    bool // the record should say when the data subject was born
	limit   int  // years, below which the data subject is a minor
	ended   answer
	signed  *Case // of this data subject, where authentication says so
}

// subjectState says whether a store can be asked about a record's data subject.
type subjectState uint8

const (
	subjectUnknown subjectState = iota // it should be there and is not
	subjectKnown
	subjectNobody // nobody says whose data it is: there is nobody who could have said something
)

// Known reports whether a store can be asked about the record's data subject.
func (p *Pending) Known() bool { return p.subject == subjectKnown }

// Begin answers what a record of this row says itself. Values are in the order of its slots. A record that is the whole
// message and does not say whose it is gets the subject of the message there. Where it should say so itself, and says nothing, it is
// whose the route says; that somebody has a case does not make another one's answer part of it.
func (j *Judge) Begin(record int, values []Value) Pending {
	row := j.scope.records[record]
	j.settle(row, values)
	if len(row.At) == 0 && values[slotSubject].State == Missing { // it is the message
		about := j.subject
		if row.Subject != nil {
			about = j.disclosure.Subject
		}
		if about != "" {
			values[slotSubject] = Value{Known, []byte(about)}
		}
	}
	subject := values[slotSubject]
	p := Pending{born: row.Born != nil, limit: fullAge, ended: no}
	switch {
	case subject.State == Known && len(subject.Text) > 0:
		p.about(j.disclosure, string(subject.Text))
	case row.Subject == nil && j.nobody():
		p.subject = subjectNobody
	}
	if v := values[slotCountry]; v.State == Known {
		p.limit = ageLimit(string(v.Text))
	}
	if row.Minor {
		p.minor = yes
	} else if v := values[slotBorn]; v.State == Known {
		now := j.disclosure.Time
		p.minor = underAge(birthDate(string(v.Text), now), p.limit, now)
	}
	if row.Retain != "" {
		p.ended = unknown
		if v := values[slotCreated]; v.State == Known {
			p.ended = expired(creation(string(v.Text)), row.Retain, j.disclosure.Time)
		}
	}
	for i, c := range j.conditions {
		switch c.what {
		case askCountry:
			if v := values[slotCountry]; IsCountry(string(v.Text)) { // "China" is no answer, rather than a no
				p.facts.set(i, ask(v, c.want))
			}
		case askField:
			p.facts.set(i, askFields(c, values[slotFields:]))
		}
	}
	return p
}

// settle answers a question that has several pointers by all of them.
func (j *Judge) settle(row *Record, values []Value) {
	next := slotFields + len(j.scope.rules.fields)
	for i, pointers := range row.pointers() {
		for range max(len(pointers)-1, 0) {
			values[i] = j.agreed(i, values[i], values[next])
			next++
		}
	}
}

// agreed is what two pointers to one fact say together. Of two days the stricter one counts: who was born later is younger, and
// what was created earlier is older. Any other contradiction tells nothing.
func (j *Judge) agreed(slot int, a, b Value) Value {
	switch {
	case b.State == Missing:
		return a
	case a.State == Missing:
		return b
	case a.State == Known && b.State == Known && bytes.Equal(a.Text, b.Text):
		return a
	}
	first, second := j.day(slot, a), j.day(slot, b)
	switch {
	case first.IsZero() || second.IsZero():
		return Value{State: Ambiguous}
	case first.Before(second) == (slot == slotBorn):
		return b
	}
	return a
}

// day is the day that a fact names, zero where it names none.
func (j *Judge) day(slot int, v Value) time.Time {
	switch {
	case v.State != Known:
	case slot == slotBorn:
		return birthDate(string(v.Text), j.disclosure.Time)
	case slot == slotCreated:
		return creation(string(v.Text))
	}
	return time.Time{}
}

// Inside notes that a record stands in another one whose data subject should be known. Who says nothing of the inner one's
// cannot rule out that it is the same person's.
func (p *Pending) Inside() {
	if p.subject == subjectNobody {
		p.subject = subjectUnknown
	}
}

// Record is a row of the records.
func (j *Judge) Record(row int) *Record { return j.scope.records[row] }

// Names reports whether records of this row say whose data they are.
func (j *Judge) Names(record int) bool { return j.scope.records[record].Subject != nil }

// nobody reports whether nobody says whose data the message is.
func (j *Judge) nobody() bool {
	return j.subject == "" && !j.disclosure.Unnamed && j.disclosure.Caller.CaseID == "" && j.disclosure.Caller.Case == nil
}

// Subject is whose data a record is, where Begin knows it.
func (j *Judge) Subject(values []Value) []byte { return values[slotSubject].Text }

// about notes who the caller is to a data subject.
func (p *Pending) about(d *Disclosure, subject string) {
	p.subject = subjectKnown
	p.self = d.Caller.ID != "" && subject == d.Caller.ID
	p.ward = slices.Contains(d.Caller.Guardian, subject)
	if c := d.Caller.Case; c != nil && c.Subject == subject {
		p.signed = c
	}
}

// Message are the facts of values outside all records, and whose data the route or the caller's case says it is.
func (j *Judge) Message() (p Pending, subject string) {
	p = Pending{limit: fullAge, ended: no}
	switch {
	case j.subject != "":
		p.about(j.disclosure, j.subject)
	case j.nobody(): // or else a case taken away would disclose more
		p.subject = subjectNobody
	}
	return p, j.subject
}

// MessageFacts are the facts of values outside all records, as things stand now.
func (j *Judge) MessageFacts() Facts {
	p, subject := j.Message()
	if !p.Known() || !j.asksPeople() {
		return j.Complete(&p, nil, 0, j.Now())
	}
	people, nth, subjects := []*Person{nil}, []int{0}, [][]byte{[]byte(subject)}
	j.disclosure.People.Find(people, subjects)
	j.Seen(nth, subjects)
	return j.Complete(&p, people[0], nth[0], j.Now())
}

// UnknownFacts are the facts of a record that could not be read to its end in time: the least is disclosed.
func (j *Judge) UnknownFacts() Facts { return Facts{} }

// Now is the time to judge by: what ends while a long body is being judged ends for the rest of it.
func (j *Judge) Now() time.Time {
	if people := j.disclosure.People; people != nil {
		if now := people.Now(); now.After(j.disclosure.Time) {
			return now
		}
	}
	return j.disclosure.Time
}

// Seen counts data subjects for limits that ask how many the caller has seen today.
func (j *Judge) Seen(nth []int, subjects [][]byte) {
	if d := j.disclosure; j.most > 0 && d.People != nil && d.Caller.ID != "" {
		d.People.Seen(nth, d.Caller.ID, subjects, j.most)
	}
}

// People is the store that is asked about data subjects; nil: nothing depends on one.
func (j *Judge) People() People {
	if !j.asksPeople() {
		return nil
	}
	return j.disclosure.People
}

// Reached is who is told of data subjects; nil: nobody.
func (j *Judge) Reached() func(subject []byte, person *Person) { return j.disclosure.Reached }

func ask(v Value, want []string) answer {
	if v.State != Known {
		return unknown
	}
	return oneOf(string(v.Text), want)
}

// askFields answers by the fields that are there. Where one says otherwise than another, nobody can tell: a trade that is
// paid and cancelled is neither.
func askFields(c condition, values []Value) answer {
	says := unknown
	for _, row := range c.fields {
		v := values[row]
		if v.State == Missing {
			continue
		}
		a := ask(v, c.want)
		if a == unknown || says != unknown && a != says {
			return unknown
		}
		says = a
	}
	return says
}

// oneOf answers whether a scalar is one of some. Numbers are equal in any spelling: 3, 3.0 and 30e-1.
func oneOf(have string, want []string) answer {
	return answerOf(slices.ContainsFunc(want, func(w string) bool { return w == have || sameNumber(w, have) }))
}

// condition is one question about a record.
type condition struct {
	what   question
	fields []int // of askField: rows of Ruleset.fields
	want   []string
	name   string // of askCase: its kind
	least  int    // of askPolicy: the version; of askOver: how many are not over
}

type question uint8

const (
	askSelf question = iota
	askGuardian
	askMinor
	askCountry
	askField
	askEnded      // deleted, or past its time
	askRestricted // processing, by the data subject (GDPR 18)
	askObjected   // to this purpose (GDPR 21)
	askPolicy     // the data subject accepted this version or a newer one
	askCase
	askOver
)

// The claims of `when` that are no claims: what is asked of the record, or of the message.
const (
	whenMinor    = "minor"
	whenCountry  = "country"
	whenDownload = "download"
)

// minorKnown, of `when: {minor: known}`, asks for a minor only if somebody says so: without any answer it is no.
const minorKnown = "known"

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
