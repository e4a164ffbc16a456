package minimize

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestConsentAPI: who may do what, and what is refused how. The rows build on each other.
func TestConsentAPI(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	u1, u2, dpo, agent := d.as("u1", ""), d.as("u2", ""), d.as("clerk", "dpo"), d.as("agent", "support")
	parent := d.as("parent", "", "guardian_of", "u1")
	const consents, mine = "subjects/u1/consents/after_sales", "subjects/me/consents/after_sales"
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     string // within the answer's body
	}{
		{"description, to everybody", "GET", "openapi.json", "", nil, 200, `"openapi":"3.1.0"`},
		{"description, its head", "HEAD", "openapi.json", "", nil, 200, ""},
		{"no such resource", "GET", "", "", []string{u1}, 404, "no such resource"},
		{"no such resource below", "GET", "subjects/u1/phones", "", []string{u1}, 404, "no such resource"},
		{"an id with a control character", "GET", "subjects/a%00b", "", []string{dpo}, 404, "no such resource"},
		{"an id that is too long", "GET", "subjects/" + strings.Repeat("a", 257), "", []string{dpo}, 404, "no such resource"},
		{"methods", "OPTIONS", mine, "", nil, 204, ""},
		{"other method", "POST", mine, explicit, []string{u1}, 405, "other methods"},
		{"tunnel", "TRACE", mine, "", []string{u1}, 405, "other methods"},

		{"no token", "GET", "subjects/me", "", nil, 401, "no token"},
		{"bad token", "GET", "subjects/me", "", []string{"Authorization: Bearer x.y.z"}, 401, "malformed"},
		{"token without an id", "GET", "subjects/me", "", []string{d.as("", "dpo")}, 401, "no token"},
		{"somebody else's, unknown", "GET", "subjects/nobody", "", []string{u1}, 403, "only the data subject, a guardian"},
		{"giving for somebody else", "PUT", consents, explicit, []string{u2}, 403, "only the data subject, a guardian"},
		{"a role that may not", "PUT", consents, explicit, []string{agent}, 403, "only the data subject, a guardian"},

		{"giving", "PUT", consents, explicit, []string{u1}, 204, ""},
		{"somebody else's, known", "GET", "subjects/u1", "", []string{u2}, 403, "only the data subject, a guardian"},
		{"giving again", "PUT", mine, explicit, []string{u1}, 204, ""},
		{"one's own", "GET", "subjects/me", "", []string{u1}, 200, `"event_state":"given","event_type":"explicit","given_by":"self","policy_version":6`},
		{"its head", "HEAD", "subjects/me", "", []string{u1}, 200, ""},
		{"given once", "GET", "subjects/me/history", "", []string{u1}, 200, `{"history":[{"record_id":`},
		{"nothing known", "GET", "subjects/me", "", []string{u2}, 200, `{"pii_principal_id":"u2","consents":[],"cases":[]}`},
		{"no history", "GET", "subjects/me/history", "", []string{u2}, 200, `{"history":[]}`},
		{"for a recipient", "PUT", "subjects/me/consents/advertising?recipient=ads", explicit, []string{u1}, 204, ""},
		{"for a kind of them", "PUT", "subjects/me/consents/advertising?recipient=third_party", explicit, []string{u1}, 204, ""},
		{"for some categories", "PUT", mine, `{"event_type":"separate","pii_type":["contact.phone"],"expires":"2030-01-01T00:00:00Z"}`, []string{u1}, 204, ""},
		{"as a guardian", "PUT", consents, explicit, []string{parent}, 204, ""},
		{"as a guardian who says so", "PUT", consents, `{"event_type":"explicit","given_by":"guardian"}`, []string{parent}, 204, ""},
		{"not over a guardian's", "PUT", mine, explicit, []string{u1}, 409, "a guardian gave this consent"},
		{"it stands", "GET", "subjects/me", "", []string{u1}, 200, `"given_by":"guardian"`},
		{"taking a guardian's back", "DELETE", mine, "", []string{u1}, 204, ""},
		{"as a guardian of somebody else", "PUT", "subjects/u2/consents/after_sales", explicit, []string{parent}, 403, "only the data subject"},

		{"no media type", "PUT", mine, explicit, []string{u1, "Content-Type: "}, 415, "Content-Type"},
		{"a form", "PUT", mine, explicit, []string{u1, "Content-Type: text/plain"}, 415, "Content-Type"},
		{"a form that says nothing", "PUT", "subjects/me/objections/advertising", "", []string{u1, "Content-Type: text/plain"}, 415, "Content-Type"},
		{"nothing to say", "PUT", "subjects/me/objections/advertising", "", []string{u1, "Content-Type: "}, 204, ""},
		{"other charset", "PUT", mine, explicit, []string{u1, "Content-Type: application/json; charset=utf-16"}, 415, "Content-Type"},
		{"its charset", "PUT", mine, explicit, []string{u1, "Content-Type: application/json; charset=UTF-8"}, 204, ""},
		{"no body", "PUT", mine, "", []string{u1}, 400, "no JSON object"},
		{"no object", "PUT", mine, "null", []string{u1}, 400, "no JSON object"},
		{"no level", "PUT", mine, "{}", []string{u1}, 400, "event_type"},
		{"no such level", "PUT", mine, `{"event_type":"none"}`, []string{u1}, 400, "event_type"},
		{"unknown member", "PUT", mine, `{"event_type":"explicit","level":"written"}`, []string{u1}, 400, "no JSON object"},
		{"a member twice", "PUT", mine, `{"event_type":"general","event_type":"written"}`, []string{u1}, 400, "no JSON object"},
		{"a member in capitals", "PUT", mine, `{"event_type":"general","EVENT_TYPE":"written"}`, []string{u1}, 400, "no JSON object"},
		{"a member with an odd letter", "PUT", mine, `{"event_type":"general","evidenc\u0065":"a","evidence":"b"}`, []string{u1}, 400, "no JSON object"},
		{"bad UTF-8", "PUT", mine, "{\"event_type\":\"explicit\",\"evidence\":\"\xff\"}", []string{u1}, 400, "no JSON object"},
		{"more behind it", "PUT", mine, explicit + explicit, []string{u1}, 400, "no JSON object"},
		{"cut off", "PUT", mine, explicit[:10], []string{u1}, 400, "no JSON object"},
		{"other type", "PUT", mine, `{"event_type":["explicit"]}`, []string{u1}, 400, "event_type is no string"},
		{"no time", "PUT", mine, `{"event_type":"explicit","expires":"tomorrow"}`, []string{u1}, 400, "expires is no time as in RFC 3339"},
		{"a time that is a number", "PUT", mine, `{"event_type":"explicit","expires":1}`, []string{u1}, 400, "expires is no time"},
		{"the first moment of all", "PUT", mine, `{"event_type":"explicit","expires":"0001-01-01T00:00:00Z"}`, []string{u1}, 400, "expires is the first moment of the year 1"},
		{"over already", "PUT", mine, `{"event_type":"explicit","expires":"2020-01-01T00:00:00Z"}`, []string{u1}, 400, "expires is not later than"},
		{"no number", "PUT", mine, `{"event_type":"explicit","policy_version":6.5}`, []string{u1}, 400, "policy_version is no whole number"},
		{"no list", "PUT", mine, `{"event_type":"explicit","pii_type":"contact"}`, []string{u1}, 400, "pii_type is no list of strings"},
		{"no categories", "PUT", mine, `{"event_type":"explicit","pii_type":[]}`, []string{u1}, 400, "pii_type"},
		{"categories that are null", "PUT", mine, `{"event_type":"explicit","pii_type":null}`, []string{u1}, 400, "no JSON object"},
		{"unknown category", "PUT", mine, `{"event_type":"explicit","pii_type":["contact.fone"]}`, []string{u1}, 400, "pii_type"},
		{"unknown purpose", "PUT", "subjects/me/consents/spying", explicit, []string{u1}, 400, "no such purpose"},
		{"unknown recipient", "PUT", mine + "?recipient=evil", explicit, []string{u1}, 400, "no such recipient"},
		{"two recipients", "PUT", mine + "?recipient=ads&recipient=own", explicit, []string{u1}, 400, "one recipient"},
		{"empty recipient", "PUT", mine + "?recipient=", explicit, []string{u1}, 400, "one recipient"},
		{"other parameter", "PUT", mine + "?recipent=ads", explicit, []string{u1}, 400, "one recipient"},
		{"later policy", "PUT", mine, `{"event_type":"explicit","policy_version":7}`, []string{u1}, 400, "policy_version"},
		{"negative policy", "PUT", mine, `{"event_type":"explicit","policy_version":-1}`, []string{u1}, 400, "policy_version"},
		{"as somebody else", "PUT", mine, `{"event_type":"explicit","given_by":"guardian"}`, []string{u1}, 400, "given_by"},
		{"long evidence", "PUT", mine, `{"event_type":"explicit","evidence":"` + strings.Repeat("e", 1025) + `"}`, []string{u1}, 400, "evidence"},
		{"long body", "PUT", mine, `{"event_type":"explicit","evidence":"` + strings.Repeat("e", maxChange) + `"}`, []string{u1}, 413, "longer than"},

		{"withdrawing", "DELETE", mine, "", []string{u1}, 204, ""},
		{"withdrawing again", "DELETE", mine, "", []string{u1}, 204, ""},
		{"withdrawing what rules do not know", "DELETE", "subjects/me/consents/spying?recipient=evil", "", []string{u1}, 204, ""},
		{"withdrawing with a remark", "DELETE", mine, `{"evidence":"letter 4"}`, []string{u1}, 204, ""},
		{"withdrawing with more", "DELETE", mine, `{"event_type":"general"}`, []string{u1}, 400, "no JSON object"},
		{"withdrawing with a form", "DELETE", mine, "evidence=x", []string{u1, "Content-Type: text/plain"}, 415, "Content-Type"},
		{"objecting", "PUT", "subjects/me/objections/advertising", "", []string{u1}, 204, ""},
		{"lifting it", "DELETE", "subjects/me/objections/advertising", "", []string{u1}, 204, ""},
		{"restricting", "PUT", "subjects/me/restrictions/advertising", "{}", []string{u1}, 204, ""},
		{"restricting all", "PUT", "subjects/me/restrictions", "", []string{u1}, 204, ""},
		{"lifting that", "DELETE", "subjects/me/restrictions", "", []string{u1}, 204, ""},
		{"an encoded slash", "PUT", "subjects/me/objections/a%2Fb", "", []string{u1}, 204, ""},
		{"it is one name", "GET", "subjects/me", "", []string{u1}, 200, `"purpose":"a/b"`},

		{"profile, by the data subject", "PUT", "subjects/me", `{"minor":false}`, []string{u1}, 403, "role that manages"},
		{"profile", "PUT", "subjects/u1", `{"birth_date":"2015-02-03","guardians":["aunt"],"policy_version":6}`, []string{dpo}, 204, ""},
		{"profile that says nothing", "PUT", "subjects/u1", `{}`, []string{dpo}, 400, "says nothing"},
		{"profile with no truth", "PUT", "subjects/u1", `{"minor":"no"}`, []string{dpo}, 400, "minor is no bool"},
		{"profile that takes all back", "PUT", "subjects/u2", `{"minor":false}`, []string{dpo}, 204, ""},
		{"profile that cannot be", "PUT", "subjects/u1", `{"birth_date":"2015-02-30"}`, []string{dpo}, 400, "birth_date is not a date"},
		{"profile with an end", "PUT", "subjects/u1", `{"ended":"2020-01-01T00:00:00Z"}`, []string{dpo}, 400, "no JSON object"},
		{"as a guardian whom the store knows", "PUT", consents, explicit, []string{d.as("aunt", "")}, 204, ""},
		{"by whom", "GET", "subjects/u1", "", []string{d.as("aunt", "")}, 200, `"given_by":"guardian"`},
		{"manager, over a guardian's", "PUT", consents, `{"event_type":"written","given_by":"self"}`, []string{dpo}, 409, "a guardian gave this consent"},
		{"manager takes it back", "DELETE", consents, "", []string{dpo}, 204, ""},
		{"manager who does not say who gave it", "PUT", consents, explicit, []string{dpo}, 400, "given_by"},
		{"manager", "PUT", consents, `{"event_type":"written","given_by":"self","evidence":"scan-17"}`, []string{dpo}, 204, ""},
		{"manager looks", "GET", "subjects/u1", "", []string{dpo}, 200, `"entity_id":"clerk"`},

		{"case, by the data subject", "GET", "cases/t1", "", []string{u1}, 403, "role that manages"},
		{"case, unknown", "GET", "cases/t1", "", []string{dpo}, 404, "no such case"},
		{"closing an unknown one", "DELETE", "cases/t1", "", []string{dpo}, 404, "no such case"},
		{"case without a kind", "PUT", "cases/t1", `{"pii_principal_id":"u1"}`, []string{dpo}, 400, "kind is not"},
		{"case that no rule asks for", "PUT", "cases/t1", `{"kind":"tickett","pii_principal_id":"u1"}`, []string{dpo}, 400, "no rule asks for"},
		{"case without an end that has one", "PUT", "cases/t1", `{"kind":"ticket","pii_principal_id":"u1","ends":"0001-01-01T00:00:00Z"}`, []string{dpo}, 400, "ends is the first moment of the year 1"},
		{"case of no role", "PUT", "cases/t1", `{"kind":"ticket","pii_principal_id":"u1","roles":["support","suport"]}`, []string{dpo}, 400, "roles names one"},
		{"case of a role", "PUT", "cases/t2", `{"kind":"ticket","pii_principal_id":"u2","roles":["support"]}`, []string{dpo}, 204, ""},
		{"case", "PUT", "cases/t1", `{"kind":"ticket","pii_principal_id":"u1","callers":["agent"]}`, []string{dpo}, 204, ""},
		{"case again", "PUT", "cases/t1", `{"kind":"ticket","pii_principal_id":"u1","callers":["agent"]}`, []string{dpo}, 204, ""},
		{"case of somebody else", "PUT", "cases/t1", `{"kind":"ticket","pii_principal_id":"u2","callers":["agent"]}`, []string{dpo}, 409, "contradicts"},
		{"the case", "GET", "cases/t1", "", []string{dpo}, 200, `{"case_id":"t1","kind":"ticket","pii_principal_id":"u1","callers":["agent"]}`},
		{"its data subject sees it", "GET", "subjects/me", "", []string{u1}, 200, `"cases":[{"case_id":"t1","kind":"ticket","pii_principal_id":"u1"}]`},
		{"closing it", "DELETE", "cases/t1", "", []string{dpo}, 204, ""},
		{"closing it again", "DELETE", "cases/t1", "", []string{dpo}, 204, ""},

		{"deleting somebody else", "DELETE", "subjects/u1", "", []string{u2}, 403, "only the data subject"},
		{"deleting", "DELETE", "subjects/me", "", []string{u1}, 204, ""},
		{"deleting again", "DELETE", "subjects/me", "", []string{u1}, 204, ""},
		{"a profile does not undo it", "PUT", "subjects/u1", `{"birth_date":"2015-02-03"}`, []string{dpo}, 409, "deleted"},
		{"nor does a consent", "PUT", mine, explicit, []string{u1}, 409, "deleted"},
		{"withdrawing, deleted", "DELETE", consents, "", []string{dpo}, 204, ""},
		{"deleted", "GET", "subjects/u1", "", []string{dpo}, 200, `"ended":"`},
	} {
		a := d.call(test.method, test.path, test.body, test.header...)
		if a.status != test.status || !strings.Contains(a.body, test.want) {
			t.Errorf("%s: got %d %s, want %d %s", test.name, a.status, a.body, test.status, test.want)
			continue
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" || a.header.Get(decisionHeader) == "" {
			t.Errorf("%s: Cache-Control is %q, the decision %q", test.name, got, a.header.Get(decisionHeader))
		}
		problem := a.header.Get("Content-Type") == "application/problem+json"
		if problem != (test.status >= 400) || (a.header.Get("Allow") != "") != (test.status == 405 || test.method == "OPTIONS") {
			t.Errorf("%s: the header is %v", test.name, a.header)
		}
		if challenge := a.header.Get("WWW-Authenticate"); strings.HasPrefix(challenge, "Bearer") != (test.status == 401) {
			t.Errorf("%s: the challenge is %q", test.name, challenge)
		}
		if test.method == "HEAD" && a.body != "" {
			t.Errorf("%s: has a body", test.name)
		}
	}
	entries := d.call("GET", "subjects/u1/history", "", dpo).body
	if n := strings.Count(entries, `"event_state":"withdrawn"`); n != 4 {
		t.Errorf("four withdrawals, repeated, are %d entries: %s", n, entries)
	}
	if got := d.call("GET", "subjects/me", "", u1).body; strings.Contains(got, "clerk") {
		t.Errorf("the data subject sees who acted for us: %s", got)
	}
	// Nobody learns from a refusal whether somebody is known.
	known, unknown := d.call("GET", "subjects/u1", "", u2), d.call("GET", "subjects/nobody", "", u2)
	for _, a := range []*answer{known, unknown} {
		a.body = strings.Replace(a.body, a.header.Get(decisionHeader), "", 1)
		a.header.Del(decisionHeader)
		a.header.Del("Date")
	}
	if known.body != unknown.body || !maps.EqualFunc(known.header, unknown.header, slices.Equal[[]string]) {
		t.Errorf("refusals differ: %v %v", known, unknown)
	}
}

// TestConsentAudit: changes, and looks at somebody else's, are told of without an id or a word that a client made up.
func TestConsentAudit(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	given, withdrawn := counter(t, "caddy_minimize_consent_changes_total", "given"), counter(t, "caddy_minimize_consent_changes_total", "withdrawn")
	d.must("PUT", "subjects/me/consents/advertising?recipient=ads", explicit, d.as("subject-u1", ""))
	a := d.call("PUT", "subjects/me/objections/made-up?recipient=words", "", d.as("subject-u1", ""))
	for _, path := range []string{"consents/made-up", "objections/advertising", "restrictions/advertising", "restrictions", "consents/after_sales"} {
		d.must("DELETE", "subjects/me/"+path, "", d.as("subject-u1", "")) // of what is not there
	}
	d.must("PUT", "subjects/me/consents/advertising?recipient=ads", explicit, d.as("subject-u1", "")) // says nothing new
	d.call("GET", "subjects/subject-u1", "", d.as("subject-u1", ""))
	d.call("GET", "subjects/subject-u1", "", d.as("clerk-7", "dpo"))
	d.call("GET", "subjects/subject-u1/history", "", d.as("clerk-7", "dpo"))
	if got := counter(t, "caddy_minimize_consent_changes_total", "given") - given; got != 1 {
		t.Errorf("%v consents are counted", got)
	}
	if got := counter(t, "caddy_minimize_consent_changes_total", "withdrawn") - withdrawn; got != 0 {
		t.Errorf("%v withdrawals of nothing are counted", got)
	}
	audit := d.read("audit.jsonl")
	var subjects []string
	lines := strings.Split(strings.TrimSpace(audit), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), audit)
	}
	for i, want := range []map[string]any{
		{"event": "given", "purpose": "advertising", "recipient": "ads", "level": "explicit", "given_by": "self", "role": "none"},
		{"event": "objected", "purpose": "other", "recipient": "other", "decision": a.header.Get(decisionHeader)},
		{"event": "read", "role": "dpo"},
		{"event": "read", "role": "dpo"},
	} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		want["direction"] = "consent"
		for name, value := range want {
			if line[name] != value {
				t.Errorf("line %d: %s is %v, want %v", i, name, line[name], value)
			}
		}
		if subject := line["subject"].(string); subject == line["caller"] || i > 0 && subject != subjects[0] || !strings.HasPrefix(subject, "hm1_") {
			t.Errorf("line %d: %v", i, line)
		}
		subjects = append(subjects, line["subject"].(string))
	}
	for _, word := range []string{"subject-u1", "clerk-7", "made-up", "words"} {
		if strings.Contains(audit, word) || strings.Contains(d.read("caddy.log"), `"`+word+`"`) {
			t.Errorf("a log shows %s", word)
		}
	}
}

// TestConsentDescription: the OpenAPI document and the handler know the same paths and methods.
func TestConsentDescription(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	described := make(map[string]bool)
	for path, methods := range document.Paths {
		for method := range methods {
			if method != "parameters" && method != "description" {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for _, r := range resources {
		path := "/" + r.path
		for _, name := range []string{"subject", "purpose"} {
			path = strings.Replace(path, "*", "{"+name+"}", 1)
		}
		if strings.HasPrefix(r.path, "cases") {
			path = "/cases/{case}"
		}
		for method := range r.methods {
			if !described[method+" "+path] {
				t.Errorf("%s %s is not described", method, path)
			}
			delete(described, method+" "+path)
		}
	}
	for left := range described {
		t.Errorf("%s is described and not there", left)
	}
}

// TestConsentAPIErrors: what cannot be meant does not load.
func TestConsentAPIErrors(t *testing.T) {
	const store = "consent sqlite consent.db"
	for _, test := range []struct{ name, global, site, want string }{
		{"no store", "", "minimize_consent {\ncaller {\nid {http.auth.user.id}\n}\n}", "there is no consent store"},
		{"no caller", store, "minimize_consent", "an id is missing"},
		{"no id", store, "minimize_consent {\ncaller {\nrole dpo\n}\n}", "an id is missing"},
		{"constant id", store, "minimize_consent {\ncaller {\nid everybody\n}\n}", "a constant id"},
		{"a header as an id", store, "minimize_consent {\ncaller {\nid {header.X-Id}\n}\n}", "can be written by every client"},
		{"role that nobody has", store, "minimize_consent {\ncaller {\nid {http.auth.user.id}\n}\nmanage suport\n}", "the role \"suport\""},
		{"case from a header", "", asks("case {header.X-Case}\npurpose after_sales"), "can be written by every client"},
		{"case from the path", "", asks("case {path.1}\npurpose after_sales"), "is nothing that authentication establishes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t)
			if err := g.load("127.0.0.1:1", test.global, test.site); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want %s", err, test.want)
			}
		})
	}
}

// TestConsentAPIIsNoBackend: a site with the API alone bypasses nothing.
func TestConsentAPIIsNoBackend(t *testing.T) {
	d := newDesk(t, "sqlite consent.db", says(jsonHead, someOrder))
	if n := counter(t, "caddy_minimize_routes", "uncovered"); n != 0 {
		t.Errorf("%v routes are said to bypass minimize", n)
	}
	if a := d.do(http.MethodGet, "/consent/openapi.json"); a.status != 200 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v", a.status, a.header)
	}
}
