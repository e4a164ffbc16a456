package body

import "github.com/caddy-minimize/minimize/rules"

// maxFact is how many bytes of a value may answer a question about its record.
const maxFact = 256

// none stands for no hole.
const none = -1

// record is one data subject's part of the body. The first record of a window is the message itself.
type record struct {
	table   *rules.Table // what is decided for it; nil while that is not known, or not asked for
	comma   int          // where the value that starts it starts as a member
	start   int          // where it starts as a value
	row     int32        // in the rules
	parent  int32
	slots   int32 // its first slot
	hole    int32 // of the value that starts it, while that can be dropped; none
	pending rules.Pending
	subject [2]int32      // whose, in subjects; empty: nobody's, or nobody has to know
	person  *rules.Person // what the store knows of them; nil: nothing, or nobody asked
	needed  bool          // some decision depends on it
	shows   bool          // something above general of it stays
	showed  bool          // it did before the window was judged
	asks    bool          // a store, whenever the window closes
	open    bool
	dropped bool
}

// slot is one answer about a record, its text in facts.
type slot struct {
	state      rules.ValueState
	passed     bool // what it stands in was there
	start, end int32
}

// begin opens the record that starts at a value, if one does. It returns the record that owns the value.
func (w *JSON) begin(s *rules.Spot, fr *frame, around int32, start int) int32 {
	if s.Record == 0 {
		return around
	}
	w.undecided++
	w.records = append(w.records, record{
		row: int32(s.Record - 1), parent: around, slots: int32(len(w.slots)), comma: fr.comma, start: start, hole: none, open: true,
	})
	for range w.scope.SlotCount() {
		w.slots = append(w.slots, slot{})
	}
	return int32(len(w.records) - 1)
}

// answer notes a value that answers questions about the innermost open record of their kind.
func (w *JSON) answer(s *rules.Spot, at int32, start, end int, k kind) {
	w.signed = w.signed || s.Signed
	for _, question := range s.Paths {
		if slot := w.slotOf(question, at); slot != nil {
			if slot.passed {
				slot.state = rules.Ambiguous
			}
			slot.passed = true
		}
	}
	for _, question := range s.Facts {
		if slot := w.slotOf(question, at); slot != nil {
			w.fill(slot, start, end, k)
		}
	}
}

// slotOf returns the slot of a question in the innermost open record of its kind, nil where it does not count any more.
func (w *JSON) slotOf(question rules.Slot, at int32) *slot {
	for r := at; r > 0; r = w.records[r].parent {
		if rec := &w.records[r]; int(rec.row) == question.Record {
			if rec.table != nil {
				return nil
			}
			return &w.slots[int(rec.slots)+question.Index]
		}
	}
	return nil
}

// fill fills a slot. Two answers, or one that is no scalar, are none: nobody can tell which one a reader would take.
func (w *JSON) fill(s *slot, start, end int, k kind) {
	ambiguous := s.state != rules.Missing || k >= object || k == literal && w.held[start] == 'n'
	s.state = rules.Ambiguous
	if ambiguous {
		return
	}
	from := len(w.facts)
	switch k {
	case text:
		w.facts = append(w.facts, w.held[start+1:end-1]...)
	case escapedText:
		w.facts = unescape(w.facts, w.held[start+1:end-1])
	case escapedParam, encoded, path:
		w.facts = unescapePercent(w.facts, w.held[start:end], k == escapedParam)
	default:
		w.facts = append(w.facts, w.held[start:end]...)
	}
	if len(w.facts)-from > maxFact {
		clear(w.facts[from:])
		w.facts = w.facts[:from]
		return
	}
	s.state, s.start, s.end = rules.Known, int32(from), int32(len(w.facts))
}

// endRecord closes a record: now everything is known of it that ever will be.
func (w *JSON) endRecord(at int32) {
	r := &w.records[at]
	r.open = false
	if r.table == nil {
		if r.needed || w.tellOf != nil {
			w.values = w.values[:0]
			for _, s := range w.slots[r.slots : int(r.slots)+w.scope.SlotCount()] {
				w.values = append(w.values, rules.Value{State: s.state, Text: w.facts[s.start:s.end]})
			}
			w.know(r)
		}
		if w.undecided--; w.undecided == 0 {
			w.facts = emptied(w.facts)
		}
	}
	w.slots = w.slots[:r.slots]
}

// know decides for a record out of what stands in it, or notes whom to ask about.
func (w *JSON) know(r *record) {
	r.pending = w.judge.Begin(int(r.row), w.values)
	for outer := r.parent; outer > 0; outer = w.records[outer].parent {
		if w.judge.Names(int(w.records[outer].row)) {
			r.pending.Inside()
		}
	}
	known := r.pending.Known()
	if known && (w.people != nil || w.tellOf != nil) {
		start := len(w.subjects)
		w.subjects = append(w.subjects, w.judge.Subject(w.values)...)
		r.subject = [2]int32{int32(start), int32(len(w.subjects))}
	}
	switch {
	case !r.needed:
	case known && w.people != nil:
		r.asks = true
	default:
		r.table = w.table(w.judge.Complete(&r.pending, nil, 0, w.judge.Now()))
	}
}

// table remembers the last table: neighbors in a list are often alike.
func (w *JSON) table(f rules.Facts) *rules.Table {
	if w.lastTable == nil || f != w.lastFacts {
		w.lastFacts, w.lastTable = f, w.judge.Table(f)
	}
	return w.lastTable
}

// giveUp decides every open record for good, knowing nothing of it: it does not end in time.
func (w *JSON) giveUp() {
	for i := range w.records {
		if r := &w.records[i]; i > 0 && r.open && r.table == nil {
			r.table = w.judge.Table(w.judge.UnknownFacts())
		}
	}
	w.undecided = 0
	w.facts = emptied(w.facts)
}

// block drops the list element that a blocked value stands in, or refuses the body where there is none.
func (w *JSON) block(h *hole) error {
	w.tally(h.record, h.category, rules.Block)
	w.blame(h)
	for r := h.record; r > 0; r = w.records[r].parent {
		if w.records[r].hole != none {
			w.records[r].dropped = true
			return nil
		}
	}
	return w.why
}

// blame notes what was blocked and why. Of several reasons the one that stands first among the reasons counts.
func (w *JSON) blame(h *hole) {
	if w.why == nil {
		w.why = &rules.Refusal{Reason: h.by.Reason, Rule: h.by.Rule, Law: h.by.Law}
	} else if h.by.Reason < w.why.Reason {
		w.why.Reason, w.why.Rule, w.why.Law = h.by.Reason, h.by.Rule, h.by.Law
	}
	if h.category != 0 {
		insert(&w.why.Categories, w.scope.Rules().Categories()[h.category].Name)
	}
	if h.label != nil && h.label.Category == h.category {
		insert(&w.why.Selectors, h.label.Selector)
	}
	for _, label := range w.words[h.words:h.wordsEnd] {
		if label.Category == h.category {
			insert(&w.why.Selectors, label.Selector)
		}
	}
}
