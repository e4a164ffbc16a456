package body

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

const nestedRules = `minimize: 1
roles: [reader, member, full, blocked]
purposes: [work]
records: [{at: /list/*, subject: /id}]
allow:
  - {id: all, to: full, for: work, keep: [general, personal, sensitive]}
  - {id: read, to: [reader, blocked], for: work, keep: [order, thing], mask: [contact, person.name]}
  - {id: own, to: self, for: work, keep: [personal]}
limit:
  - {id: no-imei, to: blocked, block: [device.imei]}
`

// TestNestedTexts: what a text holds in names of its own is judged by them: JSON, a URL's query, a form.
func TestNestedTexts(t *testing.T) {
	s := scopeOf(t, nestedRules)
	imei := "860531030123452"
	for _, test := range []struct{ name, role, in, want string }{
		{"an object", "reader", `{"payload": "{\"imei\": \"` + imei + `\", \"realName\":\"张伟\", \"a\": 1}"}`, `{"payload": "{ \"realName\":\"张*\", \"a\": 1}"}`},
		{"an array", "reader", `{"p":"[ {\"phone\":13800138000} ]"}`, `{"p":"[ {\"phone\":null} ]"}`},
		{"two deep", "reader", `{"p":"{\"q\":\"{\\\"realName\\\":\\\"张伟\\\"}\"}"}`, `{"p":"{\"q\":\"{\\\"realName\\\":\\\"张*\\\"}\"}"}`},
		{"nothing to change", "reader", `{"p":"{\"a\":\u0020[1,2]}"}`, `{"p":"{\"a\":\u0020[1,2]}"}`},
		{"all rights", "full", `{"p":"{\"imei\":\u0020\"` + imei + `\"}","u":"https://x.example/?phone=13800138000"}`, ``},
		{"no JSON after all", "reader", `{"p":"{call 13800138000}"}`, `{"p":"{call 138****8000}"}`},
		{"a parameter goes", "reader", `{"u":"https://x.example/a?imei=` + imei + `&o=D1#top"}`, `{"u":"https://x.example/a?o=D1#top"}`},
		{"the only one", "reader", `{"u":"https://x.example/a?imei=` + imei + `"}`, `{"u":"https://x.example/a"}`},
		{"a parameter is masked", "reader", `{"u":"/a?o=D1\u0026m=13800138000"}`, `{"u":"/a?o=D1&m=138%2A%2A%2A%2A8000"}`},
		{"by its name", "reader", `{"u":"/a?real_name=%E5%BC%A0%E4%BC%9F&x=1"}`, `{"u":"/a?real_name=%E5%BC%A0%2A&x=1"}`},
		{"in the path", "reader", `{"u":"https://x.example/u/13800138000?o=1"}`, `{"u":"https://x.example/u/138****8000?o=1"}`},
		{"in the path, encoded", "reader", `{"u":"https://x.example/u/%31%33800138000"}`, `{"u":"https:%2F%2Fx.example%2Fu%2F138%2A%2A%2A%2A8000"}`},
		{"in the path, named", "reader", `{"u":"/x;imei=1/y?a=1"}`, `{"u":""}`},
		{"in a parameter's URL", "reader", `{"u":"/x?next=https%3A%2F%2Fy%2F%3Frealname%3DAnn&a=1"}`, `{"u":"/x?a=1"}`},
		{"in a line of a log", "reader", `{"t":"login imei=1 ok=1"}`, `{}`},
		{"Python's JSON", "reader", `{"t":"{\"phone\":\"\\u0031\\u00338\",\"s\":NaN}"}`, `{"t":""}`},
		{"single quotes", "reader", `{"t":"{'realName': 'Ann'}"}`, `{"t":""}`},
		{"a fragment alone", "reader", `{"u":"https://x/#imei=1&o=1"}`, `{"u":"https://x/#o=1"}`},
		{"in the fragment", "reader", `{"u":"https://x.example/?o=1#imei=` + imei + `&p=2"}`, `{"u":"https://x.example/?o=1#p=2"}`},
		{"what is not decodable", "reader", `{"u":"/a?x=%zz&o=100%=1"}`, ``},
		{"what is decodable in part", "reader", `{"u":"/a?%69mei=%zz&re%61lName=1%&o=1"}`, `{"u":"/a?re%61lName=%2A%2A%2A%2A&o=1"}`},
		{"a name that is encoded twice", "reader", `{"u":"/a?%2569mei=1&real%25255Fname=Ann&o=1"}`, `{"u":"/a?real%25255Fname=A%2A%2A%2A&o=1"}`},
		{"a form", "reader", `{"f":"real_name=Ann&o=1"}`, `{"f":"real_name=A%2A%2A%2A&o=1"}`},
		{"two documents", "reader", `{"p":"{\"imei\":\"1\"} {\"a\":2}","o":1}`, `{"o":1}`},
		{"a call", "reader", `{"p":"cb({\"realName\":\"Ann\"})"}`, `{"p":""}`},
		{"five deep", "reader", `{"p":` + wrapped(wrapped(wrapped(wrapped(`{"realName":"Ann"}`)))) + `}`, `{"p":` + wrapped(wrapped(wrapped(`""`))) + `}`},
		{"a name that is data", "reader", `{"u":"/a?13800138000=1&o=1"}`, `{"u":"/a?o=1"}`},
		{"by semicolons", "reader", `{"u":"x=1;imei=1"}`, `{"u":"x=1"}`},
		{"one pair", "reader", `{"u":"imei=1"}`, `{"u":""}`},
		{"JSON in a parameter", "reader", `{"u":"/?j=%7B%22realName%22%3A%22Ann%22%7D&o=1"}`, `{"u":"/?o=1"}`},
		{"many fragments", "reader", `{"u":"/?o=1#a=1#imei=1"}`, `{"u":"/?o=1#"}`},
		{"prose", "reader", `{"t":"he said \"well\": no"}`, ``},
		{"nothing personal", "reader", `{"u":"https://x.example/a?o=1&p=2","e":"a==","b":"x&y"}`, ``},
		{"of the text's record", "reader", `{"list":[{"id":"me","p":"{\"realName\":\"Ann\"}"},{"p":"{\"realName\":\"Bob\"}","id":"you"}]}`,
			`{"list":[{"id":"me","p":"{\"realName\":\"Ann\"}"},{"p":"{\"realName\":\"B***\"}","id":"you"}]}`},
		{"a record is dropped", "blocked", `{"list":[{"id":"a","p":"{\"imei\":\"` + imei + `\"}"},{"id":"b"}]}`, `{"list":[{"id":"b"}]}`},
	} {
		want := test.want
		if want == "" {
			want = test.in
		}
		for _, chunk := range []int{1, 7, len(test.in)} {
			got, _, err := rewrite(judgeFor(s, test.role), Limits{}, test.in, chunk)
			if err != nil || string(got.body) != want {
				t.Errorf("%s: got %s, %v\nwant %s", test.name, got.body, err, want)
				break
			}
			if !json.Valid(got.body) {
				t.Errorf("%s: the output is no JSON", test.name)
			}
		}
	}
}

// wrapped wraps a text into one more document.
func wrapped(text string) string {
	b, _ := json.Marshal(`{"q":` + text + `}`)
	return string(b)
}

// TestNestedSecrets: built-in limits hold in texts, whatever detectors are on.
func TestNestedSecrets(t *testing.T) {
	s := rulesOf(t, nestedRules+"values: []\n").Scope("GET", "/")
	for in, want := range map[string]string{
		`{"u":"{\"password\":\"hunter2\"}"}`:                            `{"u":"{}"}`,
		`{"l":"https://h/?password=hunter2&a=1"}`:                       `{"l":"https://h/?a=1"}`,
		`{"l":"a\u003d1\u0026password=hunter2"}`:                        `{"l":"a=1"}`,
		`{"l":"` + strings.Repeat("a=1&", 20000) + `password=hunter2"}`: `{"l":""}`,
	} {
		got, _, err := rewrite(judgeFor(s, "full"), Limits{}, in, 4096)
		if err != nil || string(got.body) != want {
			t.Errorf("%.60s: %.80s, %v", in, got.body, err)
		}
	}
}

// TestNestedBlock: what blocks a message blocks it from inside of a text too.
func TestNestedBlock(t *testing.T) {
	s := scopeOf(t, nestedRules)
	for _, body := range []string{`{"p":"{\"imei\":\"860531030123452\"}"}`, `{"u":"/a?imei=860531030123452"}`} {
		_, _, err := rewrite(judgeFor(s, "blocked"), Limits{}, body, 9)
		var refusal *rules.Refusal
		if !errors.As(err, &refusal) || refusal.Rule != "no-imei" || len(refusal.Categories) != 1 || refusal.Categories[0] != "device.imei" {
			t.Errorf("%s: %v, want a refusal by no-imei", body, err)
		}
	}
}

// TestNestedGiant: a giant text is never held whole, so its names would go unread, so it is blanked.
func TestNestedGiant(t *testing.T) {
	s := scopeOf(t, nestedRules)
	body := `{"p":" \n{\"realName\":\"Ann\",\"x\":\"` + strings.Repeat("x", 3*pieceSize) + `\"}","o":1}`
	got, _, err := rewrite(judgeFor(s, "reader"), Limits{Hold: 1 << 10}, body, 1000)
	if err != nil || string(got.body) != `{"p":"","o":1}` {
		t.Errorf("%.80s, %v", got.body, err)
	}
}

// TestNestedReport: values inside of texts are counted like others.
func TestNestedReport(t *testing.T) {
	s := scopeOf(t, nestedRules)
	_, report, err := rewrite(judgeFor(s, "reader"), Limits{}, `{"p":"{\"phone\":\"13800138000\",\"q\":[{\"phone\":\"13900139000\"}]}"}`, 99)
	id := s.Rules().ID("contact.phone")
	if err != nil || int(id) >= len(report.Counts) || report.Counts[id][rules.Mask] != 2 {
		t.Errorf("%v, %v", report, err)
	}
}

// TestWayToAFactTwice: where the object around a subject's id is there twice, nobody can tell whose data it is.
func TestWayToAFactTwice(t *testing.T) {
	s := scopeOf(t, "minimize: 1\nroles: [reader]\npurposes: [work]\nrecords: [{at: /list/*, subject: /buyer/id}]\nallow: [{id: own, to: self, for: work, keep: [personal]}]\n")
	for in, want := range map[string]string{
		`{"list":[{"buyer":{"id":"me","phone":"1"}}]}`:                                             `{"list":[{"buyer":{"id":"me","phone":"1"}}]}`,
		`{"list":[{"buyer":{"id":"me"},"buyer":{"phone":"1"}}]}`:                                   `{"list":[{"buyer":{"id":"me"},"buyer":{}}]}`,
		`{"list":[{"buyer":null,"buyer":{"id":"me","phone":"1"}}]}`:                                `{"list":[{"buyer":null,"buyer":{"id":"me"}}]}`,
		`{"list":[{"buyer":{"phone":"1"},"buyer":{"id":"me"}},{"buyer":{"id":"me","phone":"2"}}]}`: `{"list":[{"buyer":{},"buyer":{"id":"me"}},{"buyer":{"id":"me","phone":"2"}}]}`,
	} {
		got, _, err := rewrite(judgeFor(s, "reader"), Limits{}, in, 5)
		if err != nil || string(got.body) != want {
			t.Errorf("%s: %s, %v", in, got.body, err)
		}
	}
}

// TestSeveralWaysToAFact: several places for a subject's id tell whose data it is, unless they contradict each other.
func TestSeveralWaysToAFact(t *testing.T) {
	s := scopeOf(t, "minimize: 1\nroles: [reader]\npurposes: [work]\nrecords: [{at: [/list/*, /more], subject: [/id, /buyer/id, /buyer/no]}]\nallow: [{id: own, to: self, for: work, keep: [personal]}]\n")
	for in, want := range map[string]string{
		`{"list":[{"id":"me","phone":"1"},{"id":"you","phone":"2"}]}`: `{"list":[{"id":"me","phone":"1"},{"id":"you"}]}`,
		`{"list":[{"phone":"1","buyer":{"id":"me"}}]}`:                `{"list":[{"phone":"1","buyer":{"id":"me"}}]}`,
		`{"more":{"phone":"1","buyer":{"no":"me"}}}`:                  `{"more":{"phone":"1","buyer":{"no":"me"}}}`,
		`{"list":[{"id":"me","phone":"1","buyer":{"name":"Li"}}]}`:    `{"list":[{"id":"me","phone":"1","buyer":{"name":"Li"}}]}`,
		`{"list":[{"buyer":{"id":"you"},"id":"me","phone":"1"}]}`:     `{"list":[{"buyer":{"id":"you"},"id":"me"}]}`,
		`{"list":[{"buyer":{"id":"me"},"id":"me","phone":"1"}]}`:      `{"list":[{"buyer":{"id":"me"},"id":"me","phone":"1"}]}`,
		`{"list":[{"id":"me","phone":"1","buyer":{"no":null}}]}`:      `{"list":[{"id":"me","buyer":{"no":null}}]}`,
		`{"list":[{"phone":"1","buyer":{"no":"me","id":"you"}}]}`:     `{"list":[{"buyer":{"no":"me","id":"you"}}]}`,
		`{"list":[{"phone":"1","id":null,"buyer":{"id":"me"}}]}`:      `{"list":[{"id":null,"buyer":{"id":"me"}}]}`,
		`{"list":[{"phone":"1","buyer":1,"buyer":{"no":"me"}}]}`:      `{"list":[{"buyer":1,"buyer":{"no":"me"}}]}`,
		`{"list":[{"phone":"1"}]}`:                                    `{"list":[{}]}`,
	} {
		got, _, err := rewrite(judgeFor(s, "reader"), Limits{}, in, 5)
		if err != nil || string(got.body) != want {
			t.Errorf("%s: %s, %v", in, got.body, err)
		}
	}
}

// TestSigned: a signed body passes unchanged or not at all.
func TestSigned(t *testing.T) {
	s := scopeOf(t, nestedRules+"signed: [/sign]\n")
	for in, ok := range map[string]bool{
		`{"a":1,"sign":"x"}`: true, `{"phone":"13800138000","a":1}`: true, `{"phone":"13800138000","sign":"x"}`: false, `{"sign":"x","imei":"1"}`: false,
	} {
		got, _, err := rewrite(judgeFor(s, "reader"), Limits{}, in, 3)
		var refusal *rules.Refusal
		if refused := errors.As(err, &refusal) && refusal.Reason == rules.SignedBody; refused == ok || refused && len(got.body) > 0 {
			t.Errorf("%s: %s, %v", in, got.body, err)
		}
	}
}

// TestNestedEscaped: a document that is percent-encoded in a text is read by its names.
func TestNestedEscaped(t *testing.T) {
	s := scopeOf(t, phones)
	for in, want := range map[string]string{
		`{"a":"%7B%22real_name%22:%22Li Na%22%7D"}`:          `{"a":""}`,
		`{"a":"%257B%2522real_name%2522%3A%2522Li%2522%7D"}`: `{"a":""}`,
		`{"a":"real_name%3DLi"}`:                             `{"a":""}`,
		`{"a":"100% sure: it%22s 5%"}`:                       `{"a":"100% sure: it%22s 5%"}`,
		`{"a":"%7B%22state%22:%22paid%22%7D"}`:               `{"a":"%7B%22state%22:%22paid%22%7D"}`,
	} {
		if got := output(t, judgeFor(s, "reader"), in); got != want {
			t.Errorf("%s gave %s, want %s", in, got, want)
		}
		if got := output(t, judgeFor(s, "full"), in); got != in {
			t.Errorf("%s gave %s with every right", in, got)
		}
	}
}

// TestNotations: a name is one in whatever notation a text writes it, and wherever the text stands.
func TestNotations(t *testing.T) {
	const more = "  - {id: some, to: reader, for: work, keep: [general]}\nfields:\n  - {key: [full_name, 姓名], is: person.name}\n"
	s := scopeOf(t, shop+more)
	senders := map[string]func(*rules.Judge, string) (string, error){
		"JSON": func(j *rules.Judge, text string) (string, error) {
			c, _, err := rewrite(j, Limits{}, `{"zq":`+quoted(text)+`}`, 7)
			return string(c.body), err
		},
		"form": func(j *rules.Judge, text string) (string, error) {
			out, _, err := formOf(j, Limits{}, "zq="+url.QueryEscape(text)+"&a=1", 7)
			return out, err
		},
		"part": func(j *rules.Judge, text string) (string, error) {
			out, _, err := partsOf(t, j, Limits{}, "b", parts(part1("zq", text)), 7)
			return out, err
		},
		"query": func(j *rules.Judge, text string) (string, error) {
			return NewHead(j).Query("zq=" + url.QueryEscape(text))
		},
		"header": func(j *rules.Judge, text string) (string, error) {
			out, stays, err := NewHead(j).Header("X-Note", text)
			if !stays {
				out = ""
			}
			return out, err
		},
		"giant": func(j *rules.Judge, text string) (string, error) {
			c, _, err := rewrite(j, Limits{Hold: 1000}, `{"zq":`+quoted(strings.Repeat("a log ", 12_000)+"\n"+text)+`}`, 9999)
			return string(c.body), err
		},
	}
	for _, text := range []string{
		`<user><full_name>HIDDEN</full_name></user>`, `<?xml version="1.0"?><u:full_name x="1">HIDDEN</u:full_name>`, `<user full_name="HIDDEN"/>`,
		`a:1:{s:9:"full_name";s:6:"HIDDEN";}`, `{full_name:"HIDDEN",x:1}`, `{x:1, full_name: 'HIDDEN'}`, `invalid user {City:Berlin FullName:HIDDEN}`,
		`{&quot;full_name&quot;:&quot;HIDDEN&quot;}`, `a=1{&quot;full_name&quot;:&quot;HIDDEN&quot;}`, `{&#34;full_name&#34;:&#34;HIDDEN&#34;}`,
		`{\u0022full_name\u0022:\u0022HIDDEN\u0022}`, `{\x22full_name\x22:\x22HIDDEN\x22}`, "full_name: HIDDEN", "full_name: HIDDEN at 5% a/b", "x{full_name:HIDDEN,a=1", "a=1;full_name:HIDDEN",
		"姓名：HIDDEN", "电话：x，姓名：HIDDEN", "姓名:HIDDEN",
		"%7B%22full_name%22%3A%22HIDDEN%22%7D", "%257B%2522full_name%2522%253A%2522HIDDEN%2522%257D", "%3Cfull_name%3EHIDDEN%3C%2Ffull_name%3E",
	} {
		for name, send := range senders {
			if name == "header" && strings.ContainsAny(text, "姓") {
				continue
			}
			if out, err := send(judgeFor(s, "reader"), text); err != nil || shows(out, "HIDDEN") {
				t.Errorf("%s, %s gave %.200s, %v", name, text, out, err)
			}
			if out, err := send(judgeFor(s, "full"), text); err != nil || !shows(out, "HIDDEN") {
				t.Errorf("%s, %s with all rights gave %.200s, %v", name, text, out, err)
			}
		}
	}
}

// TestNotNamed: what only looks like a name with a value stays, and so does a remark that begins with a word for one.
func TestNotNamed(t *testing.T) {
	s := scopeOf(t, shop+"  - {id: some, to: reader, for: work, keep: [general], mask: [content.text]}\n")
	for _, text := range []string{
		"Note: please ring", "备注：请电话联系", "Attention: fragile", "my name: it is a secret", "at 12:30, from 2026-11-23T04:50:29Z on", "see https://x.example:8080/a",
		"if a <b and c", "a <i>b</i>: <br/>", "INFO: [x] done: ok", "时间：周一", "& so on; \\ and :",
	} {
		for _, member := range []string{"zq", "remark"} {
			body := `{"` + member + `":` + quoted(text) + `}`
			if got := output(t, judgeFor(s, "reader"), body); got != body {
				t.Errorf("%s gave %s", body, got)
			}
		}
	}
}
