package body

import (
	"strconv"

	"github.com/caddy-minimize/minimize/rules"
)

const (
	maxDepth  = 128      // of containers; a deeper body is refused
	maxName   = 64 << 10 // bytes of a member's name
	maxNumber = 1000     // bytes of a number
	maxString = 64 << 10 // bytes of a string that is judged as a whole; a longer one is a giant
)

// state is what may come next.
type state uint8

const (
	wantValue   state = iota
	wantElement       // a value, or the end of an array without any
	wantMember        // a name, or the end of an object without any
	wantName
	wantColon
	wantNext // a comma, or the end of the container
	wantEnd  // nothing but space
	inString // inside a giant string
)

// frame is an open container, or a giant string. The frame at the bottom stands around the document.
type frame struct {
	node    *node
	last    *field       // the member before this one
	element *field       // of an array: the field of the element before this one
	inherit *rules.Label // of the nearest labeled container around
	comma   int          // where this member starts: its comma, or behind the bracket
	index   int          // of the next element
	record  int32        // that owns the values
	hole    int32        // of this container, while it may be taken away; none
	close   byte         // what ends it; 0 at the bottom
	starts  bool         // the record starts here
	first   bool         // no member came before this one
	sure    bool         // a member that cannot be taken away came before this one
	drops   bool         // an element here is a record that can be dropped
	search  bool         // of a giant string: detectors have a say in it
	calm    bool         // an undeclared scalar needs no attention
}

// settle works out whether undeclared scalars need attention.
func (fr *frame) settle(w *JSON) {
	fr.calm = w.skip != 0 || fr.sure && w.calm && fr.inherit == nil
}

// scan reads the tokens of the window. Where it ends inside a token, the next scan reads that token again.
func (w *JSON) scan() error {
	for {
		if w.state == inString {
			if ended, err := w.giant(); !ended || err != nil {
				return err
			}
		}
		w.pos = spaceEnd(w.held, w.pos)
		if w.pos == len(w.held) {
			return nil
		}
		next, err := w.token(&w.frames[w.depth], w.pos)
		if err != nil || next == w.pos {
			return err
		}
		w.pos = next
	}
}

// token reads the token that starts at i and returns where it ends, or i where it is cut.
func (w *JSON) token(fr *frame, i int) (int, error) {
	switch c := w.held[i]; w.state {
	case wantNext:
		if fr.close == '}' {
			if next := w.members(fr, i); next > i {
				return next, nil
			}
		}
		if c == ',' {
			return w.comma(fr, i), nil
		}
		if c != fr.close {
			return i, w.unreadable(i, "expecting a comma or the end of the container")
		}
		return w.leave(i + 1), nil
	case wantMember, wantName:
		if w.state == wantMember && w.mid == 0 {
			if next := w.members(fr, i); next > i {
				return next, nil
			}
		}
		switch {
		case c == '"':
			return w.name(fr, i)
		case c == '}' && w.state == wantMember:
			return w.leave(i + 1), nil
		}
		return i, w.unreadable(i, "expecting a name")
	case wantColon:
		if c != ':' {
			return i, w.unreadable(i, "expecting a colon")
		}
		w.state = wantValue
		return i + 1, nil
	case wantElement:
		if c == ']' {
			return w.leave(i + 1), nil
		}
		w.field, w.state = w.element(fr), wantValue
		return w.begins(fr, i)
	case wantValue:
		return w.begins(fr, i)
	}
	return i, w.unreadable(i, "expecting the end of the body")
}

func (w *JSON) comma(fr *frame, i int) int {
	fr.comma, fr.first = i, false
	w.state = wantName
	if fr.close == ']' {
		w.field, w.state = w.element(fr), wantValue
	}
	return i + 1
}

// begins reads the scalar or the bracket at i.
func (w *JSON) begins(fr *frame, i int) (int, error) {
	if c := w.held[i]; c == '{' || c == '[' {
		return i + 1, w.open(i+1, c+2) // in ASCII, a bracket's closing one comes two later
	}
	end, k, f := scalarEnd(w.held, i, max(i+1, w.mid), w.final)
	if k == text && w.midEsc {
		k = escapedText
	}
	switch {
	case f == broken:
		return i, w.unreadable(end, "expecting a value")
	case k <= escapedText && end-i > maxString:
		w.mid, w.midEsc = 0, false
		return w.enterGiant(i)
	case k == number && end-i > maxNumber:
		return i, w.unreadable(i, "reading a number of more than 1000 bytes")
	case f == cut && k <= escapedText:
		w.mid, w.midEsc = end, k == escapedText
		return i, nil
	case f == cut:
		return i, nil
	}
	w.mid, w.midEsc = 0, false
	if !fr.calm || !w.field.calm || w.holdsNames(k, i, end) {
		w.leaf(fr, w.field, i, end, k)
	} else if w.skip == 0 {
		w.tally(fr.record, 0, rules.Keep)
	}
	w.state = wantNext
	if fr.close == 0 {
		w.state = wantEnd
	}
	return end, nil
}

// members reads on in an object while its members are the predicted ones and plain scalars, as nearly all are: one loop
// without states. Whatever is different it leaves to token, from the comma on.
func (w *JSON) members(fr *frame, i int) int {
	b := w.held
	for f := fr.expected(); f != nil && i+64 <= len(b); f = f.next {
		j := i
		if w.state == wantNext {
			if b[i] != ',' {
				break
			}
			j++
		}
		if b[j] <= ' ' {
			if j = spaceEnd(b, j); j+64 > len(b) {
				break
			}
		}
		if len(f.raw) > 24 || !f.short((*[24]byte)(b[j:])) {
			break
		}
		if j += len(f.raw); b[j] == ' ' {
			j++
		}
		end, k, found := 0, literal, whole
		switch c := b[j]; {
		case c == '"':
			escaped := false
			if end = j + 1 + plainBytes(b[j+1:]); b[end] != '"' {
				end, escaped, found = stringEnd(b, end)
			}
			end++
			if k = text; escaped {
				k = escapedText
			}
		case c == '-' || c-'0' <= 9:
			ok := false
			if end, ok = numberEnd(b, j); !ok || end == len(b) {
				return i
			}
			k = number
		case c == 't' || c == 'f' || c == 'n':
			end, found = literalEnd(b, j)
		default:
			return i
		}
		if found != whole || end-j > maxNumber {
			return i
		}
		fr.last = f
		if !fr.calm || !f.calm || w.holdsNames(k, j, end) {
			if w.state == wantNext {
				fr.comma, fr.first = i, false
			}
			w.leaf(fr, f, j, end, k)
		} else if w.skip == 0 {
			w.tally(fr.record, 0, rules.Keep)
		}
		w.state = wantNext
		i = end
	}
	return i
}

// name reads the name at i.
func (w *JSON) name(fr *frame, i int) (int, error) {
	if f := fr.expected(); f != nil && w.mid == 0 && f.at(w.held[i:]) {
		w.field, fr.last = f, f
		w.state = wantValue
		return i + len(f.raw), nil
	}
	at, escaped, f := stringEnd(w.held, max(i+1, w.mid))
	escaped = escaped || w.midEsc
	switch {
	case f == broken:
		return i, w.unreadable(at, "reading a name")
	case at-i > maxName:
		return i, w.unreadable(i, "reading a name of more than 64 KiB")
	case f == cut:
		w.mid, w.midEsc = at, escaped
		return i, nil
	}
	w.mid, w.midEsc = 0, false
	w.state = wantColon
	w.field = w.learnt.member(fr.node, w.held[i+1:at], escaped, &w.stray, &w.text)
	if w.field != &w.stray {
		w.expect(fr)
	}
	return at + 1, nil
}

// expected returns the member that came next in the last such object; nil: nobody knows.
func (fr *frame) expected() *field {
	if fr.last != nil {
		return fr.last.next
	}
	return fr.node.first
}

// expect remembers which member came after the one before.
func (w *JSON) expect(fr *frame) {
	if fr.last != nil {
		fr.last.next = w.field
	} else {
		fr.node.first = w.field
	}
	fr.last = w.field
}

// element returns the field of the array's next element.
func (w *JSON) element(fr *frame) *field {
	place := w.scope.Element(fr.node.place, fr.index)
	fr.index++
	if fr.element == nil || fr.element.place != place {
		fr.element = w.learnt.element(fr.node, place)
	}
	return fr.element
}

// push opens a frame for the container at the current field.
func (w *JSON) push(i int, end byte, record int32, inherit *rules.Label) *frame {
	w.depth++
	fr := &w.frames[w.depth]
	in := w.field.node
	if in == nil {
		in = w.learnt.inside(w.field)
	}
	*fr = frame{node: in, inherit: inherit, comma: i, record: record, hole: none, close: end, first: true}
	return fr
}

// unreadable refuses a body that is not strict JSON. The place is an offset, never text of the body.
func (w *JSON) unreadable(i int, what string) error {
	return &rules.Refusal{Reason: rules.Unreadable, Detail: what + " at byte " + strconv.FormatInt(w.base+int64(i), 10)}
}
