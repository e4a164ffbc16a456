package minimize

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-minimize/minimize/module/openapi"
)

// TestDrift: an answer with members that the OpenAPI document does not have is counted, by the document and the operation,
// and nothing of the answer is told.
func TestDrift(t *testing.T) {
	const api = `openapi: 3.1.0
paths:
  /api/orders/{id}:
    get:
      responses:
        "200":
          content:
            application/json:
              schema:
                type: object
                properties:
                  state: {type: string}
                  phone: {type: string, x-data-classification: {category: contact.phone}}
`
	fastPolls(t)
	g := prepare(t)
	g.write("rules/api.yaml", api)
	var body atomic.Value
	body.Store(`{"state":"paid","phone":"13800138000"}`)
	b := newBackend(t, func(conn net.Conn, r *http.Request) { says(jsonHead, body.Load().(string))(conn, r) })
	if err := g.load(b.addr, "", shop); err != nil {
		t.Fatal(err)
	}
	labels := []string{"api.yaml", "GET /api/orders/*"}
	samples, drifted := counter(t, "caddy_minimize_drift_samples_total", labels...), counter(t, "caddy_minimize_drift_total", labels...)
	ask := func() {
		t.Helper()
		running.Load().drift.Load().due.Store(0)
		if a := g.get("/api/orders/7"); a.status != 200 {
			t.Fatalf("got %+v", a)
		}
	}
	ask()
	eventually(t, func() bool { return counter(t, "caddy_minimize_drift_samples_total", labels...) == samples+1 })
	if got := counter(t, "caddy_minimize_drift_total", labels...); got != drifted {
		t.Errorf("a described answer drifts: %v", got-drifted)
	}
	body.Store(`{"state":"paid","phone":"13800138000","note":{"secret_of_u1":1}}`)
	ask()
	eventually(t, func() bool { return counter(t, "caddy_minimize_drift_total", labels...) == drifted+1 })
	for range 5 { // one a second
		g.get("/api/orders/7")
	}
	if got := counter(t, "caddy_minimize_drift_samples_total", labels...); got > samples+3 {
		t.Errorf("%v samples of seven answers", got-samples)
	}
	g.write("rules/api.yaml", "minimize: 1\n")
	eventually(t, func() bool { return running.Load().drift.Load() == nil })
}

// TestPanicInDrift: a comparison that panics ends alone, and tells nothing of the answer.
func TestPanicInDrift(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	d := &drift{metrics: collectors, logger: zap.New(core), specs: map[string]*openapi.Spec{"broken": nil}}
	before := counter(t, "caddy_minimize_panics_total")
	for range 2 { // it locks itself out of nothing
		d.compare("GET", "/", []byte(`{"phone":"13800138000"}`))
	}
	if got := counter(t, "caddy_minimize_panics_total") - before; got != 2 {
		t.Errorf("%v panics are counted, want 2", got)
	}
	if log := fmt.Sprint(logged.All()); strings.Contains(log, somePhone) || !strings.Contains(log, "panicking while an answer was compared") {
		t.Errorf("the log is %s", log)
	}
}
