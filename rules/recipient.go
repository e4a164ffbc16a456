package rules

import (
	"slices"
	"strings"
	"time"
)

// party is the recipient that a disclosure is judged as: a caller reads for it, or the message goes to it.
type party struct {
	name     string
	entry    *Recipient // nil: it is not registered
	refusal  Reason     // why nothing above open may go to it; Permitted: it may
	transfer *Transfer  // of another country, that has to cover each category; nil: none is needed
}

// recipient is the name of the register entry that a disclosure goes to; "": a caller who reads for us, or us.
func (d *Disclosure) recipient() string {
	switch d.Position {
	case Egress:
		return d.Recipient
	case Inbound:
		return ""
	}
	return d.Caller.Organisation
}

// sender is the organisation that we collect from: one whose answer comes in, or that a caller sends for; "": a caller.
func (d *Disclosure) sender() string {
	if d.Recipient != "" {
		return d.Recipient
	}
	return d.Caller.Organisation
}

// partyOf finds the recipient of a disclosure and what the register says of it at this moment. nil: there is none.
func (r *Ruleset) partyOf(d *Disclosure) *party {
	name := d.recipient()
	if name == "" && d.Position != Egress {
		return nil
	}
	p := &party{name: name, entry: r.register[name]}
	p.refusal = p.agreement(d)
	if lacks := r.border(p, d); lacks != Permitted && (p.refusal == Permitted || lacks < p.refusal) {
		p.refusal = lacks
	}
	return p
}

// agreement returns why there is none with the recipient.
func (p *party) agreement(d *Disclosure) Reason {
	if lacks := p.entry.Lacks(d.Time); lacks != Permitted {
		return lacks
	}
	if len(p.entry.Purposes) > 0 && !hasWord(p.entry.Purposes, d.Purpose) {
		return Agreement
	}
	return Permitted
}

// Lacks returns why nothing at all may go to a recipient at this time, for whatever purpose. nil is one that is in no
// register.
func (e *Recipient) Lacks(now time.Time) Reason {
	switch {
	case e == nil:
		return RecipientUnknown
	case !e.Suspended.IsZero() && !now.Before(e.Suspended):
		return Agreement
	case e.Kind == "own" || e.Kind == "authority" || e.Kind == "public":
		return Permitted
	case e.From.IsZero() && e.Until.IsZero() || !inForce(e.From, e.Until, now):
		return Agreement
	}
	return Permitted
}

// Standing returns why nothing above open may go to the recipient of a disclosure at its time; Permitted where nothing but
// categories and consents can be missing.
func (r *Ruleset) Standing(d *Disclosure) Reason { return r.partyOf(d).lacks() }

func inForce(from, until, now time.Time) bool {
	return !now.Before(from) && (until.IsZero() || now.Before(until))
}

// border returns why the data may not cross into the recipient's country, and notes the transfer that lets it. Who reads
// may be elsewhere than where the recipient is registered: then both have to be allowed.
func (r *Ruleset) border(p *party, d *Disclosure) Reason {
	if r.home == "" {
		return Permitted
	}
	var countries []string
	if p.entry != nil {
		countries = append(countries, p.entry.Country)
	}
	if d.Position != Egress {
		countries = append(countries, d.Caller.Country)
	}
	for _, country := range countries {
		switch {
		case r.Within(r.home, country):
		case p.entry == nil || !r.Within(p.entry.Country, country):
			return Country
		case p.entry.Transfer == nil:
			return p.abroad(Country)
		case !p.entry.Transfer.valid(r.countriesOf(country), d.Time):
			return p.abroad(TransferMissing)
		default:
			p.transfer = p.entry.Transfer
		}
	}
	return Permitted
}

// abroad is the reason why a recipient in another country gets nothing. To a foreign authority it is always that nobody
// approved: PIPL 41, GDPR 48.
func (p *party) abroad(otherwise Reason) Reason {
	if p.entry.Kind == "authority" {
		return Authority
	}
	return otherwise
}

// adequate are the countries that the European Commission has found to protect data adequately (GDPR 45(3)), as of 2025.
// The United States are missing, because only companies of the Data Privacy Framework are: there the entry says adequacy.
const adequate = "AD AR CA CH FO GB GG IL IM JE JP KR NZ UY"

// valid reports whether a transfer to these countries is complete but for categories and consents. Clauses between two companies bind no state, so
// that for a country without an adequacy decision somebody must have assessed its law (CJEU C-311/18, clause 14 of the
// SCC); what PIPL 38 asks for has an assessment by PIPL 55.
func (t *Transfer) valid(countries []string, now time.Time) bool {
	if !inForce(t.From, t.Until, now) {
		return false
	}
	switch t.Mechanism {
	case "scc", "bcr":
		return t.Assessment != "" || !slices.ContainsFunc(countries, func(c string) bool { return !strings.Contains(adequate, c) })
	case "security_assessment", "standard_contract", "certification":
		return t.Assessment != ""
	}
	return true
}

// confine blocks what would leave for another country or for a recipient without a complete entry in the register. What
// is blanked or stripped does not leave.
func (k *kind) confine(d Decision, info *CategoryInfo, f Facts) Decision {
	if d.Action == Blank || d.Action == Strip {
		return d
	}
	lacks := k.confined(info, f)
	if lacks == Permitted || d.Action == Block && d.Reason < lacks {
		return d
	}
	return Decision{Action: Block, Reason: lacks, paint: d.paint}
}

func (k *kind) confined(info *CategoryInfo, f Facts) Reason {
	switch {
	case k.abroad && k.readsOwn(f) != yes:
		return Country
	case k.party == nil || k.party.refusal != Permitted:
		return k.party.lacks()
	}
	t := k.party.transfer
	if t == nil {
		return Permitted
	}
	covers := func(w Word) bool { return Category(w.Name).Contains(info.Name) || w.Name == info.Grade.String() }
	level, _ := ParseLevel(t.Consent)
	switch {
	case len(t.Categories) > 0 && !slices.ContainsFunc(t.Categories, covers):
		return k.party.abroad(TransferMissing)
	case t.Consent != "" && f.lacking == Unavailable:
		return Unavailable
	case t.Consent != "" && f.consented(info.Name, level, k.since) != Permitted:
		return k.party.abroad(TransferMissing)
	}
	return Permitted
}

func (p *party) lacks() Reason {
	if p == nil {
		return Permitted
	}
	return p.refusal
}

// stripsDenied reports whether the register says that what is refused is left out, and the rest goes.
func (p *party) stripsDenied() bool { return p.entry != nil && p.entry.Denied == "strip" }

// is reports whether the recipient has this name, or is of this kind.
func (p *party) is(name string) bool {
	return p != nil && (name == p.name || p.entry != nil && name == p.entry.Kind)
}

// readsOwn answers whether the caller is the data subject or its guardian.
func (k *kind) readsOwn(f Facts) answer {
	a := no
	for i, c := range k.conditions {
		if c.what == askSelf || c.what == askGuardian {
			a = either(a, f.get(i))
		}
	}
	return a
}
