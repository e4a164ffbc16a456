package minimize

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// entryRules have everything that an entry tells of: a border, a transfer, consents, cases.
const entryRules = `minimize: 1
home: DE
policy: 6
roles: [support, dpo]
purposes: [after_sales, advertising]
records:
  - {at: /orders/*, subject: /buyer}
fields:
  - {key: [phone], is: contact.phone}
  - {key: [imei], is: device.imei}
recipients:
  ads:
    kind: third_party
    hosts: ["http://{ads}"]
    country: US
    contract: {from: 2020-01-01, until: 2099-12-31}
    transfer: {mechanism: scc, assessment: TIA-4711}
  desk: {kind: processor, country: DE, contract: {from: 2020-01-01, until: 2099-12-31}}
allow:
  - {id: support, to: support, for: after_sales, keep: [general, contact.phone]}
  - {id: desk, to: desk, for: after_sales, basis: contract, keep: [general, contact.phone]}
  - {id: asked, to: [support, desk], for: after_sales, consent: explicit, keep: [device.imei]}
  - {id: case, to: support, for: after_sales, case: ticket, keep: [financial]}
  - {id: ads, to: ads, for: advertising, consent: separate, keep: [general, contact.phone]}
  - {id: mine, to: us, for: advertising, keep: [general]}
`

const entrySite = `handle_path /consent/* {
	minimize_consent {
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
		}
		manage dpo
	}
}
handle_path /ads/* {
	minimize_egress ads {
		purpose advertising
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
		}
	}
}
handle {
	minimize {
		caller {
			jwt issuer {issuer} audience shop key issuer.pem
			id {claim.sub}
			role {claim.role}
			organisation {claim.org}
			country {claim.country}
			case {claim.case}
			purpose after_sales
		}
	}
	reverse_proxy {upstream}
}`

// TestAuditEntry: an entry has these members and no others, and nothing that was planted anywhere in what it tells of.
func TestAuditEntry(t *testing.T) {
	const orders = `{"orders":[{"buyer":"planted-subject-1","phone":"13800138000","imei":"490154203237518"},` +
		`{"buyer":"planted-subject-2","phone":"13800138001","imei":"490154203237518"}]}`
	d, r := &desk{prepare(t), newIssuer(t)}, newRecorder(t)
	d.write("issuer.pem", d.issuer.pem())
	d.write("rules/shop.yaml", strings.ReplaceAll(entryRules, "{ads}", r.addr))
	site := strings.ReplaceAll(entrySite, "{issuer}", d.issuer.server.URL)
	if err := d.load(newBackend(t, says(jsonHead, orders)).addr, "consent sqlite consent.db\nnode gateway-7", site); err != nil {
		t.Fatal(err)
	}
	one := d.as("planted-subject-1", "")
	d.must("PUT", "subjects/me/consents/after_sales", `{"event_type":"explicit","policy_version":5,"evidence":"planted-evidence"}`, one)
	d.must("PUT", "subjects/me/consents/advertising?recipient=ads", `{"event_type":"separate","evidence":"planted-evidence"}`, one)
	d.must("PUT", "cases/planted-case", `{"kind":"ticket","pii_principal_id":"planted-subject-1","callers":["planted-caller"]}`, d.as("planted-dpo", "dpo"))
	d.get("/api/orders", d.as("planted-caller", "support", "country", "DE", "case", "planted-case"))
	d.get("/api/orders", d.as("planted-caller", "support", "country", "DE", "org", "planted-org"))
	d.get("/api/orders", d.as("planted-caller", "support", "country", "DE", "org", "desk"))
	if a := d.send("POST", "/ads/x?planted=planted", `{"orders":[{"buyer":"planted-subject-2","phone":"13800138000"}]}`, jsonType, d.as("planted-caller", "support")); a.status != 403 {
		t.Errorf("who agreed to nothing is sent: %+v", a)
	}
	if a := d.send("POST", "/ads/x", `{"orders":[{"buyer":"planted-subject-1","phone":"13800138000"}]}`, jsonType, d.as("planted-caller", "support")); a.status != 200 {
		t.Errorf("got %+v", a)
	}
	log := ""
	eventually(t, func() bool { log = d.read("audit.jsonl"); return strings.Count(log, "\n") == 9 })
	var got strings.Builder
	for line := range strings.Lines(log) {
		got.WriteString(membersOf(gjson.Parse(line)) + "\n")
	}
	const (
		start   = "seq prev time decision direction "
		consent = start + "event subject caller role purpose recipient level given_by gpc node rules\n"
		judged  = start + "operation caller role purpose country mode status outcome "
		counts  = "read written dropped values"
		told    = " subjects people"
	)
	want := consent + consent + consent +
		judged + counts + "{contact.phone keep device.imei keep device.imei strip} node rules case" + told + "{token, token consent{given level policy}}\n" +
		judged + "reason rule " + counts + "{contact.phone block device.imei block} node rules organisation\n" +
		judged + counts + "{contact.phone keep device.imei keep device.imei block} node rules recipient recipient_country" + told + "{token consent{given level policy}}\n" +
		judged + "reason rule " + counts + "{contact.phone block network.ip strip} node rules recipient recipient_country\n" +
		judged + counts + "{contact.phone keep network.ip strip} node rules recipient recipient_country mechanism" + told + "{token consent{given level policy}}\n" +
		judged + counts + "{} node rules recipient recipient_country\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
	for _, secret := range []string{"planted", "13800138000", "490154203237518", "TIA-4711", d.issuer.server.URL} {
		if strings.Contains(log, secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	entry := gjson.Get(strings.Split(log, "\n")[3], "@this")
	ring, err := rules.NewKeyRing(map[string][]byte{"2026-01": []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	about := `people.#(token=="` + auditlog.Token(ring, auditlog.Subject, "planted-subject-1") + `").consent`
	for path, want := range map[string]string{
		about + ".level": "explicit", about + ".policy": "5", "case": auditlog.Token(ring, auditlog.Case, "planted-case"),
		"caller": auditlog.Token(ring, auditlog.Caller, "planted-caller"),
		"node":   "gateway-7", "subjects": "2",
	} {
		if got := entry.Get(path).String(); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}

// membersOf are the names of an object's members, with those of objects in it.
func membersOf(object gjson.Result) string {
	var names []string
	object.ForEach(func(name, value gjson.Result) bool {
		switch {
		case value.IsObject():
			names = append(names, name.Str+"{"+membersOf(value)+"}")
		case value.IsArray():
			var all []string
			for _, one := range value.Array() {
				all = append(all, membersOf(one))
			}
			slices.Sort(all)
			names = append(names, name.Str+"{"+strings.Join(all, ", ")+"}")
		default:
			names = append(names, name.Str)
		}
		return true
	})
	return strings.Join(names, " ")
}
