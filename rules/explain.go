package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Explanation is why a category is decided as it is: what every rule that names it has to say.
type Explanation struct {
	Decision Decision
	Opinions []Opinion // allows before limits; of each, those first that lack the least
	Silent   []*Rule   // allows for this `to`, `from` and `for` that do not name the category
}

// Opinion is what one rule says of a category.
type Opinion struct {
	Rule    *Rule
	Limit   bool
	Applies bool // its `to`, `from` and `for` can be this disclosure's; the rest may lack
	Action  Action
	Lacks   []Lack // why an allow permits nothing, or a limit lowers nothing, in the order of the reasons; none: it counts
}

// Lack is one condition of a rule that does not hold.
type Lack struct {
	Key     string // of the rule: to, from, for, when, case, since, consent, basis, retain, unless, over
	Wants   string // as the rule has it
	Reason  Reason // of an allow
	Unknown bool   // nobody can tell, which counts against the disclosure
}

// Explain says why a category is decided as it is, for records with these facts. It is for people who ask, and slow.
func (j *Judge) Explain(c CategoryID, f Facts) Explanation {
	e := Explanation{Decision: j.decide(c, f)}
	for _, rule := range j.rules.allow {
		applied := applied(j.allow, rule)
		action, named := j.names(rule, c)
		switch {
		case named:
			e.Opinions = append(e.Opinions, Opinion{rule.Rule, false, applied != nil, action, j.allowLacks(rule, applied, action, &j.rules.categories[c], f)})
		case applied != nil:
			e.Silent = append(e.Silent, rule.Rule)
		}
	}
	for _, rule := range j.rules.limit {
		if action, named := rule.act(c); named {
			applied := applied(j.limit, rule)
			e.Opinions = append(e.Opinions, Opinion{rule.Rule, true, applied != nil, action, j.limitLacks(rule, applied, &j.rules.categories[c], f)})
		}
	}
	slices.SortStableFunc(e.Opinions, func(a, b Opinion) int {
		return cmp.Or(cmp.Compare(bit(a.Limit), bit(b.Limit)), cmp.Compare(bit(b.Applies), bit(a.Applies)), cmp.Compare(len(a.Lacks), len(b.Lacks)))
	})
	return e
}

// applied is a rule as this kind of disclosure has it, nil where it is not about it.
func applied(list []kindRule, c *compiledRule) *kindRule {
	i := slices.IndexFunc(list, func(r kindRule) bool { return r.compiledRule == c })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// allowLacks are the conditions that missing goes through, all of them.
func (j *Judge) allowLacks(c *compiledRule, rule *kindRule, action Action, info *CategoryInfo, f Facts) []Lack {
	if rule == nil {
		return j.strangerLacks(c, false)
	}
	var lacks []Lack
	add := func(key, wants string, r Reason, a answer) {
		lacks = append(lacks, Lack{key, wants, r, a == unknown})
	}
	if a := j.to(rule, f); a != yes {
		add("to", wordsOf(c.To), NoRule, a)
	}
	for i := range c.When {
		if a := j.whether(&c.When[i], f); a != yes {
			add("when", c.When[i].String(), j.notMet(f, a), a)
		}
	}
	if rule.inCase > 0 && f.get(rule.inCase-1) != yes {
		add("case", c.Case, j.or(f, CaseMissing), f.get(rule.inCase-1))
	}
	if action >= Blank {
		return lacks
	}
	if rule.accepted > 0 && f.get(rule.accepted-1) != yes {
		add("since", strconv.Itoa(max(c.Since, j.since)), j.or(f, PolicyVersion), f.get(rule.accepted-1))
	}
	switch {
	case c.level > LevelNone:
		if reason := f.consented(info.Name, c.level, max(c.Since, j.since)); reason != Permitted {
			add("consent", c.level.String(), reason, answerOf(reason != Unavailable))
		}
	case c.Basis == basisLaw:
	case j.restricted > 0 && f.get(j.restricted-1) != no:
		add("basis", "consent or legal_obligation", j.or(f, Objection), f.get(j.restricted-1))
	case c.Basis == basisLegitimate && j.objected > 0 && f.get(j.objected-1) != no:
		add("basis", "another than "+basisLegitimate, j.or(f, Objection), f.get(j.objected-1))
	}
	if j.ended > 0 && info.Grade > General && c.Basis != basisLaw && f.get(j.ended-1) != no {
		add("retain", "the basis legal_obligation", j.or(f, Ended), f.get(j.ended-1))
	}
	return lacks
}

// notMet is the reason for a test that does not hold.
func (j *Judge) notMet(f Facts, a answer) Reason {
	if a == no {
		return NoRule
	}
	return j.or(f, NoRule)
}

// limitLacks are why a limit lowers nothing.
func (j *Judge) limitLacks(c *compiledRule, rule *kindRule, info *CategoryInfo, f Facts) []Lack {
	if rule == nil {
		return j.strangerLacks(c, true)
	}
	var lacks []Lack
	if j.to(rule, f) == no {
		lacks = append(lacks, Lack{Key: "to", Wants: wordsOf(c.To)})
	}
	for i := range c.When {
		if j.whether(&c.When[i], f) == no {
			lacks = append(lacks, Lack{Key: "when", Wants: c.When[i].String()})
		}
	}
	if j.unless(rule, info, f) {
		lacks = append(lacks, Lack{Key: "unless", Wants: c.Unless.String()})
	}
	if rule.over > 0 && f.get(rule.over-1) == no {
		lacks = append(lacks, Lack{Key: "over", Wants: strconv.Itoa(c.Over) + "/day"})
	}
	return lacks
}

// strangerLacks are why a rule is not about this disclosure, whatever the record.
func (j *Judge) strangerLacks(c *compiledRule, limit bool) []Lack {
	var lacks []Lack
	lack := func(key, wants string) { lacks = append(lacks, Lack{Key: key, Wants: wants, Reason: NoRule}) }
	// Addressing a rule notes conditions, which a kind in use must not.
	fresh := &kind{rules: j.rules, roles: j.roles, inbound: j.inbound, party: j.party}
	rule := kindRule{compiledRule: c}
	if fresh.address(&rule, j.disclosure, limit); rule.audience == "" && rule.self == 0 && rule.guardian == 0 {
		lack("to", wordsOf(c.To))
	}
	if !j.comesFrom(c.From, j.disclosure) {
		lack("from", wordsOf(c.From))
	}
	if !c.purposeFits(j.disclosure.Purpose) {
		lack("for", wordsOf(c.For))
	}
	return lacks
}

// whether answers one test of a rule that is about this disclosure.
func (j *Judge) whether(t *Test, f Facts) answer {
	if t.ofRecord() {
		return f.get(j.condition(j.rules.conditionOf(*t)))
	}
	return t.ask(j.disclosure)
}

// String is the test as a rule has it.
func (t *Test) String() string {
	name := t.Claim
	if name == "" {
		fields := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = f.String()
		}
		name = strings.Join(fields, " ")
	}
	if len(t.Want) == 1 {
		return name + ": " + t.Want[0]
	}
	return fmt.Sprintf("%s: [%s]", name, strings.Join(t.Want, ", "))
}

// String is what lifts a limit, as its rule has it.
func (u *Unless) String() string {
	var parts []string
	for _, part := range []struct{ key, value string }{
		{"consent", u.Consent}, {"case", u.Case}, {"purpose", wordsOf(u.Purpose)}, {"organisation", wordsOf(u.Organisation)},
	} {
		if part.value != "" {
			parts = append(parts, part.key+": "+part.value)
		}
	}
	return strings.Join(parts, ", ")
}

// wordsOf writes names as a rule has them.
func wordsOf(words []Word) string {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = w.Name
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return "[" + strings.Join(names, ", ") + "]"
}
