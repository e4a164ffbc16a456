package console

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
	"github.com/caddy-minimize/minimize/rules/explain"
)

const tryRules = `
minimize: 1
roles: [support]
purposes: [after_sales]
records: [{at: /orders/*, subject: /buyer/id}]
fields:
  - {at: /orders/*/tags, is: contact.phone}
allow:
  # Contract 7.2
  - {id: masked, to: support, for: after_sales, mask: [contact], keep: [order], blank: [person]}
limit:
  - {id: gone, to: support, when: {/vip: true}, block: [personal]}
`

func tryAccount(t *testing.T, document string) *explain.Account {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(tryRules), 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, err := rules.Parse(file, []byte(tryRules))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile([]*rules.Document{parsed}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := rules.Operation{Method: "GET", Path: "/"}
	d := &rules.Disclosure{Caller: rules.Caller{Roles: []string{"support"}}, Purpose: "after_sales", Time: time.Now()}
	e, err := body.Explain(set.Scope(o.Method, o.Path).Judge(d), []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return explain.Of(set, o, d, e, true)
}

// TestTriedSides: the left side is the document, and the right side is what is sent, whatever goes on the way.
func TestTriedSides(t *testing.T) {
	changed := 0
	for _, document := range []string{
		`{"orders":[{"buyer":{"id":"u1"},"phone":"13800138000","order_no":"D1","name":"Ada","imei":"490154203237518"}]}`,
		`{"orders":[{"imei":"490154203237518","phone":"13800138000"},{"phone":"13800138000","imei":"490154203237518"}]}`,
		`{"orders":[{"vip":true,"phone":"13800138000"},{"vip":false,"phone":"13800138000"}],"total":2}`,
		`{"orders":[{"tags":["13800138000",{"a":[]}],"phone":"1","phone":"2"}],"a":{},"b":[],"c":null,"d":[[1,2],[]]}`,
		`{"phone":["13800138000","13800138001"],"imei":[],"x/y~z":{"imei":1},"":"13800138000","deep":{"imei":{"a":{"b":1}}}}`,
		`{"13800138000":{"a":1},"text":"call 13800138000","name":{"first":"Ada","last":"B"}}`,
		`["13800138000", 1, true, null, "x"]`, `"13800138000"`, `[]`, `7`,
	} {
		a := tryAccount(t, document)
		tried := NewTried(document, a, func(*explain.Item) string { return "" })
		changed += tried.Changed
		var before, after strings.Builder
		for _, l := range tried.Lines {
			before.WriteString(l.Before)
			after.WriteString(l.After)
		}
		if got := compact(before.String()); got != compact(document) {
			t.Errorf("%s: the left side is %s", document, got)
		}
		want := compact(string(a.Output))
		if a.Refused != nil {
			want = ""
		}
		if got := compact(after.String()); got != want {
			t.Errorf("%s: the right side is\n%s, and what is sent\n%s", document, got, want)
		}
	}
	if changed < 10 {
		t.Errorf("only %d values were changed: the rules of this test do nothing", changed)
	}
}

// compact leaves what is no JSON as it is, so that it shows.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}
