package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// The model minimizes a tree by plain recursion, knowing all of it. It shares no code with the rewriter.

type tree struct {
	kind    byte // o, a, s, n, l: object, array, string, number, literal
	text    string
	names   []string
	members []*tree
	flat    bool // a string that stands outside of a document, so that it may be meant as a number
}

type modelRecord struct {
	table  *rules.Table
	row    int
	parent *modelRecord
	values []rules.Value
	passed map[int]bool // slots whose way was passed
}

type model struct {
	judge    *rules.Judge
	scope    *rules.Scope
	message  *modelRecord
	records  map[*tree]*modelRecord
	blocked  bool // a value that no record could be dropped for
	hurt     map[*modelRecord]bool
	elements map[*modelRecord]bool // the records that are elements of lists
	emptied  int                   // arrays that lost all their records
}

// around is what a value inherits from where it stands.
type around struct {
	place   rules.Place
	in      *rules.Name
	name    *rules.Name
	inherit *rules.Label
	record  *modelRecord
	element bool
}

func runModel(j *rules.Judge, doc *tree) (*tree, bool) {
	m := &model{judge: j, scope: j.Scope(), records: map[*tree]*modelRecord{}, hurt: map[*modelRecord]bool{}, elements: map[*modelRecord]bool{}}
	m.message = &modelRecord{row: -1, table: j.Table(j.MessageFacts())}
	m.gather(doc, m.scope.Root(), m.message)
	out := m.value(doc, around{place: m.scope.Root(), record: m.message})
	if out == nil {
		out = blankOf(doc, nil)
	}
	return out, !m.blocked && m.emptied == 0
}

func (m *model) spot(p rules.Place) *rules.Spot {
	if s := m.scope.Spot(p); p != 0 && s != nil {
		return s
	}
	return &rules.Spot{}
}

// of is the innermost record of a row; nil: there is none.
func (r *modelRecord) of(row int) *modelRecord {
	for ; r != nil && r.row != row; r = r.parent {
	}
	return r
}

// gather finds every record and what is known of it.
func (m *model) gather(n *tree, p rules.Place, r *modelRecord) {
	spot := m.spot(p)
	own := r
	if spot.Record > 0 {
		own = &modelRecord{row: spot.Record - 1, parent: r, values: make([]rules.Value, m.scope.SlotCount()), passed: map[int]bool{}}
		m.records[n] = own
	}
	for _, f := range spot.Paths { // what stands twice on the way to an answer makes it none
		if at := own.of(f.Record); at != nil {
			if at.passed[f.Index] {
				at.values[f.Index] = rules.Value{State: rules.Ambiguous}
			}
			at.passed[f.Index] = true
		}
	}
	for _, f := range spot.Facts {
		at := own.of(f.Record)
		if at == nil {
			continue
		}
		v := &at.values[f.Index]
		if v.State != rules.Missing || n.kind == 'o' || n.kind == 'a' || n.text == "null" && n.kind == 'l' || len(n.text) > 256 {
			*v = rules.Value{State: rules.Ambiguous}
		} else {
			*v = rules.Value{State: rules.Known, Text: []byte(n.text)}
		}
	}
	for i, member := range n.members {
		if n.kind == 'o' {
			name := m.scope.Name([]byte(n.names[i]))
			m.gather(member, m.scope.Member(p, &name), own)
		} else {
			m.gather(member, m.scope.Element(p, i), own)
		}
	}
	if own != r {
		own.table = m.judge.Table(m.facts(own))
	}
}

// facts asks the store about one record at a time.
func (m *model) facts(r *modelRecord) rules.Facts {
	p := m.judge.Begin(r.row, r.values)
	people := []*rules.Person{nil}
	if store := m.judge.People(); store != nil && p.Known() {
		store.Find(people, [][]byte{m.judge.Subject(r.values)})
	}
	return m.judge.Complete(&p, people[0], 0, m.judge.Now())
}

// value returns what is left of a value, nil if it is taken out.
func (m *model) value(n *tree, at around) *tree {
	if r := m.records[n]; r != nil {
		at.record = r
		if at.element {
			emptied := m.emptied
			out := m.judged(n, at)
			if m.hurt[r] {
				m.emptied = emptied
				return nil
			}
			return out
		}
	}
	return m.judged(n, at)
}

// block notes a blocked value for the nearest record that is an element of a list.
func (m *model) block(at around) {
	for r := at.record; r != nil; r = r.parent {
		if m.elements[r] {
			m.hurt[r] = true
			return
		}
	}
	m.blocked = true
}

func (m *model) judged(n *tree, at around) *tree {
	if m.records[n] == at.record && at.element {
		m.elements[at.record] = true
	}
	label := m.spot(at.place).Label
	if label == nil && at.name != nil {
		label = m.scope.Key(at.name, at.in)
	}
	if n.kind == 'o' || n.kind == 'a' {
		return m.container(n, at, label)
	}
	decided, action, text := m.scalar(n, at, label)
	switch {
	case action == rules.Block:
		m.block(at)
		return nil
	case action == rules.Strip:
		return nil
	case action == rules.Blank:
		return blankOf(n, decided)
	case action == rules.Keep && n.kind == 's':
		return &tree{kind: 's', text: text}
	case action == rules.Keep:
		return n
	case n.kind == 's':
		return &tree{kind: 's', text: valid(string(decided.Append(nil, []byte(text))))}
	case n.kind == 'n':
		return parse(string(decided.AppendNumber(nil, []byte(n.text))))
	}
	return &tree{kind: 'l', text: "null"}
}

func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func blankOf(n *tree, d *rules.Decision) *tree {
	switch n.kind {
	case 'o', 'a':
		return &tree{kind: n.kind}
	case 's':
		if d != nil && d.BlankUUID() {
			return &tree{kind: 's', text: zeroUUID}
		}
		return &tree{kind: 's'}
	}
	return &tree{kind: 'l', text: "null"}
}

func (m *model) container(n *tree, at around, label *rules.Label) *tree {
	inherit := at.inherit
	switch {
	case label == nil:
	case label.Silent:
		inherit = nil
	default:
		inherit = label
		action := at.record.table.Decide(label.Category).Action
		if label.Least > 0 && action < rules.Strip {
			action = rules.Strip
		}
		switch action {
		case rules.Block:
			m.block(at)
			return nil
		case rules.Strip, rules.Pseudonymize:
			return nil
		case rules.Blank:
			return blankOf(n, nil)
		}
	}
	out := &tree{kind: n.kind}
	dropped := false
	for i, member := range n.members {
		inner := around{in: at.in, inherit: inherit, record: at.record, element: n.kind == 'a'}
		name, keep := "", true
		if at.name != nil {
			inner.in = at.name
		}
		if n.kind == 'o' {
			meaning := m.scope.Name([]byte(n.names[i]))
			inner.name, inner.place = &meaning, m.scope.Member(at.place, &meaning)
			owner := inner
			if r := m.records[member]; r != nil {
				owner.record = r
			}
			name, keep = m.named(n.names[i], &meaning, owner)
		} else {
			inner.place = m.scope.Element(at.place, i)
		}
		if !keep && (member.kind == 'o' || member.kind == 'a') && !m.blocksItself(member, inner) {
			continue
		}
		left := m.value(member, inner)
		if left == nil {
			dropped = dropped || m.hurt[m.records[member]]
			continue
		}
		if keep {
			out.names, out.members = append(out.names, name), append(out.members, left)
		}
	}
	if dropped && len(out.members) == 0 {
		m.emptied++
	}
	return out
}

// blocksItself reports whether a container is blocked by its own label: then that counts although its name takes it away.
func (m *model) blocksItself(n *tree, at around) bool {
	label := m.spot(at.place).Label
	if label == nil && at.name != nil {
		label = m.scope.Key(at.name, at.in)
	}
	record := at.record
	if r := m.records[n]; r != nil {
		record = r
	}
	return label != nil && !label.Silent && record.table.Decide(label.Category).Action == rules.Block
}

// named returns what a member's name becomes, and whether the member stays for it.
func (m *model) named(name string, meaning *rules.Name, at around) (string, bool) {
	stays := true
	for _, c := range meaning.Data {
		d := at.record.table.Decide(c)
		switch d.Action {
		case rules.Keep:
		case rules.Pseudonymize:
			name = string(d.Append(nil, []byte(name)))
		case rules.Block:
			m.block(at)
			stays = false
		default:
			stays = false
		}
	}
	return name, stays
}

// scalar returns the deciding decision, the action and the text that it is applied to.
func (m *model) scalar(n *tree, at around, label *rules.Label) (*rules.Decision, rules.Action, string) {
	decide := at.record.table.Decide
	inherited := label == nil && at.inherit != nil
	if inherited {
		label = at.inherit
	}
	if label != nil && label.Silent {
		return nil, rules.Keep, n.text
	}
	d := decide(0)
	if label != nil {
		d = decide(label.Category)
	}
	action, text := d.Action, n.text
	soft := label != nil && label.Text
	if soft && action == rules.Mask {
		action = rules.Keep
	}
	if label != nil && label.Least > 0 && !inherited {
		if f, err := strconv.ParseFloat(n.text, 64); n.kind != 'n' && !n.flat || err != nil || f < float64(label.Least) {
			action = max(action, rules.Blank)
		}
	}
	named := at.in
	if at.name != nil {
		named = at.name
	}
	var hits []rules.Hit
	if label == nil || inherited || soft {
		var c rules.Name
		if named != nil {
			c = *named
		}
		switch n.kind {
		case 's':
			hits = m.scope.Detect(nil, []byte(n.text), c.Context)
		case 'n':
			if id := m.scope.DetectNumber([]byte(n.text), c.Context); id != 0 {
				hits = []rules.Hit{{Start: 0, End: len(n.text), Category: id}}
			}
		}
	}
	if len(hits) == 1 && hits[0].End-hits[0].Start == len(n.text) && (label == nil || inherited || n.kind == 'n') {
		if h := decide(hits[0].Category); label == nil || h.Action >= action {
			d, action = h, h.Action
		}
	} else {
		text = ""
		from := 0
		for _, hit := range hits {
			h := decide(hit.Category)
			if h.Action == rules.Block && action < rules.Block {
				d, action = h, rules.Block
			}
			if h.Action != rules.Keep {
				text += n.text[from:hit.Start] + string(h.Append(nil, []byte(n.text[hit.Start:hit.End])))
				from = hit.End
			}
		}
		text += n.text[from:]
		if action != rules.Mask && action != rules.Keep {
			text = n.text
		}
	}
	if n.kind == 's' && (label == nil || inherited || soft) && action < rules.Blank {
		var strictest *rules.Decision
		for _, name := range []string{"one", "two"} {
			if !naivelyNamed(n.text, name) {
				continue
			}
			meaning := m.scope.Name([]byte(name))
			l := m.scope.Key(&meaning, nil)
			of := decide(l.Category)
			if of.Action > rules.Keep && !(l.Text && of.Action == rules.Mask) && (strictest == nil || of.Action > strictest.Action) {
				strictest = of
			}
		}
		if strictest != nil {
			if strictest.Action > action {
				d = strictest
			}
			action = max(action, strictest.Action, rules.Blank)
		}
	}
	if n.kind == 's' {
		for _, w := range m.scope.Words(nil, []byte(n.text)) {
			if word := decide(w.Category); word.Action > action {
				d, action = word, word.Action
			}
		}
		if action == rules.Pseudonymize {
			text = n.text
		}
	}
	return d, action, text
}

// naivelyNamed reports whether a text gives a value to a name, in one of the notations that random texts are in.
func naivelyNamed(text, name string) bool {
	for _, notation := range []string{"{@: ", "<@>", "&quot;@&quot;:", `"@":`, `"@";i:`, "@：", "\n@: "} {
		if strings.Contains(text, strings.ReplaceAll(notation, "@", name)) {
			return true
		}
	}
	return strings.HasPrefix(text, name+": ")
}

// parse reads a document into a tree with encoding/json.
func parse(body string) *tree {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	n := parseValue(d)
	if d.More() {
		panic("trailing data")
	}
	return n
}

func parseValue(d *json.Decoder) *tree {
	token, err := d.Token()
	if err != nil {
		panic(err)
	}
	switch v := token.(type) {
	case json.Delim:
		n := &tree{kind: 'o'}
		if v == '[' {
			n.kind = 'a'
		}
		for d.More() {
			name := ""
			if v == '{' {
				token, _ := d.Token()
				name = token.(string)
			}
			n.names, n.members = append(n.names, name), append(n.members, parseValue(d))
		}
		_, _ = d.Token()
		return n
	case string:
		return &tree{kind: 's', text: v}
	case json.Number:
		return &tree{kind: 'n', text: string(v)}
	}
	return &tree{kind: 'l', text: fmt.Sprint(map[any]string{nil: "null", true: "true", false: "false"}[token])}
}

// String spells a tree out, one way for each tree.
func (n *tree) String() string {
	var b bytes.Buffer
	switch n.kind {
	case 's':
		b.WriteString(quoted(n.text))
	case 'o', 'a':
		b.WriteByte(map[byte]byte{'o': '{', 'a': '['}[n.kind])
		for i, member := range n.members {
			if i > 0 {
				b.WriteByte(',')
			}
			if n.kind == 'o' {
				b.WriteString(quoted(n.names[i]) + ":")
			}
			b.WriteString(member.String())
		}
		b.WriteByte(map[byte]byte{'o': '}', 'a': ']'}[n.kind])
	default:
		b.WriteString(n.text)
	}
	return b.String()
}

// random makes documents and rules.
type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

func (r random) tree(depth int) *tree {
	switch k := r.IntN(10); {
	case depth > 0 && k < 3:
		n := &tree{kind: 'o'}
		for range r.IntN(5) {
			n.names = append(n.names, pick(r, "a", "b", "c", "list", "id", "one", "two", "three", "none", "least", "13800138000", "日"))
			n.members = append(n.members, r.tree(depth-1))
		}
		return n
	case depth > 0 && k < 6:
		n := &tree{kind: 'a'}
		for range r.IntN(4) {
			n.members = append(n.members, r.tree(depth-1))
		}
		return n
	case k < 8:
		return &tree{kind: 's', text: pick(r, "", "x", "me", "you", "13800138000", "call 13800138000 or +86 13900139000", "overdue", "it is overdue: 13800138000", "日本 \"\\\n", "\u0001😀",
			"{one: x}", "<a><one>x</one></a>", "{&quot;one&quot;:1}", `cb({"one":1})`, `a:1:{s:3:"one";i:1;}`, "one：x", "x\none: two", "one: x", "is it one: x", "<two>x", "two: <one>")}
	case k < 9:
		return &tree{kind: 'n', text: pick(r, "0", "-1.50", "9", "10", "1e1", "13800138000", "490154203237518")}
	}
	return &tree{kind: 'l', text: pick(r, "true", "false", "null")}
}

// spell writes a tree as some writer might.
func (r random) spell(n *tree) string {
	space := func() string { return pick(r, "", "", "", " ", "\n\t ") }
	switch n.kind {
	case 's':
		return r.quote(n.text)
	case 'o', 'a':
		var parts []string
		for i, member := range n.members {
			part := r.spell(member)
			if n.kind == 'o' {
				part = r.quote(n.names[i]) + space() + ":" + space() + part
			}
			parts = append(parts, space()+part+space())
		}
		inside := space() + strings.Join(parts, ",")
		if n.kind == 'o' {
			return "{" + inside + "}"
		}
		return "[" + inside + "]"
	}
	return n.text
}

func (r random) quote(s string) string {
	if r.IntN(4) > 0 {
		return quoted(s)
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		case c < ' ' || c == '"' || c == '\\' || r.IntN(2) == 0:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	return `"` + b.String() + `"`
}

// rules writes a random rule document.
func (r random) rules(withRecords bool) string {
	var b strings.Builder
	b.WriteString(`minimize: 1
roles: [reader]
purposes: [work]
categories: {x: {grade: personal}, x.one: {grade: personal}, x.two: {grade: sensitive, text: true}, x.three: {grade: sensitive, mask: "1+1", blank: uuid}, x.four: {grade: general}}
fields:
  - {key: one, is: x.one}
  - {key: two, is: x.two}
  - {key: none, is: none}
  - {key: least, is: x.four, least: 10}
`)
	for _, at := range []string{"/a", "/a/*/b", "/**/c", "/list/*", "/list/0", "/list/1/a", "/*/id", "", "/**/b/a"} {
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "  - {at: %q, is: %s}\n", at, pick(r, "x.one", "x.two", "x.three", "x.four", "none"))
		}
	}
	if r.IntN(2) == 0 {
		b.WriteString("  - {words: [overdue], is: x.three}\n")
	}
	if r.IntN(4) == 0 {
		b.WriteString("undeclared: strip\n")
	}
	if withRecords {
		b.WriteString("records:\n  - {at: /list/*, subject: /id}\n")
		for _, at := range []string{"/a/*", "/list/*/a", "/**/list/*/list/*"} {
			if r.IntN(2) == 0 {
				fmt.Fprintf(&b, "  - {at: %s, subject: %s}\n", at, pick(r, "/id", "/a/id", `""`))
			}
		}
	}
	b.WriteString("allow:\n")
	acts := func() string {
		acts := map[string][]string{}
		for _, c := range []string{"x.one", "x.two", "x.three", "x.four", "contact.phone", "device"} {
			a := pick(r, "keep", "keep", "mask", "mask", "pseudonymize", "blank", "strip")
			acts[a] = append(acts[a], c)
		}
		s := ""
		for _, a := range []string{"keep", "mask", "pseudonymize", "blank", "strip"} {
			if len(acts[a]) > 0 {
				s += ", " + a + ": [" + strings.Join(acts[a], ", ") + "]"
			}
		}
		return s
	}
	fmt.Fprintf(&b, "  - {id: reader, to: reader, for: work%s%s}\n", acts(), pick(r, "", ", numbers: string"))
	if withRecords {
		fmt.Fprintf(&b, "  - {id: own, to: self, for: work%s}\n", acts())
		fmt.Fprintf(&b, "  - {id: agreed, to: reader, for: work, consent: %s%s}\n", pick(r, "general", "separate"), acts())
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "limit:\n  - {id: stop, to: reader, block: [%s]}\n", pick(r, "x.one", "x.two", "x.three", "contact.phone"))
	}
	return b.String()
}

// TestModelPeople compares the rewriter with the model where consents decide, and somebody changes their mind while the
// body is being judged: what counts is what was said when the first byte left.
func TestModelPeople(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 2))}
	minds := 0
	for range 60 {
		text := r.rules(true)
		scope := rulesOf(t, text).Scope("GET", "/")
		for range 40 {
			people := r.people()
			j := scope.Judge(&rules.Disclosure{
				Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Subject: pick(r, "", "me", "you"), Time: time.Now(), People: people,
			})
			doc := &tree{kind: 'o', names: []string{"list", "a"}, members: []*tree{{kind: 'a', members: []*tree{r.tree(3), r.tree(4), r.tree(2)}}, r.tree(3)}}
			body := r.spell(doc)
			people.changes = r.IntN(4)
			c, report, err := rewrite(j, Limits{}, body, 1+r.IntN(len(body)))
			minds += people.made
			people.changes = 0
			want, ok := runModel(j, doc)
			if (err == nil) != ok || ok && parse(string(c.body)).String() != want.String() {
				if people.refusedEarly(err) {
					continue // a block is final, whatever was said afterwards
				}
				t.Fatalf("seed %d: %s\ngave %s %v\nwant %s\n%s", seed, body, c.body, err, want, text)
			}
			if ok && report.Written != int64(len(c.body)) {
				t.Fatalf("seed %d: %d bytes reported, %d written", seed, report.Written, len(c.body))
			}
			hold := 1 + r.IntN(100)
			whole, _, err := rewrite(j, Limits{Hold: hold}, body, len(body))
			small, _, err2 := rewrite(j, Limits{Hold: hold}, body, 1+r.IntN(5))
			if !bytes.Equal(whole.body, small.body) || (err == nil) != (err2 == nil) {
				t.Fatalf("seed %d, hold %d: %s\ngave %s %v\nor   %s %v\n%s", seed, hold, body, whole.body, err, small.body, err2, text)
			}
		}
	}
	if minds == 0 {
		t.Error("nobody changed their mind")
	}
}

// people is a store in which somebody says something new right before a window leaves.
type people struct {
	known   map[string]*rules.Person
	rng     random
	changes int
	made    int
}

func (r random) people() *people {
	p := &people{known: map[string]*rules.Person{}, rng: r}
	for _, id := range []string{"me", "you", "x", "9", "true", "13800138000"} {
		p.known[id] = r.person()
	}
	return p
}

func (r random) person() *rules.Person {
	p := &rules.Person{Ended: r.IntN(8) == 0}
	if r.IntN(2) == 0 {
		c := rules.Consent{Purpose: "work", Level: pick(r, rules.LevelExplicit, rules.LevelWritten), Given: time.Unix(1, 0)}
		if r.IntN(4) == 0 {
			c.Categories = []rules.Category{pick[rules.Category](r, "x", "x.two")}
		}
		if r.IntN(4) == 0 {
			c.Objected = time.Unix(2, 0)
		}
		p.Consents = append(p.Consents, c)
	}
	return p
}

func (p *people) Find(found []*rules.Person, subjects [][]byte) {
	for i, id := range subjects {
		if found[i] = p.known[string(id)]; found[i] == nil {
			found[i] = &rules.Person{}
		}
	}
}

func (*people) Now() time.Time                    { return time.Time{} }
func (*people) Case(string) *rules.Case           { return nil }
func (*people) Seen([]int, string, [][]byte, int) {}

func (p *people) Send(_ []*rules.Person, write func() error) (bool, error) {
	if p.changes > 0 {
		p.changes--
		p.made++
		p.known[pick(p.rng, "me", "you", "x")] = p.rng.person()
		return false, nil
	}
	return true, write()
}

// refusedEarly reports whether a body was refused while minds could still change.
func (p *people) refusedEarly(err error) bool { return p.made > 0 && err != nil }

// TestModel compares the rewriter with the model for random documents under random rules.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 1))}
	refused := 0
	for i := range 120 {
		withRecords := i%3 > 0
		text := r.rules(withRecords)
		j := judgeFor(rulesOf(t, text).Scope("GET", "/"), "reader")
		for range 40 {
			doc := r.tree(5)
			if i%2 == 0 {
				doc = &tree{kind: 'o', names: []string{"list", "a"}, members: []*tree{{kind: 'a', members: []*tree{r.tree(3), r.tree(4), r.tree(2)}}, r.tree(3)}}
			}
			body := r.spell(doc)
			want, ok := runModel(j, doc)
			c, _, err := rewrite(j, Limits{}, body, 1+r.IntN(len(body)))
			if !ok {
				refused++
			}
			if (err == nil) != ok || err != nil && (c.calls > 0 || !errors.As(err, new(*rules.Refusal))) {
				t.Fatalf("seed %d: %v, want accepted %v: %s\n%s", seed, err, ok, body, text)
			}
			if ok && parse(string(c.body)).String() != want.String() {
				t.Fatalf("seed %d: %s\ngave %s\nwant %s\n%s", seed, body, c.body, want, text)
			}
			hold := 1 + r.IntN(100)
			whole, _, err := rewrite(j, Limits{Hold: hold}, body, len(body))
			small, _, err2 := rewrite(j, Limits{Hold: hold}, body, 1+r.IntN(5))
			if !bytes.Equal(whole.body, small.body) || (err == nil) != (err2 == nil) {
				t.Fatalf("seed %d, hold %d: %s\ngave %s %v\nor   %s %v\n%s", seed, hold, body, whole.body, err, small.body, err2, text)
			}
			if err == nil && (!json.Valid(whole.body) || !withRecords && parse(string(whole.body)).String() != want.String()) {
				t.Fatalf("seed %d, hold %d: %s\ngave %s\nwant %s\n%s", seed, hold, body, whole.body, want, text)
			}
		}
	}
	t.Logf("%d documents refused", refused)
}
