package body

import (
	"cmp"
	"slices"

	"github.com/caddy-minimize/minimize/rules"
)

// kind is what a hole stands for.
type kind uint8

const (
	text         kind = iota // a string without escapes
	escapedText              // a string with some
	param                    // a form's value
	escapedParam             // with escapes, or plus signs for spaces
	encoded                  // a text with percent signs as its only escapes
	plainText                // without escapes, as a header or a part has it
	path                     // a URL's, with percent signs as its only escapes
	aside                    // a file's name, beside the file
	number
	literal // true, false or null
	object  // from here on: not written by one value
	array
	members  // a form, or parts
	file     // one that is not read
	giant    // a string that is too long to be held whole
	piece    // a part of one
	comma    // of a member that stays, perhaps the first one
	arrayEnd // of an array whose records may all have been dropped
	gone     // the rest of what was taken away in an earlier window
)

// open is the end of a hole that has not ended yet.
const open = -1

// hole is a place in the window where something may have to change. Holes are in the order of their places; those of a
// container's inside follow its own.
type hole struct {
	start, end int // of the value
	comma      int // where the value starts as a member
	label      *rules.Label
	by         *rules.Decision // that decided the value; nil: none did
	name       *rules.Decision // for the member's name, where it is data itself

	hits, hitsEnd   int32
	words, wordsEnd int32
	next            int32 // of a container: its first hole behind the container
	record          int32 // that owns the value
	starts          int32 // the record that starts here and can be dropped; 0: none

	category rules.CategoryID   // that decided the value
	tail     uint16             // bytes behind the value that go with it
	data     []rules.CategoryID // of the name, where it is data itself
	kind     kind
	nested   nesting // by its look
	inside   nesting // as it was read
	depth    uint8
	action   rules.Action

	inherited bool // label is of a container around
	covered   bool // one hit is the whole value
	escaped   bool // a piece with escapes
	first     bool // of its container
	tracked   bool // perhaps no member before it stays
	judged    bool // action is final
	pending   bool // it keeps what stands inside from being counted
	worded    bool // a giant string whose words are still being read
	edits     bool // hits have to be rewritten
}

func (h *hole) silent() bool { return h.label != nil && h.label.Silent }

func (h *hole) container() bool { return h.kind >= object && h.kind <= members }

// declared reports whether a place or a name says what the value itself is.
func (h *hole) declared() bool { return h.label != nil && !h.inherited }

// searched reports whether detectors have a say in the value.
func (h *hole) searched() bool { return !h.silent() && (!h.declared() || h.label.Text) }

// bare reports whether only detectors and words have a say: it is no value of its own.
func (h *hole) bare() bool { return h.kind == piece || h.kind == aside || h.kind == path }

// unquoted reports whether it is a text that stands outside of a document.
func (k kind) unquoted() bool { return k >= param && k <= aside }

// percents reports whether its escapes are percent signs.
func (k kind) percents() bool { return k == escapedParam || k == encoded || k == path }

// idle reports whether the value and its name stay as they are and nothing can take them away.
func (h *hole) idle() bool {
	return h.action == rules.Keep && !h.edits && h.starts == 0 && (h.name == nil || h.name.Action == rules.Keep)
}

// uncounted reports whether nothing of an idle hole shows in the report.
func (h *hole) uncounted() bool { return h.category == 0 && h.hitsEnd == h.hits && h.name == nil }

// taken reports whether a container or giant string goes as a whole.
func (h *hole) taken() bool { return h.action >= rules.Blank || h.kind == gone }

// after returns the index of the first of n holes behind a container.
func (h *hole) after(n int) int {
	if h.end == open {
		return n
	}
	return int(h.next)
}

// splice writes the window up to limit, with its first n holes decided. It reports whether anything differs from the
// window; where nothing does, out is empty.
func (w *JSON) splice(n, limit int) (bool, error) {
	w.out = emptied(w.out)
	at := 0
	for k := 0; k < n; {
		h := &w.holes[k]
		k++
		if h.kind == arrayEnd {
			if w.dropped[h.depth] && !w.emitted[h.depth] {
				return false, w.why
			}
			continue
		}
		if h.kind == aside {
			if !w.leaves(h, k, n) {
				w.count(h)
				at = w.write(h, at, limit)
			}
			continue
		}
		if w.lost(h) {
			w.copyTo(at, h.comma)
			at = h.end + int(h.tail)
			if h.end == open {
				at = limit
			}
			if h.kind >= object && h.kind != piece {
				k = h.after(n)
			}
			continue
		}
		if h.tracked || h.kind == comma {
			if !h.first && !w.emitted[h.depth] {
				w.copyTo(at, h.comma)
				at = h.comma + 1
			}
			w.emitted[h.depth] = true
		}
		if h.kind == comma {
			continue
		}
		w.count(h)
		if h.name != nil && h.name.Action == rules.Pseudonymize {
			at = w.rename(h, at)
		}
		if h.kind >= object && h.kind != piece {
			if !h.taken() {
				continue
			}
			k = h.after(n)
		}
		if h.kind == plainText {
			at = w.writePart(h, at)
			continue
		}
		at = w.write(h, at, limit)
	}
	changed := at > 0 || len(w.out) > 0
	if changed {
		w.copyTo(at, limit)
	}
	return changed, nil
}

// copyTo copies the window as it came.
func (w *JSON) copyTo(from, to int) {
	w.out = append(room(w.out, to-from), w.held[from:to]...)
}

// lost reports whether a hole's member goes with its name, and keeps account of what its container has in the output.
func (w *JSON) lost(h *hole) bool {
	if h.tracked && h.first {
		w.emitted[h.depth], w.dropped[h.depth] = false, false
	}
	dropped := h.starts != 0 && w.records[h.starts].dropped
	if dropped {
		w.report.Dropped++
		w.dropped[h.depth] = true
	}
	// The document itself cannot be left out: it is blanked.
	stripped := h.action == rules.Strip && h.depth > 0
	if stripped && !dropped {
		w.count(h)
	}
	return dropped || stripped || h.kind == gone
}

// leaves reports whether the file goes whose name is beside it. The file's hole, if it has one, is the next of n.
func (w *JSON) leaves(h *hole, next, n int) bool {
	return next < n && w.holes[next].comma == h.comma && w.holes[next].action == rules.Strip
}

// insert adds a value to a sorted list that holds each once.
func insert[T cmp.Ordered](list *[]T, v T) {
	if i, ok := slices.BinarySearch(*list, v); !ok {
		*list = slices.Insert(*list, i, v)
	}
}
