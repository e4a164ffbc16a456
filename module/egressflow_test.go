package minimize

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents/eventsconfig"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// TestEgressAnswer: what a recipient answers is judged as what we collect from it.
func TestEgressAnswer(t *testing.T) {
	reply := func(head, body string) func(*http.Request, string) string {
		return func(*http.Request, string) string {
			return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", strings.ReplaceAll(head, "\n", "\r\n"), len(body), body)
		}
	}
	long := `[` + strings.Repeat(`{"imei":"490154203237518","state":"paid"},`, 50_000) + `{}]`
	for _, test := range []struct {
		name, head, body string
		status           int
		want             string // "": a problem document
	}{
		{"trimmed", "200 OK\nContent-Type: application/json\nETag: x\nX-Imei: 490154203237518", `{"imei":"490154203237518","state":"paid"}`, 200, `{"state":"paid"}`},
		{"streamed", "200 OK\nContent-Type: application/json", long, 200, strings.ReplaceAll(long, `"imei":"490154203237518",`, "")},
		{"empty", "204 No Content", "", 204, ""},
		{"picture", "200 OK\nContent-Type: image/png", "png", 200, "png"},
		{"unknown type", "200 OK\nContent-Type: text/html", "<p>13800138000", 403, ""},
		{"broken", "200 OK\nContent-Type: application/json", `{"imei":`, 502, ""},
		{"switched", "101 Switching Protocols\nConnection: upgrade\nUpgrade: x", "", 403, ""},
		{"early hints", "103 Early Hints\nLink: <https://13800138000.example>\n\nHTTP/1.1 200 OK\nContent-Type: application/json", "{}", 200, "{}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			r.reply = reply(test.head, test.body)
			g := egress(t, r, inContract, everything, "minimize_egress ads {\npurpose advertising\nopaque image/png \"a pixel\"\n}")
			a := g.send("POST", "/", `{"state":"paid"}`, jsonType)
			a.hides(t, someIMEI, somePhone)
			switch {
			case a.err != nil || a.status != test.status:
				t.Errorf("got %d %s %v", a.status, a.body, a.err)
			case test.want != "" && a.body != test.want:
				t.Errorf("got %.200s", a.body)
			case test.status >= 400 && a.status < 500 && a.header.Get("Content-Type") != "application/problem+json":
				t.Errorf("got %v %s", a.header, a.body)
			}
			if a.header.Get("Etag") != "" {
				t.Error("a validator of the unjudged answer passes")
			}
			if test.status == 200 {
				eventually(t, func() bool { return strings.Contains(g.read("audit.jsonl"), `"direction":"inbound"`) })
			}
		})
	}
}

// TestEgressConsent: what goes to a recipient depends on the data subject, whom the caller names in a header that is not
// sent on; a withdrawal acts on the next message; without the store nothing goes.
func TestEgressConsent(t *testing.T) {
	const site = "minimize_egress ads {\npurpose advertising\nsubject {header.X-Subject}\ncaller {\nid shop\n}\n}"
	const allow = "{id: ads, to: ads, for: advertising, consent: separate, keep: [device.imei]}"
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, allow))
	// A busy machine may leave no time for a heartbeat within a second.
	if err := g.load("", "consent sqlite consent.db {\nstale 30s\n}", site); err != nil {
		t.Fatal(err)
	}
	shared := running.Load().consents
	eventually(t, shared.Fresh)
	apply := func(event consentstore.Event, level string) {
		t.Helper()
		e := consentstore.Entry{Subject: "u1", Purpose: "advertising", Recipient: "ads", Event: event, Level: level, GivenBy: "self", Entity: "u1"}
		if event != consentstore.Give {
			e.GivenBy = ""
		}
		b := consentstore.Batch{Entries: []consentstore.Entry{e}}
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
		if _, err := shared.Apply(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	send := func(subject string) *answer {
		return g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType, "X-Subject: "+subject)
	}
	send("u1").refused(t, http.StatusForbidden, "consent")
	apply(consentstore.Give, "separate")
	if a := send("u1"); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if req, body := r.last(t); body != `{"imei":"490154203237518"}` || req.Header.Get("X-Subject") != "" {
		t.Errorf("the recipient got %v %s", req.Header, body)
	}
	send("u2").refused(t, http.StatusForbidden, "consent")
	apply(consentstore.Withdraw, "")
	before := r.all()
	for range 20 {
		send("u1").refused(t, http.StatusForbidden, "consent")
	}
	if r.all() != before {
		t.Error("something was sent after the withdrawal")
	}

	if err := g.load("", "consent postgres postgres://clerk@"+freeAddress(t)+"/consent", site); err != nil {
		t.Fatal(err)
	}
	a := send("u1")
	a.refused(t, http.StatusServiceUnavailable, "unavailable")
	if a.header.Get("Retry-After") == "" || r.all() != before {
		t.Errorf("got %v; the recipient %s", a.header, r.all()[len(before):])
	}
}

// TestEgressReport: report mode sends everything as it came, and tells what enforcing would have done.
func TestEgressReport(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract+"\ncountry: US", "{id: other, to: backend, for: advertising, keep: [general]}", "minimize_egress ads {\npurpose advertising\nmode report\n}")
	would := func() float64 {
		return counter(t, "caddy_minimize_would_egress_refusals_total", "ads", "US", "rule")
	}
	before, enforced := would(), counter(t, "caddy_minimize_egress_total")
	const body = `{"imei":"490154203237518"}`
	if a := g.send("POST", "/?imei=1", body, jsonType, "Cookie: sid=abcdef"); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	req, got := r.last(t)
	if got != body || req.URL.RawQuery != "imei=1" || req.Header.Get("Cookie") != "sid=abcdef" || req.Header.Get("X-Forwarded-For") == "" {
		t.Errorf("the recipient got %s %v %s", req.URL, req.Header, got)
	}
	eventually(t, func() bool { return would() == before+1 })
	if counter(t, "caddy_minimize_egress_total") != enforced {
		t.Error("report mode counts as enforced")
	}
	eventually(t, func() bool {
		return strings.Contains(g.read("audit.jsonl"), `"recipient":"ads","recipient_country":"US"`)
	})
}

// heard collects events.
type heard struct {
	mu     sync.Mutex
	events []map[string]any
}

var hearing heard

func init() { caddy.RegisterModule(&hearing) }

// CaddyModule returns the Caddy module information.
func (*heard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.heard", New: func() caddy.Module { return &hearing }}
}

// Handle collects an event.
func (h *heard) Handle(_ context.Context, e caddy.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e.Data)
	return nil
}

// UnmarshalCaddyfile has nothing to read.
func (*heard) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

var _ caddyevents.Handler = (*heard)(nil)

// TestEgressEvent: each refusal is counted by recipient and country, and an event without values.
func TestEgressEvent(t *testing.T) {
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract+"\ncountry: US", "{id: other, to: backend, for: advertising, keep: [general]}"))
	if err := g.load("", "minimize {\nrules rules/*.yaml\n}\nevents {\non minimize.refused heard\n}", toAds); err != nil {
		t.Fatal(err)
	}
	labels := []string{"ads", "US", "rule"}
	before := counter(t, "caddy_minimize_egress_refusals_total", labels...)
	g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType).refused(t, http.StatusForbidden, "rule")
	if counter(t, "caddy_minimize_egress_refusals_total", labels...) != before+1 {
		t.Error("the refusal is not counted")
	}
	hearing.mu.Lock()
	defer hearing.mu.Unlock()
	if len(hearing.events) != 1 {
		t.Fatalf("got %d events", len(hearing.events))
	}
	e := hearing.events[0]
	if e["direction"] != "egress" || e["recipient"] != "ads" || e["country"] != "US" || e["reason"] != "rule" || strings.Contains(fmt.Sprint(e), someIMEI) {
		t.Errorf("got %v", e)
	}
}

// TestEgressDeadConnection: a pooled connection that died takes no request with it, and a host that is away is an error of
// the upstream.
func TestEgressDeadConnection(t *testing.T) {
	r := newRecorder(t)
	r.reply = func(*http.Request, string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	}
	g := egress(t, r, inContract, everything, toAds)
	for i := range 20 {
		if a := g.send("PUT", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusOK {
			t.Fatalf("request %d: got %d %s", i, a.status, a.body)
		}
		if _, body := r.last(t); body != `{"state":"paid"}` {
			t.Errorf("the recipient got %q", body)
		}
	}
	g.write("rules/other.yaml", "minimize: 1\n")
	away := freeAddress(t)
	g.write("rules/shop.yaml", partnerRules("http://"+away+", http://"+r.addr, inContract, everything))
	if err := g.load("", "", "minimize_egress ads {\npurpose advertising\nlb_policy first\nlb_retries 2\nfail_duration 10s\n}"); err != nil {
		t.Fatal(err)
	}
	before := len(r.bodies)
	for range 2 { // the second knows which host is away
		if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusOK {
			t.Errorf("the other host is not used: %d %s", a.status, a.body)
		}
	}
	if got := strings.Join(r.bodies[before:], " "); got != `{"state":"paid"} {"state":"paid"}` {
		t.Errorf("the other host got %s", got)
	}
}

// TestEgressStreams: a body of any length goes through in constant memory: 64 MiB, or 1 GiB where MINIMIZE_LARGE is set.
func TestEgressStreams(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract, everything, toAds)
	streamsThrough(t, g, r)
}

// TestEgressSlow: a client that goes away, and a recipient that does, keep nothing busy.
func TestEgressSlow(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract, everything, "minimize_egress ads {\npurpose advertising\nhold 64KiB\n}")
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n[%s", strings.Repeat(`"paid",`, 40_000))
	eventually(t, func() bool { return len(r.all()) > 64<<10 })
	conn.Close()
	eventually(t, func() bool { return strings.Contains(g.read("audit.jsonl"), `"outcome":"failed"`) })
	if len(r.bodies) != 0 {
		t.Error("the recipient took a part for the whole")
	}
}

// TestEgressEarlyAnswer: a recipient that answers before it has the whole request does not hide that the rest was refused.
func TestEgressEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var received atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 1<<10)
				conn.Read(buf)
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
				n, _ := io.Copy(io.Discard, conn)
				received.Add(n)
			}()
		}
	}()
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+l.Addr().String(), inContract, "{id: other, to: backend, for: advertising, keep: [general]}"))
	if err := g.load("", "", "minimize_egress ads {\npurpose advertising\nhold 64KiB\n}"); err != nil {
		t.Fatal(err)
	}
	in, out := io.Pipe()
	go func() {
		io.WriteString(out, "["+strings.Repeat(`"paid",`, 40_000))
		time.Sleep(100 * time.Millisecond)
		io.WriteString(out, `"13800138000"`+strings.Repeat(`,"paid"`, 40_000)+"]")
		out.Close()
	}()
	if a := g.stream("POST", "/", in, jsonType); a.err == nil && a.status == http.StatusOK {
		t.Errorf("got %d %s: an answer to a part", a.status, a.body)
	}
	eventually(t, func() bool { return strings.Contains(g.read("audit.jsonl"), `"reason":"rule"`) })
}

// TestEgressSuspendedUnderLoad: while many send over pooled connections, nothing arrives once the rules are taken.
func TestEgressSuspendedUnderLoad(t *testing.T) {
	fastPolls(t)
	r := newRecorder(t)
	g := egress(t, r, inContract, everything, toAds)
	pooled := *g.client
	pooled.Transport = &http.Transport{MaxIdleConnsPerHost: 8}
	g.client = &pooled
	stop := make(chan struct{})
	var workers sync.WaitGroup
	var passed atomic.Int64
	var refused [8]atomic.Int64 // by worker
	for i := range refused {
		workers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				req, _ := http.NewRequest(http.MethodPost, g.url, strings.NewReader(`{"imei":"490154203237518"}`))
				req.Header.Set("Content-Type", "application/json")
				res, err := pooled.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					passed.Add(1)
				} else if refused[i].Add(1); res.StatusCode != http.StatusForbidden {
					t.Errorf("got %d", res.StatusCode)
				}
			}
		})
	}
	eventually(t, func() bool { return passed.Load() > 200 })
	loads := running.Load().loads.Load()
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract+"\nsuspended: 2020-01-01", everything))
	eventually(t, func() bool { return running.Load().loads.Load() > loads })
	each := func(n int64) func() bool {
		return func() bool {
			for i := range refused {
				if refused[i].Load() < n {
					return false
				}
			}
			return true
		}
	}
	eventually(t, each(1)) // so each has its answer to what was sent before
	before := len(r.all())
	eventually(t, each(25))
	close(stop)
	workers.Wait()
	if after := len(r.all()); after != before {
		t.Errorf("%d bytes arrived after the suspension", after-before)
	}
}

// TestEgressCandidate: candidate rules judge a copy of what is sent, forms too.
func TestEgressCandidate(t *testing.T) {
	r := newRecorder(t)
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract, everything))
	g.write("rules/stricter.yaml", "minimize: 1\ncandidate: true\npurposes: [advertising]\nlimit:\n  - {id: none, to: third_party, block: [device.imei]}\n")
	if err := g.load("", "", toAds); err != nil {
		t.Fatal(err)
	}
	labels := []string{"candidate", "ads", "limit"}
	before := counter(t, "caddy_minimize_would_egress_refusals_total", labels...)
	g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType)
	g.send("POST", "/", "imei=490154203237518", "Content-Type: application/x-www-form-urlencoded")
	if got := counter(t, "caddy_minimize_would_egress_refusals_total", labels...); got != before+2 || len(r.bodies) != 2 {
		t.Errorf("%v would have been refused, %d were sent", got-before, len(r.bodies))
	}
}
