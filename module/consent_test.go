package minimize

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/caddy-minimize/minimize/module/consentstore"
	"github.com/caddy-minimize/minimize/rules"
)

// consentRules: support sees the phones of those who agreed explicitly under the policy in force; everybody sees their own.
const consentRules = `minimize: 1
operations: [GET /api/**]
policy: 6
roles: [support, sales, dpo]
purposes: [after_sales, advertising]
gpc: [advertising]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {at: /orders/*/phone, is: contact.phone}
  - {key: [imei], is: device.imei}
recipients:
  ads: {kind: third_party, hosts: ["https://ads.example.com"], purposes: [advertising]}
allow:
  - {id: support-with-consent, to: support, for: after_sales, consent: explicit, keep: [contact.phone]}
  - {id: support-in-a-case, to: support, for: after_sales, case: ticket, keep: [device.imei]}
  - {id: sales-unless-objected, to: sales, for: advertising, basis: legitimate_interests, keep: [contact.phone]}
  - {id: own, to: [self, guardian], for: [after_sales, advertising], keep: [contact.phone]}
`

// consentSite serves the API below /consent/ and the shop below /api/.
const consentSite = `handle_path /consent/* {
	minimize_consent {
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
			guardian {claim.guardian_of}
		}
		manage dpo
	}
}
handle {
	minimize {
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
			guardian {claim.guardian_of}
			case {claim.case}
			purpose {claim.purpose}
		}
	}
	reverse_proxy {upstream}
}`

// desk is a gateway with a consent store and callers who have tokens.
type desk struct {
	*gateway
	issuer *issuer
}

// newDesk starts one whose store is the argument of `consent`.
func newDesk(t *testing.T, store string, answer script) *desk {
	t.Helper()
	d := &desk{prepare(t), newIssuer(t)}
	d.write("issuer.pem", d.issuer.pem())
	d.write("rules/shop.yaml", consentRules)
	if err := d.reload(store, newBackend(t, answer).addr); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(store, "sqlite") {
		eventually(t, func() bool { return running.Load().consents.Fresh() })
	}
	return d
}

func (d *desk) reload(store, upstream string) error {
	return d.load(upstream, "consent "+store, strings.ReplaceAll(consentSite, "{issuer}", d.issuer.server.URL))
}

// as is the header of a caller: an id, its roles, the purpose, and further claims.
func (d *desk) as(id, role string, more ...any) string {
	claims := map[string]any{"sub": id, "role": role, "purpose": "after_sales"}
	for i := 0; i < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	return "Authorization: Bearer " + d.issuer.mint(claims)
}

// call sends a request to the API; a body is JSON.
func (d *desk) call(method, path, body string, header ...string) *answer {
	d.t.Helper()
	req, err := http.NewRequest(method, d.url+"/consent/"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if body != "" || method == "PUT" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Del(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return &answer{status: res.StatusCode, header: res.Header, body: string(data), err: err}
}

// must is call where the change has to be stored.
func (d *desk) must(method, path, body string, header ...string) {
	d.t.Helper()
	if a := d.call(method, path, body, header...); a.status != 204 {
		d.t.Fatalf("%s %s: got %d %s", method, path, a.status, a.body)
	}
}

const explicit = `{"event_type":"explicit"}`

// phoneOf is the phone of a made-up person.
func phoneOf(person int) string { return fmt.Sprintf("138%08d", 10_000_000+person) }

// TestHundredOrders: every element of a list is judged by what its own data subject agreed to, whether the phone stands
// before or after the id; who agreed to nothing is not disclosed, and who asks for their own order sees that one only.
func TestHundredOrders(t *testing.T) {
	var list strings.Builder
	for i := range 100 {
		if i > 0 {
			list.WriteByte(',')
		}
		element := `{"buyer":"p%[1]d","phone":"%[2]s"}`
		if i%2 == 1 {
			element = `{"phone":"%[2]s","buyer":"p%[1]d"}`
		}
		fmt.Fprintf(&list, element, i, phoneOf(i))
	}
	d := newDesk(t, "sqlite consent.db", says(jsonHead, `{"orders":[`+list.String()+`]}`))
	sees := make(map[int]bool)
	dpo := d.as("clerk", "dpo")
	for i := range 100 {
		person := fmt.Sprintf("p%d", i)
		mine := "subjects/me/consents/after_sales"
		switch i % 10 {
		case 0: // agreed
			d.must("PUT", mine, explicit, d.as(person, ""))
			sees[i] = true
		case 1: // a guardian agreed for them
			d.must("PUT", "subjects/"+person+"/consents/after_sales", explicit, d.as("parent", "", "guardian_of", []string{person}))
			sees[i] = true
		case 2: // agreed on paper
			d.must("PUT", "subjects/"+person+"/consents/after_sales", `{"event_type":"written","given_by":"self","evidence":"scan-17"}`, dpo)
			sees[i] = true
		case 3: // to too little
			d.must("PUT", mine, `{"event_type":"general"}`, d.as(person, ""))
		case 4: // to something else
			d.must("PUT", "subjects/me/consents/advertising", explicit, d.as(person, ""))
		case 5: // and took it back
			d.must("PUT", mine, explicit, d.as(person, ""))
			d.must("DELETE", mine, "", d.as(person, ""))
		case 6: // and it is over
			past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			over := consentstore.Entry{
				Subject: person, Purpose: "after_sales", Event: consentstore.Give, Level: "explicit", GivenBy: "self", At: past, Expires: past.AddDate(1, 0, 0),
			}
			if _, err := running.Load().consents.Apply(t.Context(), consentstore.Batch{Entries: []consentstore.Entry{over}}); err != nil {
				t.Fatal(err)
			}
		case 7: // and objects
			d.must("PUT", mine, explicit, d.as(person, ""))
			d.must("PUT", "subjects/me/objections/after_sales", "", d.as(person, ""))
		case 8: // a child agreed
			d.must("PUT", "subjects/"+person, `{"minor":true}`, dpo)
			d.must("PUT", mine, explicit, d.as(person, ""))
		}
	}
	a := d.get("/api/orders", d.as("agent", "support"))
	if a.status != 200 {
		t.Fatal(a)
	}
	for i := range 100 {
		if got := strings.Contains(a.body, phoneOf(i)); got != sees[i] {
			t.Errorf("person %d, group %d: shown is %v", i, i%10, got)
		}
	}
	own := d.get("/api/orders", d.as("p43", "")).body
	if !strings.Contains(own, phoneOf(43)) || strings.Count(own, "phone") != 1 {
		t.Errorf("a data subject sees %s", own)
	}
}

// TestWithdrawalActsAtOnce: on the node that took it no body shows anything from then on; what is given anew counts again.
func TestWithdrawalActsAtOnce(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	agent, me := d.as("agent", "support"), d.as("u1", "")
	for range 20 {
		d.must("PUT", "subjects/me/consents/after_sales", explicit, me)
		if a := d.get("/api/orders", agent); !strings.Contains(a.body, somePhone) {
			t.Fatalf("with a consent: got %d %s", a.status, a.body)
		}
		d.must("DELETE", "subjects/me/consents/after_sales", "", me)
		if a := d.get("/api/orders", agent); a.status != 200 || a.body != `{"orders":[{"buyer":"u1","state":"paid"}]}` {
			t.Fatalf("after the withdrawal: got %d %s", a.status, a.body)
		}
	}
}

// TestWithdrawalUnderLoad: whoever asks after a withdrawal was acknowledged is shown nothing, however many ask meanwhile.
func TestWithdrawalUnderLoad(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	d.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 20 * time.Second}
	t.Cleanup(d.client.CloseIdleConnections)
	agent, me := d.as("agent", "support"), d.as("u1", "")
	var turn, shown atomic.Int64 // odd turns: withdrawn
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := turn.Load()
				a := d.get("/api/orders", agent)
				switch shows := strings.Contains(a.body, somePhone); {
				case a.err != nil || a.status != 200:
					t.Errorf("got %+v", a)
					return
				case shows && before%2 == 1 && turn.Load() == before:
					t.Error("a body shows what was withdrawn before it was asked for")
				case shows:
					shown.Add(1)
				}
			}
		})
	}
	for range 40 {
		d.must("PUT", "subjects/me/consents/after_sales", explicit, me)
		before := shown.Load()
		eventually(t, func() bool { return shown.Load() > before })
		d.must("DELETE", "subjects/me/consents/after_sales", "", me)
		turn.Add(1)
		time.Sleep(3 * time.Millisecond)
		turn.Add(1)
	}
	close(stop)
	readers.Wait()
}

// TestStoreAway: a store that nobody reaches is no error for a caller, and nothing that asks for a consent is disclosed; a
// change is not acknowledged.
func TestStoreAway(t *testing.T) {
	dsn := "postgres://clerk:hunter2@" + freeAddress(t) + "/consent"
	d := newDesk(t, "postgres "+dsn, says(jsonHead, someOrder))
	for role, purpose := range map[string]string{"support": "after_sales", "sales": "advertising"} {
		if a := d.get("/api/orders", d.as("agent", role, "purpose", purpose)); a.status != 200 || a.body != anonymousSees {
			t.Errorf("%s: got %d %s", role, a.status, a.body)
		}
	}
	for _, a := range []*answer{
		d.call("GET", "subjects/me", "", d.as("u1", "")), d.call("PUT", "subjects/me/consents/after_sales", explicit, d.as("u1", "")),
	} {
		if a.status != 503 || a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("got %d %v %s", a.status, a.header, a.body)
		}
	}
	if counter(t, "caddy_minimize_consent_fresh") != 0 || counter(t, "caddy_minimize_consent_failures_total") == 0 {
		t.Error("the metrics do not show it")
	}
	if log := d.read("caddy.log"); strings.Contains(log, "hunter2") {
		t.Error("the log shows the password")
	}
}

// TestReloadKeepsTheStore: a reload of the configuration drops nothing of what is cached, and a SQLite file is opened once.
func TestReloadKeepsTheStore(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	d.must("PUT", "subjects/me/consents/after_sales", explicit, d.as("u1", ""))
	shared := running.Load().consents
	eventually(t, func() bool { return shared.Stats().Changes > 0 }) // one's own comes back, too
	d.get("/api/orders", d.as("agent", "support"))
	queries := shared.Stats().Queries
	for range 3 {
		if err := d.reload("sqlite consent.db", b.addr); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return strings.Contains(d.get("/api/orders", d.as("agent", "support")).body, somePhone) })
	}
	if running.Load().consents != shared {
		t.Error("a reload opened another store")
	}
	if now := shared.Stats().Queries; now != queries {
		t.Errorf("%d data subjects were asked for again", now-queries)
	}
	const kept = "keeps the `stale` and `cache` that it was opened with"
	if strings.Contains(d.read("caddy.log"), kept) {
		t.Error("it is told of settings that did not change")
	}
	for _, settings := range []string{"{\nstale 1s\ncache 100000\n}", "{\nstale 2s\n}"} { // the first are the defaults
		if err := d.reload("sqlite consent.db "+settings, b.addr); err != nil {
			t.Fatal(err)
		}
		if running.Load().consents != shared {
			t.Error("other settings open the file once more")
		}
	}
	if n := strings.Count(d.read("caddy.log"), kept); n != 1 {
		t.Errorf("it is told %d times that settings stay", n)
	}
	if err := d.reload("sqlite other.db", b.addr); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return !strings.Contains(d.get("/api/orders", d.as("agent", "support")).body, somePhone) })
	eventually(t, func() bool { return !shared.Fresh() }) // nobody uses it anymore
}

// TestOneStoreByAnyPath: a SQLite file is one store by whatever path it is named, from before it is there.
func TestOneStoreByAnyPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, err := range []error{os.Mkdir("data", 0o700), os.Symlink("data", "linked"), os.Symlink("data/consent.db", "name.db")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{"data/consent.db", filepath.Join(dir, "data", "consent.db"), "data/../data/./consent.db", "linked/consent.db", "name.db"}
	key := func(path string) storeKey { return (&Consent{Store: "sqlite", DSN: path}).key() }
	first := key(paths[0])
	for range 2 {
		for _, path := range paths[1:4] {
			if got := key(path); got != first {
				t.Errorf("%s: got %v, want %v", path, got, first)
			}
		}
		if err := os.WriteFile(paths[0], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := key("name.db"); got != first {
		t.Errorf("a link to it: got %v", got)
	}
	if key("other.db") == first || key("linked/other.db") == first {
		t.Error("two files are one store")
	}
	if got := (&Consent{Store: "postgres", DSN: "host=db"}).key(); got.dsn != "host=db" {
		t.Errorf("got %v", got)
	}
}

// TestWithdrawalTowardsEverybody: what is withdrawn, or objected to, without a recipient is so towards each of them, and
// stays so where it is given again without one.
func TestWithdrawalTowardsEverybody(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	for i, end := range [][2]string{{"DELETE", "consents"}, {"PUT", "objections"}} {
		me := d.as(fmt.Sprint("u", i), "")
		d.must("PUT", "subjects/me/consents/advertising?recipient=ads", explicit, me)
		d.must(end[0], "subjects/me/"+end[1]+"/advertising", "", me)
		d.must("PUT", "subjects/me/consents/advertising", explicit, me)
		found := make([]*rules.Person, 1)
		running.Load().consents.For(t.Context()).Find(found, [][]byte{fmt.Append(nil, "u", i)})
		for _, c := range found[0].Consents {
			if counts := c.Withdrawn.IsZero() && c.Objected.IsZero(); counts != (c.Recipient == "") {
				t.Errorf("%s: to %q: %+v", end, c.Recipient, c)
			}
		}
	}
}

// TestValidateOpensNothing: `caddy validate` creates no database, and finds what is wrong.
func TestValidateOpensNothing(t *testing.T) {
	g := prepare(t)
	for store, want := range map[string]string{
		"sqlite consent.db":                      "",
		"postgres {env.NO_SUCH_DSN}":             "a placeholder in it has no value",
		"postgres postgres://u:hunter2@h:port/x": "consent",
		"sqlite consent.db {\nstale 1h\n}":       "stale is not between",
		"sqlite consent.db {\ncache 999\n}":      "not less than 1000",
	} {
		config, err := g.adapt("127.0.0.1:1", "consent "+store, shop)
		if err != nil {
			t.Fatal(err)
		}
		cfg := new(caddy.Config)
		if err := caddy.StrictUnmarshalJSON(config, cfg); err != nil {
			t.Fatal(err)
		}
		switch err := caddy.Validate(cfg); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got the error %v, want %q", store, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the error shows the connection string: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(g.dir, "consent.db")); !os.IsNotExist(err) {
		t.Errorf("validating made a file (%v)", err)
	}
}

// TestStoreThatCannotBeOpened: a file that is no database is an error at the start, and rules that ask for consents without
// a store are told of.
func TestStoreThatCannotBeOpened(t *testing.T) {
	g := prepare(t)
	g.write("consent.db", strings.Repeat("no database ", 1000))
	if err := g.load("127.0.0.1:1", "consent sqlite consent.db", shop); err == nil {
		t.Error("the configuration starts")
	}
	g.write("rules/shop.yaml", consentRules)
	if err := g.load("127.0.0.1:1", "", shop); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(g.read("caddy.log"), "there is no store: nobody has agreed") {
		t.Error("nobody is told that no consent can be given")
	}
}

// TestNewStoreIsTold: a new store is empty, which may be news to whoever mistyped its name or lacks a volume; and audit lines
// without keys name nobody. Neither is told where it is not so.
func TestNewStoreIsTold(t *testing.T) {
	g := prepare(t)
	told := func() (created, nameless int) {
		log := g.read("caddy.log")
		return strings.Count(log, "created a new, empty consent store"), strings.Count(log, "because there are no keys")
	}
	for i, step := range []struct {
		global            string
		created, nameless int
	}{
		{"consent sqlite consent.db", 1, 0},
		{"consent sqlite other.db", 2, 0},
		{"consent sqlite consent.db", 2, 0},
		{"minimize {\nrules rules/*.yaml\naudit output file audit.jsonl\nconsent sqlite consent.db\n}", 2, 1},
		{"minimize {\nrules rules/*.yaml\nconsent sqlite consent.db\n}", 2, 1},
	} {
		if err := g.load("127.0.0.1:1", step.global, shop); err != nil {
			t.Fatal(err)
		}
		if created, nameless := told(); created != step.created || nameless != step.nameless {
			t.Errorf("step %d: told of %d new stores and %d logs without keys", i, created, nameless)
		}
	}
}

// TestLostStoreDoesNotStart: a file that was lost is no new, empty store, in which nobody ever objected; a restart says what to do.
func TestLostStoreDoesNotStart(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	seller := d.as("agent", "sales", "purpose", "advertising")
	if a := d.get("/api/orders", seller); !strings.Contains(a.body, somePhone) {
		t.Fatalf("before the objection: got %d %s", a.status, a.body)
	}
	d.must("PUT", "subjects/me/objections/advertising", "", d.as("u1", ""))
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.dir, "consent.db")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(file)
	if err := d.reload("sqlite consent.db", b.addr); err == nil || !strings.Contains(err.Error(), "put that one back; or, where a new one is meant, delete "+d.dir) {
		t.Fatalf("without its store: got the error %v", err)
	}
	d.write("consent.db", string(kept))
	if err := d.reload("sqlite consent.db", b.addr); err != nil {
		t.Fatal(err)
	}
	if a := d.get("/api/orders", seller); a.status != 200 || strings.Contains(a.body, somePhone) {
		t.Errorf("put back: got %d %s", a.status, a.body)
	}
}

// TestConsentMetricNames: they are as Prometheus's own linter wants them.
func TestConsentMetricNames(t *testing.T) {
	newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(storeState{})
	families, err := registry.Gather()
	if err != nil || len(families) != 8 {
		t.Fatalf("%d metrics, error %v", len(families), err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
