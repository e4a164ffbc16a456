package minimize

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// recorder is a recipient that keeps every byte it receives.
type recorder struct {
	addr  string
	reply func(r *http.Request, body string) string // all of an answer; nil: an empty object

	mu       sync.Mutex
	bytes    bytes.Buffer
	requests []*http.Request
	bodies   []string
	conns    int
	keep     bool // every byte, or only how many
	read     int64
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &recorder{addr: l.Addr().String(), keep: true}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns++
			r.mu.Unlock()
			go r.serve(conn)
		}
	}()
	return r
}

// Write keeps what is received.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read += int64(len(p))
	if r.keep {
		r.bytes.Write(p)
	}
	return len(p), nil
}

func (r *recorder) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(io.TeeReader(conn, r))
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		var body bytes.Buffer
		to := io.Writer(&body)
		if !r.keep {
			to = io.Discard
		}
		if _, err := io.Copy(to, req.Body); err != nil {
			return
		}
		r.mu.Lock()
		r.requests, r.bodies = append(r.requests, req), append(r.bodies, body.String())
		r.mu.Unlock()
		answer := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
		if r.reply != nil {
			answer = r.reply(req, body.String())
		}
		io.WriteString(conn, answer)
	}
}

// all is every byte received so far.
func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.String()
}

func (r *recorder) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) == 0 {
		t.Fatal("the recipient received no request")
	}
	return r.requests[len(r.requests)-1], r.bodies[len(r.bodies)-1]
}

// partnerRules is a register for the tests: entry stands under the recipient `ads`, allow under `allow`.
func partnerRules(hosts, entry, allow string) string {
	return fmt.Sprintf(`minimize: 1
purposes: [advertising]
roles: [backend]
fields:
  - {key: [imei], is: device.imei}
  - {key: [nick], is: person.name}
recipients:
  ads:
    kind: third_party
    hosts: [%s]
    %s
allow:
  - {id: mine, to: us, from: ads, for: advertising, keep: [general]}
  - %s
`, hosts, strings.ReplaceAll(entry, "\n", "\n    "), allow)
}

const (
	inContract = "contract: {from: 2020-01-01, until: 2099-12-31}"
	nothing    = "{id: ads, to: ads, for: advertising, basis: contract, keep: [general]}"
	noCards    = "{id: ads, to: ads, for: advertising, basis: contract, keep: [general, personal]}"
	everything = "{id: ads, to: ads, for: advertising, basis: contract, keep: [general, personal, sensitive, secret]}"
	toAds      = "minimize_egress ads {\npurpose advertising\n}"
)

// egress starts a gateway to a recipient.
func egress(t *testing.T, r *recorder, entry, allow, site string) *gateway {
	t.Helper()
	g := prepare(t)
	g.write("rules/shop.yaml", partnerRules("http://"+r.addr, entry, allow))
	if err := g.load(r.addr, "", site); err != nil {
		t.Fatal(err)
	}
	return g
}

// send sends a request with a body.
func (g *gateway) send(method, path, body string, header ...string) *answer {
	g.t.Helper()
	return g.stream(method, path, strings.NewReader(body), header...)
}

// stream sends a request. Headers are written as "Name: value".
func (g *gateway) stream(method, path string, body io.Reader, header ...string) *answer {
	g.t.Helper()
	req, err := http.NewRequest(method, g.url+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := g.client.Do(req)
	if err != nil {
		return &answer{err: err}
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return &answer{status: res.StatusCode, header: res.Header, body: string(all), err: err}
}

const jsonType = "Content-Type: application/json"

// TestEgressBody: exactly the expected body arrives, or nothing at all.
func TestEgressBody(t *testing.T) {
	bodies := []struct {
		name, mediaType, sent string
		stripped              string // with `strip`, what arrives
	}{
		{"json", "application/json", `{"imei":"490154203237518","state":"paid"}`, `{"state":"paid"}`},
		{"text", "application/json", `{"state":"call 13800138000"}`, `{"state":"call 138****8000"}`},
		{"form", "application/x-www-form-urlencoded", "imei=490154203237518&state=paid", "state=paid"},
		{
			"multipart", "multipart/form-data; boundary=xyz",
			"--xyz\r\nContent-Disposition: form-data; name=\"imei\"\r\n\r\n490154203237518\r\n" +
				"--xyz\r\nContent-Disposition: form-data; name=\"state\"\r\n\r\npaid\r\n--xyz--\r\n",
			"--xyz\r\nContent-Disposition: form-data; name=\"state\"\r\n\r\npaid\r\n--xyz--\r\n",
		},
	}
	t.Run("refused", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract, "{id: other, to: backend, for: advertising, keep: [general]}", toAds)
		for _, b := range bodies {
			g.send("POST", "/events", b.sent, "Content-Type: "+b.mediaType).refused(t, http.StatusForbidden, "rule")
		}
		if got := r.all(); got != "" || r.conns != 0 {
			t.Errorf("the recipient received %q on %d connections", got, r.conns)
		}
	})
	for entry, allow := range map[string]string{
		inContract: nothing, inContract + "\ndenied: strip": "{id: other, to: backend, for: advertising, keep: [general]}",
	} {
		r := newRecorder(t)
		g := egress(t, r, entry, allow, toAds)
		for _, b := range bodies {
			if a := g.send("POST", "/events", b.sent, "Content-Type: "+b.mediaType); a.status != http.StatusOK {
				t.Fatalf("%s: got %d %s", b.name, a.status, a.body)
			}
			req, body := r.last(t)
			length := int64(len(body))
			body, mediaType := asSentBy(t, req, body, "xyz")
			if body != b.stripped || req.ContentLength != length || mediaType != b.mediaType {
				t.Errorf("%s: the recipient got %d bytes of %s: %q; want %q", b.name, req.ContentLength, req.Header.Get("Content-Type"), body, b.stripped)
			}
		}
		if strings.Contains(r.all(), someIMEI) || strings.Contains(r.all(), somePhone) {
			t.Error("the recipient received what is not its")
		}
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("whole", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract, everything, toAds)
		for _, b := range bodies {
			if a := g.send("POST", "/events", b.sent, "Content-Type: "+b.mediaType); a.status != http.StatusOK {
				t.Fatalf("%s: got %d %s", b.name, a.status, a.body)
			}
			req, body := r.last(t)
			if body, _ := asSentBy(t, req, body, "xyz"); body != b.sent {
				t.Errorf("%s: the recipient got %q; want what was sent", b.name, body)
			}
		}
	})
}

// asSentBy is a body with the client's boundary in place of ours, which is another one each time.
func asSentBy(t *testing.T, req *http.Request, body, boundary string) (string, string) {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if params["boundary"] == "" {
		return body, mediaType
	}
	if len(params["boundary"]) < 20 || strings.Contains(body, boundary) {
		t.Errorf("the client's boundary left: %s %q", params["boundary"], body)
	}
	return strings.ReplaceAll(body, params["boundary"], boundary), mediaType + "; boundary=" + boundary
}

// TestEgressHead: what may not leave is in no byte of the head either; with an authorization all of it is.
func TestEgressHead(t *testing.T) {
	const ip = "8.8.4.4"
	header := []string{
		"Cookie: sid=abcdef; phone=13800138000", "Referer: https://shop.example.com/?phone=13800138000", "User-Agent: app/1 imei 490154203237518",
		"X-Imei: 490154203237518", "X-Blob: a=NDkwMTU0MjAzMjM3NTE4; b=1", "X-Step: call 13800138000", "Forwarded: for=" + ip, "X-Real-Ip: " + ip, "Authorization: Bearer first-party-token", "X-Copy: bearer first-party-token", "X-Other: Basic first-party-token",
		"X-Api-Key: first-party-token", "Partner-Key: their-own-key", "X-State: paid", "Accept: application/json", "Te: trailers",
	}
	const target = "/users/13800138000/orders?imei=490154203237518&state=paid"
	t.Run("nothing", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract+"\ncredentials: [Partner-Key]", nothing, toAds)
		if a := g.send("GET", target, "", header...); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		for _, secret := range []string{somePhone, someIMEI, ip, "127.0.0.1\r\nX-F", "abcdef", "NDkwMTU0MjAzMjM3NTE4", "first-party-token", "shop.example.com", "X-Forwarded-For", "Cookie"} {
			if strings.Contains(r.all(), secret) {
				t.Errorf("the recipient received %q in %s", secret, r.all())
			}
		}
		req, _ := r.last(t)
		for name, want := range map[string]string{"Partner-Key": "their-own-key", "X-State": "paid", "Accept": "application/json", "X-Step": "call 138****8000"} {
			if got := req.Header.Get(name); got != want {
				t.Errorf("%s arrived as %q; want %q", name, got, want)
			}
		}
		if req.URL.Path != "/users/138****8000/orders" || req.URL.RawQuery != "state=paid" || req.Host != r.addr {
			t.Errorf("the request arrived as %s %s", req.Host, req.URL)
		}
	})
	t.Run("truncated", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract, "{id: ads, to: ads, for: advertising, basis: legitimate_interests, mask: [network.ip]}", toAds)
		if a := g.send("GET", "/", "", "Forwarded: for="+ip, "X-Real-Ip: "+ip, "Client: "+ip); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		req, _ := r.last(t)
		for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.0", "Forwarded": `for="8.8.4.0"`, "X-Real-Ip": "8.8.4.0", "Client": "8.8.4.0"} {
			if got := req.Header.Get(name); got != want {
				t.Errorf("%s arrived as %q; want %q", name, got, want)
			}
		}
	})
	t.Run("everything", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract+"\ncredentials: [Authorization, X-Api-Key, User-Agent]", everything, toAds)
		if a := g.send("GET", target, "", header...); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		req, _ := r.last(t)
		if req.URL.RequestURI() != target || req.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("the request arrived as %s for %q", req.URL, req.Header.Get("X-Forwarded-For"))
		}
		for _, h := range header[:len(header)-1] {
			name, value, _ := strings.Cut(h, ": ")
			if name == "X-Copy" || name == "X-Other" {
				value = "" // a token is no recipient's unless it is registered as its credentials
			}
			if got := req.Header.Get(name); got != value {
				t.Errorf("%s arrived as %q; want %q", name, got, value)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract, "{id: other, to: backend, for: advertising, keep: [general]}", toAds)
		for _, a := range []*answer{
			g.send("GET", "/?imei=490154203237518", ""), g.send("GET", "/a/13800138000", ""), g.send("GET", "/", "", "X-Imei: 490154203237518"),
		} {
			a.refused(t, http.StatusForbidden, "rule")
		}
		if r.all() != "" {
			t.Errorf("the recipient received %q", r.all())
		}
		// What nobody meant to send does not refuse the rest.
		if a := g.send("GET", "/", "", "Cookie: sid=abcdef", "X-Real-Ip: "+ip); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
		if strings.Contains(r.all(), "abcdef") || strings.Contains(r.all(), ip) || strings.Contains(r.all(), "127.0.0.1\r\nX") {
			t.Errorf("the recipient received %q", r.all())
		}
	})
}

// TestEgressRefuses: what cannot be judged is not sent.
func TestEgressRefuses(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract, everything, toAds)
	for _, c := range []struct {
		name   string
		answer *answer
		status int
	}{
		{"compress", g.send("POST", "/", "x", jsonType, "Content-Encoding: compress"), 403},
		{"coded twice", g.send("POST", "/", "x", jsonType, "Content-Encoding: gzip, gzip"), 403},
		{"no gzip", g.send("POST", "/", "x", jsonType, "Content-Encoding: gzip"), 400},
		{"no type", g.send("POST", "/", "{}"), 403},
		{"csv", g.send("POST", "/", "a,b", "Content-Type: text/csv"), 403},
		{"charset", g.send("POST", "/", "{}", "Content-Type: application/json; charset=utf-16"), 403},
		{"data in type", g.send("POST", "/", "{}", "Content-Type: application/x+json; p=1", "Content-Type: application/json"), 403},
		{"a number as a type", g.send("POST", "/", "{}", "Content-Type: application/x490154203237518+json"), 403},
		{"a word as a type", g.send("POST", "/", "{}", "Content-Type: application/vnd.Alice+json"), 403},
		{"patch", g.send("PATCH", "/", `[{"op":"add","path":"/nick","value":"Alice"}]`, "Content-Type: application/json-patch+json"), 403},
		{"condition", g.send("PUT", "/", "{}", jsonType, `If-Match: "v1"`), 400},
		{"broken", g.send("POST", "/", `{"a":`, jsonType), 400},
		{"signature", g.send("POST", "/", `{}`, jsonType, "Signature-Input: sig1=()"), 422},
		{"upgrade", g.send("GET", "/", "", "Connection: Upgrade", "Upgrade: websocket"), 403},
		{"trace", g.send("TRACE", "/", ""), 405},
		{"method", g.send("M13800138000", "/", ""), 405},
		{"encoded slash", g.send("GET", "/a%2Fb", ""), 400},
	} {
		if c.answer.err != nil || c.answer.status != c.status || c.answer.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %s %v; want %d", c.name, c.answer.status, c.answer.body, c.answer.err, c.status)
		}
	}
	if connect := g.rawGet("CONNECT evil.example.com:443 HTTP/1.1\nHost: evil.example.com:443\nConnection: close\n\n"); !strings.HasPrefix(connect, "HTTP/1.1 405") {
		t.Errorf("CONNECT got %s", connect)
	}
	if r.all() != "" {
		t.Errorf("the recipient received %q", r.all())
	}
	chunked := "POST / HTTP/1.1\nHost: a\nConnection: close\nContent-Type: application/json\nTransfer-Encoding: chunked\nTrailer: X-Late\n\n2\n{}\n0\nX-Late: 490154203237518\n\n"
	if got := g.rawGet(chunked); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("a body with a trailer got %s", got)
	}
	if strings.Contains(r.all(), someIMEI) {
		t.Errorf("the recipient received a trailer: %s", r.all())
	}
}

// TestEgressEnds: a contract that ends and a recipient that is suspended or leaves the register are refused from that moment
// on, over a pooled connection, without a reload.
func TestEgressEnds(t *testing.T) {
	fastPolls(t)
	ok := func(g *gateway) func() bool {
		return func() bool { return g.send("POST", "/", `{"imei":"1"}`, jsonType).status == http.StatusOK }
	}
	t.Run("contract", func(t *testing.T) {
		r := newRecorder(t)
		ends := time.Now().Add(1500 * time.Millisecond)
		g := egress(t, r, "contract: {until: "+ends.UTC().Format(time.RFC3339Nano)+"}", everything, toAds)
		if !ok(g)() {
			t.Fatal("refused while the contract is in force")
		}
		time.Sleep(time.Until(ends))
		before := r.all()
		g.send("POST", "/", `{"imei":"1"}`, jsonType).refused(t, http.StatusForbidden, "agreement")
		g.send("GET", "/", "").refused(t, http.StatusForbidden, "agreement")
		if r.all() != before {
			t.Error("something was sent after the contract ended")
		}
		if !strings.Contains(g.read("audit.jsonl"), `"direction":"egress"`) || !strings.Contains(g.read("audit.jsonl"), `"reason":"agreement"`) {
			t.Errorf("the audit log does not tell: %s", g.read("audit.jsonl"))
		}
	})
	for name, rules := range map[string]func(host string) string{
		"suspended": func(host string) string {
			return partnerRules(host, inContract+"\nsuspended: 2020-01-01", everything)
		},
		"removed": func(host string) string {
			return strings.ReplaceAll(partnerRules(host, inContract, everything), "ads", "others")
		},
		"moved": func(string) string { return partnerRules("http://127.0.0.1:1", inContract, everything) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t)
			g := egress(t, r, inContract, everything, toAds)
			if !ok(g)() || !ok(g)() || r.conns != 1 {
				t.Fatalf("no pooled connection: %d", r.conns)
			}
			g.write("rules/shop.yaml", rules("http://"+r.addr))
			eventually(t, func() bool { return !ok(g)() })
			before := r.all()
			for range 20 {
				if ok(g)() {
					t.Fatal("sent to who may get nothing")
				}
			}
			if r.all() != before {
				t.Error("something was sent")
			}
		})
	}
	t.Run("while it is sent", func(t *testing.T) {
		r := newRecorder(t)
		g := egress(t, r, inContract, everything, "minimize_egress ads {\npurpose advertising\nhold 64KiB\n}")
		in, out := io.Pipe()
		done := make(chan *answer, 1)
		go func() { done <- g.stream("POST", "/", in, jsonType) }()
		piece := `"` + strings.Repeat("a", 1000) + `",`
		io.WriteString(out, "["+strings.Repeat(piece, 200))
		eventually(t, func() bool { return len(r.all()) > 64<<10 })
		loads := running.Load().loads.Load()
		g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract+"\nsuspended: 2020-01-01", everything))
		eventually(t, func() bool { return running.Load().loads.Load() > loads })
		before := len(r.all())
		go func() { io.WriteString(out, strings.Repeat(piece, 200)+`"late"]`); out.Close() }()
		a := <-done
		if a.status != http.StatusForbidden || !strings.Contains(a.body, `"reason":"agreement"`) {
			t.Errorf("the caller got %d %s %v", a.status, a.body, a.err)
		}
		if len(r.all()) != before || len(r.bodies) != 0 {
			t.Errorf("%d bytes were sent after the suspension", len(r.all())-before)
		}
	})
}

// TestEgressPastHold: past the hold the recipient gets an unterminated body, the caller its status, and the client is stopped
// early.
func TestEgressPastHold(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract, "{id: other, to: backend, for: advertising, keep: [general]}", "minimize_egress ads {\npurpose advertising\nhold 64KiB\n}")
	endless := &counting{Reader: io.MultiReader(strings.NewReader("["), strings.NewReader(strings.Repeat(`"paid",`, 30_000)+`"13800138000"`), endlessly(`,"paid"`))}
	a := g.stream("POST", "/", endless, jsonType)
	if a.err == nil {
		a.refused(t, http.StatusForbidden, "rule")
	} else if !strings.Contains(a.err.Error(), "reset") && !strings.Contains(a.err.Error(), "broken pipe") {
		t.Error(a.err)
	}
	eventually(t, func() bool { return len(r.all()) > 0 })
	if len(r.bodies) != 0 || strings.Contains(r.all(), somePhone) {
		t.Errorf("the recipient received %d whole bodies and %d bytes", len(r.bodies), len(r.all()))
	}
	if endless.n > 64<<20 {
		t.Errorf("the client sent %d bytes before it was stopped", endless.n)
	}
}

type counting struct {
	io.Reader
	n int64
}

// Read counts.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

type endlessly string

// Read repeats the text.
func (e endlessly) Read(p []byte) (int, error) {
	return copy(p, strings.Repeat(string(e), len(p)/len(e)+1)[:len(p)/len(e)*len(e)]), nil
}

// TestEgressFinally: the request is judged as it is finally sent, with what the configuration adds to it, and what tells us who
// asks is not sent.
func TestEgressFinally(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract+"\ncredentials: [Authorization]\nundeclared: strip", nothing, `minimize_egress ads {
	purpose {header.Purpose} of advertising
	caller {
		id {header.X-Id}
		trust 127.0.0.1
	}
	header_up Authorization "Bearer partner"
	header_up X-Phone {http.request.header.Tel}
	rewrite /v1{uri}&imei=490154203237518
}`)
	a := g.send("POST", "/a?state=paid", "imei=490154203237518", "Content-Type: application/x-www-form-urlencoded", "Purpose: advertising", "X-Id: u1", "Tel: 13800138000")
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	req, body := r.last(t)
	if req.URL.Path != "/v1/a" || req.Header.Get("Authorization") != "Bearer partner" || body != "" || req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
		t.Errorf("the recipient got %s %v %q", req.URL, req.Header, body)
	}
	for _, secret := range []string{someIMEI, somePhone, "u1", "Purpose"} {
		if strings.Contains(r.all(), secret) {
			t.Errorf("the recipient received %s in %s", secret, r.all())
		}
	}
}

// TestEgressAbroad: a transfer that is missing or has ended is 451; what is open may go.
func TestEgressAbroad(t *testing.T) {
	fastPolls(t)
	r := newRecorder(t)
	home := func(entry string) string {
		return "home: CN\n" + partnerRules("http://"+r.addr, inContract+"\ncountry: US\n"+entry, everything)
	}
	g := prepare(t)
	g.write("rules/shop.yaml", strings.Replace(home("denied: block"), "home: CN\nminimize: 1", "minimize: 1\nhome: CN", 1))
	if err := g.load("", "", toAds); err != nil {
		t.Fatal(err)
	}
	g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType).refused(t, http.StatusUnavailableForLegalReasons, "country")
	if a := g.send("POST", "/", `{"state":"paid"}`, jsonType); a.status != http.StatusOK || strings.Contains(r.all(), "imei") {
		t.Errorf("what is nobody's got %d %s", a.status, a.body)
	}
	ends := time.Now().Add(1500 * time.Millisecond)
	g.write("rules/shop.yaml", strings.Replace(home("transfer: {mechanism: standard_contract, assessment: PIA, until: "+ends.UTC().Format(time.RFC3339Nano)+"}"), "home: CN\nminimize: 1", "minimize: 1\nhome: CN", 1))
	eventually(t, func() bool {
		return g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType).status == http.StatusOK
	})
	time.Sleep(time.Until(ends))
	before := r.all()
	g.send("POST", "/", `{"imei":"490154203237518"}`, jsonType).refused(t, http.StatusUnavailableForLegalReasons, "transfer")
	if r.all() != before {
		t.Error("something was sent after the transfer ended")
	}
}

// TestEgressOwnToken: the token by which a caller shows us who it is never reaches the recipient, also where the recipient's own
// goes in the same header. An expired one is 401.
func TestEgressOwnToken(t *testing.T) {
	for _, set := range []string{"", "header_up Authorization \"Bearer partner\""} {
		r := newRecorder(t)
		g, id := prepare(t), newIssuer(t)
		g.write("issuer.pem", id.pem())
		g.write("rules/shop.yaml", partnerRules("http://"+r.addr, inContract+"\ncredentials: [Authorization, Cookie]", everything))
		site := "minimize_egress ads {\npurpose advertising\ncaller {\njwt issuer " + id.server.URL + " audience shop key issuer.pem\nid {claim.sub}\n}\n" + set + "\n}"
		if err := g.load("", "", site); err != nil {
			t.Fatal(err)
		}
		token := id.mint(map[string]any{"sub": "u1"})
		if a := g.send("POST", "/", `{"state":"paid"}`, jsonType, "Authorization: Bearer "+token, "Cookie: sid=abcdef"); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		req, _ := r.last(t)
		want := ""
		if set != "" {
			want = "Bearer partner"
		}
		if got := req.Header.Get("Authorization"); got != want || strings.Contains(r.all(), token) || strings.Contains(r.all(), "abcdef") {
			t.Errorf("the recipient got %q in %s", got, r.all())
		}
		before := r.all()
		if a := g.send("POST", "/", `{"state":"paid"}`, jsonType, "Authorization: Bearer x"+token); a.status != http.StatusUnauthorized || r.all() != before {
			t.Errorf("a token that does not count got %d", a.status)
		}
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
