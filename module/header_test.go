package minimize

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestResponseHeaders: what may leave, what never does, and what only without personal data in it (threats D6, D7, E1 to E6).
func TestResponseHeaders(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(`{"imei":"` + someIMEI + `"}`))
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"
	for _, test := range []struct {
		name, value string
		want        string // "": dropped
	}{
		{"X-Request-Id", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		{"X-Request-Id", "req-" + someIMEI, ""},
		{"Content-Language", "de", "de"},
		{"Retry-After", "120", "120"},
		{"X-RateLimit-Remaining", "42", "42"},
		{"Access-Control-Allow-Origin", "https://app.example.com", "https://app.example.com"},
		{"Strict-Transport-Security", "max-age=1", "max-age=1"},
		{"X-Kept", "7", "7"},
		{"X-Kept", "phone " + somePhone, ""},
		{"X-Phone", "1", ""}, // kept by the route, but its name says what it is
		{"X-Unknown", "upstream-secret", ""},
		{"X-Device", someIMEI, ""},
		{"Server-Timing", "db;desc=" + someIMEI, ""},
		{"Warning", `199 - "` + somePhone + `"`, ""},
		{"Www-Authenticate", `Basic realm="shop"`, `Basic realm="shop"`},
		{"Www-Authenticate", `Basic realm="` + somePhone + `"`, ""},
		{"Content-Disposition", `attachment; filename="orders.json"`, `attachment; filename="orders.json"`},
		{"Content-Disposition", `attachment; filename="ID_` + someIMEI + `.json"`, "attachment"},
		{"Content-Disposition", `attachment; filename*=UTF-8''%31%33800138000.json`, "attachment"},
		{"Location", "/orders/1", "/orders/1"},
		{"Location", "/orders/" + someIMEI, ""},
		{"Location", "/orders?phone=x", ""},
		{"Location", "/orders/%34%39%30154203237518", ""},
		{"Location", "/orders#imei=1", ""},
		{"Location", "/orders;imei=1", ""},
		{"Location", "/login?next=%2Fu%3Fimei%3D1", ""},
		{"Location", "/u?d=%7B%22imei%22%3A%221%22%7D", ""},
		{"X-Kept", "a." + base64.RawURLEncoding.EncodeToString([]byte(someIMEI+"!")), ""},
		{"Www-Authenticate", "Basic imei=1", ""},
		{"Location", "http://10.0.0.5/internal", ""},
		{"Location", "//evil.example/x", ""},
		{"Location", `/\evil.example/x`, ""},
		{"Location", `\\evil.example/x`, ""},
		{"Location", "javascript:alert(1)", ""},
		{"Content-Location", "/orders/" + someIMEI, ""},
		{"Link", "</orders?phone=" + somePhone + ">; rel=next", ""},
		{"Refresh", "0; url=/orders/" + someIMEI, ""},
		{"Alt-Svc", `h3="origin:8443"`, ""},
		{"ETag", `"upstream-secret"`, ""},
		{"Last-Modified", "Tue, 15 Nov 1994 12:45:26 GMT", ""},
		{"Content-MD5", "upstream-secret", ""},
		{"Digest", "upstream-secret", ""},
		{"Repr-Digest", "upstream-secret", ""},
		{"Content-Digest", "upstream-secret", ""},
		{"Signature", "upstream-secret", ""},
		{"Accept-Ranges", "bytes", ""},
		{"Content-Range", "bytes 0-1/2", ""},
		{"X-Accel-Redirect", "/upstream-secret", ""},
		{"X-Sendfile", "/upstream-secret", ""},
		{"Age", "10", ""},
		{"Surrogate-Control", "max-age=600", ""},
		{"Cdn-Cache-Control", "max-age=600", ""},
		{"Expires", "Tue, 15 Nov 2094 12:45:26 GMT", ""},
		{"Cache-Control", "public, max-age=600", "private, no-store"},
		{"X-Content-Type-Options", "none", "nosniff"},
		{"Minimize-Decision", "forged", ""},
		{"Set-Cookie", "theme=dark; Path=/", "theme=dark; Path=/"},
		{"Set-Cookie", "uid=" + someIMEI, ""},
		{"Set-Cookie", "data=" + encoded, ""},
		{"Set-Cookie", "data=" + url.QueryEscape(encoded), ""},
		{"Set-Cookie", "data=" + base64.URLEncoding.EncodeToString([]byte(encoded)), ""},
		{"Set-Cookie", "data=" + url.PathEscape(`{"phone":"+86 138 0013 8000"}`), ""},
		{"Set-Cookie", "session=" + jwt, ""},
		{"Set-Cookie", "theme=dark; Path=/" + someIMEI, ""},
		{"Set-Cookie", "zu=" + url.QueryEscape(`{"imei":"1"}`), ""},
		{"Set-Cookie", "zu=j%3A" + url.QueryEscape(`{"imei":"1"}`), ""}, // what Express makes of an object
		{"Set-Cookie", "zu=" + url.QueryEscape(url.QueryEscape(`{"imei":"1"}`)), ""},
		{"Set-Cookie", "zu=" + base64.StdEncoding.EncodeToString([]byte(`{"imei":"1","a":"b"}`)), ""},
		{"Set-Cookie", "zu=imei%3D1%26x%3D1", ""},
		{"Set-Cookie", "zu=100%&%69mei=1", ""},
		{"Set-Cookie", "%69mei=1", ""},
		{"Set-Cookie", "zu=" + url.QueryEscape(`{"theme":"dark"}`), "zu=" + url.QueryEscape(`{"theme":"dark"}`)},
		{"Location", "/cb#state=" + url.QueryEscape(`{"imei":"1"}`), ""},
		{"Location", "/cb#%69mei=1", ""},
		{"Location", "/cb;%69mei=1", ""},
		{"X-Request-Id", url.QueryEscape(`{"imei":"1"}`), ""},
		{"X-Kept", url.QueryEscape(`{"imei":"1"}`), ""},
		{"Content-Disposition", "attachment; filename*=UTF-8''" + url.QueryEscape(`{"imei":"1"}`), "attachment"},
		{"Content-Security-Policy", "report-uri /x?imei=1", ""},
		{"Content-Security-Policy", "default-src 'self'; script-src 'nonce-a1b2c3d4e5f6=='", "default-src 'self'; script-src 'nonce-a1b2c3d4e5f6=='"},
		{"Access-Control-Allow-Origin", "https://x/?imei=1", ""},
		{"RateLimit-Policy", `"default";q=100;imei="1"`, ""},
		{"RateLimit", `"default";r=50;t=30`, `"default";r=50;t=30`},
		{"RateLimit", "limit=100, remaining=50, reset=5", "limit=100, remaining=50, reset=5"},
		{"Vary", "imei=1", "Authorization"},
		{"Allow", "GET, imei=1", ""},
		{"Sunset", "Sat, 31 Dec 2026 23:59:59 GMT; imei=1", ""},
		{"Strict-Transport-Security", "max-age=31536000; includeSubDomains", "max-age=31536000; includeSubDomains"},
		{"Permissions-Policy", "geolocation=(), camera=(self), payment=*", "geolocation=(), camera=(self), payment=*"},
		{"Permissions-Policy", `geolocation=(self "https://x/?imei=1")`, ""},
		{"Permissions-Policy", "geolocation=(), imei=1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			site := strings.Replace(shop, "caller {", "response_headers X-Kept X-Phone\ncaller {", 1)
			g := start(t, newBackend(t, says(jsonHead+"\n"+test.name+": "+test.value, `{}`)).addr, "", site)
			a := g.get("/api/orders")
			if a.err != nil || a.status != 200 || a.body != "{}" {
				t.Fatalf("got %+v", a)
			}
			got := a.header.Get(test.name)
			if test.name == decisionHeader {
				if got == test.value {
					t.Error("the upstream chooses the decision id")
				}
				return
			}
			if got != test.want || len(a.header[http.CanonicalHeaderKey(test.name)]) > 1 {
				t.Errorf("%s: %s left as %q, want %q", test.name, test.value, a.header[http.CanonicalHeaderKey(test.name)], test.want)
			}
		})
	}
}

// TestContentType: a parameter goes where it says what may not leave, and the type stays.
func TestContentType(t *testing.T) {
	for given, want := range map[string]string{
		"application/json; imei=1": "application/json", `application/json; imei="1"`: "application/json",
		"application/json; charset=utf-8": "application/json; charset=utf-8",
	} {
		g := start(t, newBackend(t, says("200 OK\nContent-Type: "+given, `{}`)).addr, "", shop)
		if a := g.get("/api/orders"); a.header.Get("Content-Type") != want {
			t.Errorf("%s left as %q, want %q", given, a.header.Get("Content-Type"), want)
		}
	}
}

// TestIssuesTokens: a route that hands out tokens says so.
func TestIssuesTokens(t *testing.T) {
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"
	b := newBackend(t, says(jsonHead+"\nSet-Cookie: session="+jwt, `{"access_token":"`+jwt+`"}`))
	for issues, want := range map[string]bool{"": false, "issues auth.token": true} {
		site := strings.Replace(shop, "caller {", issues+"\ncaller {", 1)
		g := start(t, b.addr, "", strings.Replace(site, "role support", "role finance", 1))
		g.write("rules/shop.yaml", shopRules)
		a := g.get("/api/orders")
		if got := strings.Contains(a.body, jwt); got != want {
			t.Errorf("with %q the body is %s", issues, a.body)
		}
		if got := a.header.Get("Set-Cookie") != ""; got != want {
			t.Errorf("with %q the cookie is %q", issues, a.header.Get("Set-Cookie"))
		}
	}
}

// TestOuterHeadersStay: what handlers outside set is theirs, and Vary adds up.
func TestOuterHeadersStay(t *testing.T) {
	b := newBackend(t, says(jsonHead+"\nVary: Origin", `{}`))
	g := start(t, b.addr, "", "header X-Site ours\nheader Vary Cookie\n"+shop)
	a := g.get("/api/orders")
	if a.header.Get("X-Site") != "ours" {
		t.Error("the site's own header is lost")
	}
	if got := strings.Join(a.header["Vary"], ", "); got != "Cookie, Origin, Authorization" {
		t.Errorf("Vary is %q", got)
	}
}

// TestHeadersAreNotShared: what a handler outside changes in place is this answer's alone. Caddy's `header` replaces in place.
func TestHeadersAreNotShared(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{}`))
	g := start(t, b.addr, "", "header >X-Content-Type-Options nosniff nosniffx\nheader >Cache-Control store storex\n"+shop)
	for range 3 {
		a := g.get("/api/orders")
		if got := a.header.Get("X-Content-Type-Options"); got != "nosniffx" {
			t.Errorf("X-Content-Type-Options is %q", got)
		}
		if got := a.header.Get("Cache-Control"); got != "private, no-storex" {
			t.Errorf("Cache-Control is %q", got)
		}
	}
}

// TestOpaque: declared types pass as they came, with a clean header; JSON never does.
func TestOpaque(t *testing.T) {
	site := strings.Replace(shop, "caller {", "opaque image/* \"product pictures\"\nopaque text/event-stream \"stock ticker\"\ncaller {", 1)
	for _, test := range []struct {
		head, body, want string
	}{
		{"200 OK\nContent-Type: image/png\nETag: \"upstream-secret\"\nX-Device: " + someIMEI, "\x89PNG", "\x89PNG"},
		{"200 OK\nContent-Type: image/svg+xml; charset=utf-8\nContent-Encoding: br", "\x0b\x02\x80<svg>\x03", "\x0b\x02\x80<svg>\x03"},
		{"200 OK\nContent-Type: text/event-stream", "data: 1\n\n", "data: 1\n\n"},
		{"200 OK\nContent-Type: image/x+json", `{"imei":"` + someIMEI + `","a":1}`, `{"a":1}`},
	} {
		g := start(t, newBackend(t, says(test.head, test.body)).addr, "", site)
		a := g.get("/api/picture")
		if a.err != nil || a.status != 200 || a.body != test.want {
			t.Errorf("%s: got %+v", test.head, a)
		}
		a.hides(t, someIMEI, "upstream-secret")
	}
}

// TestOpaqueStreamStarts: the header of an opaque event stream does not wait for the first event.
func TestOpaqueStreamStarts(t *testing.T) {
	started := make(chan struct{})
	b := newBackend(t, func(conn net.Conn, _ *http.Request) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		<-started
		io.WriteString(conn, "6\r\ndata:\n\r\n0\r\n\r\n")
	})
	g := start(t, b.addr, "", strings.Replace(shop, "caller {", "opaque text/event-stream \"stock ticker\"\ncaller {", 1))
	res, err := client.Get(g.url + "/api/ticker")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(started)
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "data:\n" {
		t.Errorf("got %q, %v", body, err)
	}
}
