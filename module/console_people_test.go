package minimize

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-minimize/minimize/module/auditlog"
)

// peopleSite has the console and the consent API.
const peopleSite = consoleSite + `
handle_path /consent/* {
	minimize_consent {
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
		}
		manage support
	}
}`

// newRegistry is a gateway with a console, a consent store, keys and an audit log.
func newRegistry(t *testing.T) *desk {
	t.Helper()
	d := &desk{prepare(t), newIssuer(t)}
	d.write("issuer.pem", d.issuer.pem())
	upstream := newBackend(t, says(jsonHead, someOrder)).addr
	if err := d.load(upstream, "consent sqlite consent.db", strings.ReplaceAll(peopleSite, "{issuer}", d.issuer.server.URL)); err != nil {
		t.Fatal(err)
	}
	return d
}

// post sends a form of the console as a browser does.
func (d *desk) post(page, as string, form url.Values) (status int, body string) {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, d.url+"/console/"+page, strings.NewReader(form.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Authorization", strings.TrimPrefix(as, "Authorization: "))
	response, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		soundPage(d.t, page, string(text))
	}
	return response.StatusCode, string(text)
}

func (d *desk) auditLog() string {
	text, err := os.ReadFile(filepath.Join(d.dir, "audit.jsonl"))
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	return string(text)
}

// TestConsoleTry: a document is judged as the gateway would, what is wrong is said in place, and nothing is left of it.
func TestConsoleTry(t *testing.T) {
	d := newRegistry(t)
	officer := d.as("officer-9", "security")
	before := d.auditLog()
	form := url.Values{
		"documents": {""}, "direction": {"response"}, "purpose": {"after_sales"}, "role": {"support"}, "operation": {"GET /api/orders"}, "document": {someOrder},
	}
	status, page := d.post("try", officer, form)
	if status != 200 || !strings.Contains(page, "138****8000") && !strings.Contains(page, "minimized") {
		t.Errorf("got %d %s", status, page)
	}
	for _, c := range []struct{ name, field, value, want string }{
		{"no document", "document", " ", "Paste a document"},
		{"broken", "document", "{\n\"a\": 1,\n  \"<script>\": }", "line 3, column 15"},
		{"cut off", "document", "{\"a\": [1", "line 1, column 9"},
		{"too long", "document", `"` + strings.Repeat("x", maxTried) + `"`, "256 KiB are the most"},
		{"an operation that is none", "operation", "orders", "The operation is"},
		{"nobody to send to", "direction", "egress", "Choose the recipient"},
		{"a role that is none", "role", "boss", "anonymous"},
		{"a claim that is none", "claims", "mfa=true team", "A claim is a name and a value"},
		{"a case that is none", "case", "ticket", "A case is its kind"},
	} {
		changed := url.Values{}
		for name, values := range form {
			changed[name] = values
		}
		changed.Set(c.field, c.value)
		status, page := d.post("try", officer, changed)
		if status != 200 || !strings.Contains(page, c.want) {
			t.Errorf("%s: got %d, and no %q in %s", c.name, status, c.want, page[:min(len(page), 6000)])
		}
		if strings.Contains(page, "<script>") {
			t.Errorf("%s: what was typed became a part of the page", c.name)
		}
	}
	d.write("rules/cases.yaml", "minimize: 1\nallow:\n  - {id: in-a-ticket, to: support, for: after_sales, case: ticket, when: {mfa: true}, keep: [contact.phone]}\n"+
		"  - {id: of-a-ward, to: guardian, for: after_sales, keep: [contact.phone]}\n")
	eventually(t, func() bool { return running.Load().loads.Load() > 0 })
	for _, c := range []struct{ more, want string }{
		{"case=ticket:u1&claims=mfa%3Dtrue+team%3Da", "in-a-ticket"},
		{"case=ticket:u2&claims=mfa%3Dtrue", "support-sees-masked"},
		{"case=ticket:u1", "support-sees-masked"},
		{"role=&id=g-1&guardian=u2+u1", "of-a-ward"},
	} {
		filled, err := url.ParseQuery(c.more)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range form {
			if !filled.Has(name) {
				filled[name] = values
			}
		}
		if _, page := d.post("try", officer, filled); !strings.Contains(page, "by <code>"+c.want) {
			t.Errorf("%s: the phone is not there by %s: %s", c.more, c.want, page)
		}
	}
	if status, _ := d.post("try", officer, url.Values{"document": {strings.Repeat("\x00", maxTried+20<<10)}}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a form without end: got %d", status)
	}
	if after := d.auditLog(); after != before {
		t.Errorf("trying wrote to the audit log: %s", after)
	}
}

// TestConsoleConsents: who may, sees what is stored of a person, and that they looked is written down before. Nobody else
// sees anything.
func TestConsoleConsents(t *testing.T) {
	d := newRegistry(t)
	privacy, officer, manager := d.as("privacy-1", "privacy"), d.as("officer-9", "security"), d.as("agent-1", "support")
	d.must("PUT", "subjects/u1/consents/after_sales", `{"event_type": "explicit", "given_by": "self"}`, manager)
	d.must("DELETE", "subjects/u1/consents/after_sales", "", manager)
	d.must("PUT", "subjects/u1", `{"minor": true, "guardians": ["g-77"]}`, manager)

	ask := url.Values{"subject": {"u1"}}
	if status, page := d.post("consents", officer, ask); status != 403 || strings.Contains(page, "after_sales") {
		t.Errorf("a role that may not search for people: %d %s", status, page)
	}
	before := strings.Count(d.auditLog(), `"event":"read"`)
	status, page := d.post("consents", privacy, ask)
	for _, want := range []string{"withdrawn", "after_sales", "a minor", "g-77", "agent-1"} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("got %d, and no %q in %s", status, want, page)
		}
	}
	if log := d.auditLog(); strings.Count(log, `"event":"read"`) != before+1 || strings.Contains(log, "u1") {
		t.Errorf("the look is not in the audit log, or the id is: %s", log)
	}
	if _, page := d.post("consents", privacy, url.Values{"subject": {"u404"}}); !strings.Contains(page, "knows nobody") {
		t.Errorf("nobody of this id: %s", page)
	}
	for _, id := range []string{"", "\x01case", strings.Repeat("x", 2000), "<b>"} {
		if status, page := d.post("consents", privacy, url.Values{"subject": {id}}); status != 200 || strings.Contains(page, "<b>") {
			t.Errorf("the id %q: got %d %s", id, status, page)
		}
	}
	if page := d.page("consents?subject=u1"); strings.Contains(page, "withdrawn") {
		t.Error("an id in the address is answered")
	}
}

// TestConsoleEvidence: the log is searched for who asked, for whom, and for a person by who may.
func TestConsoleEvidence(t *testing.T) {
	d := newRegistry(t)
	privacy, officer := d.as("privacy-1", "privacy"), d.as("officer-9", "security")
	for range 60 {
		d.get("/api/orders", d.as("agent-1", "support"))
	}
	d.get("/api/orders", d.as("agent-2", "support"))
	rows := func(page string) int { return strings.Count(page, `<td><time`) }
	token := func(id string) string { return running.Load().anyRules().token(auditlog.Caller, id) }
	for _, c := range []struct {
		name, as string
		form     url.Values
		rows     int
		want     string
	}{
		{"all, a page", officer, url.Values{}, 30, "Older entries"},
		{"the rest", officer, url.Values{"before": {"12"}}, 11, ""},
		{"a caller by id, who may not", officer, url.Values{"caller": {"agent-2"}}, 0, "may not search"},
		{"a caller by token", officer, url.Values{"caller": {token("agent-2")}}, 1, "<label>Caller's token"},
		{"a caller", privacy, url.Values{"caller": {"agent-2"}}, 1, "<label>Caller's id or token"},
		{"nobody", privacy, url.Values{"caller": {"agent-3"}}, 0, "No entry"},
		{"a role", officer, url.Values{"role": {"courier"}}, 0, "No entry"},
		{"a category below one", officer, url.Values{"category": {"contact"}}, 30, ""},
		{"a time", officer, url.Values{"until": {"2020-01-01T00:00"}}, 0, "No entry"},
		{"no time", officer, url.Values{"from": {"yesterday"}}, 0, "A time is"},
		{"a person, who may not", officer, url.Values{"subject": {"u1"}}, 0, "may not search"},
		{"a person", privacy, url.Values{"subject": {"u1"}}, 30, "61 messages, 61 about nobody else"},
		{"another person", privacy, url.Values{"subject": {"u2"}}, 0, "Nobody, as far as"},
		{"verified", officer, url.Values{"verify": {"1"}}, 30, "nothing was changed"},
	} {
		status, page := d.post("evidence", c.as, c.form)
		if status != 200 || rows(page) != c.rows || !strings.Contains(page, c.want) {
			t.Errorf("%s: got %d with %d rows, want %d and %q", c.name, status, rows(page), c.rows, c.want)
		}
	}
	if _, page := d.post("evidence", privacy, url.Values{"subject": {"u1"}, "before": {"40"}}); strings.Contains(page, "Who received what") || rows(page) != 30 {
		t.Errorf("older entries have the summary again, or are %d", rows(page))
	}
	for range cap(readingAtOnce) {
		readingAtOnce <- struct{}{}
	}
	if _, page := d.post("evidence", officer, url.Values{}); rows(page) != 0 || !strings.Contains(page, "Others are searching the log now") {
		t.Errorf("beside as many searches as there may be: %s", page)
	}
	for range cap(readingAtOnce) {
		<-readingAtOnce
	}
	if page := d.page("evidence?caller=agent-2&subject=u1"); rows(page) != 30 {
		t.Error("an id in the address is searched for")
	}

	log := filepath.Join(d.dir, "audit.jsonl")
	text := strings.Replace(d.auditLog(), `"role":"support"`, `"role":"suppart"`, 1)
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, page := d.post("evidence", officer, url.Values{"verify": {"1"}}); !strings.Contains(page, "not whole") || !strings.Contains(page, "audit.jsonl:1") {
		t.Errorf("a change is not found: %s", page)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for _, c := range []struct {
		name, log string
		whole     bool
		said      string
	}{
		{"what rotation removed", strings.Join(lines[20:], ""), true, "From entry 21 on"},
		{"an end that was removed", strings.Join(lines[20:len(lines)-1], ""), false, "its end was removed"},
		{"a last entry that was changed", strings.Join(lines[20:len(lines)-1], "") + strings.Replace(lines[len(lines)-1], "privacy", "privaty", 1), false, "another one than the head"},
	} {
		if err := os.WriteFile(log, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		_, page := d.post("evidence", officer, url.Values{"verify": {"1"}})
		if whole := strings.Contains(page, "nothing was changed"); whole != c.whole || strings.Contains(page, "not whole") == c.whole || !strings.Contains(page, c.said) {
			t.Errorf("%s: the log is whole: %v, and not said is %q", c.name, whole, c.said)
		}
	}
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(d.dir, "audit-2026-01-01T10-00-00.000.jsonl.gz")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, page := d.post("evidence", officer, url.Values{}); rows(page) != 30 || !strings.Contains(page, "1 file of the log could not be read") {
		t.Errorf("half of a compressed file: %d rows", rows(page))
	}
	if _, page := d.post("evidence", officer, url.Values{"verify": {"1"}}); !strings.Contains(page, `<span class="name">the log</span><span class="soft">it could not be read`) {
		t.Errorf("half of a compressed file is whole: %s", page)
	}
	if err := os.Remove(half); err != nil {
		t.Fatal(err)
	}
	var first struct{ Decision string }
	if err := json.Unmarshal([]byte(strings.SplitN(text, "\n", 2)[0]), &first); err != nil {
		t.Fatal(err)
	}
	if page := d.page("evidence?decision=" + first.Decision); rows(page) != 1 || !strings.Contains(page, "suppart") {
		t.Errorf("a decision leads to nothing: %s", page)
	}
}

// TestConsoleSearchIsAudited: whose entries somebody searched for by an id stands in the log before they see any, and where
// it cannot stand there, they see none.
func TestConsoleSearchIsAudited(t *testing.T) {
	d := newRegistry(t)
	privacy := d.as("privacy-1", "privacy")
	d.get("/api/orders", d.as("agent-1", "support"))
	set := running.Load().anyRules()
	for i, c := range []struct {
		form     url.Values
		searched []string // for whom, as data subjects
	}{
		{url.Values{"subject": {"u1"}}, []string{"u1"}},
		{url.Values{"caller": {"agent-1"}}, []string{"agent-1"}},
		{url.Values{"caller": {"agent-1"}, "subject": {"u1"}}, []string{"u1", "agent-1"}},
		{url.Values{"caller": {set.token(auditlog.Caller, "agent-1")}, "role": {"support"}}, nil},
		{url.Values{"subject": {"u1"}, "from": {"yesterday"}}, nil},
	} {
		before := d.auditLog()
		if status, page := d.post("evidence", privacy, c.form); status != http.StatusOK || strings.Contains(page, "searched") && i == 0 {
			t.Errorf("search %d: got %d, or found itself", i, status)
		}
		written := strings.TrimPrefix(d.auditLog(), before)
		if strings.Count(written, "\n") != len(c.searched) {
			t.Errorf("search %d: %d entries, want %d", i, strings.Count(written, "\n"), len(c.searched))
		}
		for _, id := range c.searched {
			for _, want := range []string{`"event":"searched"`, set.token(auditlog.Subject, id), set.token(auditlog.Caller, "privacy-1"), `"role":"privacy"`} {
				if !strings.Contains(written, want) {
					t.Errorf("search %d: the log lacks %s: %s", i, want, written)
				}
			}
		}
	}
	log := running.Load().audit
	log.required = true
	log.chain = auditlog.NewChain(fullDisk{}, log.chain.Head())
	if _, page := d.post("evidence", privacy, url.Values{"subject": {"u1"}}); strings.Contains(page, "<td><time") || !strings.Contains(page, "nothing is shown") {
		t.Errorf("what cannot be told of is shown: %s", page)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestConsoleToldOf: the page says what becomes of a look, as the audit log is configured.
func TestConsoleToldOf(t *testing.T) {
	for _, c := range []struct{ name, audit, want string }{
		{"none", "", "This gateway has no audit log: nothing tells that you looked."},
		{"optional", "audit output file audit.jsonl", "That you look is written to the audit log first. Where that fails, it is counted, and you see the person all the same."},
		{"required", "audit required output file audit.jsonl", "That you look is written to the audit log first, and where that fails, nothing is shown."},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &desk{prepare(t), newIssuer(t)}
			d.write("issuer.pem", d.issuer.pem())
			global := "minimize {\nrules rules/*.yaml\nkeys keys\nconsent sqlite consent.db\n" + c.audit + "\n}"
			if err := d.load("127.0.0.1:1", global, strings.ReplaceAll(peopleSite, "{issuer}", d.issuer.server.URL)); err != nil {
				t.Fatal(err)
			}
			status, page := d.post("consents", d.as("privacy-1", "privacy"), url.Values{"subject": {"u1"}})
			if status != http.StatusOK || !strings.Contains(page, "knows nobody") || !strings.Contains(page, c.want) {
				t.Errorf("got %d %s", status, page)
			}
		})
	}
}

// TestConsoleWithoutKeys: keys that cannot be read are no missing keys.
func TestConsoleWithoutKeys(t *testing.T) {
	d := newRegistry(t)
	privacy := d.as("privacy-1", "privacy")
	if err := os.RemoveAll(filepath.Join(d.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"subject", "caller"} {
		if _, page := d.post("evidence", privacy, url.Values{name: {"u1"}}); !strings.Contains(page, "keys cannot be read now") || strings.Contains(page, "<td><time") {
			t.Errorf("%s: %s", name, page)
		}
	}
	if log := d.read("caddy.log"); !strings.Contains(log, "reading the keys") {
		t.Error("the log does not say why")
	}
}
