package cmd

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/body"
)

// result is what became of one fixture.
type result struct {
	File        string       `json:"file"`
	Line        int          `json:"line"`
	Name        string       `json:"name"`
	Clause      string       `json:"clause,omitempty"`
	Passed      bool         `json:"passed"`
	Refused     string       `json:"refused,omitempty"` // the reason, where the message was refused
	Rule        string       `json:"rule,omitempty"`
	Differences []difference `json:"differences,omitempty"`
}

// difference is one place where the answer is not as expected. Want and Got are JSON; "" is nothing there.
type difference struct {
	At   string `json:"at"` // a JSON Pointer (RFC 6901)
	Want string `json:"want"`
	Got  string `json:"got"`
}

// run judges one fixture's message with the engine that the gateway uses.
func (s *suite) run(f *fixture) *result {
	r := &result{File: s.file, Line: f.pos.Line, Name: f.Name, Clause: f.Clause}
	out, err := s.judge(f)
	var refusal *rules.Refusal
	switch {
	case errors.As(err, &refusal):
		r.Refused, r.Rule = refusal.Reason.String(), refusal.Rule
		r.compareRefusal(f, refusal)
	case err != nil:
		r.differ("", "", err.Error())
	case f.want == nil:
		r.differ("", "refused: "+f.Expect.Refused, string(out))
	default:
		r.compareBody(f, out)
	}
	r.Passed = len(r.Differences) == 0
	return r
}

func (s *suite) judge(f *fixture) ([]byte, error) {
	if f.disclosure.Position == rules.Egress {
		if lacks := s.rules.Recipient(f.Recipient).Lacks(f.disclosure.Time); lacks != rules.Permitted {
			return nil, &rules.Refusal{Reason: lacks} // nothing at all is sent
		}
	}
	var out bytes.Buffer
	judge := s.rules.Scope(f.operation.Method, f.operation.Path).Judge(&f.disclosure)
	w := body.NewJSON(judge, body.Limits{}, func(p []byte, _ bool) error {
		out.Write(p)
		return nil
	})
	defer w.Release()
	if _, err := w.Write(f.body); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func (r *result) differ(at, want, got string) {
	r.Differences = append(r.Differences, difference{at, want, got})
}

func (r *result) compareRefusal(f *fixture, refusal *rules.Refusal) {
	switch {
	case f.want != nil:
		r.differ("", f.want.String(), refusal.Error())
	case f.Expect.Refused != r.Refused || f.Expect.Rule != "" && f.Expect.Rule != r.Rule:
		r.differ("", strings.TrimSuffix("refused: "+f.Expect.Refused+", rule "+f.Expect.Rule, ", rule "), refusal.Error())
	}
}

func (r *result) compareBody(f *fixture, out []byte) {
	got, err := parseTree(out)
	if err != nil {
		r.differ("", f.want.String(), err.Error())
		return
	}
	c := comparison{result: r, tokens: map[string]string{}}
	c.compare("", f.want, got)
}

type comparison struct {
	*result
	tokens map[string]string // pseudonyms by the label of their marker
}

// compare notes where two values differ. The order of an object's members makes no difference, a number's spelling does.
func (c *comparison) compare(at string, want, got *tree) {
	switch {
	case want == nil && got == nil:
	case want == nil:
		c.differ(at, "", got.String())
	case got == nil:
		c.differ(at, want.String(), "")
	case want.kind == '"' && got.kind == '"' && c.isToken(want.text, got.text):
	case want.kind != got.kind || want.text != got.text:
		c.differ(at, want.String(), got.String())
	case want.kind == '[':
		for i := range max(len(want.items), len(got.items)) {
			c.compare(at+"/"+strconv.Itoa(i), want.item(i), got.item(i))
		}
	case want.kind == '{':
		c.compareMembers(at, want, got)
	}
}

func (t *tree) item(i int) *tree {
	if i < len(t.items) {
		return t.items[i]
	}
	return nil
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

func (c *comparison) compareMembers(at string, want, got *tree) {
	left := got.byName()
	for i, name := range want.names {
		var g *tree
		if same := left[name]; len(same) > 0 {
			g, left[name] = same[0], same[1:]
		}
		c.compare(at+"/"+escapePointer.Replace(name), want.items[i], g)
	}
	for i, name := range got.names {
		// What is left of a name is what nobody expected.
		if same := left[name]; len(same) > 0 && same[0] == got.items[i] {
			c.compare(at+"/"+escapePointer.Replace(name), nil, same[0])
			left[name] = same[1:]
		}
	}
}

func (t *tree) byName() map[string][]*tree {
	m := map[string][]*tree{}
	for i, name := range t.names {
		m[name] = append(m[name], t.items[i])
	}
	return m
}

var (
	tokenMarker = regexp.MustCompile(`^<pseudonym(?: (\w+))?>$`)
	tokenShape  = regexp.MustCompile(`^hm1_[0-9A-Za-z.-]{1,32}_[0-9a-z]{26}$`)
)

// isToken reports whether a marker is expected and a pseudonym stands there. Its digits depend on the key, so that only its
// shape counts; where the marker has a label, the same label means the same token, and another one another.
func (c *comparison) isToken(want, got string) bool {
	m := tokenMarker.FindStringSubmatch(want)
	if m == nil || !tokenShape.MatchString(got) {
		return false
	}
	label := m[1]
	if label == "" {
		return true
	}
	for other, token := range c.tokens {
		if (other == label) != (token == got) {
			return false
		}
	}
	c.tokens[label] = got
	return true
}
