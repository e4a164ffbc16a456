package minimize

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// respelledRules name one operation, whose answers hold what nobody else's do. A rule for another one shows more.
const respelledRules = `minimize: 1
operations: [GET /api/secret]
undeclared: strip
fields: [{at: /f1, is: identity.national_id}]
roles: [support]
purposes: [care]
allow: [{id: a, to: support, for: care, keep: [general]}]
`

// TestRespelled: a request that a backend may take for another one is judged as that, or refused.
func TestRespelled(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{"ok":1,"f1":"SECRET"}`))
	for _, inbound := range []string{"", "inbound\n"} {
		g := prepare(t)
		g.write("rules/shop.yaml", respelledRules)
		collects := strings.ReplaceAll(respelledRules, "operations: [GET /api/secret]\nundeclared: strip\nfields: [{at: /f1, is: identity.national_id}]\n", "")
		g.write("rules/us.yaml", strings.Replace(collects, "id: a, to: support", "id: b, to: us", 1))
		if err := g.load(b.addr, "", "minimize {\n"+inbound+"caller {\nrole support\npurpose care\n}\n}\nreverse_proxy {upstream}"); err != nil {
			t.Fatal(err)
		}
		for line, want := range map[string]int{
			"GET /api/secret": 200, "HEAD /api/secret": 200, "GET /api/secret/": 200, "GET /API/Secret": 200, "GET /api/secret;x=1": 200,
			"GET /api/secret.json": 200, "GET /api/secret.xml": 200, "GET /api/secret.json/": 200, "POST /api/secret": 200, "POST /api/secret?_method=GET": 200,
			"OPTIONS /api/secret": 200, "get /api/secret": 405, "Get /api/secret": 405, "G_T /api/secret": 405, "TRACE /api/secret": 405,
			"GET /api/secret%20": 400, "GET /api/secret%09": 400, "GET /api/secret%00": 400, "GET /api/secret%C2%A0": 400, "GET /api/%20secret": 400,
			"GET /api/secret.": 400, "GET /api/secret%2e": 400, "GET /api./secret": 400, "GET /api/%c0%ae%c0%ae/secret": 400, "GET /api/secre%2574": 400,
			"GET /api/secret%0d": 400, "GET /x/..%00/api/secret": 400, "GET /x/%252e%252e/api/secret": 400, "GET /x/%2e%2e%20/api/secret": 400,
		} {
			got := g.rawGet(line + " HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
			if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) || strings.Contains(got, "SECRET") {
				t.Errorf("%q %s: want %d, got\n%s", inbound, line, want, got)
			}
		}
	}
}

// TestOtherOperationsStay: what a document shows more of holds for its own requests only.
func TestOtherOperationsStay(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{"full_name":"SECRET","f1":"SECRET"}`))
	g := prepare(t)
	g.write("rules/shop.yaml", strings.NewReplacer("undeclared: strip\n", "", "[{at: /f1", "[{at: /full_name, is: none}, {key: f1, is: none}, {at: /f1", "identity.national_id", "none").Replace(respelledRules))
	g.write("rules/post.yaml", "minimize: 1\noperations: [POST /api/secret]\nfields: [{key: f1, is: person.name}]\n")
	if err := g.load(b.addr, "", "minimize {\ncaller {\nrole support\npurpose care\n}\n}\nreverse_proxy {upstream}"); err != nil {
		t.Fatal(err)
	}
	if a := g.get("/api/secret"); strings.Count(a.body, "SECRET") != 2 {
		t.Errorf("what is none is %s", a.body)
	}
	for _, method := range []string{http.MethodPost, "PROPFIND"} {
		g.do(method, "/api/secret").hides(t, "SECRET")
	}
}

// TestStrippedFromRequests: no header tells a backend another method or path than the one that was judged.
func TestStrippedFromRequests(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{}`))
	g := start(t, b.addr, "", shop)
	for _, name := range []string{
		"X-HTTP-Method-Override", "X_HTTP_METHOD_OVERRIDE", "X-Method", "X-Original-URL", "X-Original_Url", "X-Rewrite-URL", "X-Original-Uri",
		"X-Override-Url", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Path", "X-Sendfile-Type", "X-Accel-Mapping",
	} {
		if g.get("/api/orders", name+": /api/other"); b.last().Header[http.CanonicalHeaderKey(name)] != nil {
			t.Errorf("%s reaches the backend", name)
		}
	}
	if g.get("/api/orders", "X-Forwarded-Prefix: /shop"); b.last().Header.Get("X-Forwarded-Prefix") != "/shop" {
		t.Error("the prefix that a proxy in front took away is lost")
	}
}
