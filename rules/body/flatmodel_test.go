package body

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	gomultipart "mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// flatRules are random rules in which the whole of a message may be a record.
func (r random) flatRules() string {
	text := r.rules(true)
	if r.IntN(2) == 0 {
		text = strings.Replace(text, "records:\n", "records:\n  - {at: \"\", subject: /id}\n", 1)
	}
	return text
}

// text is a member that stands outside of a document.
func (r random) text() *tree {
	for {
		if n := r.tree(0); n.kind == 's' {
			n.flat = true
			return n
		}
	}
}

// escape writes a text as some writer of forms might.
func (r random) escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' && r.IntN(2) == 0:
			b.WriteByte('+')
		case c <= ' ' || c == 0x7f || strings.IndexByte("%&+;=", c) >= 0 || r.IntN(6) == 0:
			fmt.Fprintf(&b, pick(r, "%%%02x", "%%%02X"), c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// asForm writes an object of texts as a form.
func (r random) asForm(n *tree) string {
	var pairs []string
	for i, member := range n.members {
		pairs = append(pairs, r.escape(n.names[i])+"="+r.escape(member.text))
	}
	return strings.Join(pairs, "&")
}

// readForm reads a form, naively.
func readForm(body string) *tree {
	n := &tree{kind: 'o'}
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			panic(err)
		}
		value, err = url.QueryUnescape(value)
		if err != nil {
			panic(err)
		}
		n.names, n.members = append(n.names, name), append(n.members, &tree{kind: 's', text: value})
	}
	return n
}

// asParts writes an object as parts: texts, and documents of their own.
func (r random) asParts(n *tree) string {
	var all []string
	for i, member := range n.members {
		if member.flat {
			all = append(all, part1(n.names[i], member.text))
		} else {
			all = append(all, strings.Replace(filePart(n.names[i], "f", "application/json", "@"), "@", pick(r, "", " \n", "\n")+r.spell(member)+pick(r, "", "\n ", "\n\n"), 1))
		}
	}
	var b strings.Builder
	for _, p := range all {
		head, content, _ := strings.Cut(p, "\n\n")
		b.WriteString("--b\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + content + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

// readParts reads parts with another reader.
func readParts(body string) *tree {
	n := &tree{kind: 'o'}
	for reader := gomultipart.NewReader(strings.NewReader(body), "b"); ; {
		p, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			panic(err)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			panic(err)
		}
		member := &tree{kind: 's', text: string(content)}
		if p.FileName() != "" {
			member = parse(string(content))
		}
		n.names, n.members = append(n.names, p.FormName()), append(n.members, member)
	}
}

// TestFlatModel compares forms and parts with the model of the documents that they stand for, where consents decide and
// somebody changes their mind meanwhile.
func TestFlatModel(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 3))}
	for range 80 {
		text := r.flatRules()
		scope := rulesOf(t, text).Scope("GET", "/")
		for round := range 60 {
			people := r.people()
			j := scope.Judge(&rules.Disclosure{
				Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Subject: pick(r, "", "me", "you"), Time: time.Now(), People: people,
			})
			asParts := round%2 == 0
			doc := &tree{kind: 'o'}
			for range r.IntN(6) {
				name := pick(r, "a", "b", "c", "list", "id", "one", "two", "three", "none", "least", "日", "13800138000")
				member := r.text()
				if asParts && name == "13800138000" {
					name = "x" // it has no token among the parts of a header
				}
				if asParts && r.IntN(2) == 0 {
					member = r.tree(3)
				}
				doc.names, doc.members = append(doc.names, name), append(doc.members, member)
			}
			body, read, rewritten := r.asForm(doc), readForm, func(l Limits, body string, chunk int) (string, *rules.Report, error) {
				return formOf(j, l, body, chunk)
			}
			if asParts {
				body, read = r.asParts(doc), readParts
				rewritten = func(l Limits, body string, chunk int) (string, *rules.Report, error) {
					return partsOf(t, j, l, "b", body, chunk)
				}
			}
			people.changes = r.IntN(3)
			got, report, err := rewritten(Limits{}, body, 1+r.IntN(len(body)+1))
			people.changes = 0
			want, ok := runModel(j, doc)
			if (err == nil) != ok || ok && read(got).String() != want.String() {
				if people.refusedEarly(err) {
					continue
				}
				t.Fatalf("seed %d: %q\ngave %q %v\nwant %s\n%s", seed, body, got, err, want, text)
			}
			if ok && report.Written != int64(len(got)) {
				t.Fatalf("seed %d: %d bytes reported, %d written", seed, report.Written, len(got))
			}
			if !asParts {
				untouched(t, body, got)
			}
			hold := 1 + r.IntN(100)
			whole, _, err := rewritten(Limits{Hold: hold}, body, len(body)+1)
			small, _, err2 := rewritten(Limits{Hold: hold}, body, 1+r.IntN(5))
			if whole != small || (err == nil) != (err2 == nil) {
				t.Fatalf("seed %d, hold %d: %q\ngave %q %v\nor   %q %v\n%s", seed, hold, body, whole, err, small, err2, text)
			}
		}
	}
}

// untouched checks that a parameter that says the same is spelled the same.
func untouched(t *testing.T, in, out string) {
	t.Helper()
	pairs := strings.Split(in, "&")
	for pair := range strings.SplitSeq(out, "&") {
		says, _ := url.QueryUnescape(pair)
		same := func(other string) bool { s, _ := url.QueryUnescape(other); return s == says }
		if !strings.HasSuffix(pair, "=") && !slices.Contains(pairs, pair) && slices.ContainsFunc(pairs, same) {
			t.Errorf("%q has %q spelled anew", in, pair)
		}
	}
}
