package rules

import (
	"encoding/binary"
	"slices"
	"strconv"
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
