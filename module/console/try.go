package console

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/rules/explain"
)

// Try is a document before and after.
type Try struct {
	Form  TryForm
	Wrong string // what to mend in the form; the rest of it stays as it was typed
	Tried *Tried // nil: nothing was asked yet
}

// TryForm is what was chosen. It comes back as it came.
type TryForm struct {
	Choices, Directions, Purposes, Recipients, Consents []Option
	Roles                                               []Option // several may be chosen
	ID, Organisation, Country, Operation, Document      string
	Subject, Guardian, Case, Claims                     string
}

// Tried is what becomes of the document.
type Tried struct {
	*explain.Account
	Lines   []TriedLine
	More    int // lines that are not shown
	Changed int // values that are not sent as they came
	Broken  bool
}

// TriedLine is a line of the document on both sides.
type TriedLine struct {
	Indent        string
	Before, After string // "": the line is on the other side only
	Kind          string // whole, changed, gone
	Notes         []TriedNote
}

// TriedNote is why a value is sent as it is.
type TriedNote struct {
	*explain.Item
	Place  string // inside of the value
	Clause string // of the policy or law, where the rules name one
}

// Because is why, in words; a rule's id follows where there is one.
func (n TriedNote) Because() string {
	words := map[string]string{
		"permitted": "by", "limit": "limited by", "surplus": "no rule for this caller and purpose names it",
		"rule": "no rule for this caller and purpose permits it", "consent": "there is no consent that is enough",
	}
	switch {
	case n.Reason == "" || n.Rule == "" && n.Reason == "permitted":
		return n.Why()
	case n.Rule == "" && n.Reason == "limit":
		return "always, whatever rules say"
	case words[n.Reason] != "":
		return words[n.Reason]
	}
	return strings.ReplaceAll(n.Reason, "_", " ")
}

// mostLines keep the page small enough for a phone.
const mostLines = 2000

// NewTried puts a document and what becomes of it beside each other. clause is what stands above a value's rule.
func NewTried(document string, account *explain.Account, clause func(*explain.Item) string) *Tried {
	t := &Tried{Account: account, Broken: account.Refused != nil}
	b := builder{items: account.Values, clause: clause, tried: t}
	if len(account.Values) == 0 && t.Broken {
		return t // it could not be read
	}
	root := b.node("", gjson.Parse(document), "", false)
	t.write(root, 0, false, false)
	return t
}

// part is a value of a document with its name.
type part struct {
	name         string // as it is quoted; "": it has none
	open, close  string // of a container
	before       string // of anything else
	after        string // "" of what is left as it is, or goes
	gone         bool
	parts        []*part
	notes        []TriedNote
	action, kind string
}

type builder struct {
	items  []*explain.Item // that were not met yet
	clause func(*explain.Item) string
	tried  *Tried
}

// take returns what is said of the value, which comes in the order of the document. nil: nothing.
func (b *builder) take(at, raw string) *explain.Item {
	if len(b.items) == 0 || b.items[0].At != at || len(b.items[0].Before) > 0 && string(b.items[0].Before) != raw {
		return nil
	}
	item := b.items[0]
	b.items = b.items[1:]
	return item
}

func (b *builder) node(name string, v gjson.Result, at string, gone bool) *part {
	p := &part{name: name, gone: gone, kind: "whole"}
	if v.IsObject() {
		p.open, p.close = "{", "}"
	} else if v.IsArray() {
		p.open, p.close = "[", "]"
	} else {
		p.before = v.Raw
	}
	inside := gone
	if item := b.take(at, v.Raw); item != nil {
		inside = b.apply(p, item, gone)
	}
	if p.gone {
		p.kind = "gone"
	}
	i := 0
	v.ForEach(func(key, value gjson.Result) bool {
		step := strconv.Itoa(i)
		if v.IsObject() {
			step = strings.NewReplacer("~", "~0", "/", "~1").Replace(key.String())
		}
		if v.IsObject() || v.IsArray() {
			p.parts = append(p.parts, b.node(key.Raw, value, at+"/"+step, inside))
		}
		i++
		return true
	})
	return p
}

// apply takes what is said of a value, and reports whether what is in it goes.
func (b *builder) apply(p *part, item *explain.Item, gone bool) (inside bool) {
	p.note(item, "", b.clause)
	switch {
	case gone:
		return true
	case item.Dropped, len(item.Before) > 0 && len(item.After) == 0:
		p.gone = true
	case len(item.Before) > 0 && !bytes.Equal(item.Before, item.After):
		p.after, p.kind = string(item.After), "changed"
	default:
		return false
	}
	b.tried.Changed++
	return true
}

// note says why, of a value and of what was found in it. What goes with something around it has no reason of its own.
func (p *part) note(item *explain.Item, place string, clause func(*explain.Item) string) {
	if item.By == "container" && item.Category == "" || item.Category == "" && item.Action == "keep" && len(item.Found)+len(item.Values) == 0 {
		return
	}
	if item.Category != "" || item.Action != "keep" || item.Dropped {
		p.notes = append(p.notes, TriedNote{item, place, clause(item)})
	}
	for _, inner := range item.Found {
		if inner.Category != item.Category || inner.Rule != item.Rule || inner.Action != item.Action {
			p.note(inner, "in it", clause)
		}
	}
	for _, inner := range item.Values {
		p.note(inner, inner.At, clause)
	}
}

// write appends a value's lines. A comma follows where a sibling does, on each side.
func (t *Tried) write(p *part, depth int, comma, commaAfter bool) {
	indent, head := strings.Repeat("  ", depth), ""
	if p.name != "" {
		head = p.name + ": "
	}
	end, endAfter := commaIf(comma), commaIf(commaAfter)
	line := TriedLine{Indent: indent, Kind: p.kind, Notes: p.notes}
	switch {
	case p.open == "":
		line.Before, line.After = head+p.before+end, head+p.before+endAfter
		if p.after != "" {
			line.After = head + p.after + endAfter
		}
	case len(p.parts) == 0:
		line.Before, line.After = head+p.open+p.close+end, head+p.open+p.close+endAfter
	default:
		line.Before, line.After = head+p.open, head+p.open
		if p.after != "" {
			line.After = head + p.after + endAfter
		}
	}
	if p.gone {
		line.After = ""
	}
	t.add(line)
	if len(p.parts) == 0 {
		return
	}
	last := -1 // that is left
	for i, inner := range p.parts {
		if !inner.gone {
			last = i
		}
	}
	for i, inner := range p.parts {
		t.write(inner, depth+1, i+1 < len(p.parts), i < last)
	}
	foot := p.close
	line = TriedLine{Indent: indent, Before: foot + end, After: foot + endAfter, Kind: p.kind}
	if p.gone || p.after != "" {
		line.After, line.Kind = "", "gone"
	}
	t.add(line)
}

func (t *Tried) add(line TriedLine) {
	if t.Broken {
		line.After = ""
	}
	if len(t.Lines) == mostLines {
		t.More++
		return
	}
	t.Lines = append(t.Lines, line)
}

func commaIf(yes bool) string {
	if yes {
		return ","
	}
	return ""
}
