package cmd

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	minimize "github.com/caddy-minimize/minimize/module"
	"github.com/caddy-minimize/minimize/rules"
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
	At   string `json:"at"` // a JSON Pointer (RFC 6901) into the body; behind query, headers or path into that
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (s *suite) runAll() []*result {
	var results []*result
	for _, f := range s.fixtures {
		results = append(results, s.run(f))
	}
	return results
}

// run judges one fixture's message with the engine that the gateway uses.
func (s *suite) run(f *fixture) *result {
	r := &result{File: s.file, Line: f.pos.Line, Name: f.Name, Clause: f.Clause}
	if s.wantError != "" {
		r.compareError(s)
	} else {
		r.judge(s, f)
	}
	r.Passed = len(r.Differences) == 0
	return r
}

func (r *result) judge(s *suite, f *fixture) {
	out, err := f.sample.Judge(s.rules, f.operation, &f.disclosure)
	var refusal *rules.Refusal
	switch {
	case errors.As(err, &refusal):
		r.Refused, r.Rule = refusal.Reason.String(), refusal.Rule
		r.compareRefusal(f, refusal)
	case err != nil:
		r.differ("", "", err.Error())
	case f.Expect.Refused != "":
		r.differ("", "refused: "+f.Expect.Refused, string(out.Body))
	default:
		r.compareMessage(f, out)
	}
}

// compareError wants the rules not to load.
func (r *result) compareError(s *suite) {
	switch err := s.loadErrs.Err(); {
	case err == nil:
		r.differ("", "the error: "+s.wantError, "rules that load")
	case !strings.Contains(err.Error(), s.wantError):
		r.differ("", "the error: "+s.wantError, err.Error())
	}
}

func (r *result) differ(at, want, got string) {
	r.Differences = append(r.Differences, difference{at, want, got})
}

func (r *result) compareRefusal(f *fixture, refusal *rules.Refusal) {
	switch {
	case f.Expect.Refused == "":
		r.differ("", f.wanted(), refusal.Error())
	case f.Expect.Refused != r.Refused || f.Expect.Rule != "" && f.Expect.Rule != r.Rule:
		r.differ("", strings.TrimSuffix("refused: "+f.Expect.Refused+", rule "+f.Expect.Rule, ", rule "), refusal.Error())
	}
}

// wanted is what should leave, in one line.
func (f *fixture) wanted() string {
	if f.want == nil {
		return "a message that passes"
	}
	return f.want.String()
}

func (r *result) compareMessage(f *fixture, out *minimize.Sample) {
	c := comparison{result: r, tokens: map[string]string{}}
	if f.want != nil {
		c.comparePart("", f.want, func() (*tree, error) { return bodyTree(out.Body, f.mediaType) })
	}
	for _, p := range f.parts {
		c.comparePart(p.name, p.want, func() (*tree, error) { return p.got(out) })
	}
}

func (c *comparison) comparePart(at string, want *tree, read func() (*tree, error)) {
	got, err := read()
	if err != nil {
		c.differ(at, want.String(), err.Error())
		return
	}
	c.compare(at, want, got)
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

func (c *comparison) compareMembers(at string, want, got *tree) {
	left := got.byName()
	for i, name := range want.names {
		var g *tree
		if same := left[name]; len(same) > 0 {
			g, left[name] = same[0], same[1:]
		}
		c.compare(at+"/"+rules.EscapeName(name), want.items[i], g)
	}
	for i, name := range got.names {
		// What is left of a name is what nobody expected.
		if same := left[name]; len(same) > 0 && same[0] == got.items[i] {
			c.compare(at+"/"+rules.EscapeName(name), nil, same[0])
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
