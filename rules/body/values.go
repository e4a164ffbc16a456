package body

import (
	"strconv"

	"github.com/caddy-minimize/minimize/rules"
)

// leaf attends to a scalar that stands at [start, end) of the window.
func (w *JSON) leaf(fr *frame, f *field, start, end int, k kind) {
	record := fr.record
	if f.spot != nil {
		record = w.begin(f.spot, fr, record, start)
		w.answer(f.spot, record, start, end, k)
	}
	if w.skip == 0 {
		w.value(fr, f, record, start, end, k)
	}
	if record != fr.record {
		w.endRecord(record)
	}
}

// value makes a hole of a scalar unless it surely stays as it is.
func (w *JSON) value(fr *frame, f *field, record int32, start, end int, k kind) {
	if w.observer == nil && len(f.data) == 0 && record == fr.record && (f.label != nil || fr.inherit == nil) && w.plain(f, record, start, end, k) {
		w.stays(fr)
		return
	}
	h := w.newHole(fr, f, record, k)
	h.start, h.end = start, end
	if !h.silent() {
		w.find(h, f)
	}
	w.settleHole(h)
	// What surely stays is counted and forgotten, unless something around it may still be taken away.
	if h.judged && h.idle() && (w.pending == 0 || h.uncounted()) && w.observer == nil {
		w.count(h)
		w.unmake(h)
		w.stays(fr)
	}
}

// plain reports whether a scalar surely stays as it is, and counts it. It is what value comes to for most values, without
// the detour of a hole.
func (w *JSON) plain(f *field, record int32, start, end int, k kind) bool {
	category, detects, free := rules.CategoryID(0), w.detects, false
	if l := f.label; l != nil {
		if l.Silent {
			return true
		}
		if l.Least != 0 || w.pending > 0 {
			return false
		}
		category, free = l.Category, l.Text
		detects = detects && free
	}
	if k >= escapedText && k < number || k == text && w.hasWords {
		return false
	}
	d := w.decide(record, category)
	if d == nil || d.Action != rules.Keep && !(free && d.Action == rules.Mask) {
		return false
	}
	if w.nests && k == text && (free || f.label == nil) && nestingOf(w.held[start+1:end-1]) != flat {
		return false
	}
	if detects && w.detected(f, start, end, k) {
		return false
	}
	w.tally(record, category, d.Action)
	return true
}

// detected reports whether a detector knows anything of a scalar without escapes.
func (w *JSON) detected(f *field, start, end int, k kind) bool {
	switch k {
	case text:
		return len(w.scope.Detect(w.hits, w.held[start+1:end-1], f.context)) > len(w.hits)
	case number:
		return w.scope.DetectNumber(w.held[start:end], f.context) != 0
	}
	return false
}

// newHole adds the hole of a value at the current place. It is the last one, so it may be unmade.
func (w *JSON) newHole(fr *frame, f *field, record int32, k kind) *hole {
	hits, words := int32(len(w.hits)), int32(len(w.words))
	w.holes = append(w.holes, hole{
		kind: k, depth: uint8(w.depth), record: record, label: f.label, data: f.data, end: open,
		comma: fr.comma, first: fr.first, tracked: !fr.sure, hits: hits, hitsEnd: hits, words: words, wordsEnd: words,
	})
	h := &w.holes[len(w.holes)-1]
	if h.label == nil && fr.inherit != nil {
		h.label, h.inherited = fr.inherit, true
	}
	if record != fr.record && fr.close == ']' && w.mayBlock {
		h.starts = record
		w.records[record].hole = int32(len(w.holes) - 1)
		fr.drops = true
	}
	return h
}

// unmake takes the last hole away again.
func (w *JSON) unmake(h *hole) {
	w.hits, w.words = w.hits[:h.hits], w.words[:h.words]
	w.holes = w.holes[:len(w.holes)-1]
}

// find looks for what detectors and words know of a scalar.
func (w *JSON) find(h *hole, f *field) {
	detects := w.detects && h.searched()
	switch h.kind {
	case text, escapedText, param, escapedParam, encoded, plainText, path, aside:
		nests := w.nests && h.searched()
		if !detects && !nests && !w.hasWords {
			return
		}
		s := w.unescaped(h)
		if nests {
			h.nested = nestingIn(h.kind, s)
		}
		if detects {
			w.hits = w.scope.Detect(w.hits, s, f.context)
			if h.kind == escapedParam {
				w.dial(h, s, int(h.hits), f.context)
			}
			h.hitsEnd = int32(len(w.hits))
			h.covered = h.hitsEnd == h.hits+1 && w.hits[h.hits].Start == 0 && w.hits[h.hits].End == len(s) && !h.declared() && !h.bare()
		}
		if w.hasWords {
			w.words = w.addWords(h.words, s)
			h.wordsEnd = int32(len(w.words))
		}
	case number:
		if detects {
			if c := w.scope.DetectNumber(w.held[h.start:h.end], f.context); c != 0 {
				w.hits = append(w.hits, rules.Hit{End: h.end - h.start, Category: c})
				h.hitsEnd, h.covered = int32(len(w.hits)), true
			}
		}
	}
}

// addWords appends the labels of a text's words that are not among those from index from on.
func (w *JSON) addWords(from int32, text []byte) []*rules.Label {
	return append(w.words[:from], w.scope.Words(w.words[from:], text)...)
}

// mark adds a hole that no value stands in.
func (w *JSON) mark(k kind, start, end int) {
	hits, words := int32(len(w.hits)), int32(len(w.words))
	w.holes = append(w.holes, hole{kind: k, depth: uint8(w.depth), comma: start, start: start, end: end, hits: hits, hitsEnd: hits, words: words, wordsEnd: words})
}

// settleHole judges a hole, or notes that its record has to be.
func (w *JSON) settleHole(h *hole) {
	if h.judged = w.judgeHole(h); !h.judged {
		w.records[h.record].needed = true
	}
}

// stays notes that the current member goes out whatever is decided. It may be the first of its container to do so: then
// its comma has to go.
func (w *JSON) stays(fr *frame) {
	if fr.sure {
		return
	}
	if !fr.first {
		w.mark(comma, fr.comma, fr.comma+1)
	}
	fr.sure = true
	fr.settle(w)
}

// open enters the container whose bracket ends at i.
func (w *JSON) open(i int, end byte) error {
	if w.depth == maxDepth {
		return w.unreadable(i-1, "reading more than "+strconv.Itoa(maxDepth)+" levels")
	}
	k := object
	w.state = wantMember
	if end == ']' {
		k, w.state = array, wantElement
	}
	if fr := &w.frames[w.depth]; w.field.calm && fr.sure {
		w.push(i, end, fr.record, fr.inherit).settle(w)
		return nil
	}
	w.enter(i, i-1, end, k)
	return nil
}

// enter pushes the frame of a container or giant string, and decides whether it is taken away as far as that is known.
func (w *JSON) enter(i, start int, end byte, k kind) {
	outer, f := &w.frames[w.depth], w.field
	record := outer.record
	if f.spot != nil {
		record = w.begin(f.spot, outer, record, start)
		w.answer(f.spot, record, start, start, k)
	}
	if w.skip != 0 {
		fr := w.push(i, end, record, nil)
		fr.starts = record != outer.record
		fr.settle(w)
		return
	}
	h := w.newHole(outer, f, record, k)
	h.start = start
	search, inherit := k == giant && (w.detects || w.nests) && h.searched(), h.label
	if k == giant && w.nests && h.searched() {
		h.nested = giantNesting(w.held[start+1:])
	}
	if h.silent() {
		inherit = nil // what stands inside is judged as if nothing were declared around it
	}
	if k != giant && h.inherited {
		h.label, h.inherited = nil, false // what is inherited goes further in
	}
	at := w.enterHole(outer, h)
	fr := w.push(i, end, record, inherit)
	fr.starts, fr.hole, fr.search = record != outer.record, at, search
	if at != none && w.holes[at].judged && w.holes[at].taken() {
		w.skip, w.skipHole = w.depth, int(at)
	}
	fr.settle(w)
}

// enterHole decides the hole of a container as far as possible, and returns its index if it needs one.
func (w *JSON) enterHole(outer *frame, h *hole) int32 {
	w.settleHole(h)
	if h.kind == giant && w.hasWords && !h.silent() {
		h.judged, h.worded = false, true // until its last word is read
	}
	if h.judged && h.idle() && (h.kind < file || w.pending == 0 && w.observer == nil) {
		w.count(h)
		w.unmake(h)
		w.stays(outer)
		return none
	}
	if !h.judged || h.starts != 0 {
		w.pending++
		h.pending = true
	}
	return int32(len(w.holes) - 1)
}

// leave closes the innermost frame, which ends at i.
func (w *JSON) leave(i int) int {
	fr := &w.frames[w.depth]
	if w.skip == w.depth {
		w.skip = 0
		w.closeHole(&w.holes[w.skipHole], i)
	} else if w.skip == 0 {
		if fr.drops && !fr.sure {
			w.mark(arrayEnd, i-1, i-1)
		}
		if fr.hole != none {
			w.closeHole(&w.holes[fr.hole], i)
		}
	}
	if fr.starts {
		w.endRecord(fr.record)
	}
	w.depth--
	w.state = wantNext
	if w.frames[w.depth].close == 0 {
		w.state = wantEnd
	}
	return i
}

func (w *JSON) closeHole(h *hole, i int) {
	h.end, h.next = i, int32(len(w.holes))
	if h.worded {
		h.wordsEnd = int32(len(w.words))
	}
	if h.pending {
		w.pending--
	}
}
