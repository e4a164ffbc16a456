package minimize

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestInboundSmuggled: what a client can write where nobody looks for data arrives only as what it ought to be.
func TestInboundSmuggled(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", search)
	const json = `{"a":1}`
	for _, c := range []struct{ body, header, want string }{
		{"", "X-Forwarded-Full-Name: Alice", ""}, {"", "X-Forwarded-User: Alice", ""}, {"", "X-Forwarded-Preferred-Username: Alice", ""},
		{"", "X-Forwarded-Prefix: /a", "/a"}, {"", "X-Forwarded-Scheme: https", "https"},
		{"", "Content-Md5: 490154203237518", ""}, {"", "Digest: imei=490154203237518", ""}, {"", "Content-Digest: " + someDigest, ""},
		{json, "Content-Digest: " + someDigest, someDigest}, {json, "Content-Digest: sha-256=:QWxpY2U=:", ""}, {json, "Digest: alice=Alice", ""},
		{json, "Repr-Digest: md5=:MTM4MDAxMzgwMDAxMzgwMA==:", ""}, {json, "Content-Digest: sha-256=:aW1laSA0OTAxNTQyMDMyMzc1MTggaXMgbWluZSAhISE=:", ""},
		{"", "Cookie: theme=eyJpbWVpIjoiNDkwMTU0MjAzMjM3NTE4In0=", ""}, {"", "Cookie: theme=eyJ0aGVtZSI6ImRhcmsgYXMgbmlnaHQifQ==", "theme=eyJ0aGVtZSI6ImRhcmsgYXMgbmlnaHQifQ=="},
		{"", "Content-Type: application/vnd.full-name+json", ""}, {"", "Content-Type: application/vnd.ShopOrder+json", "application/vnd.shoporder+json"},
		{"", "Content-Type: multipart/form-data; boundary=Alice", "multipart/form-data"},
	} {
		header := []string{c.header}
		if c.body != "" {
			header = append(header, jsonType)
		}
		if a := g.send("POST", "/", c.body, header...); a.status != http.StatusOK {
			t.Fatalf("%s: got %d %s", c.header, a.status, a.body)
		}
		name, _, _ := strings.Cut(c.header, ":")
		if req, _ := r.last(t); req.Header.Get(name) != c.want {
			t.Errorf("%s arrived as %q; want %q", c.header, req.Header.Get(name), c.want)
		}
	}
}

// TestInboundSignatures: a signature passes as RFC 9421 writes it, and not with words in it that may not be collected.
func TestInboundSignatures(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", search)
	for _, c := range []struct {
		signature, input string
		passes           bool
	}{
		{"sig1=:eHl6:", `sig1=("@method" "authorization" "content-digest";req "@query-param";name="page");created=1618884473;expires=1618884773;keyid="a/b#1";alg="ed25519";nonce="x1";tag="shop"`, true},
		{"sig1=:eHl6:, b=:eHl6:", `sig1=();created=1618884473, b=("@path")`, true},
		{"sig1=:eHl6:", "phone=13800138000", false}, {"sig1=:eHl6:", `sig1=();keyid="call 13800138000"`, false}, {"sig1=:eHl6:", `sig1=();created=13800138000`, false},
		{"sig1=:eHl6:", `full_name=("alice")`, false}, {"full_name=:QWxpY2U=:", "sig1=()", false}, {"sig1=:NDkwMTU0MjAzMjM3NTE4:", "sig1=()", false},
		{`keyId="Alice",signature="x"`, "sig1=()", false}, {"sig1=:eHl6:", `sig1=("Alice")`, false},
	} {
		a := g.send("GET", "/", "", "Signature: "+c.signature, "Signature-Input: "+c.input)
		if passes := a.status == http.StatusOK; passes != c.passes {
			t.Errorf("%s, %s: got %d %s", c.signature, c.input, a.status, a.body)
		}
	}
}

// TestInboundHost: a host is not chosen to carry what may not come in; that of a server is none of it.
func TestInboundHost(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "", search)
	for host, status := range map[string]int{
		"13800138000.example.com": 400, "shop.example.com": 200, "shop.example.com:8080": 200, "203.0.113.7": 200, "203.0.113.7:80": 200, "[2001:db8::1]:80": 200,
		"[fe80::1%alice]": 400, "490154203237518": 400,
	} {
		for _, request := range []string{"GET / HTTP/1.1\nHost: " + host, "GET http://" + strings.Replace(host, "%", "%25", 1) + "/ HTTP/1.1\nHost: a"} {
			if got := g.rawGet(request + "\nConnection: close\n\n"); !strings.HasPrefix(got, fmt.Sprint("HTTP/1.1 ", status)) {
				t.Errorf("%s: got %.200s", request, got)
			}
		}
	}
	if got := g.rawGet("GET x490154203237518://a/ HTTP/1.1\nHost: a\nConnection: close\n\n"); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("a scheme of the client's own got %.200s", got)
	}
	if all := r.all(); strings.Contains(all, somePhone) || strings.Contains(all, someIMEI) || strings.Contains(all, "alice") {
		t.Errorf("the backend received %s", all)
	}
}

// TestInboundForwarded: that addresses may be collected says nothing of what else a proxy tells of a client.
func TestInboundForwarded(t *testing.T) {
	r := newRecorder(t)
	g := inbound(t, r, "  - {id: addresses, to: us, for: search, keep: [network]}\n"+refusesIMEI, search)
	if a := g.send("GET", "/", "", "X-Forwarded-Full-Name: Alice", "X-Real-Ip: 203.0.113.7"); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if req, _ := r.last(t); req.Header.Get("X-Forwarded-Full-Name") != "" || req.Header.Get("X-Real-Ip") == "" {
		t.Errorf("the backend got %v", req.Header)
	}
	g.send("GET", "/", "", "X-Forwarded-Imei: x").refused(t, http.StatusForbidden, "limit")
}
