package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules/detect"
)

func mustParse(t *testing.T, name, text string) *Document {
	t.Helper()
	d, err := Parse(name, []byte("minimize: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustCompile(t *testing.T, docs ...string) *Ruleset {
	t.Helper()
	var parsed []*Document
	for i, text := range docs {
		parsed = append(parsed, mustParse(t, string(rune('a'+i))+".yaml", text))
	}
	keys, err := NewKeyRing(map[string][]byte{"2026": []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(parsed, Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCompileErrors: what documents say together is wrong in one go, each error at its line and column.
func TestCompileErrors(t *testing.T) {
	a := mustParse(t, "a.yaml", `home: CN
roles: [support, anonymous]
purposes: [care]
categories: {loyalty.score: {grade: personal}}
fields:
  - {key: score, is: loyalty.score}
  - {at: /x/y, is: loyalty}
  - {key: thing, is: loyalty.scor}
values: [imei, phon]
recipients: {partner: {kind: third_party, purposes: [care]}, support: {kind: own}}
allow:
  - {id: one, to: suport, for: cure, keep: [loyalti]}
  - {id: one, to: support, for: care, keep: [loyalty], block: [personal]}
  - {id: two, to: partner, for: care, pseudonymize: [loyalty]}
`)
	b := mustParse(t, "b.yaml", `home: DE
purposes: [ads]
categories: {loyalty.score: {grade: sensitive}}
fields:
  - {key: SCORE, is: none}
allow:
  - {id: three, to: partner, for: ads, consent: explicit, mask: [loyalty], masks: {loyally: card}}
  - {id: four, to: any, for: care, keep: [loyalty]}
`)
	_, err := Compile([]*Document{a, b}, Options{})
	if err == nil {
		t.Fatal("this must not compile")
	}
	have := strings.Split(err.Error(), "\n")
	want := []string{
		"a.yaml:3:18: role anonymous has the name of a keyword",
		"a.yaml:8:5: category loyalty is a parent only",
		"a.yaml:9:5: category loyalty.scor is not known: declare it under `categories`; did you mean `loyalty.score`?",
		"a.yaml:10:16: detector phon is not known",
		"a.yaml:11:62: support is a role and a recipient",
		"a.yaml:13:19: rule one: nobody is called suport in `to`: declare it under `roles` or `recipients`; did you mean `support`?",
		"a.yaml:13:32: purpose cure is not declared: add it to `purposes`; did you mean `care`?",
		"a.yaml:13:45: category loyalti is not known",
		"a.yaml:14:5: rule one: the id stands at a.yaml:13:5 already",
		"a.yaml:14:19: rule one: towards the recipient support it needs",
		"a.yaml:14:64: rule one blocks, but an allow only permits",
		"a.yaml:15:19: rule two: towards the recipient partner it needs a `consent` or a `basis`",
		"a.yaml:15:54: rule two pseudonymizes, but there is no key",
		"b.yaml:1:1: home contradicts the one in a.yaml",
		"b.yaml:4:14: category loyalty.score is declared differently at a.yaml:5:14",
		"b.yaml:6:5: the key SCORE is none here and loyalty.score at a.yaml:7:5",
		"b.yaml:8:5: category loyally is not known",
		"b.yaml:8:35: rule three can never apply: recipient partner is not registered for ads",
		"b.yaml:9:5: rule four: an allow names whom it is to; `any` is for limits",
	}
	for i := range max(len(have), len(want)) {
		switch {
		case i >= len(have):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("unexpected: %s", have[i])
		case !strings.HasPrefix(have[i], want[i]):
			t.Errorf("\nhave %s\nwant %s", have[i], want[i])
		}
	}
}

// TestHomeInZone: documents share a home where one names a zone and another one a country of it; the narrower one counts.
func TestHomeInZone(t *testing.T) {
	for _, c := range []struct {
		homes []string
		want  string
	}{
		{[]string{"EEA", "DE"}, "DE"}, {[]string{"DE", "EEA"}, "DE"}, {[]string{"EEA", "EEA"}, "EEA"}, {[]string{"DE", "DE"}, "DE"},
		{[]string{"EEA", "DE", "FR"}, ""}, {[]string{"CN", "EEA"}, ""}, {[]string{"EEA", "GB"}, ""}, {[]string{"DE", "FR", "EEA"}, ""},
	} {
		var docs []*Document
		for i, home := range c.homes {
			d, err := Parse(fmt.Sprint(i, ".yaml"), []byte("minimize: 1\nhome: "+home+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, d)
		}
		r, err := Compile(docs, Options{})
		if (err == nil) != (c.want != "") || err == nil && r.home != c.want {
			t.Errorf("%v: %v", c.homes, err)
		}
	}
}

// TestSinceInForce: nobody can have accepted a policy that is not in force yet.
func TestSinceInForce(t *testing.T) {
	const text = "policy: 6\nroles: [a]\npurposes: [p]\nrecipients: {r: {kind: own, since: %d}}\nallow: [{id: one, to: a, for: p, since: %d, keep: [order]}]\n"
	mustCompile(t, fmt.Sprintf(text, 6, 6))
	d, err := Parse("a.yaml", []byte("minimize: 1\n"+fmt.Sprintf(text, 7, 8)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile([]*Document{d}, Options{})
	for _, want := range []string{"a.yaml:5:14: recipient r can never get anything", "a.yaml:6:9: rule one can never apply: it wants the policy version 8, and 6 is in force"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if r := mustCompile(t, "roles: [a]\npurposes: [p]\nallow: [{id: one, to: a, for: p, case: ticket, keep: [order]}]\nlimit: [{id: two, to: a, unless: {case: approval}, strip: [order]}]\n"); !r.KnowsCase("ticket") || !r.KnowsCase("approval") || r.KnowsCase("") || r.KnowsCase("tickett") {
		t.Error("cases that rules ask for are known, and no others")
	}
}

func TestCompileNothing(t *testing.T) {
	if _, err := Compile(nil, Options{}); err == nil {
		t.Fatal("no document at all must be an error")
	}
}

// TestHash: the same documents have the same hash in any order, other ones another.
func TestHash(t *testing.T) {
	one, two := "roles: [a]\n", "roles: [b]\n"
	a, b, c := mustCompile(t, one, two), mustCompile(t, two, one), mustCompile(t, one)
	if a.Hash() != b.Hash() || a.Hash() == c.Hash() || len(a.Hash()) != 64 {
		t.Errorf("hashes %s, %s, %s", a.Hash(), b.Hash(), c.Hash())
	}
}

// label follows names from the root; a number is an element.
func label(s *Scope, path string) *Label {
	p := s.Root()
	var in, name *Name
	for step := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if step == "*" {
			p = s.Element(p, 7)
			continue
		}
		n := s.Name([]byte(step))
		in, name = name, &n
		p = s.Member(p, name)
	}
	if spot := s.Spot(p); spot != nil && spot.Label != nil {
		return spot.Label
	}
	return s.Key(name, in)
}

// TestLabels: at goes before key, the specific before the general, a document before the base pack.
func TestLabels(t *testing.T) {
	r := mustCompile(t, `operations: [GET /api/**]
categories: {own: {grade: personal}, own.one: {grade: personal}, own.two: {grade: personal}}
fields:
  - {key: [zebra, 串号x], is: own.one}
  - {key: number, in: [zebra box], is: own.two}
  - {at: /events/*/zebra, is: none}
  - {at: /**/deep/zebra, is: own.two}
  - {at: /list/*/deep/zebra, is: own.one}
  - {key: phone, is: none}
`)
	s := r.Scope("GET", "/api/x")
	for path, want := range map[string]string{
		"/zebra": "own.one", "/a/ZEBRA": "own.one", "/a/myZebra": "own.one", "/a/z_e_b_r_a": "own.one", "/a/串号X": "own.one",
		"/events/*/zebra": "none", "/events/zebra": "own.one", "/a/b/deep/zebra": "own.two", "/list/*/deep/zebra": "own.one",
		"/zebraBox/number": "own.two", "/zebra_box/*/number": "own.two", "/phone": "none", "/zebrafish": "", "/a/b": "",
	} {
		have := ""
		if l := label(s, path); l != nil {
			have = string(r.Categories()[l.Category].Name)
			if l.Silent {
				have = "none"
			}
		}
		if have != want {
			t.Errorf("%s is %q, want %q", path, have, want)
		}
	}
	if l := label(r.Scope("GET", "/other"), "/zebra"); l != nil {
		t.Error("a document's fields must not hold for other operations")
	}
	if l := label(r.Scope("GET", "/other"), "/phone"); l == nil || l.Silent {
		t.Error("the base pack must hold for operations of no document")
	}
}

func TestWords(t *testing.T) {
	r := mustCompile(t, `categories: {own: {grade: personal}}
fields:
  - {words: [逾期, Overdue], is: own}
`)
	s := r.Scope("GET", "/")
	for text, want := range map[string]int{"你已逾期三天": 1, "payment OVERDUE!": 1, "ｏｖｅｒｄｕｅ": 1, "overdueness": 0, "fine": 0, "": 0} {
		if have := len(s.Words(nil, []byte(text))); have != want {
			t.Errorf("%q holds %d, want %d", text, have, want)
		}
	}
}

// TestKindsBounded: no caller can make the rule set remember more by what it claims.
func TestKindsBounded(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
allow:
  - {id: one, to: a, for: p, when: {level: [1, 2]}, keep: [personal]}
`)
	s := r.Scope("GET", "/")
	for i := range 1000 {
		text := strings.Repeat("x", i)
		s.Judge(&Disclosure{Purpose: text, Caller: Caller{ID: text, Roles: []string{text}, Country: text, Claims: map[string]string{"level": text, text: text}}})
	}
	if len(r.kinds) > 4 {
		t.Errorf("%d kinds of disclosure are remembered", len(r.kinds))
	}
}

// TestPseudonym: a token is stable, and says nothing across categories, audiences and keys.
func TestPseudonym(t *testing.T) {
	ring := func(id, key string) *KeyRing {
		k, err := NewKeyRing(map[string][]byte{id: []byte(key)})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := ring("k1", "0123456789abcdef"), ring("k1", "0123456789abcdeX")
	seen := map[string]bool{}
	for _, token := range []string{
		string(one.Append(nil, "a", "device.imei", []byte("490154203237518"))),
		string(one.Append(nil, "b", "device.imei", []byte("490154203237518"))),
		string(one.Append(nil, "a", "device.imsi", []byte("490154203237518"))),
		string(one.Append(nil, "a", "device.imei", []byte("490154203237519"))),
		string(two.Append(nil, "a", "device.imei", []byte("490154203237518"))),
	} {
		if seen[token] || !strings.HasPrefix(token, "hm1_k1_") || len(token) != len("hm1_k1_")+26 {
			t.Errorf("token %s", token)
		}
		seen[token] = true
	}
	if again := string(one.Append([]byte("x"), "a", "device.imei", []byte("490154203237518"))); !seen[again[1:]] {
		t.Error("the same value must have the same token")
	}
	for id, key := range map[string]string{
		"": "0123456789abcdef", "a b": "0123456789abcdef", "short": "0123456789", "_2026": "0123456789abcdef", "ads_": "0123456789abcdef", "ads_a b": "0123456789abcdef",
		"ads_short": "0123456789",
	} {
		if _, err := NewKeyRing(map[string][]byte{"k1": make([]byte, 16), id: []byte(key)}); err == nil {
			t.Errorf("the key %q must be refused", id)
		}
	}
	if _, err := NewKeyRing(map[string][]byte{"ads_2026": make([]byte, 16)}); err == nil {
		t.Error("a key of one recipient is none for the others")
	}
}

// TestSubjectCountry: what is no country code is no answer, so a limit that asks holds.
func TestSubjectCountry(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: "", subject: /id, country: /country}]
allow:
  - {id: one, to: a, for: p, keep: [personal]}
limit:
  - {id: two, to: a, when: {country: CN}, strip: [personal]}
`)
	j := r.Scope("GET", "/").Judge(&Disclosure{Purpose: "p", Caller: Caller{Roles: []string{"a"}}})
	for country, want := range map[string]Action{"CN": Strip, "DE": Keep, "China": Strip, "cn": Strip, "": Strip} {
		values := make([]Value, j.Scope().SlotCount())
		values[slotCountry] = Value{Known, []byte(country)}
		p := j.Begin(0, values)
		if have := j.Table(j.Complete(&p, nil, 0, modelNow)).Decide(r.ID("contact.phone")).Action; have != want {
			t.Errorf("%q: %v, want %v", country, have, want)
		}
	}
}

// BenchmarkCompile is what a reload costs.
func BenchmarkCompile(b *testing.B) {
	d, err := Parse("a.yaml", []byte("minimize: 1\nroles: [a]\npurposes: [p]\nallow: [{id: one, to: a, for: p, keep: [personal]}]\n"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Compile([]*Document{d}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// judged compiles rules for a role `a` and the purpose `p`, and returns the decisions for a record without facts.
func judged(t *testing.T, d *Disclosure, text string) func(c Category) *Decision {
	t.Helper()
	r := mustCompile(t, "roles: [a]\npurposes: [p]\n"+text)
	d.Purpose, d.Caller.Roles = "p", []string{"a"}
	j := r.Scope("GET", "/").Judge(d)
	return func(c Category) *Decision {
		return j.Table(j.UnknownFacts()).Decide(r.ID(c))
	}
}

// TestLimitTightensMask: of two masks what both show, in whatever order the limits stand.
func TestLimitTightensMask(t *testing.T) {
	for limits, want := range map[string]string{
		`{id: x, to: a, mask: [contact.phone], masks: {contact.phone: all}}`:   "****",
		`{id: x, to: a, mask: [contact.phone], length: hide}`:                  "138****8000",
		`{id: x, to: a, mask: [contact.phone], masks: {contact.phone: "1+1"}}`: "****",
		`{id: x, to: a, mask: [contact.phone]}`:                                "138****8000",
	} {
		decide := judged(t, &Disclosure{}, "allow: [{id: one, to: a, for: p, mask: [contact]}]\nlimit: ["+limits+"]\n")
		d := decide("contact.phone")
		if got := string(d.Append(nil, []byte("13800138000"))); got != want {
			t.Errorf("%s: %s, want %s", limits, got, want)
		}
	}
	const x, y, z = `{id: x, to: a, mask: [contact], masks: {contact: "3+1"}}`, `{id: y, to: a, mask: [contact], masks: {contact: "1+3"}}`, `{id: z, to: a, mask: [contact], masks: {contact: "4+4"}, length: hide}`
	for _, limits := range []string{x + "," + y + "," + z, z + "," + y + "," + x, y + "," + x + "," + z} {
		d := judged(t, &Disclosure{}, "allow: [{id: one, to: a, for: p, keep: [contact]}]\nlimit: ["+limits+"]\n")("contact.phone")
		if got := string(d.Append(nil, []byte("13800138000"))); got != "1****0" || d.Rule != "x" || d.Reason != Limited {
			t.Errorf("%s: %s by %s", limits, got, d.Rule)
		}
	}
}

// TestOrganisationLifts: what lifts a limit for one organisation lifts it for no other.
func TestOrganisationLifts(t *testing.T) {
	text := "recipients: {good: {kind: own}}\nlimit: [{id: x, to: a, unless: {organisation: good}, strip: [business]}]\n"
	r := mustCompile(t, "roles: [a]\npurposes: [p]\n"+text)
	for _, step := range []struct {
		org  string
		want Action
	}{{"good", Keep}, {"bad", Strip}, {"good", Keep}} {
		j := r.Scope("GET", "/").Judge(&Disclosure{Caller: Caller{Roles: []string{"a"}, Organisation: step.org}})
		if have := j.Table(Facts{}).Decide(r.ID("business")).Action; have != step.want {
			t.Errorf("%s: %v, want %v", step.org, have, step.want)
		}
	}
}

// TestSameNumber: numbers are equal in any spelling, without rounding.
func TestSameNumber(t *testing.T) {
	for _, same := range [][2]string{{"3", "3.0"}, {"3", "30e-1"}, {"3", "0.3E1"}, {"0", "-0.00"}, {"9007199254740993", "9007199254740993.0"}} {
		if !sameNumber(same[0], same[1]) {
			t.Errorf("%v must be the same", same)
		}
	}
	for _, other := range [][2]string{{"9007199254740993", "9007199254740992"}, {"3", "-3"}, {"3", "three"}, {"1e99999999999", "1e99999999999"}, {"", "0"}, {"1.2.3", "1.23"}} {
		if sameNumber(other[0], other[1]) {
			t.Errorf("%v must not be the same", other)
		}
	}
}

// TestRoutes: what a document says of some routes holds there beside what it says for all, and nowhere else.
func TestRoutes(t *testing.T) {
	r := mustCompile(t, `fields: [{key: who, is: person.name}]
values: [imei]
routes:
  - operations: GET /api/a
    fields: [{key: tail, is: contact.phone}]
  - {operations: GET /api/b, values: [phone], undeclared: strip}
`)
	for _, c := range []struct {
		path, name string
		want       Category
		detectors  string
		undeclared bool
	}{
		{"/api/a", "who", "person.name", "imei", false},
		{"/api/a", "tail", "contact.phone", "imei", false},
		{"/api/b", "tail", None, "imei phone", true},
		{"/api/c", "tail", None, "imei", false},
	} {
		s := r.Scope("GET", c.path)
		got := None
		name := s.Name([]byte(c.name))
		if label := s.Key(&name, nil); label != nil {
			got = r.Categories()[label.Category].Name
		}
		var detectors detect.Set
		for _, d := range strings.Fields(c.detectors) {
			kind, _ := detect.ParseName(d)
			detectors = detectors.Add(kind)
		}
		if got != c.want || s.detectors != detectors || s.undeclared != c.undeclared {
			t.Errorf("%s %s: %v, detectors %b, undeclared stripped %v", c.path, c.name, got, s.detectors, s.undeclared)
		}
	}
	d := mustParse(t, "a.yaml", "fields: [{key: who, is: person.name}]\nroutes: [{operations: GET /a, fields: [{key: who, is: contact.email}]}]")
	if _, err := Compile([]*Document{d}, Options{}); err == nil || !strings.Contains(err.Error(), "the key who is contact.email here and person.name at") {
		t.Errorf("a route contradicts its document: %v", err)
	}
}

// TestWhoseItIs: a document's own word for a person yields to what the name goes on to name, like the base pack's.
func TestWhoseItIs(t *testing.T) {
	r := mustCompile(t, `
fields:
  - {key: [empfänger, destinatario], is: person.name}
  - {key: openid, is: account.id}
  - {key: ort, is: location.region}
  - {key: egal, is: none}
`)
	s := r.Scope("GET", "/")
	for name, want := range map[string]Category{
		"empfänger":             "person.name",
		"empfängerPhone":        "contact.phone",
		"EMPFAENGER_EMAIL":      "contact.email",
		"destinatarioPhone":     "contact.phone",
		"phoneDestinatario":     "person.name",
		"destinatarioOrt":       "location.region",
		"openidPhone":           "contact.phone",
		"destinatarioOpenid":    "account.id",
		"openidDestinatario":    "person.name",
		"consigneePhone":        "contact.phone",
		"consigneeDestinatario": "person.name",
		"destinatarioPhoneType": "person.name",
		"destinatarioEgal":      None,
	} {
		n := s.Name([]byte(name))
		got := None
		if label := s.Key(&n, nil); label != nil && !label.Silent {
			got = r.Categories()[label.Category].Name
		}
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
