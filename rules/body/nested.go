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
	flat nesting = iota
	nestedJSON
	nestedQuery // a URL with a query, or a form
)

// maxNested is how deep texts in texts are read. What lies deeper is a text to detectors.
const maxNested = 3

// nestingOf tells by a look what a text may hold. Reading it says whether it does.
func nestingOf(s []byte) nesting {
	if len(s) < 4 {
		return flat
	}
	if s[0] <= '{' && (s[0] == '{' || s[0] == '[' || isSpace(s[0])) {
		if t := bytes.TrimSpace(s); len(t) > 1 && (t[0] == '{' && t[len(t)-1] == '}' || t[0] == '[' && t[len(t)-1] == ']') {
			return nestedJSON
		}
	}
	if i := bytes.IndexByte(s, '='); i > 0 && bytes.ContainsAny(s, "?&#") && !bytes.ContainsAny(s, " \t\r\n<>\"") {
		return nestedQuery
	}
	return flat
}

// mayNest reports whether a giant string, as it stands behind its quote, may hold JSON.
func mayNest(raw []byte) bool {
	for len(raw) > 1 && (isSpace(raw[0]) || raw[0] == '\\' && bytes.IndexByte([]byte("nrt"), raw[1]) >= 0) {
		if raw[0] == '\\' {
			raw = raw[1:]
		}
		raw = raw[1:]
	}
	return len(raw) > 0 && (raw[0] == '{' || raw[0] == '[')
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
	switch h.nested {
	case nestedJSON:
		switch err := w.readNested(h, text, table); {
		case errors.As(err, &refusal) && refusal.Reason != rules.Unreadable:
		case err != nil:
			h.nested = flat
			return true
		}
		w.addReport(&w.inner.report)
		h.edits = !bytes.Equal(w.nested, text)
	case nestedQuery:
		var q query
		if !q.rewrite(w, text, table) {
			h.nested = flat
			return true
		}
		if refusal = q.refusal; refusal == nil {
			h.edits = !bytes.Equal(q.out, text)
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

// query rewrites the parameters of a URL or a form. What is stripped goes with its name, and what cannot be decoded could
// be anything, so it goes too. What stands before the query and after it is a text to detectors.
type query struct {
	out     []byte
	refusal *rules.Refusal
}

// rewrite reports false if the text has no parameters after all.
func (q *query) rewrite(w *JSON, text []byte, table *rules.Table) bool {
	s := string(text)
	before, params, ok := strings.Cut(s, "?")
	if !ok {
		before, params = "", s
		if !strings.Contains(s, "&") {
			return false
		}
	} else {
		before += "?"
	}
	params, fragment, hasFragment := strings.Cut(params, "#")
	before = q.plain(w, before, table)
	var kept []string
	for pair := range strings.SplitSeq(params, "&") {
		if p, keep := q.param(w, pair, table); keep {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		before = strings.TrimSuffix(before, "?")
	}
	q.out = append(append(q.out, before...), strings.Join(kept, "&")...)
	if hasFragment {
		if strings.Contains(fragment, "=") {
			var inner query
			if inner.rewrite(w, []byte("?"+fragment), table) {
				fragment = strings.TrimPrefix(string(inner.out), "?")
				q.refuse(inner.refusal)
			}
		} else {
			fragment = q.plain(w, fragment, table)
		}
		q.out = append(append(q.out, '#'), fragment...)
	}
	return true
}

func (q *query) refuse(r *rules.Refusal) {
	if q.refusal == nil {
		q.refusal = r
	}
}

// plain masks what detectors find in a part of a URL without names.
func (q *query) plain(w *JSON, s string, table *rules.Table) string {
	var out []byte
	from := 0
	for _, hit := range w.scope.Detect(nil, []byte(s), 0) {
		d := table.Decide(hit.Category)
		q.block(w, d, hit.Category)
		if d.Action != rules.Keep {
			out = append(out, s[from:hit.Start]...)
			out = append(out, url.PathEscape(string(d.Append(nil, []byte(s[hit.Start:hit.End]))))...)
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
	name, value, _ := strings.Cut(pair, "=")
	plainName, err := url.QueryUnescape(name)
	if err != nil {
		return "", false
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		return "", false
	}
	meaning := w.scope.Name([]byte(plainName))
	decision, whole := q.judge(w, &meaning, plain, table)
	switch {
	case decision == nil:
		return pair, true
	case decision.Action == rules.Blank:
		return name + "=", true
	case decision.Action > rules.Blank:
		return "", false
	case whole:
		return name + "=" + url.QueryEscape(string(decision.Append(nil, []byte(plain)))), true
	}
	return name + "=" + url.QueryEscape(q.plain(w, plain, table)), true
}

// judge returns the strictest decision about a parameter, nil if it stays; whole is whether it is about all of the value.
func (q *query) judge(w *JSON, n *rules.Name, value string, table *rules.Table) (d *rules.Decision, whole bool) {
	lower := func(c rules.CategoryID, all bool) {
		next := table.Decide(c)
		q.block(w, next, c)
		if next.Action != rules.Keep && (d == nil || next.Action > d.Action) {
			d, whole = next, all
		}
	}
	if n.Data != 0 {
		lower(n.Data, true)
	}
	label := w.scope.Key(n, nil)
	switch {
	case label != nil && label.Silent:
		return d, whole
	case label != nil && !label.Text:
		lower(label.Category, true)
		return d, whole
	case label != nil && table.Decide(label.Category).Action >= rules.Blank:
		lower(label.Category, true)
	}
	for _, hit := range w.scope.Detect(nil, []byte(value), n.Context) {
		lower(hit.Category, hit.Start == 0 && hit.End == len(value))
	}
	return d, whole
}
