package body

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/caddy-minimize/minimize/rules"
)

// nesting is what a text holds that has names of its own.
type nesting uint8

const (
	flat        nesting = iota
	nestedJSON          // a document
	nestedQuery         // a URL with a query, or a form
	nestedNames         // names with values, but no document that can be read
)

// maxNested is how deep texts in texts are rewritten. Deeper ones are blanked where a name in them is withheld.
const maxNested = 3

// nestingOf tells by a look what a text may hold. Reading it says whether it does.
func nestingOf(s []byte) nesting {
	if len(s) < 3 {
		return flat
	}
	if s[0] <= '{' && (s[0] == '{' || s[0] == '[' || isSpace(s[0])) {
		if t := bytes.TrimSpace(s); len(t) > 1 && (t[0] == '{' && t[len(t)-1] == '}' || t[0] == '[' && t[len(t)-1] == ']') {
			return nestedJSON
		}
	}
	if !marked(s) {
		return flat
	}
	switch assigns := bytes.IndexByte(s, '=') > 0; {
	case assigns && (bytes.ContainsAny(s, " \t\r\n<>\"") || bytes.Contains(s, []byte("&quot;")) || bytes.Contains(s, []byte("&#"))):
		return nestedNames
	case assigns, bytes.IndexByte(s, '%') >= 0 && (bytes.IndexByte(s, '/') >= 0 || namesEscaped(s)):
		return nestedQuery
	case rules.MayAssign(s):
		return nestedNames
	}
	return flat
}

// namesEscaped reports whether a text holds, percent-encoded, what names are assigned with: a quote, an equals sign, a colon,
// an angle bracket; or a percent sign, which stands before those where a text is encoded twice.
func namesEscaped(s []byte) bool {
	for {
		i := bytes.IndexByte(s, '%')
		if i < 0 || i+2 >= len(s) {
			return false
		}
		switch unhex(s[i+1])<<4 | unhex(s[i+2]) {
		case '"', '\'', '=', ':', '<', '%':
			return true
		}
		s = s[i+1:]
	}
}

// marked reports whether a text holds what names cannot be assigned or encoded without: an equals sign, a colon, a percent
// sign, a quote, an angle bracket or an ampersand. Few texts do, so it looks at eight bytes at a time, for two signs at once
// where they differ in their last bit only. Of a full-width colon it sees the first byte.
func marked(s []byte) bool {
	for len(s) >= 8 {
		x := binary.LittleEndian.Uint64(s)
		y := x | lows
		if zeroByte(y^('='*lows))|zeroByte(y^('\''*lows))|zeroByte(x^('%'*lows))|zeroByte(x^('"'*lows))|zeroByte(x^(':'*lows))|zeroByte(x^(0xef*lows)) != 0 {
			return true
		}
		s = s[8:]
	}
	for _, c := range s {
		switch c {
		case '=', '<', '\'', '&', '%', '"', ':', 0xef:
			return true
		}
	}
	return false
}

// zeroByte is not zero if some byte of x is (Hacker's Delight, 6-1).
func zeroByte(x uint64) uint64 { return (x - lows) &^ x & highs }

// giantNesting tells by its start what a giant string, as it stands behind its quote, may hold.
func giantNesting(raw []byte) nesting {
	start := raw[:min(len(raw), 4<<10)]
	for len(raw) > 1 && (isSpace(raw[0]) || raw[0] == '\\' && bytes.IndexByte([]byte("nrt"), raw[1]) >= 0) {
		if raw[0] == '\\' {
			raw = raw[1:]
		}
		raw = raw[1:]
	}
	switch {
	case len(raw) > 0 && (raw[0] == '{' || raw[0] == '['):
		return nestedJSON
	case bytes.Contains(start, []byte(`\":`)), nestingOf(start) == nestedQuery:
		return nestedNames
	}
	return flat
}

// holdsNames reports whether a scalar that nobody asks for otherwise may hold names.
func (w *JSON) holdsNames(k kind, start, end int) bool {
	if !w.nests || k > escapedText || w.skip != 0 {
		return false
	}
	return k == escapedText || nestingOf(w.held[start+1:end-1]) != flat
}

// judgeNested decides what happens inside of a text with names of its own. It reports false while the record is not known.
// A text that only looked like one is flat from here on.
func (w *JSON) judgeNested(h *hole) bool {
	table := w.tableOf(h.record)
	if table == nil {
		return false
	}
	var refusal *rules.Refusal
	text := w.unescaped(h)
	if h.inside == nestedJSON {
		switch err := w.readNested(h, text, table); {
		case errors.As(err, &refusal) && refusal.Reason != rules.Unreadable:
		case err != nil:
			h.inside, refusal = nestedNames, nil
		default:
			w.addReport(h.record, &w.inner.report)
			h.edits = !bytes.Equal(w.nested, text)
		}
	}
	switch h.inside {
	case nestedNames:
		h.inside = flat
		if d, c := w.strictestName(text, table); d != nil {
			h.lower(d, c)
			h.action = max(h.action, rules.Blank)
		}
	case nestedQuery:
		var q query
		if !q.rewrite(w, text, table) {
			h.inside = flat
			return true
		}
		if refusal = q.refusal; refusal == nil {
			h.edits = !bytes.Equal(q.out, text)
		}
		if q.blank {
			h.action = max(h.action, rules.Blank)
		}
	}
	if refusal != nil {
		h.by = &rules.Decision{Action: rules.Block, Reason: refusal.Reason, Rule: refusal.Rule, Law: refusal.Law}
		h.category, h.action = w.scope.Rules().ID(refusal.Categories[0]), rules.Block
	}
	return true
}

// tableOf returns the decisions for a record, nil while they depend on what is not known of it yet.
func (w *JSON) tableOf(record int32) *rules.Table {
	if t := w.records[record].table; t != nil {
		return t
	}
	if record == 0 && w.people == nil {
		return w.judge.Table(w.judge.MessageFacts())
	}
	if w.judge.AsksNothing() {
		return w.judge.Table(rules.Facts{})
	}
	return nil
}

// readNested rewrites a JSON document in a text into w.nested. Selectors do not reach into texts; names and detectors do,
// and its values are of the record that the text stands in.
func (w *JSON) readNested(h *hole, text []byte, table *rules.Table) error {
	if w.level == maxNested {
		return &rules.Refusal{Reason: rules.Unreadable}
	}
	if w.inner == nil {
		w.inner = &JSON{scope: w.scope, learnt: newNames(w.scope), level: w.level + 1}
	}
	in := w.inner
	in.forget()
	w.nested = emptied(w.nested)
	in.reset(w.judge, Limits{HoldAll: true, MaxBody: int64(len(text))}, func(p []byte, _ bool) error {
		w.nested = append(w.nested, p...)
		return nil
	})
	in.people, in.tellOf, in.records[0].table = nil, nil, table
	in.frames[0].inherit = h.label
	in.frames[0].settle(in)
	in.field = &field{}
	if w.telling != nil {
		in.Observe(w.telling)
	}
	if _, err := in.Write(text); err != nil {
		return err
	}
	return in.Close()
}

// writeNested writes a text with its inside rewritten, and returns where the window goes on.
func (w *JSON) writeNested(h *hole, at int) int {
	out := w.rewrittenNested(h)
	w.copyTo(at, h.start)
	w.writeString(h.kind, out)
	return h.end
}

// rewrittenNested is a text's inside as it was judged before.
func (w *JSON) rewrittenNested(h *hole) []byte {
	text, table := w.unescaped(h), w.tableOf(h.record)
	if h.inside == nestedQuery {
		var q query
		q.rewrite(w, text, table)
		return q.out
	}
	if err := w.readNested(h, text, table); err != nil {
		return nil // it was read before, so this cannot be; nothing is safe
	}
	return w.nested
}

func (w *JSON) addReport(record int32, r *rules.Report) {
	for c, actions := range r.Counts {
		for a, n := range actions {
			if n > 0 {
				w.tally(record, rules.CategoryID(c), rules.Action(a))
				w.report.Counts[c][a] += n - 1
			}
		}
	}
	w.report.Dropped += r.Dropped
}

// strictestName returns the strictest decision about a name that a text gives a value to, nil if all of them may stay.
// Text around documents, two of them in a row, a script's literal or a line of a log is no JSON, but its names say as much.
func (w *JSON) strictestName(text []byte, table *rules.Table) (strictest *rules.Decision, of rules.CategoryID) {
	for _, label := range w.assigned(nil, text) {
		d := table.Decide(label.Category)
		if d.Action > rules.Keep && !(label.Text && d.Action == rules.Mask) && (strictest == nil || d.Action > strictest.Action) {
			strictest, of = d, label.Category
		}
	}
	return strictest, of
}

// assigned appends the labels of the names that a text gives values to, as it stands or percent-encoded.
func (w *JSON) assigned(dst []*rules.Label, text []byte) []*rules.Label {
	for range maxNested {
		dst = w.scope.Assigned(dst, text)
		if bytes.IndexByte(text, '%') < 0 {
			break
		}
		text = unpercented(text)
	}
	return dst
}
