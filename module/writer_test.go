package minimize

import (
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMinimizesByRole(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", shop)
	a := g.get("/api/orders")
	if a.err != nil || a.status != 200 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %+v", a)
	}
	want := `{"orders":[{"buyer":"u1","phone":"138****8000","state":"paid"}]}`
	if a.body != want {
		t.Errorf("got %s, want %s", a.body, want)
	}
	if got := a.header.Get("Content-Length"); got != fmt.Sprint(len(want)) {
		t.Errorf("Content-Length is %s, want %d", got, len(want))
	}
	for name, want := range map[string]string{
		"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff", "Vary": "Authorization",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.header.Get(decisionHeader) == "" {
		t.Error("there is no decision id")
	}
}

// TestRequestsAreMadeReadable: what would make an answer unreadable, or confirm the unjudged one, never reaches the upstream
// (threats A5, B5, D1, D4, D5, D6, F1).
func TestRequestsAreMadeReadable(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{}`))
	g := start(t, b.addr, "", shop)
	headers := []string{
		"Accept-Charset: utf-16", "Range: bytes=0-5", "If-Range: x", "If-None-Match: \"x\"", "If-Match: \"x\"",
		"If-Modified-Since: Tue, 15 Nov 1994 12:45:26 GMT", "If-Unmodified-Since: Tue, 15 Nov 1994 12:45:26 GMT", "A-IM: gzip",
		"TE: trailers", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
		"Sec-WebSocket-Protocol: a", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: a",
		"X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "Available-Dictionary: :x:", "Expect: 100-continue",
	}
	if a := g.get("/api/orders", append(headers, "Accept-Encoding: br, zstd", "X-Mine: stays")...); a.status != 200 {
		t.Fatalf("got %+v", a)
	}
	seen := b.last().Header
	for _, h := range headers {
		name, _, _ := strings.Cut(h, ":")
		if value := seen.Get(name); value != "" {
			t.Errorf("the upstream saw %s: %s", name, value)
		}
	}
	if got := seen.Get("Accept-Encoding"); got != "gzip" {
		t.Errorf("the upstream saw Accept-Encoding %q, want the transport's own gzip", got)
	}
	if seen.Get("X-Mine") != "stays" {
		t.Error("an ordinary header was lost")
	}
}

// TestConditions: a write that depends on a version is refused, and never made without its condition; whether there is
// something may be asked.
func TestConditions(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{}`))
	g := start(t, b.addr, "", shop)
	const date = "Tue, 15 Nov 1994 12:45:26 GMT"
	for _, c := range []struct {
		method, condition string
		status            int
		arrives           bool
	}{
		{"PUT", `If-Match: "v1"`, 400, false}, {"PATCH", "If-Unmodified-Since: " + date, 400, false}, {"DELETE", `If-None-Match: "v1"`, 400, false},
		{"POST", `If-Match: *, "v1"`, 400, false}, {"PUT", "If-None-Match: *", 200, true}, {"DELETE", "If-Match: *", 200, true},
		{"PUT", "If-Modified-Since: " + date, 200, false}, {"GET", `If-Match: "v1"`, 200, false}, {"GET", "If-None-Match: *", 200, false},
	} {
		a := g.do(c.method, "/api/orders", c.condition)
		if a.status != c.status {
			t.Errorf("%s with %s: got %d %s", c.method, c.condition, a.status, a.body)
		}
		if name, _, _ := strings.Cut(c.condition, ":"); c.status == 200 && (b.last().Header.Get(name) != "") != c.arrives {
			t.Errorf("%s with %s: the upstream saw %v", c.method, c.condition, b.last().Header)
		}
	}
}

// answerCase is one thing that an upstream may do to a writer, and what the caller gets.
type answerCase struct {
	name    string
	answer  script
	method  string
	status  int
	reason  string // of a refusal
	body    string
	length  string
	aborted bool
}

// TestR9Framing: bodies over a limit, in many reads, without length, cut off, empty, and parts of one.
func TestR9Framing(t *testing.T) {
	long := strings.Repeat(" ", 3<<20)
	for _, test := range []answerCase{
		{name: "length", answer: says(jsonHead, `{"a":1}`), status: 200, body: `{"a":1}`, length: "7"},
		{name: "chunked", answer: streams(jsonHead, `{"a"`, `:`, `1}`), status: 200, body: `{"a":1}`, length: "7"},
		{name: "byte by byte", answer: streams(jsonHead, strings.Split(someOrder, "")...), status: 200,
			body: `{"orders":[{"buyer":"u1","phone":"138****8000","state":"paid"}]}`},
		{name: "longer than the hold", answer: says(jsonHead, `{"a":1}`+long), status: 200, body: `{"a":1}` + long},
		{name: "no content", answer: says("204 No Content\nX-Imei: "+someIMEI, ""), status: 204},
		{name: "not modified", answer: says("304 Not Modified\nETag: \"upstream-secret\"", ""), status: 304},
		{name: "empty", answer: says("200 OK", ""), status: 200, length: "0"},
		{name: "head", method: "HEAD", answer: says(jsonHead+"\nETag: \"upstream-secret\"", ""), status: 200},
		{name: "early hints", answer: func(conn net.Conn, r *http.Request) {
			fmt.Fprintf(conn, "HTTP/1.1 103 Early Hints\r\nLink: </%s>\r\n\r\n", someIMEI)
			says(jsonHead, `{}`)(conn, r)
		}, status: 200, body: `{}`},
		{name: "trailers", answer: func(conn net.Conn, _ *http.Request) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Phone\r\n\r\n"+
				"2\r\n{}\r\n0\r\nX-Phone: %s\r\n\r\n", somePhone)
		}, status: 200, body: `{}`},
		{name: "broken JSON", answer: says(jsonHead, `{"imei":"`+someIMEI+`"`), status: 502, reason: "unreadable"},
		{name: "cut off", answer: func(conn net.Conn, _ *http.Request) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"imei\":%s", someIMEI)
		}, status: 502, reason: "unreadable"},
		{name: "cut off where it is whole JSON", answer: func(conn net.Conn, _ *http.Request) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}")
		}, status: 502, reason: "unreadable"},
		{name: "chunks cut off", answer: func(conn net.Conn, _ *http.Request) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
		}, status: 502, reason: "unreadable"},
		{name: "cut off past the hold", answer: func(conn net.Conn, _ *http.Request) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n{}%s", long)
		}, aborted: true},
		{name: "range", answer: says("206 Partial Content\nContent-Type: application/json\nContent-Range: bytes 0-1/9", `{}`),
			status: 502, reason: "unreadable"},
	} {
		t.Run(test.name, func(t *testing.T) { test.check(t, shop) })
	}
	limited := strings.Replace(shop, "caller {", "hold all\nmax_body 1MiB\ncaller {", 1)
	t.Run("over the limit", func(t *testing.T) {
		answerCase{answer: streams(jsonHead, `{"a":1}`, long), status: 502, reason: "unreadable"}.check(t, limited)
	})
}

// TestR10MediaTypes: JSON is what says that it is JSON, once and without doubt.
func TestR10MediaTypes(t *testing.T) {
	for _, test := range []answerCase{
		{name: "status 500 is judged alike", answer: says("500 Oops\nContent-Type: application/json", `{"imei":"`+someIMEI+`","a":1}`),
			status: 500, body: `{"a":1}`},
		{name: "problem+json is JSON", answer: says("404 No\nContent-Type: application/problem+json; charset=UTF-8", `{"imei":"`+someIMEI+`","a":1}`),
			status: 404, body: `{"a":1}`},
		{name: "no media type", answer: says("200 OK", `{"imei":"`+someIMEI+`"}`), status: 403, reason: "media_type"},
		{name: "two media types", answer: says("200 OK\nContent-Type: application/json\nContent-Type: text/html", `{}`), status: 403, reason: "media_type"},
		{name: "media type list", answer: says("200 OK\nContent-Type: application/json, text/html", `{}`), status: 403, reason: "media_type"},
		{name: "malformed media type", answer: says("200 OK\nContent-Type: application/json; =", `{}`), status: 403, reason: "media_type"},
		{name: "other charset", answer: says("200 OK\nContent-Type: application/json; charset=utf-16", `{}`), status: 403, reason: "media_type"},
		{name: "NDJSON", answer: says("200 OK\nContent-Type: application/x-ndjson", "{}\n{}"), status: 403, reason: "media_type"},
		{name: "events", answer: streams("200 OK\nContent-Type: text/event-stream", "data: "+someIMEI+"\n\n"), status: 403, reason: "media_type"},
		{name: "multipart", answer: says("200 OK\nContent-Type: multipart/mixed; boundary=x", "--x--"), status: 403, reason: "media_type"},
		{name: "text", answer: says("200 OK\nContent-Type: text/plain", `{"imei":"`+someIMEI+`"}`), status: 403, reason: "media_type"},
		{name: "HTML error", answer: says("500 Oops\nContent-Type: text/html", someIMEI), status: 500, reason: "media_type"},
		{name: "upgrade", answer: says("101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket", ""), status: 403, reason: "media_type"},
	} {
		t.Run(test.name, func(t *testing.T) { test.check(t, shop) })
	}
}

func (test answerCase) check(t *testing.T, site string) {
	t.Helper()
	g := start(t, newBackend(t, test.answer).addr, "", site)
	method := test.method
	if method == "" {
		method = "GET"
	}
	a := g.do(method, "/api/orders")
	if test.aborted {
		if a.err == nil {
			t.Fatal("the answer looks whole")
		}
		return
	}
	if test.reason != "" {
		a.refused(t, test.status, test.reason)
		return
	}
	if a.err != nil || a.status != test.status || a.body != test.body {
		t.Errorf("got %d, %.200q, %v; want %d, %.200q", a.status, a.body, a.err, test.status, test.body)
	}
	if test.length != "" && a.header.Get("Content-Length") != test.length {
		t.Errorf("Content-Length is %q, want %s", a.header.Get("Content-Length"), test.length)
	}
	if test.method == "HEAD" && a.header.Get("Content-Length") != "" {
		t.Errorf("HEAD tells the unjudged length: %s", a.header.Get("Content-Length"))
	}
	a.hides(t, somePhone, someIMEI, "upstream-secret")
}

// TestEarlyHintsAreSwallowed looks at the bytes, because clients hide 1xx (threat E5).
func TestEarlyHintsAreSwallowed(t *testing.T) {
	b := newBackend(t, func(conn net.Conn, r *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 103 Early Hints\r\nLink: </%s>\r\n\r\nHTTP/1.1 102 Processing\r\nX-Phone: %s\r\n\r\n", someIMEI, somePhone)
		says(jsonHead, `{}`)(conn, r)
	})
	g := start(t, b.addr, "", shop)
	raw := g.rawGet("GET /api/orders HTTP/1.1\nHost: x\nConnection: close\n\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 200") || strings.Contains(raw, someIMEI) || strings.Contains(raw, somePhone) {
		t.Errorf("got %s", raw)
	}
}

// TestMethods: what cannot be judged is not asked (threats B5, F2).
func TestMethods(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{}`))
	g := start(t, b.addr, "", shop)
	for _, request := range []string{"TRACE / HTTP/1.1\nHost: x\nConnection: close\n\n", "CONNECT x:443 HTTP/1.1\nHost: x:443\nConnection: close\n\n"} {
		if raw := g.rawGet(request); !strings.HasPrefix(raw, "HTTP/1.1 405") {
			t.Errorf("%.10s: got %s", request, raw)
		}
	}
	if len(b.seen) > 0 {
		t.Error("the upstream was asked")
	}
}

// TestPaths: spellings of one path find the same rules, and one that upstreams read differently is not asked (threat B6).
func TestPaths(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	g := prepare(t)
	// The number is a phone only where the document says so.
	g.write("rules/shop.yaml", strings.Replace(strings.Replace(shopRules, "GET /api/**", "GET /api/orders", 1), "/orders/*/phone", "/orders/*/state", 1))
	if err := g.load(b.addr, "", shop); err != nil {
		t.Fatal(err)
	}
	for path, judged := range map[string]bool{
		"/api/orders": true, "/api/orders/": true, "//api///orders": true, "/%61pi/orders": true,
		"/api/orders;v=1": true, "/api;x/orders/;y": true, "/api/orders%3Bv=1": true,
		"/api/./orders": false, "/api/x/../orders": false, "/api/x/%2e%2E/orders": false,
		"/api%2Forders": false, "/api%2forders": false, "/api/x%2F..%2F..%2Forders": false, "/api%5Corders": false, "/api/x\\orders": false,
	} {
		raw := g.rawGet("GET " + path + " HTTP/1.1\nHost: x\nConnection: close\n\n")
		if judged && (!strings.HasPrefix(raw, "HTTP/1.1 200") || strings.Contains(raw, "paid")) || !judged && !strings.HasPrefix(raw, "HTTP/1.1 400") {
			t.Errorf("%s: got %s", path, raw)
		}
	}
}

// TestWriterHasNoWayAround: inner handlers must not reach the client's writer (threats 5.1, F1).
func TestWriterHasNoWayAround(t *testing.T) {
	var w any = new(writer)
	if _, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		t.Error("the writer unwraps")
	}
	for name, ok := range map[string]bool{
		"Hijacker": is[http.Hijacker](w), "Pusher": is[http.Pusher](w), "StringWriter": is[interface{ WriteString(string) (int, error) }](w),
	} {
		if ok {
			t.Errorf("the writer is a %s", name)
		}
	}
	if _, _, err := http.NewResponseController(new(writer)).Hijack(); err == nil {
		t.Error("the writer can be hijacked")
	}
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

// TestRefusalStopsTheUpstream: a refused answer is not read to its end.
func TestRefusalStopsTheUpstream(t *testing.T) {
	stopped := make(chan bool, 1)
	b := newBackend(t, func(conn net.Conn, _ *http.Request) {
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\n")
		deadline := time.Now().Add(10 * time.Second)
		for time.Now().Before(deadline) {
			if _, err := conn.Write(make([]byte, 1<<16)); err != nil {
				stopped <- true
				return
			}
		}
		stopped <- false
	})
	g := start(t, b.addr, "", "encode\nlog\n"+shop)
	g.get("/api/orders").refused(t, 403, "media_type")
	if !<-stopped {
		t.Error("the upstream went on sending")
	}
}

// TestBackendDown: an upstream that is not there is its own error, not ours, and shows nothing.
func TestBackendDown(t *testing.T) {
	g := start(t, "127.0.0.1:1", "", shop)
	if a := g.get("/api/orders?phone=" + somePhone); a.status != 502 || a.body != "" {
		t.Errorf("got %+v", a)
	}
}

// TestFileServer: io.Copy of a file goes through the judging too (its way is ReadFrom).
func TestFileServer(t *testing.T) {
	g := prepare(t)
	g.write("www/api/orders.json", someOrder)
	if err := g.load("", "", strings.Replace(shop, "reverse_proxy {upstream}", "root {dir}/www\nfile_server", 1)); err != nil {
		t.Fatal(err)
	}
	if a := g.get("/api/orders.json", "Range: bytes=0-20"); a.status != 200 || a.body != supportSees {
		t.Errorf("got %+v", a)
	}
}

// TestPanicsShowNothing: a panic of an inner handler becomes a refusal, and its text is nowhere.
func TestPanicsShowNothing(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	h := newHandler(t, shopRules)
	h.logger = zap.New(core)
	w := httptest.NewRecorder()
	panics := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Device", someIMEI)
		fmt.Fprint(w, someOrder)
		panic("with a value: " + somePhone)
	})
	if err := h.ServeHTTP(w, httptest.NewRequest("GET", "/api/orders", nil), panics); err != nil {
		t.Fatal(err)
	}
	(&answer{status: w.Code, header: w.Header(), body: w.Body.String()}).refused(t, 503, "unavailable")
	if log := fmt.Sprint(logged.All()); strings.Contains(log, somePhone) || !strings.Contains(log, "panicking while an answer was made") {
		t.Errorf("the log is %s", log)
	}
}

// TestWriterOperations: whatever inner handlers do to the writer, in any order, what comes out is nothing, the whole judged
// answer, a refusal, or cut off; never a value.
func TestWriterOperations(t *testing.T) {
	h := newHandler(t, shopRules)
	whole, refused := 0, 0
	for seed := range uint64(20_000) {
		random := mathrand.New(mathrand.NewPCG(seed, 1))
		rest := someOrder
		complete := false
		inner := func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/json")
			for {
				switch n := random.IntN(len(rest) + 1); random.IntN(14) {
				case 0:
					w.WriteHeader([]int{100, 103, 200, 200, 200, 204, 206, 304, 404, 500}[random.IntN(10)])
				case 1, 2, 3, 4, 5:
					io.WriteString(w, rest[:n])
					rest = rest[n:]
				case 6:
					io.Copy(w, strings.NewReader(rest[:n]))
					rest = rest[n:]
				case 7:
					http.NewResponseController(w).Flush()
				case 8:
					if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
						conn.Close()
					}
				case 9:
					w.Header().Add([]string{"X-Phone", "Trailer:X-Phone", "ETag", "Set-Cookie", "X-Request-Id"}[random.IntN(5)], "x="+somePhone)
				case 10:
					w.Header().Set("Content-Length", fmt.Sprint(len(someOrder)-random.IntN(2)*random.IntN(9)))
				case 11:
					if random.IntN(4) == 0 {
						panic([]any{http.ErrAbortHandler, somePhone}[random.IntN(2)])
					}
				case 12:
					if random.IntN(4) == 0 {
						return errors.New("the handler failed")
					}
				case 13:
					complete = rest == ""
					return nil
				}
			}
		}
		w := httptest.NewRecorder()
		aborted := false
		err := func() error {
			defer func() { aborted = recover() != nil }()
			return h.ServeHTTP(w, httptest.NewRequest("GET", "/api/orders", nil), caddyhttp.HandlerFunc(inner))
		}()
		a := &answer{status: w.Code, header: w.Header(), body: w.Body.String()}
		a.hides(t, somePhone, someIMEI)
		switch {
		case aborted, err != nil && a.body == "":
		case a.body == anonymousSees && complete:
			whole++
		case a.body == "" && (a.status == 200 || a.status == 204 || a.status == 304 || a.status == 404 || a.status == 500):
		case a.header.Get("Content-Type") == "application/problem+json":
			refused++
		default:
			t.Errorf("got %+v, %v, complete %v", a, err, complete)
		}
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
	if whole < 100 || refused < 1000 {
		t.Errorf("only %d whole answers and %d refusals came about", whole, refused)
	}
}

// TestTwoHandlers: one inside the other judge one after the other.
func TestTwoHandlers(t *testing.T) {
	b := newBackend(t, says(jsonHead, someOrder))
	g := start(t, b.addr, "", strings.Replace(shop, "reverse_proxy", "minimize /api/* {\ncaller {\nrole finance\npurpose after_sales\n}\n}\nreverse_proxy", 1))
	if a := g.get("/api/orders"); a.body != supportSees {
		t.Errorf("got %+v", a)
	}
}

// TestExtendedConnect: a WebSocket over HTTP/2 (RFC 8441) is a CONNECT, and reaches no inner handler.
func TestExtendedConnect(t *testing.T) {
	r := httptest.NewRequest(http.MethodConnect, "/api/ws", nil)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.Header[":protocol"] = []string{"websocket"}
	w := httptest.NewRecorder()
	err := newHandler(t, shopRules).ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the request went on")
		return nil
	}))
	if err != nil || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("got status %d, error %v", w.Code, err)
	}
}
