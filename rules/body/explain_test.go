package body

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// TestExplainIsWhatTheEngineDoes builds each body anew out of what was told of its values: it is what the engine writes
// when nobody observes it.
func TestExplainIsWhatTheEngineDoes(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 3))}
	refused := 0
	for i := range 100 {
		text := r.rules(i%3 > 0)
		scope := rulesOf(t, text).Scope("GET", "/")
		for range 40 {
			j := scope.Judge(&rules.Disclosure{
				Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Subject: pick(r, "", "me", "you"), Time: time.Now(), People: r.people(),
			})
			doc := &tree{kind: 'o', names: []string{"list", "a"}, members: []*tree{{kind: 'a', members: []*tree{r.tree(3), r.tree(4), r.tree(2)}}, r.tree(3)}}
			if i%2 == 0 {
				doc = r.tree(4)
			}
			body := r.spell(doc)
			c, _, err := rewrite(j, Limits{}, body, 1+r.IntN(len(body)))
			e, explaining := Explain(j, []byte(body))
			if explaining != nil {
				t.Fatalf("seed %d: %v: %s", seed, explaining, body)
			}
			var want *rules.Refusal
			if errors.As(err, &want); (want == nil) != (e.Refusal == nil) || want != nil && want.Error() != e.Refusal.Error() {
				t.Fatalf("seed %d: explained as %v, judged as %v: %s\n%s", seed, e.Refusal, err, body, text)
			}
			if want != nil {
				refused++
				if !slices.ContainsFunc(e.Values, func(v *Value) bool { return v.Action == rules.Block }) {
					t.Fatalf("seed %d: refused, and no value says why: %s\n%s", seed, body, text)
				}
				continue
			}
			if !bytes.Equal(e.Output, c.body) {
				t.Fatalf("seed %d: %s\nobserved %s\nnot      %s\n%s", seed, body, e.Output, c.body, text)
			}
			for _, v := range e.Values {
				if v.End == 0 && !v.Gone {
					t.Fatalf("seed %d: nobody told of %s: %s\n%s", seed, v.At, body, text)
				}
			}
			if got := rebuilt(body, e.Values).String(); got != parse(string(c.body)).String() {
				t.Fatalf("seed %d: %s\ntold %s\ngave %s\n%s", seed, body, got, c.body, text)
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// rebuilt is what is left of a document by what was told of its values.
func rebuilt(body string, values []*Value) *tree {
	b := builder{spots: spotsOf([]byte(body)), told: map[string][]*Value{}}
	for _, v := range values {
		b.told[v.At] = append(b.told[v.At], v)
	}
	left := b.left(parse(body))
	if len(b.spots) > 0 {
		panic("there are more places than values")
	}
	return left
}

type builder struct {
	spots []spot // that are still to come
	told  map[string][]*Value
}

// next is what was told of the next place, nil if nothing was.
func (b *builder) next() *Value {
	defer func() { b.spots = b.spots[1:] }()
	return b.coming()
}

// coming is the same of the place that comes: two members of one name stand at one.
func (b *builder) coming() *Value {
	s := b.spots[0]
	i := slices.IndexFunc(b.told[s.at], func(v *Value) bool { return v.Start == s.start || v.End == 0 })
	if i < 0 {
		return nil
	}
	return b.told[s.at][i]
}

// left is what is left of the value that comes, nil if it goes.
func (b *builder) left(n *tree) *tree {
	root := b.spots[0].at == ""
	v := b.next()
	out := &tree{kind: n.kind}
	for i, member := range n.members {
		name := n.names[i]
		if told := b.coming(); told != nil {
			name = renamed(told, name)
		}
		if l := b.left(member); l != nil {
			out.names, out.members = append(out.names, name), append(out.members, l)
		}
	}
	switch {
	case v == nil:
		return out
	case v.Gone, v.Action == rules.Strip && !root:
		return nil
	case v.Action == rules.Strip:
		return blankOf(n, nil)
	case v.Left != nil:
		return parse(string(v.Left))
	}
	return out
}

// renamed is a member's name that is data itself.
func renamed(v *Value, name string) string {
	for _, p := range v.Parts {
		if p.Found == ByOwnName && p.Decision.Action == rules.Pseudonymize {
			return string(p.Decision.Append(nil, []byte(name)))
		}
	}
	return name
}

// TestExplainPlaces: every value is told of where it stands, also in texts, twice, behind a byte order mark, and in pieces.
func TestExplainPlaces(t *testing.T) {
	doc := shop + `
  - {id: some, to: reader, for: work, keep: [order], mask: [contact]}
records: [{at: /list/*, subject: /id}]
limit:
  - {id: stop, to: reader, when: {/stop: true}, block: [order]}
`
	long := strings.Repeat("nothing to see here, ", 4000) + "call 13800138000" + strings.Repeat(" and so on", 4000)
	for _, c := range []struct{ name, body, want string }{
		{"names", `{"a/b":{"~":1},"":{"":2}}`, "/a~1b/~0 keep\n// keep\n"},
		{"twice", `{"phone":"13800138000","phone":"13900139000"}`, "/phone mask\n/phone mask\n"},
		{"a mark", "\xef\xbb\xbf [ 1 , \"13800138000\" ] ", "/0 keep\n/1 mask\n"},
		{"a scalar", ` "13800138000" `, " mask\n"},
		{"nothing", ` {} `, ""},
		{"empty ones", `{"a":{},"b":[],"c":[{}]}`, ""},
		{"a container", `{"imei":{"a":["1",{"b":2}]},"z":1}`, "/imei strip\n/imei/a/0 keep with /imei\n/imei/a/1/b keep with /imei\n/z keep\n"},
		{"a document in a text", `{"raw":"{\"phone\":\"13800138000\",\"x\":[true,\"{\\\"imei\\\":1}\"]}"}`,
			"/raw keep\n  /phone mask\n  /x/0 keep\n  /x/1 keep\n    /imei strip\n"},
		{"a URL", `["https://a.example/?imei=490154203237518&x=1"]`, "/0 keep found device.imei\n"},
		{"a long text", `["` + long + `",1]`, "/0 keep found contact.phone\n/1 keep\n"},
		{"a name that is data", `{"13800138000":1,"13900139000":{"a":1}}`, "/13800138000 strip found contact.phone\n/13900139000 strip found contact.phone\n/13900139000/a keep with /13900139000\n"},
		{"a dropped record", `{"list":[{"id":1,"stop":true,"orderNo":"A"},{"id":2,"stop":false,"orderNo":"B"}]}`,
			"/list/0 keep with /list/0 dropped\n/list/0/id keep with /list/0 of /list/0\n/list/0/stop keep with /list/0 of /list/0\n/list/0/orderNo block with /list/0 of /list/0\n" +
				"/list/1/id keep of /list/1\n/list/1/stop keep of /list/1\n/list/1/orderNo keep of /list/1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := Explain(judgeFor(scopeOf(t, doc), "reader"), []byte(c.body))
			if err != nil || e.Refusal != nil {
				t.Fatal(err, e.Refusal)
			}
			if got := told(t, e.Values, ""); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// told writes a line for each value.
func told(t *testing.T, values []*Value, indent string) string {
	categories := scopeOf(t, shop).Rules().Categories()
	var b strings.Builder
	for _, v := range values {
		b.WriteString(indent + v.At + " " + v.Action.String())
		for _, p := range v.Parts {
			b.WriteString(" found " + string(categories[p.Category].Name))
		}
		if v.Gone {
			b.WriteString(" with " + v.With)
		}
		if v.Dropped {
			b.WriteString(" dropped")
		}
		if v.Record != nil && !v.Dropped {
			b.WriteString(" of " + v.RecordAt)
		}
		b.WriteString("\n" + told(t, v.Values, indent+"  "))
	}
	return b.String()
}

// TestExplainRefused: a body that cannot be read has no values; one that is blocked has all of them.
func TestExplainRefused(t *testing.T) {
	j := judgeFor(scopeOf(t, shop+"limit:\n  - {id: stop, to: reader, block: [device]}\n"), "reader")
	if e, err := Explain(j, []byte(`{"imei":1`)); err != nil || e.Refusal == nil || e.Refusal.Reason != rules.Unreadable || e.Values != nil {
		t.Errorf("%+v, %v", e, err)
	}
	e, err := Explain(j, []byte(`{"imei":1,"b":2,"c":{"imei":3}}`))
	if err != nil || e.Refusal == nil || e.Refusal.Rule != "stop" || e.Output != nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if got, want := told(t, e.Values, ""), "/imei block\n/b keep\n/c/imei block\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
