package minimize

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// nameServer answers every name with an address that can change.
func nameServer(t *testing.T, address *atomic.Value) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, peer, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			// RFC 1035 section 4.1: one question, behind a header of 12 bytes.
			end := 12
			for buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			end += 5
			if n < end {
				continue
			}
			answer := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
			ip := netip.MustParseAddr(address.Load().(string))
			kind := byte(1)
			if ip.Is6() {
				kind = 28
			}
			if buf[end-3] == kind {
				raw := ip.AsSlice()
				answer[7] = 1
				answer = append(append(answer, 0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, byte(len(raw))), raw...)
			}
			conn.WriteTo(answer, peer)
		}
	}()
	return conn.LocalAddr().String()
}

// TestEgressInside: a name that leads inside is refused, whatever it led to before, and nothing is sent; an address that is
// registered as one is not.
func TestEgressInside(t *testing.T) {
	r := newRecorder(t)
	_, port, _ := net.SplitHostPort(r.addr)
	var address atomic.Value
	address.Store("127.0.0.1")
	site := "minimize_egress ads {\npurpose advertising\ntransport http {\nresolvers " + nameServer(t, &address) + "\n}\n}"
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://partner.test:"+port, inContract, noCards))
	if err := g.load(r.addr, "", site); err != nil {
		t.Fatal(err)
	}
	for _, leads := range []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "::ffff:127.0.0.1", "::1"} {
		address.Store(leads)
		a := g.send("POST", "/", `{"state":"paid"}`, jsonType)
		if a.status != http.StatusForbidden && a.status != http.StatusBadGateway { // nobody listens at some of them
			t.Errorf("%s: got %d %s", leads, a.status, a.body)
		}
	}
	address.Store("127.0.0.1")
	g.send("POST", "/", `{"state":"paid"}`, jsonType).refused(t, http.StatusForbidden, "recipient")
	if r.all() != "" {
		t.Errorf("inside received %q", r.all())
	}
}

// TestLeadsOut: what counts as inside.
func TestLeadsOut(t *testing.T) {
	for _, test := range []struct {
		host, remote string
		want         bool
	}{
		{"a.example", "8.8.8.8", true}, {"a.example", "2606:4700::1111", true},
		{"a.example", "10.0.0.1", false}, {"a.example", "100.64.0.1", false}, {"a.example", "127.0.0.1", false}, {"a.example", "169.254.169.254", false},
		{"a.example", "172.31.255.255", false}, {"a.example", "192.168.1.1", false}, {"a.example", "0.0.0.0", false}, {"a.example", "224.0.0.1", false},
		{"a.example", "255.255.255.255", false}, {"a.example", "::1", false}, {"a.example", "::", false}, {"a.example", "fe80::1", false},
		{"a.example", "fd00::1", false}, {"a.example", "ff02::1", false}, {"a.example", "::ffff:10.0.0.1", false}, {"a.example", "::ffff:8.8.8.8", true},
		{"a.example", "64:ff9b::a00:1", false}, {"a.example", "2002:a00:1::", false},
		{"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "::ffff:10.0.0.1", true}, {"10.0.0.1", "10.0.0.2", false}, {"8.8.8.8", "10.0.0.1", false},
		{"::1", "::1", true},
	} {
		if got := leadsOut(test.host, netip.MustParseAddr(test.remote)); got != test.want {
			t.Errorf("%s at %s: got %t", test.host, test.remote, got)
		}
	}
}

// TestEgressRedirect: a redirect to where the recipient is not registered is answered 502, whatever its status.
func TestEgressRedirect(t *testing.T) {
	for location, want := range map[string]int{
		"https://elsewhere.example/": 502, "//elsewhere.example/": 502, "http://{addr}@elsewhere.example/": 502, "https://{addr}/": 502, "ftp://{addr}/": 502,
		`/\elsewhere.example/`: 502, `/\\elsewhere.example/`: 502, `\\elsewhere.example/`: 502, `\/elsewhere.example/`: 502,
		"http://{addr}/next": 307, "/next": 307, "next": 307, ":bad": 502,
	} {
		r := newRecorder(t)
		r.reply = func(*http.Request, string) string {
			return "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: " + strings.ReplaceAll(location, "{addr}", r.addr) + "\r\n\r\n"
		}
		g := egress(t, r, inContract, everything, toAds)
		if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != want || strings.Contains(fmt.Sprint(a.header, a.body), "elsewhere") {
			t.Errorf("%s: got %d %v; want %d", location, a.status, a.header, want)
		}
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEgressRedirectHere: a redirect at the recipient leads the caller through the gateway, by whatever prefix it came, and
// shows nothing that may not come in.
func TestEgressRedirectHere(t *testing.T) {
	r := newRecorder(t)
	var status, location string
	r.reply = func(*http.Request, string) string {
		return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nLocation: " + location + "\r\n\r\n"
	}
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, everything))
	rewritten := strings.Replace(toAds, "purpose", "rewrite /v1{uri}\npurpose", 1)
	if err := g.load("", "", "handle_path /p/ads/* {\n"+toAds+"\n}\nhandle /v1/* {\n"+rewritten+"\n}\nhandle {\n"+toAds+"\n}"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, status, location, want string }{
		{"/p/ads/a/b?x=1", "302 Found", "http://{addr}/next?page=2#end", "/p/ads/next?page=2#end"},
		{"/p/ads/a/b", "307 Temporary Redirect", "/next", "/p/ads/next"}, {"/p/ads/a/b", "308 Permanent Redirect", "next", "/p/ads/a/next"},
		{"/p/ads/a/b", "301 Moved Permanently", "../../../up", "/p/ads/up"}, {"/p/ads/a/b", "303 See Other", "?y=2", "/p/ads/a/b?y=2"},
		{"/p/ads/a%20b/c", "302 Found", "d%20e", "/p/ads/a%20b/d%20e"}, {"/p/ads/a", "201 Created", "http://{addr}/a/7", "/p/ads/a/7"},
		{"/p/ads/a", "201 Created", "http://elsewhere.example/a/7", ""}, {"/p/ads/a", "302 Found", "http://{addr}//elsewhere.example/", "/p/ads//elsewhere.example/"},
		{"/a", "302 Found", "http://{addr}/next", "/next"}, {"/a", "302 Found", "http://{addr}//elsewhere.example/", ""},
		{"/v1/a", "302 Found", "/next", ""}, // nobody knows the way back
		{"/p/ads/a", "302 Found", "/next?phone=13800138000", ""}, {"/p/ads/a", "302 Found", "http://{addr}/u/490154203237518", ""},
		{"/p/ads/a", "302 Found", "/next?nick=Alice", ""},
		{"/p/ads/a", "302 Found", "/%2e%2e//evil", ""}, {"/p/ads/a", "302 Found", "/.%2E/evil", ""}, {"/p/ads/a", "302 Found", "/%2e/evil", ""},
		{"/p/ads/a", "302 Found", "/..%2fevil", ""}, {"/p/ads/a", "302 Found", "/..;x/evil", ""}, {"/p/ads/a", "302 Found", "/%5cevil", ""},
	} {
		status, location = c.status, strings.ReplaceAll(c.location, "{addr}", r.addr)
		a := g.send("POST", c.path, `{"state":"paid"}`, jsonType)
		if got := a.header.Get("Location"); got != c.want || fmt.Sprint(a.status) != c.status[:3] {
			t.Errorf("%s: %s %s: got %d %q", c.path, c.status, c.location, a.status, got)
		}
	}
}

// TestEgressReportRedirect: report mode tells of a redirect that enforcing would have refused, and hands it on.
func TestEgressReportRedirect(t *testing.T) {
	r := newRecorder(t)
	var location string
	r.reply = func(*http.Request, string) string {
		return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + "\r\n\r\n"
	}
	g := egress(t, r, inContract, everything, "minimize_egress ads {\npurpose advertising\nmode report\n}")
	for _, c := range []struct {
		to    string
		would float64
	}{{"http://elsewhere.example/", 1}, {"http://" + r.addr + "/next", 0}} {
		location = c.to
		before := counter(t, "caddy_minimize_would_refusals_total", "report", "unreadable")
		if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusFound || a.header.Get("Location") != c.to {
			t.Errorf("%s: got %d %v", c.to, a.status, a.header)
		}
		if got := counter(t, "caddy_minimize_would_refusals_total", "report", "unreadable"); got != before+c.would {
			t.Errorf("%s: %v would have been refused", c.to, got-before)
		}
	}
}

// transportOf is the transport that runs.
func transportOf(t *testing.T) *Egress {
	t.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		for _, route := range server.Routes {
			for _, handler := range route.Handlers {
				if found := transportIn(handler); found != nil {
					return found
				}
			}
		}
	}
	t.Fatal("no route has the transport")
	return nil
}

func transportIn(handler caddyhttp.MiddlewareHandler) *Egress {
	switch h := handler.(type) {
	case *reverseproxy.Handler:
		found, _ := h.Transport.(*Egress)
		return found
	case *caddyhttp.Subroute:
		for _, route := range h.Routes {
			for _, inner := range route.Handlers {
				if found := transportIn(inner); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// TestEgressProxies: the environment's proxies get nothing.
func TestEgressProxies(t *testing.T) {
	proxy := newRecorder(t)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, "http://"+proxy.addr)
	}
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://partner.invalid", inContract, noCards))
	if err := g.load("", "", toAds); err != nil {
		t.Fatal(err)
	}
	if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusBadGateway {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if proxy.conns != 0 || transportOf(t).HTTP.Transport.Proxy != nil {
		t.Error("a proxy decides where requests go")
	}
}

// TestEgressTLS: the recipient proves that it is the registered host.
func TestEgressTLS(t *testing.T) {
	var got atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.Store(r.Host + " " + string(body))
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	g := prepare(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(g.dir+"/ca.pem", ca, 0o600); err != nil {
		t.Fatal(err)
	}
	g.write("rules/shop.yaml", partnerRules(server.URL, inContract, everything))
	if err := g.load("", "", "minimize_egress ads {\npurpose advertising\ntransport http {\ntls_trust_pool file {dir}/ca.pem\n}\n}"); err != nil {
		t.Fatal(err)
	}
	if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusOK || got.Load() != strings.TrimPrefix(server.URL, "https://")+` {"state":"paid"}` {
		t.Errorf("got %d %s; the recipient %v", a.status, a.body, got.Load())
	}
	got.Store("")
	if err := g.load("", "", toAds); err != nil {
		t.Fatal(err)
	}
	if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusBadGateway || got.Load() != "" {
		t.Errorf("a certificate that nobody vouches for: got %d %s, %v", a.status, a.body, a.err)
	}
}

// TestEgressHTTP2: the same over one connection of HTTP/2, also where a body is refused past the hold.
func TestEgressHTTP2(t *testing.T) {
	var whole, part atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case r.ProtoMajor != 2 || strings.Contains(string(body), somePhone):
			t.Errorf("got %s and %d bytes", r.Proto, len(body))
		case err == nil:
			whole.Add(1)
		default:
			part.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	g := prepare(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(g.dir+"/ca.pem", ca, 0o600); err != nil {
		t.Fatal(err)
	}
	g.write("rules/shop.yaml", partnerRules(server.URL, inContract, "{id: other, to: backend, for: advertising, keep: [general]}"))
	if err := g.load("", "", "minimize_egress ads {\npurpose advertising\nhold 64KiB\ntransport http {\ntls_trust_pool file {dir}/ca.pem\n}\n}"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		late := `[` + strings.Repeat(`"paid",`, 40_000) + `"13800138000"]`
		g.send("POST", "/", late, jsonType).refused(t, http.StatusForbidden, "rule")
	}
	eventually(t, func() bool { return whole.Load() == 5 && part.Load() == 5 })
}

// TestEgressNeedsItsHosts: without our upstreams nobody knows how the request came, and nothing is sent.
func TestEgressNeedsItsHosts(t *testing.T) {
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, everything))
	adapted, err := g.adapt("", "", toAds)
	if err != nil {
		t.Fatal(err)
	}
	static := strings.Replace(string(adapted), `"dynamic_upstreams":{"recipient":"ads","source":"minimize"}`, `"upstreams":[{"dial":"`+r.addr+`"}]`, 1)
	if static == string(adapted) {
		t.Fatal("nothing was replaced")
	}
	if err := caddy.Load([]byte(static), true); err != nil {
		t.Fatal(err)
	}
	if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusBadGateway || r.all() != "" {
		t.Errorf("got %d; the recipient %q", a.status, r.all())
	}
}

// TestEgressConfigurationErrors: what would lead requests elsewhere does not load.
func TestEgressConfigurationErrors(t *testing.T) {
	with := func(options string) string { return "minimize_egress ads {\npurpose advertising\n" + options + "\n}" }
	http := func(options string) string { return with("transport http {\n" + options + "\n}") }
	for _, test := range []struct{ name, rules, site, want string }{
		{"no recipient", "", "minimize_egress {\npurpose advertising\n}", "wrong argument count"},
		{"two recipients", "", "minimize_egress ads others", "wrong argument count"},
		{"unknown recipient", "", "minimize_egress others {\npurpose advertising\n}", `the recipient "others" is in no rule document`},
		{"no hosts", strings.Replace(partnerRules("", inContract, everything), "hosts: []", "denied: strip", 1), toAds, `the recipient "ads" has no `},
		{"no ASCII", partnerRules("https://bücher.example", inContract, everything), toAds, "is not ASCII"},
		{"no purpose", "", "minimize_egress ads", "a purpose is missing"},
		{"two purposes", "", with("caller {\npurpose advertising\n}"), "the purpose is given twice"},
		{"unknown purpose", "", "minimize_egress ads {\npurpose spying\n}", `the purpose "spying"`},
		{"upstream", "", with("to 127.0.0.1:1"), "the register says where a recipient is reached"},
		{"dynamic", "", with("dynamic a partner.test 80"), "the register says where a recipient is reached"},
		{"transport", "", with("transport fastcgi"), "not by fastcgi"},
		{"proxy", "", http("network_proxy url http://127.0.0.1:1"), "a proxy decides where requests go"},
		{"old proxy", "", http("forward_proxy_url http://127.0.0.1:1"), "a proxy decides where requests go"},
		{"proxy protocol", "", http("proxy_protocol v2"), "`proxy_protocol` tells the recipient"},
		{"HTTP/3", "", http("versions 3"), "HTTP 1.1 and 2"},
		{"other TLS name", "", http("tls_server_name other.example"), "the register says who the recipient is"},
		{"no TLS name", "", http("tls_insecure_skip_verify"), "the register says who the recipient is"},
		{"anybody's subject", "", with("subject {header.X-Subject}"), "`subject` counts for authenticated callers only"},
		{"hold all alone", "", with("hold all"), "`hold all` needs `max_body`"},
		{"unknown mode", "", with("mode off"), "unknown mode"},
		{"unknown option", "", with("trust everybody"), "unrecognized subdirective"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t)
			if test.rules == "" {
				test.rules = partnerRules("http://127.0.0.1:1", inContract, everything)
			}
			g.write("rules/shop.yaml", test.rules)
			err := g.load("127.0.0.1:1", "", test.site)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want %s", err, test.want)
			}
		})
	}
}

// TestEgressIsNoBypass: what it sends and gets is judged; what `handle_response` fetches instead is not.
func TestEgressIsNoBypass(t *testing.T) {
	for site, want := range map[string]int{
		toAds: 0,
		"minimize_egress ads {\npurpose advertising\nhandle_response {\nreverse_proxy x:1\n}\n}": 1,
	} {
		g := prepare(t)
		g.write("rules/shop.yaml", partnerRules("http://127.0.0.1:1", inContract, everything))
		adapted, err := g.adapt("", "", site)
		if err != nil {
			t.Fatal(err)
		}
		found, err := Bypasses(adapted)
		if err != nil || len(found) != want {
			t.Errorf("of the adapted configuration: %v %v", found, err)
		}
		if err := g.load("", "", site); err != nil {
			t.Fatal(err)
		}
		sites, err := running.Load().provisionedSites()
		if running := bypasses(sites); err != nil || fmt.Sprint(running) != fmt.Sprint(found) {
			t.Errorf("of the running configuration: %v %v", running, err)
		}
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
