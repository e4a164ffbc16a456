//go:build linux

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/test/postgres"
)

// orderRules are those of a shop whose support sees a phone with a consent only, and whose customers see their own.
const orderRules = `minimize: 1
operations: [GET /api/**]
roles: [support, dpo]
purposes: [after_sales, advertising]
values: []
records:
  - {at: /orders/*, subject: /buyer/id, born: /buyer/born, country: /buyer/country}
fields:
  - {key: [id, born, country, sku, note], is: none}
  - {at: /orders/*/**/phone, is: contact.phone}
  - {at: /orders/*/**/name, is: person.name}
recipients:
  ads-partner: {kind: third_party, hosts: [https://ads.example.com]}
allow:
  - {id: calls, to: support, for: after_sales, consent: explicit, keep: [contact.phone]}
  - {id: masked, to: [support, anonymous], for: after_sales, mask: [contact.phone, person.name]}
  - {id: own, to: self, for: after_sales, keep: [contact.phone, person.name]}
  - {id: ward, to: guardian, for: after_sales, keep: [contact.phone], mask: [person.name]}
`

// sees is what somebody without a role of their own may see of an order's phone and name.
type sees struct{ phone, name rules.Action }

var (
	masked   = sees{rules.Mask, rules.Mask}
	called   = sees{rules.Keep, rules.Mask} // by support
	stripped = sees{rules.Strip, rules.Strip}
	whole    = sees{rules.Keep, rules.Keep}
)

// buyers are what data subjects may have said and be, and what of them support and strangers see.
var buyers = []struct {
	said      []consentstore.Entry
	born      string // 1980-05-05 where it is empty
	country   string // CN where it is empty
	profile   consentstore.Profile
	support   sees
	strangers sees
}{
	{support: masked, strangers: masked},
	{said: says(gives("explicit")), support: called, strangers: masked},
	{said: says(gives("separate")), support: called, strangers: masked},
	{said: says(gives("written")), support: called, strangers: masked},
	{said: says(gives("general")), support: masked, strangers: masked},
	{said: says(gives("bundled")), support: masked, strangers: masked},
	{said: says(gives("explicit", expires(-time.Hour), lastYear)), support: masked, strangers: masked},
	{said: says(gives("explicit", expires(time.Hour))), support: called, strangers: masked},
	{said: says(gives("explicit"), event(consentstore.Withdraw)), support: masked, strangers: masked},
	{said: says(gives("explicit"), event(consentstore.Withdraw), gives("explicit")), support: called, strangers: masked},
	{said: says(gives("explicit"), event(consentstore.Object)), support: masked, strangers: masked},
	{said: says(gives("explicit"), event(consentstore.Object), gives("explicit")), support: called, strangers: masked},
	{said: says(gives("explicit"), event(consentstore.Object), event(consentstore.Unobject)), support: called, strangers: masked},
	{said: says(event(consentstore.Object)), support: masked, strangers: masked}, // the mask rests on the contract
	{said: says(gives("written", purpose("advertising"))), support: masked, strangers: masked},
	{said: says(gives("written", recipient("ads-partner"))), support: masked, strangers: masked},
	{said: says(gives("written", of("person"))), support: masked, strangers: masked},
	{said: says(gives("explicit", of("contact"))), support: called, strangers: masked},
	{said: says(gives("explicit")), born: "2020-02-29", support: masked, strangers: masked},
	{said: says(gives("explicit", byGuardian)), born: "2020-02-29", support: called, strangers: masked},
	{said: says(gives("explicit")), profile: consentstore.Profile{Minor: true}, support: masked, strangers: masked},
	{said: says(gives("explicit")), profile: consentstore.Profile{Born: "2019-01-01"}, support: masked, strangers: masked},
	{said: says(gives("explicit")), born: "yesterday", support: masked, strangers: masked},
	{said: says(gives("explicit")), born: years(15), country: "DE", support: masked, strangers: masked}, // 16 in Germany
	{said: says(gives("explicit")), born: years(15), country: "CN", support: called, strangers: masked}, // 14 in China
	{said: says(gives("explicit")), born: years(15), country: "FR", support: called, strangers: masked}, // 15 in France
	{said: says(gives("written")), profile: consentstore.Profile{Ended: time.Now()}, support: stripped, strangers: stripped},
	{said: says(event(consentstore.Restrict)), support: stripped, strangers: stripped},
	{said: says(gives("explicit"), event(consentstore.Restrict)), support: sees{rules.Keep, rules.Strip}, strangers: stripped},
}

type saying func(*consentstore.Entry)

func says(entries ...consentstore.Entry) []consentstore.Entry { return entries }

func gives(level string, how ...saying) consentstore.Entry {
	e := event(consentstore.Give)
	e.Level, e.GivenBy = level, "self"
	for _, f := range how {
		f(&e)
	}
	return e
}

func event(what consentstore.Event) consentstore.Entry {
	return consentstore.Entry{Purpose: "after_sales", Event: what}
}

func expires(in time.Duration) saying {
	return func(e *consentstore.Entry) { e.Expires = time.Now().Add(in) }
}
func lastYear(e *consentstore.Entry) { e.At = time.Now().AddDate(-1, 0, 0) }
func purpose(name string) saying     { return func(e *consentstore.Entry) { e.Purpose = name } }
func recipient(name string) saying   { return func(e *consentstore.Entry) { e.Recipient = name } }
func of(c rules.Category) saying {
	return func(e *consentstore.Entry) { e.Categories = []rules.Category{c} }
}
func byGuardian(e *consentstore.Entry) { e.GivenBy = "guardian" }
func years(n int) string               { return time.Now().UTC().AddDate(-n, 0, -1).Format(time.DateOnly) }
func or(text, otherwise string) string {
	return map[bool]string{true: otherwise, false: text}[text == ""]
}
func personal(i int) (phone, name string) { return fmt.Sprintf("139%08d", 10007*i), europeanName(i) }

// writeOrder writes one order as somebody sees it, in one of the orders in which APIs have their members.
func writeOrder(i int, id string, may sees) string {
	phone, name := personal(i)
	kind := buyers[i%len(buyers)]
	contact := []string{}
	for _, part := range []struct {
		key, whole, masked string
		action             rules.Action
	}{{"phone", phone, phone[:3] + "****" + phone[7:], may.phone}, {"name", name, string([]rune(name)[:1]) + "***", may.name}} {
		switch part.action {
		case rules.Keep:
			contact = append(contact, fmt.Sprintf("%q:%q", part.key, part.whole))
		case rules.Mask:
			contact = append(contact, fmt.Sprintf("%q:%q", part.key, part.masked))
		}
	}
	if id != "" {
		id += ","
	}
	who := fmt.Sprintf(`"buyer":{%s"born":%q,"country":%q}`, id, or(kind.born, "1980-05-05"), or(kind.country, "CN"))
	what := fmt.Sprintf(`"sku":"BG-%03d"`, i)
	long := fmt.Sprintf(`"note":%q`, strings.Repeat("on ", 200))
	parts := [][]string{
		append([]string{who, what}, contact...),
		append(contact, what, who),
		{what, `"parcel":{` + strings.Join(contact, ",") + "}", long, who},
		append(append([]string{long}, contact...), who, what),
	}[i/len(buyers)%4]
	return "{" + strings.Join(parts, ",") + "}"
}

// nobodies are elements whose data subject nobody can tell.
var nobodies = []string{``, `"id":null`, `"id":""`, `"id":["person-1"]`, `"id":"person-1","id":"person-1"`, `"id":"person-1","id":"person-2"`}

// listOf is the body as a caller sees it, who is told of each order what they see.
func listOf(look func(i int) sees, nobody sees) string {
	var list []string
	for i := range 100 {
		list = append(list, writeOrder(i, fmt.Sprintf(`"id":"person-%d"`, i), look(i)))
	}
	for i, id := range nobodies { // of the second kind, who consented
		list = append(list, writeOrder(100*len(buyers)+1+i%4*len(buyers), id, nobody))
	}
	return `{"orders":[` + strings.Join(list, ",") + "]}"
}

// TestOrdersOfAHundredPeople judges every element of one list by its own data subject.
func TestOrdersOfAHundredPeople(t *testing.T) {
	for _, store := range []string{consentstore.SQLite, consentstore.Postgres} {
		t.Run(store, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "consent.db")
			if store == consentstore.Postgres {
				dsn = postgres.Start(t).NewDatabase(t)
			}
			fillOrders(t, store, dsn)
			id := newIssuer(t)
			backend := startBackend(t, map[string][]byte{"/api/orders": []byte(listOf(func(int) sees { return whole }, whole))})
			g := startGateway(t, site{store: store + " " + dsn, rules: orderRules, backend: backend, key: id.public})
			for _, caller := range []struct {
				name   string
				claims map[string]any
				look   func(i int) sees
			}{
				{"support", map[string]any{"sub": "support-1", "role": "support"}, func(i int) sees { return buyers[i%len(buyers)].support }},
				{"stranger", map[string]any{"sub": "person-1000"}, func(i int) sees { return buyers[i%len(buyers)].strangers }},
				{"self", map[string]any{"sub": "person-8"}, func(i int) sees {
					if i == 8 {
						return whole
					}
					return buyers[i%len(buyers)].strangers
				}},
				{"guardian", map[string]any{"sub": "parent-1", "guardian_of": []string{"person-18", "person-47"}}, func(i int) sees {
					if i == 18 || i == 47 {
						return called
					}
					return buyers[i%len(buyers)].strangers
				}},
			} {
				t.Run(caller.name, func(t *testing.T) {
					caller.claims["purpose"] = "after_sales"
					got := get(t, "http://"+g.address+"/api/orders", id.token(t, caller.claims))
					if got.status != http.StatusOK {
						t.Fatalf("status %d: %s", got.status, got.body)
					}
					compareOrders(t, got.body, listOf(caller.look, stripped))
				})
			}
		})
	}
}

// fillOrders stores what the buyers said, and that who is born in the store may differ from what the order says.
func fillOrders(t *testing.T, kind, dsn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	store, err := consentstore.Open(kind, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		buyer := buyers[i%len(buyers)]
		p := buyer.profile
		p.Subject = fmt.Sprintf("person-%d", i)
		if !reflect.DeepEqual(buyer.profile, consentstore.Profile{}) {
			if _, err := store.Apply(ctx, consentstore.Batch{Profiles: []consentstore.Profile{p}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range buyer.said {
			e.Subject = p.Subject
			if _, err := store.Apply(ctx, consentstore.Batch{Entries: []consentstore.Entry{e}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// compareOrders compares two lists value by value, and says which elements differ.
func compareOrders(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	type list struct {
		Orders []json.RawMessage `json:"orders"`
	}
	var g, w list
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if len(g.Orders) != len(w.Orders) {
		t.Fatalf("%d orders, want %d", len(g.Orders), len(w.Orders))
	}
	for i := range w.Orders {
		if !slices.Equal(g.Orders[i], w.Orders[i]) {
			t.Errorf("order %d (kind %d) is\n%.300s, want\n%.300s", i, i%len(buyers), g.Orders[i], w.Orders[i])
		}
	}
	if !t.Failed() {
		t.Error("the lists differ between their elements")
	}
}
