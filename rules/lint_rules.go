package rules

import "slices"

// lintAllows finds allows that give nothing that another one does not give as well.
func (l *linter) lintAllows() {
	for i := range l.allow {
		l.lintAllow(i)
	}
}

func (l *linter) lintAllow(i int) {
	a := l.allow[i]
	for j, b := range l.allow {
		switch {
		case i == j || !l.covers(b, a):
		case !l.covers(a, b):
			l.report(a.Pos, lintShadowed, SeverityWarning,
				"rule %s permits nothing that %s does not permit as well, under no more conditions: take it out, or narrow %s", a.ID, b.ID, b.ID)
			return
		case j < i: // or it is reported there
			l.report(a.Pos, lintDuplicate, SeverityWarning, "rule %s says the same as %s at %s: take one of them out", a.ID, b.ID, b.Pos)
			return
		}
	}
}

// covers reports whether b permits everything that a permits, at least as permissively, whenever a does.
func (l *linter) covers(b, a *compiledRule) bool {
	if !l.addresses(b, a) || !allIn(a.For, b.For) || len(b.From) > 0 && (len(a.From) == 0 || !allIn(a.From, b.From)) ||
		b.Case != "" && b.Case != a.Case || !asksLess(b.When, a.When) {
		return false
	}
	permits := false
	for id := range l.categories {
		info := &l.categories[id]
		if id == 0 || info.Grade == Open || !a.named[id] {
			continue
		}
		if permits = true; !b.named[id] || b.acts[id] > a.acts[id] || !b.agreedWhenever(a, CategoryID(id)) {
			return false
		}
		if shown := a.acts[id]; b.acts[id] == shown && (shown == Mask || shown == Pseudonymize) && b.look(info) != a.look(info) {
			return false
		}
	}
	return permits
}

// addresses reports whether everybody to whom a speaks is one to whom b speaks.
func (l *linter) addresses(b, a *compiledRule) bool {
	return !slices.ContainsFunc(a.To, func(w Word) bool {
		entry := l.register[w.Name]
		return !hasWord(b.To, w.Name) && (entry == nil || !hasWord(b.To, entry.Kind))
	})
}

func allIn(words, others []Word) bool {
	return !slices.ContainsFunc(words, func(w Word) bool { return !hasWord(others, w.Name) })
}

// asksLess reports whether all tests hold whenever the others do.
func asksLess(tests, others []Test) bool {
	return !slices.ContainsFunc(tests, func(t Test) bool {
		return !slices.ContainsFunc(others, func(o Test) bool {
			return o.Claim == t.Claim && sameFields(o.Fields, t.Fields) &&
				!slices.ContainsFunc(o.Want, func(w string) bool { return !slices.Contains(t.Want, w) })
		})
	})
}

// agreedWhenever reports whether what b asks of the data subject for a category holds whenever what a asks does. A consent
// and the law outlive a restriction, any other basis ends with it, and legitimate interests end with an objection, too.
func (b *compiledRule) agreedWhenever(a *compiledRule, c CategoryID) bool {
	aAsks, bAsks := a.acts[c] < Blank, b.acts[c] < Blank
	switch {
	case !bAsks:
		return true
	case b.Since > 0 && (!aAsks || a.Since < b.Since):
		return false
	case b.Basis == basisLaw:
		return true
	case !aAsks || a.Basis == basisLaw:
		return false
	case b.level > LevelNone:
		return a.level >= b.level
	case a.level > LevelNone:
		return false
	}
	return b.Basis != basisLegitimate || a.Basis == basisLegitimate
}

// look is how a rule writes what it masks.
func (r *compiledRule) look(info *CategoryInfo) masking {
	m := masking{info.spec, r.Numbers == "string"}
	if own, ok := r.ownMask(info.Name); ok {
		m.spec = own
	}
	if r.Length == "hide" {
		m.spec = m.spec.HideLength()
	}
	return m
}

// lintLimits finds limits that lower nothing. Documents without an allow are for others to build on.
func (l *linter) lintLimits() {
	for _, limit := range l.limit {
		if len(l.allow) > 0 && !l.lowers(limit) {
			l.report(limit.Pos, lintIdle, SeverityNote,
				"limit %s lowers nothing: no allow that it meets gives more than it leaves. It guards against rules to come, or names the wrong ones", limit.ID)
		}
	}
}

func (l *linter) lowers(limit *compiledRule) bool {
	for id := range l.categories {
		if id == 0 || !limit.named[id] {
			continue
		}
		least := limit.acts[id]
		if least == Block || l.categories[id].Grade == Open { // it refuses what is only stripped otherwise; the open needs no allow
			return true
		}
		for _, a := range l.allow {
			if !a.named[id] || !l.meets(limit, a) {
				continue
			}
			if a.acts[id] < least || a.acts[id] == Mask && least == Mask && limit.look(&l.categories[id]) != a.look(&l.categories[id]) {
				return true
			}
		}
	}
	return false
}

// meets reports whether some disclosure can be one of both rules. A caller may have several roles, be the data subject and
// belong to a recipient, so that all that counts of callers is that there is one.
func (l *linter) meets(limit, a *compiledRule) bool {
	if len(limit.For) > 0 && !slices.ContainsFunc(a.For, func(w Word) bool { return hasWord(limit.For, w.Name) }) {
		return false
	}
	return slices.ContainsFunc(limit.To, func(w Word) bool {
		return slices.ContainsFunc(a.To, func(v Word) bool { return l.meet(w.Name, v.Name) })
	})
}

func (l *linter) meet(limit, allow string) bool {
	switch {
	case limit == Us || allow == Us:
		return limit == allow
	case !l.KnowsRecipient(limit): // a caller, of whatever organisation
		return true
	case !l.KnowsRecipient(allow):
		return false
	}
	kind := func(name string) string {
		if entry := l.register[name]; entry != nil {
			return entry.Kind
		}
		return name
	}
	return limit == allow || kind(limit) == kind(allow) && (l.register[limit] == nil || l.register[allow] == nil)
}
