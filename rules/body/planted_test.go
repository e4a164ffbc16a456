package body

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

// A place is where a value can stand in a request, as it is sent.
type place struct {
	name   string
	inForm bool // it is escaped like a form
	put    func(name, value string) string
	send   func(t testing.TB, j *rules.Judge, in string) (string, error)
}

func throughForm(t testing.TB, j *rules.Judge, in string) (string, error) {
	out, _, err := formOf(j, Limits{}, in, 5)
	return out, err
}

func throughParts(t testing.TB, j *rules.Judge, in string) (string, error) {
	out, _, err := partsOf(t, j, Limits{}, "b", in, 5)
	return out, err
}

func throughHeader(header string) func(t testing.TB, j *rules.Judge, in string) (string, error) {
	return func(_ testing.TB, j *rules.Judge, in string) (string, error) {
		out, stays, err := NewHead(j).Header(header, in)
		if !stays {
			out = ""
		}
		return out, err
	}
}

var namedPlaces = []place{
	{"form", true, func(n, v string) string { return "a=1&" + n + "=" + v + "&b=2" }, throughForm},
	{"form, in brackets", true, func(n, v string) string { return "user%5B" + n + "%5D[]=" + v }, throughForm},
	{"form, JSON", true, func(n, v string) string { return "a=%7B%22" + n + "%22:%22" + v + "%22%7D" }, throughForm},
	{"form, JSON as a name", true, func(n, v string) string { return `{"` + n + `":"` + v + `","x":"=1"}` }, throughForm},
	{"form, URL", true, func(n, v string) string { return "u=https://x/?" + n + "%3D" + strings.ReplaceAll(v, "%", "%25") }, throughForm},
	{"query", true, func(n, v string) string { return n + "=" + v }, func(_ testing.TB, j *rules.Judge, in string) (string, error) { return NewHead(j).Query(in) }},
	{"cookie", false, func(n, v string) string { return "a=1; " + n + "=" + v }, throughHeader("Cookie")},
	{"cookie, JSON", false, func(n, v string) string { return `a={"` + n + `":"` + v + `"}` }, throughHeader("Cookie")},
	{"header, JSON", false, func(n, v string) string { return `{"` + n + `":"` + v + `"}` }, throughHeader("X-Context")},
	{"header, pairs", false, func(n, v string) string { return `x=1, ` + n + `=` + v }, throughHeader("X-Context")},
	{"referer", false, func(n, v string) string { return "https://x.example/a?b=1&" + n + "=" + v }, throughHeader("Referer")},
	{"part", false, func(n, v string) string { return parts(part1("a", "1"), part1(n, v)) }, throughParts},
	{"part, JSON", false, func(n, v string) string {
		return parts(filePart("x", "x", "application/json", `{"a":[{"`+n+`":"`+v+`"}]}`))
	}, throughParts},
	{"part, form", false, func(n, v string) string {
		return parts("Content-Type: application/x-www-form-urlencoded\n" + part1("x", n+"="+v))
	}, throughParts},
	{"part, file", false, func(n, v string) string { return parts(filePart(n, "x", "image/png", v)) }, throughParts},
	{"part, text file", false, func(n, v string) string { return parts(filePart(n, "x", "text/plain", v)) }, throughParts},
	{"part, scalar", false, func(n, v string) string { return parts(filePart(n, "x", "application/json", `"`+v+`" `)) }, throughParts},
}

// Here only detectors can tell.
var namelessPlaces = []place{
	{"form", true, func(_, v string) string { return "a=1&x=" + v }, throughForm},
	{"form, in a text", true, func(_, v string) string { return "x=it+is+" + v + "+now" }, throughForm},
	{"form, a name", true, func(_, v string) string { return v + "=1" }, throughForm},
	{"form, no name", true, func(_, v string) string { return "a&" + v }, throughForm},
	{"query", true, func(_, v string) string { return "x=" + v }, func(_ testing.TB, j *rules.Judge, in string) (string, error) { return NewHead(j).Query(in) }},
	{"path", true, func(_, v string) string { return "/api/" + strings.ReplaceAll(v, "+", "%20") + "/x" }, func(_ testing.TB, j *rules.Judge, in string) (string, error) { return NewHead(j).Path(in) }},
	{"cookie", true, func(_, v string) string { return "a=1; x=" + strings.ReplaceAll(v, "+", "%20") }, throughHeader("Cookie")},
	{"cookie's name", false, func(_, v string) string { return v + "=1" }, throughHeader("Cookie")},
	{"header", false, func(_, v string) string { return "x " + v }, throughHeader("X-Note")},
	{"user agent", false, func(_, v string) string { return agent + " " + v }, throughHeader("User-Agent")},
	{"forwarded", false, func(_, v string) string { return `for=1.2.3.4;x="` + v + `"` }, throughHeader("Forwarded")},
	{"addresses", false, func(_, v string) string { return `1.2.3.4, ` + v }, throughHeader("X-Forwarded-For")},
	{"referer", true, func(_, v string) string { return "https://x.example/" + v + "/a" }, throughHeader("Referer")},
	{"part", false, func(_, v string) string { return parts(part1("x", "a "+v)) }, throughParts},
	{"part's name", false, func(_, v string) string { return parts(part1(v, "1")) }, throughParts},
	{"file's name", false, func(_, v string) string { return parts(filePart("x", v+".png", "image/png", "?")) }, throughParts},
	{"file's name, text", false, func(_, v string) string { return parts(filePart("x", v+".txt", "text/plain", "?")) }, throughParts},
	{"preamble", false, func(_, v string) string { return v + "\r\n" + parts(part1("x", "1")) + v }, throughParts},
	{"part's header", false, func(_, v string) string { return parts("X-Y: " + v + "\n" + part1("x", "1")) }, throughParts},
}

// spellings are ways to write a value that a form's reader undoes.
func spellings(value string) map[string]string {
	escape := func(format string) string {
		var b strings.Builder
		for i := range len(value) {
			fmt.Fprintf(&b, format, value[i])
		}
		return b.String()
	}
	return map[string]string{
		"raw": url.QueryEscape(value), "lower": escape("%%%02x"), "upper": escape("%%%02X"), "spaces": strings.ReplaceAll(url.PathEscape(value), "%20", "+"),
		"mixed": url.QueryEscape(value[:1]) + fmt.Sprintf("%%%02x", value[1]) + url.QueryEscape(value[2:]),
	}
}

// shows reports whether a value stands in a text in any of its spellings.
func shows(text, value string) bool {
	for range 4 {
		for _, v := range []string{value, strings.ReplaceAll(value, " ", ""), base64.RawURLEncoding.EncodeToString([]byte(value)), hex.EncodeToString([]byte(value)), strings.Trim(fmt.Sprintf("%+q", value), `"`)} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(v)) {
				return true
			}
		}
		text = decoded(text)
	}
	return false
}

// TestPlanted plants values wherever a request can hold them: nobody without a rule sees one in any spelling, and with all
// rights every byte passes.
func TestPlanted(t *testing.T) {
	s := scopeOf(t, headRules)
	try := func(p place, name, value, spelling string) {
		t.Helper()
		in := p.put(name, spelling)
		if !shows(in, value) {
			t.Errorf("%s: nobody would find %q in %q", p.name, value, in)
		}
		out, err := p.send(t, judgeFor(s, "open"), in)
		if err == nil && shows(out, value) || err != nil && shows(err.Error(), value) {
			t.Errorf("%s: %q gave %q, %v", p.name, in, out, err)
		}
		out, err = p.send(t, judgeFor(s, "full"), in)
		if dropped := p.name == "preamble" || p.name == "part's header"; err != nil || (out != in) != dropped {
			t.Errorf("%s: with all rights %q gave %q, %v", p.name, in, out, err)
		}
	}
	for _, p := range namedPlaces {
		for name, value := range map[string]string{"imei": "860531030123452", "phone": "138 0013 8000", "realName": "张小伟 Zoe"} {
			for kind, spelling := range spellings(value) {
				if p.inForm {
					try(p, name, value, spelling)
				} else if kind == "raw" {
					try(p, name, value, value)
				}
			}
			coded := base64.RawURLEncoding.EncodeToString([]byte(value))
			try(p, name, value, coded)
		}
	}
	for _, p := range namelessPlaces {
		for _, value := range []string{"860531030123452", "13800138000", "zoe.zhang@mail.example.com", "138 0013 8000"} {
			if p.name == "cookie's name" && strings.Contains(value, " ") {
				continue
			}
			for kind, spelling := range spellings(value) {
				if p.inForm {
					try(p, "", value, spelling)
				} else if kind == "raw" {
					try(p, "", value, value)
				}
			}
		}
	}
}
