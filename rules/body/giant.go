package body

import (
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules"
)

// A giant string is searched in pieces. What stands in the overlap at a piece's end is left for the next one, so a hit up
// to that long is seen whole; the context of a piece is what detectors may look back at.
const (
	pieceSize   = 64 << 10
	overlapSize = 16 << 10
	contextSize = 256
)

// enterGiant goes on in pieces with the string whose quote is at i. Like a container it may be taken away as a whole; where
// it would be written anew it is blanked, because it is never held as a whole.
func (w *JSON) enterGiant(i int) (int, error) {
	w.state = inString
	w.enter(i+1, i, '"', giant)
	w.piece = i + 1
	w.pieceEsc, w.flood, w.named = false, 0, emptied(w.named)
	w.context = emptied(w.context)
	return i + 1, nil
}

// giant reads on in a giant string and reports whether it ended.
func (w *JSON) giant() (bool, error) {
	at, escaped, f := stringEnd(w.held, w.pos)
	if f == broken {
		return false, w.unreadable(at, "reading a string")
	}
	w.pos = at
	w.pieceEsc = w.pieceEsc || escaped
	fr := &w.frames[w.depth]
	if w.skip != 0 || !fr.search && !w.wording(fr) {
		w.piece = at
	} else {
		for f == cut && w.pos-w.piece >= pieceSize && w.cutPiece(fr, false) {
		}
		if f == whole {
			w.cutPiece(fr, true)
		}
	}
	if f == cut {
		return false, nil
	}
	w.pos = at + 1
	w.leave(at + 1)
	return true, nil
}

// wording reports whether the words of a frame's giant string still have a say.
func (w *JSON) wording(fr *frame) bool { return fr.hole != none && w.holes[fr.hole].worded }

// cutPiece judges the next piece of a giant string, the last one whole. It reports whether it got on.
func (w *JSON) cutPiece(fr *frame, last bool) bool {
	raw := w.held[w.piece:w.pos]
	before := len(w.context)
	w.text = append(emptied(w.text), w.context...)
	if w.pieceEsc {
		w.text = unescape(w.text, raw)
	} else {
		w.text = append(w.text, raw...)
	}
	limit := len(w.text)
	if !last {
		if limit -= overlapSize; limit-before < overlapSize {
			return false // it is mostly escapes: more is needed
		}
	}
	if w.wording(fr) {
		w.words = w.addWords(w.holes[fr.hole].words, w.text)
	}
	from := len(w.hits)
	if fr.search {
		w.hits = w.scope.Detect(w.hits, w.text, w.field.context)
		limit = w.pieceHits(from, before, limit)
	}
	end := limit - before
	if w.pieceEsc {
		end, _ = rawOffset(raw, 0, 0, end)
	}
	// A name that the text gives a value to takes its piece with it, and all further ones: nobody knows where its value ends.
	names := len(w.words)
	if fr.search && w.nests {
		if marked(w.text) {
			w.named = w.assigned(w.named, w.text)
		}
		w.words = append(w.words, w.named...)
	}
	if len(w.hits) > from || len(w.words) > names {
		w.pieceHole(fr, from, names, w.piece+end)
	}
	w.piece += end
	w.context = append(emptied(w.context), w.text[max(0, limit-contextSize):limit]...)
	return true
}

// pieceHole makes a hole of the piece that ends at end, with the hits from index from on, and the names.
func (w *JSON) pieceHole(fr *frame, from, names, end int) {
	w.mark(piece, w.piece, end)
	h := &w.holes[len(w.holes)-1]
	h.record, h.escaped, h.hits, h.words = fr.record, w.pieceEsc, int32(from), int32(names)
	w.settleHole(h)
	if h.judged && h.idle() && w.pending == 0 && w.observer == nil {
		w.count(h)
		w.unmake(h)
	}
}

// pieceHits keeps of the hits from index from on what lies in the piece, which is the text from before to limit, and
// counts their places from there. A hit across the limit moves it: the next piece sees that hit whole. One that is longer
// than a piece has no end that could be found, so all the rest of the string belongs to it.
func (w *JSON) pieceHits(from, before, limit int) int {
	for limit < len(w.text) && !utf8.RuneStart(w.text[limit]) {
		limit--
	}
	hits := w.hits[from:]
	w.hits = w.hits[:from]
	if w.flood != 0 {
		w.hits = append(w.hits, rules.Hit{End: limit - before, Category: w.flood})
		return limit
	}
	for _, hit := range hits {
		if hit.Start < limit && limit < hit.End {
			if hit.Start > before {
				limit = hit.Start
			} else {
				w.flood = hit.Category
			}
		}
		if hit.End <= before || hit.Start >= limit {
			continue
		}
		hit.Start, hit.End = max(hit.Start, before)-before, min(hit.End, limit)-before
		w.hits = append(w.hits, hit)
	}
	return limit
}
