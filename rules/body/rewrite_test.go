package body

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

// phones masks one name, strips another, and leaves free text to detectors.
const phones = shop + `
  - {id: some, to: reader, for: work, mask: [contact, person.name], keep: [general], blank: [device], strip: [order.number]}
`

func TestR1SecretInsideArrayOfObjects(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	got := output(t, j, `{"orders":[{"id":1,"phone":"13800138000"},{"id":2,"phone":"13900139000"}]}`)
	if strings.Contains(got, "13800138000") || strings.Contains(got, "13900139000") {
		t.Error(got)
	}
	if !strings.HasPrefix(got, `{"orders":[{"id":1,"phone":"`) || strings.Count(got, `"id":`) != 2 {
		t.Error(got)
	}
}

func TestR2HeterogeneousArray(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	got := output(t, j, `[{"imei":"490154203237518"},{"x":1},7,{"imei":"356938035643809"},null,[{"imei":"490154203237518"}]]`)
	if want := `[{"imei":""},{"x":1},7,{"imei":""},null,[{"imei":""}]]`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestNamesWithSteps: what some readers take for a way into an object is read as one, and as the name that it is.
func TestNamesWithSteps(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	got := output(t, j, `{"user.name":"Li Na","userName":"Li Na","users[0][phone]":["x1234"],"items.0.name":"pen","v1.2":"Li Na"}`)
	if want := `{"user.name":"L***","userName":"Li Na","users[0][phone]":["****"],"items.0.name":"p***","v1.2":"Li Na"}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestR3NestedArrays(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	got := output(t, j, `{"a":[[[{"imei":"490154203237518"}],[{"imei":["490154203237518",["356938035643809"]]}]]]}`)
	if want := `{"a":[[[{"imei":""}],[{"imei":[]}]]]}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestR4TopLevel(t *testing.T) {
	s := scopeOf(t, phones+"fields: [{at: \"\", is: device.id}]\n")
	for body, want := range map[string]string{
		`[1,2]`: `[]`, ` {"a":1} `: ` {} `, `"x"`: `""`, `17`: `null`, "\ttrue\n": "\tnull\n", `null`: `null`,
	} {
		if got := output(t, judgeFor(s, "reader"), body); got != want {
			t.Errorf("%s gave %s, want %s", body, got, want)
		}
		if got := output(t, judgeFor(s, "full"), body); got != body {
			t.Errorf("%s gave %s with every right", body, got)
		}
	}
	// Nothing is left of a document that is stripped but an empty value of its kind: no value at all would be no JSON.
	s = scopeOf(t, phones+"fields: [{at: \"\", is: order.number}]\n")
	for body, want := range map[string]string{`[1,2]`: `[]`, `{"a":1}`: `{}`, `"x"`: `""`, `17`: `null`} {
		if got := output(t, judgeFor(s, "reader"), body); got != want {
			t.Errorf("%s gave %s, want %s", body, got, want)
		}
	}
}

func TestR5OtherThanStrings(t *testing.T) {
	s := scopeOf(t, phones+"  - {id: none, to: anonymous, for: work, mask: [device], keep: [general]}\n")
	body := `{"imei":490154203237518,"imei":true,"imei":null,"imei":{"x":"y"},"imei":[1,"2"],"imei":-0.0}`
	if got, want := output(t, judgeFor(s, "reader"), body), `{"imei":null,"imei":null,"imei":null,"imei":{},"imei":[],"imei":null}`; got != want {
		t.Errorf("blanked: got %s\nwant %s", got, want)
	}
	got := output(t, judgeFor(s, "nobody"), body)
	if strings.Contains(got, "49015") || strings.Contains(got, `"y"`) || strings.Contains(got, `"2"`) || strings.Contains(got, "true") {
		t.Errorf("masked: %s", got)
	}
	if !strings.HasPrefix(got, `{"imei":null,"imei":null,"imei":null,"imei":{"x":`) {
		t.Errorf("masked: %s", got)
	}
}

func TestR6OddNames(t *testing.T) {
	odd := []string{`a.b`, `*`, `#`, `@x`, `a|b`, `\`, `"`, `é`, `0`, ` `, `~`, `/`, `:1`, `中文`, "😀"}
	var doc strings.Builder
	doc.WriteString(phones + "fields:\n")
	for _, name := range odd {
		pointer := "/" + strings.NewReplacer("~", "~0", "/", "~1", "*", "~2").Replace(name)
		fmt.Fprintf(&doc, "  - {at: %s, is: device.id}\n", quoted(pointer))
	}
	j := judgeFor(scopeOf(t, doc.String()), "reader")
	for _, name := range odd {
		escaped := ""
		for _, r := range name {
			if r > 0xffff {
				escaped += fmt.Sprintf(`\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
			} else {
				escaped += fmt.Sprintf(`\u%04X`, r)
			}
		}
		for _, spelt := range []string{quoted(name), `"` + escaped + `"`} {
			body := fmt.Sprintf(`{%s:"secret","other":"%s"}`, spelt, "x")
			if got, want := output(t, j, body), strings.Replace(body, "secret", "", 1); got != want {
				t.Errorf("%s gave %s", body, got)
			}
		}
	}
	for _, name := range []string{"imei", "IMEI", `\u0069mei`, "i_m_e_i", "deviceImei", "ｉｍｅｉ"} {
		if got := output(t, j, `{"`+name+`":"secret"}`); strings.Contains(got, "secret") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestR7DuplicateNames(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	got := output(t, j, `{"imei":"1","x":0,"imei":"2","\u0069mei":"3","orderNo":"a","orderNo":"b"}`)
	if want := `{"imei":"","x":0,"imei":"","\u0069mei":""}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestR11SeveralAndNoHits(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	for _, plain := range []string{`{"text":"nothing here"}`, `["",""]`, `{"a":"12","b":12}`} {
		if got := output(t, j, plain); got != plain {
			t.Errorf("%s gave %s", plain, got)
		}
	}
	got := output(t, j, `{"say":"call 13800138000 or \u0031\u0033900139000,\nor +86 13700137000\u4e2d"}`)
	for _, secret := range []string{"13800138000", "900139000", "13700137000"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is left in %s", secret, got)
		}
	}
	if !strings.HasPrefix(got, `{"say":"call `) || !strings.HasSuffix(got, `\u4e2d"}`) || !strings.Contains(got, `,\nor `) {
		t.Errorf("what stands around the hits changed: %s", got)
	}
}

func TestR12NoGlobalReplacement(t *testing.T) {
	s := scopeOf(t, shop+`
  - {id: some, to: reader, for: work, mask: [person.name], keep: [general]}
fields: [{at: /a, is: person.name}, {at: /b, is: person.name}]
`)
	got := output(t, judgeFor(s, "reader"), `{"a":"Anna","b":"Axel","c":"Anna","d":"Anna Axel"}`)
	if !strings.HasSuffix(got, `,"c":"Anna","d":"Anna Axel"}`) {
		t.Errorf("what is no secret but looks like one changed: %s", got)
	}
	if strings.Contains(strings.TrimSuffix(got, `,"c":"Anna","d":"Anna Axel"}`), "Anna") {
		t.Errorf("the secret is left: %s", got)
	}
}

// TestCommas strips every subset of members, in every layout.
func TestCommas(t *testing.T) {
	s := scopeOf(t, shop+`
  - {id: some, to: reader, for: work, keep: [general]}
fields: [{key: [secret], is: device.id}, {at: /list/1, is: device.id}, {at: /list/3, is: device.id}]
`)
	j := judgeFor(s, "reader")
	for n := range 5 {
		for set := range 1 << n {
			for _, layout := range []string{"", " ", "\n  "} {
				for _, value := range []string{`1`, `"x"`, `{"secret":1}`, `[ ]`} {
					var in, out []string
					for i := range n {
						name := fmt.Sprintf("m%d", i)
						if set>>i&1 == 1 {
							name = "secret"
						} else {
							out = append(out, name)
						}
						in = append(in, layout+`"`+name+`"`+layout+`:`+layout+value+layout)
					}
					got := output(t, j, "{"+strings.Join(in, ",")+"}")
					if names := namesOf(t, got); !reflect.DeepEqual(names, out) {
						t.Errorf("{%s} gave %s", strings.Join(in, ","), got)
					}
				}
			}
		}
	}
	if got := output(t, j, `{"list":[0,1,2,3,4]}`); got != `{"list":[0,2,4]}` {
		t.Error(got)
	}
}

func namesOf(t *testing.T, body string) []string {
	t.Helper()
	var names []string
	d := json.NewDecoder(strings.NewReader(body))
	if !json.Valid([]byte(body)) {
		t.Fatalf("not JSON: %s", body)
	}
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return names
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
		case string:
			if depth == 1 {
				names = append(names, v)
				var skip json.RawMessage
				_ = d.Decode(&skip)
			}
		}
	}
}

// TestUntouched sends bodies through in which nothing has to change.
func TestUntouched(t *testing.T) {
	s := scopeOf(t, phones)
	for _, body := range []string{
		" {\t\"a\" :\r\n[ 1.10 , 1e400,-0,  1E+2, 12345678901234567890 ],\"a\":1 } \n",
		`{"\u0061":"\/\ud83d\ude00\b","é":"日本"}`,
		`[[],{},"",[{}]]`,
	} {
		for _, role := range []string{"full", "reader"} {
			if got := output(t, judgeFor(s, role), body); got != body {
				t.Errorf("%s: %q came out as %q", role, body, got)
			}
		}
	}
}

// records is a list of records of several data subjects, read by one of them.
const records = shop + `
  - {id: own, to: self, for: work, keep: [personal, sensitive]}
  - {id: open, to: reader, for: work, keep: [general]}
records:
  - {at: /orders/*, subject: /buyer/id}
fields:
  - {at: /orders/*/buyer, is: person}
  - {at: /orders/*/note, is: content.text}
`

func TestRecords(t *testing.T) {
	j := judgeFor(scopeOf(t, records), "reader")
	for body, want := range map[string]string{
		// The subject may stand behind what depends on it.
		`{"orders":[{"imei":"1","buyer":{"id":"me","x":"y"}},{"imei":"2","buyer":{"id":"you","x":"y"}}]}`://
		`{"orders":[{"imei":"1","buyer":{"id":"me","x":"y"}},{}]}`,
		`{"orders":[{"buyer":{"id":"you"},"a":1,"imei":"2"},{"buyer":{"id":"me"},"a":1,"imei":"2"}]}`://
		`{"orders":[{"a":1},{"buyer":{"id":"me"},"a":1,"imei":"2"}]}`,
		// Two subjects, one that is no scalar, and none are nobody known.
		`{"orders":[{"imei":"1","buyer":{"id":"me","id":"me"}}]}`: `{"orders":[{}]}`,
		`{"orders":[{"imei":"1","buyer":{"id":["me"]}}]}`:         `{"orders":[{}]}`,
		`{"orders":[{"imei":"1","buyer":{"id":null}}]}`:           `{"orders":[{}]}`,
		`{"orders":[{"imei":"1"}],"imei":"2"}`:                    `{"orders":[{}]}`,
		`{"orders":[{"imei":"1","buyer":{"\u0069d":"m\u0065"}}]}`: `{"orders":[{"imei":"1","buyer":{"\u0069d":"m\u0065"}}]}`,
	} {
		if got := output(t, j, body); got != want {
			t.Errorf("%s\ngave %s\nwant %s", body, got, want)
		}
	}
}

const blocks = shop + `
  - {id: some, to: reader, for: work, keep: [general, personal]}
limit:
  - {id: no-devices, to: reader, law: LAW 1, block: [device]}
  - {id: no-debts, to: reader, block: [financial.debt]}
records:
  - {at: /orders/*}
  - {at: /orders/*/buyer}
fields:
  - {at: /orders/*/imei, is: device.imei}
  - {at: /imei, is: device.imei}
  - {words: [overdue], is: financial.debt}
`

func TestBlock(t *testing.T) {
	j := judgeFor(scopeOf(t, blocks), "reader")
	for body, want := range map[string]string{
		`{"orders":[{"a":1},{"imei":"1"},{"a":2}]}`:                     `{"orders":[{"a":1},{"a":2}]}`,
		`{"orders":[{"imei":"1"},{"a":2}]}`:                             `{"orders":[{"a":2}]}`,
		`{"orders":[ {"a":1}, {"buyer":{"x":[{"imei":"1"}]}} ,3]}`:      `{"orders":[ {"a":1} ,3]}`,
		`{"orders":[{"b":"it is overdue now"},{"b":"in time"}]}`:        `{"orders":[{"b":"in time"}]}`,
		`{"orders":[{"a":[]}],"more":[{"orders":[{"a":"b"},{"c":1}]}]}`: `{"orders":[{"a":[]}],"more":[{"orders":[{"a":"b"},{"c":1}]}]}`,
	} {
		c, report, err := rewrite(j, Limits{}, body, 1<<20)
		if err != nil || string(c.body) != want {
			t.Errorf("%s\ngave %s %v\nwant %s", body, c.body, err, want)
		}
		if want != body && report.Dropped != 1 {
			t.Errorf("%s: %d records dropped", body, report.Dropped)
		}
	}
	for body, selector := range map[string]string{
		`{"imei":"1"}`:                           "/imei",
		`{"orders":[{"imei":"1"},{"imei":"2"}]}`: "/orders/*/imei",
		`{"orders":[{"imei":"1"}],"z":[{}]}`:     "/orders/*/imei",
		`{"a":{"deviceImei":"1"}}`:               "imei",
	} {
		r := refused(t, j, body)
		if r.Reason != rules.Limited || r.Rule != "no-devices" || r.Law != "LAW 1" {
			t.Errorf("%s: %+v", body, r)
		}
		if len(r.Categories) != 1 || r.Categories[0] != "device.imei" || len(r.Selectors) != 1 || r.Selectors[0] != selector {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

// TestWindows reads a list that is longer than the hold: a record that is cut by the hold's end is still judged whole.
func TestWindows(t *testing.T) {
	j := judgeFor(scopeOf(t, records), "reader")
	var in, out strings.Builder
	in.WriteString(`{"orders":[`)
	out.WriteString(`{"orders":[`)
	for i := range 3000 {
		if i > 0 {
			in.WriteString(",")
			out.WriteString(",")
		}
		pad := strings.Repeat("x", i%97)
		if i%3 == 0 {
			fmt.Fprintf(&in, `{"imei":"%d","pad":"%s","buyer":{"id":"you"}}`, i, pad)
			fmt.Fprintf(&out, `{"pad":"%s"}`, pad)
		} else {
			fmt.Fprintf(&in, `{"imei":"%d","pad":"%s","buyer":{"id":"me"}}`, i, pad)
			fmt.Fprintf(&out, `{"imei":"%d","pad":"%s","buyer":{"id":"me"}}`, i, pad)
		}
	}
	in.WriteString("]}")
	out.WriteString("]}")
	for _, hold := range []int{4 << 10, 50 << 10, 1 << 20} {
		c, _, err := rewrite(j, Limits{Hold: hold}, in.String(), 1234)
		if err != nil || string(c.body) != out.String() {
			t.Errorf("hold %d: %v, %d bytes, want %d", hold, err, len(c.body), out.Len())
		}
		if hold < in.Len() && c.calls < 2 || hold > in.Len() && c.calls != 1 {
			t.Errorf("hold %d: %d calls", hold, c.calls)
		}
	}
	// A record that is longer than the hold is decided knowing nothing of it.
	c, _, err := rewrite(j, Limits{Hold: 200}, `{"orders":[{"imei":"1","pad":"`+strings.Repeat("x", 500)+`","imei":"2","buyer":{"id":"me"}},{"imei":"3","buyer":{"id":"me"}}]}`, 1)
	if err != nil || strings.Contains(string(c.body), `"1"`) || strings.Contains(string(c.body), `"2"`) || !strings.Contains(string(c.body), `"3"`) {
		t.Errorf("%v: %s", err, c.body)
	}
}

// TestCutAnywhere compares every chunk size with the whole, under several holds.
func TestCutAnywhere(t *testing.T) {
	bodies := []string{
		`{"orders":[{"imei":"1","buyer":{"id":"me","x":"\u00e9 13800138000"}},{"imei":2,"phone":"13800138000","buyer":{"id":"you"}} , {"imei":[1,{"a":"\ud83d\ude00"}]}],"note":"call 13800138000 😀 or not"}`,
		"\xef\xbb\xbf [ {\"imei\" : {\"a\" : 1}} , true , -12.5e-3 , \"日本\" ] ",
	}
	for _, doc := range []string{phones, records, blocks} {
		for _, role := range []string{"reader", "full"} {
			j := judgeFor(scopeOf(t, doc), role)
			for _, body := range bodies {
				for _, hold := range []int{0, 1, 2, 3, 7, 30, 64, 100} {
					want, _, wantErr := rewrite(j, Limits{Hold: hold}, body, len(body))
					if wantErr == nil && !json.Valid(want.body) {
						t.Fatalf("hold %d: not JSON: %s", hold, want.body)
					}
					for chunk := 1; chunk < 40; chunk++ {
						got, _, err := rewrite(j, Limits{Hold: hold}, body, chunk)
						if string(got.body) != string(want.body) || (err == nil) != (wantErr == nil) {
							t.Fatalf("hold %d, chunks of %d: %v %s\nwant %v %s", hold, chunk, err, got.body, wantErr, want.body)
						}
					}
				}
			}
		}
	}
}

func TestHoldAll(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	body := `[` + strings.Repeat(`"x",`, 1<<18) + `{"imei":1}]`
	c, _, err := rewrite(j, Limits{HoldAll: true, MaxBody: 2 << 20, Hold: 1}, body, 1<<16)
	if err != nil || c.calls != 1 || !strings.HasSuffix(string(c.body), `{"imei":null}]`) {
		t.Errorf("%v, %d calls", err, c.calls)
	}
	c, _, err = rewrite(j, Limits{HoldAll: true, MaxBody: 1 << 19}, body, 1<<16)
	var r *rules.Refusal
	if !errors.As(err, &r) || r.Reason != rules.Unreadable || c.calls != 0 {
		t.Errorf("%v, %d calls", err, c.calls)
	}
	c, _, err = rewrite(j, Limits{HoldAll: true, MaxBody: 2 << 20, Budget: NewBudget(100 << 10)}, body, 1<<16)
	if !errors.As(err, &r) || r.Reason != rules.Unavailable || c.calls != 0 {
		t.Errorf("%v, %d calls", err, c.calls)
	}
}

func TestErrors(t *testing.T) {
	j := judgeFor(scopeOf(t, phones), "reader")
	failing := errors.New("the client went away")
	w := NewJSON(j, Limits{Hold: 10}, func([]byte, bool) error { return failing })
	if _, err := w.Write([]byte(strings.Repeat(" ", 20))); err != failing {
		t.Errorf("the sink's error became %v", err)
	}
	if _, err := w.Write([]byte(" ")); err != failing || w.Close() != failing {
		t.Error("it is not repeated")
	}
	w.Release()
	calls := 0
	w = NewJSON(j, Limits{}, func([]byte, bool) error { calls++; return nil })
	if err := w.Close(); err == nil || calls > 0 {
		t.Error("an empty body is accepted")
	}
	w.Release()
	for _, body := range []string{`{"secretname":"secretvalue`, `{"secretname":"secretvalue\x"}`, `{"secretname":secretvalue}`} {
		if r := refused(t, j, body); strings.Contains(fmt.Sprintf("%+v", r), "secret") {
			t.Errorf("a refusal quotes the body: %+v", r)
		}
	}
}
