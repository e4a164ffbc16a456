package rules

import (
	"testing"
	"time"
)

// TestAgreed: what is told of is the strongest consent that counts, and nothing where no rule asks.
func TestAgreed(t *testing.T) {
	r := mustCompile(t, `
home: DE
roles: [support]
purposes: [care, billing, ads]
recipients:
  ads: {kind: third_party, country: US, hosts: ["https://ads.example.com"], contract: {from: 2020-01-01, until: 2099-12-31}, transfer: {mechanism: adequacy, categories: [contact]}}
  late: {kind: third_party, country: US, hosts: ["https://late.example.com"], contract: {from: 2020-01-01, until: 2021-01-01}, transfer: {mechanism: adequacy}}
allow:
  - {id: asked, to: support, for: care, consent: explicit, keep: [contact]}
  - {id: contract, to: support, for: billing, keep: [contact]}
  - {id: ads, to: [ads, late], for: ads, consent: separate, keep: [contact]}
`)
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	for _, c := range []struct {
		name     string
		person   *Person
		purpose  string
		want     Level
		wantedOn time.Time
	}{
		{"nobody knows", nil, "care", LevelNone, time.Time{}},
		{"nothing", &Person{}, "care", LevelNone, time.Time{}},
		{"one", &Person{Consents: []Consent{{Purpose: "care", Level: LevelGeneral, Given: day(-2)}}}, "care", LevelGeneral, day(-2)},
		{"not asked", &Person{Consents: []Consent{{Purpose: "billing", Level: LevelGeneral, Given: day(-2)}}}, "billing", LevelNone, time.Time{}},
		{"the strongest", &Person{Consents: []Consent{
			{Purpose: "care", Level: LevelExplicit, Given: day(-3)}, {Purpose: "care", Level: LevelGeneral, Given: day(-2)},
		}}, "care", LevelExplicit, day(-3)},
		{"the newest", &Person{Consents: []Consent{
			{Purpose: "care", Level: LevelExplicit, Given: day(-2)}, {Purpose: "care", Level: LevelExplicit, Given: day(-3), Recipient: "own"},
		}}, "care", LevelExplicit, day(-2)},
		{"for somebody else", &Person{Consents: []Consent{{Purpose: "care", Recipient: "ads", Level: LevelExplicit, Given: day(-2)}}}, "care", LevelNone, time.Time{}},
		{"withdrawn", &Person{Consents: []Consent{{Purpose: "care", Level: LevelExplicit, Given: day(-2), Withdrawn: day(-1)}}}, "care", LevelNone, time.Time{}},
		{"expired", &Person{Consents: []Consent{{Purpose: "care", Level: LevelExplicit, Given: day(-2), Expires: day(-1)}}}, "care", LevelNone, time.Time{}},
		{"deleted", &Person{Ended: true, Consents: []Consent{{Purpose: "care", Level: LevelExplicit, Given: day(-2)}}}, "care", LevelNone, time.Time{}},
		{"a child's own", &Person{Born: day(-4000), Consents: []Consent{{Purpose: "care", Level: LevelExplicit, Given: day(-2)}}}, "care", LevelNone, time.Time{}},
		{"a guardian's", &Person{Minor: true, Consents: []Consent{{Purpose: "care", Level: LevelExplicit, ByGuardian: true, Given: day(-2)}}}, "care", LevelExplicit, day(-2)},
	} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Caller: Caller{ID: "s", Roles: []string{"support"}, Country: "DE"}, Purpose: c.purpose, Time: now})
		switch agreed := j.Agreed(c.person); {
		case agreed == nil && c.want != LevelNone, agreed != nil && (agreed.Level != c.want || !agreed.Given.Equal(c.wantedOn)):
			t.Errorf("%s: got %+v", c.name, agreed)
		}
	}
	for recipient, want := range map[string]string{"ads": "adequacy", "late": "", "": ""} {
		j := r.Scope("POST", "/").Judge(&Disclosure{Position: Egress, Recipient: recipient, Purpose: "ads", Time: now})
		if got := j.Mechanism(); got != want {
			t.Errorf("to %q it is %q, want %q", recipient, got, want)
		}
	}
}
