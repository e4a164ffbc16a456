package body

import (
	"bytes"
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// nesting is what a text holds that has names of its own.
type nesting uint8

const (
	flat        nesting = iota
	nestedJSON          // a document
	nestedQuery         // a URL with a query, or a form
	nestedNames         // quoted names before colons, but no document that can be read
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
	switch assigns := bytes.IndexByte(s, '=') > 0; {
	case assigns && bytes.ContainsAny(s, " \t\r\n<>\""):
		return nestedNames
	case assigns, bytes.IndexByte(s, '%') >= 0 && bytes.IndexByte(s, '/') >= 0:
		return nestedQuery
	case bytes.IndexByte(s, ':') > 0 && bytes.ContainsAny(s, `"'`):
		return nestedNames
	}
	return flat
}

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
	if h.nested == nestedJSON {
		switch err := w.readNested(h, text, table); {
		case errors.As(err, &refusal) && refusal.Reason != rules.Unreadable:
		case err != nil:
			h.nested, refusal = nestedNames, nil
		default:
			w.addReport(&w.inner.report)
			h.edits = !bytes.Equal(w.nested, text)
		}
	}
	switch h.nested {
	case nestedNames:
		h.nested = flat
		if d, c := w.strictestName(text, table); d != nil {
			h.lower(d, c)
			h.action = max(h.action, rules.Blank)
		}
	case nestedQuery:
		var q query
		if !q.rewrite(w, text, table) {
			h.nested = flat
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
	if record == 0 {
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
	in.records[0].table = table
	in.frames[0].inherit = h.label
	in.frames[0].settle(in)
	in.field = &field{}
	if _, err := in.Write(text); err != nil {
		return err
	}
	return in.Close()
}

// writeNested writes a text with its inside rewritten, and returns where the window goes on.
func (w *JSON) writeNested(h *hole, at int) int {
	out := w.rewrittenNested(h)
	w.copyTo(at, h.start)
	w.out = append(room(w.out, 2*len(out)+2), '"')
	w.out = append(appendQuoted(w.out, out), '"')
	return h.end
}

// rewrittenNested is a text's inside as it was judged before.
func (w *JSON) rewrittenNested(h *hole) []byte {
	text, table := w.unescaped(h), w.tableOf(h.record)
	if h.nested == nestedQuery {
		var q query
		q.rewrite(w, text, table)
		return q.out
	}
	if err := w.readNested(h, text, table); err != nil {
		return nil // it was read before, so this cannot be; nothing is safe
	}
	return w.nested
}

func (w *JSON) addReport(r *rules.Report) {
	for c, actions := range r.Counts {
		for a, n := range actions {
			if n > 0 {
				w.tally(rules.CategoryID(c), rules.Action(a))
				w.report.Counts[c][a] += n - 1
			}
		}
	}
	w.report.Dropped += r.Dropped
}

// strictestName returns the strictest decision about a name that a text gives a value to, nil if all of them may stay.
// Text around documents, two of them in a row, a script's literal or a line of a log is no JSON, but its names say as much.
func (w *JSON) strictestName(text []byte, table *rules.Table) (strictest *rules.Decision, of rules.CategoryID) {
	for _, label := range w.scope.Assigned(nil, text) {
		d := table.Decide(label.Category)
		if d.Action > rules.Keep && !(label.Text && d.Action == rules.Mask) && (strictest == nil || d.Action > strictest.Action) {
			strictest, of = d, label.Category
		}
	}
	return strictest, of
}

// hides reports whether a part of a URL holds a withheld name in any of the ways it may be encoded.
func (q *query) hides(w *JSON, part string, table *rules.Table) bool {
	for range maxNested {
		if d, _ := w.strictestName([]byte(part), table); d != nil {
			return true
		}
		decoded, err := url.PathUnescape(part)
		if err != nil || decoded == part {
			break
		}
		part = decoded
	}
	return false
}

// query rewrites the parameters of a URL or a form. What is stripped goes with its name, and what cannot be decoded could
// be anything, so it goes too. What stands before the query and after it is a text to detectors.
type query struct {
	out     []byte
	blank   bool // a name is withheld where there is no parameter to take away
	refusal *rules.Refusal
}

// rewrite reports false if the text has no parameters after all.
func (q *query) rewrite(w *JSON, text []byte, table *rules.Table) bool {
	before, params, isURL := strings.Cut(string(text), "?")
	if !isURL {
		before, params = "", string(text)
	}
	params, fragment, hasFragment := strings.Cut(params, "#")
	if !strings.ContainsAny(string(text), "=%") {
		return false
	}
	q.blank = q.hides(w, before, table)
	q.out = append(q.out, q.plain(w, before, table)...)
	if params = q.params(w, params, table); isURL && params != "" {
		q.out = append(q.out, '?')
	}
	q.out = append(q.out, params...)
	if hasFragment {
		q.out = append(append(q.out, '#'), q.params(w, fragment, table)...)
	}
	return true
}

// params rewrites what stands between ampersands, or semicolons as HTML 4 has it.
func (q *query) params(w *JSON, params string, table *rules.Table) string {
	var kept strings.Builder
	for params != "" {
		end := strings.IndexAny(params, "&;")
		if end < 0 {
			end = len(params)
		}
		if p, keep := q.param(w, params[:end], table); keep {
			if kept.Len() > 0 {
				kept.WriteByte('&')
			}
			kept.WriteString(p)
		}
		params = params[min(end+1, len(params)):]
	}
	return kept.String()
}

func (q *query) refuse(r *rules.Refusal) {
	if q.refusal == nil {
		q.refusal = r
	}
}

// plain masks what detectors find in a part of a URL without names.
func (q *query) plain(w *JSON, s string, table *rules.Table) string {
	if decoded, err := url.PathUnescape(s); err == nil && decoded != s {
		if masked := q.plain(w, decoded, table); masked != decoded {
			return url.PathEscape(masked)
		}
		return s
	}
	var out []byte
	from := 0
	for _, hit := range w.scope.Detect(nil, []byte(s), 0) {
		d := table.Decide(hit.Category)
		q.block(w, d, hit.Category)
		if d.Action != rules.Keep {
			out = append(out, s[from:hit.Start]...)
			out = d.Append(out, []byte(s[hit.Start:hit.End]))
			from = hit.End
		}
	}
	return string(out) + s[from:]
}

func (q *query) block(w *JSON, d *rules.Decision, c rules.CategoryID) {
	if d.Action == rules.Block {
		q.refuse(&rules.Refusal{Reason: d.Reason, Rule: d.Rule, Law: d.Law, Categories: []rules.Category{w.scope.Rules().Categories()[c].Name}})
	}
}

// param rewrites one parameter. It reports false if it goes.
func (q *query) param(w *JSON, pair string, table *rules.Table) (string, bool) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return q.plain(w, pair, table), true
	}
	plainName, err := url.QueryUnescape(name)
	if err != nil {
		return "", false
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		return "", false
	}
	meaning := w.scope.Name([]byte(plainName))
	decision, whole, goes := q.judge(w, &meaning, plain, table)
	switch {
	case decision == nil:
		return pair, true
	case goes:
		return "", false
	case decision.Action == rules.Blank:
		return name + "=", true
	case decision.Action > rules.Blank:
		return "", false
	case whole:
		return name + "=" + url.QueryEscape(string(decision.Append(nil, []byte(plain)))), true
	}
	return name + "=" + url.QueryEscape(q.plain(w, plain, table)), true
}

// judge returns the strictest decision about a parameter, nil if it stays. whole is whether it is about all of the value,
// and goes whether nothing of the parameter can be shown.
func (q *query) judge(w *JSON, n *rules.Name, value string, table *rules.Table) (d *rules.Decision, whole, goes bool) {
	lower := func(c rules.CategoryID, all bool) {
		next := table.Decide(c)
		q.block(w, next, c)
		if next.Action != rules.Keep && (d == nil || next.Action > d.Action) {
			d, whole = next, all
		}
	}
	for _, c := range n.Data {
		if next := table.Decide(c); next.Action != rules.Keep {
			lower(c, true)
			goes = true // a name cannot be masked in its place
		}
	}
	label := w.scope.Key(n, nil)
	switch {
	case label != nil && label.Silent:
		return d, whole, goes
	case label != nil && !label.Text:
		lower(label.Category, true)
		return d, whole, goes
	case label != nil && table.Decide(label.Category).Action >= rules.Blank:
		lower(label.Category, true)
	}
	for _, hit := range w.scope.Detect(nil, []byte(value), n.Context) {
		lower(hit.Category, hit.Start == 0 && hit.End == len(value))
	}
	if q.hides(w, value, table) {
		d, goes = table.Decide(0), true
	}
	return d, whole, goes
}
