package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	gomultipart "mime/multipart"
	"strings"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

const partRules = formRules + `records: [{at: /orders/*, subject: /id}]
signed: [/sign]
`

// parts writes a body with the boundary b. A part is its headers, an empty line and its content.
func parts(all ...string) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString("--b\n" + p + "\n")
	}
	b.WriteString("--b--\n")
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

func part1(name, value string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"\n\n" + value
}

func filePart(name, fileName, mediaType, content string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"; filename=\"" + fileName + "\"\nContent-Type: " + mediaType + "\n\n" + content
}

func images(mediaType string) bool { return strings.HasPrefix(mediaType, "image/") }

func partsOf(t testing.TB, j *rules.Judge, l Limits, boundary, body string, chunk int) (string, *rules.Report, error) {
	t.Helper()
	var c collected
	w, err := NewMultipart(j, l, c.sink, boundary, images)
	if err != nil {
		t.Fatal(err)
	}
	return sent(w, &c, body, chunk)
}

// TestParts: parts are judged like members of an object, and those that stay go out byte for byte.
func TestParts(t *testing.T) {
	s := scopeOf(t, partRules)
	o, imei := part1("o", "D1"), part1("imei", "860531030123452")
	image := filePart("x", "a b.png", "image/png", "\x00\xff\r\n--a\r\n\n--\r")
	for _, test := range []struct{ name, role, in, want string }{
		{"nothing", "reader", "--b--\r\n", same},
		{"no line at the end", "reader", strings.TrimSuffix(parts(o), "\r\n"), same},
		{"nothing personal", "reader", parts(o, part1("p", ""), part1("q", "a\n\n=b"), image, filePart("j", "x.json", "application/json; charset=UTF-8", "\xef\xbb\xbf {\"a\": [1, 2]} \n")), same},
		{"all rights", "full", parts(o, imei, filePart("j", "张伟 13800138000.json", "application/vnd.x+json", `{"imei":1,"a":"13800138000"}`)), same},
		{"the first goes", "reader", parts(imei, o, part1("p", "1")), parts(o, part1("p", "1"))},
		{"one in the middle", "reader", parts(o, imei, o), parts(o, o)},
		{"the last", "reader", parts(o, imei), parts(o)},
		{"all", "reader", parts(imei, imei), parts()},
		{"masked", "reader", parts(o, part1("phone", "13800138000"), o), parts(o, part1("phone", "138****8000"), o)},
		{"by its place", "reader", parts(part1("tel", "13800138000")), parts(part1("tel", "138****8000"))},
		{"a part of a text", "reader", parts(part1("zz", "call 13800138000\nnow")), parts(part1("zz", "call 138****8000\nnow"))},
		{"a file of text", "reader", parts(filePart("zz", "x.txt", "text/plain", "call 13800138000")), parts(filePart("zz", "x.txt", "text/plain", "call 138****8000"))},
		{"blanked", "blank", parts(part1("phone", "13800138000"), o), parts(part1("phone", ""), o)},
		{"a name that is data", "token", parts(part1("13800138000", "1"), o), parts(o)},
		{"JSON in a field", "reader", parts(part1("zz", `{"imei": 1, "a": 2}`)), parts(part1("zz", `{ "a": 2}`))},
		{"a JSON part", "reader", parts(filePart("j", "j", "application/json", "{\"imei\":1,\"phone\":\"13800138000\",\"o\":[1]}\n")), parts(filePart("j", "j", "application/json", "{\"phone\":\"138****8000\",\"o\":[1]}\n"))},
		{"a JSON part without a filename", "reader", parts("content-type:application/json\ncontent-disposition:form-data;name=j\n\n5 "), same},
		{"a JSON part that goes", "reader", parts(o, filePart("imei", "j", "application/json", "{\"a\":[{}]} \n\n"), o), parts(o, o)},
		{"a JSON scalar that goes", "reader", parts(o, filePart("imei", "j", "application/json", "\n\"1\" \n\n"), o), parts(o, o)},
		{"a masked JSON scalar", "reader", parts(filePart("phone", "j", "application/json", "\n\"13800138000\" \n\n"), o), parts(filePart("phone", "j", "application/json", "\n\"138****8000\" \n\n"), o)},
		{"a JSON part's inside by its name", "blank", parts(filePart("phone", "j", "application/json", `{"a":1}`), o), parts(filePart("phone", "j", "application/json", `{}`), o)},
		{"a form part", "reader", parts("Content-Disposition: form-data; name=f\nContent-Type: application/x-www-form-urlencoded\n\nimei=1&x=2"), parts("Content-Disposition: form-data; name=f\nContent-Type: application/x-www-form-urlencoded\n\nx=2")},
		{"a file's name", "reader", parts(filePart("x", "13800138000.png", "image/png", "?"), o), parts(filePart("x", "138****8000.png", "image/png", "?"), o)},
		{"an encoding", "reader", parts(part1("_charset_", "UTF-8"), o), same},
		{"no file was chosen", "reader", parts(filePart("x", "", "application/octet-stream", ""), o), same},
		{"a file's name of a file that goes", "reader", parts(filePart("imei", "13800138000.png", "image/png", "?"), o), parts(o)},
		{"names of files in a row", "reader", parts(filePart("x", "13800138000.png", "image/png", "?"), imei, filePart("imei", "13800138001", "image/png", "?"), filePart("z", "13800138002", "application/json", "{\"imei\":1}")),
			parts(filePart("x", "138****8000.png", "image/png", "?"), filePart("z", "138****8002", "application/json", "{}"))},
		{"a file that goes", "reader", parts(o, filePart("imei", "a.png", "image/png", strings.Repeat("x\r\n--", 20)), o), parts(o, o)},
		{"a blanked file", "blank", parts(filePart("phone", "a.png", "image/png", "?"), o), parts(filePart("phone", "a.png", "image/png", ""), o)},
		{"a file cannot be masked", "reader", parts(filePart("phone", "a.png", "image/png", "?"), o), parts(filePart("phone", "a.png", "image/png", ""), o)},
		{"what stands around", "reader", "secret 13800138000\r\n\r\n" + parts(o) + "13800138000\r\n--b\r\n", parts(o)},
		{"what stands behind", "reader", strings.TrimSuffix(parts(o), "\r\n") + "13800138000", strings.TrimSuffix(parts(o), "\r\n")},
		{"a line behind what stands behind", "reader", strings.TrimSuffix(parts(o), "\r\n") + "x\r\n", strings.TrimSuffix(parts(o), "\r\n")},
		{"other headers", "reader", parts("X-Phone: 13800138000\nContent-Disposition: form-data; name=o\nContent-Length: 1\nContent-Transfer-Encoding: 8BIT\n\n1"), parts("Content-Disposition: form-data; name=o\nContent-Transfer-Encoding: 8BIT\n\n1")},
		{"people in a file", "reader", parts(filePart("orders", "o.json", "application/json", `[{"id":"me","phone":"13800138000"},{"phone":"13800138001","id":"you"}]`)), parts(filePart("orders", "o.json", "application/json", `[{"id":"me","phone":"138****8000"},{"phone":"138****8001","id":"you"}]`))},
	} {
		want := test.want
		if want == same {
			want = test.in
		}
		for _, limits := range []Limits{{}, {Hold: 1}, {Hold: 40}} {
			for _, chunk := range []int{1, 7, 100, 10_000} {
				got, _, err := partsOf(t, judgeFor(s, test.role), limits, "b", test.in, chunk)
				if err != nil || got != want {
					t.Errorf("%s, hold %d, chunks of %d: got %q, %v\nwant %q", test.name, limits.Hold, chunk, got, err, want)
					break
				}
			}
		}
	}
}

// TestPartsStrict: what readers differ about is refused.
func TestPartsStrict(t *testing.T) {
	s := scopeOf(t, partRules)
	long := strings.Repeat("x", 9<<10)
	for name, in := range map[string]string{
		"empty":                     "",
		"no boundary":               "a=1&b=2",
		"cut off":                   strings.TrimSuffix(parts(part1("o", "1")), "--\r\n"),
		"cut off in headers":        "--b\r\nContent-Disposition: form-data; name=o\r\n",
		"cut off in a part":         "--b\r\nContent-Disposition: form-data; name=o\r\n\r\n123",
		"only line feeds":           strings.ReplaceAll(parts(part1("o", "1")), "\r\n", "\n"),
		"a boundary in a line":      parts(part1("o", "1--b--")),
		"a boundary after \\n":      parts(part1("o", "1") + "\x00")[:40] + "1\n--b\r\n",
		"a longer boundary":         parts(part1("o", "1\n--bx\n")),
		"a padded boundary":         strings.Replace(parts(part1("o", "1"), part1("o", "1")), "\r\n--b\r\n", "\r\n--b \r\n", 1),
		"a boundary in a preamble":  "x--b\r\n" + parts(part1("o", "1")),
		"a boundary in a header":    parts(part1("--b", "1")),
		"no name":                   parts("Content-Disposition: form-data\n\n1"),
		"an unnamed file":           parts("Content-Disposition: form-data; filename=a\n\n1"),
		"no disposition":            parts("Content-Type: text/plain\n\n1"),
		"no header":                 parts("\n1"),
		"two dispositions":          parts("Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=b\n\n1"),
		"two types":                 parts("Content-Type: text/plain\nContent-Type: application/json\n" + part1("a", "1")),
		"a name twice":              parts("Content-Disposition: form-data; name=a; name=b\n\n1"),
		"two filenames":             parts("Content-Disposition: form-data; name=a; filename=b; filename=c\n\n1"),
		"filename*":                 parts("Content-Disposition: form-data; name=a; filename=b; filename*=UTF-8''c\n\n1"),
		"name*":                     parts("Content-Disposition: form-data; name=a; name*=UTF-8''imei\n\n1"),
		"an unknown parameter":      parts("Content-Disposition: form-data; name=a; size=1\n\n1"),
		"an attachment":             parts("Content-Disposition: attachment; name=a\n\n1"),
		"a backslash":               parts("Content-Disposition: form-data; name=\"a\\\"; filename=\\\"b\"\n\n1"),
		"an open quote":             parts("Content-Disposition: form-data; name=\"a\n\n1"),
		"something behind a quote":  parts("Content-Disposition: form-data; name=\"a\"b\n\n1"),
		"an escaped name":           parts(part1("%69mei", "1")),
		"an encoded word":           parts(part1("=?utf-8?B?aW1laQ==?=", "1")),
		"a folded header":           parts("Content-Disposition: form-data;\n name=a\n\n1"),
		"a space before a colon":    parts("Content-Disposition : form-data; name=a\n\n1"),
		"a bad line end":            parts("Content-Disposition: form-data; name=a\rX: y\n\n1"),
		"bad UTF-8 in a name":       parts(part1("\xff", "1")),
		"bad UTF-8 in a text":       parts(part1("a", "\xff")),
		"NUL in a text":             parts(part1("a", "\x00")),
		"base64":                    parts("Content-Transfer-Encoding: base64\n" + part1("a", "aW1laQ==")),
		"quoted-printable":          parts("Content-Transfer-Encoding: quoted-printable\n" + part1("a", "=31")),
		"another charset":           parts("Content-Type: text/plain; charset=utf-16\n" + part1("a", "1")),
		"an encoding for all texts": parts(part1("_charset_", "gbk")),
		"a parameter of a type":     parts("Content-Type: text/plain; phone=1\n" + part1("a", "1")),
		"parts within":              parts("Content-Type: multipart/mixed; boundary=c\n" + part1("a", "--c--")),
		"long headers":              parts("Content-Type: text/plain; x=" + long + "\n" + part1("a", "1")),
		"endless headers":           "--b\r\nX: " + long,
		"no JSON":                   parts(filePart("a", "a", "application/json", `{"a":1`)),
		"two documents":             parts(filePart("a", "a", "application/json", `{} {}`)),
		"an empty document":         parts(filePart("a", "a", "application/json", ``)),
		"a number cut":              parts(filePart("a", "a", "application/json", `-`)),
		"space without end":         parts(filePart("a", "a", "application/json", `[`+strings.Repeat(" ", 200_000)+`]`)),
		"space without end, behind": parts(filePart("a", "a", "application/json", `[]`+strings.Repeat(" ", 200_000))),
		"a long text":               parts(part1("a", strings.Repeat("x", maxMember+1))),
		"many":                      strings.Repeat("--b\r\nContent-Disposition:form-data;name=a\r\n\r\n\r\n", maxParts+1) + "--b--",
	} {
		for _, chunk := range []int{9, 60_000} {
			got, _, err := partsOf(t, judgeFor(s, "full"), Limits{}, "b", in, chunk)
			var r *rules.Refusal
			if !errors.As(err, &r) || r.Reason != rules.Unreadable || got != "" {
				t.Errorf("%s: %v after %.60q", name, err, got)
			}
		}
	}
	for _, mediaType := range []string{"application/pdf", "application/octet-stream", "text/html", "application/xml"} {
		_, _, err := partsOf(t, judgeFor(s, "full"), Limits{}, "b", parts(filePart("a", "a", mediaType, "1")), 9)
		if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Reason != rules.MediaType {
			t.Errorf("%s: %v", mediaType, err)
		}
	}
	_, _, err := partsOf(t, judgeFor(s, "full"), Limits{}, "b", parts(filePart("a", "", "application/octet-stream", "1")), 9)
	if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Reason != rules.MediaType {
		t.Errorf("a file without a name: %v", err)
	}
	for _, boundary := range []string{"", "a ", "a\r\nb", "ä", "a;b", strings.Repeat("b", 71)} {
		if _, err := NewMultipart(judgeFor(s, "full"), Limits{}, nil, boundary, nil); err == nil {
			t.Errorf("%q is taken for a boundary", boundary)
		}
	}
}

// TestPartsBoundary: nothing that is written may end a part, whatever boundary somebody chose.
func TestPartsBoundary(t *testing.T) {
	s := scopeOf(t, partRules)
	in := strings.ReplaceAll(parts(part1("zz", "\n--203.0.113.7\nContent-Disposition: form-data; name=imei\n\n1")), "--b", "--203.0.113.0")
	got, _, err := partsOf(t, judgeFor(s, "reader"), Limits{}, "203.0.113.0", in, 99)
	if want := strings.ReplaceAll(parts(part1("zz", "")), "--b", "--203.0.113.0"); err != nil || got != want {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
}

// TestPartsOwnBoundary: with a boundary of our own nothing of the client's goes out, however the body is cut, and parts stay
// what they are.
func TestPartsOwnBoundary(t *testing.T) {
	s := scopeOf(t, partRules)
	all := []string{
		part1("o", "D1"), part1("imei", "1"), part1("phone", "13800138000"), filePart("x", "a.png", "image/png", strings.Repeat("\r\n--\x00", 30)),
		filePart("j", "x.json", "application/json", `[{"imei":1,"o":3}]`+" \n"),
	}
	kept := []string{all[0], part1("phone", "138****8000"), all[3], filePart("j", "x.json", "application/json", "[{\"o\":3}] \n")}
	const client = "AAAA13800138000AAAA"
	for _, own := range []string{"o", "ours0123456789abcdefghijklmnopqrstuvwxyz"} {
		for _, test := range [][2]string{
			{parts(all...), parts(kept...)}, {"preamble\r\n" + parts(all...) + "epilogue", parts(kept...)}, {parts(all[1]), parts()}, {parts(), parts()},
			{parts(part1("o", "1"), part1("sign", "x")), parts(part1("o", "1"), part1("sign", "x"))},
		} {
			in, want := strings.ReplaceAll(test[0], "--b", "--"+client), strings.ReplaceAll(test[1], "--b", "--"+own)
			for _, chunk := range []int{1, 7, 5000} {
				for _, hold := range []int{0, 1, 60} {
					var c collected
					w, err := NewMultipart(judgeFor(s, "reader"), Limits{Hold: hold}, c.sink, client, images)
					if err != nil {
						t.Fatal(err)
					}
					w.SetBoundary(own)
					if got, _, err := sent(w, &c, in, chunk); err != nil || got != want {
						t.Fatalf("%q in pieces of %d, hold %d: %v\ngot  %q\nwant %q", in, chunk, hold, err, got, want)
					}
				}
			}
		}
	}
	for mediaType, ok := range map[string]bool{
		"application/json": true, "application/vnd.api+json": true, "application/alice.smith+json": false, "text/plain": true, "text/alice": false,
		"application/x-www-form-urlencoded; charset=UTF-8": true,
	} {
		var c collected
		w, _ := NewMultipart(judgeFor(s, "reader"), Limits{}, c.sink, "b", nil)
		w.SetBoundary("own")
		if _, _, err := sent(w, &c, parts("Content-Type: "+mediaType+"\n"+part1("x", "1")), 99); (err == nil) != ok {
			t.Errorf("a part of the type %s: %v", mediaType, err)
		}
	}
	// A mask may not complete our own one either, foreseen or not.
	var c collected
	w, _ := NewMultipart(judgeFor(s, "reader"), Limits{}, c.sink, "b", nil)
	w.SetBoundary("203.0.113.0")
	got, _, err := sent(w, &c, parts(part1("zz", "\n--203.0.113.7\n")), 99)
	if want := strings.ReplaceAll(parts(part1("zz", "")), "--b", "--203.0.113.0"); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPartsBlocked: a blocked value refuses the message wherever it stands, but for a record in a list.
func TestPartsBlocked(t *testing.T) {
	s := scopeOf(t, partRules)
	for name, in := range map[string]string{
		"a field": parts(part1("o", "1"), part1("imei", "1")), "a text": parts(part1("zz", "860531030123452")),
		"a file": parts(filePart("imei", "x", "image/png", "?")), "a file's name": parts(filePart("x", "860531030123452.png", "image/png", "?")),
		"in JSON": parts(filePart("x", "x", "application/json", `{"a":{"imei":1}}`)), "in a form": parts("Content-Type: application/x-www-form-urlencoded\n" + part1("x", "imei=1")),
	} {
		got, _, err := partsOf(t, judgeFor(s, "blocked"), Limits{}, "b", in, 9)
		if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Rule != "no-imei" || len(r.Categories) != 1 || got != "" {
			t.Errorf("%s: %v after %q", name, err, got)
		}
	}
	in := parts(filePart("orders", "x", "application/json", `[{"imei":1},{"o":1}]`))
	got, report, err := partsOf(t, judgeFor(s, "blocked"), Limits{}, "b", in, 9)
	if want := parts(filePart("orders", "x", "application/json", `[{"o":1}]`)); err != nil || got != want || report.Dropped != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPartsAllBlank: a body that is blanked as a whole is still one.
func TestPartsAllBlank(t *testing.T) {
	s := scopeOf(t, `minimize: 1
roles: [reader]
purposes: [work]
fields: [{at: "", is: contact.phone}]
allow: [{id: r, to: reader, for: work, blank: [contact]}]
`)
	for _, hold := range []int{1, 50, 5000} {
		got, _, err := partsOf(t, judgeFor(s, "reader"), Limits{Hold: hold}, "b", parts(part1("o", "1"), filePart("x", "13800138000", "image/png", "13800138000"), filePart("x", "x", "application/json", "[1]\n")), 7)
		if err != nil || got != parts() {
			t.Errorf("hold %d: %q, %v", hold, got, err)
		}
		if got, _, err := formOf(judgeFor(s, "reader"), Limits{Hold: hold}, "a=1&b=13800138000&&c", 2); err != nil || got != "" {
			t.Errorf("hold %d: %q, %v", hold, got, err)
		}
	}
}

// TestPartsSigned: what signs a body holds all of its parts.
func TestPartsSigned(t *testing.T) {
	s := scopeOf(t, partRules)
	for _, in := range []string{parts(part1("imei", "1"), part1("sign", "x")), "x\r\n" + parts(part1("sign", "x"))} {
		_, _, err := partsOf(t, judgeFor(s, "reader"), Limits{}, "b", in, 9)
		if r := (*rules.Refusal)(nil); !errors.As(err, &r) || r.Reason != rules.SignedBody {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestPartsStream: files and documents of any length go through in constant memory.
func TestPartsStream(t *testing.T) {
	s := scopeOf(t, strings.Replace(partRules, "  - {words: [overdue], is: financial.debt}\n", "", 1)) // a long string with words is blanked
	for name, p := range map[string][3]string{
		"a file":           {filePart("x", "x", "image/png", ""), "\x00\xff\r\n--", ""},
		"a document":       {filePart("x", "x", "application/json", "["), `{"a":"x","n":[1,2.5,null]} , `, "1]"},
		"a blank string":   {filePart("x", "x", "application/json", `["`), ` `, `"]`},
		"one long string":  {filePart("x", "x", "application/json", `["`), `some text \u0041 `, `"]`},
		"a file that goes": {filePart("imei", "x", "image/png", ""), "\x00\xff\r\n--", ""},
		"JSON that goes":   {filePart("imei", "x", "application/json", "["), `{"a":"x","n":[1,2.5,null]} , `, "1]"},
	} {
		budget := NewBudget(4 << 20)
		size, most := 0, int64(0)
		w, err := NewMultipart(judgeFor(s, "reader"), Limits{Hold: 64 << 10, Budget: budget}, func(p []byte, _ bool) error { size += len(p); return nil }, "b", images)
		if err != nil {
			t.Fatal(err)
		}
		start, end, _ := strings.Cut(parts(p[0]+"@"), "@")
		chunk := strings.Repeat(p[1], 1000)
		fmt.Fprint(w, start)
		for range 400 {
			if _, err := io.WriteString(w, chunk); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			most = max(most, 4<<20-budget.Left(), int64(cap(w.held)))
		}
		fmt.Fprint(w, p[2]+end)
		if err := w.Close(); err != nil || most > 1<<20 {
			t.Errorf("%s: %v, %d bytes held", name, err, most)
		}
		whole := len(start) + 400*len(chunk) + len(p[2]+end)
		if goes := strings.HasSuffix(name, "goes"); goes && size > 100 || !goes && size != whole {
			t.Errorf("%s: %d bytes of %d went out", name, size, whole)
		}
		w.Release()
	}
}

// TestPartsReadAlike: what goes out is read by another reader as what it is meant to be.
func TestPartsReadAlike(t *testing.T) {
	s := scopeOf(t, partRules)
	var b bytes.Buffer
	w := gomultipart.NewWriter(&b)
	for _, kv := range [][2]string{{"imei", "1"}, {"phone", "13800138000"}, {`a"b`, "x\r\ny"}, {"名", "值"}} {
		if err := w.WriteField(kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	f, _ := w.CreatePart(map[string][]string{"Content-Disposition": {`form-data; name="f"; filename="13800138000.png"`}, "Content-Type": {"image/png"}})
	f.Write([]byte("\x89PNG\r\n"))
	w.Close()
	in := strings.Replace(b.String(), `a\"b`, `a%22b`, 1)
	_, params, _ := mime.ParseMediaType(w.FormDataContentType())
	got, _, err := partsOf(t, judgeFor(s, "reader"), Limits{}, params["boundary"], in, 10)
	if err != nil {
		t.Fatal(err)
	}
	read, err := gomultipart.NewReader(strings.NewReader(got), params["boundary"]).ReadForm(1 << 20)
	if err != nil || len(read.Value) != 3 || read.Value["phone"][0] != "138****8000" || read.Value["名"][0] != "值" || read.File["f"][0].Filename != "138****8000.png" {
		t.Errorf("%v, %+v", err, read)
	}
}

// TestPartsInARow puts parts of all sorts behind each other, in windows of all sizes.
func TestPartsInARow(t *testing.T) {
	s := scopeOf(t, partRules)
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 4))}
	long := strings.Repeat("\r\n--\x00", 30)
	sorts := [][2]string{
		{part1("o", "D1"), part1("o", "D1")},
		{part1("imei", "1"), ""},
		{part1("phone", "13800138000"), part1("phone", "138****8000")},
		{filePart("x", "a.png", "image/png", long), filePart("x", "a.png", "image/png", long)},
		{filePart("x", "13800138000", "image/png", long), filePart("x", "138****8000", "image/png", long)},
		{filePart("imei", "13800138000", "image/png", long), ""},
		{filePart("phone", "13800138000", "image/png", long), filePart("phone", "138****8000", "image/png", "")},
		{filePart("j", "13800138000", "application/json", `[{"imei":[1,{"a":2}],"o":3},{"imei":"`+strings.Repeat("x", 100)+"\"}] \n"), filePart("j", "138****8000", "application/json", "[{\"o\":3},{}] \n")},
		{filePart("imei", "13800138000", "application/json", "[1,[2,\""+strings.Repeat("x", 100)+"\"]] \n"), ""},
		{filePart("imei", "13800138000", "application/json", "12 \n"), ""},
		{filePart("phone", "13800138000", "application/json", "\"13800138000\" \n"), filePart("phone", "138****8000", "application/json", "\"138****8000\" \n")},
	}
	for range 1500 {
		var in, want []string
		for range r.IntN(6) {
			sort := sorts[r.IntN(len(sorts))]
			in = append(in, sort[0])
			if sort[1] != "" {
				want = append(want, sort[1])
			}
		}
		l, chunk := Limits{Hold: 1 + r.IntN(600)}, 1+r.IntN(pick(r, 5, 500))
		got, _, err := partsOf(t, judgeFor(s, "reader"), l, "b", parts(in...), chunk)
		if err != nil || got != parts(want...) {
			t.Fatalf("seed %d, hold %d, chunks of %d: %q\ngave %q, %v\nwant %q", seed, l.Hold, chunk, parts(in...), got, err, parts(want...))
		}
	}
}
