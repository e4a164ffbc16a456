package rules

import (
	"slices"
	"time"
)

// soon is how long before its end a contract or a transfer is worth a word.
const soon = 30 * 24 * time.Hour

// lintRegister finds entries of the register that nothing may go to today, or soon, or ever.
func (l *linter) lintRegister() {
	for _, d := range l.own() {
		for i := range d.Recipients {
			r := &d.Recipients[i]
			if !r.Suspended.IsZero() && !l.now.Before(r.Suspended) {
				l.report(r.Pos, lintContract, SeverityNote, "recipient %s is suspended since %s: nothing above open goes to it", r.Name, day(r.Suspended))
				continue
			}
			l.lintContract(r)
			l.lintTransfer(r)
			if len(l.allow) > 0 && !l.isAllowed(r) {
				l.report(r.Pos, lintRecipient, SeverityWarning,
					"no allow is to %s, so nothing above open ever goes to it: write one `to: %s`, or take the entry out", r.Name, r.Name)
			}
		}
	}
}

func (l *linter) lintContract(r *Recipient) {
	if !r.Suspended.IsZero() && r.Suspended.Sub(l.now) < soon {
		l.report(r.Pos, lintContract, SeverityWarning, "recipient %s is suspended from %s on", r.Name, day(r.Suspended))
	}
	if r.From.IsZero() && r.Until.IsZero() {
		if r.Lacks(l.now) == Agreement {
			l.report(r.Pos, lintContract, SeverityWarning, "recipient %s has no `contract`, so nothing above open goes to it", r.Name)
		}
		return
	}
	l.lintPeriod(r.Pos, lintContract, "the contract with "+r.Name, r.From, r.Until)
}

func (l *linter) lintTransfer(r *Recipient) {
	abroad := l.home != "" && !l.Within(l.home, r.Country)
	switch t := r.Transfer; {
	case abroad && r.Country == "":
		l.report(r.Pos, lintTransfer, SeverityWarning, "recipient %s has no `country`, and unknown counts as abroad: nothing above open goes to it", r.Name)
	case t == nil && abroad:
		severity := SeverityWarning
		if r.Kind == "authority" || r.Kind == "public" {
			severity = SeverityNote // registered so that nothing goes there
		}
		l.report(r.Pos, lintTransfer, severity, "recipient %s is in %s, outside of %s, and has no `transfer`: nothing above open goes to it", r.Name, r.Country, l.home)
	case t == nil:
	case inForce(t.From, t.Until, l.now) && !t.valid(l.countriesOf(r.Country), l.now):
		l.report(t.Pos, lintTransfer, SeverityError, "the transfer to %s is incomplete: its mechanism %s needs an `assessment`", r.Name, t.Mechanism)
	default:
		l.lintPeriod(t.Pos, lintTransfer, "the transfer to "+r.Name, t.From, t.Until)
	}
}

func (l *linter) lintPeriod(pos Pos, code, what string, from, until time.Time) {
	switch left := until.Sub(l.now); {
	case l.now.Before(from):
		l.report(pos, code, SeverityNote, "%s begins on %s: nothing above open goes there before", what, day(from))
	case until.IsZero():
	case left <= 0:
		l.report(pos, code, SeverityError, "%s ended on %s: nothing above open goes there; renew it, or take it out", what, day(lastDay(until)))
	case left < soon:
		l.report(pos, code, SeverityWarning, "%s ends on %s: renew it in time", what, day(lastDay(until)))
	}
}

// lastDay is the day that a period still holds on. An end is the first instant after it.
func lastDay(until time.Time) time.Time { return until.Add(-time.Nanosecond) }

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// isAllowed reports whether some allow is to a recipient, for a purpose that it is registered for.
func (l *linter) isAllowed(r *Recipient) bool {
	return slices.ContainsFunc(l.allow, func(a *compiledRule) bool {
		return (hasWord(a.To, r.Name) || hasWord(a.To, r.Kind)) &&
			(len(r.Purposes) == 0 || slices.ContainsFunc(a.For, func(w Word) bool { return hasWord(r.Purposes, w.Name) }))
	})
}
