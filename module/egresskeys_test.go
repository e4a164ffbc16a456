package minimize

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// twoPartners is a register of two recipients at one place, each of which gets tokens of devices.
func twoPartners(host string) string {
	const entry = "{kind: third_party, hosts: [%s], contract: {from: 2020-01-01, until: 2099-12-31}}"
	return fmt.Sprintf(`minimize: 1
purposes: [advertising]
fields:
  - {key: [imei], is: device.imei}
recipients:
  ads: `+entry+`
  others: `+entry+`
allow:
  - {id: tokens, to: third_party, for: advertising, basis: contract, pseudonymize: [device]}
`, host, host)
}

const toBoth = "handle_path /ads/* {\n" + toAds + "\n}\nhandle_path /others/* {\nminimize_egress others {\npurpose advertising\n}\n}"

// TestEgressPseudonyms: two recipients get different tokens of one IMEI, each the same from every gateway and after every
// restart, until its own key is destroyed: then nothing that is sent is like what was sent before.
func TestEgressPseudonyms(t *testing.T) {
	fastPolls(t)
	r := newRecorder(t)
	token := func(g *gateway, to string) string {
		t.Helper()
		if a := g.send("POST", "/"+to+"/", `{"imei":"490154203237518"}`, jsonType); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		_, body := r.last(t)
		return strings.TrimSuffix(strings.TrimPrefix(body, `{"imei":"`), `"}`)
	}
	gateway := func() *gateway {
		g := prepare(t)
		g.write("rules/shop.yaml", twoPartners("http://"+r.addr))
		g.write("keys/ads_2026-03", "ads' own key 0123456789abcdef")
		if err := g.load("", "", toBoth); err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := gateway()
	ads, others := token(g, "ads"), token(g, "others")
	if ads == others || !strings.HasPrefix(ads, "hm1_2026-03_") || !strings.HasPrefix(others, "hm1_2026-01_") {
		t.Fatalf("got %s and %s", ads, others)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	g = gateway() // another one, with the same keys
	if a, o := token(g, "ads"), token(g, "others"); a != ads || o != others {
		t.Errorf("another gateway makes %s and %s of it", a, o)
	}

	g.write("keys/ads_2026-04", "ads' next key 0123456789abcdef")
	eventually(t, func() bool { return strings.HasPrefix(token(g, "ads"), "hm1_2026-04_") })
	g.remove("keys/ads_2026-04")
	g.remove("keys/ads_2026-03")
	eventually(t, func() bool { return strings.HasPrefix(token(g, "ads"), "hm1_2026-01_") })
	if a := token(g, "ads"); a[len(a)-26:] == ads[len(ads)-26:] || a == others {
		t.Errorf("%s tells who %s was", a, ads)
	}
	if token(g, "others") != others {
		t.Error("somebody else's tokens changed")
	}
	if strings.Contains(r.all(), someIMEI) {
		t.Error("the recipient received the IMEI")
	}
}

// TestKeyOfNobody: a key for a recipient that no document registers is a slip where a configuration loads, and no reason to
// keep somebody in the register who has left it.
func TestKeyOfNobody(t *testing.T) {
	fastPolls(t)
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", twoPartners("http://"+r.addr))
	g.write("keys/adds_2026-03", "0123456789abcdef")
	if err := g.load("", "", toBoth); err == nil || !strings.Contains(err.Error(), `a key for "adds" alone, whom no rule document registers`) {
		t.Errorf("got the error %v", err)
	}
	g.remove("keys/adds_2026-03")
	g.write("keys/ads_2026-03", "0123456789abcdef")
	if err := g.load("", "", toBoth); err != nil {
		t.Fatal(err)
	}
	g.write("rules/shop.yaml", strings.Replace(twoPartners("http://"+r.addr), "  ads:", "  former:", 1))
	eventually(t, func() bool { return g.send("POST", "/ads/", `{"a":"b"}`, jsonType).status == http.StatusForbidden })
	eventually(t, func() bool {
		return strings.Contains(g.read("caddy.log"), "a key is for a recipient alone that no rule document registers")
	})
}

// TestRoutesToRecipients are enforced, and nothing that a canary could ask.
func TestRoutesToRecipients(t *testing.T) {
	r, g := newRecorder(t), prepare(t)
	g.write("rules/shop.yaml", twoPartners("http://"+r.addr))
	if err := g.load("", "", toBoth); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]float64{"recipient": 2, "enforced": 0, "report": 0} {
		if n := counter(t, "caddy_minimize_routes", state); n != want {
			t.Errorf("%v routes are %s, want %v", n, state, want)
		}
	}
}
