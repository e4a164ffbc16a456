package minimize

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// mailHeaders is a backend that says in headers what is in no body.
func mailHeaders(t *testing.T) *backend {
	const said = "X-Email: ada@example.com\r\nX-Imei: 490154203237518\r\n"
	return newBackend(t, func(conn net.Conn, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n"+said+"\r\n")
		case "/none":
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\n"+said+"\r\n")
		case "/bare":
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		case "/head":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"+said+"\r\n")
		default:
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"+said+"\r\n"+`{"state":"paid"}`)
		}
	})
}

const (
	keepsEmail = `minimize: 1
roles: [support]
purposes: [after_sales]
allow: [{id: mail, to: support, for: after_sales, keep: [contact.email]}]
`
	mailSite = `minimize {
	response_headers X-Email X-Imei
	subject {http.request.uri.path.0}
	caller {
		id {header.X-Id}
		trust 127.0.0.1
		role support
		purpose after_sales
	}
}
reverse_proxy {upstream}`
)

// TestHeaderAudit: what leaves in a header is told of like what leaves in a body, also where there is no body.
func TestHeaderAudit(t *testing.T) {
	g := prepare(t)
	g.write("rules/shop.yaml", keepsEmail)
	if err := g.load(mailHeaders(t).addr, "", mailSite); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"GET /moved", "GET /none", "HEAD /head", "GET /orders", "GET /bare"} {
		method, path, _ := strings.Cut(target, " ")
		before := len(g.read("audit.jsonl"))
		a := g.do(method, path, "X-Id: clerk")
		bare := path == "/bare"
		if (a.header.Get("X-Email") == "ada@example.com") == bare || a.header.Get("X-Imei") != "" {
			t.Errorf("%s: got %d %v", target, a.status, a.header)
		}
		entry := g.read("audit.jsonl")[before:]
		values := gjson.Get(entry, "values").Map()
		switch {
		case bare && entry != "":
			t.Errorf("%s: told of nothing: %s", target, entry)
		case bare:
		case values["contact.email keep"].Int() != 1 || values["device.imei strip"].Int() != 1 || gjson.Get(entry, "subjects").Int() != 1 ||
			gjson.Get(entry, "decision").Str != a.header.Get(decisionHeader):
			t.Errorf("%s: the entry is %q", target, entry)
		}
	}
}

// TestHeaderAuditRequired: without its entry no header leaves that says something.
func TestHeaderAuditRequired(t *testing.T) {
	d, g := newDisk(t), prepare(t)
	g.write("rules/shop.yaml", keepsEmail)
	if err := g.load(mailHeaders(t).addr, onDisk+"}", mailSite); err != nil {
		t.Fatal(err)
	}
	d.fill(0)
	for _, target := range []string{"GET /moved", "GET /none", "GET /orders"} {
		method, path, _ := strings.Cut(target, " ")
		g.do(method, path, "X-Id: clerk").refused(t, http.StatusServiceUnavailable, "unavailable")
	}
	if a := g.do("HEAD", "/head", "X-Id: clerk"); a.status != http.StatusServiceUnavailable || a.header.Get("X-Email") != "" {
		t.Errorf("HEAD: got %d %v", a.status, a.header)
	}
	if a := g.do("GET", "/bare", "X-Id: clerk"); a.status != http.StatusNoContent {
		t.Errorf("an answer that says nothing is %d", a.status)
	}
}
