package rules

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// levels are how strong a consent can be asked for, weakest first.
var levels = []string{"general", "explicit", "separate", "written"}

// The bases that decisions ask for by name.
const (
	basisConsent    = "consent"
	basisLaw        = "legal_obligation"
	basisLegitimate = "legitimate_interests"
)

// bases are the legal bases of GDPR 6(1) and PIPL 13.
var bases = []string{"consent", "contract", "legal_obligation", "vital_interests", "public_interest", "legitimate_interests"}

// allow reads an entry of `allow`.
func (p *parser) allow(n *yaml.Node) Rule {
	r := Rule{Pos: p.at(n)}
	k := p.ruleKeys(&r)
	k["case"] = set(&r.Case, p.name)
	k["consent"] = set(&r.Consent, p.level)
	k["basis"] = set(&r.Basis, p.basis)
	k["since"] = set(&r.Since, p.positive)
	for _, name := range []string{"law", "over", "unless"} {
		k[name] = p.misplaced(name, "only a limit has it")
	}
	p.mapping(n, "a rule under `allow`", k, "id", "to", "for")
	if r.Consent != "" && r.Basis != "" && r.Basis != "consent" {
		p.fail(n, "a rule that asks for a consent cannot rest on the basis %s; write two rules", r.Basis)
	}
	p.acting(n, &r)
	return r
}

// limit reads an entry of `limit`.
func (p *parser) limit(n *yaml.Node) Rule {
	r := Rule{Pos: p.at(n)}
	k := p.ruleKeys(&r)
	k["law"] = set(&r.Law, p.text)
	k["over"] = set(&r.Over, p.over)
	k["unless"] = func(n *yaml.Node) { r.Unless = p.unless(n) }
	k["case"] = p.misplaced("case", "what lifts a limit stands under `unless`")
	k["consent"] = p.misplaced("consent", "what lifts a limit stands under `unless`")
	k["basis"] = p.misplaced("basis", "only an `allow` has it")
	k["since"] = p.misplaced("since", "only an `allow` has it")
	p.mapping(n, "a rule under `limit`", k, "id", "to")
	p.acting(n, &r)
	for _, a := range r.Acts {
		if a.Action == Keep {
			p.errs = append(p.errs, &Error{a.Pos, "a limit only lowers, so it cannot keep; leave this out"})
		}
	}
	return r
}

// ruleKeys are the keys that both kinds of rules have.
func (p *parser) ruleKeys(r *Rule) keys {
	k := keys{
		"id":      set(&r.ID, p.name),
		"to":      list(p, &r.To, p.word),
		"from":    list(p, &r.From, p.word),
		"for":     list(p, &r.For, p.word),
		"when":    p.when(r),
		"masks":   p.masks(r),
		"numbers": set(&r.Numbers, p.numbers),
		"length":  set(&r.Length, p.length),
	}
	for a := Keep; a <= Block; a++ {
		k[a.String()] = p.acts(r, a)
	}
	for _, name := range []string{"hash", "md5", "sha1", "sha256"} {
		k[name] = p.misplaced(name, "whoever tries all numbers finds the one with a hash that has no key (WP29 opinion 05/2014); write `pseudonymize`")
	}
	return k
}

// misplaced refuses a key that the other kind of rule has.
func (p *parser) misplaced(name, hint string) func(*yaml.Node) {
	return func(n *yaml.Node) { p.fail(n, "`%s` does not belong here: %s", name, hint) }
}

func (p *parser) acts(r *Rule, a Action) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var words []Word
		list(p, &words, p.dataWord)(n)
		for _, w := range words {
			r.Acts = append(r.Acts, Act{w.Pos, a, w.Name})
		}
	}
}

// acting checks that a rule does something, and only one thing to each category.
func (p *parser) acting(n *yaml.Node, r *Rule) {
	if n.Kind != yaml.MappingNode {
		return
	}
	if len(r.Acts) == 0 {
		p.fail(n, "a rule names what happens to which data: one or more of %s", strings.Join(actionNames[:], ", "))
	}
	seen := map[string]Action{}
	for _, a := range r.Acts {
		if first, twice := seen[a.Name]; twice && first != a.Action {
			p.errs = append(p.errs, &Error{a.Pos, "`" + a.Name + "` stands under `" + first.String() + "` already"})
		}
		seen[a.Name] = a.Action
	}
}

func (p *parser) basis(n *yaml.Node) string { return p.oneOf(n, "a legal basis", bases...) }
func (p *parser) numbers(n *yaml.Node) string {
	return p.oneOf(n, "what a masked number becomes", "string")
}
func (p *parser) length(n *yaml.Node) string {
	return p.oneOf(n, "what masks do with the length", "hide")
}

func (p *parser) level(n *yaml.Node) string {
	if n.Value == "bundled" {
		// What is agreed to along with everything else is no consent (PIPL 14, 16; GDPR 7(4)).
		p.fail(n, "a bundled consent satisfies nothing; ask for %s", strings.Join(levels, ", "))
		return ""
	}
	return p.oneOf(n, "a level of consent", levels...)
}

func (p *parser) masks(r *Rule) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.Masks = map[Category]string{}
		p.pairs(n, "masks", func(name, value *yaml.Node) { r.Masks[p.category(name)] = p.mask(value) })
	}
}

// when reads the conditions of a rule: a key with a slash is a field of the record, another one a claim.
func (p *parser) when(r *Rule) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.pairs(n, "conditions", func(name, value *yaml.Node) {
			t := Test{Pos: p.at(name)}
			want := p.literal
			switch {
			case strings.HasPrefix(name.Value, "/"):
				t.Fields = p.pointers(name)
			default:
				t.Claim = p.name(name)
				if special := p.conditions()[t.Claim]; special != nil {
					want = special
				}
			}
			list(p, &t.Want, want)(value)
			if t.Claim == whenMinor && len(t.Want) > 1 && slices.Contains(t.Want, minorKnown) {
				p.fail(value, "`%s` stands alone: it asks for minors that are known to be some", minorKnown)
			}
			r.When = append(r.When, t)
		})
	}
}

// conditions are the claims that the gateway itself answers.
func (p *parser) conditions() map[string]func(*yaml.Node) string {
	truth := func(n *yaml.Node) string {
		if p.boolean(n) {
			return "true"
		}
		return "false"
	}
	minor := func(n *yaml.Node) string {
		if n.Value == minorKnown {
			return minorKnown
		}
		return truth(n)
	}
	return map[string]func(*yaml.Node) string{whenMinor: minor, whenDownload: truth, whenCountry: p.home}
}

func (p *parser) unless(n *yaml.Node) *Unless {
	u := &Unless{Pos: p.at(n)}
	k := keys{
		"consent":      set(&u.Consent, p.level),
		"case":         set(&u.Case, p.name),
		"purpose":      list(p, &u.Purpose, p.word),
		"organisation": list(p, &u.Organisation, p.word),
	}
	p.mapping(n, "`unless`", k)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		p.fail(n, "`unless` needs a condition: one or more of %s", strings.Join(slices.Sorted(maps.Keys(k)), ", "))
	}
	return u
}
