package body

import (
	"errors"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

const headRules = `minimize: 1
roles: [reader, open, keeper, full, blocked, token]
purposes: [work]
fields: [{at: /quiet, is: none}]
allow:
  - {id: all, to: full, for: work, keep: [general, personal, sensitive, secret]}
  - {id: read, to: [reader, blocked], for: work, keep: [order, thing, session.cookie, behavior.browsing], mask: [contact, person.name, network]}
  - {id: pseudo, to: token, for: work, pseudonymize: [contact.phone, network.ip]}
limit:
  - {id: no-imei, to: blocked, block: [device.imei]}
`

const agent = "Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"

// TestHeader: what a header may still say, by its name and by what detectors find.
func TestHeader(t *testing.T) {
	s := scopeOf(t, headRules)
	const gone = "gone"
	for _, test := range []struct{ role, name, in, want string }{
		{"full", "X-Phone", "13800138000", same},
		{"full", "Cookie", "imei=860531030123452; a=%31%33800138000;b", same},
		{"full", "X-Forwarded-For", "203.0.113.7,  2001:db8:1:2::3", same},
		{"full", "Forwarded", `for="[2001:db8:cafe::17]:4711";proto=http, for=198.51.100.17;by=_x`, same},
		{"full", "Referer", "https://shop.example/a?phone=13800138000", same},
		{"reader", "X-Anything", "", same},
		{"reader", "User-Agent", agent, same},
		{"reader", "User-Agent", agent + " call 13800138000", agent + " call 138****8000"},
		{"reader", "X-Phone", "13800138000", "138****8000"},
		{"reader", "X-IMEI", "860531030123452", gone},
		{"reader", "X-Device", "860531030123452", gone},
		{"reader", "X-Device", "my 860531030123452 x", "my 86053103******* x"},
		{"reader", "X-13800138000", "yes", gone},
		{"token", "X-13800138000", "yes", gone},
		{"reader", "X-Context", `{"imei":"1","a":2}`, `{"a":2}`},
		{"reader", "X-Context", "imei=1&a=2", "a=2"},
		{"reader", "X-Real-IP", "203.0.113.7", "203.0.113.0"},
		{"reader", "X-Forwarded-For", "203.0.113.7, 2001:db8:1:2::3,198.51.100.17:80", "203.0.113.0, 2001:db8:1::,198.51.100.0"},
		{"open", "X-Forwarded-For", "203.0.113.7, 198.51.100.17", gone},
		{"reader", "Via", "1.1 203.0.113.7 (x), 1.0 proxy", "1.1 203.0.113.0 (x), 1.0 proxy"},
		{"reader", "Forwarded", `for=192.0.2.60;proto=http;by=203.0.113.43`, `for="192.0.2.0";proto=http;by="203.0.113.0"`},
		{"reader", "Forwarded", `proto=https;for="[2001:db8:cafe::17]", for="192.0.2.43:80"`, `proto=https;for="[2001:db8:cafe::]", for="192.0.2.0"`},
		{"open", "Forwarded", `for=192.0.2.60;proto=http, for=192.0.2.61`, `proto=http`},
		{"open", "Forwarded", `for=192.0.2.60,for="_a,\",;b"`, gone},
		{"reader", "Cookie", "imei=1; a=2; phone=13800138000; b=x", "a=2; phone=138****8000; b=x"},
		{"reader", "Cookie", "a=2; device=860531030123452", "a=2"},
		{"reader", "Cookie", "a=call%2013800138000; b=100%; 13800138000", "a=call%20138%2A%2A%2A%2A8000; b=100%; 138****8000"},
		{"reader", "Cookie", `u=%7B%22imei%22%3A1%2C%22o%22%3A2%7D; v={"imei":1}`, `u=%7B%22o%22%3A2%7D; v={}`},
		{"reader", "Cookie", "13800138000=1; a=2", "a=2"},
		{"token", "Cookie", "a=2", gone},
		{"open", "Cookie", "a=2; quiet=1", gone},
		{"reader", "Referer", "https://shop.example/u/13800138000?imei=1&o=2", "https://shop.example/u/138****8000?o=2"},
		{"reader", "Referer", "https://shop.example/u/o?o=2#x", same},
		{"reader", "Referer", "https://203.0.113.7/13800138000", "https://203.0.113.0/138****8000"},
		{"open", "Referer", "https://shop.example/", gone},
	} {
		got, stays, err := NewHead(judgeFor(s, test.role)).Header(test.name, test.in)
		if test.want == same {
			test.want = test.in
		}
		if !stays {
			got = gone
		}
		if err != nil || got != test.want {
			t.Errorf("%s of a %s: %q gave %q, %v\nwant %q", test.name, test.role, test.in, got, err, test.want)
		}
	}
}

// TestPath: what detectors find in a path is masked, and the rest stands.
func TestPath(t *testing.T) {
	s := scopeOf(t, headRules)
	for in, want := range map[string]string{
		"/":                                  same,
		"/api/orders/D1/items;v=1/%E5%BC%A0": same,
		"/users/13800138000/orders":          "/users/138%2A%2A%2A%2A8000/orders",
		"/users/%31%33800138000":             "/users/138%2A%2A%2A%2A8000",
		"/device/860531030123452":            "/device/86053103%2A%2A%2A%2A%2A%2A%2A",
		"/13800138000":                       "/138%2A%2A%2A%2A8000",
		"13800138000/":                       "138%2A%2A%2A%2A8000/",
		"//a///13800138000//":                "//a///138%2A%2A%2A%2A8000//",
		"/a;imei=1;v=2/b":                    "/a;v=2/b",
		"/a/%2531%2533800138000/b":           "/a/138%252A%252A%252A%252A8000/b",
	} {
		if want == same {
			want = in
		}
		if got, err := NewHead(judgeFor(s, "reader")).Path(in); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
		if got, err := NewHead(judgeFor(s, "full")).Path(in); err != nil || got != in {
			t.Errorf("%s with all rights: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"/%zz", "/%00", "/%ff", "/a\r\nb", "/%0d%0a\xff"} {
		if got, err := NewHead(judgeFor(s, "full")).Path(in); err == nil {
			t.Errorf("%q gave %q", in, got)
		}
	}
}

// TestQuery is a form in one piece.
func TestQuery(t *testing.T) {
	s := scopeOf(t, headRules)
	for in, want := range map[string]string{
		"": same, "a=1&b=+%20&c": same, "imei=1": "", "imei=1&a=2&phone=13800138000": "a=2&phone=138%2A%2A%2A%2A8000", "tel=%2B4915112345678&x=+4915112345678": "tel=%2B49151%2A%2A%2A%2A5678&x=+491%2A%2A%2A%2A%2A%2A5678",
		"quiet=13800138000": same,
	} {
		if want == same {
			want = in
		}
		if got, err := NewHead(judgeFor(s, "reader")).Query(in); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"a=1;b=2", "a=%", "a=1#b", "a=\xff"} {
		if got, err := NewHead(judgeFor(s, "full")).Query(in); err == nil || got != "" {
			t.Errorf("%q gave %q", in, got)
		}
	}
}

// TestHeadBlocked: whatever is blocked refuses the message, and says no value.
func TestHeadBlocked(t *testing.T) {
	s := scopeOf(t, headRules)
	h := NewHead(judgeFor(s, "blocked"))
	for name, judge := range map[string]func() error{
		"query":   func() error { _, err := h.Query("a=1&imei=1"); return err },
		"path":    func() error { _, err := h.Path("/x/860531030123452"); return err },
		"text":    func() error { _, _, err := h.Text("imei", "1"); return err },
		"header":  func() error { _, _, err := h.Header("X-Device", "a 860531030123452"); return err },
		"cookie":  func() error { _, _, err := h.Header("Cookie", "a=1; imei=2"); return err },
		"referer": func() error { _, _, err := h.Header("Referer", "https://x/?imei=1"); return err },
		"element": func() error { _, _, err := h.Header("Forwarded", "for=1;x=860531030123452"); return err },
	} {
		err := judge()
		if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Rule != "no-imei" || len(r.Categories) != 1 || r.Categories[0] != "device.imei" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := h.Report().Counts[s.Rules().ID("device.imei")][rules.Block]; n != 7 {
		t.Errorf("%d are reported as blocked", n)
	}
	for _, value := range []string{"\xff", "a\nb", "a\x00"} {
		if _, _, err := h.Header("X-A", value); err == nil {
			t.Errorf("%q is taken for a header", value)
		}
	}
}

// TestHeadLeftOut: what blocks a text, and is left out with it, blocked nothing.
func TestHeadLeftOut(t *testing.T) {
	scope := scopeOf(t, headRules)
	h, imei := NewHead(judgeFor(scope, "blocked")), scope.Rules().ID("device.imei")
	for range 2 {
		if _, _, err := h.Header("X-Device", "490154203237518"); err == nil {
			t.Fatal("the text is not refused")
		}
		h.LeftOut()
		h.LeftOut()
	}
	if counts := h.Report().Counts[imei]; counts[rules.Block] != 0 || counts[rules.Strip] != 2 {
		t.Errorf("got %v", counts)
	}
}
