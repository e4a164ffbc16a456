package rules

import (
	"slices"

	"github.com/caddy-minimize/minimize/rules/mask"
)

// Names in `to` that are no role and no recipient.
const (
	Anonymous = "anonymous" // a caller with no declared role
	Self      = "self"      // a caller whose own data it is
	Guardian  = "guardian"
	Us        = "us"  // we collect
	Any       = "any" // whoever reads or receives; in limits only
)

// Decision is the answer for one category.
type Decision struct {
	Action  Action
	Reason  Reason
	Rule    string // the deciding rule's id; "" where no rule does: nobody permits it, or a built-in limit
	Law     string // quoted by a limit
	Numbers bool   // a masked number becomes a string, not null
	paint   *paint
}

// paint is how mask, pseudonymize and blank write a category.
type paint struct {
	spec     mask.Spec
	blank    string
	keys     *KeyRing
	audience string
	category Category
}

// Append writes what mask or pseudonymize leaves of an unescaped string, or of a number's literal. For any other action
// it writes the mask: in a text, what is stripped is masked.
func (d *Decision) Append(dst, value []byte) []byte {
	if d.Action == Pseudonymize {
		return d.paint.keys.Append(dst, d.paint.audience, d.paint.category, value)
	}
	return d.paint.spec.Append(dst, value)
}

// AppendNumber writes the JSON value that mask or pseudonymize leaves of a number's literal: null, a number where the
// mask of one is one (a year, a coordinate), or a string where the rule says so.
func (d *Decision) AppendNumber(dst, literal []byte) []byte {
	if d.Action != Pseudonymize && d.paint.spec.Numeric() {
		return d.Append(dst, literal)
	}
	if d.Action != Pseudonymize && !d.Numbers {
		return append(dst, "null"...)
	}
	return append(d.Append(append(dst, '"'), literal), '"')
}

// BlankUUID reports whether blank leaves the zero UUID of a string, as platforms do for an advertising id that is off.
func (d *Decision) BlankUUID() bool { return d.paint.blank == "uuid" }

// builtin are the limits that no document can lift, for what we disclose. Whole address books are other people's data; PCI DSS
// 3.3.1 lets nobody keep a card's security code, so nobody may read one.
var builtin = []struct {
	category Category
	action   Action
}{
	{AuthSecret, Strip},
	{CardSecurity, Strip},
	{AddressBook, Blank},
}

// The categories that built-in limits name.
const (
	AuthSecret   Category = "auth.secret"
	AuthToken    Category = "auth.token"
	CardSecurity Category = "card.security"
	CardNumber   Category = "card.number"
	AddressBook  Category = "addressbook"

	FinancialDebt   Category = "financial.debt"
	FinancialCredit Category = "financial.credit"
)

// decide is the decision, a pure function of the kind of disclosure, the category and what is known of the record:
// nothing above open unless an allow permits it, the most permissive one counts; then every limit lowers, the strictest
// counts. So the order of rules never matters.
func (k *kind) decide(id CategoryID, f Facts) Decision {
	info := &k.rules.categories[id]
	switch {
	case k.broken:
		return Decision{Action: Block, Reason: Unavailable, paint: k.paint(nil, info)}
	case id == 0:
		return Decision{Action: k.undeclared, Reason: undeclaredReason(k.undeclared), paint: k.paint(nil, info)}
	}
	d := Decision{Action: Keep, paint: k.paint(nil, info)}
	if info.Grade > Open {
		d = k.permit(id, f)
	}
	d = k.lower(d, id, f)
	if info.Grade > Open {
		d = k.confine(d, info, f)
	}
	return d
}

func undeclaredReason(a Action) Reason {
	if a == Keep {
		return Permitted
	}
	return Surplus
}

// permit is what the allows make of a category: the most permissive one whose conditions hold; of equals the least id,
// so that their order does not matter.
func (k *kind) permit(id CategoryID, f Facts) Decision {
	info := &k.rules.categories[id]
	d := Decision{Action: Strip, Reason: NoRule, paint: k.paint(nil, info)}
	permitted := false
	for i := range k.allow {
		rule := &k.allow[i]
		if k.to(rule, f) != yes {
			continue
		}
		action, named := k.names(rule.compiledRule, id)
		if !named {
			if d.Rule == "" && !permitted {
				d.Reason = Surplus
			}
			continue
		}
		if missing := k.missing(rule, action, info, f); missing != Permitted {
			if !permitted && (d.Rule == "" || rule.ID < d.Rule) {
				d.Reason, d.Rule = missing, rule.ID
			}
			continue
		}
		if !permitted || action < d.Action || action == d.Action && rule.ID < d.Rule {
			d = Decision{Action: action, Rule: rule.ID, Numbers: rule.Numbers == "string", paint: k.paint(rule, info)}
			permitted = true
		}
	}
	if !permitted && k.party != nil && d.Reason != Surplus && !k.party.stripsDenied() {
		d.Action = Block
	}
	return d
}

// to answers whether the caller is one of those a rule is about.
func (k *kind) to(rule *kindRule, f Facts) answer {
	a := no
	if rule.audience != "" && !(rule.spares && k.readsOwn(f) == yes) {
		return yes
	}
	if rule.self > 0 {
		a = either(a, f.get(rule.self-1))
	}
	if rule.guardian > 0 {
		a = either(a, f.get(rule.guardian-1))
	}
	return a
}

func (k *kind) when(rule *kindRule, f Facts) answer {
	a := rule.holds
	for _, c := range rule.record {
		a = both(a, f.get(c))
	}
	return a
}

// missing returns the first reason, in their order, why an allow does not hold for a category, or Permitted. What leaves
// nothing of a value needs neither a consent nor a basis.
func (k *kind) missing(rule *kindRule, action Action, info *CategoryInfo, f Facts) Reason {
	switch {
	case k.when(rule, f) == no:
		return NoRule
	case k.when(rule, f) == unknown:
		return k.or(f, NoRule)
	case rule.inCase > 0 && f.get(rule.inCase-1) != yes:
		return k.or(f, CaseMissing)
	case action >= Blank:
		return Permitted
	case rule.accepted > 0 && f.get(rule.accepted-1) != yes:
		return k.or(f, PolicyVersion)
	case rule.level > LevelNone:
		if lacks := f.consented(info.Name, rule.level, max(rule.Since, k.since)); lacks != Permitted {
			return lacks
		}
	case rule.Basis == basisLaw:
	case k.restricted > 0 && f.get(k.restricted-1) != no, rule.Basis == basisLegitimate && k.objected > 0 && f.get(k.objected-1) != no:
		return k.or(f, Objection)
	}
	if k.ended > 0 && info.Grade > General && rule.Basis != basisLaw && f.get(k.ended-1) != no {
		return k.or(f, Ended)
	}
	return Permitted
}

// or is a reason, or that nobody can tell because the store is away.
func (k *kind) or(f Facts, r Reason) Reason {
	if f.lacking == Unavailable {
		return Unavailable
	}
	return r
}

// unless reports whether what lifts a limit for a category is there.
func (k *kind) unless(rule *kindRule, info *CategoryInfo, f Facts) bool {
	u := rule.Unless
	return rule.lifted || u != nil && (rule.inCase > 0 && f.get(rule.inCase-1) == yes ||
		u.Consent != "" && f.consented(info.Name, rule.level, 0) == Permitted)
}

// lower applies the limits: what cannot be answered counts against the disclosure. The strictest action counts, and of
// several masks what all of them show; the rule named is the least id of those that made a difference.
func (k *kind) lower(d Decision, id CategoryID, f Facts) Decision {
	info := &k.rules.categories[id]
	strictest := d.Action
	var limits []*kindRule
	for i := range k.limit {
		rule := &k.limit[i]
		if action, named := rule.act(id); named && k.to(rule, f) != no && k.when(rule, f) != no && !k.unless(rule, info, f) &&
			(rule.over == 0 || f.get(rule.over-1) != no) {
			limits = append(limits, rule)
			strictest = max(strictest, action)
		}
	}
	allowed := d
	for _, rule := range limits {
		action, _ := rule.act(id)
		if action != strictest {
			continue
		}
		own := Decision{Action: action, Reason: rule.limitReason(), Rule: rule.ID, Law: rule.Law, Numbers: rule.Numbers == "string", paint: k.paint(rule, info)}
		lowers := strictest > allowed.Action || strictest == Mask && allowed.joined(&own) != allowed.mask()
		if strictest > d.Action {
			d = own
			continue
		}
		d.setMask(d.joined(&own))
		if lowers && (d.Reason == Permitted || own.Rule < d.Rule) {
			d.Reason, d.Rule, d.Law = own.Reason, own.Rule, own.Law
		}
	}
	if least := k.leastBuiltin(info.Name); least > d.Action {
		d = Decision{Action: least, Reason: Limited, paint: k.paint(nil, info)}
	}
	return d
}

// masking is how a value is masked.
type masking struct {
	spec    mask.Spec
	numbers bool
}

func (d *Decision) mask() masking { return masking{d.paint.spec, d.Numbers} }

// joined shows what both decisions' masks show.
func (d *Decision) joined(e *Decision) masking {
	return masking{d.paint.spec.Join(e.paint.spec), d.Numbers && e.Numbers}
}

func (d *Decision) setMask(m masking) {
	if d.Action == Mask && m != d.mask() {
		p := *d.paint
		p.spec = m.spec
		d.paint, d.Numbers = &p, m.numbers
	}
}

func (k *kind) leastBuiltin(c Category) Action {
	least := Keep
	if k.inbound { // a password is for us to check
		return least
	}
	for _, b := range builtin {
		if b.category.Contains(c) && !(k.egress && isCode(c)) {
			least = max(least, b.action)
		}
	}
	if k.party.is("public") || k.party.is("contacts") {
		if FinancialDebt.Contains(c) || FinancialCredit.Contains(c) {
			return Block
		}
	}
	if AuthToken.Contains(c) && !k.issued(c) {
		least = max(least, Strip)
	}
	return least
}

// isCode reports whether a category is of what one party proves something with. It can be sent to whom it is proven to, a
// card's security code to the payment provider, but a rule has to name it: not even secret or card are enough.
func isCode(c Category) bool { return AuthSecret.Contains(c) || CardSecurity.Contains(c) }

// spells reports whether a rule names a category that isCode, and not just its grade or what is around it.
func (r *compiledRule) spells(c Category) bool {
	return slices.ContainsFunc(r.Acts, func(a Act) bool { return isCode(Category(a.Name)) && Category(a.Name).Contains(c) })
}

// names returns what an allow says of a category. What is sent proves something to whoever gets it, so that a rule has to
// spell it.
func (k *kind) names(allow *compiledRule, id CategoryID) (Action, bool) {
	action, named := allow.act(id)
	if c := k.rules.categories[id].Name; k.egress && isCode(c) && !allow.spells(c) {
		return action, false
	}
	return action, named
}

func (k *kind) issued(c Category) bool {
	for _, i := range k.issues {
		if i.Contains(c) {
			return true
		}
	}
	return false
}

// paint is how a category is written under a rule, or without one.
func (k *kind) paint(rule *kindRule, info *CategoryInfo) *paint {
	p := &paint{spec: info.spec, blank: info.blank, keys: k.rules.keys, category: info.Name}
	if rule == nil {
		return p
	}
	if own, ok := rule.ownMask(info.Name); ok {
		p.spec = own
	}
	if rule.Length == "hide" {
		p.spec = p.spec.HideLength()
	}
	switch {
	case k.party != nil: // also where a limit of the reader's role speaks: two organisations share no token
		p.audience = k.party.name
		p.keys = p.keys.to(p.audience)
	case rule.audience != "":
		p.audience = rule.audience
	default:
		p.audience = Self
	}
	return p
}
