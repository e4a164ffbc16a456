package rules

import (
	"testing"
	"time"
)

// TestMinor holds the age limits of the countries against records that say the age in every way there is.
func TestMinor(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: /u, subject: /id, born: /born, country: /country}]
allow: [{id: all, to: a, for: p, keep: [personal]}]
limit: [{id: minors, to: a, when: {minor: true}, strip: [personal]}]
`)
	for _, c := range []struct {
		country, born string
		minor         bool
	}{
		{"CN", "13", true}, {"CN", "14", false}, {"CN", "2012-11-22", false}, {"CN", "2012-11-23", true}, {"CN", "11010520121123001X", true},
		{"DE", "15", true}, {"DE", "16", false}, {"IT", "13", true}, {"IT", "14", false}, {"DK", "14", true}, {"GB", "13", false}, {"GB", "12", true},
		{"JP", "17", true}, {"JP", "18", false}, {"", "17", true}, {"", "18", false}, {"Germany", "17", true},
		{"DE", "19900102", false}, {"DE", "1990/01/02", false}, {"DE", "1990-01-02T00:00:00Z", false}, {"DE", "1990-01-02 03:04:05", false},
		{"DE", "RSSMRA85T10A562S", false}, {"CN", "11010519491231002X", false},
		{"DE", "", true}, {"DE", "unknown", true}, {"DE", "-3", true}, {"DE", "2999-01-01", true}, {"DE", "900", true}, {"DE", "0", true},
	} {
		d := &Disclosure{Purpose: "p", Caller: Caller{Roles: []string{"a"}}, Time: modelNow}
		j := r.Scope("GET", "/").Judge(d)
		values := make([]Value, j.Scope().SlotCount())
		put := func(slot int, text string) {
			if text != "" {
				values[slot] = Value{Known, []byte(text)}
			}
		}
		put(slotBorn, c.born)
		put(slotCountry, c.country)
		p := j.Begin(0, values)
		if got := j.Table(j.Complete(&p, nil, 0, modelNow)).Decide(r.ID("person.name")).Action == Strip; got != c.minor {
			t.Errorf("%s in %s: a minor %v, want %v", c.born, c.country, got, c.minor)
		}
	}
}

// TestMinorKnown: a limit for minors that are known to be some leaves alone whose age nobody says, and holds where somebody should.
func TestMinorKnown(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: /u, subject: /id}, {at: /b, subject: /id, born: /born}, {at: /m, minor: true}]
allow: [{id: all, to: a, for: p, keep: [personal]}]
limit: [{id: minors, to: a, when: {minor: known}, strip: [personal]}]
`)
	nobody := &Person{}
	for _, c := range []struct {
		row      int
		id, born string
		person   *Person // nil: the store is away
		held     bool
	}{
		{0, "u1", "", nobody, false}, {0, "u1", "", &Person{Minor: true}, true}, {0, "u1", "", &Person{Born: modelNow.AddDate(-9, 0, 0)}, true},
		{0, "u1", "", &Person{Born: modelNow.AddDate(-30, 0, 0)}, false}, {0, "u1", "", nil, true}, {0, "", "", nobody, true},
		{1, "u1", "9", nobody, true}, {1, "u1", "40", nobody, false}, {1, "u1", "", nobody, true}, {2, "", "", nobody, true},
	} {
		d := &Disclosure{Purpose: "p", Caller: Caller{Roles: []string{"a"}}, Time: modelNow, People: somePeople{}}
		j := r.Scope("GET", "/").Judge(d)
		values := make([]Value, j.Scope().SlotCount())
		for slot, text := range map[int]string{slotSubject: c.id, slotBorn: c.born} {
			if text != "" {
				values[slot] = Value{Known, []byte(text)}
			}
		}
		p := j.Begin(c.row, values)
		person := c.person
		if !p.Known() {
			person = nil
		}
		if got := j.Table(j.Complete(&p, person, 0, modelNow)).Decide(r.ID("person.name")).Action == Strip; got != c.held {
			t.Errorf("row %d, %q born %q, %+v: held %v, want %v", c.row, c.id, c.born, c.person, got, c.held)
		}
	}
}

func TestRetain(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: /u, subject: /id, created: /at, retain: 3y}, {at: /m, created: /at, retain: 1m}, {at: /d, created: /at, retain: 2d}]
allow:
  - {id: all, to: a, for: p, keep: [personal, general]}
  - {id: law, to: a, for: p, basis: legal_obligation, keep: [contact.phone]}
`)
	stamp := func(at time.Time) string { return at.Format(time.RFC3339) }
	for _, c := range []struct {
		row     int
		created string
		kept    bool
	}{
		{0, "2026-10-01", true}, {0, "2023-11-22", true}, {0, "2023-11-21", false}, {0, "2019-01-01", false}, {0, "", false}, {0, "soon", false},
		{0, "1700611200", true}, {0, "1700524800", false}, {0, "1700611200000", true}, {1, "2026-10-22", true}, {1, "2026-10-21", false},
		{2, stamp(modelNow.AddDate(0, 0, -2)), true}, {2, stamp(modelNow.AddDate(0, 0, -3)), false}, {2, "2030-01-01", true},
	} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Caller: Caller{Roles: []string{"a"}}, Time: modelNow})
		values := make([]Value, j.Scope().SlotCount())
		if c.created != "" {
			values[slotCreated] = Value{Known, []byte(c.created)}
		}
		p := j.Begin(c.row, values)
		table := j.Table(j.Complete(&p, nil, 0, modelNow))
		if got := table.Decide(r.ID("person.name")); (got.Action == Keep) != c.kept || !c.kept && got.Reason != Ended {
			t.Errorf("row %d of %q: %v, %v", c.row, c.created, got.Action, got.Reason)
		}
		if law, general := table.Decide(r.ID("contact.phone")).Action, table.Decide(r.ID("order.number")).Action; law != Keep || general != Keep {
			t.Errorf("row %d of %q: under the law %v, general %v", c.row, c.created, law, general)
		}
	}
}

// TestSeveralDays: of several days the one counts that discloses less; one that is none tells nothing.
func TestSeveralDays(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: /u, subject: /id, created: [/created, /ordered], born: [/born, /age], retain: 3y}]
allow: [{id: all, to: a, for: p, keep: [personal]}]
`)
	j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Caller: Caller{Roles: []string{"a"}}, Time: modelNow})
	for _, c := range []struct {
		slot int
		a, b string
		want ValueState
		text string
	}{
		{slotCreated, "2026-01-01", "2025-01-01T10:00:00Z", Known, "2025-01-01T10:00:00Z"}, {slotCreated, "2025-01-01", "2026-01-01", Known, "2025-01-01"},
		{slotBorn, "2000-01-01", "2012-01-01", Known, "2012-01-01"}, {slotBorn, "14", "2000-01-01", Known, "14"},
		{slotCreated, "2026-01-01", "soon", Ambiguous, ""}, {slotBorn, "old", "2000-01-01", Ambiguous, ""},
		{slotSubject, "u1", "u1", Known, "u1"}, {slotSubject, "u1", "u2", Ambiguous, ""}, {slotCountry, "CN", "DE", Ambiguous, ""},
	} {
		got := j.agreed(c.slot, Value{Known, []byte(c.a)}, Value{Known, []byte(c.b)})
		if got.State != c.want || string(got.Text) != c.text {
			t.Errorf("%d: %s and %s: %d %s", c.slot, c.a, c.b, got.State, got.Text)
		}
	}
}

// TestRetainEnds: a month that has no such day ends the period with its last one, in every month and in leap years.
func TestRetainEnds(t *testing.T) {
	for _, c := range []struct{ created, retain, last string }{
		{"2026-08-31", "6m", "2027-02-28"}, {"2027-08-31", "6m", "2028-02-29"}, {"2026-01-31", "1m", "2026-02-28"}, {"2026-03-31", "1m", "2026-04-30"},
		{"2024-02-29", "1y", "2025-02-28"}, {"2024-02-29", "4y", "2028-02-29"}, {"2026-08-30", "1m", "2026-09-30"}, {"2026-12-31", "2m", "2027-02-28"},
		{"2026-08-31", "30d", "2026-09-30"}, {"2026-08-15", "6m", "2027-02-15"},
	} {
		last := date(c.last)
		if in, out := expired(date(c.created), c.retain, last.Add(24*time.Hour-1)), expired(date(c.created), c.retain, last.AddDate(0, 0, 1)); in != no || out != yes {
			t.Errorf("%s of %s: past its time on the last day %v, on the day after %v", c.retain, c.created, in, out)
		}
	}
}

// TestOver: the first data subjects of a day are seen, from the next one on the limit holds; who cannot be counted is one more.
func TestOver(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: /u, subject: /id}]
allow: [{id: all, to: a, for: p, keep: [personal]}]
limit: [{id: many, to: a, over: 3/day, mask: [person.name]}, {id: more, to: a, over: 5/day, strip: [person.name]}]
`)
	j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Caller: Caller{ID: "c", Roles: []string{"a"}}, Time: modelNow, People: somePeople{}})
	values := make([]Value, j.Scope().SlotCount())
	values[slotSubject] = Value{Known, []byte("u")}
	p := j.Begin(0, values)
	for nth, want := range []Action{Strip, Keep, Keep, Keep, Mask, Mask, Strip, Strip} {
		d := j.Table(j.Complete(&p, &Person{}, nth, modelNow)).Decide(r.ID("person.name"))
		if d.Action != want || want != Keep && d.Reason != Over {
			t.Errorf("the data subject number %d: %v, %v", nth, d.Action, d.Reason)
		}
	}
}

// TestObjectedNow: who objects with the request itself is not disclosed by consent or interest, whatever the store knows.
func TestObjectedNow(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p, q]
records: [{at: /u, subject: /id}]
allow:
  - {id: agreed, to: a, for: [p, q], consent: general, keep: [contact]}
  - {id: interest, to: a, for: [p, q], basis: legitimate_interests, keep: [device]}
  - {id: deal, to: a, for: [p, q], basis: contract, keep: [person]}
`)
	agreed := &Person{Consents: []Consent{{Purpose: "p", Level: LevelExplicit, Given: modelNow}, {Purpose: "q", Level: LevelExplicit, Given: modelNow}}}
	for _, c := range []struct {
		caller, purpose string
		want            Action
	}{{"u", "p", Strip}, {"u", "q", Keep}, {"somebody", "p", Keep}, {"", "p", Keep}} {
		d := &Disclosure{Purpose: c.purpose, Caller: Caller{ID: c.caller, Roles: []string{"a"}}, Time: modelNow, People: somePeople{}, Objected: []string{"p"}}
		j := r.Scope("GET", "/").Judge(d)
		values := make([]Value, j.Scope().SlotCount())
		values[slotSubject] = Value{Known, []byte("u")}
		p := j.Begin(0, values)
		table := j.Table(j.Complete(&p, agreed, 0, modelNow))
		if a, b, deal := table.Decide(r.ID("contact.phone")).Action, table.Decide(r.ID("device.imei")).Action, table.Decide(r.ID("person.name")).Action; a != c.want || b != c.want || deal != Keep {
			t.Errorf("%+v: agreed %v, interest %v, deal %v", c, a, b, deal)
		}
	}
}

// TestOverTogether: one caller has one count, so that it goes on to the greatest number that some limit asks for.
func TestOverTogether(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p, q]
allow: [{id: all, to: a, for: [p, q], keep: [personal]}]
limit: [{id: few, to: a, for: p, over: 2/day, strip: [personal]}, {id: more, to: a, for: q, over: 5/day, strip: [personal]}]
`)
	for _, purpose := range []string{"p", "q"} {
		s := &counting{}
		j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: purpose, Caller: Caller{ID: "c", Roles: []string{"a"}}, Time: modelNow, People: s})
		j.Seen([]int{0}, [][]byte{[]byte("u")})
		if s.most != 5 {
			t.Errorf("for %s it counts to %d, want 5", purpose, s.most)
		}
	}
}

type counting struct {
	somePeople
	most int
}

func (c *counting) Seen(_ []int, _ string, _ [][]byte, most int) { c.most = most }

// TestAgreedAfterObjecting: an objection ends what was agreed to before it, whomever to, and nothing that came later.
func TestAgreedAfterObjecting(t *testing.T) {
	r := mustCompile(t, `purposes: [p]
recipients: {ads: {kind: third_party, contract: {from: 2026-01-01}}}
allow:
  - {id: agreed, to: ads, for: p, consent: general, keep: [contact]}
  - {id: interest, to: ads, for: p, basis: legitimate_interests, keep: [device]}
`)
	for after, want := range map[time.Duration]Action{-time.Hour: Block, 0: Block, time.Hour: Keep} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Subject: "u", Caller: Caller{Organisation: "ads"}, Time: modelNow, People: somePeople{}})
		objected := modelNow.AddDate(0, 0, -1)
		person := &Person{Consents: []Consent{
			{Purpose: "p", Objected: objected},
			{Purpose: "p", Recipient: "ads", Level: LevelExplicit, Given: objected.Add(after)},
		}}
		p, _ := j.Message()
		table := j.Table(j.Complete(&p, person, 0, modelNow))
		if agreed, interest := table.Decide(r.ID("contact.phone")).Action, table.Decide(r.ID("device.imei")).Action; agreed != want || interest != Block {
			t.Errorf("agreed %v after objecting: %v, by interest %v", after, agreed, interest)
		}
	}
}

// TestWithdrawnInOtherWords: what names nobody, a kind or the recipient ends each other, as far as it came later.
func TestWithdrawnInOtherWords(t *testing.T) {
	r := mustCompile(t, `purposes: [p]
recipients: {acme: {kind: processor, contract: {from: 2026-01-01}}}
allow: [{id: agreed, to: acme, for: p, consent: general, keep: [contact]}]
`)
	j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Subject: "u", Caller: Caller{Organisation: "acme"}, Time: modelNow, People: somePeople{}})
	for _, given := range []string{"", "processor", "acme"} {
		for withdrawn, ends := range map[string]bool{"": true, "processor": true, "acme": true, "third_party": false, "other": false} {
			for after, later := range map[time.Duration]bool{-time.Hour: false, 0: true, time.Hour: true} {
				at := modelNow.AddDate(0, 0, -1)
				person := &Person{Consents: []Consent{
					{Purpose: "p", Recipient: given, Level: LevelExplicit, Given: at},
					{Purpose: "p", Recipient: withdrawn, Withdrawn: at.Add(after)},
				}}
				p, _ := j.Message()
				if got := j.Table(j.Complete(&p, person, 0, modelNow)).Decide(r.ID("contact.phone")).Action; (got == Keep) == (ends && later) {
					t.Errorf("given to %q, withdrawn from %q %v later: %v", given, withdrawn, after, got)
				}
			}
		}
	}
	person := &Person{Consents: []Consent{{Purpose: "p", Recipient: "acme", Level: LevelExplicit, Given: modelNow.Add(time.Second)}}}
	p, _ := j.Message()
	if got := j.Table(j.Complete(&p, person, 0, modelNow)).Decide(r.ID("contact.phone")).Action; got == Keep {
		t.Error("a consent of tomorrow counts today")
	}
}

// TestCaseSubject: a message is about a case's data subject only as long as the case is open, and to who may act in it.
func TestCaseSubject(t *testing.T) {
	r := mustCompile(t, `roles: [a, b]
purposes: [p]
allow: [{id: agreed, to: a, for: p, consent: general, keep: [contact]}, {id: deal, to: a, for: p, keep: [device]}]
`)
	for _, c := range []struct {
		of         Case
		want, deal Action
	}{
		{Case{Callers: []string{"c"}}, Keep, Keep}, {Case{Roles: []string{"a"}}, Keep, Keep}, {Case{}, Keep, Keep},
		{Case{Callers: []string{"somebody"}}, Strip, Strip}, {Case{Roles: []string{"b"}}, Strip, Strip},
		{Case{Callers: []string{"c"}, Ends: modelNow}, Strip, Strip}, {Case{Callers: []string{"c"}, Ends: modelNow.Add(1)}, Keep, Keep},
	} {
		c.of.ID, c.of.Kind, c.of.Subject = "T-1", "ticket", "u"
		s := &oneCase{of: &c.of}
		j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Caller: Caller{ID: "c", Roles: []string{"a"}, CaseID: "T-1"}, Time: modelNow, People: s})
		table := j.Table(j.MessageFacts())
		if got, deal := table.Decide(r.ID("contact.phone")).Action, table.Decide(r.ID("device.imei")).Action; got != c.want || deal != c.deal {
			t.Errorf("%+v: %v, %v", c.of, got, deal)
		}
	}
}

// oneCase knows one case, and that everybody agreed.
type oneCase struct {
	somePeople
	of *Case
}

func (o *oneCase) Case(string) *Case { return o.of }
func (*oneCase) Find(found []*Person, _ [][]byte) {
	for i := range found {
		found[i] = &Person{Consents: []Consent{{Purpose: "p", Level: LevelExplicit, Given: modelNow}}}
	}
}

// TestStoreAway: towards a recipient the reason is that nobody can tell, which answers 503, where nothing else is missing.
func TestStoreAway(t *testing.T) {
	r := mustCompile(t, `home: CN
purposes: [p]
recipients:
  here: {kind: third_party, country: CN, contract: {from: 2026-01-01}}
  there: {kind: third_party, country: VN, contract: {from: 2026-01-01}, transfer: {mechanism: exempt_necessity, consent: separate}}
  gone: {kind: third_party, country: CN, contract: {until: 2026-01-01}}
allow:
  - {id: agreed, to: third_party, for: p, consent: general, keep: [contact]}
  - {id: adults, to: third_party, for: p, basis: contract, when: {minor: false}, keep: [device]}
  - {id: law, to: third_party, for: p, basis: legal_obligation, keep: [person]}
`)
	for name, want := range map[string][3]Reason{
		"here": {Unavailable, Unavailable, Permitted}, "there": {Unavailable, Unavailable, Unavailable}, "gone": {Agreement, Agreement, Agreement},
	} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Position: Egress, Recipient: name, Purpose: "p", Subject: "u", Time: modelNow, People: somePeople{}})
		p, _ := j.Message()
		table := j.Table(j.Complete(&p, nil, 0, modelNow))
		for i, c := range []Category{"contact.phone", "device.imei", "person.name"} {
			if d := table.Decide(r.ID(c)); d.Reason != want[i] || (d.Action == Block) == (want[i] == Permitted) {
				t.Errorf("%s, %s: %v, %v, want %v", name, c, d.Action, d.Reason, want[i])
			}
		}
	}
}

// TestRecipientsConsent: a consent that names nobody is one to us and who works for us; others have to be named.
func TestRecipientsConsent(t *testing.T) {
	r := mustCompile(t, `purposes: [p]
recipients: {ads: {kind: third_party}, cloud: {kind: processor}, sister: {kind: affiliate}}
allow: [{id: all, to: [third_party, processor, affiliate], for: p, consent: general, keep: [personal]}]
`)
	for _, c := range []struct {
		organisation, named string
		granted             bool
	}{
		{"", "", true}, {"", "ads", false}, {"ads", "", false}, {"ads", "ads", true}, {"ads", "third_party", true}, {"ads", "affiliate", false}, {"ads", "cloud", false},
		{"cloud", "", true}, {"cloud", "cloud", true}, {"sister", "", false}, {"sister", "sister", true}, {"nobody", "", false}, {"nobody", "nobody", true},
	} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Caller: Caller{Organisation: c.organisation}, Time: modelNow, People: somePeople{}})
		said := func(x Consent) consent {
			x.Purpose, x.Level, x.Given = "p", LevelExplicit, modelNow
			return j.consentOf(&Pending{}, &Person{Consents: []Consent{{Purpose: "p", Level: LevelExplicit, Given: modelNow, Recipient: c.named}, x}}, false, modelNow)
		}
		with := said(Consent{Recipient: "somebody else"})
		if got := with.consented("person", LevelGeneral, 0) == Permitted; got != c.granted {
			t.Errorf("%q asks, %q is named: %v, want %v", c.organisation, c.named, got, c.granted)
		}
		if against := said(Consent{Recipient: "", Objected: modelNow}); against.consented("person", LevelGeneral, 0) != Objection {
			t.Errorf("%q: an objection that names nobody holds against everybody", c.organisation)
		}
	}
}
