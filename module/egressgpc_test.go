package minimize

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEgressGPC: what a browser says with Sec-GPC holds for what is sent on for it: for a known data subject it is recorded,
// once, and for everybody else it holds for the message.
func TestEgressGPC(t *testing.T) {
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract+"\ndenied: strip",
		"{id: ads, to: ads, for: advertising, basis: legitimate_interests, keep: [device.imei]}")+"gpc: [advertising]\n")
	send := func(header ...string) string {
		t.Helper()
		if a := g.send("POST", "/", `{"imei":"490154203237518"}`, append(header, jsonType)...); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		_, body := r.last(t)
		return body
	}
	const whole, none = `{"imei":"490154203237518"}`, "{}"
	if err := g.load("", "", toAds); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ signal, want string }{{"Sec-GPC: 0", whole}, {"Sec-GPC: 1", none}, {"Dnt: 1", whole}} {
		if got := send(c.signal); got != c.want {
			t.Errorf("%s: the recipient got %s", c.signal, got)
		}
	}
	if err := g.load("", "consent sqlite consent.db", "minimize_egress ads {\npurpose advertising\nsubject {header.X-Subject}\ncaller {\nid shop\n}\n}"); err != nil {
		t.Fatal(err)
	}
	eventually(t, running.Load().consents.Fresh)
	recorded := counter(t, "caddy_minimize_gpc_recorded_total")
	for _, c := range []struct {
		header []string
		want   string
	}{
		{[]string{"X-Subject: u1"}, whole}, {[]string{"X-Subject: u1", "Sec-GPC: 1"}, none}, {[]string{"X-Subject: u1", "Sec-GPC: 1"}, none},
		{[]string{"X-Subject: u1"}, none}, {[]string{"X-Subject: u2"}, whole}, {[]string{"X-Subject: shop"}, whole},
	} {
		if got := send(c.header...); got != c.want {
			t.Errorf("%v: the recipient got %s", c.header, got)
		}
	}
	if n := counter(t, "caddy_minimize_gpc_recorded_total") - recorded; n != 1 {
		t.Errorf("recorded %v times", n)
	}
	if log := g.read("audit.jsonl"); !strings.Contains(log, `"event":"objected"`) || strings.Contains(log, `"u1"`) {
		t.Errorf("the audit log says %s", log)
	}
}

// TestEgressEarlyData: what could be replayed is sent to nobody.
func TestEgressEarlyData(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract, everything, toAds)
	for _, method := range []string{"GET", "POST"} {
		a := g.send(method, "/", `{"state":"paid"}`, jsonType, "Early-Data: 1")
		a.refused(t, http.StatusTooEarly, "unavailable")
	}
	if r.all() != "" {
		t.Errorf("the recipient received %q", r.all())
	}
	early := httptest.NewRequest("GET", "/", nil)
	for complete, want := range map[bool]bool{true: false, false: true} {
		early.TLS = &tls.ConnectionState{HandshakeComplete: complete}
		if isEarly(early) != want || new(caller).address(early).IsValid() == want {
			t.Errorf("complete %t: early is %t", complete, !want)
		}
	}
	if !strings.Contains(g.read("audit.jsonl"), `"status":425`) {
		t.Errorf("the audit log says %s", g.read("audit.jsonl"))
	}
}
