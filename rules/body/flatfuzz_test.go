package body

import (
	"errors"
	"io"
	gomultipart "mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules"
)

// strictForm reports whether another reader takes a form, and whether it keeps to what we ask for beside it.
func strictForm(body string) bool {
	if strings.Contains(body, ";") || strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	for pair := range strings.SplitSeq(body, "&") {
		says, err := url.QueryUnescape(pair)
		if err != nil || !utf8.ValidString(says) || strings.Contains(says, "\x00") {
			return false
		}
		name, value, _ := strings.Cut(pair, "=")
		if name, _ = url.QueryUnescape(name); strings.EqualFold(name, "_charset_") && !strings.EqualFold(value, "utf-8") {
			return strings.Count(pair, "=") == 0
		}
	}
	return true
}

func flatScopes(tb testing.TB) []*rules.Scope {
	var scopes []*rules.Scope
	for _, doc := range []string{strings.Replace(partRules, ", least: 10", "", 1), headRules, records} { // or else full rights change something
		scopes = append(scopes, scopeOf(tb, doc))
	}
	return scopes
}

// FuzzForm checks that every form is refused or comes out as one, whatever the cuts, and as it was where all is permitted.
func FuzzForm(f *testing.F) {
	for i, seed := range []string{
		"imei=1&phone=13800138000&a=%41+b&&c", "q=%7B%22imei%22%3A1%7D&13800138000=x", `{"imei":"1","u":"a=b&c"}`, "a=%zz", "a=1;b", "_charset_=x", "%31%33800138000&=&u=/x%3Fimei%3D1", "x=%2531", "a=+1380013+8000",
		"a=%7Bimei:+1%7D&b=<imei>1&c=%26quot%3Bimei%26quot%3B:1&imei:=1&x=%EF%BC%9A", "a=s:4:%22imei%22%3Bi:1",
	} {
		f.Add(seed, byte(3*i), byte(2), byte(i))
	}
	scopes := flatScopes(f)
	f.Fuzz(func(t *testing.T, body string, hold, chunk, which byte) {
		s := scopes[int(which)%len(scopes)]
		l := Limits{Hold: int(hold)}
		all, _, err := formOf(judgeFor(s, "full"), l, body, 1+int(chunk))
		if want := strictForm(body); (err == nil) != want || want && all != body {
			t.Fatalf("%q came out as %q, %v", body, all, err)
		}
		some, _, err := formOf(judgeFor(s, "reader"), l, body, 1+int(chunk))
		whole, _, err2 := formOf(judgeFor(s, "reader"), l, body, 1+len(body))
		if some != whole || (err == nil) != (err2 == nil) {
			t.Fatalf("cuts matter: %q %v, %q %v", some, err, whole, err2)
		}
		if err == nil && !strictForm(some) {
			t.Fatalf("%q came out as %q", body, some)
		}
	})
}

// readAlike are the parts of a body as Go's reader has them.
func readAlike(body, boundary string) (parts []string, ok bool) {
	for reader := gomultipart.NewReader(strings.NewReader(body), boundary); ; {
		p, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, true
		}
		if err != nil {
			return nil, false
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return nil, false
		}
		parts = append(parts, p.FormName()+"\x00"+p.FileName()+"\x00"+p.Header.Get("Content-Type")+"\x00"+string(content))
	}
}

// FuzzParts checks that what is not refused is read by another reader as we read it: where all is permitted it reads the same
// parts in what went in and in what comes out.
func FuzzParts(f *testing.F) {
	for i, seed := range []string{
		parts(part1("imei", "1"), part1("phone", "13800138000"), filePart("x", "13800138000.png", "image/png", "\x00\r\n--")),
		parts(filePart("j", "f", "application/json", "[{\"imei\":1},\"x\"]\n"), filePart("imei", "f", "application/json", "{} \n"), part1("zz", "call 13800138000")),
		"preamble\r\n" + parts(part1("a", "")) + "epilogue", strings.ReplaceAll(parts(part1("o", "1")), "\r\n", "\n"), parts("Content-Disposition: form-data; name=a; filename=\"b\"; filename=c\n\n1"),
		parts("X: y\nContent-Disposition:form-data;name=a\nContent-Type: text/plain; charset=utf-8\n\n1"), parts(part1("a", "1\n--bx")),
	} {
		f.Add(seed, byte(10*i), byte(2), byte(i))
	}
	scopes := flatScopes(f)
	f.Fuzz(func(t *testing.T, body string, hold, chunk, which byte) {
		s := scopes[int(which)%len(scopes)]
		l := Limits{Hold: int(hold)}
		all, _, err := partsOf(t, judgeFor(s, "full"), l, "b", body, 1+int(chunk))
		if err == nil {
			end := strings.Index(body, "--b--") + len("--b--") // what stands behind is dropped
			in, ok := readAlike(body[:end]+"\r\n", "b")
			out, ok2 := readAlike(all, "b")
			if !ok || !ok2 || !slices.Equal(in, out) {
				t.Fatalf("%q came out as %q: %q, %q", body, all, in, out)
			}
		}
		some, _, err := partsOf(t, judgeFor(s, "reader"), l, "b", body, 1+int(chunk))
		whole, _, err2 := partsOf(t, judgeFor(s, "reader"), l, "b", body, 1+len(body))
		if some != whole || (err == nil) != (err2 == nil) {
			t.Fatalf("cuts matter: %q %v, %q %v", some, err, whole, err2)
		}
		if err == nil {
			if _, _, err := partsOf(t, judgeFor(s, "full"), l, "b", some, 99); err != nil {
				t.Fatalf("%q came out as %q, %v", body, some, err)
			}
		}
	})
}

// FuzzHead checks that what stands in a head is refused or comes out as one line, and as it was where all is permitted.
func FuzzHead(f *testing.F) {
	for _, seed := range []string{"a=1; imei=2; b=%31", "for=192.0.2.60;proto=http;by=\"[2001:db8::1]:8\"", "203.0.113.7, 2001:db8::1", "https://x/13800138000?imei=1&a=2#b", agent, `{"imei":1}`, "/a/13800138000;x=1/%31%33800138000"} {
		f.Add(seed, byte(0))
	}
	scopes := flatScopes(f)
	f.Fuzz(func(t *testing.T, value string, which byte) {
		s := scopes[int(which)%len(scopes)]
		full, reader := NewHead(judgeFor(s, "full")), NewHead(judgeFor(s, "reader"))
		for _, name := range []string{"Cookie", "Forwarded", "X-Forwarded-For", "Referer", "User-Agent", "X-Phone"} {
			if got, stays, err := full.Header(name, value); err == nil && (got != value || !stays) && strings.Trim(value, " \t,;") != "" {
				t.Fatalf("%s: %q gave %q", name, value, got)
			}
			if got, _, err := reader.Header(name, value); err == nil && (!utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00")) {
				t.Fatalf("%s: %q gave %q", name, value, got)
			}
		}
		if got, err := full.Path(value); err == nil && got != value {
			t.Fatalf("path %q gave %q", value, got)
		}
		if got, err := reader.Path(value); err == nil {
			if _, err := full.Path(got); err != nil {
				t.Fatalf("path %q gave %q", value, got)
			}
		}
	})
}
