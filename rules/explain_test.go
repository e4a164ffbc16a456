package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestExplainAgrees holds explanations against decisions: the allows that lack nothing and the limits that lack nothing
// come to the same action, and the reason of a refusal is among what its rule lacks.
func TestExplainAgrees(t *testing.T) {
	seed := rand.Uint64()
	h := history{rand.New(rand.NewPCG(seed, 5))}
	lacked := map[string]int{}
	for i := range 800 {
		doc := h.doc()
		if i%2 == 0 {
			doc = randomDoc(h.Rand)
			doc.Home = ""
		}
		r, disclosures := compileModel(t, doc), modelDisclosures()
		for range 8 {
			d, rec := h.disclosure(), h.record()
			if i%4 == 0 {
				d = disclosures[h.IntN(len(disclosures)-1)]
			}
			if d.People == nil {
				rec.person = nil
			}
			j := r.Scope("GET", "/").Judge(d)
			facts := rec.facts(j)
			for _, c := range modelCategories {
				e, have := j.Explain(r.ids[c], facts), j.Table(facts).Decide(r.ids[c])
				if e.Decision.Action != have.Action || e.Decision.Rule != have.Rule || e.Decision.Reason != have.Reason {
					t.Fatalf("seed %d: %s explained as %+v, decided as %+v", seed, c, e.Decision, have)
				}
				if err := agrees(&e, r.categories[r.ids[c]]); err != nil {
					t.Fatalf("seed %d: %s is %v (%v, %s), but %v\n%s", seed, c, have.Action, have.Reason, have.Rule, err, opinions(&e))
				}
				for _, o := range e.Opinions {
					for _, l := range o.Lacks {
						lacked[l.Key]++
					}
				}
			}
		}
	}
	for _, key := range []string{"to", "for", "when", "case", "since", "consent", "basis", "retain", "unless"} {
		if lacked[key] == 0 {
			t.Errorf("no rule lacked its %s", key)
		}
	}
}

// agrees works an action out of the rules that lack nothing.
func agrees(e *Explanation, info CategoryInfo) error {
	action, permitted := Keep, false
	if info.Grade > Open {
		action = Strip
		for _, o := range e.Opinions {
			if !o.Limit && len(o.Lacks) == 0 {
				action, permitted = min(action, o.Action), true
			}
		}
	}
	for _, o := range e.Opinions {
		if o.Limit && len(o.Lacks) == 0 {
			action = max(action, o.Action)
		}
	}
	if AuthSecret.Contains(info.Name) {
		action = max(action, Strip)
	}
	if action != e.Decision.Action {
		return fmt.Errorf("the rules come to %v", action)
	}
	if d := e.Decision; d.Rule != "" && !permitted && d.Reason > NoRule && d.Reason < Limited {
		for _, o := range e.Opinions {
			if o.Rule.ID == d.Rule && o.Lacks[0].Reason == d.Reason {
				return nil
			}
		}
		return fmt.Errorf("rule %s does not lack that first", d.Rule)
	}
	return nil
}

// opinions writes what rules say, a line each.
func opinions(e *Explanation) string {
	var b strings.Builder
	for _, o := range e.Opinions {
		fmt.Fprintf(&b, "%s %v", o.Rule.ID, o.Action)
		for _, l := range o.Lacks {
			fmt.Fprintf(&b, "; %s %s", l.Key, l.Wants)
			if l.Unknown {
				b.WriteString(" ?")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestExplainCode: a rule that names what is around a code, or its grade, does not name the code for whom it is sent to.
func TestExplainCode(t *testing.T) {
	r := mustCompile(t, `purposes: [payment]
recipients: {psp: {kind: processor, contract: {from: 2026-01-01}}}
allow:
  - {id: around, to: psp, for: payment, basis: contract, keep: [card, secret]}
  - {id: spelled, to: psp, for: payment, basis: contract, mask: [card.security]}
`)
	d := &Disclosure{Position: Egress, Recipient: "psp", Purpose: "payment", Time: modelNow}
	j := r.Scope("POST", "/").Judge(d)
	for category, want := range map[Category]string{
		"card.security": "spelled mask\n; silent around",
		"auth.secret":   "; silent around spelled",
		"card.number":   "around keep\n; silent spelled",
	} {
		e := j.Explain(r.ID(category), j.MessageFacts())
		got := opinions(&e) + "; silent"
		for _, rule := range e.Silent {
			got += " " + rule.ID
		}
		if got != want {
			t.Errorf("%s: %q, want %q", category, got, want)
		}
	}
}

// TestExplain: who writes rules reads what each one lacks, the closest first.
func TestExplain(t *testing.T) {
	r := mustCompile(t, `policy: 3
roles: [support, boss]
purposes: [care, ads]
recipients: {ads-partner: {kind: third_party, contract: {from: 2026-01-01}}}
records: [{at: "", subject: /id}]
allow:
  - {id: boss, to: boss, for: care, keep: [contact]}
  - {id: ads, to: ads-partner, for: ads, consent: separate, since: 3, keep: [contact.email]}
  - {id: ticket, to: support, for: care, case: ticket, when: {mfa: true, /status: [paid, open]}, keep: [contact]}
  - {id: masked, to: support, for: care, mask: [contact]}
  - {id: own, to: self, for: care, keep: [contact]}
  - {id: collect, to: us, from: [self, boss], for: care, keep: [contact]}
limit:
  - {id: export, to: [support, boss], when: {download: true}, strip: [contact.phone]}
  - {id: night, to: support, unless: {case: ticket, purpose: ads}, strip: [contact.phone]}
`)
	for _, c := range []struct {
		name, want string
		d          Disclosure
		category   Category
	}{
		{"support", `masked mask
own keep; to self ?
ticket keep; when mfa: true ?; when /status: [paid, open] ?; case ticket ?
boss keep; to boss
collect keep; to us; from [self, boss]
night strip
export strip; when download: true
`, Disclosure{Purpose: "care", Caller: Caller{ID: "s1", Roles: []string{"support"}}}, "contact.phone"},
		{"the wrong purpose", `ticket keep; for care
masked mask; for care
own keep; for care
boss keep; to boss; for care
collect keep; to us; from [self, boss]; for care
export strip; when download: true
night strip; unless case: ticket, purpose: ads
`, Disclosure{Purpose: "ads", Caller: Caller{ID: "s1", Roles: []string{"support"}}}, "contact.phone"},
		{"a recipient", `ads keep; since 3 ?; consent separate; retain the basis legal_obligation ?
boss keep; to boss; for care
`, Disclosure{Position: Egress, Recipient: "ads-partner", Purpose: "ads", Subject: "u1", People: somePeople{}}, "contact.email"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.d.Time = modelNow
			j := r.Scope("GET", "/").Judge(&c.d)
			e := j.Explain(r.ID(c.category), j.MessageFacts())
			if got := opinions(&e); !strings.HasPrefix(got, c.want) {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			if slices.ContainsFunc(e.Opinions, func(o Opinion) bool { return o.Rule.Pos.Line == 0 }) {
				t.Error("a rule says where it stands")
			}
		})
	}
}
