package rules

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// registered decides about contact.phone (personal) and contact.email for a recipient of this entry.
func registered(t *testing.T, entry, home string, d *Disclosure) func(c Category) *Decision {
	t.Helper()
	r := mustCompile(t, `home: `+home+`
roles: [staff]
purposes: [p, q]
recipients: {r: `+entry+`}
allow:
  - {id: all, to: [r, staff], for: p, basis: contract, keep: [contact.phone, contact.email, financial, order]}
  - {id: agreed, to: r, for: p, consent: explicit, keep: [person]}
`)
	d.Purpose, d.Time = "p", modelNow
	if d.Position == Egress {
		d.Recipient = "r"
	} else {
		d.Caller.Organisation = "r"
	}
	j := r.Scope("GET", "/").Judge(d)
	return func(c Category) *Decision { return j.Table(j.MessageFacts()).Decide(r.ID(c)) }
}

// TestRecipient holds what the register has to say before anything above open goes to a recipient.
func TestRecipient(t *testing.T) {
	const ok = "contract: {from: 2026-01-01, until: 2026-12-31}"
	for _, c := range []struct {
		entry, home, reader string
		want                Reason
	}{
		{"{kind: third_party, country: CN, " + ok + "}", "CN", "CN", Permitted},
		{"{kind: third_party, country: CN, contract: {until: 2026-11-22}}", "CN", "CN", Permitted},
		{"{kind: third_party, country: CN, contract: {until: 2026-11-21}}", "CN", "CN", Agreement},
		{"{kind: third_party, country: CN, contract: {from: 2026-11-23}}", "CN", "CN", Agreement},
		{"{kind: third_party, country: CN}", "CN", "CN", Agreement},
		{"{kind: own, country: CN}", "CN", "CN", Permitted},
		{"{kind: authority, country: CN}", "CN", "CN", Permitted},
		{"{kind: third_party, country: CN, suspended: 2026-11-22, " + ok + "}", "CN", "CN", Agreement},
		{"{kind: third_party, country: CN, suspended: 2026-11-23, " + ok + "}", "CN", "CN", Permitted},
		{"{kind: third_party, country: CN, purposes: [p], " + ok + "}", "CN", "CN", Permitted},
		{"{kind: third_party, country: CN, " + ok + "}", "CN", "", Country},
		{"{kind: third_party, country: CN, " + ok + "}", "CN", "VN", Country},
		{"{kind: third_party, " + ok + "}", "CN", "CN", Country},
		{"{kind: third_party, country: VN, " + ok + "}", "CN", "VN", Country},
		{"{kind: third_party, country: VN, transfer: {mechanism: standard_contract}, " + ok + "}", "CN", "VN", TransferMissing},
		{"{kind: third_party, country: VN, transfer: {mechanism: standard_contract, assessment: A}, " + ok + "}", "CN", "VN", Permitted},
		{"{kind: third_party, country: VN, transfer: {mechanism: standard_contract, assessment: A}, " + ok + "}", "CN", "CN", Permitted},
		{"{kind: third_party, country: VN, transfer: {mechanism: standard_contract, assessment: A}, " + ok + "}", "CN", "US", Country},
		{"{kind: third_party, country: VN, transfer: {mechanism: standard_contract, assessment: A, until: 2026-11-21}, " + ok + "}", "CN", "VN", TransferMissing},
		{"{kind: third_party, country: VN, transfer: {mechanism: exempt_necessity, categories: [contact.email]}, " + ok + "}", "CN", "VN", TransferMissing},
		{"{kind: third_party, country: VN, transfer: {mechanism: exempt_necessity, categories: [contact]}, " + ok + "}", "CN", "VN", Permitted},
		{"{kind: third_party, country: VN, transfer: {mechanism: exempt_necessity, categories: [personal]}, " + ok + "}", "CN", "VN", Permitted},
		{"{kind: third_party, country: VN, transfer: {mechanism: exempt_necessity, consent: separate}, " + ok + "}", "CN", "VN", TransferMissing},
		{"{kind: processor, country: PH, transfer: {mechanism: scc}, " + ok + "}", "EEA", "PH", TransferMissing},
		{"{kind: processor, country: PH, transfer: {mechanism: scc, assessment: TIA-1}, " + ok + "}", "EEA", "PH", Permitted},
		{"{kind: processor, country: JP, transfer: {mechanism: scc}, " + ok + "}", "EEA", "JP", Permitted},
		{"{kind: processor, country: US, transfer: {mechanism: adequacy}, " + ok + "}", "EEA", "US", Permitted},
		{"{kind: processor, country: DE, " + ok + "}", "EEA", "FR", Permitted},
		{"{kind: authority, country: US}", "EEA", "US", Authority},
		{"{kind: authority, country: US, transfer: {mechanism: derogation, until: 2026-01-01}}", "EEA", "US", Authority},
		{"{kind: authority, country: US, transfer: {mechanism: derogation}}", "EEA", "US", Permitted},
	} {
		for _, position := range []Position{Response, Egress} {
			want := c.want
			if position == Egress { // nobody reads, so that only the register says where it goes
				if c.reader != "CN" && c.home == "CN" && (c.reader == "" || c.reader != "VN" || c.want == Country && c.entry == "{kind: third_party, country: CN, "+ok+"}") {
					continue
				}
			}
			d := registered(t, c.entry, c.home, &Disclosure{Position: position, Caller: Caller{Country: c.reader, Roles: []string{"staff"}}})("contact.phone")
			if d.Reason != want || (d.Action == Keep) != (want == Permitted) || want != Permitted && d.Action != Block {
				t.Errorf("%v, %s, read in %q: %v, %v, want %v", position, c.entry, c.reader, d.Action, d.Reason, want)
			}
		}
	}
}

// TestRecipientRefused: what is refused to a recipient blocks the message, what no rule names is left out.
func TestRecipientRefused(t *testing.T) {
	const entry = "{kind: third_party, country: CN, contract: {from: 2026-01-01}%s}"
	staff := func() *Disclosure {
		return &Disclosure{Caller: Caller{Country: "CN", Roles: []string{"staff"}, ID: "me"}}
	}
	for more, want := range map[string]Action{"": Block, ", denied: block": Block, ", denied: strip": Strip} {
		decide := registered(t, fmt.Sprintf(entry, more), "CN", staff())
		if d := decide("person.name"); d.Action != want || d.Reason != ConsentMissing {
			t.Errorf("refused%s: %v, %v", more, d.Action, d.Reason)
		}
		if d := decide("device.imei"); d.Action != Strip || d.Reason != Surplus {
			t.Errorf("surplus%s: %v, %v", more, d.Action, d.Reason)
		}
		if d := decide("auth.secret"); d.Action != Strip {
			t.Errorf("a secret%s: %v", more, d.Action)
		}
	}
	if d := registered(t, fmt.Sprintf(entry, ", undeclared: strip"), "CN", staff())(""); d.Action != Strip {
		t.Errorf("undeclared: %v", d.Action)
	}
	public := registered(t, "{kind: public, country: CN}", "CN", staff())
	if d := public("financial.debt"); d.Action != Block || d.Reason != Limited {
		t.Errorf("debt in public: %v, %v", d.Action, d.Reason)
	}
}

// TestPlainCards: card numbers do not leave over plain HTTP, whatever a rule permits.
func TestPlainCards(t *testing.T) {
	const text = `purposes: [p]
recipients: {shop: {kind: processor, hosts: [%s], contract: {from: 2026-01-01}}}
allow: [{id: pay, to: %s, for: p, basis: contract, %s}]
`
	for _, c := range []struct {
		host, to, acts string
		ok             bool
	}{
		{"http://pay.example", "shop", "keep: [card.number]", false}, {"http://pay.example", "processor", "keep: [card]", false},
		{"https://pay.example, http://pay.example:8080", "shop", "keep: [sensitive]", false},
		{"http://127.0.0.1:8080", "shop", "keep: [card]", true}, {"http://10.0.0.1", "shop", "keep: [card]", false},
		{"https://pay.example", "shop", "keep: [card]", true}, {"http://pay.example", "shop", "mask: [card.number]", true},
		{"http://pay.example", "shop", "keep: [card.security]", false}, {"http://pay.example", "third_party", "keep: [card]", true}, {"http://pay.example", "shop", "keep: [order]", true},
	} {
		d, err := Parse("a.yaml", []byte("minimize: 1\n"+fmt.Sprintf(text, c.host, c.to, c.acts)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Compile([]*Document{d}, Options{}); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestCodesAreSentByName: a card's security code reaches the payment provider that a rule sends it to by name, and nobody
// reads it, whatever a rule says.
func TestCodesAreSentByName(t *testing.T) {
	for _, c := range []struct {
		acts     string
		category Category
		want     Action
	}{
		{"keep: [card, secret]", CardSecurity, Strip}, {"keep: [card.security]", CardSecurity, Keep}, {"keep: [card, card.security]", CardSecurity, Keep},
		{"keep: [auth, secret]", AuthSecret, Strip}, {"keep: [auth.secret]", AuthSecret, Keep}, {"keep: [auth.secret]", AuthToken, Strip},
		{"keep: [auth.token]", AuthToken, Strip}, {"keep: [addressbook]", AddressBook, Blank}, {"keep: [card]", CardNumber, Keep},
	} {
		r := mustCompile(t, "purposes: [p]\nrecipients: {r: {kind: processor, contract: {from: 2026-01-01}}}\nallow: [{id: pay, to: r, for: p, basis: contract, "+c.acts+"}]\n")
		sent := r.Scope("POST", "/").Judge(&Disclosure{Position: Egress, Recipient: "r", Purpose: "p", Time: modelNow})
		if got := sent.Table(sent.MessageFacts()).Decide(r.ID(c.category)); got.Action != c.want {
			t.Errorf("%s sends %s: %v, want %v", c.acts, c.category, got.Action, c.want)
		}
		read := r.Scope("GET", "/").Judge(&Disclosure{Caller: Caller{Organisation: "r"}, Purpose: "p", Time: modelNow})
		if got := read.Table(read.MessageFacts()).Decide(r.ID(c.category)); isCode(c.category) && got.Action != Strip {
			t.Errorf("%s lets %s be read: %v", c.acts, c.category, got.Action)
		}
	}
}

// TestPseudonymsPerRecipient: the token of one recipient says nothing to another one, and is the same whenever it is made. A
// recipient with keys of its own has tokens of the greatest of them, and others when it is gone.
func TestPseudonymsPerRecipient(t *testing.T) {
	token := func(d *Disclosure, names ...string) string {
		files := map[string][]byte{}
		for _, name := range names {
			files[name] = []byte(name + " 0123456789abcdef")
		}
		keys, err := NewKeyRing(files)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Compile([]*Document{mustParse(t, "a.yaml", `purposes: [p]
roles: [staff]
recipients:
  one: {kind: third_party, contract: {from: 2026-01-01}}
  two_b: {kind: third_party, contract: {from: 2026-01-01}}
allow: [{id: ads, to: third_party, for: p, basis: contract, keep: [device]}]
limit: [{id: tokens, to: [staff], pseudonymize: [device]}, {id: theirs, to: third_party, pseudonymize: [device]}]
`)}, Options{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		d.Purpose, d.Time = "p", modelNow
		j := r.Scope("POST", "/").Judge(d)
		return string(j.Table(j.MessageFacts()).Decide(r.ID("device.imei")).Append(nil, []byte("490154203237518")))
	}
	sent := func(recipient string) *Disclosure { return &Disclosure{Position: Egress, Recipient: recipient} }
	read := func(organisation string) *Disclosure {
		return &Disclosure{Caller: Caller{Roles: []string{"staff"}, Organisation: organisation}}
	}
	one := token(sent("one"), "k1")
	for name, same := range map[string]string{
		"again": token(sent("one"), "k1"), "read": token(read("one"), "k1"), "beside somebody else's": token(sent("one"), "k1", "two_b_k7", "one.k_k3"),
	} {
		if same != one || !strings.HasPrefix(one, "hm1_k1_") {
			t.Errorf("%s: %s, not %s", name, same, one)
		}
	}
	own := token(sent("one"), "k1", "one_k2", "one_k1")
	if again := token(read("one"), "one_k2", "k9"); again != own || !strings.HasPrefix(own, "hm1_k2_") {
		t.Errorf("its own key: %s and %s", own, again)
	}
	different := map[string]bool{one: true, own: true}
	for _, other := range []string{
		token(sent("two_b"), "k1"), token(sent("two_b"), "k1", "two_b_k2"), token(sent("one"), "k1", "one_k1"), token(sent("one"), "k2", "one_k3"),
	} {
		if different[other] {
			t.Errorf("%s says something to another recipient, or after its key", other)
		}
		different[other] = true
	}
	if token(read("one"), "k1") == token(read("two_b"), "k1") {
		t.Error("two organisations share the tokens of a role")
	}
}

// TestModelRecipient compares random registers with the sentences of the design, one after another.
func TestModelRecipient(t *testing.T) {
	seed := rand.Uint64()
	h := history{rand.New(rand.NewPCG(seed, 4))}
	day := func() time.Time {
		return oneIn(h, time.Time{}, time.Time{}, modelNow.AddDate(0, 0, -1), modelNow, modelNow.AddDate(0, 0, 1))
	}
	reasons := map[Reason]int{}
	for range 4000 {
		doc := modelDoc(oneIn(h, "", "CN", "EEA"))
		entry := Recipient{
			Name: "x", Kind: oneIn(h, "own", "third_party", "processor", "authority", "public"), Country: oneIn(h, "", "CN", "DE", "VN", "JP"),
			Purposes: oneIn(h, nil, nil, words("p"), words("q")), From: day(), Until: day(), Suspended: oneIn(h, time.Time{}, time.Time{}, day()), Denied: oneIn(h, "", "strip"),
		}
		if h.IntN(2) == 0 {
			entry.Transfer = &Transfer{
				Mechanism: oneIn(h, "scc", "adequacy", "standard_contract"), Assessment: oneIn(h, "", "ref"), Consent: oneIn(h, "", "", "explicit"),
				Categories: oneIn(h, nil, words("a.b"), words("personal", "d")), From: day(), Until: day(),
			}
		}
		doc.Recipients = []Recipient{entry}
		doc.Allow = []Rule{
			{ID: "one", To: words(oneIn(h, "x", "processor", "third_party")), For: words("p"), Basis: "contract", Acts: []Act{{Action: oneIn(h, Keep, Mask, Blank), Name: "a"}}},
			{ID: "two", To: words("x"), For: words("p"), Consent: "explicit", Acts: []Act{{Action: Keep, Name: "d"}}},
		}
		if len(entry.Purposes) > 0 && entry.Purposes[0].Name == "q" {
			doc.Allow = doc.Allow[:0]
		}
		r := compileModel(t, doc)
		d := &Disclosure{Purpose: "p", Time: modelNow, People: somePeople{}, Caller: Caller{ID: "me", Roles: []string{"staff"}, Country: oneIn(h, "", "CN", "DE", "VN")}}
		if d.Position = oneIn(h, Response, Egress); d.Position == Egress {
			d.Recipient = oneIn(h, "x", "x", "x", "who", "")
		} else {
			d.Caller.Organisation = oneIn(h, "x", "x", "x", "who")
		}
		j, rec := r.Scope("GET", "/").Judge(d), h.record()
		table := j.Table(rec.facts(j))
		m := newModel(doc.Home, doc)
		for _, c := range modelCategories {
			have, want := table.Decide(r.ids[c]), m.sent(d, rec, &entry, c)
			reasons[have.Reason]++
			if have.Action != want {
				t.Fatalf("seed %d: %s: %v (%v), want %v\nhome %s\nentry %+v\ntransfer %+v\ndisclosure %+v\nrecord %+v\nperson %+v\nallow %+v", seed, c, have.Action, have.Reason, want, doc.Home, entry, entry.Transfer, d, rec, rec.person, doc.Allow)
			}
			if fixed := j.Fixed(r.ids[c]); fixed != nil && fixed.Action != want {
				t.Fatalf("seed %d: %s is fixed as %v, want %v", seed, c, fixed.Action, want)
			}
		}
	}
	for _, reason := range []Reason{Permitted, Surplus, Authority, Country, TransferMissing, RecipientUnknown, Agreement, NoRule, ConsentMissing} {
		if reasons[reason] == 0 {
			t.Errorf("no decision had the reason %v", reason)
		}
	}
}

// sent is the model's decision about what goes to a recipient, of which entry is the only one in the register.
func (m *model) sent(d *Disclosure, rec *modelRecord, entry *Recipient, c Category) Action {
	if m.grades[c] == Open {
		return Keep
	}
	name := d.Caller.Organisation + d.Recipient
	rec = toward(rec, entry)
	best, any, named := Strip, false, false
	for _, rule := range m.docs[0].Allow {
		to := rule.To[0].Name
		if name != entry.Name || to != entry.Name && to != entry.Kind {
			continue
		}
		any = true
		a, speaks := m.speaks(rule, c)
		if !speaks {
			continue
		}
		named = true
		if m.grounds(d, rec, rule, a, c) && a < best {
			best = a
		}
	}
	if best == Strip && (named || !any) && (entry.Denied != "strip" || name != entry.Name) {
		best = Block
	}
	if c == "auth.secret" && best < Strip {
		best = Strip
	}
	if best == Blank || best == Strip {
		return best
	}
	if name != entry.Name || !m.agreement(entry) || !m.crosses(d, rec, entry, c) {
		return Block
	}
	return best
}

func (m *model) agreement(e *Recipient) bool {
	if !e.Suspended.IsZero() && !modelNow.Before(e.Suspended) || len(e.Purposes) > 0 && e.Purposes[0].Name != "p" {
		return false
	}
	if e.Kind == "own" || e.Kind == "authority" || e.Kind == "public" {
		return true
	}
	written := !e.From.IsZero() || !e.Until.IsZero()
	return written && !modelNow.Before(e.From) && (e.Until.IsZero() || modelNow.Before(e.Until))
}

func (m *model) crosses(d *Disclosure, rec *modelRecord, e *Recipient, c Category) bool {
	foreign := func(country string) bool {
		return country != m.home && !(m.home == "EEA" && country == "DE")
	}
	if m.home == "" {
		return true
	}
	if d.Position == Response && foreign(d.Caller.Country) && d.Caller.Country != e.Country {
		return false
	}
	if !foreign(e.Country) {
		return true
	}
	tr := e.Transfer
	if e.Country == "" || tr == nil || modelNow.Before(tr.From) || !tr.Until.IsZero() && !modelNow.Before(tr.Until) {
		return false
	}
	if tr.Mechanism == "standard_contract" && tr.Assessment == "" || tr.Mechanism == "scc" && tr.Assessment == "" && e.Country != "JP" {
		return false
	}
	covers := len(tr.Categories) == 0
	for _, w := range tr.Categories {
		covers = covers || Category(w.Name).Contains(c) || w.Name == m.grades[c].String()
	}
	return covers && (tr.Consent == "" || m.agreed(d, rec, "explicit", 0, c))
}

// toward is a record as far as a recipient is concerned: what was said to others is left out.
func toward(rec *modelRecord, e *Recipient) *modelRecord {
	if rec.person == nil {
		return rec
	}
	alone, person := *rec, *rec.person
	person.Consents = nil
	for _, c := range rec.person.Consents {
		if c.Recipient == "" && e.Kind != "own" && e.Kind != "processor" { // no grant, but what is said against it holds
			c.Given = time.Time{}
		}
		if c.Recipient == e.Name || c.Recipient == e.Kind || c.Recipient == "" {
			c.Recipient = ""
			person.Consents = append(person.Consents, c)
		}
	}
	alone.person = &person
	return &alone
}

// TestAnonymousNoRecipient: a limit for readers whom nobody knows is none for calls to a recipient, nor for who reads for one.
func TestAnonymousNoRecipient(t *testing.T) {
	r := mustCompile(t, `purposes: [p]
recipients: {r: {kind: third_party, contract: {from: 2026-01-01}}}
allow: [{id: all, to: [r, anonymous], for: p, basis: contract, keep: [contact.phone]}]
limit: [{id: pages, to: anonymous, block: [contact.phone]}]
`)
	for _, c := range []struct {
		d    Disclosure
		want Action
	}{
		{Disclosure{Position: Egress, Recipient: "r"}, Keep},
		{Disclosure{Caller: Caller{Organisation: "r"}}, Keep},
		{Disclosure{}, Block},
	} {
		c.d.Purpose, c.d.Time = "p", modelNow
		j := r.Scope("GET", "/").Judge(&c.d)
		if got := j.Table(j.MessageFacts()).Decide(r.ID("contact.phone")); got.Action != c.want {
			t.Errorf("%+v: %v (%s)", c.d, got.Action, got.Rule)
		}
	}
}
