package body

import (
	"errors"
	"testing"

	"github.com/caddy-minimize/minimize/rules"
)

// shop is a small rule document; tests add to it.
const shop = `minimize: 1
roles: [reader, full]
purposes: [work]
allow:
  - {id: all, to: full, for: work, keep: [general, personal, sensitive, secret]}
`

// someNames declares what the tests' bodies hold, whatever the base pack knows.
const someNames = `minimize: 1
fields:
  - {key: [imei], is: device.imei}
  - {key: [phone], is: contact.phone}
  - {key: [orderNo], is: order.number}
`

// rulesOf compiles rule documents.
func rulesOf(t testing.TB, docs ...string) *rules.Ruleset {
	t.Helper()
	keys, err := rules.NewKeyRing(map[string][]byte{"k1": []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*rules.Document
	for i, text := range docs {
		d, err := rules.Parse(string(rune('a'+i))+".yaml", []byte(text))
		if err != nil {
			t.Fatalf("parsing rules: %v\n%s", err, text)
		}
		parsed = append(parsed, d)
	}
	set, err := rules.Compile(parsed, rules.Options{Keys: keys})
	if err != nil {
		t.Fatalf("compiling rules: %v\n%s", err, docs)
	}
	return set
}

// scopeOf compiles rule documents beside someNames.
func scopeOf(t testing.TB, docs ...string) *rules.Scope {
	return rulesOf(t, append(docs, someNames)...).Scope("GET", "/")
}

// judgeFor judges for a caller with one role.
func judgeFor(s *rules.Scope, role string) *rules.Judge {
	return s.Judge(&rules.Disclosure{Caller: rules.Caller{ID: "me", Roles: []string{role}}, Purpose: "work"})
}

// collected is what a sink got.
type collected struct {
	body  []byte
	calls int
	last  bool
}

func (c *collected) sink(p []byte, last bool) error {
	if c.last {
		return errors.New("the sink was called after the last time")
	}
	c.body = append(c.body, p...)
	c.calls++
	c.last = last
	return nil
}

// rewrite sends a body through in chunks.
func rewrite(j *rules.Judge, l Limits, body string, chunk int) (collected, *rules.Report, error) {
	var c collected
	w := NewJSON(j, l, c.sink)
	defer w.Release()
	var err error
	for len(body) > 0 && err == nil {
		n := min(chunk, len(body))
		_, err = w.Write([]byte(body[:n]))
		body = body[n:]
	}
	if e := w.Close(); err == nil {
		err = e
	}
	report := *w.Report()
	report.Counts = append([][rules.ActionCount]uint32(nil), report.Counts...)
	return c, &report, err
}

// output is what comes out of a body in one piece.
func output(t testing.TB, j *rules.Judge, body string) string {
	t.Helper()
	c, _, err := rewrite(j, Limits{}, body, 1<<20)
	if err != nil {
		t.Fatalf("%v of %.200s", err, body)
	}
	if !c.last || c.calls != 1 {
		t.Fatalf("a body that fits the hold went out in %d calls, last %v", c.calls, c.last)
	}
	return string(c.body)
}

// refused is the refusal of a body, of which nothing may have come out.
func refused(t testing.TB, j *rules.Judge, body string) *rules.Refusal {
	t.Helper()
	c, _, err := rewrite(j, Limits{}, body, 1<<20)
	var r *rules.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not refused but %v: %.200s gave %.200s", err, body, c.body)
	}
	if c.calls != 0 {
		t.Fatalf("refused after %q went out", c.body)
	}
	return r
}
