package minimize

import (
	"bytes"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/caddy-minimize/minimize/rules"
)

// countries writes a database of countries by network. "*" is an anycast network of the United States, "-" one that only
// its owner's registration is known of.
func countries(t *testing.T, networks map[string]string) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, country := range networks {
		_, prefix, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		code := func(s string) mmdbtype.Map { return mmdbtype.Map{"iso_code": mmdbtype.String(s)} }
		record := mmdbtype.Map{"country": code(country)}
		switch country {
		case "*":
			record = mmdbtype.Map{"country": code("US"), "traits": mmdbtype.Map{"is_anycast": mmdbtype.Bool(true)}}
		case "-":
			record = mmdbtype.Map{"registered_country": code("US")}
		}
		if err := tree.Insert(prefix, record); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if _, err := tree.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

// world are networks of the tests' databases.
var world = map[string]string{
	"203.0.113.0/24": "DE", "198.51.100.0/24": "US", "192.0.2.0/24": "CN", "8.8.8.0/24": "US", "9.9.9.0/24": "*", "2.2.2.0/24": "-", "2606:4700::/32": "FR",
	"10.1.0.0/16": "SG",
}

func worldly(t *testing.T) *geoIP {
	t.Helper()
	name := t.TempDir() + "/c.mmdb"
	if err := os.WriteFile(name, []byte(countries(t, world)), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := openGeoIP(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGeoIP: where an address is, and what that says about recipients and callers.
func TestGeoIP(t *testing.T) {
	doc, err := rules.Parse("a.yaml", []byte("minimize: 1\nhome: EEA\n"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile([]*rules.Document{doc}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := worldly(t)
	for _, c := range []struct {
		addr, country          string
		misplaced, contradicts string // of which countries, among DE, FR, US, SG
	}{
		{"203.0.113.9", "DE", "FR US SG", "US SG"}, // from Germany to France nobody leaves home
		{"::ffff:203.0.113.9", "DE", "FR US SG", "US SG"},
		{"2606:4700::1", "FR", "DE US SG", "US SG"},
		{"8.8.8.8", "US", "DE FR SG", "DE FR SG"},
		{"9.9.9.9", "", "DE FR US SG", "DE FR US SG"}, // anycast
		{"2.2.2.2", "", "DE FR US SG", "DE FR US SG"}, // registered there, used who knows where
		{"1.2.3.4", "", "DE FR US SG", "DE FR US SG"},
		{"10.1.0.1", "SG", "DE FR US", "DE FR US"}, // a company's own database
		{"10.2.0.1", "", "", ""}, {"127.0.0.1", "", "", ""}, {"::1", "", "", ""}, {"fe80::1%eth0", "", "", ""},
	} {
		addr := netip.MustParseAddr(c.addr)
		var misplaced, contradicts []string
		for _, country := range []string{"DE", "FR", "US", "SG"} {
			if g.misplaced(set, country, addr) {
				misplaced = append(misplaced, country)
			}
			if g.contradicts(set, country, addr) {
				contradicts = append(contradicts, country)
			}
		}
		if got := g.country(addr); got != c.country || strings.Join(misplaced, " ") != c.misplaced || strings.Join(contradicts, " ") != c.contradicts {
			t.Errorf("%s is in %q, misplaces %v and contradicts %v", c.addr, got, misplaced, contradicts)
		}
		if g.misplaced(set, "", addr) || g.contradicts(set, "", addr) || g.misplaced(set, "EEA", addr) == (c.country == "DE" || c.country == "FR" || c.misplaced == "") {
			t.Errorf("%s: a country that nobody says, or a zone", c.addr)
		}
	}
	var none *geoIP
	if none.misplaced(set, "DE", netip.MustParseAddr("8.8.8.8")) || none.contradicts(set, "DE", netip.MustParseAddr("8.8.8.8")) {
		t.Error("without a database something is known")
	}
}

// TestGeoIPFiles: what is no database of countries does not load; later the last good one stays in force.
func TestGeoIPFiles(t *testing.T) {
	fastPolls(t)
	g := prepare(t)
	b := newBackend(t, says(jsonHead, someOrder))
	load := func() error { return g.load(b.addr, "geoip c.mmdb", shop) }
	good := countries(t, world)
	if err := load(); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("there is none: got the error %v", err)
	}
	for _, c := range []struct{ content, want string }{
		{"no database", "is not in the MaxMind format"}, {good[:len(good)/2], "is not in the MaxMind format"},
		{countries(t, map[string]string{"8.8.8.0/24": "-"}), "in which country"},
	} {
		g.write("c.mmdb", c.content)
		if err := load(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got the error %v, want %s", err, c.want)
		}
	}
	g.write("c.mmdb", good)
	if err := load(); err != nil {
		t.Fatal(err)
	}
	geo := running.Load().geo
	if counter(t, "caddy_minimize_geoip_built_timestamp_seconds") != float64(geo.built().Unix()) {
		t.Error("nobody sees how old the database is")
	}
	g.write("c.mmdb", "broken")
	eventually(t, func() bool { return counter(t, "caddy_minimize_geoip_broken") == 1 })
	if geo.country(netip.MustParseAddr("8.8.8.8")) != "US" {
		t.Error("the last good database is gone")
	}
	g.write("c.mmdb", countries(t, map[string]string{"8.8.8.0/24": "CA"}))
	eventually(t, func() bool { return geo.country(netip.MustParseAddr("8.8.8.8")) == "CA" })
	eventually(t, func() bool { return counter(t, "caddy_minimize_geoip_broken") == 0 })
	if !strings.Contains(g.read("caddy.log"), "took a changed database of countries") {
		t.Error("the log does not tell")
	}
}

// TestCallerElsewhere: a caller whose address is in another country than it claims reads nothing above open, and one whose
// address says nothing keeps what its claim gives. Trusted proxies say whose address it is.
func TestCallerElsewhere(t *testing.T) {
	const home = "home: DE\n"
	site := func(mode string) string {
		return "minimize {\n" + mode + "\ncaller {\nrole support\npurpose after_sales\ncountry DE\ntrust 127.0.0.1 192.0.2.77\n}\n}\nreverse_proxy {upstream}"
	}
	b := newBackend(t, says(jsonHead, `{"orders":[{"phone":"13800138000"}]}`))
	g := prepare(t)
	g.write("c.mmdb", countries(t, world))
	g.write("rules/shop.yaml", shopRules+home)
	if err := g.load(b.addr, "geoip c.mmdb", site("mode enforce")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		forwarded []string
		here      bool
	}{
		{nil, true}, {[]string{"X-Forwarded-For: 203.0.113.9"}, true}, {[]string{"X-Forwarded-For: 203.0.113.9:4711"}, true}, {[]string{"X-Forwarded-For: 10.0.0.9"}, true},
		{[]string{"X-Forwarded-For: 198.51.100.9"}, false}, {[]string{"X-Forwarded-For: 203.0.113.9, 198.51.100.9"}, false}, // who wrote the first?
		{[]string{"X-Forwarded-For: 198.51.100.9, 203.0.113.9"}, true}, {[]string{"X-Forwarded-For: 198.51.100.9", "X-Forwarded-For: 192.0.2.77"}, false},
		{[]string{"X-Forwarded-For: 203.0.113.9, 192.0.2.77"}, true}, {[]string{"X-Forwarded-For: unknown"}, false}, {[]string{"X-Forwarded-For: 1.2.3.4"}, false},
	} {
		before := counter(t, "caddy_minimize_geoip_contradictions_total")
		a := g.get("/api/orders", c.forwarded...)
		counted := counter(t, "caddy_minimize_geoip_contradictions_total") - before
		if c.here && (a.status != http.StatusOK || !strings.Contains(a.body, "138****8000") || counted != 0) {
			t.Errorf("%v: got %d %s", c.forwarded, a.status, a.body)
		}
		if !c.here {
			a.refused(t, http.StatusUnavailableForLegalReasons, "country")
			if counted != 1 {
				t.Errorf("%v: counted %v times", c.forwarded, counted)
			}
		}
	}
	if log := g.read("audit.jsonl"); !strings.Contains(log, `"contradicted":true`) || strings.Contains(log, "198.51.100.9") {
		t.Errorf("the audit log says %s", log)
	}

	if err := g.load(b.addr, "geoip c.mmdb", site("mode report")); err != nil {
		t.Fatal(err)
	}
	before := counter(t, "caddy_minimize_would_refusals_total", "report", "country")
	if a := g.get("/api/orders", "X-Forwarded-For: 198.51.100.9"); !strings.Contains(a.body, somePhone) {
		t.Errorf("report mode changed the answer: %s", a.body)
	}
	if counter(t, "caddy_minimize_would_refusals_total", "report", "country") != before+1 {
		t.Error("what would have been refused is not counted")
	}
}

// TestEgressElsewhere: a recipient that is registered in one country gets nothing at an address in another one, whatever
// is sent, also over a pooled connection once the database says so.
func TestEgressElsewhere(t *testing.T) {
	fastPolls(t)
	r := newRecorder(t)
	g := prepare(t)
	g.write("c.mmdb", countries(t, map[string]string{"127.0.0.0/8": "DE"}))
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract+"\ncountry: DE", everything))
	if err := g.load("", "geoip c.mmdb", toAds); err != nil {
		t.Fatal(err)
	}
	send := func() *answer { return g.send("POST", "/", `{"state":"paid"}`, jsonType) }
	if a, b := send(), send(); a.status != http.StatusOK || b.status != http.StatusOK || r.conns != 1 {
		t.Fatalf("got %d and %d on %d connections", a.status, b.status, r.conns)
	}
	g.write("c.mmdb", countries(t, map[string]string{"127.0.0.0/8": "US"}))
	eventually(t, func() bool { return send().status != http.StatusOK })
	before := r.all()
	send().refused(t, http.StatusUnavailableForLegalReasons, "country")
	g.send("GET", "/", "").refused(t, http.StatusUnavailableForLegalReasons, "country")
	if r.all() != before {
		t.Error("something was sent abroad")
	}
	if !strings.Contains(g.read("audit.jsonl"), `"recipient_country":"DE"`) || !strings.Contains(g.read("audit.jsonl"), `"reason":"country"`) {
		t.Errorf("the audit log says %s", g.read("audit.jsonl"))
	}

	// An address inside that no database knows is where the register says.
	g.write("c.mmdb", countries(t, world))
	eventually(t, func() bool { return send().status == http.StatusOK })

	g.write("c.mmdb", countries(t, map[string]string{"127.0.0.0/8": "US"}))
	if err := g.load("", "geoip c.mmdb", "minimize_egress ads {\npurpose advertising\nmode report\n}"); err != nil {
		t.Fatal(err)
	}
	labels := []string{"report", "ads", "DE", "country"}
	counted := counter(t, "caddy_minimize_would_egress_refusals_total", labels...)
	for n := range 2 { // the second one over the pooled connection
		if a := send(); a.status != http.StatusOK {
			t.Errorf("report mode refused: %d %s", a.status, a.body)
		}
		if got := counter(t, "caddy_minimize_would_egress_refusals_total", labels...); got != counted+float64(n+1) {
			t.Errorf("%v would have been refused", got-counted)
		}
	}
}

// TestEgressReportInside: report mode tells where a name led to that enforcing would not have followed.
func TestEgressReportInside(t *testing.T) {
	r := newRecorder(t)
	_, port, _ := net.SplitHostPort(r.addr)
	var address atomic.Value
	address.Store("127.0.0.1")
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://partner.test:"+port, inContract+"\ncountry: DE", noCards))
	if err := g.load("", "", "minimize_egress ads {\npurpose advertising\nmode report\ntransport http {\nresolvers "+nameServer(t, &address)+"\n}\n}"); err != nil {
		t.Fatal(err)
	}
	labels := []string{"report", "ads", "DE", "recipient"}
	before := counter(t, "caddy_minimize_would_egress_refusals_total", labels...)
	if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusOK {
		t.Fatalf("report mode refused: %d %s", a.status, a.body)
	}
	if got := counter(t, "caddy_minimize_would_egress_refusals_total", labels...); got != before+1 {
		t.Errorf("%v would have been refused", got-before)
	}
}

// farConn is a connection to an address that nobody needs to listen at.
type farConn struct {
	net.Conn
	remote string
}

// RemoteAddr is the address.
func (c farConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.remote))
}

// TestEgressDialled: what counts is the address that a name led to.
func TestEgressDialled(t *testing.T) {
	g := prepare(t)
	g.write("c.mmdb", countries(t, world))
	g.write("rules/shop.yaml", partnerRules("https://ads.example", inContract+"\ncountry: DE", everything))
	if err := g.load("", "geoip c.mmdb", toAds); err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]rules.Reason{
		"8.8.8.8:443": rules.Country, "1.2.3.4:443": rules.Country, "9.9.9.9:443": rules.Country, "[2606:4700::1]:443": rules.Country,
		"[::ffff:10.2.0.1]:443": rules.RecipientUnknown,
	} {
		c := &guardedConn{Conn: farConn{remote: remote}, t: transportOf(t), dial: "ads.example:443"}
		if got := c.lacks(); got == nil || got.Reason != want {
			t.Errorf("%s: got %v", remote, got)
		}
	}
}
