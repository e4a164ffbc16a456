package minimize

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/axiomhq/hyperloglog"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// abroadRules are those of a Chinese shop: a partner in the United States may have devices, support in Singapore sees phones.
func abroadRules(partner string) string {
	return `minimize: 1
home: CN
roles: [support]
purposes: [after_sales]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {at: /orders/*/phone, is: contact.phone}
  - {key: [imei], is: device.imei}
recipients:
  ads:
    kind: third_party
    hosts: ["http://` + partner + `"]
    country: US
    contract: {from: 2020-01-01}
    transfer: {mechanism: standard_contract, assessment: PIA-1}
  desk:
    kind: own
    country: SG
    transfer: {mechanism: standard_contract, assessment: PIA-2}
allow:
  - {id: ads, to: ads, for: after_sales, basis: contract, keep: [device]}
  - {id: desk, to: desk, for: after_sales, basis: contract, keep: [contact]}
  - {id: own, to: self, for: after_sales, keep: [contact]}
  - {id: mine, to: us, from: ads, for: after_sales, keep: [device]}
`
}

const abroadSite = `handle_path /ads/* {
	minimize_egress ads {
		purpose after_sales
	}
}
handle {
	minimize {
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
			organisation {claim.org}
			country {claim.country}
			purpose after_sales
		}
	}
	reverse_proxy {upstream}
}`

// order is one of somebody.
func orderOf(buyer string) string {
	return `{"orders":[{"buyer":"` + buyer + `","phone":"` + somePhone + `","imei":"` + someIMEI + `","extra":1}]}`
}

// TestPeopleAbroad counts whose data left for which country, across reloads and restarts, and nobody at home or who reads
// their own. Disclosures are counted by who received them, and where.
func TestPeopleAbroad(t *testing.T) {
	r, i := newRecorder(t), newIssuer(t)
	b := newBackend(t, says(jsonHead, orderOf("u1")))
	g := prepare(t)
	g.write("rules/shop.yaml", abroadRules(r.addr))
	g.write("issuer.pem", i.pem())
	load := func() {
		t.Helper()
		if err := g.load(b.addr, "", strings.ReplaceAll(abroadSite, "{issuer}", i.server.URL)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(id, org, country string) {
		t.Helper()
		token := i.mint(map[string]any{"sub": id, "role": "support", "org": org, "country": country})
		if a := g.get("/api/orders", "Authorization: Bearer "+token); a.status != 200 || !strings.Contains(a.body, somePhone) {
			t.Fatalf("got %+v", a)
		}
	}
	send := func(buyer string) {
		t.Helper()
		eventually(t, func() bool { return g.send("POST", "/ads/", orderOf(buyer), jsonType).err == nil })
	}
	people := func(country string) float64 { return counter(t, "caddy_minimize_people_abroad", country) }
	sent := func(labels ...string) float64 { return counter(t, "caddy_minimize_disclosures_total", labels...) }

	load()
	devices, phones, own := sent("device.imei", "ads", "US"), sent("contact.phone", "desk", "SG"), sent("contact.phone", "callers", "other")
	for n := range 12 {
		send(fmt.Sprint("u", n%4))
	}
	read("clerk", "desk", "SG")
	read("u1", "", "FR") // their own
	eventually(t, func() bool {
		return people("US") == 4 && people("SG") == 1 && sent("device.imei", "ads", "US") == devices+12 &&
			sent("contact.phone", "desk", "SG") == phones+1 && sent("contact.phone", "callers", "other") == own+1
	})
	if people("FR") != 0 {
		t.Error("who reads their own data abroad counts as a transfer")
	}

	load() // a reload: some are the same, one is new
	send("u0")
	send("u4")
	eventually(t, func() bool { return people("US") == 5 })

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	load()
	eventually(t, func() bool { return people("US") == 5 && people("SG") == 1 })
	send("u0")
	send("u5")
	eventually(t, func() bool { return people("US") == 6 })

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	stored, err := filepath.Glob(filepath.Join(g.dir, "storage/minimize/people_abroad/*"))
	if err != nil || len(stored) != 1 {
		t.Fatalf("%d files keep the count, %v", len(stored), err)
	}
	if err := os.WriteFile(stored[0], []byte(`{"year":`), 0o600); err != nil {
		t.Fatal(err)
	}
	load()
	send("u6")
	eventually(t, func() bool { return people("US") == 1 })
	if !strings.Contains(g.read("caddy.log"), "the stored count of people abroad is broken") {
		t.Error("nothing tells that the state is broken")
	}
}

// TestPeopleOfOneMessage: all data subjects of one long answer count, by the audit log exactly, and those at its end as those at
// its beginning.
func TestPeopleOfOneMessage(t *testing.T) {
	const buyers = 30_000
	var orders []string
	for n := range 2 * buyers {
		orders = append(orders, fmt.Sprintf(`{"buyer":"b%d","phone":%q}`, n%buyers, somePhone))
	}
	i, g := newIssuer(t), prepare(t)
	b := newBackend(t, says(jsonHead, `{"orders":[`+strings.Join(orders, ",")+`]}`))
	g.write("rules/shop.yaml", abroadRules("127.0.0.1:1"))
	g.write("issuer.pem", i.pem())
	if err := g.load(b.addr, "", strings.ReplaceAll(abroadSite, "{issuer}", i.server.URL)); err != nil {
		t.Fatal(err)
	}
	token := i.mint(map[string]any{"sub": "clerk-of-many", "role": "support", "org": "desk", "country": "SG"})
	readers := collectors.readers.wide()[2]
	if a := g.get("/api/orders", "Authorization: Bearer "+token); a.status != 200 {
		t.Fatalf("got %d", a.status)
	}
	eventually(t, func() bool { return strings.Contains(g.read("audit.jsonl"), `"subjects":30000,`) })
	eventually(t, func() bool { return math.Abs(counter(t, "caddy_minimize_people_abroad", "SG")/buyers-1) < 0.03 })
	if n := collectors.readers.wide()[2] - readers; n != 1 {
		t.Errorf("%d more callers saw more than 5,000 people, want 1", n)
	}
}

// TestReached: each data subject counts once, whatever comes between, and memory ends where maxReached says.
func TestReached(t *testing.T) {
	r := new(reached)
	id := make([]byte, 0, 8)
	for n := range 3 * maxReached {
		r.add(binary.BigEndian.AppendUint64(id, uint64(n%50_000)), nil)
	}
	if n := r.count(); n != 50_000 || len(r.named()) != maxNamed || cap(r.people) > 1<<18 {
		t.Errorf("%d people in %d places, %d named", n, cap(r.people), len(r.named()))
	}
	for n := range 3 * maxReached {
		r.add(binary.BigEndian.AppendUint64(id, uint64(n)), nil)
	}
	if n := r.count(); n < maxReached || cap(r.people) > 3*maxReached {
		t.Errorf("%d people in %d places", n, cap(r.people))
	}
	if r.forget(); r.count() != 0 {
		t.Error("it does not forget")
	}
}

// TestReportModeDiscloses: what report mode lets pass did leave, whatever enforcing would have done.
func TestReportModeDiscloses(t *testing.T) {
	b := newBackend(t, says(jsonHead, orderOf("u1")))
	g := start(t, b.addr, "", strings.Replace(shop, "minimize {", "minimize {\nmode report", 1))
	sent := func(category string) float64 {
		return counter(t, "caddy_minimize_disclosures_total", category, "callers", "unknown")
	}
	masked, stripped := sent("contact.phone"), sent("device.imei")
	g.get("/api/orders")
	eventually(t, func() bool { return sent("contact.phone") == masked+1 && sent("device.imei") == stripped+1 })
}

// TestUndeclaredValues: what no rule knows is counted by what was done to it, and a message that loses it is minimized.
func TestUndeclaredValues(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{"orders":[{"extra":1,"more":"x","phone":"`+somePhone+`"}]}`))
	count := func(action string) float64 { return counter(t, "caddy_minimize_undeclared_values_total", action) }
	g := start(t, b.addr, "", shop)
	kept := count("keep")
	g.get("/api/orders")
	eventually(t, func() bool { return count("keep") == kept+2 })
	g.write("rules/shop.yaml", strings.Replace(shopRules, "roles:", "undeclared: strip\nroles:", 1))
	stripped, messages := count("strip"), counter(t, "caddy_minimize_messages_total", outcomeMinimized)
	if err := g.load(newBackend(t, says(jsonHead, `{"extra":1}`)).addr, "", shop); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return g.get("/api/orders").err == nil })
	eventually(t, func() bool {
		return count("strip") >= stripped+1 && counter(t, "caddy_minimize_messages_total", outcomeMinimized) >= messages+1
	})
}

// TestStreams: a body counts while it is judged.
func TestStreams(t *testing.T) {
	h := newHandler(t, shopRules)
	before := counter(t, "caddy_minimize_streams")
	w := newWriter(h.newMessage(testRequest()), discard{}, "GET", func() {})
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(200)
	w.Write([]byte(`{"orders":`))
	if n := counter(t, "caddy_minimize_streams"); n != before+1 {
		t.Errorf("%v bodies are judged, want 1", n-before)
	}
	w.release()
	if n := counter(t, "caddy_minimize_streams"); n != before {
		t.Errorf("%v bodies are judged, want none", n-before)
	}
}

// flaky is a storage that cannot be read for a while.
type flaky struct {
	certmagic.Storage
	mu   sync.Mutex
	away bool
}

func (f *flaky) set(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *flaky) Load(ctx context.Context, key string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return nil, errors.New("the storage is away")
	}
	return f.Storage.Load(ctx, key)
}

func (f *flaky) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return certmagic.KeyInfo{}, errors.New("the storage is away")
	}
	return f.Storage.Stat(ctx, key)
}

func newPeopleAbroad(s certmagic.Storage, now *time.Time) *peopleAbroad {
	return &peopleAbroad{key: "people", logger: zap.NewNop(), storage: s, now: func() time.Time { return *now }}
}

func hashed(ids ...string) (people []personHash) {
	for _, id := range ids {
		people = append(people, hashPerson(id))
	}
	return people
}

func estimate(p *peopleAbroad, country string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn(); p.people[country] == nil {
		return 0
	}
	return p.people[country].Estimate()
}

// TestPeopleAbroadStorage: neither a storage that is away nor one that comes back late loses anybody, and a year ends.
func TestPeopleAbroadStorage(t *testing.T) {
	s := &flaky{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
	now := time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)
	p := newPeopleAbroad(s, &now)
	p.add("US", hashed("a", "b")) // before the storage was asked
	p.keep()
	p.add("US", hashed("b", "c"))
	p.keep()

	s.set(true)
	p = newPeopleAbroad(s, &now)
	p.keep()
	p.add("US", hashed("c", "d"))
	p.keep()
	s.set(false)
	p.keep()
	if n := estimate(p, "US"); n != 4 {
		t.Errorf("counted %d people, want 4", n)
	}
	p = newPeopleAbroad(s, &now)
	p.keep()
	if n := estimate(p, "US"); n != 4 {
		t.Errorf("stored %d people, want 4", n)
	}
	now = now.Add(2 * time.Hour)
	if n := estimate(p, "US"); n != 0 {
		t.Errorf("%d people in a new year, want 0", n)
	}
	p.add("US", hashed("a"))
	p.keep()
	p = newPeopleAbroad(s, &now)
	p.keep()
	if n := estimate(p, "US"); n != 1 {
		t.Errorf("stored %d people in the new year, want 1", n)
	}
}

// TestPeopleAbroadLines: on its way to the legal lines the count is as near as an alert needs it, and what is stored holds no id.
func TestPeopleAbroadLines(t *testing.T) {
	now := time.Now()
	s := &certmagic.FileStorage{Path: t.TempDir()}
	p := newPeopleAbroad(s, &now)
	p.keep()
	ids := make([]personHash, 0, 1000)
	for n := range 100_000 {
		if ids = append(ids, hashPerson(fmt.Sprint("customer-", n))); len(ids) == cap(ids) {
			p.add("US", ids)
			ids = ids[:0]
		}
		if line := float64(n + 1); line == 1e3 || line == 1e4 || line == 1e5 {
			if off := math.Abs(float64(estimate(p, "US"))/line - 1); off > 0.03 {
				t.Errorf("%v people are counted %.1f %% off", line, 100*off)
			}
		}
	}
	p.add("SG", hashed("customer-1"))
	p.keep()
	data, err := s.Load(t.Context(), "people")
	if err != nil || strings.Contains(string(data), "customer") || len(data) > 64<<10 {
		t.Errorf("stored %d bytes, %v", len(data), err)
	}
}

// TestStoredPlaces: what becomes a label is a country or a zone, whoever wrote the file.
func TestStoredPlaces(t *testing.T) {
	now := time.Now()
	for place, want := range map[string]bool{
		"US": true, "EEA": true, "GBA_9": true, "us": false, "UK": false, "": false, "u1@example.com": false, "138****8000": false, strings.Repeat("A", 65): false,
	} {
		p := newPeopleAbroad(nil, &now)
		p.count(departure{place, 1})
		stored, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		read := newPeopleAbroad(nil, &now)
		if err := read.decode(stored); (err == nil) != want || (read.people != nil) != want {
			t.Errorf("%q: %v", place, err)
		}
	}
}

// FuzzStoredPeople: whatever stands in the file, it is a count or it is broken.
func FuzzStoredPeople(f *testing.F) {
	now := time.Now()
	p := newPeopleAbroad(nil, &now)
	p.turn()
	p.count(departure{"US", 1})
	stored, err := p.encode()
	if err != nil {
		f.Fatal(err)
	}
	sparse, err := hyperloglog.New().MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Add([]byte(`{"year":2026,"people":{"US":null}}`))
	f.Add([]byte(`{"year":2026,"people":{"US":"` + base64.StdEncoding.EncodeToString(sparse) + `"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPeopleAbroad(nil, &now)
		if err := p.decode(data); err != nil && p.people != nil {
			t.Error("a broken count is taken")
		}
		p.turn()
		p.count(departure{"US", 2})
		if estimate(p, "US") == 0 {
			t.Error("nobody counts")
		}
		if _, err := p.encode(); err != nil {
			t.Error(err)
		}
	})
}

// TestHugeStoredPeople: a file that cannot be a count is not read.
func TestHugeStoredPeople(t *testing.T) {
	now, s := time.Now(), &certmagic.FileStorage{Path: t.TempDir()}
	if err := s.Store(t.Context(), "people", bytes.Repeat([]byte(" "), maxStored+1)); err != nil {
		t.Fatal(err)
	}
	p := newPeopleAbroad(s, &now)
	p.keep()
	p.add("US", hashed("a"))
	p.keep()
	if data, err := s.Load(t.Context(), "people"); err != nil || len(data) > 64<<10 || estimate(p, "US") != 1 {
		t.Errorf("stored %d bytes, %v", len(data), err)
	}
}
