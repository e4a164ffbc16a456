package body

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

const positions = `minimize: 1
home: CN
purposes: [work]
recipients:
  ads: {kind: third_party, country: CN, hosts: [https://ads.example.com], contract: {from: 2026-01-01, until: 2026-12-31}}
  thin: {kind: processor, country: CN, hosts: [https://thin.example.com], contract: {from: 2026-01-01, until: 2026-12-31}, denied: strip}
allow:
  - {id: ads, to: [ads, thin], for: work, basis: contract, keep: [order], mask: [contact.phone], pseudonymize: [device.imei]}
  - {id: collect, to: us, for: work, keep: [order, auth.secret], mask: [contact.phone]}
`

// TestPositions: what goes to a recipient and what we collect is judged alike wherever a request holds it.
func TestPositions(t *testing.T) {
	s := scopeOf(t, positions)
	at := func(position rules.Position, recipient string, day int) *rules.Judge {
		return s.Judge(&rules.Disclosure{Position: position, Recipient: recipient, Purpose: "work", Caller: rules.Caller{ID: "me", Country: "CN"}, Time: time.Date(2026, 12, day, 0, 0, 0, 0, time.UTC)})
	}
	const in = "phone=13800138000&orderNo=D1&password=x&realName=Ann"
	for _, test := range []struct {
		name   string
		j      *rules.Judge
		want   string
		reason rules.Reason
	}{
		{"what no rule names is surplus", at(rules.Egress, "ads", 1), "phone=138%2A%2A%2A%2A8000&orderNo=D1", 0},
		{"the contract has ended", at(rules.Egress, "ads", 32), "", rules.Agreement},
		{"a stranger", at(rules.Egress, "nobody", 1), "", rules.RecipientUnknown},
		{"what we collect", at(rules.Inbound, "", 1), "phone=138%2A%2A%2A%2A8000&orderNo=D1&password=x", 0},
	} {
		got, _, err := formOf(test.j, Limits{}, in, 9)
		parted, _, err2 := partsOf(t, test.j, Limits{}, "b", parts(part1("phone", "13800138000"), part1("realName", "Ann")), 9)
		query, err3 := NewHead(test.j).Query(in)
		if test.reason != 0 {
			for _, err := range []error{err, err2, err3} {
				if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Reason != test.reason {
					t.Errorf("%s: %v, want %v", test.name, err, test.reason)
				}
			}
			continue
		}
		if err != nil || err2 != nil || err3 != nil || got != test.want || query != test.want || parted != parts(part1("phone", "138****8000")) {
			t.Errorf("%s: %q %v, %q %v, %q %v\nwant %q", test.name, got, err, parted, err2, query, err3, test.want)
		}
	}
	ads, _, _ := NewHead(at(rules.Egress, "ads", 1)).Text("X-IMEI", "860531030123452")
	again, _, _ := formOf(at(rules.Egress, "ads", 2), Limits{}, "imei=860531030123452", 9)
	thin, _, _ := NewHead(at(rules.Egress, "thin", 1)).Text("X-IMEI", "860531030123452")
	if ads == "" || again != "imei="+ads || thin == ads {
		t.Errorf("tokens %q, %q and %q", ads, again, thin)
	}
}
