package rules

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func lintOf(t *testing.T, docs ...string) []Finding {
	t.Helper()
	return mustCompile(t, docs...).Lint(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), nil)
}

func codesOf(found []Finding) string {
	var codes []string
	for _, f := range found {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return strings.Join(codes, " ")
}

// TestLintAllows: only a rule that really gives nothing more is shadowed.
func TestLintAllows(t *testing.T) {
	const head = "roles: [support, boss]\npurposes: [care, ads]\nrecipients:\n  p: {kind: processor, contract: {from: 2026-01-01}}\n" +
		"allow:\n  - {id: all, to: [support, boss], for: [care, ads], keep: [contact]}\n  - {id: p, to: p, for: ads, consent: explicit, mask: [contact]}\n"
	for _, c := range []struct{ name, rule, want string }{
		{"less of the same", "{id: x, to: support, for: care, mask: [contact.phone]}", "shadowed"},
		{"under conditions", "{id: x, to: support, for: care, case: ticket, when: {mfa: true}, keep: [contact.phone]}", "shadowed"},
		{"the same", "{id: x, to: [boss, support], for: [ads, care], keep: [contact]}", "duplicate"},
		{"something else, too", "{id: x, to: support, for: care, keep: [contact.phone, order]}", ""},
		{"somebody else, too", "{id: x, to: [support, self], for: care, keep: [contact]}", ""},
		{"a consent outlives a restriction", "{id: x, to: support, for: care, consent: explicit, keep: [contact]}", ""},
		{"the law does, too", "{id: x, to: support, for: care, basis: legal_obligation, keep: [contact]}", ""},
		{"a legitimate interest ends sooner", "{id: x, to: support, for: care, basis: legitimate_interests, keep: [contact]}", "shadowed"},
		{"its own mask", "{id: x, to: p, for: ads, consent: explicit, mask: [contact.phone], masks: {contact.phone: 3+4}}", ""},
		{"a higher level", "{id: x, to: p, for: ads, consent: written, mask: [contact.phone]}", "shadowed"},
		{"a lower level", "{id: x, to: p, for: ads, consent: general, mask: [contact.phone]}", ""},
		{"more of it", "{id: x, to: p, for: ads, consent: explicit, keep: [contact.phone]}", ""},
		{"what needs no consent", "{id: x, to: p, for: ads, consent: explicit, blank: [contact.phone]}", ""},
		{"a newer policy", "{id: x, to: support, for: care, since: 3, keep: [contact]}", "shadowed"},
		{"nothing personal", "{id: x, to: support, for: care, keep: [business]}", ""},
	} {
		if got := codesOf(lintOf(t, head+"  - "+c.rule+"\n")); got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}

// TestLintAllowsAgree: a rule that is shadowed changes no decision of any disclosure.
func TestLintAllowsAgree(t *testing.T) {
	with := mustCompile(t, "roles: [a, b]\npurposes: [p]\nallow:\n  - {id: wide, to: [a, b], for: p, keep: [contact, person]}\n  - {id: narrow, to: a, for: p, mask: [contact], keep: [person.name]}\n")
	without := mustCompile(t, "roles: [a, b]\npurposes: [p]\nallow:\n  - {id: wide, to: [a, b], for: p, keep: [contact, person]}\n")
	if got := codesOf(with.Lint(time.Time{}, nil)); got != "shadowed" {
		t.Fatalf("found %q", got)
	}
	for _, roles := range [][]string{nil, {"a"}, {"b"}, {"a", "b"}} {
		d := &Disclosure{Caller: Caller{ID: "u", Roles: roles}, Purpose: "p"}
		x, y := with.Scope("GET", "/").Judge(d).Table(Facts{}), without.Scope("GET", "/").Judge(d).Table(Facts{})
		for id := range with.Categories() {
			if a, b := x.Decide(CategoryID(id)), y.Decide(CategoryID(id)); a.Action != b.Action {
				t.Errorf("%v: %s is %s with the shadowed rule and %s without", roles, with.Categories()[id].Name, a.Action, b.Action)
			}
		}
	}
}

func TestLintLimits(t *testing.T) {
	const head = "roles: [support, boss]\npurposes: [care, ads]\nrecipients:\n  p: {kind: processor, contract: {from: 2026-01-01}}\n" +
		"allow:\n  - {id: a, to: support, for: care, mask: [contact], keep: [order]}\n  - {id: b, to: p, for: ads, consent: explicit, keep: [device]}\n  - {id: c, to: boss, for: ads, keep: [order]}\nlimit:\n"
	for _, c := range []struct{ name, limit, want string }{
		{"already masked", "{id: x, to: support, mask: [contact]}", "idle-limit"},
		{"nobody gets it", "{id: x, to: support, strip: [health]}", "idle-limit"},
		{"for another purpose", "{id: x, to: support, for: ads, strip: [contact]}", "idle-limit"},
		{"no recipient gets it", "{id: x, to: processor, strip: [contact]}", "idle-limit"},
		{"the kind of one that does", "{id: x, to: processor, mask: [device.imei]}", ""},
		{"somebody may be both", "{id: x, to: boss, strip: [contact]}", ""},
		{"a recipient's caller has roles", "{id: x, to: boss, strip: [device]}", ""},
		{"it refuses the message", "{id: x, to: support, block: [health]}", ""},
		{"the open needs no allow", "{id: x, to: support, strip: [business.registration]}", ""},
		{"another mask shows less", "{id: x, to: support, mask: [contact], length: hide}", ""},
	} {
		if got := codesOf(lintOf(t, head+"  - "+c.limit+"\n")); got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
	if got := codesOf(lintOf(t, "limit:\n  - {id: x, to: anonymous, strip: [health]}\n")); got != "" {
		t.Errorf("a document for others to build on: found %q", got)
	}
}

func TestLintFields(t *testing.T) {
	const head = "roles: [support]\npurposes: [care]\nallow:\n  - {id: a, to: support, for: care, keep: [contact, content, person.name, order, account]}\n"
	for _, c := range []struct{ name, text, want string }{
		{"nobody sees it", "fields: [{key: mood, is: health}]", "never-seen"},
		{"withheld on purpose", "fields: [{key: mood, is: health}]\nlimit: [{id: x, to: support, block: [health]}]", ""},
		{"withheld by the gateway", "fields: [{key: knock, is: auth.secret}]", ""},
		{"permitted as a parent", "fields: [{key: rufnummer, is: contact.phone}]", ""},
		{"a category without a field", "categories: {loyalty.score: {grade: personal}}", "unused"},
		{"a category with one", "categories: {order.gift: {grade: personal}}\nfields: [{key: gift, is: order.gift}]", ""},
		{"a parent", "categories: {order.gift: {grade: personal}, order.gift.card: {grade: personal}}\nfields: [{key: gift, is: order.gift.card}]", ""},
		{"a role without a rule", "", "role"},
		{"a generic key", "fields: [{key: data, is: contact.phone}]", "wide-detector"},
		{"a letter", "fields: [{key: p, is: contact.phone}]", "wide-detector"},
		{"a generic key inside something", "fields: [{key: data, in: call, is: contact.phone}]", ""},
		{"a generic key at a place", "fields: [{at: /call/data, is: contact.phone}]", ""},
		{"as the base pack has it", "fields: [{key: name, is: person.name}]", ""},
		{"a short word", "fields: [{words: [id], is: content.text}]", "wide-detector"},
		{"one character", "fields: [{words: [病], is: content.text}]", "wide-detector"},
		{"words", "fields: [{words: [逾期, overdue], is: content.text}]", ""},
		{"shape alone among order numbers", "fields: [{key: ref, is: order.number}]\nvalues: [phone, iban]", "wide-detector"},
		{"check digits among order numbers", "fields: [{key: ref, is: order.number}]\nvalues: [card_number, iban]", ""},
		{"shape alone among nothing", "values: [phone]", ""},
		{"a sensitive key is none", "fields: [{key: id_card, is: none}]", "uncovered-key"},
		{"a sensitive place is none", "fields: [{at: /orders/*/buyer/phone, is: none}]", "uncovered-key"},
		{"a sensitive place is open", "fields: [{at: /orders/*/buyer/phone, is: business.name}]", "uncovered-key"},
		{"a name that is nobody's", "fields: [{at: /events/*/name, is: none}]", ""},
		{"a key that says nothing", "fields: [{key: shelf, is: none}]", ""},
	} {
		text := head + c.text + "\n"
		if c.want == "role" {
			text, c.want = strings.Replace(head, "[support]", "[support, ghost]", 1), "unused"
		}
		if got := codesOf(lintOf(t, text)); got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
	ghost := strings.Replace(head, "[support]", "[support, ghost]", 1)
	if got := codesOf(mustCompile(t, ghost).Lint(time.Time{}, []string{"ghost"})); got != "" {
		t.Errorf("a role that a route needs: found %q", got)
	}
	if got := codesOf(lintOf(t, strings.Replace(ghost, "to: support", "to: [support, self]", 1))); got != "" {
		t.Errorf("a role of data subjects: found %q", got)
	}
	if got := codesOf(lintOf(t, strings.Replace(head, "[care]", "[care, ads]", 1))); got != "unused" {
		t.Errorf("a purpose without a rule: found %q", got)
	}
}

func TestLintRegister(t *testing.T) {
	const tail = "\npurposes: [care]\nallow:\n  - {id: a, to: p, for: care, basis: contract, keep: [contact]}\n"
	for _, c := range []struct{ name, text, want string }{
		{"in force", "recipients: {p: {kind: processor, contract: {until: 2027-12-31}}}", ""},
		{"over", "recipients: {p: {kind: processor, contract: {until: 2026-11-21}}}", "contract error"},
		{"its last day", "recipients: {p: {kind: processor, contract: {until: 2026-11-22}}}", "contract warning"},
		{"about to end", "recipients: {p: {kind: processor, contract: {until: 2026-12-15}}}", "contract warning"},
		{"not begun", "recipients: {p: {kind: processor, contract: {from: 2027-01-01}}}", "contract note"},
		{"none", "recipients: {p: {kind: processor}}", "contract warning"},
		{"none is needed", "recipients: {p: {kind: own}}", ""},
		{"suspended", "recipients: {p: {kind: processor, contract: {from: 2026-01-01}, suspended: 2026-11-01}}", "contract note"},
		{"about to be suspended", "recipients: {p: {kind: processor, contract: {from: 2026-01-01}, suspended: 2026-12-01}}", "contract warning"},
		{"no country", "home: CN\nrecipients: {p: {kind: own}}", "transfer warning"},
		{"abroad", "home: CN\nrecipients: {p: {kind: own, country: US}}", "transfer warning"},
		{"an authority abroad", "home: CN\nrecipients: {p: {kind: authority, country: US}}", "transfer note"},
		{"abroad with a transfer", "home: CN\nrecipients: {p: {kind: own, country: US, transfer: {mechanism: exempt_necessity}}}", ""},
		{"its assessment is missing", "home: CN\nrecipients: {p: {kind: own, country: US, transfer: {mechanism: standard_contract}}}", "transfer error"},
		{"a transfer is over", "home: CN\nrecipients: {p: {kind: own, country: US, transfer: {mechanism: exempt_necessity, until: 2026-11-01}}}", "transfer error"},
		{"nobody allows it", "recipients: {p: {kind: own}, q: {kind: own}}", "idle-recipient warning"},
		{"its kind is allowed", "recipients: {p: {kind: own}, q: {kind: own}}#own", ""},
	} {
		text, own := strings.CutSuffix(c.text, "#own")
		rest := tail
		if own {
			rest = strings.Replace(tail, "to: p", "to: own", 1)
		}
		var got string
		for _, f := range lintOf(t, text+rest) {
			got = strings.TrimSpace(got + " " + f.Code + " " + string(f.Severity))
		}
		if got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}
