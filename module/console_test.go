package minimize

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/module/console"
)

// consoleSite serves the console below a prefix, and the shop below /api/.
const consoleSite = `minimize_console /console/* {
	caller {
		jwt issuer {issuer} audience shop key issuer.pem
		id {claim.sub}
		role {claim.role}
	}
	roles security privacy
	people privacy
}
minimize /api/* {
	caller {
		jwt issuer {issuer} audience shop key issuer.pem
		id {claim.sub}
		role {claim.role}
		purpose {claim.purpose}
	}
}
reverse_proxy /api/* {upstream}`

// watch is a gateway with a console, in front of a shop that answers with an order. Its rings start empty.
func newWatch(t *testing.T, site string) *desk {
	t.Helper()
	d := &desk{prepare(t), newIssuer(t)}
	d.write("issuer.pem", d.issuer.pem())
	recentMessages = new(recent)
	if err := d.load(newBackend(t, says(jsonHead, someOrder)).addr, "", strings.ReplaceAll(site, "{issuer}", d.issuer.server.URL)); err != nil {
		t.Fatal(err)
	}
	return d
}

// page gets a page of the console as a security officer, and checks what holds for all of them.
func (d *desk) page(path string) string {
	d.t.Helper()
	a := d.get("/console/"+path, d.as("officer-9", "security"))
	if a.status != http.StatusOK {
		d.t.Fatalf("%s: got %d %s", path, a.status, a.body)
	}
	soundPage(d.t, path, a.body)
	return a.body
}

// soundPage: what is open is closed, no id is there twice, and nothing in it needs more than the policy lets it have.
func soundPage(t *testing.T, name, page string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, []string{"meta", "link", "input", "br"}, xml.HTMLEntity
	ids := make(map[string]bool)
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		start, _ := token.(xml.StartElement)
		for _, attr := range start.Attr {
			switch key := attr.Name.Local; {
			case key == "id" && ids[attr.Value]:
				t.Errorf("%s: the id %s is there twice", name, attr.Value)
			case key == "id":
				ids[attr.Value] = true
			case key == "style" || strings.HasPrefix(key, "on"):
				t.Errorf("%s: the attribute %s is against the policy", name, key)
			case (key == "href" || key == "src" || key == "action") && (strings.Contains(attr.Value, ":") || strings.HasPrefix(attr.Value, "/")):
				t.Errorf("%s: the link %q is not relative", name, attr.Value)
			}
		}
	}
	if scripts := strings.Count(page, "<script"); scripts != 1 || !strings.Contains(page, `<script src="static/console.`) {
		t.Errorf("%s: %d scripts", name, scripts)
	}
}

// TestConsoleCallers: who sees the console, and how everybody else is refused.
func TestConsoleCallers(t *testing.T) {
	d := newWatch(t, consoleSite)
	officer := d.as("officer-9", "security")
	for _, test := range []struct {
		name, method, path string
		header             []string
		status             int
	}{
		{"nobody", "GET", "now", nil, 401},
		{"a bad token", "GET", "now", []string{"Authorization: Bearer x.y.z"}, 401},
		{"another role", "GET", "now", []string{d.as("agent-1", "support")}, 403},
		{"no id", "GET", "now", []string{d.as("", "security")}, 403},
		{"a role in a header", "GET", "now", []string{"X-Role: security", "Role: security"}, 401},
		{"a page that is not there, to nobody", "GET", "nope", nil, 401},
		{"page", "GET", "now", []string{officer}, 200},
		{"the root", "GET", "", []string{officer}, 200},
		{"its head", "HEAD", "now", []string{officer}, 200},
		{"one role of several", "GET", "matrix", []string{d.as("officer-9", "support,security")}, 200},
		{"flows", "GET", "flows", []string{d.as("officer-9", "privacy")}, 200},
		{"a page that is not there", "GET", "nope", []string{officer}, 404},
		{"a method", "PUT", "now", []string{officer}, 405},
		{"a form to a page without one", "POST", "now", []string{officer}, 405},
		{"a form", "POST", "try", []string{officer, "Sec-Fetch-Site: same-origin"}, 200},
		{"a form of another site", "POST", "try", []string{officer, "Sec-Fetch-Site: cross-site"}, 403},
		{"a form of an old browser from another site", "POST", "try", []string{officer, "Origin: https://evil.example"}, 403},
		{"an asset that is not there", "GET", "static/console.css", nil, 404},
		{"the rules' source is no asset", "GET", "static/now.html", []string{officer}, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := d.do(test.method, "/console/"+test.path, test.header...)
			if a.status != test.status {
				t.Fatalf("got %d, want %d: %s", a.status, test.status, a.body)
			}
			if got := a.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
				t.Errorf("the type is %q", got)
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
					"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			challenge := ""
			if test.status == 401 { // RFC 6750 section 3: an error only where a token came
				if challenge = "Bearer"; len(test.header) > 0 && strings.HasPrefix(test.header[0], "Authorization") {
					challenge = `Bearer error="invalid_token", error_description="` + errTokenMalformed.Error() + `"`
				}
			}
			if got := a.header.Get("WWW-Authenticate"); got != challenge {
				t.Errorf("WWW-Authenticate is %q, want %q", got, challenge)
			}
			if (a.header.Get("Allow") != "") != (test.status == 405) {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
			if test.method == "HEAD" {
				if a.body != "" || a.header.Get("Content-Length") == "0" {
					t.Errorf("a head with %q", a.body)
				}
				return
			}
			soundPage(t, test.path, a.body)
			if shows := strings.Contains(a.body, "<nav"); shows != (test.status == 200) {
				t.Errorf("the page is %s", a.body)
			}
		})
	}
}

// TestConsoleAssets: whoever is refused sees a page that looks like one, and what is linked is there, for good.
func TestConsoleAssets(t *testing.T) {
	d := newWatch(t, consoleSite)
	refused := d.get("/console/now").body
	links := regexp.MustCompile(`(?:href|src)="(static/[^"]*)"`).FindAllStringSubmatch(refused, -1)
	if len(links) != 3 {
		t.Fatalf("%d files are linked: %s", len(links), refused)
	}
	for _, link := range links {
		a := d.get("/console/" + link[1])
		if a.status != http.StatusOK || len(a.body) < 100 || a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: got %d %v", link[1], a.status, a.header)
		}
	}
}

// TestConsoleNow: what is judged appears, refusals first, in words of the rules and never a value.
func TestConsoleNow(t *testing.T) {
	d := newWatch(t, consoleSite)
	if page := d.page("now"); !strings.Contains(page, "No message yet") {
		t.Errorf("an empty page is %s", page)
	}
	d.get("/api/orders?imei="+someIMEI, d.as("agent-17", "support"))
	broken := newBackend(t, says(jsonHead, `{"phone":`+somePhone)).addr
	if err := d.load(broken, "", strings.ReplaceAll(consoleSite, "{issuer}", d.issuer.server.URL)); err != nil {
		t.Fatal(err)
	}
	d.get("/api/secret-path/c-77", d.as("agent-17", "support"))
	page := d.page("now")
	for _, want := range []string{
		"The last 2 messages", `unreadable`, `<strong>support</strong>`, "GET /api/**", "for after_sales", "contact.phone",
		`<span class="a a-mask">mask</span>`, `<span class="a a-strip">strip</span> device.imei`, `<span class="state s-good">enforced</span>`, "all documents",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	refused := between(page, `id="refused"`, "</tbody>")
	if strings.Count(refused, "<tr") != 1 || !strings.Contains(refused, "unreadable") {
		t.Errorf("the refusals are %s", refused)
	}
	if rows := strings.Count(between(d.page("now?show=changed"), `id="messages"`, "</tbody>"), "data-key="); rows != 1 {
		t.Errorf("%d messages were minimized", rows)
	}
	if rows := strings.Count(between(d.page("now?direction=egress"), `id="messages"`, "</tbody>"), "data-key="); rows != 0 {
		t.Errorf("%d messages went to recipients", rows)
	}
	for _, name := range []string{"now", "matrix?every=1", "flows", "now?show=" + somePhone, "flows?group=" + somePhone, "matrix?cell=" + somePhone} {
		(&answer{body: d.page(name)}).hides(t, somePhone, someIMEI, "secret-path", "c-77", "agent-17", "officer-9")
	}
}

// between is the part of a text from one word to the next other one.
func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

// TestConsoleRoutes: a page says where nothing is minimized.
func TestConsoleRoutes(t *testing.T) {
	d := newWatch(t, strings.Replace(consoleSite, "purpose {claim.purpose}\n\t}", "purpose {claim.purpose}\n\t}\n\tmode report", 1)+"\nreverse_proxy /old/* {upstream}")
	d.get("/api/orders", d.as("agent-17", "support"))
	page := d.page("now")
	for _, want := range []string{
		`<span class="state s-bad">not covered</span>`, "/old/*", "reaches reverse_proxy", `<span class="state s-warn">report</span>`,
		"nothing is minimized there", "would be minimized",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	enforced := &Handler{Mode: modeEnforce, route: &route{}}
	for protected, want := range map[bool]console.State{true: console.Enforced, false: console.Unprotected} {
		if got := enforced.routeState("a route", map[string]bool{"a route": protected}); got.State != want || got.Note == "" {
			t.Errorf("where the canary says %v the route is %v", protected, got)
		}
	}
	if i, j := strings.Index(page, "not covered"), strings.Index(page, ">report<"); i > j {
		t.Error("what is worst is not first")
	}
}

// TestConsoleAuditHealth: an audit log that is written again is no broken one, and what was lost is not forgotten.
func TestConsoleAuditHealth(t *testing.T) {
	d := newRegistry(t)
	log := running.Load().audit
	whole := log.chain
	log.chain = auditlog.NewChain(fullDisk{}, whole.Head())
	d.get("/api/orders", d.as("agent-1", "support"))
	if page := d.page("now"); !strings.Contains(page, "cannot be written: ") {
		t.Errorf("a full disk is not told of: %s", page)
	}
	log.chain = whole
	d.get("/api/orders", d.as("agent-1", "support"))
	if page := d.page("now"); !strings.Contains(page, "is written again; ") || strings.Contains(page, "cannot be written: ") {
		t.Errorf("a log that is written again is told of as %s", page)
	}
}

// TestConsoleOrganisations: for whom somebody reads is on Now and in Evidence, where the register has it; what else a token says
// is nowhere.
func TestConsoleOrganisations(t *testing.T) {
	site := strings.ReplaceAll(consoleSite, "role {claim.role}\n\t\tpurpose", "role {claim.role}\n\t\torganisation {claim.org}\n\t\tpurpose")
	d := newWatch(t, site)
	d.write("rules/register.yaml", "minimize: 1\nrecipients:\n  callcentre: {kind: own, purposes: [after_sales]}\n")
	global := "minimize {\nrules rules/*.yaml\nkeys keys\naudit output file audit.jsonl\n}"
	if err := d.load(newBackend(t, says(jsonHead, someOrder)).addr, global, strings.ReplaceAll(site, "{issuer}", d.issuer.server.URL)); err != nil {
		t.Fatal(err)
	}
	d.get("/api/orders", d.as("agent-1", "support", "org", "callcentre"))
	d.get("/api/orders", d.as("agent-2", "support", "org", "a-stranger"))
	for _, name := range []string{"now", "evidence"} {
		page := d.page(name)
		for _, want := range []string{"<strong>support</strong> of <strong>callcentre</strong>", "<strong>support</strong> of <strong>unregistered</strong>"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %s: %s", name, want, page)
			}
		}
		(&answer{body: page}).hides(t, "a-stranger")
	}
	d.get("/api/orders", d.as("agent-2", "support", "org", "a-stranger"))
	log := d.read("caddy.log")
	if strings.Count(log, "the organisation of a caller is in no register") != 1 || !strings.Contains(log, `"from":"{claim.org}"`) {
		t.Errorf("who was refused cannot be found: %s", log)
	}
	(&answer{body: d.auditLog() + log}).hides(t, "a-stranger", "agent-2")
}

// TestConsoleHiddenRoutes: a handler that coverage cannot find, because it stands inside of one that it does not know, is
// listed, too, by what the canary got there.
func TestConsoleHiddenRoutes(t *testing.T) {
	d := newWatch(t, consoleSite)
	app := running.Load()
	hidden := &Handler{Mode: modeEnforce, route: &route{}}
	hidden.route.handler = hidden
	if err := app.add(hidden.route); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return app.canary.shown.Load() != nil })
	for protected, want := range map[bool]string{true: "enforced", false: "not protected"} {
		app.canary.shown.Store(&map[string]bool{hiddenRoute: protected})
		row := between(d.page("now"), `id="routes"`, "</ul>")
		if !strings.Contains(row, hiddenRoute) || strings.Contains(row, "not protected") == protected {
			t.Errorf("want it %s: %s", want, row)
		}
	}
}

// hostileRules name what they can as no author would.
const hostileRules = `minimize: 1
operations: ['GET /api/"><script>alert(1)</script>/**']
roles: [support]
purposes: [after_sales]
categories: {loyalty.score: {grade: personal}}
allow:
  # </blockquote><script>alert("clause")</script>
  - {id: hostile, to: support, for: after_sales, when: {'a': '"><script>alert(2)</script>'}, keep: [loyalty.score]}
limit:
  - {id: lawful, to: support, law: '</dd><img src=x onerror=alert(3)>', over: 5/day, mask: [loyalty.score]}
`

// TestConsoleHostileNames: what rules, files and clients write is text on every page.
func TestConsoleHostileNames(t *testing.T) {
	d := newWatch(t, consoleSite)
	d.write(`rules/it's"<b>.yaml`, hostileRules)
	site := strings.ReplaceAll(consoleSite, "{issuer}", d.issuer.server.URL) + "\nminimize `/x\"><script>` {\ndocuments `it's\"<b>`\n}"
	if err := d.load("127.0.0.1:1", "", site); err != nil {
		t.Fatal(err)
	}
	d.get(`/api/%22%3E%3Cscript%3Ealert(1)%3C/script%3E/x`, d.as("u1", "support"))
	for path, want := range map[string]string{
		"now": "&lt;script&gt;",
		"matrix?documents=it%27s%22%3Cb%3E&purpose=after_sales&cell=loyalty.score,support": "&lt;/dd&gt;&lt;img src=x onerror=alert(3)&gt;",
		"matrix?cell=%22%3E%3Cscript%3E,%22&group=%22%3E%3Cscript%3E":                      `<option value="" selected>all</option>`,
		"flows?group=%22%3E%3Cscript%3E":                                                   `<option value="" selected>all, by group</option>`,
		"now?show=%22%3E%3Cscript%3E&direction=%22%3E%3Cscript%3E":                         "Messages",
	} {
		if page := d.page(path); !strings.Contains(page, want) {
			t.Errorf("%s lacks %s: %s", path, want, page)
		}
	}
}

// TestConsoleMatrix: a cell leads to its rules, to the clause above them and to what they ask for.
func TestConsoleMatrix(t *testing.T) {
	d := newWatch(t, consoleSite)
	d.write("rules/shop.yaml", strings.Replace(shopRules, "  - {id: support-sees", "  # 1.A.a.6: support calls buyers back.\n  # lint: overlap because\n  - {id: support-sees", 1)+
		"limit:\n  - {id: snooping, to: support, law: PIPL 6, over: 50/day, strip: [contact]}\n")
	eventually(t, func() bool { return running.Load().loads.Load() > 0 })
	page := d.page("matrix")
	for _, want := range []string{
		`<option value="after_sales" selected>`, `<th scope="col">finance<small>role</small></th>`, "contact.phone for support: mask, unless a limit lowers it",
		`<dt><i>l</i></dt><dd>unless a limit lowers it</dd>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the matrix lacks %q: %s", want, page)
		}
	}
	if page := d.page("matrix?group=device"); strings.Contains(page, "<code>contact") || !strings.Contains(page, "<code>device") {
		t.Errorf("the group has others: %s", page)
	}
	link := regexp.MustCompile(`href="(matrix\?cell=contact.phone%2Csupport&[^"]*)#detail"`).FindStringSubmatch(page)
	if link == nil {
		t.Fatalf("no cell leads to its detail: %s", page)
	}
	page = d.page(strings.ReplaceAll(link[1], "&amp;", "&"))
	for _, want := range []string{
		`id="detail"`, "<code>contact.phone</code> for support", "support-sees-masked", "<blockquote>1.A.a.6: support calls buyers back.</blockquote>", "shop.yaml:13",
		"snooping", "<dd>PIPL 6</dd>", "50 data subjects per caller and day", "- {id: snooping, to: support", `aria-current="true"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the detail lacks %q: %s", want, page)
		}
	}
	if strings.Contains(page, "finance-sees-all") {
		t.Error("the detail has a rule for somebody else")
	}
	for _, path := range []string{"matrix?purpose=spying", "matrix?documents=nope"} {
		if a := d.get("/console/"+path, d.as("officer-9", "security")); a.status != http.StatusNotFound {
			t.Errorf("%s: got %d", path, a.status)
		}
	}
}

// TestConsoleFlows: what was sent is counted by category, recipient and country; what was refused beside it.
func TestConsoleFlows(t *testing.T) {
	d := newWatch(t, consoleSite)
	collectors.disclosures.Reset()
	if page := d.page("flows"); !strings.Contains(page, "Nothing was sent") || strings.Contains(page, "<path") {
		t.Errorf("an empty page is %s", page)
	}
	for range 3 {
		d.get("/api/orders", d.as("agent-17", "support"))
	}
	collectors.disclosures.WithLabelValues("device.imei", "ads-partner", "US").Add(1200)
	page := d.page("flows")
	for _, want := range []string{
		"1,203 values were sent", `<td>ads-partner</td><td>US</td><td class="number">1,200</td>`, `<td>callers</td>`, "device to ads-partner, US: 1,200",
		`href="flows?group=device"`, `<th scope="row"><code>support</code></th>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if page := d.page("flows?group=device"); !strings.Contains(page, "1,200 values were sent of device") || !strings.Contains(page, "<code>device.imei</code>") {
		t.Errorf("the group is %s", page)
	}
}

// TestConsoleErrors: a console that everybody could see, or nobody, does not load.
func TestConsoleErrors(t *testing.T) {
	const caller = "caller {\nid {http.auth.user.id}\nrole {http.auth.user.role}\n}"
	for _, test := range []struct{ name, site, want string }{
		{"no roles", "minimize_console {\n" + caller + "\n}", "nobody may see the console"},
		{"empty roles", "minimize_console {\n" + caller + "\nroles\n}", "argument"},
		{"no caller", "minimize_console {\nroles security\n}", "an id is missing"},
		{"no id", "minimize_console {\ncaller {\nrole {http.auth.user.role}\n}\nroles security\n}", "an id is missing"},
		{"constant id", "minimize_console {\ncaller {\nid me\nrole security\n}\nroles security\n}", "a constant id"},
		{"no role", "minimize_console {\ncaller {\nid {http.auth.user.id}\n}\nroles security\n}", "a role is missing"},
		{"a header as a role", "minimize_console {\ncaller {\nid {http.auth.user.id}\nrole {header.X-Role}\n}\nroles security\n}", "can be written by every client"},
		{"people beside the roles", "minimize_console {\n" + caller + "\nroles security\npeople privacy\n}", `the role "privacy" may not see the console`},
		{"unknown option", "minimize_console {\n" + caller + "\nroles security\npages now\n}", "unknown option"},
		{"a path of one page", "minimize_console /console {\n" + caller + "\nroles security\n}", "write `minimize_console /console/*`"},
		{"a named matcher of one page", "@c path /a/ /b\nminimize_console @c {\n" + caller + "\nroles security\n}", "write `minimize_console /a/*`"},
		{"before a backend", "minimize_console {\n" + caller + "\nroles security\n}\nreverse_proxy {upstream}", "write `minimize_console /console/*`"},
		{"before a block", "minimize_console {\n" + caller + "\nroles security\n}\nhandle /api/* {\nrespond ok\n}", "what stands behind it gets none"},
		{"before a block of its own block", "handle /c/* {\nminimize_console {\n" + caller + "\nroles security\n}\nrespond ok\n}", "what stands behind it gets none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := prepare(t)
			if err := g.load("127.0.0.1:1", "", test.site); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want %s", err, test.want)
			}
		})
	}
}

// TestConsolePages: the navigation and the handler know the same pages.
func TestConsolePages(t *testing.T) {
	if len(consolePages) != len(console.Pages) {
		t.Errorf("%d pages are gathered, %d are in the navigation", len(consolePages), len(console.Pages))
	}
	for _, p := range console.Pages {
		if consolePages[p.Name].gather == nil {
			t.Errorf("nobody gathers %s", p.Name)
		}
	}
}

// TestConsoleStands: below handle_path as below a matcher; it is no backend; and without one nothing is remembered.
func TestConsoleStands(t *testing.T) {
	site := strings.Replace(consoleSite, "minimize_console /console/* {", "handle_path /console/* {\nminimize_console {", 1)
	site = strings.Replace(site, "people privacy\n}", "people privacy\n}\n}", 1)
	d := newWatch(t, site)
	d.page("")
	d.page("flows")
	if n := counter(t, "caddy_minimize_routes", "uncovered"); n != 0 {
		t.Errorf("%v routes are said to bypass minimize", n)
	}
	recentMessages = new(recent)
	g := start(t, newBackend(t, says(jsonHead, someOrder)).addr, "", shop)
	g.get("/api/orders")
	if all, seen := recentMessages.list(); seen != 0 || len(all) != 0 {
		t.Errorf("%d messages are remembered for nobody", seen)
	}
}

// TestConsoleAlone: where nothing stands behind it, a console needs no matcher, and its first page can have a path of its own.
func TestConsoleAlone(t *testing.T) {
	own, _, _ := strings.Cut(consoleSite, "minimize /api/*")
	for name, site := range map[string]string{
		"a site of its own": strings.Replace(own, "/console/*", "", 1) + "encode",
		"two paths":         "@c path /console /console/*\n" + strings.Replace(consoleSite, "/console/*", "@c", 1),
		"one host":          "@c host internal.example.com\n" + strings.Replace(consoleSite, "/console/*", "@c", 1),
	} {
		t.Run(name, func(t *testing.T) { newWatch(t, site) })
	}
}

// TestConsoleSignIn: how a browser, which sends no token by itself, comes to one: the ways that the README shows.
func TestConsoleSignIn(t *testing.T) {
	d := newWatch(t, "request_header /console/* Authorization \"Bearer {cookie.id_token}\"\n"+consoleSite)
	_, token, _ := strings.Cut(d.as("officer-9", "security"), "Bearer ")
	for cookie, want := range map[string]int{"id_token=" + token: 200, "id_token=" + token + "x": 401, "": 401} {
		if a := d.get("/console/now", "Cookie: "+cookie); a.status != want {
			t.Errorf("by a cookie: got %d, want %d: %s", a.status, want, a.body)
		}
	}
	for answer, want := range map[string]int{"202 Accepted\nAuthorization: Bearer " + token: 200, "202 Accepted": 401, "401 Unauthorized": 302} {
		guard := newBackend(t, says(answer, ""))
		site := "forward_auth /console/* " + guard.addr + ` {
			uri /oauth2/auth
			copy_headers Authorization
			@stranger status 401
			handle_response @stranger {
				redir * /oauth2/sign_in?rd={uri}
			}
		}
		` + consoleSite
		if err := d.load("127.0.0.1:1", "", strings.ReplaceAll(site, "{issuer}", d.issuer.server.URL)); err != nil {
			t.Fatal(err)
		}
		a := d.get("/console/now")
		if a.status != want || want == 302 && a.header.Get("Location") != "/oauth2/sign_in?rd=/console/now" {
			t.Errorf("by forward_auth, whose answer is %q: got %d %s, %v", answer[:3], a.status, a.header.Get("Location"), a.err)
		}
	}
}

// TestRecentIsBounded: the ring keeps the newest, in order.
func TestRecentIsBounded(t *testing.T) {
	d := newWatch(t, consoleSite)
	size := len(recentMessages.ring)
	rules := running.Load().rules(&route{})
	for i := range size + 3 {
		m := &message{h: &Handler{Mode: modeEnforce}, rules: rules, id: fmt.Sprint(i), method: "GET", path: "/"}
		recentMessages.add(m, &result{outcome: outcomePassed, status: 200 + i}, false)
	}
	all, seen := recentMessages.list()
	if len(all) != size || seen != size+3 || all[0].status != 200+size+2 || all[size-1].status != 203 {
		t.Errorf("%d of %d messages, from %d to %d", len(all), seen, all[0].status, all[len(all)-1].status)
	}
	if rows := strings.Count(between(d.page("now"), `id="messages"`, "</tbody>"), "data-key="); rows != maxListed {
		t.Errorf("%d messages are listed", rows)
	}
}
