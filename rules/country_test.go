package rules

import (
	"strings"
	"testing"
)

const ownZones = "zones: {NORDIC: [SE, NO, DK, FI, IS], EUROPE: [EEA, CH, GB], ISLANDS: [JP, NZ], ALPS: CH}\n"

// TestZones: a zone stands for its countries wherever a country can, whichever document declares it.
func TestZones(t *testing.T) {
	r := mustCompile(t, ownZones, "home: NORDIC\n")
	for _, c := range []struct {
		place, name string
		want        bool
	}{
		{"NORDIC", "NO", true}, {"NORDIC", "DE", false}, {"EUROPE", "NORDIC", true}, {"NORDIC", "EUROPE", false}, {"EUROPE", "EEA", true},
		{"EUROPE", "DE", true}, {"EEA", "GB", false}, {"EEA", "EEA", true}, {"SE", "NORDIC", false}, {"SE", "SE", true},
		{"JP", "ISLANDS", false}, {"CH", "ALPS", true}, {"SE", "", false}, {"", "", false}, {"", "SE", false}, {"MIDEAST", "MARS", false},
	} {
		if got := r.Within(c.place, c.name); got != c.want {
			t.Errorf("%s within %s: got %t", c.name, c.place, got)
		}
	}
}

// TestZoneBorders: inside a zone that is home no transfer is needed, and a recipient that is somewhere in a zone is abroad
// where one country of it is.
func TestZoneBorders(t *testing.T) {
	const entry = "{kind: third_party, contract: {from: 2026-01-01}, country: "
	const scc = ", transfer: {mechanism: scc}}"
	for _, c := range []struct {
		home, entry, reader string
		want                Reason
	}{
		{"NORDIC", entry + "NO}", "NO", Permitted}, {"NORDIC", entry + "DE}", "DE", Country}, {"EUROPE", entry + "NORDIC}", "FI", Permitted},
		{"EUROPE", entry + "NORDIC}", "DE", Permitted}, {"NORDIC", entry + "EEA}", "NO", Country}, {"NORDIC", entry + "EEA, transfer: {mechanism: adequacy}}", "DE", Permitted},
		{"NORDIC", entry + "EEA, transfer: {mechanism: adequacy}}", "GB", Country},
		{"NORDIC", entry + "EUROPE" + scc, "CH", TransferMissing}, // not all of it protects data adequately
		{"CN", entry + "ISLANDS" + scc, "JP", Permitted},
	} {
		reads := registered(t, c.entry, c.home+"\n"+ownZones, &Disclosure{Caller: Caller{Country: c.reader}})
		if d := reads("contact.phone"); d.Reason != c.want || (d.Action == Keep) != (c.want == Permitted) {
			t.Errorf("%+v: %v, %v", c, d.Action, d.Reason)
		}
	}
}

// TestZoneOfSubject: a condition names the data subject's country by a zone.
func TestZoneOfSubject(t *testing.T) {
	r := mustCompile(t, "roles: [a]\npurposes: [p]\nrecords: [{at: \"\", subject: /id, country: /c}]\n"+
		"allow: [{id: north, to: a, for: p, when: {country: [NORDIC, GB]}, keep: [order]}]\n", ownZones)
	for country, want := range map[string]Action{"NO": Keep, "GB": Keep, "DE": Strip, "": Strip} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Caller: Caller{Roles: []string{"a"}}, Purpose: "p", Time: modelNow})
		values := make([]Value, j.Scope().SlotCount())
		values[slotCountry] = Value{Known, []byte(country)}
		p := j.Begin(0, values)
		if d := j.Table(j.Complete(&p, nil, 0, modelNow)).Decide(r.ID("order.amount")); d.Action != want {
			t.Errorf("%q: %v", country, d.Action)
		}
	}
}

// TestZoneErrors: names that stand for nothing, and for two things.
func TestZoneErrors(t *testing.T) {
	for _, c := range []struct {
		docs []string
		want string // "": it compiles
	}{
		{[]string{"home: NORDIK\n", ownZones}, "a.yaml:2:7: `NORDIK` is no country of ISO 3166-1 and no zone: declare it under `zones`; did you mean `NORDIC`?"},
		{[]string{"recipients: {r: {kind: own, country: EAA}}\n"}, "did you mean `EEA`?"},
		{[]string{"roles: [a]\npurposes: [p]\nallow: [{id: x, to: a, for: p, when: {country: MOON}, keep: [order]}]\n"}, "a.yaml:4:48: `MOON` is no country"},
		{[]string{ownZones, "zones: {NORDIC: [SE]}\n"}, "b.yaml:2:9: zone NORDIC holds other countries at a.yaml:2:9"},
		{[]string{ownZones, "zones: {NORDIC: [IS, FI, DK, NO, SE]}\n"}, ""},
		{[]string{ownZones, "home: EUROPE\n"}, ""},
	} {
		var docs []*Document
		for i, text := range c.docs {
			docs = append(docs, mustParse(t, string(rune('a'+i))+".yaml", text))
		}
		_, err := Compile(docs, Options{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v", c.docs, err)
		}
	}
}
