package minimize

import (
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/test/postgres"
)

// TestGPC: Sec-GPC of an authenticated data subject objects to what the rules list, once for each record ever; the message
// itself is judged by it in any case.
func TestGPC(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	me, sales := d.as("u1", "", "purpose", "advertising"), d.as("agent", "sales", "purpose", "advertising")
	history := func() int { return strings.Count(d.call("GET", "subjects/me/history", "", me).body, `"gpc":true`) }
	shown := func() bool { return strings.Contains(d.get("/api/orders", sales).body, somePhone) }
	if !shown() {
		t.Fatal("nobody objected yet")
	}
	for _, odd := range []string{"Sec-GPC: 0", "Sec-GPC: true", "Sec-GPC: 1, 1", "Sec-GPC: "} {
		d.get("/api/orders", me, odd)
	}
	d.get("/api/orders", me, "Sec-GPC: 1", "Sec-GPC: 1")
	d.get("/api/orders", "Sec-GPC: 1")
	if history() != 0 || !shown() {
		t.Error("something else than Sec-GPC: 1 of somebody known counts as an objection")
	}
	recorded, objected := counter(t, "caddy_minimize_gpc_recorded_total"), counter(t, "caddy_minimize_consent_changes_total", "objected")
	for range 3 {
		d.get("/api/orders", me, "Sec-GPC: 1")
	}
	if history() != 1 || shown() || counter(t, "caddy_minimize_gpc_recorded_total") != recorded+1 {
		t.Errorf("recorded %d times; shown is %v", history(), shown())
	}
	if n := counter(t, "caddy_minimize_consent_changes_total", "objected") - objected; n != 1 {
		t.Errorf("%v objections are counted among the changes", n)
	}
	// Who lifts the objection on purpose is not overruled by the browser, and the store remembers it.
	d.must("DELETE", "subjects/me/objections/advertising", "", me)
	d.get("/api/orders", me, "Sec-GPC: 1")
	if history() != 1 || !shown() {
		t.Errorf("after lifting it: recorded %d times; shown is %v", history(), shown())
	}
	// The agent's own browser says nothing about the customer; an agent who is the data subject has lifted it.
	for _, agent := range []string{"agent", "u1"} {
		if a := d.get("/api/orders", d.as(agent, "sales", "purpose", "advertising"), "Sec-GPC: 1"); !strings.Contains(a.body, somePhone) {
			t.Errorf("%s got %d %s", agent, a.status, a.body)
		}
	}
	if audit := d.read("audit.jsonl"); !strings.Contains(audit, `"gpc":true`) || strings.Contains(audit, `"u1"`) {
		t.Error("the audit log does not tell of it by token")
	}
}

// TestGPCOutage: while the store is away the objection counts for its own request; it is recorded with the next one once the
// store is back, and told of as a failure until then.
func TestGPCOutage(t *testing.T) {
	cluster := postgres.Start(t)
	d := newDesk(t, "postgres "+cluster.DSN(), says(jsonHead, someOrder))
	shared := running.Load().consents
	eventually(t, shared.Fresh)
	me := d.as("u1", "sales", "purpose", "advertising")
	cluster.Kill()
	eventually(t, func() bool { return !shared.Fresh() })
	failures := counter(t, "caddy_minimize_gpc_failures_total")
	for i := range 3 {
		d.get("/api/orders", me, "Sec-GPC: 1")
		if n := counter(t, "caddy_minimize_gpc_failures_total") - failures; n != float64(i+1) {
			t.Errorf("%v failures after %d requests", n, i+1)
		}
	}
	cluster.Restart()
	eventually(t, shared.Fresh)
	eventually(t, func() bool {
		d.get("/api/orders", me, "Sec-GPC: 1")
		return strings.Contains(d.call("GET", "subjects/me", "", me).body, `"gpc_recorded"`)
	})
	failures = counter(t, "caddy_minimize_gpc_failures_total")
	if d.get("/api/orders", me, "Sec-GPC: 1"); counter(t, "caddy_minimize_gpc_failures_total") != failures {
		t.Error("a failure is counted while the store answers")
	}
}

// TestGPCElsewhere: without a store Sec-GPC counts for its own request; report mode records it like any other.
func TestGPCElsewhere(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	upstream := newBackend(t, says(jsonHead, someOrder)).addr
	site := strings.ReplaceAll(consentSite, "{issuer}", d.issuer.server.URL)
	report := strings.Replace(site, "minimize {", "minimize {\nmode report", 1)
	if err := d.load(upstream, "consent sqlite consent.db", report); err != nil {
		t.Fatal(err)
	}
	me := d.as("u1", "sales", "purpose", "advertising")
	if a := d.get("/api/orders", me, "Sec-GPC: 1"); a.body != someOrder {
		t.Errorf("report mode changed the body: %s", a.body)
	}
	if a := d.call("GET", "subjects/me", "", me); !strings.Contains(a.body, `"gpc_recorded"`) {
		t.Errorf("report mode recorded nothing: %s", a.body)
	}
	d.write("rules/shop.yaml", strings.Replace(consentRules, "to: [self, guardian]", "to: guardian", 1))
	without := site[strings.Index(site, "handle {"):]
	if err := d.load(upstream, "", without); err != nil {
		t.Fatal(err)
	}
	for signal, want := range map[string]bool{"Sec-GPC: 0": true, "Sec-GPC: 1": false} {
		if a := d.get("/api/orders", me, signal); strings.Contains(a.body, somePhone) != want {
			t.Errorf("without a store, %s: got %s", signal, a.body)
		}
	}
}
