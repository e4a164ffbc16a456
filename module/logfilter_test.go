package minimize

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// TestRedaction: texts of every kind lose the personal data in them and keep the rest.
func TestRedaction(t *testing.T) {
	r, err := baseRedactor()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ key, in, want string }{
		{"msg", "handled request", "handled request"},
		{"uri", "/api/orders/42?page=2&sort=created_at", "/api/orders/42?page=2&sort=created_at"},
		{"uri", "/consent/subjects/u1/consents/search?page=2", "/consent/subjects/[id]/consents/search?page=2"},
		{"uri", "/consent/subjects/me/history", "/consent/subjects/me/history"},
		{"uri", "/consent/cases/t1", "/consent/cases/[id]"},
		{"uri", "/subjects/", "/subjects/"},
		{"uri", "/users/13800138000/orders", "/users/[contact.phone]/orders"},
		{"uri", "/users/%31%33800138000", "/users/[contact.phone]"},
		{"uri", "/users/%2531%2533800138000", "/users/[contact.phone]"},
		{"uri", "/a?phone=hidden&page=2", "/a?phone=[contact.phone]&page=2"},
		{"uri", "/a?Phone_Number=hidden", "/a?Phone_Number=[contact.phone]"},
		{"uri", "/a?%70hone=hidden", "/a?%70hone=[contact.phone]"},
		{"uri", "/a?q=a%40example.com", "/a?q=[contact.email]"},
		{"uri", "/a?13800138000=x", "/a?[contact.phone]=x"},
		{"uri", "/a?q=%zz", "/a?q=[unreadable]"},
		{"uri", "/%zz/b", "/[unreadable]/b"},
		{"uri", "/a?x;phone=hidden", "/a?x;phone=[contact.phone]"},
		{"uri", "/a;v=1?x&&y=2;z", "/a;v=1?x&&y=2;z"},
		{"uri", "/a;password=abc", "/a;password=[auth.secret]"},
		{"uri", "/api/[%31%33800138000]", "/api/[[contact.phone]]"},
		{"uri", "/a?q=[%31%33800138000]", "/a?q=[[contact.phone]]"},
		{"uri", "/a?q=13800138000%26%2531%2533800138001", "/a?q=[contact.phone]&[contact.phone]"},
		{"uri", "/a#password=abc", "/a#password=[auth.secret]"},
		{"uri", "#password=abc", "#password=[auth.secret]"},
		{"uri", "/a#/b?password=abc&x=1", "/a#/b?password=[auth.secret]&x=1"},
		{"uri", "/a?redirect=/y?password=abc", "/a?redirect=/y?password=[auth.secret]"},
		{"uri", "/a?redirect=%2Fy%3Fpassword%3Dabc", "/a?redirect=/y?password=[auth.secret]"},
		{"uri", "/a?redirect=%252Fy%253Fpassword%253Dabc", "/a?redirect=/y?password=[auth.secret]"},
		{"uri", "/a?redirect=%2Fy%3Fpage%3D2", "/a?redirect=%2Fy%3Fpage%3D2"},
		{"uri", "/a?%2570assword=abc", "/a?%2570assword=[auth.secret]"},
		{"uri", "/a?q=%2525252525252541", "/a?q=[unreadable]"},
		{"uri", "/a?q=" + strings.Repeat("x=", 50), "/a?q=x=x=x=x=x=x=[unreadable]"},
		{"error", `Get "http://10.0.0.5:8080/u?phone=hidden": dial tcp 10.0.0.5:8080: connect: connection refused`,
			`Get "http://10.0.0.5:8080/u?phone=[contact.phone]": dial tcp 10.0.0.5:8080: connect: connection refused`},
		{"error", "user a@example.com failed", "user [contact.email] failed"},
		{"error", "phone 138 0013 8000 failed", "phone [contact.phone] failed"},
		{"upstream", "127.0.0.1:9000", "127.0.0.1:9000"},
		{"remote_ip", "203.0.113.77", "203.0.113.0"},
		{"remote_ip", "2001:db8:1:2::3", "2001:db8:1::"},
		{"client_ip", "10.1.2.3", "10.1.2.0"},
		{"client_ip", "nonsense", "[unreadable]"},
		{"user_id", "alice", "[dropped]"},
		{"user_id", "", ""},
		{"remote", "203.0.113.77:4711", "203.0.113.0"},
	} {
		if got := r.any(test.key, test.in, false); got != test.want {
			t.Errorf("%s: %s became %s, want %s", test.key, test.in, got, test.want)
		}
	}
}

// TestHeaderRedaction: a header's name and value are the client's own words, and so is a method.
func TestHeaderRedaction(t *testing.T) {
	r, err := baseRedactor()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, in, want string }{
		{"X-Forwarded-Full-Name", "Alice", "[dropped]"}, {"x-forwarded-user", "Alice", "[dropped]"}, {"X-Forwarded-Proto", "https", "https"},
		{"X-Forwarded-Uri", "/a?phone=x", "/a?phone=[contact.phone]"}, {"Sec-Websocket-Protocol", "Alice", "[dropped]"},
		{"X-User", "full_name: Alice", "full_name: [person.name]"}, {"X-User", `{"a":1,"full_name":"Alice"}`, `{"a":1,"full_name": [person.name]`},
		{"Date", "Tue, 15 Nov 1994 12:45:26 GMT", "Tue, 15 Nov 1994 12:45:26 GMT"}, {"X-Page", "https://shop.example/a", "https://shop.example/a"},
	} {
		if got := r.any(test.name, test.in, true); got != test.want {
			t.Errorf("%s: %s became %s, want %s", test.name, test.in, got, test.want)
		}
	}
	for in, want := range map[string]string{"GET": "GET", "DELETE": "DELETE", "Alice": "[unreadable]"} {
		if got := r.any("method", in, false); got != want {
			t.Errorf("the method %s became %s", in, got)
		}
	}
}

// TestLogEncoder: every way in which a field may be added is redacted.
func TestLogEncoder(t *testing.T) {
	e := new(LogEncoder)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := e.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Authorization": {"x"}, "X-Phone": {"hidden"}, "X-Forwarded-For": {"203.0.113.77, 10.0.0.1"}, "Accept": {"text/html"}, somePhone: {"1"}}
	with := e.Clone()
	with.AddString("with", somePhone)
	fields := []zapcore.Field{
		zap.String("string", somePhone), zap.ByteString("bytes", []byte(somePhone)), zap.Strings("strings", []string{"a", somePhone}),
		zap.Error(errors.New("no " + somePhone)), zap.Any("any", map[string]any{"inner": []any{somePhone, 1}}), zap.Stringer("stringer", phoneStringer{}),
		zap.Reflect("reflect", struct{ Phone string }{somePhone}), zap.Reflect("unmarshalable", func() {}),
		zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: &http.Request{Header: header, RequestURI: "/" + somePhone, RemoteAddr: "203.0.113.77:1"}, ShouldLogCredentials: true}),
		zap.Duration("duration", time.Second), zap.Int("status", 200), zap.Bool("ok", true), zap.Inline(loggedObject{"inline": somePhone}),
		zap.Namespace("ns"), zap.String("in_ns", somePhone),
	}
	line, err := with.EncodeEntry(zapcore.Entry{Message: "for " + somePhone, Level: zapcore.InfoLevel}, fields)
	if err != nil {
		t.Fatal(err)
	}
	got := line.String()
	for _, secret := range []string{somePhone, "203.0.113.77", "hidden"} {
		if strings.Contains(got, secret) {
			t.Errorf("the entry shows %s: %s", secret, got)
		}
	}
	for _, want := range []string{
		`"msg":"for [contact.phone]"`, `"with":"[contact.phone]"`, `"string":"[contact.phone]"`, `"bytes":"[contact.phone]"`, `"strings":["a","[contact.phone]"]`,
		`"error":"no [contact.phone]"`, `"any":{"inner":["[contact.phone]",1]}`, `"stringer":"[contact.phone]"`, `"unmarshalable":"[unreadable]"`,
		`"uri":"/[contact.phone]"`, `"Authorization":"[dropped]"`, `"X-Forwarded-For":["203.0.113.0, 10.0.0.0"]`, `"Accept":["text/html"]`, `"remote_ip":"203.0.113.0"`,
		`"duration":1`, `"status":200`, `"ok":true`, `"inline":"[contact.phone]"`, `"ns":{"in_ns":"[contact.phone]"}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the entry lacks %s: %s", want, got)
		}
	}
}

type phoneStringer struct{}

func (phoneStringer) String() string { return somePhone }

// TestLogFilter: the filter for one field, in Caddy's own filter encoder.
func TestLogFilter(t *testing.T) {
	b := newBackend(t, says(jsonHead, `{}`))
	g := start(t, b.addr, "", "log {\noutput file {dir}/access.log\nformat filter {\nrequest>uri minimize\nrequest>headers minimize\n}\n}\n"+shop)
	g.get("/api/"+somePhone+"?imei="+someIMEI, "X-Phone: "+somePhone)
	if log := g.read("access.log"); strings.Contains(log, somePhone) || strings.Contains(log, someIMEI) || !strings.Contains(log, `"uri":"/api/[contact.phone]?imei=[`) {
		t.Errorf("the log is %s", log)
	}
}

// FuzzRedaction: what looks like a phone never stays, whatever stands around it.
func FuzzRedaction(f *testing.F) {
	r, err := baseRedactor()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/a?b=", "&c")
	f.Add("/%25", "%zz?;=")
	f.Fuzz(func(t *testing.T, before, after string) {
		in := before + " " + somePhone + " " + after
		if got := r.words(in, 0, 0); strings.Contains(got, somePhone) && !strings.Contains(before+after, somePhone) {
			t.Errorf("%q became %q", in, got)
		}
	})
}

// FuzzNestedRedaction: a phone or a password is found in whatever URLs and encodings it is wrapped in, or the text is not
// logged, and redacting ends.
func FuzzNestedRedaction(f *testing.F) {
	r, err := baseRedactor()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/a?b=%s", uint8(3))
	f.Add("[#x;%s=1", uint8(1))
	f.Fuzz(func(t *testing.T, around string, layers uint8) {
		before, after, _ := strings.Cut(around, "%s")
		if strings.ContainsFunc(around, func(c rune) bool { return '0' <= c && c <= '9' || c > 126 }) {
			return // digits around make another number of it
		}
		in := somePhone
		for range layers % 8 {
			in = before + url.QueryEscape(" "+in+" ") + after
		}
		got := r.words(in, 0, 0)
		for range 8 {
			if strings.Contains(got, somePhone) {
				t.Fatalf("%q became %q", in, got)
			}
			if plain, err := url.QueryUnescape(got); err == nil {
				got = plain
			}
		}
	})
}
