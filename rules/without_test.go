package rules

import (
	"testing"
	"time"
)

// TestWithout: an entry that is left out is one that nobody wrote, and the rules it is taken from stay as they are.
func TestWithout(t *testing.T) {
	d, err := Parse("a.yaml", []byte(`minimize: 1
purposes: [p]
fields: [{key: shoe, is: device.serial}]
recipients: {one: {kind: processor, contract: {from: 2026-01-01}}}
allow: [{id: all, to: one, for: p, basis: contract, keep: [device, contact]}]
limit: [{id: less, to: one, mask: contact.phone}]
`))
	if err != nil {
		t.Fatal(err)
	}
	over, err := Parse("b.yaml", []byte("minimize: 1\nrecipients: {one: {suspended: 2026-12-01, hosts: [\"https://one.example\"]}}"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Compile([]*Document{d, over}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	says := func(r *Ruleset) [3]string {
		if entry := r.Recipient("one"); entry != nil && entry.Suspended.IsZero() {
			return [3]string{"not suspended"}
		}
		now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		j := r.Scope("POST", "/").Judge(&Disclosure{Position: Egress, Recipient: "one", Purpose: "p", Time: now})
		table := j.Table(j.MessageFacts())
		shoe := "unknown"
		if name := j.Scope().Name([]byte("shoe")); j.Scope().Key(&name, nil) != nil {
			shoe = "known"
		}
		return [3]string{shoe, table.Decide(r.ID("device.serial")).Action.String(), table.Decide(r.ID("contact.phone")).Action.String()}
	}
	want := map[string][3]string{
		"field": {"unknown", "keep", "mask"}, "recipient": {"known", "block", "block"},
		"rule": {"known", "block", "block"}, "limit": {"known", "keep", "keep"},
	}
	entries := whole.Entries()
	if len(entries) != len(want)+1 {
		t.Errorf("%d entries: %v", len(entries), entries)
	}
	for _, e := range entries {
		want := want[e.Kind]
		if e.Pos.File == "b.yaml" {
			want = [3]string{"not suspended"}
		}
		if got := says(whole.Without(e)); got != want {
			t.Errorf("without %s %s of %s: %v, want %v", e.Kind, e.Name, e.Pos.File, got, want)
		}
	}
	if got := says(whole); got != [3]string{"known", "keep", "mask"} {
		t.Errorf("the rules have changed: %v", got)
	}
}
