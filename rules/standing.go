package rules

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"
)

// consent is what a data subject's consents come to for one disclosure, comparable. Nearly everybody has one of all
// categories, or none.
type consent struct {
	level   Level
	policy  int32
	more    *grants // instead: several, or such that are for some categories only
	lacking Reason  // why there is none; Permitted: nobody can say more than that
}

// grants are consents that count, the same pointer for the same ones.
type grants struct{ list []grant }

type grant struct {
	level      Level
	policy     int32
	categories []Category // nil: all
}

// maxGrants bounds the different sets of consents that a kind remembers. Rarer ones are judged anew.
const maxGrants = 1024

// consented returns why no consent covers a category at a level, for a policy version; Permitted where one does.
func (c consent) consented(name Category, level Level, policy int) Reason {
	lacks := c.lacking
	if lacks == Permitted {
		lacks = ConsentMissing
	}
	if c.more == nil {
		return grant{level: c.level, policy: c.policy}.covers(name, level, policy, lacks)
	}
	for _, g := range c.more.list {
		if lacks = g.covers(name, level, policy, lacks); lacks == Permitted {
			return Permitted
		}
	}
	return lacks
}

// covers returns Permitted, or why not: the reason there was, or that the version is too old.
func (g grant) covers(name Category, level Level, policy int, otherwise Reason) Reason {
	switch {
	case g.level < level || g.categories != nil && !slices.ContainsFunc(g.categories, func(c Category) bool { return c.Contains(name) }):
		return otherwise
	case int(g.policy) < policy:
		return PolicyVersion
	}
	return Permitted
}

// Complete adds what is known at a time of a record's data subject: nil, that nobody can tell; nth is what People.Seen says.
func (j *Judge) Complete(p *Pending, person *Person, nth int, now time.Time) Facts {
	f := p.facts
	if len(j.later) == 0 && !j.asksConsent {
		return f
	}
	minor := p.isMinor(person, now)
	for _, i := range j.later {
		f.set(i, j.answer(&j.conditions[i], p, person, nth, minor, now))
	}
	switch {
	case person == nil && p.Known() && j.people:
		f.lacking = Unavailable
	case person != nil && j.asksConsent:
		f.consent = j.consentOf(p, person, minor == yes || minor == unknown && p.born, now)
	}
	return f
}

func (j *Judge) answer(c *condition, p *Pending, person *Person, nth int, minor answer, now time.Time) answer {
	switch c.what {
	case askSelf:
		return p.whether(p.self)
	case askGuardian:
		return either(p.whether(p.ward), j.told(p, person, func() bool { return slices.Contains(person.Guardians, j.disclosure.Caller.ID) }))
	case askMinor:
		switch {
		case minor != unknown:
			return oneOf(strconv.FormatBool(minor == yes), c.want)
		case slices.Contains(c.want, minorKnown) && !p.born:
			return j.told(p, person, func() bool { return false }) // the store does not say so either
		}
	case askEnded:
		return either(p.ended, j.told(p, person, func() bool { return person.Ended }))
	case askRestricted:
		return j.told(p, person, func() bool { return !j.said(person, func(c *Consent) time.Time { return c.Restricted }).IsZero() })
	case askObjected:
		return either(answerOf(j.objectsNow(p)), j.told(p, person, func() bool { return !j.said(person, func(c *Consent) time.Time { return c.Objected }).IsZero() }))
	case askPolicy:
		return j.told(p, person, func() bool { return person.Policy >= c.least })
	case askCase:
		return j.acts(c.name, p, person, now)
	case askOver:
		if nth > 0 {
			return answerOf(nth > c.least)
		}
	}
	return unknown
}

// whether is an answer about the data subject's id: unknown where there is none.
func (p *Pending) whether(is bool) answer {
	if p.subject != subjectKnown {
		return unknown
	}
	return answerOf(is)
}

// told is what a store says of a data subject. Where no store is configured, or nobody says whose data it is, nobody can
// have said anything; where somebody should be known, or the store is away, nobody can tell.
func (j *Judge) told(p *Pending, person *Person, says func() bool) answer {
	switch {
	case j.disclosure.People == nil || p.subject == subjectNobody:
		return no
	case person == nil:
		return unknown
	}
	return answerOf(says())
}

// isMinor answers whether a data subject is below the age limit. It is one if the record or the store says so.
func (p *Pending) isMinor(person *Person, now time.Time) answer {
	if p.minor == yes || person == nil {
		return p.minor
	}
	if person.Minor {
		return yes
	}
	switch stored := underAge(person.Born, p.limit, now); {
	case stored == unknown || p.minor == unknown:
		return max(stored, p.minor) // the one that is an answer
	default:
		return either(stored, p.minor)
	}
}

// objectsNow reports whether the data subject objects with this very request. What is sent on for somebody carries their
// objection, whoever they are.
func (j *Judge) objectsNow(p *Pending) bool {
	return (p.self || j.disclosure.Position == Egress) && slices.Contains(j.disclosure.Objected, j.disclosure.Purpose)
}

// said returns when a data subject last said something of this purpose, to everybody or to this recipient; zero: never.
func (j *Judge) said(person *Person, when func(*Consent) time.Time) (last time.Time) {
	for i := range person.Consents {
		c := &person.Consents[i]
		if when(c).After(last) && (c.Purpose == j.disclosure.Purpose || c.Purpose == "") && (c.Recipient == "" || j.party.is(c.Recipient)) {
			last = when(c)
		}
	}
	return last
}

// granted reports whether a consent given to name is one to who asks here. One that names nobody is for us and who works
// for us; sharing with anybody else has to name the recipient (PIPL 23, GDPR 13(1)(e)).
func (j *Judge) granted(name string) bool {
	if name != "" {
		return j.party.is(name)
	}
	return j.party == nil || j.party.is("own") || j.party.is("processor")
}

// consentOf is what a data subject's consents to this purpose and recipient come to. A minor's own do not count. An
// objection or a withdrawal ends what was agreed to before it, also in other words: to everybody, to a kind, or to this one.
func (j *Judge) consentOf(p *Pending, person *Person, minor bool, now time.Time) (is consent) {
	if person.Ended {
		return consent{lacking: Ended}
	}
	objected := j.said(person, func(c *Consent) time.Time { return c.Objected })
	if j.objectsNow(p) {
		objected = now
	}
	withdrawn := j.said(person, func(c *Consent) time.Time { return c.Withdrawn })
	var one grant
	var list []grant
	for i := range person.Consents {
		c := &person.Consents[i]
		if c.Purpose != j.disclosure.Purpose || c.Given.IsZero() || !j.granted(c.Recipient) {
			continue
		}
		lacks := c.lacks(minor, objected, withdrawn, now)
		switch g := (grant{c.Level, int32(c.Policy), c.Categories}); {
		case lacks != Permitted:
			if is.lacking == Permitted || lacks < is.lacking {
				is.lacking = lacks
			}
		case one.level == 0 && list == nil && g.categories == nil:
			one = g
		default:
			list = append(list, g)
		}
	}
	switch {
	case list != nil && one.level > 0:
		list = append(list, one)
		fallthrough
	case list != nil:
		return consent{more: j.intern(list)}
	case one.level > 0:
		return consent{level: one.level, policy: one.policy}
	case !objected.IsZero():
		is.lacking = Objection
	}
	return is
}

// lacks returns why a consent does not count; Permitted where it does.
func (c *Consent) lacks(minor bool, objected, withdrawn, now time.Time) Reason {
	switch {
	case minor && !c.ByGuardian:
		return GuardianMissing
	case !withdrawn.IsZero() && !c.Given.After(withdrawn), c.Given.After(now),
		!c.Expires.IsZero() && !now.Before(c.Expires), c.Level <= LevelBundled:
		return ConsentMissing
	case !objected.IsZero() && !c.Given.After(objected):
		return Objection
	}
	return Permitted
}

// intern returns the same grants for the same list, so that facts stay comparable.
func (k *kind) intern(list []grant) *grants {
	var key []byte
	for _, g := range list {
		key = append(binary.LittleEndian.AppendUint32(append(key, byte(g.level)), uint32(g.policy)), bit(g.categories == nil))
		for _, c := range g.categories {
			key = append(append(key, c...), 0)
		}
		key = append(key, 0)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	is := k.grants[string(key)]
	if is == nil {
		is = &grants{list}
		if len(k.grants) < maxGrants {
			k.grants[string(key)] = is
		}
	}
	return is
}

// acts answers whether the caller acts in an open case of this kind and data subject.
func (j *Judge) acts(kind string, p *Pending, person *Person, now time.Time) answer {
	if p.subject != subjectKnown {
		return unknown
	}
	who := &j.disclosure.Caller
	if p.signed != nil {
		return answerOf(p.signed.Kind == kind && p.signed.open(now))
	}
	if who.Case != nil || j.disclosure.People == nil {
		return no
	}
	if person == nil {
		return unknown
	}
	return answerOf(slices.ContainsFunc(person.Cases, func(c Case) bool {
		return c.Kind == kind && c.open(now) && (who.CaseID == "" || who.CaseID == c.ID) && j.mayAct(&c)
	}))
}

func (c *Case) open(now time.Time) bool { return c.Ends.IsZero() || now.Before(c.Ends) }

// mayAct reports whether the caller is one of those who may act in a case. A case that names nobody is for whom
// authentication puts into it.
func (j *Judge) mayAct(c *Case) bool {
	who := &j.disclosure.Caller
	if len(c.Callers) == 0 && len(c.Roles) == 0 {
		return who.CaseID == c.ID
	}
	if who.ID != "" && slices.Contains(c.Callers, who.ID) {
		return true
	}
	// Who reads for a recipient has nothing by a role.
	return j.party == nil && slices.ContainsFunc(c.Roles, func(r string) bool { return slices.Contains(j.roles, r) })
}
