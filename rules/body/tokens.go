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
	b, i := w.held, w.pos
	fr := &w.frames[w.depth]
	if w.state == inString {
		if ended, err := w.giant(); !ended || err != nil {
			return err
		}
		i, fr = w.pos, &w.frames[w.depth]
	}
	for {
		if i < len(b) && b[i] <= ' ' {
			i = spaceEnd(b, i)
		}
		if i >= len(b) {
			break
		}
		switch c := b[i]; w.state {
		case wantNext:
			switch {
			case c == ',':
				fr.comma, fr.first = i, false
				i++
				w.state = wantName
				if fr.close == ']' {
					w.state = wantValue
					w.field = w.element(fr)
				}
				continue
			case c != fr.close:
				return w.unreadable(i, "expecting a comma or the end of the container")
			}
			i++
			fr = w.leave(i)
			continue
		case wantMember:
			if c == '}' {
				i++
				fr = w.leave(i)
				continue
			}
			fallthrough
		case wantName:
			if c != '"' {
				return w.unreadable(i, "expecting a name")
			}
			f := fr.node.first
			if fr.last != nil {
				f = fr.last.next
			}
			if f != nil && w.mid == 0 && f.at(b[i:]) {
				i += len(f.raw)
				w.field, fr.last = f, f
				w.state = wantValue
				continue
			}
			end, err := w.name(fr, i)
			if err != nil || end == 0 {
				w.pos = i
				return err
			}
			i = end
			w.state = wantColon
			continue
		case wantColon:
			if c != ':' {
				return w.unreadable(i, "expecting a colon")
			}
			i++
			w.state = wantValue
			continue
		case wantElement:
			if c == ']' {
				i++
				fr = w.leave(i)
				continue
			}
			w.field = w.element(fr)
			w.state = wantValue
			fallthrough
		case wantValue:
			f := w.field
			kind, end := literal, 0
			switch {
			case c == '"':
				at, escaped := i+1, false
				if w.mid != 0 {
					at, escaped = w.mid, w.midEsc
				}
				at, esc, f := stringEnd(b, at)
				escaped = escaped || esc
				if f == broken {
					return w.unreadable(at, "reading a string")
				}
				if at-i > maxString {
					w.pos, w.mid = i, 0
					if ended, err := w.enterGiant(i); !ended || err != nil {
						return err
					}
					i, fr = w.pos, &w.frames[w.depth]
					continue
				}
				if f == cut {
					w.pos, w.mid, w.midEsc = i, at, escaped
					return nil
				}
				w.mid = 0
				kind, end = text, at+1
				if escaped {
					kind = escapedText
				}
			case c == '{' || c == '[':
				i++
				if err := w.open(i, c+2); err != nil { // in ASCII, a bracket's closing one comes two later
					return err
				}
				fr = &w.frames[w.depth]
				continue
			case c == '-' || c-'0' <= 9:
				var ok bool
				end, ok = numberEnd(b, i)
				switch {
				case end-i > maxNumber:
					return w.unreadable(i, "reading a number of more than 1000 bytes")
				case end == len(b) && !w.final:
					w.pos = i
					return nil
				case !ok:
					return w.unreadable(i, "reading a number")
				}
				kind = number
			case c == 't' || c == 'f' || c == 'n':
				var f found
				end, f = literalEnd(b, i)
				if f == cut {
					w.pos = i
					return nil
				}
				if f == broken {
					return w.unreadable(i, "reading a literal")
				}
			default:
				return w.unreadable(i, "expecting a value")
			}
			if !fr.calm || !f.calm {
				w.leaf(fr, f, i, end, kind)
			}
			i = end
			w.state = wantNext
			if fr.close == 0 {
				w.state = wantEnd
			}
			continue
		default:
			return w.unreadable(i, "expecting the end of the body")
		}
	}
	w.pos = i
	return nil
}

// name reads a name that was not predicted. It returns where it ends, or 0 where it is cut.
func (w *JSON) name(fr *frame, i int) (int, error) {
	at, escaped := i+1, false
	if w.mid != 0 {
		at, escaped = w.mid, w.midEsc
	}
	at, esc, f := stringEnd(w.held, at)
	escaped = escaped || esc
	switch {
	case f == broken:
		return 0, w.unreadable(at, "reading a name")
	case at-i > maxName:
		return 0, w.unreadable(i, "reading a name of more than 64 KiB")
	case f == cut:
		w.mid, w.midEsc = at, escaped
		return 0, nil
	}
	w.mid = 0
	w.field = w.learnt.member(fr.node, w.held[i+1:at], escaped, &w.stray, &w.text)
	if w.field == &w.stray {
		return at + 1, nil
	}
	if fr.last != nil {
		fr.last.next = w.field
	} else {
		fr.node.first = w.field
	}
	fr.last = w.field
	return at + 1, nil
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
	*fr = frame{node: w.learnt.inside(w.field), inherit: inherit, comma: i, record: record, hole: none, close: end, first: true}
	return fr
}

// unreadable refuses a body that is not strict JSON. The place is an offset, never text of the body.
func (w *JSON) unreadable(i int, what string) error {
	return &rules.Refusal{Reason: rules.Unreadable, Detail: what + " at byte " + strconv.FormatInt(w.base+int64(i), 10)}
}
