package body

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules"
)

// strict reports whether encoding/json takes a body, and whether it keeps to what we ask for beside it.
func strict(body []byte) bool {
	if !json.Valid(body) || !utf8.Valid(body) || surrogates.Match(pairs.ReplaceAll(body, []byte{32})) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for depth := 0; ; {
		before := d.InputOffset()
		token, err := d.Token()
		if err != nil {
			return true
		}
		size := d.InputOffset() - before
		switch token := token.(type) {
		case json.Delim:
			if depth++; token == '}' || token == ']' {
				depth -= 2
			}
			if depth > maxDepth {
				return false
			}
		case json.Number:
			if len(token) > maxNumber {
				return false
			}
		case string:
			if size > maxName { // a value may be that long, but no fuzzer writes one
				return false
			}
		}
	}
}

// An escape is whole if what stands before it is no backslash that is not escaped itself.
var (
	pairs      = regexp.MustCompile(`\\\\|(?i:\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})`)
	surrogates = regexp.MustCompile(`(?i:\\ud[89a-f][0-9a-f]{2})`)
)

// builtIn reports whether a body held what nobody gets, whatever the rules say: a password's hash, a token.
func builtIn(s *rules.Scope, r *rules.Report) bool {
	for c, actions := range r.Counts {
		name := s.Rules().Categories()[c].Name
		limited := rules.AuthSecret.Contains(name) || rules.AuthToken.Contains(name) || rules.CardSecurity.Contains(name) || rules.AddressBook.Contains(name)
		for action, n := range actions {
			if n > 0 && limited && rules.Action(action) != rules.Keep {
				return true
			}
		}
	}
	return false
}

// FuzzJSON checks that every body is refused or comes out as JSON, whatever the cuts, and as it was where all is permitted.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"orders":[{"imei":"1","buyer":{"id":"me"}},{"imei":2,"phone":13800138000}]}`, `[[],{},"\ud83d\ude00",-1.5e+3,null]`,
		"\xef\xbb\xbf{} ", `"\ud800"`, "\"\xff\"", `[1,]`, `{"a":1}{}`, `01`, ` `, `{"13800138000":{"a":"call 13800138000"}}`,
		`{"a":"{imei: 1}","b":"<imei>1</imei>","c":"a:1:{s:4:\"imei\";i:1;}","d":"{&quot;imei&quot;:1}","e":"\\u0022imei\\x22：1","f":"%257B%2522imei%2522%253A1"}`,
		`{"orders":[{"orderNo":[{"a":"b"}],"note":"\u0031\u0033800138000 overdue"} , {"x" : 1}]}`,
	} {
		f.Add([]byte(seed), byte(3), byte(2), byte(0))
		f.Add([]byte(seed), byte(0), byte(1), byte(1))
		f.Add([]byte(seed), byte(90), byte(7), byte(2))
	}
	var scopes []*rules.Scope
	for _, doc := range []string{phones, records, blocks} {
		scopes = append(scopes, scopeOf(f, doc))
	}
	f.Fuzz(func(t *testing.T, body []byte, hold, chunk, which byte) {
		s := scopes[int(which)%len(scopes)]
		limits := Limits{Hold: int(hold)}
		input := string(body)
		plain := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
		all, report, err := rewrite(judgeFor(s, "full"), limits, input, 1+int(chunk))
		if want := strict(plain); (err == nil) != want {
			t.Fatalf("%v, another reader says %v: %q", err, want, body)
		}
		if err == nil && !bytes.Equal(all.body, plain) && !builtIn(s, report) {
			t.Fatalf("%q came out as %q", body, all.body)
		}
		some, _, err := rewrite(judgeFor(s, "reader"), limits, input, 1+int(chunk))
		whole, _, err2 := rewrite(judgeFor(s, "reader"), limits, input, 1+len(input))
		if !bytes.Equal(some.body, whole.body) || (err == nil) != (err2 == nil) {
			t.Fatalf("cuts matter: %q %v, %q %v", some.body, err, whole.body, err2)
		}
		if err == nil && !strict(some.body) {
			t.Fatalf("%q came out as %q", body, some.body)
		}
	})
}
