package rules

import (
	"cmp"
	"time"
)

// Mechanism is the transfer of the register that lets data of this disclosure leave for another country; "": none has to, or
// none does.
func (j *Judge) Mechanism() string {
	if j.party == nil || j.party.refusal != Permitted || j.party.transfer == nil {
		return ""
	}
	return j.party.transfer.Mechanism
}

// Agreed is what a data subject agreed to that counts for this disclosure: the strongest consent, of these the newest. It is
// nil where none counts, or no rule asks for one. Whoever is below the full age here is judged as a minor, whatever limit
// their country has: a record says where they are, and this is asked without one.
func (j *Judge) Agreed(person *Person) (best *Consent) {
	if !j.asksConsent || person == nil || person.Ended {
		return nil
	}
	now := j.Now()
	minor := person.Minor || underAge(person.Born, fullAge, now) == yes
	objected := j.said(person, func(c *Consent) time.Time { return c.Objected })
	withdrawn := j.said(person, func(c *Consent) time.Time { return c.Withdrawn })
	for i := range person.Consents {
		c := &person.Consents[i]
		if c.Purpose != j.disclosure.Purpose || c.Given.IsZero() || !j.granted(c.Recipient) ||
			c.lacks(minor, objected, withdrawn, now) != Permitted {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(c.Level, best.Level), c.Given.Compare(best.Given)) > 0 {
			best = c
		}
	}
	return best
}
