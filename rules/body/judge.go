package body

import (
	"strconv"

	"github.com/caddy-minimize/minimize/rules"
)

// decide returns the decision for a category in a record, or nil while it depends on what is not known of the record yet.
func (w *JSON) decide(record int32, c rules.CategoryID) *rules.Decision {
	r := &w.records[record]
	if r.table != nil {
		return r.table.Decide(c)
	}
	if d := w.judge.Fixed(c); d != nil || record != 0 || w.people != nil {
		return d
	}
	r.table = w.judge.Table(w.judge.MessageFacts())
	return r.table.Decide(c)
}

// judgeHole decides what happens to a hole's value. It reports false if that is not known yet.
func (w *JSON) judgeHole(h *hole) bool {
	h.by, h.category, h.action, h.edits, h.name, h.inside = nil, 0, rules.Keep, false, nil, h.nested
	if !w.judgeLabel(h) {
		return false
	}
	if h.nested != flat && h.kind != giant && h.action < rules.Blank && !w.judgeNested(h) {
		return false
	}
	if h.hits == h.hitsEnd && h.words == h.wordsEnd && len(h.data) == 0 {
		return true // most are declared by their place or name alone
	}
	return w.judgeHits(h) && w.judgeWords(h) && w.judgeName(h)
}

// needPath blocks a message whose path would be withheld as a whole: there is none without one.
func (h *hole) needPath() {
	if h.kind == path && h.action > rules.Mask && h.action < rules.Block {
		if h.action = rules.Block; h.by == nil {
			h.by = &rules.Decision{Action: rules.Block, Reason: rules.NoRule}
		}
	}
}

// lower takes a decision if it is stricter than what was decided so far.
func (h *hole) lower(d *rules.Decision, c rules.CategoryID) {
	if d.Action > h.action {
		h.by, h.category, h.action = d, c, d.Action
	}
}

// judgeLabel applies what is declared of the value or around it, or of undeclared values.
func (w *JSON) judgeLabel(h *hole) bool {
	if h.silent() || h.bare() || h.label == nil && h.container() {
		return true
	}
	if h.label != nil {
		h.category = h.label.Category
	}
	if h.by = w.decide(h.record, h.category); h.by == nil {
		return false
	}
	h.action = h.by.Action
	switch {
	case h.kind == file:
		h.action = wholeAction(h.kind, h.action)
	case h.label == nil:
	case h.container():
		h.action = wholeAction(h.kind, h.action)
	case h.label.Text && h.action == rules.Mask:
		h.action = rules.Keep // of a text the mask is what detectors mask in it
	case h.kind == giant:
		h.action = wholeAction(h.kind, h.action)
	}
	if h.kind == giant && h.nested != flat {
		h.action = max(h.action, rules.Blank) // its names would go unread
	}
	if h.label != nil && h.label.Least > 0 && !h.inherited && !w.reaches(h) {
		h.action = max(h.action, rules.Blank)
		if h.container() {
			h.action = max(h.action, rules.Strip)
		}
	}
	return true
}

// wholeAction is what an action means for a value that is not written anew: keep and mask go inside a container, and it
// has no token. A giant string or a file is blanked where it would be masked or pseudonymized, because it is never held whole.
func wholeAction(k kind, a rules.Action) rules.Action {
	switch {
	case k >= file && (a == rules.Mask || a == rules.Pseudonymize):
		return rules.Blank
	case k >= file:
		return a
	case a == rules.Mask:
		return rules.Keep
	case a == rules.Pseudonymize:
		return rules.Strip
	}
	return a
}

// reaches reports whether a value is a number of at least what its label asks for.
func (w *JSON) reaches(h *hole) bool {
	var literal string
	switch h.kind {
	case number:
		literal = string(w.held[h.start:h.end])
	case param, escapedParam, encoded, plainText: // a form knows no numbers, only how they are written
		text := w.unescaped(h)
		if len(text) == 0 {
			return false
		}
		if end, ok := numberEnd(text, 0); !ok || end != len(text) {
			return false
		}
		literal = string(text)
	default:
		return false
	}
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n >= h.label.Least
	}
	n, _ := strconv.ParseFloat(literal, 64) // out of range is an infinity, of the right sign
	return n >= float64(h.label.Least)
}

// judgeHits applies what detectors found: to the value if it is nothing else and nobody declared it, else to its parts.
func (w *JSON) judgeHits(h *hole) bool {
	if h.inside != flat && h.kind != giant {
		return true // its inside was judged by its own names and detectors
	}
	for _, hit := range w.hits[h.hits:h.hitsEnd] {
		d := w.decide(h.record, hit.Category)
		switch {
		case d == nil:
			return false
		case h.covered && (h.label == nil || d.Action >= h.action):
			h.by, h.category, h.action = d, hit.Category, d.Action
		case h.covered:
		case d.Action == rules.Block:
			h.lower(d, hit.Category)
		case d.Action != rules.Keep:
			h.edits = true
		}
	}
	return true
}

// judgeWords applies what words say of the whole text.
func (w *JSON) judgeWords(h *hole) bool {
	for _, label := range w.words[h.words:h.wordsEnd] {
		d := w.decide(h.record, label.Category)
		if d == nil {
			return false
		}
		if d.Action <= h.action || h.kind == piece && label.Text && d.Action == rules.Mask {
			continue
		}
		h.lower(d, label.Category)
		switch h.kind {
		case giant:
			h.action = wholeAction(giant, h.action)
		case piece: // nobody knows where the value ends
			h.action = max(h.action, rules.Strip)
		}
	}
	return true
}

// judgeName applies the decision for a name that is data itself. Masked names would collide, so their members go; tokens
// do not.
func (w *JSON) judgeName(h *hole) bool {
	for _, c := range h.data {
		d := w.decide(h.record, c)
		if d == nil {
			return false
		}
		if h.name == nil || d.Action > h.name.Action {
			h.name = d
		}
		switch d.Action {
		case rules.Keep:
		case rules.Pseudonymize:
			if w.syntax >= multipart && h.depth == 1 { // the name does not stand by itself
				h.action = max(h.action, rules.Strip)
			}
		case rules.Block:
			h.lower(d, c)
		default:
			h.action = max(h.action, rules.Strip)
		}
	}
	return true
}

// judgeHoles decides what is not decided yet of the first n holes, and finds what is blocked.
func (w *JSON) judgeHoles(n int) error {
	for k := 0; k < n; {
		h := &w.holes[k]
		if !h.judged && h.kind != comma && h.kind != arrayEnd && h.kind != gone {
			w.judgeOpen(h)
		}
		h.needPath()
		if h.action == rules.Block {
			if err := w.block(h); err != nil {
				return err
			}
		}
		k++
		if h.container() || h.kind == file || h.kind == giant {
			if h.taken() {
				k = h.after(n)
			}
		}
	}
	return nil
}

// judgeOpen decides a hole for good. A giant string that goes on has words to come: nobody can tell, so it is blanked.
func (w *JSON) judgeOpen(h *hole) {
	if h.worded && h.end == open {
		h.wordsEnd = int32(len(w.words))
	}
	if h.judged = w.judgeHole(h); !h.judged {
		w.records[h.record].table = w.judge.Table(w.judge.UnknownFacts())
		h.judged = w.judgeHole(h)
	}
	if h.worded && h.end == open {
		h.action = max(h.action, rules.Blank)
	}
}

// count counts what was decided for a hole's value, its hits and its name.
func (w *JSON) count(h *hole) {
	counts := h.category != 0 || h.hits == h.hitsEnd && h.inside == flat // or what was found in it counts
	if h.by != nil && (!h.container() || h.taken()) && counts {
		w.tally(h.record, h.category, max(h.action, h.by.Action))
	}
	if !h.covered && h.action <= rules.Mask && (h.inside == flat || h.kind == giant) {
		for _, hit := range w.hits[h.hits:h.hitsEnd] {
			action := w.decide(h.record, hit.Category).Action
			if action > rules.Pseudonymize {
				action = rules.Mask // of a text it takes no more
			}
			w.tally(h.record, hit.Category, action)
		}
	}
	if h.name != nil {
		for _, c := range h.data {
			w.tally(h.record, c, h.name.Action)
		}
	}
}

// tally counts one decision about a value of a record; in row 0 what nobody declared and no detector knows.
func (w *JSON) tally(record int32, c rules.CategoryID, a rules.Action) {
	if c != 0 && w.tellOf != nil && a < rules.Blank && w.scope.Rules().Categories()[c].Grade > rules.General {
		w.records[record].shows = true
	}
	w.report.Add(c, a)
}
