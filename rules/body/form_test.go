package body

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

const formRules = `minimize: 1
roles: [reader, blank, token, full, blocked]
purposes: [work]
fields:
  - {at: /tel, is: contact.phone}
  - {at: /quiet, is: none}
  - {at: /order/tail, is: contact.phone}
  - {at: /n, is: aggregate.count, least: 10}
  - {words: [overdue], is: financial.debt}
allow:
  - {id: all, to: full, for: work, keep: [general, personal, sensitive, secret]}
  - {id: read, to: [reader, blocked], for: work, keep: [order, thing, aggregate], mask: [contact, person.name, network]}
  - {id: empty, to: blank, for: work, blank: [contact, person.name, device]}
  - {id: pseudo, to: token, for: work, pseudonymize: [contact.phone]}
limit:
  - {id: no-imei, to: blocked, block: [device.imei]}
`

// same is for what goes out as it came.
const same = "same"

// sent sends a body through a rewriter in chunks.
func sent(w *JSON, c *collected, body string, chunk int) (string, *rules.Report, error) {
	defer w.Release()
	for len(body) > 0 {
		n := min(chunk, len(body))
		if _, err := w.Write([]byte(body[:n])); err != nil {
			break
		}
		body = body[n:]
	}
	err := w.Close()
	report := *w.Report()
	report.Counts = append([][rules.ActionCount]uint32(nil), report.Counts...)
	return string(c.body), &report, err
}

func formOf(j *rules.Judge, l Limits, body string, chunk int) (string, *rules.Report, error) {
	var c collected
	return sent(NewForm(j, l, c.sink), &c, body, chunk)
}

// TestForm: parameters are judged like members of an object.
func TestForm(t *testing.T) {
	s := scopeOf(t, formRules)
	imei := "860531030123452"
	for _, test := range []struct{ name, role, in, want string }{
		{"nothing", "reader", "", ""},
		{"nothing personal", "reader", "a=1&b=%41+c&&=x&y&z=&%7a=~!$()*,'@:/?", same},
		{"names with steps", "reader", "user[name]=Li+Na&users[0][realName]=Li&u.name=Li&p[phone][]=13800138000&n[1]=5&a.b=c&[imei]=x1",
			"user[name]=L%2A%2A%2A&users[0][realName]=L%2A%2A%2A&u.name=L%2A%2A%2A&p[phone][]=138%2A%2A%2A%2A8000&n[1]=5&a.b=c"},
		{"a way to a place", "reader", "order[tail]=4321&order[0][tail]=4321&order.tail=4321&tail=4321&order[quiet]=Li+Na", "order[tail]=%2A%2A%2A1&order[0][tail]=4321&order.tail=%2A%2A%2A1&tail=4321&order[quiet]=Li+Na"},
		{"all rights", "full", "imei=" + imei + "&phone=138%300138000&realName=%E5%BC%A0+x&q={\"imei\":1}", same},
		{"stripped, first", "reader", "imei=" + imei + "&o=D1&p=2", "o=D1&p=2"},
		{"stripped, in the middle", "reader", "o=D1&imei=" + imei + "&p=2", "o=D1&p=2"},
		{"stripped, last", "reader", "o=D1&p=2&imei=" + imei, "o=D1&p=2"},
		{"stripped, the only one", "reader", "imei=" + imei, ""},
		{"all of them", "reader", "imei=1&imei=2", ""},
		{"twice", "reader", "phone=13800138000&o=1&phone=13900139000", "phone=138%2A%2A%2A%2A8000&o=1&phone=139%2A%2A%2A%2A9000"},
		{"an escaped name", "reader", "%69m%65i=1&o=1", "o=1"},
		{"a name escaped twice", "reader", "%2569mei=1&%2531%2533800138000=1&o=1", "o=1"},
		{"a name that only looks escaped", "reader", "100%25=1&%2541=1&o=1", same},
		{"other spellings", "reader", "IMEI=1&device%5Bimei%5D=1&imei[]=2&o=1", "o=1"},
		{"masked", "reader", "a=%41&realName=%E5%BC%A0%E4%BC%9F&b=%2B", "a=%41&realName=%E5%BC%A0%2A&b=%2B"},
		{"by its place", "reader", "tel=13800138000", "tel=138%2A%2A%2A%2A8000"},
		{"silenced", "reader", "quiet=13800138000", same},
		{"a part of a text", "reader", "zz=call+%31%33800138000+now%21", "zz=call+138%2A%2A%2A%2A8000+now%21"},
		{"spaced by plus signs", "reader", "x=138+0013+8000", "x=138+%2A%2A%2A%2A+8000"},
		{"without a name", "reader", "13800138000&o=1", "138%2A%2A%2A%2A8000&o=1"},
		{"an empty name", "reader", "=13800138000&o=1", "=138%2A%2A%2A%2A8000&o=1"},
		{"a name that is data", "reader", "13800138000=1&o=1", "o=1"},
		{"JSON", "reader", "p=%7B%22realName%22%3A+%22Ann%22%2C+%22a%22%3A+5%7D&o=1", "p=%7B%22realName%22%3A+%22A%2A%2A%2A%22%2C+%22a%22%3A+5%7D&o=1"},
		{"JSON as a form", "reader", `{"imei":"1","o":2}`, `%7B%22o%22%3A2%7D`},
		{"JSON as a form, cut", "reader", `{"realName":"Ann","u":"a=b&c=d","imei":"1"}`, ``},
		{"a log as a form", "reader", "login: realName='Ann' x=1&o=1", "login: realName=%2A%2A%2A%2A&o=1"},
		{"a URL", "reader", "next=https%3A%2F%2Fx.example%2F%3Fimei%3D1%26o%3D2", "next=https%3A%2F%2Fx.example%2F%3Fo%3D2"},
		{"escaped twice", "reader", "x=%2531%2533800138000", "x=138%252A%252A%252A%252A8000"},
		{"empty values of all kinds", "blank", "phone=13800138000&realName=Ann&imei=%31", "phone=&realName=&imei="},
		{"a small number", "reader", "n=9&o=1", "n=&o=1"},
		{"a large number", "reader", "n=%31%30", same},
		{"no number", "reader", "n=x10", "n="},
		{"words", "reader", "t=it+is+overdue&o=1", "o=1"},
		{"an ampersand at the end", "reader", "imei=1&", ""},
		{"only ampersands", "reader", "&&", same},
	} {
		want := test.want
		if want == same {
			want = test.in
		}
		for _, chunk := range []int{1, 3, 1000} {
			got, _, err := formOf(judgeFor(s, test.role), Limits{}, test.in, chunk)
			if err != nil || got != want {
				t.Errorf("%s: got %q, %v\nwant %q", test.name, got, err, want)
				break
			}
		}
	}
}

// TestFormTokens: a token is the same wherever a value stands, and one in a name keeps the names apart.
func TestFormTokens(t *testing.T) {
	s := scopeOf(t, formRules)
	got, _, err := formOf(judgeFor(s, "token"), Limits{}, "a=1&phone=13800138000&x=1380013800%30&13800138000=y", 9)
	values, _ := url.ParseQuery(got)
	token := values.Get("phone")
	if err != nil || token == "" || token == "13800138000" || values.Get("x") != token || values.Get(token) != "y" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestFormStrict: what readers differ about is refused, and nothing of it goes out.
func TestFormStrict(t *testing.T) {
	s := scopeOf(t, formRules)
	for name, in := range map[string]string{
		"an escape cut":     "a=1%",
		"half an escape":    "a=1%4",
		"no escape":         "a=%zz",
		"an escaped NUL":    "a=%00",
		"NUL":               "a=\x00",
		"a line's end":      "a=1\r\n",
		"bad UTF-8":         "a=\xff",
		"bad escaped UTF-8": "a=%c0%af",
		"half a rune":       "%e5%bc=1&a=1",
		"a surrogate":       "a=%ED%A0%80",
		"semicolons":        "a=1;imei=2",
		"another encoding":  "a=1&_charset_=gbk",
		"many":              strings.Repeat("a&", maxMembers) + "b",
		"long":              "a=" + strings.Repeat("x", maxMember+1),
		"a long name":       strings.Repeat("x", maxName+1) + "=1",
	} {
		got, _, err := formOf(judgeFor(s, "full"), Limits{}, in, 50_000)
		var r *rules.Refusal
		if !errors.As(err, &r) || r.Reason != rules.Unreadable || got != "" {
			t.Errorf("%s: %v after %.40q", name, err, got)
		}
		if r != nil && strings.Contains(r.Error(), "gbk") {
			t.Errorf("%s: a value in %v", name, r)
		}
	}
	for _, in := range []string{"_charset_=UTF-8&a=1", strings.Repeat("a&", maxMembers-1) + "b", "a=" + strings.Repeat("x", maxMember-2), "b=&a=" + strings.Repeat("x", maxMember-2)} {
		if got, _, err := formOf(judgeFor(s, "full"), Limits{}, in, 50_000); err != nil || got != in {
			t.Errorf("%v: %.40q", err, got)
		}
	}
}

// TestFormBlocked: a refusal names the rule and the category, and nothing has gone out.
func TestFormBlocked(t *testing.T) {
	s := scopeOf(t, formRules)
	for _, in := range []string{"a=1&imei=2", "a=860531030123452", "860531030123452=a", "860531030123452", "a=%7B%22imei%22:1%7D", "u=/x%3Fimei=1", `{"imei":"1","u":"a=b"}`} {
		got, _, err := formOf(judgeFor(s, "blocked"), Limits{}, in, 7)
		var r *rules.Refusal
		if !errors.As(err, &r) || r.Rule != "no-imei" || len(r.Categories) != 1 || r.Categories[0] != "device.imei" || got != "" {
			t.Errorf("%s: %v after %q", in, err, got)
		}
	}
}

// TestFormReport counts what was decided.
func TestFormReport(t *testing.T) {
	s := scopeOf(t, formRules)
	in := "phone=13800138000&a=13900139000&imei=1&t=call+13700137000&p={\"phone\":1}"
	_, report, err := formOf(judgeFor(s, "reader"), Limits{}, in, 7)
	phone, imei := s.Rules().ID("contact.phone"), s.Rules().ID("device.imei")
	if err != nil || report.Counts[phone][rules.Mask] != 4 || report.Counts[imei][rules.Strip] != 1 || report.Read != int64(len(in)) {
		t.Errorf("%v, %v", report, err)
	}
}

// TestFormRecord: a record at the top has its answers in parameters, and two of them are none.
func TestFormRecord(t *testing.T) {
	s := scopeOf(t, `minimize: 1
roles: [reader]
purposes: [work]
records: [{at: "", subject: /user}]
signed: [/sign]
allow: [{id: own, to: self, for: work, keep: [personal]}]
`)
	for in, want := range map[string]string{
		"phone=13800138000&user=me":         "phone=13800138000&user=me",
		"phone=13800138000&user=%6d%65":     "phone=13800138000&user=%6d%65",
		"phone=13800138000&user=you":        "user=you",
		"phone=13800138000&user=me&user=me": "user=me&user=me",
		"phone=13800138000":                 "",
		"user=me&phone=1&sign=x":            "user=me&phone=1&sign=x",
	} {
		if got, _, err := formOf(judgeFor(s, "reader"), Limits{}, in, 4); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	_, _, err := formOf(judgeFor(s, "reader"), Limits{}, "phone=1&sign=x&user=you", 4)
	if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Reason != rules.SignedBody {
		t.Errorf("a signed form that would change: %v", err)
	}
}

// TestFormStreams: a form larger than the hold goes out as it comes, in constant memory.
func TestFormStreams(t *testing.T) {
	s := scopeOf(t, formRules)
	var c collected
	budget := NewBudget(4 << 20)
	w := NewForm(judgeFor(s, "reader"), Limits{Hold: 64 << 10, Budget: budget}, c.sink)
	wide := "text=" + strings.Repeat("x", 100_000) + "&imei=1&"
	for range 90 {
		if _, err := w.Write([]byte(wide)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || c.calls < 10 || string(c.body) != strings.Repeat(wide[:len(wide)-7], 90) {
		t.Errorf("%v, %d calls, %d bytes", err, c.calls, len(c.body))
	}
	if taken := 4<<20 - budget.Left(); taken > 2<<20 {
		t.Errorf("it holds %d bytes", taken)
	}
	w.Release()
	if budget.Left() != 4<<20 {
		t.Errorf("%d bytes are not given back", 4<<20-budget.Left())
	}
}

// TestFormPeople: the message's data subject is asked about, and minds that change meanwhile count.
func TestFormPeople(t *testing.T) {
	s := &register{agreed: map[string]bool{"u1": true}}
	if got, _, err := formOf(s.judge(t, "u1"), Limits{}, "phone=13800138000&a=1", 3); err != nil || got != "phone=13800138000&a=1" {
		t.Errorf("%s, %v", got, err)
	}
	s.leave = func() bool {
		was := s.agreed["u1"]
		delete(s.agreed, "u1")
		return !was
	}
	if got, _, err := formOf(s.judge(t, "u1"), Limits{}, "phone=13800138000&a=1", 3); err != nil || got != "a=1" {
		t.Errorf("%s, %v", got, err)
	}
}
