//go:build linux

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
	"github.com/caddy-minimize/minimize/test/postgres"
)

// costRules let support see orders masked: with their consent, which all of them gave, or without asking.
const costRules = `minimize: 1
operations: [GET /api/**]
roles: [support, dpo]
purposes: [after_sales]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {key: [buyer], is: none}
allow:
  - {id: masked, to: support, for: after_sales, CONSENT mask: [person, contact, device, network, card, identity], keep: [order]}
`

func costRulesWith(consent bool) string {
	asked := ""
	if consent {
		asked = "consent: explicit,"
	}
	return strings.Replace(costRules, "CONSENT", asked, 1)
}

// costOrders is a list of 50 orders of 50 people, about 50 KB.
func costOrders(tb testing.TB) []byte {
	_, bought := shop(50, 50)
	var list []any
	for i, o := range bought {
		o.fields["buyer"] = person(i)
		o.fields["lines"] = strings.Repeat("paid in full; ", 20)
		list = append(list, o.fields)
	}
	text, err := json.Marshal(map[string]any{"orders": list})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func person(i int) string { return fmt.Sprintf("person-%07d", i) }

// openStore opens an empty store of a kind and has n people consent.
func openStore(tb testing.TB, kind, dsn string, n int) consentstore.Store {
	tb.Helper()
	store, err := consentstore.Open(kind, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.Background()
	if err := store.Migrate(ctx); err != nil {
		tb.Fatal(err)
	}
	for from := 0; from < n; from += 5000 {
		var batch consentstore.Batch
		for i := from; i < min(n, from+5000); i++ {
			batch.Entries = append(batch.Entries, consentstore.Entry{
				Subject: person(i), Purpose: "after_sales", Event: consentstore.Give, Level: "explicit", GivenBy: "self",
			})
		}
		if _, err := store.Apply(ctx, batch); err != nil {
			tb.Fatal(err)
		}
	}
	return store
}

// storeDSN is an empty database of a kind.
func storeDSN(tb testing.TB, kind string) string {
	if kind == consentstore.Postgres {
		return postgres.Start(tb).NewDatabase(tb)
	}
	return filepath.Join(tb.TempDir(), "consent.db")
}

// TestPageCostsOneQuery counts what a page of 100 people asks of the store, through the gateway.
func TestPageCostsOneQuery(t *testing.T) {
	for _, kind := range []string{consentstore.SQLite, consentstore.Postgres} {
		t.Run(kind, func(t *testing.T) {
			dsn := storeDSN(t, kind)
			openStore(t, kind, dsn, 1000).Close()
			var first, second []string
			for i := range 100 {
				first = append(first, fmt.Sprintf(`{"buyer":%q,"phone":%q}`, person(i), phoneOf(i)))
				second = append(second, fmt.Sprintf(`{"buyer":%q,"phone":%q}`, person(50+i), phoneOf(50+i)))
			}
			id := newIssuer(t)
			backend := startBackend(t, map[string][]byte{
				"/api/first":  []byte(`{"orders":[` + strings.Join(first, ",") + "]}"),
				"/api/second": []byte(`{"orders":[` + strings.Join(second, ",") + "]}"),
			})
			g := startGateway(t, site{store: kind + " " + dsn, rules: fleetRules, backend: backend, key: id.public})
			support := id.token(t, map[string]any{"sub": "support-1", "role": "support", "purpose": "after_sales"})
			for _, page := range []struct {
				path    string
				queries int
				what    string
			}{{"first", 1, "cold"}, {"first", 0, "warm"}, {"second", 1, "half cold"}, {"second", 0, "warm"}, {"first", 0, "still warm"}} {
				before := g.metric("consent_queries_total")
				got := get(t, "http://"+g.address+"/api/"+page.path, support)
				if shown := strings.Count(got.body, `"phone":"1380`); shown != 100 || strings.Contains(got.body, "*") {
					t.Errorf("%d of 100 phones were shown: %.200s", shown, got.body)
				}
				if n := g.metric("consent_queries_total") - before; n != page.queries {
					t.Errorf("a %s page of 100 cost %d queries, want %d", page.what, n, page.queries)
				}
			}
		})
	}
}

// BenchmarkMillionPeople finds pages of 100 people out of a million that are stored, cold and warm.
func BenchmarkMillionPeople(b *testing.B) {
	for _, kind := range []string{consentstore.SQLite, consentstore.Postgres} {
		b.Run(kind, func(b *testing.B) {
			start := time.Now()
			store := openStore(b, kind, storeDSN(b, kind), 1_000_000)
			b.Logf("a million people were stored in %v", time.Since(start).Round(time.Second))
			for _, cold := range []bool{true, false} {
				source := consentstore.NewSource(store, consentstore.SourceOptions{CacheSize: 1000, Stale: 10 * time.Second})
				if err := source.Start(); err != nil {
					b.Fatal(err)
				}
				b.Run(map[bool]string{true: "cold", false: "warm"}[cold], func(b *testing.B) { benchmarkPages(b, source, cold) })
				if !cold {
					source.Close()
				}
			}
		})
	}
}

func benchmarkPages(b *testing.B, source *consentstore.Source, cold bool) {
	people := source.For(b.Context())
	found := make([]*rules.Person, 100)
	page := make([][]byte, 100)
	turn := func() {
		from := rand.IntN(1_000_000 - 7*100)
		for i := range page {
			page[i] = []byte(person(from + 7*i))
		}
	}
	turn()
	people.Find(found, page)
	before := source.Stats().Queries
	b.ReportAllocs()
	for b.Loop() {
		if cold {
			turn()
		}
		people.Find(found, page)
		if found[99] == nil || len(found[99].Consents) != 1 {
			b.Fatal("somebody was not found")
		}
	}
	after := source.Stats().Queries
	b.ReportMetric(float64(after-before)/float64(b.N), "queries/op")
}

// BenchmarkConsentCost compares the processor time of one 50 KB body with and without per-record consent, in turns: the same
// answers, by rules that differ in `consent:` only. The issue allows a ratio of 1.2.
func BenchmarkConsentCost(b *testing.B) {
	b.Run("engine", func(b *testing.B) { benchmarkEngine(b, "") })
	b.Run("engine without detectors", func(b *testing.B) { benchmarkEngine(b, "values: []\n") })
	b.Run("gateway", benchmarkGateways)
}

func benchmarkEngine(b *testing.B, more string) {
	store := openStore(b, consentstore.SQLite, storeDSN(b, consentstore.SQLite), 50)
	source := consentstore.NewSource(store, consentstore.SourceOptions{})
	if err := source.Start(); err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	text := costOrders(b)
	b.SetBytes(int64(len(text)))
	with := judgeOf(b, costRulesWith(true)+more, source)
	stored := judgeOf(b, costRulesWith(false)+more, source)
	without := judgeOf(b, costRulesWith(false)+more, nil)
	if a, c := rewritten(b, with(), text), rewritten(b, without(), text); a != c || !strings.Contains(a, "*") {
		b.Fatal("with and without consent the body differs")
	}
	var spent [3]time.Duration
	for b.Loop() {
		for i, judge := range []func() *rules.Judge{with, stored, without} {
			start := ownCPU(b)
			for range 10 {
				rewritten(b, judge(), text)
			}
			spent[i] += ownCPU(b) - start
		}
	}
	report(b, spent, 10*b.N)
}

// judgeOf compiles rules, and judges for support with what a source knows; nil: there is no store.
func judgeOf(b *testing.B, text string, source *consentstore.Source) func() *rules.Judge {
	b.Helper()
	doc, err := rules.Parse("rules.yaml", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	set, err := rules.Compile([]*rules.Document{doc}, rules.Options{})
	if err != nil {
		b.Fatal(err)
	}
	scope := set.Scope("GET", "/api/orders")
	return func() *rules.Judge {
		d := &rules.Disclosure{Caller: rules.Caller{ID: "support-1", Roles: []string{"support"}}, Purpose: "after_sales", Time: time.Now()}
		if source != nil {
			d.People = source.For(b.Context())
		}
		return scope.Judge(d)
	}
}

func rewritten(b *testing.B, j *rules.Judge, text []byte) string {
	var out []byte
	w := body.NewJSON(j, body.Limits{}, func(p []byte, _ bool) error {
		out = append(out[:0], p...)
		return nil
	})
	defer w.Release()
	if _, err := w.Write(text); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return string(out)
}

// ownCPU is how much time of a processor this process used.
func ownCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchmarkGateways(b *testing.B) {
	dsn := storeDSN(b, consentstore.SQLite)
	openStore(b, consentstore.SQLite, dsn, 50).Close()
	text := costOrders(b)
	b.SetBytes(int64(len(text)))
	id := newIssuer(b)
	backend := startBackend(b, map[string][]byte{"/api/orders": text})
	with := startGateway(b, site{store: "sqlite " + dsn, rules: costRulesWith(true), backend: backend, key: id.public})
	stored := startGateway(b, site{store: "sqlite " + dsn, rules: costRulesWith(false), backend: backend, key: id.public})
	without := startGateway(b, site{rules: costRulesWith(false), backend: backend, key: id.public})
	gateways := []*process{with, stored, without}
	support := id.token(b, map[string]any{"sub": "support-1", "role": "support", "purpose": "after_sales"})
	var same string
	speakers := make([]*speaker, len(gateways))
	ask := func(i, times int) (x exchange) {
		for range times {
			var err error
			if x, err = speakers[i].ask(http.MethodGet, "/api/orders", support, "", nil); err != nil || x.status != http.StatusOK {
				b.Fatalf("%v, status %d", err, x.status)
			}
		}
		return x
	}
	for i, g := range gateways {
		speakers[i] = &speaker{address: g.address, limit: 10 * time.Second}
		defer speakers[i].hangUp()
		got := string(ask(i, 300).body) // and it is warm
		if i > 0 && got != same || !strings.Contains(got, "*") {
			b.Fatal("with and without consent the body differs")
		}
		same = got
	}
	var spent [3]time.Duration
	for b.Loop() {
		for i, g := range gateways {
			start := g.cpu()
			ask(i, 200)
			spent[i] += g.cpu() - start
		}
	}
	report(b, spent, 200*b.N)
}

// report prints what a body costs with consent, without but with a store, and without both.
func report(b *testing.B, spent [3]time.Duration, bodies int) {
	b.ReportMetric(0, "ns/op") // that of all three together says nothing
	for i, name := range []string{"µs/with", "µs/store", "µs/without"} {
		b.ReportMetric(float64(spent[i].Microseconds())/float64(bodies), name)
	}
	b.ReportMetric(float64(spent[0])/float64(spent[2]), "with/without")
}

// BenchmarkAuditCost compares the processor time of a gateway for a 1 KB answer with and without an audit log, in turns. Metrics
// and canary cannot be turned off: BenchmarkSeen of the module has them.
func BenchmarkAuditCost(b *testing.B) {
	id := newIssuer(b)
	text := []byte(`{"orders":[{"buyer":"u-1","phone":"13940718265","imei":"359274106831520","note":"` + strings.Repeat("paid in full; ", 64) + `"}]}`)
	backend := startBackend(b, map[string][]byte{"/api/orders": text})
	support := id.token(b, map[string]any{"sub": "support-1", "role": "support", "purpose": "after_sales"})
	var gateways []*process
	var speakers []*speaker
	for _, global := range []string{"audit output file audit.jsonl", ""} {
		g := startGateway(b, site{global: global, rules: costRulesWith(false), backend: backend, key: id.public})
		gateways, speakers = append(gateways, g), append(speakers, &speaker{address: g.address, limit: 10 * time.Second})
		defer speakers[len(speakers)-1].hangUp()
	}
	ask := func(i, times int) {
		for range times {
			if x, err := speakers[i].ask(http.MethodGet, "/api/orders", support, "", nil); err != nil || x.status != http.StatusOK {
				b.Fatalf("%v, status %d", err, x.status)
			}
		}
	}
	ask(0, 500)
	ask(1, 500)
	var spent [2]time.Duration
	for b.Loop() {
		for i, g := range gateways {
			start := g.cpu()
			ask(i, 500)
			spent[i] += g.cpu() - start
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(spent[0].Microseconds())/float64(500*b.N), "µs/with")
	b.ReportMetric(float64(spent[1].Microseconds())/float64(500*b.N), "µs/without")
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "with/without")
}
