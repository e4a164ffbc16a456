package rules

import "testing"

// TestInbound: what may be collected, from whom and for what.
func TestInbound(t *testing.T) {
	r := mustCompile(t, `home: CN
roles: [courier]
purposes: [search, login, login_by_partner]
recipients: {weibo: {kind: third_party, country: US}}
allow:
  - {id: search, to: us, from: self, for: search, mask: [location]}
  - {id: browse, to: us, for: search, keep: [general]}
  - {id: login, to: us, from: [anonymous, self], for: login, keep: [auth.secret, contact.phone]}
  - {id: way, to: us, from: courier, for: search, keep: [location.precise]}
  - {id: profile, to: us, from: weibo, for: login_by_partner, keep: [person.name]}
  - {id: read, to: courier, for: search, keep: [contact.phone]}
limit:
  - {id: no-imei, to: us, from: anonymous, block: [device.imei]}
`)
	for _, c := range []struct {
		purpose, id, role, sender string
		category                  Category
		want                      Action
	}{
		{"search", "u1", "", "", "location.precise", Mask}, {"search", "", "", "", "location.precise", Strip}, {"search", "c1", "courier", "", "location.precise", Keep},
		{"search", "", "", "", "order.number", Keep}, {"search", "", "courier", "", "contact.phone", Strip},
		{"search", "", "", "", "device.imei", Block}, {"search", "c1", "courier", "", "device.imei", Strip},
		{"login", "", "", "", "auth.secret", Keep}, {"login", "", "", "", "contact.phone", Keep}, {"search", "", "", "", "auth.secret", Strip},
		{"login_by_partner", "", "", "weibo", "person.name", Keep}, {"login_by_partner", "", "", "weibo", "contact.phone", Strip},
		{"login_by_partner", "u1", "", "", "person.name", Strip}, {"login", "u1", "", "weibo", "contact.phone", Strip},
	} {
		d := &Disclosure{Position: Inbound, Purpose: c.purpose, Recipient: c.sender, Time: modelNow, Caller: Caller{ID: c.id}}
		if c.role != "" {
			d.Caller.Roles = []string{c.role}
		}
		j := r.Scope("POST", "/").Judge(d)
		if got := j.Table(j.MessageFacts()).Decide(r.ID(c.category)); got.Action != c.want {
			t.Errorf("%+v: %v (%v, %s)", c, got.Action, got.Reason, got.Rule)
		}
	}
	// Nobody reads what is written for collecting.
	read := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "search", Time: modelNow, Caller: Caller{ID: "u1", Country: "CN"}})
	if got := read.Table(read.MessageFacts()).Decide(r.ID("order.number")); got.Action != Strip {
		t.Errorf("a reader is not us: %v", got.Action)
	}
}
