package rules

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Roles are the roles that rules may name, in order.
func (r *Ruleset) Roles() []string { return slices.Sorted(maps.Keys(r.roles)) }

// Recipients are the entries of the register, in order.
func (r *Ruleset) Recipients() []string { return slices.Sorted(maps.Keys(r.register)) }

// Matrix is what the rules let each audience have for one purpose: those inside of `home`, at a time.
type Matrix struct {
	Purpose   string
	Audiences []Audience // for whom an `allow` is
	Rows      []MatrixRow
}

// Audience is somebody whom `to` can name.
type Audience struct {
	Name      string
	Recipient *Recipient // nil: a role or a keyword
}

// MatrixRow is one category.
type MatrixRow struct {
	Category Category
	Grade    Grade
	Cells    []Cell // in the order of the audiences
}

// Cell is what one audience may have of one category: a recipient of what is sent there. A caller who is several audiences has the most of what their allows
// give, and the least of what their limits leave; but a limit to anonymous is none for who reads their own.
type Cell struct {
	Action    Action // at most
	Otherwise Action // where nothing of what Marks ask for holds
	Limited   Action // where the limits hold, too, that ask for something
	Marks     Marks
	Rule      string   // that gives Action; "" none does
	Limits    []string // that lower it, or may
	Reason    Reason   // why a recipient gets nothing
}

// Marks are what a cell depends on.
type Marks uint8

// The marks.
const (
	MarkConsent   Marks = 1 << iota // of the data subject
	MarkCase                        // an open one
	MarkWhen                        // claims of the caller, or fields of the record
	MarkPolicy                      // accepted by the data subject
	MarkObjection                   // until the data subject objects
	MarkFrom                        // of some senders only
	MarkLimit                       // a limit may lower it
)

// Purposes are those that the documents declare, sorted.
func (r *Ruleset) Purposes() []string { return slices.Sorted(maps.Keys(r.purposes)) }

// Matrix works out what the rules come to for a purpose.
func (r *Ruleset) Matrix(purpose string, now time.Time) *Matrix {
	m := &Matrix{Purpose: purpose}
	for _, a := range r.audiences() {
		if slices.ContainsFunc(r.allow, func(rule *compiledRule) bool { return rule.purposeFits(purpose) && a.in(rule.To) }) {
			m.Audiences = append(m.Audiences, a)
		}
	}
	for id := 1; id < len(r.categories); id++ {
		row := MatrixRow{Category: r.categories[id].Name, Grade: r.categories[id].Grade}
		for _, a := range m.Audiences {
			row.Cells = append(row.Cells, r.cell(a, purpose, CategoryID(id), now))
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// audiences are all whom rules can name, in the order in which documents declare them.
func (r *Ruleset) audiences() (all []Audience) {
	for _, d := range r.documents {
		for _, w := range d.Roles {
			if a := (Audience{Name: w.Name}); !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	for _, name := range []string{Anonymous, Self, Guardian} {
		all = append(all, Audience{Name: name})
	}
	for _, name := range slices.Sorted(maps.Keys(r.register)) {
		all = append(all, Audience{name, r.register[name]})
	}
	return append(all, Audience{Name: Us})
}

// in reports whether `to` names the audience.
func (a Audience) in(to []Word) bool {
	return hasWord(to, a.Name) || a.Recipient != nil && hasWord(to, a.Recipient.Kind)
}

// cell goes through the rules as decide does, for conditions that nobody knows yet.
func (r *Ruleset) cell(a Audience, purpose string, id CategoryID, now time.Time) Cell {
	info := &r.categories[id]
	d := &Disclosure{Purpose: purpose, Time: now}
	switch {
	case a.Recipient != nil:
		d.Position, d.Recipient = Egress, a.Name
	case a.Name == Us:
		d.Position = Inbound
	}
	k := &kind{rules: r, inbound: d.Position == Inbound, egress: d.Position == Egress, party: r.partyOf(d)}
	var c Cell
	if info.Grade > Open {
		c = r.permitted(a, k, purpose, id)
	}
	r.limited(&c, a, d, id)
	if least := k.leastBuiltin(info.Name); least > Keep {
		c.Action, c.Otherwise = max(c.Action, least), max(c.Otherwise, least)
	}
	if info.Grade > Open {
		c.confine(k, info)
	}
	if c.Limited = max(c.Limited, c.Otherwise); c.Action == c.Otherwise {
		c.Marks &= MarkLimit
	}
	return c
}

// permitted is the most permissive allow whatever it asks for, and the most permissive one that asks nothing.
func (r *Ruleset) permitted(a Audience, k *kind, purpose string, id CategoryID) Cell {
	c := Cell{Action: Strip, Otherwise: Strip}
	named, sure := false, false
	for _, rule := range r.allow {
		if !rule.purposeFits(purpose) || !a.in(rule.To) {
			continue
		}
		action, names := k.names(rule, id)
		if !names {
			continue
		}
		named = true
		marks := rule.marks(a, action)
		if marks == 0 {
			c.Otherwise, sure = min(c.Otherwise, action), true
		}
		if c.Rule == "" || action < c.Action || action == c.Action && marks < c.Marks {
			c.Action, c.Marks, c.Rule = action, marks, rule.ID
		}
	}
	if k.party != nil && !k.party.stripsDenied() && named && !sure {
		c.Otherwise = Block // refused, not surplus
	}
	return c
}

// marks are the conditions of an allow. What leaves nothing of a value needs neither a consent nor a basis.
func (r *compiledRule) marks(a Audience, action Action) (m Marks) {
	add := func(mark Marks, asked bool) {
		if asked {
			m |= mark
		}
	}
	add(MarkFrom, len(r.From) > 0)
	add(MarkWhen, len(r.When) > 0)
	add(MarkCase, r.Case != "")
	if action < Blank {
		add(MarkPolicy, r.Since > 0 || a.Recipient != nil && a.Recipient.Since > 0)
		add(MarkConsent, r.level > LevelNone)
		add(MarkObjection, r.Basis == basisLegitimate)
	}
	return m
}

// limited lowers what a limit lowers in any case, and notes those that ask for something.
func (r *Ruleset) limited(c *Cell, a Audience, d *Disclosure, id CategoryID) {
	for _, rule := range r.limit {
		action, named := rule.act(id)
		if !named || !rule.purposeFits(d.Purpose) || !a.in(rule.To) && (a.Name == Us || !hasWord(rule.To, Any)) || rule.Unless.met(&Disclosure{Purpose: d.Purpose, Caller: Caller{Organisation: d.Recipient}}) {
			continue
		}
		if action > c.Otherwise || action > c.Action {
			c.Limits = append(c.Limits, rule.ID)
		}
		if rule.asksNothing() {
			c.Action, c.Otherwise = max(c.Action, action), max(c.Otherwise, action)
			continue
		}
		if c.Limited = max(c.Limited, action); action > c.Action {
			c.Marks |= MarkLimit
		}
	}
}

// asksNothing reports whether a limit holds for everybody in its `to`.
func (r *compiledRule) asksNothing() bool {
	return len(r.When) == 0 && len(r.From) == 0 && r.Over == 0 && (r.Unless == nil || r.Unless.Case == "" && r.Unless.Consent == "")
}

// confine blocks what may not leave for a recipient. A transfer that asks for a consent is one more condition.
func (c *Cell) confine(k *kind, info *CategoryInfo) {
	if k.party == nil {
		return
	}
	alone := *k.party
	asks := alone.transfer != nil && alone.transfer.Consent != ""
	if asks {
		t := *alone.transfer
		t.Consent = ""
		alone.transfer = &t
	}
	if lacks := (&kind{rules: k.rules, party: &alone}).confined(info, Facts{}); lacks != Permitted {
		for _, action := range []*Action{&c.Action, &c.Otherwise} {
			if *action < Blank {
				*action, c.Reason = Block, lacks
			}
		}
	} else if asks && c.Action < Blank {
		c.Marks |= MarkConsent
		c.Otherwise = Block
	}
}

// String spells the marks as the letters that tables have: c consent, t case, w when, p policy, o objection, f from, l limit.
func (m Marks) String() string {
	var b strings.Builder
	for i, letter := range "ctwpofl" {
		if m&(1<<i) != 0 {
			b.WriteRune(letter)
		}
	}
	return b.String()
}
