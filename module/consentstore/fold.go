package consentstore

import (
	"slices"
	"time"
)

// state is a Record as it is stored: with when its objection and its restriction were last spoken of, so that an entry that
// comes late is known for one.
type state struct {
	Record
	ObjectionSaid   time.Time `json:"objection_time,omitzero"`
	RestrictionSaid time.Time `json:"restriction_time,omitzero"`

	// EndedForAll is the newest withdrawal or objection towards everybody, where this is the record without a recipient: no
	// consent from before counts towards anybody, though it comes late.
	EndedForAll time.Time `json:"ended_for_all,omitzero"`
}

// precision is what PostgreSQL's clock has.
const precision = time.Microsecond

// say tells the record what an entry says. It reports whether that is new, and fills in the entry as it goes into the
// history.
//
// An entry speaks of one of three things: the consent, the objection, or the restriction. One that is older than the newest
// that was said of it changes nothing. Of two from the same time the one that discloses less counts, because many sources
// know only the day.
func (s *state) say(e *Entry) (news bool, err error) {
	if e.Event == Give {
		news, err = s.give(e)
	} else {
		news = s.hear(e)
	}
	if news && !s.At.After(e.At) {
		s.ID, s.Event, s.At, s.Entity = e.ID, e.Event, e.At, e.Entity
	}
	return news, err
}

func (s *state) hear(e *Entry) bool {
	switch e.Event {
	case Withdraw:
		if !s.Withdrawn.IsZero() || e.At.Before(s.Given) {
			return false
		}
		s.Withdrawn = e.At
		return true
	case Object:
		return s.object(e)
	case Unobject:
		return lift(&s.Objected, &s.ObjectionSaid, e.At)
	case Restrict:
		if !s.Restricted.IsZero() || e.At.Before(s.RestrictionSaid) {
			return false
		}
		s.Restricted, s.RestrictionSaid = e.At, e.At
		return true
	case Unrestrict:
		return lift(&s.Restricted, &s.RestrictionSaid, e.At)
	}
	return false
}

// give starts anew, also after an objection: who agrees to a purpose now does not object to it any more.
func (s *state) give(e *Entry) (news bool, err error) {
	if !e.At.After(latest(s.Given, s.Withdrawn)) {
		return false, nil
	}
	reconciled := !s.Objected.IsZero() && s.Objected.Before(e.At)
	given := !s.Given.IsZero() && s.Withdrawn.IsZero()
	switch expired := !s.Expires.IsZero() && !e.At.Before(s.Expires); {
	case given && !expired && s.GivenBy == givenByGuardian && e.GivenBy != givenByGuardian:
		return false, ErrGuardian
	case given && !reconciled && s.sameTerms(e):
		return false, nil
	}
	if reconciled {
		s.Objected, s.ObjectionSaid = time.Time{}, e.At
	}
	s.Level, s.Categories, s.GivenBy = e.Level, e.Categories, e.GivenBy
	s.Policy, s.Expires, s.Evidence = e.Policy, e.Expires, e.Evidence
	s.Given, s.Withdrawn = e.At, time.Time{}
	return true, nil
}

func (s *state) sameTerms(e *Entry) bool {
	return s.Level == e.Level && s.GivenBy == e.GivenBy && s.Policy == e.Policy && s.Evidence == e.Evidence &&
		s.Expires.Equal(e.Expires) && slices.Equal(s.Categories, e.Categories)
}

// object notes an objection. That of a Sec-GPC header counts once: a browser sends it with every request, and who agrees
// later on knows better than their browser.
func (s *state) object(e *Entry) bool {
	first := e.GPC && s.GPCAt.IsZero()
	if e.GPC && !first || e.At.Before(latest(s.ObjectionSaid, s.Given)) || !s.Objected.IsZero() && !first {
		return false
	}
	if s.Objected.IsZero() {
		s.Objected = e.At
	}
	if first {
		s.GPCAt = e.At
	}
	s.ObjectionSaid = e.At
	return true
}

func lift(what, said *time.Time, at time.Time) bool {
	if what.IsZero() || !at.After(*said) {
		return false
	}
	*what, *said = time.Time{}, at
	return true
}

// normalize leaves only what the event has, as every database gives it back.
func (e *Entry) normalize() {
	e.At, e.Expires = stored(e.At), stored(e.Expires)
	e.GPC = e.GPC && e.Event == Object
	if e.Event != Give {
		e.Level, e.Categories, e.GivenBy, e.Policy, e.Expires = "", nil, "", 0, time.Time{}
		return
	}
	if len(e.Categories) == 0 {
		e.Categories = nil
	}
}

func (p *Profile) normalize() {
	p.Ended = stored(p.Ended)
	p.Guardians = sorted(p.Guardians)
}

func (c *Case) normalize() {
	c.Ends = stored(c.Ends)
	c.Callers, c.Roles = sorted(c.Callers), sorted(c.Roles)
}

func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(precision)
}

// sorted is a set of names in the one way in which it is stored.
func sorted(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	names = slices.Sorted(slices.Values(names))
	return slices.Compact(names)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
