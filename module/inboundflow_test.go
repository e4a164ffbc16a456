package minimize

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// siteWith is a site of these further options.
func siteWith(options string) string {
	return strings.Replace(search, "inbound\n", "inbound\n"+options+"\n", 1)
}

// TestInboundPastHold: past the hold the backend receives an unterminated body, the client its status, early.
func TestInboundPastHold(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, refusesIMEI, siteWith("hold 64KiB"))
	endless := &counting{Reader: io.MultiReader(strings.NewReader("["), strings.NewReader(strings.Repeat(`"paid",`, 30_000)+`{"imei":"490154203237518"}`), endlessly(`,"paid"`))}
	a := g.stream("POST", "/", endless, jsonType)
	if a.err == nil {
		a.refused(t, http.StatusForbidden, "limit")
	} else if !strings.Contains(a.err.Error(), "reset") && !strings.Contains(a.err.Error(), "broken pipe") {
		t.Error(a.err)
	}
	eventually(t, func() bool { return len(r.all()) > 0 })
	if len(r.bodies) != 0 || strings.Contains(r.all(), someIMEI) {
		t.Errorf("the backend received %d whole bodies and %d bytes", len(r.bodies), len(r.all()))
	}
	if endless.n > 64<<20 {
		t.Errorf("the client sent %d bytes before it was stopped", endless.n)
	}
	eventually(t, func() bool { return strings.Contains(g.read("audit.jsonl"), `"outcome":"aborted","reason":"limit"`) })
}

// TestInboundStopsEarly: within the hold a client sees its status before it has sent everything.
func TestInboundStopsEarly(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, refusesIMEI, search)
	for _, request := range []string{
		"POST /?imei=1 HTTP/1.1\nHost: a\nConnection: close\nContent-Type: application/json\nContent-Length: 1000000\nExpect: 100-continue\n\n",
		"POST / HTTP/1.1\nHost: a\nConnection: close\nContent-Type: text/csv\nContent-Length: 1000000\nExpect: 100-continue\n\n",
		"POST / HTTP/1.1\nHost: a\nConnection: close\nContent-Type: application/json\nContent-Length: 1000000\n\n" + `[x` + strings.Repeat(" ", 64<<10),
	} {
		got := g.rawGet(request)
		if !strings.HasPrefix(got, "HTTP/1.1 403") && !strings.HasPrefix(got, "HTTP/1.1 400") {
			t.Errorf("got %.200s", got)
		}
	}
	if r.all() != "" {
		t.Errorf("the backend received %q", r.all())
	}
}

// TestInboundStreams: a body of any length goes through in constant memory: 64 MiB, or 1 GiB where MINIMIZE_LARGE is set.
func TestInboundStreams(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, refusesIMEI, search)
	streamsThrough(t, g, r)
}

// streamsThrough sends a large body and wants all of it to arrive.
func streamsThrough(t *testing.T, g *gateway, r *recorder) {
	t.Helper()
	size := int64(64 << 20)
	if os.Getenv("MINIMIZE_LARGE") != "" {
		size = 1 << 30
	}
	r.keep = false
	client := *g.client
	client.Timeout = 5 * time.Minute
	g.client = &client
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse)
			}
		}
	}()
	started := time.Now()
	body := io.MultiReader(strings.NewReader("["), io.LimitReader(endlessly(`"paid",`), size/7*7), strings.NewReader("0]"))
	a := g.stream("POST", "/", body, jsonType)
	close(stop)
	most := <-peak
	if a.status != http.StatusOK || r.read < size {
		t.Errorf("got %d %s %v; %d bytes arrived", a.status, a.body, a.err, r.read)
	}
	t.Logf("%d MiB in %v, at most %d MiB in use", size>>20, time.Since(started).Round(time.Millisecond), most>>20)
	if most > 128<<20 {
		t.Errorf("%d MiB are in use", most>>20)
	}
}

// TestInboundCodings: compressed bodies are judged and go on plain; a bomb is refused.
func TestInboundCodings(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", search)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "identity"} {
		const sent = `{"imei":"490154203237518","state":"paid"}`
		a := g.send("POST", "/", compressed(t, coding, sent), jsonType, "Content-Encoding: "+coding, "Repr-Digest: x=:y:")
		req, body := r.last(t)
		if a.status != http.StatusOK || body != `{"state":"paid"}` || req.Header.Get("Content-Encoding") != "" || req.Header.Get("Repr-Digest") != "" || req.ContentLength != 16 {
			t.Errorf("%s: got %d; the backend %v %s", coding, a.status, req.Header, body)
		}
	}
	before := len(r.bodies)
	a := g.send("POST", "/", compressed(t, "gzip", "["+strings.Repeat(" ", 64<<20)+"]"), jsonType, "Content-Encoding: gzip")
	if a.refused(t, http.StatusBadRequest, "unreadable"); len(r.bodies) != before {
		t.Error("a bomb went off")
	}
}

// TestInboundOpaque: what the route declares opaque passes unread, also as a file in a form.
func TestInboundOpaque(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", siteWith(`opaque image/png "product pictures"`))
	if a := g.send("PUT", "/a.png?nick=x&a=1", "\x89PNG490154203237518", "Content-Type: image/png", "Content-Md5: Q2hlY2sgSW50ZWdyaXR5IQ=="); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if req, body := r.last(t); body != "\x89PNG490154203237518" || req.ContentLength != 19 || req.Header.Get("Content-Md5") == "" || req.URL.RawQuery != "a=1" {
		t.Errorf("the backend got %s %v %q", req.URL, req.Header, body)
	}
	file := func(mediaType string) string {
		return "--xyz\r\nContent-Disposition: form-data; name=\"imei\"\r\n\r\n490154203237518\r\n--xyz\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"a\"\r\nContent-Type: " +
			mediaType + "\r\n\r\n\x89PNG\r\n--xyz--\r\n"
	}
	const multipart = "Content-Type: multipart/form-data; boundary=xyz"
	if a := g.send("POST", "/", file("image/png"), multipart); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if _, body := r.last(t); !strings.Contains(body, "\x89PNG") || strings.Contains(body, "imei") {
		t.Errorf("the backend got %q", body)
	}
	g.send("POST", "/", file("image/gif"), multipart).refused(t, http.StatusForbidden, "media_type")
	eventually(t, func() bool { return strings.Contains(g.read("audit.jsonl"), `"outcome":"opaque"`) })
}

// TestInboundRetries: a second attempt sends the whole judged body, or none.
func TestInboundRetries(t *testing.T) {
	r := newRecorder(t)
	r.reply = func(*http.Request, string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	}
	const sent, want = `{"imei":"490154203237518","state":"paid"}`, `{"state":"paid"}`
	dying := newBackend(t, func(conn net.Conn, req *http.Request) { io.CopyN(io.Discard, req.Body, 3) })
	site := func(first string) string {
		return strings.Replace(search, "reverse_proxy {upstream}", "reverse_proxy "+first+" {upstream} {\nlb_policy first\nlb_retries 3\nfail_duration 10s\nlb_retry_match method POST PUT\n}", 1)
	}
	g := inbound(t, r, "", site(freeAddress(t)))
	for range 20 { // the first is away, and connections to the second die in the pool
		if a := g.send("PUT", "/", sent, jsonType); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	if err := g.load(r.addr, "", site(dying.addr)); err != nil {
		t.Fatal(err)
	}
	g.send("PUT", "/", sent, jsonType)
	for _, body := range r.bodies {
		if body != want {
			t.Errorf("the backend got %q", body)
		}
	}
	if strings.Contains(r.all(), "imei") || len(r.bodies) < 20 {
		t.Errorf("the backend got %d bodies: %.300s", len(r.bodies), r.all())
	}
}

// TestInboundReport: report mode sends the request as it came and tells what enforcing would have done; so do candidate rules.
func TestInboundReport(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", siteWith("mode report"))
	minimized := counter(t, "caddy_minimize_would_values_total", "report", "device.imei", "strip")
	body := compressed(t, "gzip", `{"imei":"490154203237518"}`)
	for _, a := range []*answer{
		g.send("POST", "/?imei=1", body, jsonType, "Content-Encoding: gzip", "Cookie: imei=2", "X-Imei: 3"), g.send("POST", "/", "a", "Content-Type: text/csv"),
	} {
		if a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	if req := r.requests[0]; r.bodies[0] != body || req.URL.RawQuery != "imei=1" || req.Header.Get("Cookie") != "imei=2" || req.Header.Get("X-Imei") != "3" || req.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the backend got %s %v %q", req.URL, req.Header, r.bodies[0])
	}
	eventually(t, func() bool {
		return counter(t, "caddy_minimize_would_values_total", "report", "device.imei", "strip") == minimized+4
	})
	eventually(t, func() bool {
		return strings.Contains(g.read("audit.jsonl"), `"mode":"report","status":0,"outcome":"refused","reason":"media_type"`)
	})
}

// TestInboundCandidate: candidate rules judge head and body beside the rules in force.
func TestInboundCandidate(t *testing.T) {
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", fmt.Sprintf(collecting, collectsAll))
	g.write("rules/stricter.yaml", "minimize: 1\ncandidate: true\ncategories: {aaa: {grade: personal}, zzz: {grade: personal}}\npurposes: [search]\nlimit:\n  - {id: none, to: us, block: [device.imei]}\n")
	if err := g.load(r.addr, "", search); err != nil {
		t.Fatal(err)
	}
	refused := func() float64 { return counter(t, "caddy_minimize_would_refusals_total", "candidate", "limit") }
	before := refused()
	g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType)
	g.send("POST", "/?imei=1", `{}`, jsonType)
	g.send("POST", "/", `{}`, jsonType, "X-Blob: NDkwMTU0MjAzMjM3NTE4")
	if got := refused(); got != before+2 || len(r.bodies) != 3 {
		t.Errorf("%v would have been refused, %d were sent", got-before, len(r.bodies))
	}

	// A body that is sent again, over another connection, while the first is closed.
	for _, meanwhile := range []bool{false, true} {
		before = refused()
		next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			var first sync.WaitGroup
			if !meanwhile {
				r.Body.Close()
			}
			again, err := r.GetBody()
			if err != nil {
				return err
			}
			first.Go(func() { r.Body.Close() })
			defer first.Wait()
			_, err = io.Copy(io.Discard, again)
			return err
		})
		handlers(t, func(handler caddyhttp.MiddlewareHandler) {
			if h, ok := handler.(*Handler); ok {
				req, w := httptest.NewRequest("POST", "/", strings.NewReader(`{"imei":"490154203237518"}`)), httptest.NewRecorder()
				req.Header.Set("Content-Type", "application/json")
				req = caddyhttp.PrepareRequest(req, caddy.NewReplacer(), w, new(caddyhttp.Server))
				if err := h.ServeHTTP(w, req, next); err != nil {
					t.Error(err)
				}
			}
		})
		if got := refused(); got != before+1 {
			t.Errorf("closed meanwhile %v: %v would have been refused", meanwhile, got-before)
		}
	}
}

// TestInboundUpgrade: a protocol that cannot be judged is not switched to; trailers are left out; a limit on the body keeps its status.
func TestInboundUpgrade(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", "request_body {\nmax_size 100\n}\n"+search)
	upgrade := "GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Protocol: Alice\nSec-WebSocket-Key: x\nSec-WebSocket-Version: 13\nSec-WebSocket-Extensions: Bob\n\n"
	if got := g.rawGet(upgrade); strings.Contains(strings.ToLower(r.all()), "websocket") || !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("an upgrade got %s", got)
	}
	chunked := "POST / HTTP/1.1\nHost: a\nConnection: close\nContent-Type: application/json\nTransfer-Encoding: chunked\nTrailer: X-Late\n\n2\n{}\n0\nX-Late: 490154203237518\n\n"
	if got := g.rawGet(chunked); !strings.HasPrefix(got, "HTTP/1.1 200") || strings.Contains(r.all(), "X-Late") {
		t.Errorf("a body with a trailer got %s, and the backend %s", got, r.all())
	}
	before := len(r.bodies)
	if a := g.send("POST", "/", `["`+strings.Repeat("a", 200)+`"]`, jsonType); a.status != http.StatusRequestEntityTooLarge || len(r.bodies) != before {
		t.Errorf("a body that is too long got %d %s", a.status, a.body)
	}
}

// TestInboundObserved: a request has an audit line beside that of its answer, by one decision, and its judging is timed.
func TestInboundObserved(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", strings.Replace(search, "reverse_proxy {upstream}", "reverse_proxy {upstream} {\nheader_up X-Body {http.request.body}\n}", 1))
	judged := func() uint64 {
		m := new(dto.Metric)
		if err := collectors.engine.Write(m); err != nil {
			t.Fatal(err)
		}
		return m.Histogram.GetSampleCount()
	}
	before := judged()
	a := g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType)
	if req, _ := r.last(t); req.Header.Get("X-Body") != "" {
		t.Errorf("a placeholder tells %s", req.Header.Get("X-Body"))
	}
	eventually(t, func() bool { return judged() == before+2 })
	eventually(t, func() bool {
		lines := strings.Split(strings.TrimSpace(g.read("audit.jsonl")), "\n")
		start := `"decision":"` + a.header.Get(decisionHeader) + `","direction":"`
		return len(lines) == 2 && strings.Contains(lines[0], start+`inbound"`) && strings.Contains(lines[0], `"device.imei strip":1`) && strings.Contains(lines[1], start+`response"`)
	})
	if strings.Contains(g.read("audit.jsonl"), someIMEI) {
		t.Error("the audit log tells a value")
	}
}

// TestInboundUnread: a backend that answers without reading leaves the request judged and told of.
func TestInboundUnread(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", strings.Replace(search, "reverse_proxy {upstream}", "respond 204", 1))
	if a := g.send("POST", "/", `{"imei":"1"}`, jsonType); a.status != http.StatusNoContent {
		t.Errorf("got %d %s", a.status, a.body)
	}
	eventually(t, func() bool {
		return strings.Contains(g.read("audit.jsonl"), `"direction":"inbound"`) && strings.Contains(g.read("audit.jsonl"), `"device.imei strip":1`)
	})
}

// handlers calls f for each handler of the running configuration.
func handlers(t *testing.T, f func(caddyhttp.MiddlewareHandler)) {
	t.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(caddyhttp.RouteList)
	walk = func(routes caddyhttp.RouteList) {
		for _, route := range routes {
			for _, handler := range route.Handlers {
				if sub, ok := handler.(*caddyhttp.Subroute); ok {
					walk(sub.Routes)
				}
				f(handler)
			}
		}
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		walk(server.Routes)
	}
}

// transports calls f for each transport of the running configuration.
func transports(t *testing.T, f func(http.RoundTripper)) {
	t.Helper()
	handlers(t, func(handler caddyhttp.MiddlewareHandler) {
		if proxy, ok := handler.(*reverseproxy.Handler); ok {
			f(proxy.Transport)
		}
	})
}

// whenDialing has f called between judging and sending.
func whenDialing(t *testing.T, f func()) {
	t.Helper()
	found := false
	transports(t, func(rt http.RoundTripper) {
		if egress, ok := rt.(*Egress); ok {
			rt = egress.HTTP
		}
		transport := rt.(*reverseproxy.HTTPTransport).Transport
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			f()
			return dial(ctx, network, address)
		}
		found = true
	})
	if !found {
		t.Fatal("there is no transport")
	}
}

// TestInboundConsent: a request that names nobody is about its caller, and a withdrawal between judging and sending is heard.
func TestInboundConsent(t *testing.T) {
	r := newRecorder(t)
	r.reply = func(*http.Request, string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	}
	g := prepare(t)
	g.write("rules/shop.yaml", fmt.Sprintf(collecting, "  - {id: agreed, to: us, for: search, consent: explicit, keep: [device.imei]}"))
	const site = "minimize {\ninbound\ncaller {\npurpose search\nid {header.X-Id}\ntrust 127.0.0.1\n}\n}\nreverse_proxy {upstream} {\ntransport http {\nkeepalive off\n}\n}"
	if err := g.load(r.addr, "consent sqlite consent.db", site); err != nil {
		t.Fatal(err)
	}
	shared := running.Load().consents
	eventually(t, shared.Fresh)
	give := func(event consentstore.Event, subject string) { apply(t, shared, event, subject, "search", "") }
	give(consentstore.Give, "u1")
	const sent = `{"imei":"490154203237518","orders":[{"buyer":"u2","imei":"490154203237518"}]}`
	send := func(id string) (*http.Request, string) {
		if a := g.send("POST", "/?imei=7", sent, jsonType, "X-Id: "+id); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		return r.last(t)
	}
	if req, body := send("u1"); req.URL.RawQuery != "imei=7" || body != `{"imei":"490154203237518","orders":[{"buyer":"u2"}]}` {
		t.Errorf("who agreed: the backend got %s %s", req.URL, body)
	}
	if req, body := send("u2"); req.URL.RawQuery != "" || body != `{"orders":[{"buyer":"u2"}]}` {
		t.Errorf("who did not: the backend got %s %s", req.URL, body)
	}
	before := r.all()
	withdraws := true
	whenDialing(t, func() {
		if withdraws {
			give(consentstore.Withdraw, "u1")
		}
	})
	for _, a := range []*answer{
		g.send("POST", "/", sent, jsonType, "X-Id: u1"), func() *answer { give(consentstore.Give, "u1"); return g.send("GET", "/?imei=7", "", "X-Id: u1") }(),
	} {
		a.refused(t, http.StatusServiceUnavailable, "unavailable")
	}
	if got := r.all()[len(before):]; strings.Contains(got, "imei") {
		t.Errorf("the backend received %s", got)
	}
	if lines := g.linesOf("inbound"); len(lines) != 4 || !strings.Contains(lines[3], `"outcome":"refused"`) {
		t.Errorf("the audit log tells of %d requests: %s", len(lines), lines[len(lines)-1])
	}
	withdraws = false
	if req, _ := send("u1"); req.URL.RawQuery != "" {
		t.Errorf("the backend got %s", req.URL)
	}
}

// apply stores what a data subject says.
func apply(t *testing.T, shared *consents, event consentstore.Event, subject, purpose, recipient string) {
	t.Helper()
	e := consentstore.Entry{Subject: subject, Purpose: purpose, Recipient: recipient, Event: event}
	if event == consentstore.Give {
		e.Level, e.GivenBy, e.Entity = "separate", "self", subject
	} else {
		e.Entity = subject
	}
	b := consentstore.Batch{Entries: []consentstore.Entry{e}}
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	if _, err := shared.Apply(context.Background(), b); err != nil {
		t.Error(err)
	}
}
