package rules

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules/mask"
)

// compiledRule is a rule with its action for every category.
type compiledRule struct {
	*Rule
	level Level    // of the consent that it, or its unless, asks for
	acts  []Action // by CategoryID
	named []bool
	masks []ownMask // longest category first
}

type ownMask struct {
	category Category
	spec     mask.Spec
}

// act returns what the rule says of a category.
func (r *compiledRule) act(c CategoryID) (Action, bool) { return r.acts[c], r.named[c] }

func (r *compiledRule) ownMask(c Category) (mask.Spec, bool) {
	for _, m := range r.masks {
		if m.category.Contains(c) {
			return m.spec, true
		}
	}
	return mask.Spec{}, false
}

func (r *compiledRule) limitReason() Reason {
	if r.Over > 0 {
		return Over
	}
	return Limited
}

// met reports whether what lifts a limit is there, whosever data it is.
func (u *Unless) met(d *Disclosure) bool {
	return u != nil && (hasWord(u.Purpose, d.Purpose) || d.Caller.Organisation != "" && hasWord(u.Organisation, d.Caller.Organisation))
}

func (c *compiler) compileRules() {
	for _, d := range c.documents {
		for i := range d.Allow {
			c.allow = append(c.allow, c.compileRule(&d.Allow[i], false))
		}
		for i := range d.Limit {
			c.limit = append(c.limit, c.compileRule(&d.Limit[i], true))
		}
	}
}

func (c *compiler) compileRule(r *Rule, limit bool) *compiledRule {
	if first, ok := c.names[r.ID]; ok {
		c.errorf(r.Pos, "rule %s: the id stands at %s already", r.ID, first)
	}
	c.names[r.ID] = r.Pos
	c.checkParties(r, "to", r.To)
	if !limit && hasWord(r.To, Any) {
		c.errorf(r.Pos, "rule %s: an allow names whom it is to; `any` is for limits", r.ID)
	}
	c.checkParties(r, "from", r.From)
	c.checkPurposes(r.For)
	c.checkReach(r, limit)
	for _, t := range r.When {
		c.addTest(t)
	}
	if r.Unless != nil {
		c.checkPurposes(r.Unless.Purpose)
		for _, w := range r.Unless.Organisation {
			c.lifting[w.Name] = true
			if c.register[w.Name] == nil {
				c.errorf(w.Pos, "rule %s: no organisation is called %s: declare it under `recipients`%s", r.ID, w.Name, suggest(w.Name, slices.Sorted(maps.Keys(c.register))))
			}
		}
	}
	c.most = max(c.most, r.Over)
	compiled := &compiledRule{Rule: r, acts: make([]Action, len(c.categories)), named: make([]bool, len(c.categories))}
	switch {
	case r.Consent != "":
		compiled.level, _ = ParseLevel(r.Consent)
	case r.Basis == basisConsent:
		compiled.level = LevelGeneral
	case r.Unless != nil && r.Unless.Consent != "":
		compiled.level, _ = ParseLevel(r.Unless.Consent)
	}
	c.compileActs(compiled, limit)
	if !limit {
		c.checkPlain(compiled)
	}
	c.compileMasks(compiled)
	return compiled
}

func (c *compiler) checkParties(r *Rule, key string, words []Word) {
	for _, w := range words {
		if c.roles[w.Name] || c.register[w.Name] != nil || slices.Contains(keywords, w.Name) && (w.Name != Any || key == "to") && w.Name != "none" {
			continue
		}
		c.errorf(w.Pos, "rule %s: nobody is called %s in `%s`: declare it under `roles` or `recipients`%s", r.ID, w.Name, key, suggest(w.Name, c.parties()))
	}
}

// parties are the names that `to` and `from` may hold.
func (c *compiler) parties() []string {
	return slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(c.roles)), slices.Collect(maps.Keys(c.register)), keywords)))
}

// checkReach finds rules that could never apply.
func (c *compiler) checkReach(r *Rule, limit bool) {
	if limit {
		return
	}
	if policy := c.Policy(); policy > 0 && r.Since > policy {
		c.errorf(r.Pos, "rule %s can never apply: it wants the policy version %d, and %d is in force", r.ID, r.Since, policy)
	}
	for _, w := range r.To {
		recipient := c.register[w.Name]
		if recipient == nil && !slices.Contains(kindsOfRecipients, w.Name) {
			continue
		}
		if r.Consent == "" && r.Basis == "" && discloses(r) {
			c.errorf(w.Pos, "rule %s: towards the recipient %s it needs a `consent` or a `basis`", r.ID, w.Name)
		}
		if recipient != nil && len(recipient.Purposes) > 0 {
			for _, purpose := range r.For {
				if !hasWord(recipient.Purposes, purpose.Name) {
					c.errorf(purpose.Pos, "rule %s can never apply: recipient %s is not registered for %s", r.ID, w.Name, purpose.Name)
				}
			}
		}
	}
}

// discloses reports whether a rule leaves anything of a value. Blank and strip need neither consent nor basis.
func discloses(r *Rule) bool {
	return slices.ContainsFunc(r.Acts, func(a Act) bool { return a.Action < Blank })
}

func (c *compiler) addTest(t Test) {
	same := func(have Test) bool {
		return have.Claim == t.Claim && sameFields(have.Fields, t.Fields) && slices.Equal(have.Want, t.Want)
	}
	if !slices.ContainsFunc(c.tests, same) {
		c.tests = append(c.tests, t)
	}
	for _, field := range t.Fields {
		if !slices.ContainsFunc(c.fields, func(s Selector) bool { return slices.Equal(s, field) }) {
			c.fields = append(c.fields, field)
		}
	}
}

func sameFields(a, b []Selector) bool { return slices.EqualFunc(a, b, slices.Equal[Selector]) }

// compileActs writes a rule's table: the longest category prefix speaks, then the grade.
func (c *compiler) compileActs(r *compiledRule, limit bool) {
	acts := map[string]Action{}
	for _, act := range r.Acts {
		if act.Action == Block && !limit { // or else losing a condition would turn a refusal into an answer
			c.errorf(act.Pos, "rule %s blocks, but an allow only permits: say it in a `limit`", r.ID)
		}
		if act.Action == Pseudonymize && c.keys == nil {
			c.errorf(act.Pos, "rule %s pseudonymizes, but there is no key: name a directory with `keys`, a file of 32 random bytes in it", r.ID)
		}
		acts[act.Name] = act.Action
		c.checkCategory(act.Pos, act.Name)
	}
	for id := range c.categories {
		if id == 0 {
			continue
		}
		info := &c.categories[id]
		for name := string(info.Name); ; {
			if a, ok := acts[name]; ok {
				r.acts[id], r.named[id] = a, true
				break
			}
			i := strings.LastIndexByte(name, '.')
			if i < 0 {
				a, ok := acts[info.Grade.String()]
				r.acts[id], r.named[id] = a, ok
				break
			}
			name = name[:i]
		}
	}
}

func (c *compiler) compileMasks(r *compiledRule) {
	for category, text := range r.Masks {
		spec, err := mask.Parse(text)
		if err != nil {
			c.errorf(r.Pos, "rule %s: the mask of %s: %v", r.ID, category, err)
		}
		c.checkCategory(r.Pos, string(category))
		r.masks = append(r.masks, ownMask{category, spec})
	}
	slices.SortFunc(r.masks, func(a, b ownMask) int {
		if d := len(b.category) - len(a.category); d != 0 {
			return d
		}
		return strings.Compare(string(a.category), string(b.category))
	})
}

// isPlain reports whether a recipient's origin is reached without TLS, by more than this machine.
func isPlain(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback())
}

// checkPlain finds card numbers on their way over plain HTTP: PCI DSS 4.2.1 wants strong cryptography on open networks.
func (c *compiler) checkPlain(r *compiledRule) {
	for _, w := range r.To {
		for _, name := range slices.Sorted(maps.Keys(c.register)) {
			to := c.register[name]
			if !slices.ContainsFunc(to.Hosts, isPlain) || w.Name != to.Name && w.Name != to.Kind {
				continue
			}
			for id := range c.categories {
				category := c.categories[id].Name
				if (CardNumber.Contains(category) || CardSecurity.Contains(category)) && r.named[id] && r.acts[id] == Keep {
					c.errorf(w.Pos, "rule %s keeps %s for the recipient %s, which is reached by plain HTTP: register https:// or mask it", r.ID, category, name)
				}
			}
		}
	}
}
