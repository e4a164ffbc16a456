package minimize

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules/body"
)

// TestMetricNames: they are as Prometheus's own linter wants them, and dashboards/README.md has them all.
func TestMetricNames(t *testing.T) {
	registry, m := prometheus.NewPedanticRegistry(), newMetrics()
	for _, c := range m.all {
		registry.MustRegister(c)
	}
	m.rulesInfo.WithLabelValues("documents", "hash")
	m.routes.WithLabelValues("enforced")
	for vec, labels := range map[*prometheus.CounterVec]int{
		m.values: 3, m.messages: 2, m.refusals: 1, m.headers: 1, m.bytes: 1, m.wouldValues: 4, m.wouldMessages: 3, m.wouldRefusals: 2,
		m.consentChanges: 1, m.egress: 3, m.egressRefusals: 3, m.wouldEgress: 4, m.wouldStay: 4, m.drift: 2, m.driftSamples: 2, m.disclosures: 3, m.undeclared: 1, m.canaryRuns: 1,
	} {
		vec.WithLabelValues(slices.Repeat([]string{"x"}, labels)...) // without a series there is nothing to lint
	}
	families, err := registry.Gather()
	if err != nil || len(families) != len(m.all)-3 { // no app runs, so that there is nothing to show of its store, of people abroad and of its canary
		t.Fatalf("%d of %d metrics have a series, error %v", len(families), len(m.all), err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	readme, err := os.ReadFile("dashboards/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := strings.TrimPrefix(f.GetName(), "caddy_minimize_"); !regexp.MustCompile("`" + name + "[`{]").Match(readme) {
			t.Errorf("dashboards/README.md does not say what %s answers", name)
		}
	}
}

// TestMetrics: what was done is counted by closed sets, and survives a reload of the configuration.
func TestMetrics(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	site := shop + "\nhandle /metrics {\nmetrics\n}\n"
	site = strings.Replace(site, "minimize {", "minimize /api/* {", 1)
	site = strings.Replace(site, "reverse_proxy {upstream}", "handle {\nreverse_proxy {upstream}\n}", 1)
	g := start(t, b.addr, "", site)
	before := counter(t, "caddy_minimize_values_total", "contact.phone", "mask", "support")
	g.get("/api/orders")
	if err := g.load(b.addr, "", site); err != nil {
		t.Fatal(err)
	}
	// A reload's old server resets what is still in its queue.
	eventually(t, func() bool { return g.get("/api/orders").err == nil })
	// The last one is counted when its answer is already out.
	eventually(t, func() bool {
		return counter(t, "caddy_minimize_values_total", "contact.phone", "mask", "support") >= before+2
	})
	a := g.get("/metrics")
	for _, want := range []string{
		`caddy_minimize_messages_total{outcome="minimized",role="support"}`,
		`caddy_minimize_values_total{action="strip",category="device.imei",role="support"}`,
		`caddy_minimize_rules_info{documents="all",hash="`, "caddy_minimize_rules_loaded_timestamp_seconds", "caddy_minimize_rules_changed_timestamp_seconds", "caddy_minimize_engine_seconds_bucket",
		`caddy_minimize_refusals_total{reason="unreadable"}`, "caddy_minimize_hold_memory_bytes 0", "caddy_minimize_rules_broken 0",
		`caddy_minimize_body_bytes_total{direction="read"}`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// TestRulesChanged: the newest file says how old the rules are, whoever restarted since.
func TestRulesChanged(t *testing.T) {
	g := prepare(t)
	g.write("rules/more.yaml", "minimize: 1\nroles: [courier]\n")
	for name, at := range map[string]int64{"rules/shop.yaml": 1_700_000_000, "rules/more.yaml": 1_750_000_000} {
		if err := os.Chtimes(filepath.Join(g.dir, name), time.Time{}, time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.load("127.0.0.1:1", "", shop); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return counter(t, "caddy_minimize_rules_changed_timestamp_seconds") == 1_750_000_000 })
	g.write("rules/more.yaml", "minimize: 1\nroles: [driver]\n")
	eventually(t, func() bool { return counter(t, "caddy_minimize_rules_changed_timestamp_seconds") > 1_750_000_000 })
}

// TestEngineTime: it is the enforced rules' own, without candidates and slow clients. The clock stands still but for sleeps.
func TestEngineTime(t *testing.T) {
	h := newHandler(t, shopRules)
	synctest.Test(t, func(t *testing.T) {
		m := h.newMessage(httptest.NewRequest("GET", "/api/orders", nil))
		m.rules = &ruleset{enforced: m.rules.enforced, candidate: m.rules.enforced}
		w := newWriter(m, slowWriter{httptest.NewRecorder()}, "GET", func() {})
		w.Header()["Content-Type"] = []string{"application/json"}
		w.WriteHeader(200)
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		w.candidate.release()
		w.candidate = &shadow{m: m, body: body.NewJSON(m.judged, h.limits(), func([]byte, bool) error { time.Sleep(time.Second); return nil })}
		if _, err := w.Write([]byte(someOrder)); err != nil {
			t.Fatal(err)
		}
		w.close()
		w.release()
		if w.spent != 2*time.Second || w.blocked != w.spent {
			t.Errorf("of %v in all, %v were not the engine's; want 2s and 2s", w.spent, w.blocked)
		}
	})
}

type slowWriter struct{ http.ResponseWriter }

func (w slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return w.ResponseWriter.Write(p)
}

// TestRoleLabels: a role of a token that no rule knows never becomes a label (threat H2).
func TestRoleLabels(t *testing.T) {
	i := newIssuer(t)
	g := prepare(t)
	g.write("issuer.pem", i.pem())
	b := newBackend(t, says(jsonHead, someOrder))
	if err := g.load(b.addr, "", i.site("key issuer.pem")); err != nil {
		t.Fatal(err)
	}
	before, none := counter(t, "caddy_minimize_messages_total", "other"), counter(t, "caddy_minimize_messages_total", "none")
	g.get("/api/orders", "Authorization: Bearer "+i.mint(map[string]any{"role": "made-up"}))
	g.get("/api/orders", "Authorization: Bearer "+i.mint(map[string]any{"role": nil}))
	eventually(t, func() bool {
		return counter(t, "caddy_minimize_messages_total", "other") >= before+1 && counter(t, "caddy_minimize_messages_total", "none") >= none+1
	})
	if counter(t, "caddy_minimize_messages_total", "made-up") != 0 {
		t.Error("a made-up role is a label")
	}
}

// TestAudit: one line per judged message, with its decision id and counts, the caller as a token, and never a value.
func TestAudit(t *testing.T) {
	i := newIssuer(t)
	g := prepare(t)
	g.write("issuer.pem", i.pem())
	b := newBackend(t, says(jsonHead, someOrder))
	site := i.site("key issuer.pem")
	if err := g.load(b.addr, "", site); err != nil {
		t.Fatal(err)
	}
	token := i.mint(map[string]any{"sub": "agent-" + somePhone})
	a := g.get("/api/orders/"+somePhone+"?imei="+someIMEI, "Authorization: Bearer "+token)
	g.get("/api/orders", "Authorization: Bearer x.y.z")
	if err := caddy.Stop(); err != nil { // a reload's old server may still take a connection
		t.Fatal(err)
	}
	if err := g.load(newBackend(t, says("200 OK\nContent-Type: text/plain", someOrder)).addr, "", site); err != nil {
		t.Fatal(err)
	}
	g.get("/elsewhere")
	log := g.read("audit.jsonl")
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %d lines: %s", len(lines), log)
	}
	chain := &auditlog.Verifier{}
	err := auditlog.Read([]string{filepath.Join(g.dir, "audit.jsonl")}, func(e auditlog.Entry) error { chain.Next(e); return nil })
	if err != nil || chain.Head.Seq != 3 || len(chain.Findings) > 0 {
		t.Errorf("across the restart the chain is %+v, %v", chain, err)
	}
	var entry map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &entry); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"decision": a.header.Get(decisionHeader), "direction": "response", "operation": "GET /api/**", "role": "support",
		"purpose": "after_sales", "mode": "enforce", "status": 200.0, "outcome": "minimized", "read": float64(len(someOrder)),
		"written": float64(len(supportSees)),
	} {
		if entry[name] != want {
			t.Errorf("%s is %v, want %v", name, entry[name], want)
		}
	}
	if values, _ := entry["values"].(map[string]any); values["contact.phone mask"] != 1.0 || values["device.imei strip"] != 1.0 {
		t.Errorf("values are %v", entry["values"])
	}
	if caller, _ := entry["caller"].(string); !strings.HasPrefix(caller, "hm1_2026-01_") {
		t.Errorf("the caller is %q", caller)
	}
	if at, err := time.Parse(time.RFC3339, entry["time"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("the time is %v", entry["time"])
	}
	for _, want := range []string{`"outcome":"unauthorized"`, `"outcome":"refused","reason":"media_type"`, `"operation":"other"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	for _, secret := range []string{somePhone, someIMEI, "13800138", token, "u1", "agent-"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}

// TestR15AuditCannotBeWritten: answers stay as they were, minimized and in time, and every lost line is counted.
func TestR15AuditCannotBeWritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full, whose writes all fail")
	}
	good, bad := newBackend(t, says(jsonHead, someOrder)), newBackend(t, says(jsonHead, `{"phone":`))
	site := "handle /api/bad {\n" + strings.Replace(shop, "{upstream}", bad.addr, 1) + "\n}\nhandle {\n" + shop + "\n}"
	g := start(t, good.addr, "minimize {\nrules rules/*.yaml\naudit output file /dev/full {\nroll_disabled\n}\n}", site)
	before := counter(t, "caddy_minimize_audit_failures_total")
	var workers sync.WaitGroup
	for range 20 {
		workers.Go(func() {
			if a := g.get("/api/orders"); a.err != nil || a.status != 200 || a.body != supportSees {
				t.Errorf("got %+v", a)
			}
		})
	}
	workers.Wait()
	g.get("/api/bad").refused(t, 502, "unreadable")
	eventually(t, func() bool { return counter(t, "caddy_minimize_audit_failures_total") == before+21 })
	if !strings.Contains(g.read("caddy.log"), "writing the audit log") {
		t.Error("the log does not tell of it")
	}
}

// TestR16NoPlaintextInLogs: at debug level, with access logs on, for good and bad messages, no value is in any log. The
// same entries without our encoder show values, so the test has teeth.
func TestR16NoPlaintextInLogs(t *testing.T) {
	for _, format := range []string{"minimize", "json"} {
		g := prepare(t)
		b := newBackend(t, says(jsonHead+"\nX-Device: "+someIMEI+"\nLocation: /orders/"+somePhone+"\nSet-Cookie: uid="+someIMEI, someOrder))
		global := "minimize {\nrules rules/*.yaml\nkeys keys\n}\nlog all {\noutput file {dir}/all.log\nlevel DEBUG\nformat " + format + "\n}"
		site := "log {\noutput file {dir}/access.log\nformat " + format + "\n}\n" + shop
		if err := g.load(b.addr, global, site); err != nil {
			t.Fatal(err)
		}
		headers := []string{"X-Phone: " + somePhone, "Referer: http://x/?imei=" + someIMEI, "Cookie: uid=" + someIMEI, "Authorization: Bearer " + someIMEI}
		g.get("/api/orders/"+somePhone+"?imei="+someIMEI+"&email=a%40example.com&name=M%C3%BCller&q=%31%33800138000", headers...)
		for _, upstream := range []string{newBackend(t, says(jsonHead, `{"phone":"`+somePhone)).addr, newBackend(t, says("200 OK", someOrder)).addr, "127.0.0.1:1"} {
			if err := g.load(upstream, global, site); err != nil {
				t.Fatal(err)
			}
			g.get("/api/orders/"+somePhone+"?phone="+somePhone, headers...)
		}
		if err := os.Remove(g.dir + "/caddy.log"); err != nil { // Caddy's own default format, which the test's harness asks for
			t.Fatal(err)
		}
		logs := g.read("all.log") + g.read("access.log")
		shown := 0
		for _, secret := range []string{somePhone, someIMEI, "%31%33800138000", "a@example.com", "a%40example.com", "M%C3%BCller", "Müller"} {
			if strings.Contains(logs, secret) {
				shown++
				if format == "minimize" {
					t.Errorf("the logs show %q", secret)
				}
			}
		}
		if format == "json" && shown < 3 {
			t.Errorf("without our format only %d secrets are in the logs: the test has no teeth", shown)
		}
		if format == "minimize" && !strings.Contains(logs, `"uri":"/api/orders/[contact.phone]?imei=[`) {
			t.Errorf("the access log does not show what was there: %s", g.read("access.log"))
		}
	}
}
