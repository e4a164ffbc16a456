package minimize

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// collecting are the rules of most tests here; %s is what may be collected.
const collecting = `minimize: 1
roles: [courier]
purposes: [search]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {key: [imei], is: device.imei}
  - {key: [nick], is: person.name}
allow:
  - {id: other, to: us, for: search, keep: [general, aggregate]}
  - {id: read, to: anonymous, for: search, keep: [general]}
%s
`

const (
	collectsAll = "  - {id: all, to: us, for: search, keep: [personal, sensitive, secret]}"
	refusesIMEI = "limit:\n  - {id: no-imei, to: us, block: [device.imei]}"
	search      = "minimize {\ninbound\ncaller {\npurpose search\n}\n}\nreverse_proxy {upstream}"
)

// someDigest is well-formed, and of no body here.
const someDigest = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"

// inbound starts a gateway in front of a backend that keeps every byte.
func inbound(t *testing.T, r *recorder, rules, site string) *gateway {
	t.Helper()
	g := prepare(t)
	g.write("rules/shop.yaml", fmt.Sprintf(collecting, rules))
	if err := g.load(r.addr, "", site); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestInboundBody: what may not be collected is in no byte that the backend receives; where nothing changes the body is the client's own.
func TestInboundBody(t *testing.T) {
	bodies := []struct{ name, mediaType, sent, trimmed string }{
		{"json", "application/json; charset=utf-8", `{ "imei":"490154203237518","state":"paid"}`, `{"state":"paid"}`},
		{"text", "application/vnd.shop+json; version=2", `{"state":"call 13800138000"}`, `{"state":"call 138****8000"}`},
		{"form", "application/x-www-form-urlencoded", "imei=490154203237518&state=paid", "state=paid"},
		{"nothing left", "application/x-www-form-urlencoded", "imei=490154203237518", ""},
		{
			"multipart", "multipart/form-data; boundary=xyz",
			"--xyz\r\nContent-Disposition: form-data; name=\"imei\"\r\n\r\n490154203237518\r\n" +
				"--xyz\r\nContent-Disposition: form-data; name=\"state\"\r\n\r\npaid\r\n--xyz--\r\n",
			"--xyz\r\nContent-Disposition: form-data; name=\"state\"\r\n\r\npaid\r\n--xyz--\r\n",
		},
	}
	for _, all := range []bool{false, true} {
		r := newRecorder(t)
		rules := ""
		if all {
			rules = collectsAll
		}
		g := inbound(t, r, rules, search)
		for _, b := range bodies {
			want := b.trimmed
			if all {
				want = b.sent
			}
			if a := g.send("POST", "/events", b.sent, "Content-Type: "+b.mediaType, "Content-Digest: "+someDigest); a.status != http.StatusOK {
				t.Fatalf("%s: got %d %s", b.name, a.status, a.body)
			}
			req, body := r.last(t)
			multipart := strings.HasPrefix(b.mediaType, "multipart/")
			if multipart {
				_, boundary, _ := strings.Cut(req.Header.Get("Content-Type"), "boundary=")
				want, b.mediaType = strings.ReplaceAll(want, "xyz", boundary), strings.Replace(b.mediaType, "xyz", boundary, 1)
				if boundary == "xyz" {
					t.Error("the boundary is the client's")
				}
			}
			if body != want || req.ContentLength != int64(len(want)) || req.Header.Get("Content-Type") != b.mediaType {
				t.Errorf("%s: the backend got %d bytes of %s: %q; want %q", b.name, req.ContentLength, req.Header.Get("Content-Type"), body, want)
			}
			if (req.Header.Get("Content-Digest") != "") != (all && !multipart) {
				t.Errorf("%s: a digest arrived as %q", b.name, req.Header.Get("Content-Digest"))
			}
		}
		if !all && (strings.Contains(r.all(), someIMEI) || strings.Contains(r.all(), somePhone)) {
			t.Error("the backend received what may not be collected")
		}
	}
}

// TestInboundHead: query, headers and cookies are trimmed, the session and the path stay.
func TestInboundHead(t *testing.T) {
	token := "eyJhbGciOiJub25lIn0.eyJwaG9uZSI6IjEzODAwMTM4MDAwIn0.x"
	header := []string{
		"Content-Type: text/x; a=13800138000", "Authorization: Bearer " + token, "X-Csrf-Token: t0ken", "X-Api-Key: k3y",
		"Cookie: sessionid=490154203237518; imei=490154203237518; theme=dark; token=" + token + "; last=call%2013800138000",
		"X-Device-Imei: 490154203237518", "X-Step: call 13800138000", "X-Blob: NDkwMTU0MjAzMjM3NTE4", "Referer: https://shop.example.com/a?phone=13800138000&x=1",
		"User-Agent: app/1 (13800138000)", "Accept: application/json", "X-State: paid", "X-Forwarded-Prefix: /a?imei=490154203237518",
	}
	const target = "/users/13800138000?imei=490154203237518&state=paid"
	site := "minimize {\ninbound\ncaller {\npurpose search\n}\n}\nreverse_proxy {upstream} {\nheader_up X-Orig {http.request.orig_uri}\nheader_up X-Imei {http.request.header.X-Device-Imei}\nheader_up X-Query {query}\nheader_up -X-Forwarded-For\n}"
	for _, all := range []bool{false, true} {
		r := newRecorder(t)
		rules := ""
		if all {
			rules = collectsAll
		}
		g := inbound(t, r, rules, site)
		if a := g.send("GET", target, "", header...); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		req, _ := r.last(t)
		want := map[string]string{
			"Cookie":       "sessionid=490154203237518; theme=dark; token=" + token + "; last=call%20138%2A%2A%2A%2A8000",
			"Content-Type": "text/x", "X-Step": "call 138****8000", "X-Device-Imei": "", "X-Blob": "", "Referer": "https://shop.example.com/a?x=1",
			"User-Agent": "app/1 (138****8000)", "X-Orig": "/users/13800138000?state=paid", "X-Imei": "", "X-Query": "state=paid", "X-Forwarded-Prefix": "/a",
		}
		uri := "/users/13800138000?state=paid"
		if all {
			uri = target
			want = map[string]string{"X-Orig": target, "X-Imei": someIMEI, "X-Query": "imei=490154203237518&state=paid"}
		}
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			if trimmed, ok := want[name]; ok {
				value = trimmed
			}
			want[name] = value
		}
		for name, value := range want {
			if got := req.Header.Get(name); got != value {
				t.Errorf("all %v: %s arrived as %q; want %q", all, name, got, value)
			}
		}
		if req.URL.RequestURI() != uri {
			t.Errorf("all %v: the request arrived as %s", all, req.URL)
		}
	}
}

// TestInboundRefused: what a limit blocks and what cannot be judged never reaches the backend.
func TestInboundRefused(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, refusesIMEI, search)
	for _, c := range []struct {
		name   string
		answer *answer
		status int
		reason string
	}{
		{"body", g.send("POST", "/", `{"imei":"1"}`, jsonType), 403, "limit"},
		{"query", g.send("GET", "/?imei=1", ""), 403, "limit"},
		{"header", g.send("GET", "/", "", "X-Imei: 1"), 403, "limit"},
		{"cookie", g.send("GET", "/", "", "Cookie: imei=1"), 403, "limit"},
		{"patch", g.send("PATCH", "/", `[{"op":"add","path":"/nick","value":"Alice"}]`, "Content-Type: application/json-patch+json"), 403, "media_type"},
		{"signed parts", g.send("POST", "/", "--x--\r\n", "Content-Type: multipart/form-data; boundary=x", "Signature: a=:eHl6:"), 422, "signed"},
		{"signed otherwise", g.send("POST", "/", `{}`, jsonType, "Signature: Alice"), 422, "signed"},
		{"method", g.send("M13800138000", "/", ""), 405, "media_type"},
		{"WebDAV", g.send("PROPFIND", "/", ""), 405, "media_type"},
		{"no type", g.send("POST", "/", "{}"), 403, "media_type"},
		{"csv", g.send("POST", "/", "a,b", "Content-Type: text/csv"), 403, "media_type"},
		{"charset", g.send("POST", "/", "{}", "Content-Type: application/json; charset=utf-16"), 403, "media_type"},
		{"coding", g.send("POST", "/", "{}", jsonType, "Content-Encoding: compress"), 403, "media_type"},
		{"broken", g.send("POST", "/", `{"a":`, jsonType), 400, "unreadable"},
		{"no gzip", g.send("POST", "/", `{}`, jsonType, "Content-Encoding: gzip"), 400, "unreadable"},
		{"broken query", g.send("GET", "/?a=%", ""), 400, "unreadable"},
		{"signed", g.send("POST", "/", `{"nick":"x"}`, jsonType, "Signature: a=:x:", "Signature-Input: a=()"), 422, "signed"},
		{"signed query", g.send("POST", "/?nick=x", "", "Signature: a=:x:", "Signature-Input: a=()"), 422, "signed"},
		{"signed and marked", g.send("POST", "/", "\ufeff{}", jsonType, "Signature: a=:x:"), 422, "signed"},
	} {
		if c.answer.refused(t, c.status, c.reason); t.Failed() {
			t.Fatal(c.name)
		}
	}
	if r.all() != "" {
		t.Errorf("the backend received %q", r.all())
	}
	const signed = `{"a": 1}`
	if a := g.send("POST", "/?b=2", signed, jsonType, "Signature: a=:eHl6:", `Signature-Input: a=("@method" "content-digest");created=1618884473;keyid="k1"`, "Content-Digest: "+someDigest); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if req, body := r.last(t); body != signed || req.Header.Get("Signature") == "" || req.Header.Get("Content-Digest") == "" {
		t.Errorf("the backend got %v %s", req.Header, body)
	}
	eventually(t, func() bool {
		return strings.Contains(g.read("audit.jsonl"), `"direction":"inbound"`) && strings.Contains(g.read("audit.jsonl"), `"reason":"limit","rule":"no-imei"`)
	})
}
