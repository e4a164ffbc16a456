package body

import (
	"net/url"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// query rewrites the parameters of a URL or a form. What is stripped goes with its name. What stands before the query
// and after it is a text to detectors.
type query struct {
	out     []byte
	blank   bool // a name is withheld where there is no parameter to take away
	refusal *rules.Refusal
	tell    func(Part) // who observes; nil: nobody
}

func (q *query) told(by Found, c rules.CategoryID, d *rules.Decision) {
	if q.tell != nil {
		q.tell(Part{Found: by, Category: c, Decision: d})
	}
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
	q.blank = q.hides(w, before, table) || !strings.Contains(string(text), "=") && q.hides(w, string(text), table)
	q.out = append(q.out, q.plain(w, before, table)...)
	kept := q.params(w, params, table)
	if isURL && (kept != "" || params == "") {
		q.out = append(q.out, '?')
	}
	q.out = append(q.out, kept...)
	if hasFragment {
		q.out = append(append(q.out, '#'), q.params(w, fragment, table)...)
	}
	return true
}

// params rewrites what stands between ampersands, or semicolons as HTML 4 has it.
func (q *query) params(w *JSON, params string, table *rules.Table) string {
	var kept strings.Builder
	separator, first := byte(0), true
	for {
		end := strings.IndexAny(params, "&;")
		if end < 0 {
			end = len(params)
		}
		if p, keep := q.param(w, params[:end], table); keep {
			if !first {
				kept.WriteByte(separator)
			}
			kept.WriteString(p)
			first = false
		}
		if end == len(params) {
			return kept.String()
		}
		separator, params = params[end], params[end+1:]
	}
}

func (q *query) refuse(r *rules.Refusal) {
	if q.refusal == nil {
		q.refusal = r
	}
}

// plain masks what detectors find in a part of a URL without names, as it stands or encoded.
func (q *query) plain(w *JSON, s string, table *rules.Table) string {
	once := s
	for range maxNested {
		next := decoded(once)
		if next == once {
			break
		}
		once = next
		if masked := q.masked(w, once, table); masked != once {
			return url.PathEscape(masked)
		}
	}
	return q.masked(w, s, table)
}

func (q *query) masked(w *JSON, s string, table *rules.Table) string {
	var out []byte
	from := 0
	for _, hit := range w.scope.Detect(nil, []byte(s), 0) {
		d := table.Decide(hit.Category)
		q.block(w, d, hit.Category)
		q.told(ByDetector, hit.Category, d)
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
		if q.hides(w, pair, table) {
			return "", false
		}
		return q.plain(w, pair, table), true
	}
	plainName, plain := decoded(name), decoded(value)
	for range maxNested {
		plainName = decoded(plainName)
	}
	meaning := w.scope.Name([]byte(plainName[max(0, len(plainName)-maxRemembered):])) // its noun stands at its end
	if nestingOf([]byte(plainName)) != flat && q.hides(w, name, table) {
		return "", false
	}
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

// decoded undoes what is percent-encoded, and leaves alone what only looks so, as lenient readers do.
func decoded(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	return string(unpercented([]byte(s)))
}

func unpercented(s []byte) []byte {
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			plain = append(plain, ' ')
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			plain = append(plain, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			plain = append(plain, c)
		}
	}
	return plain
}

// judge returns the strictest decision about a parameter, nil if it stays. whole is whether it is about all of the value,
// and goes whether nothing of the parameter can be shown.
func (q *query) judge(w *JSON, n *rules.Name, value string, table *rules.Table) (d *rules.Decision, whole, goes bool) {
	lower := func(c rules.CategoryID, all bool, by Found) {
		next := table.Decide(c)
		q.block(w, next, c)
		q.told(by, c, next)
		if next.Action != rules.Keep && (d == nil || next.Action > d.Action) {
			d, whole = next, all
		}
	}
	for _, c := range n.Data {
		if next := table.Decide(c); next.Action != rules.Keep {
			lower(c, true, ByOwnName)
			goes = true // a name cannot be masked in its place
		}
	}
	label := w.scope.Key(n, nil)
	switch {
	case label != nil && label.Silent:
		return d, whole, goes
	case label != nil && !label.Text:
		lower(label.Category, true, ByName)
		return d, whole, goes
	case label != nil && table.Decide(label.Category).Action >= rules.Blank:
		lower(label.Category, true, ByName)
	}
	for _, hit := range w.scope.Detect(nil, []byte(value), n.Context) {
		lower(hit.Category, hit.Start == 0 && hit.End == len(value), ByDetector)
	}
	if q.hides(w, value, table) {
		d, goes = table.Decide(0), true
	}
	return d, whole, goes
}

// hides reports whether a part of a URL holds a withheld name in any of the ways it may be encoded.
func (q *query) hides(w *JSON, part string, table *rules.Table) bool {
	d, c := w.strictestName([]byte(part), table)
	if d != nil {
		q.told(ByName, c, d)
	}
	return d != nil
}
