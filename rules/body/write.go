package body

import (
	"bytes"
	"net/url"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules"
)

const zeroUUID = "00000000-0000-0000-0000-000000000000"

// write writes what is left of a hole's value, and returns where the window goes on; at is up to where it was copied.
func (w *JSON) write(h *hole, at, limit int) int {
	if h.action == rules.Keep {
		if h.edits && h.inside != flat {
			return w.writeNested(h, at)
		}
		if h.edits {
			return w.writeHits(h, at)
		}
		return at
	}
	w.copyTo(at, h.start)
	w.out = room(w.out, 64)
	switch {
	case h.action >= rules.Blank:
		w.out = w.appendBlank(w.out, h)
	case h.kind == number:
		w.writeNumber(h)
	case h.kind == literal:
		w.out = append(w.out, "null"...)
	default:
		w.writeText(h)
	}
	if h.end == open {
		return limit
	}
	return h.end
}

// appendBlank appends an empty value of the hole's kind.
func (w *JSON) appendBlank(dst []byte, h *hole) []byte {
	switch {
	case h.kind == members && w.syntax == multipart:
		return append(append(dst, w.written()...), "--"...) // no parts
	case h.kind.unquoted() && h.action == rules.Blank && h.by != nil && h.by.BlankUUID():
		return append(dst, zeroUUID...)
	case h.kind.unquoted(), h.kind == members, h.kind == file:
		return dst
	case h.kind == object:
		return append(dst, "{}"...)
	case h.kind == array:
		return append(dst, "[]"...)
	case h.kind == number || h.kind == literal:
		return append(dst, "null"...)
	case h.action == rules.Blank && h.by != nil && h.by.BlankUUID():
		return append(append(append(dst, '"'), zeroUUID...), '"')
	}
	return append(dst, `""`...)
}

func (w *JSON) writeNumber(h *hole) {
	from := len(w.out)
	w.out = h.by.AppendNumber(w.out, w.held[h.start:h.end])
	if written := w.out[from:]; !isScalar(written) {
		w.out = append(w.out[:from], "null"...)
	}
}

// isScalar reports whether what a mask made of a number is JSON.
func isScalar(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	end, _, f := scalarEnd(b, 0, 1, true)
	return f == whole && end == len(b)
}

// writeText writes a string masked or as a token. Hits in it are masked first, lest the mask show a part of one.
func (w *JSON) writeText(h *hole) {
	value := w.unescaped(h)
	if h.edits && h.inside != flat {
		value = w.rewrittenNested(h)
	} else if h.edits && h.action == rules.Mask {
		w.spare = w.appendEdited(emptied(w.spare), h, value)
		value = w.spare
	}
	w.edited = h.by.Append(emptied(w.edited), value)
	w.writeString(h.kind, w.edited)
}

// writeString writes a value of this kind anew.
func (w *JSON) writeString(k kind, text []byte) {
	w.out = room(w.out, 2*len(text)+2)
	if k > escapedText {
		w.out = appendContent(w.out, k, text)
		return
	}
	w.out = append(w.out, '"')
	w.out = append(appendQuoted(w.out, text), '"')
}

// appendContent appends text in the way that a value of this kind writes it.
func appendContent(dst []byte, k kind, text []byte) []byte {
	switch k {
	case param, escapedParam:
		return append(dst, url.QueryEscape(string(text))...)
	case encoded:
		return append(dst, cookieEscape.Replace(url.QueryEscape(string(text)))...)
	case path:
		return append(dst, pathEscape.Replace(url.QueryEscape(string(text)))...)
	case plainText:
		return append(dst, text...)
	case aside:
		return append(dst, fileNames.Replace(string(text))...)
	}
	return appendQuoted(dst, text)
}

// writePart writes a part's text. What is written of it must not end the part: a mask could complete a boundary that
// somebody chose for that.
func (w *JSON) writePart(h *hole, at int) int {
	w.copyTo(at, h.start)
	from := len(w.out)
	w.copyTo(w.write(h, h.start, h.end), h.end)
	if boundary := w.written(); len(boundary) > 0 && bytes.Contains(w.out[from:], boundary) {
		w.out = w.out[:from]
	}
	return h.end
}

// appendEdited appends a text with its hits rewritten.
func (w *JSON) appendEdited(dst []byte, h *hole, value []byte) []byte {
	from := 0
	for _, hit := range w.hits[h.hits:h.hitsEnd] {
		d := w.decide(h.record, hit.Category)
		if d.Action == rules.Keep {
			continue
		}
		dst = append(dst, value[from:hit.Start]...)
		dst = d.Append(dst, value[hit.Start:hit.End])
		from = hit.End
	}
	return append(dst, value[from:]...)
}

// writeHits writes a text with its hits rewritten and everything between them as it came.
func (w *JSON) writeHits(h *hole, at int) int {
	content := h.start
	raw := w.held[h.start:h.end]
	if h.kind <= escapedText {
		content, raw = h.start+1, w.held[h.start+1:h.end-1]
	}
	value := w.unescaped(h)
	offset := rawOffset
	if h.kind.percents() {
		offset = percentOffset
	}
	escaped := h.kind == escapedText || h.kind.percents() || h.kind == piece && h.escaped
	pos, u := 0, 0 // the same place in raw and in value
	for _, hit := range w.hits[h.hits:h.hitsEnd] {
		d := w.decide(h.record, hit.Category)
		if d.Action == rules.Keep {
			continue
		}
		start, end := hit.Start, hit.End
		if escaped {
			pos, u = offset(raw, pos, u, hit.Start)
			start = pos
			pos, u = offset(raw, pos, u, hit.End)
			end = pos
		}
		w.copyTo(at, content+start)
		w.edited = d.Append(emptied(w.edited), value[hit.Start:hit.End])
		w.out = appendContent(room(w.out, 2*len(w.edited)), h.kind, w.edited)
		at = content + end
	}
	return at
}

// rename writes a member's name as a token, and returns where the window goes on.
func (w *JSON) rename(h *hole, at int) int {
	start := h.comma
	if h.kind.unquoted() {
		return w.renameParam(h, at)
	}
	for w.held[start] != '"' { // a comma and space come before it
		start++
	}
	end, escaped, _ := stringEnd(w.held, start+1)
	w.copyTo(at, start+1)
	name := w.held[start+1 : end]
	if escaped {
		w.text = unescape(emptied(w.text), name)
		name = w.text
	}
	w.edited = h.name.Append(emptied(w.edited), name)
	w.out = appendQuoted(room(w.out, 2*len(w.edited)), w.edited)
	return end
}

// unescaped returns a string's text. It is the window's own bytes, or holds until the next call.
func (w *JSON) unescaped(h *hole) []byte {
	switch {
	case h.kind == text:
		return w.held[h.start+1 : h.end-1]
	case h.kind == escapedText:
		w.text = unescape(emptied(w.text), w.held[h.start+1:h.end-1])
	case h.kind.percents():
		w.text = unescapePercent(emptied(w.text), w.held[h.start:h.end], h.kind == escapedParam)
	case !h.escaped:
		return w.held[h.start:h.end]
	default:
		w.text = unescape(emptied(w.text), w.held[h.start:h.end])
	}
	return w.text
}

// unescape appends a string's text. The scanner has proven its content well-formed.
func unescape(dst, raw []byte) []byte {
	for len(raw) > 0 {
		if i := bytes.IndexByte(raw, '\\'); i != 0 {
			if i < 0 {
				i = len(raw)
			}
			dst = append(dst, raw[:i]...)
			raw = raw[i:]
			continue
		}
		n, r := escape(raw)
		dst = utf8.AppendRune(dst, r)
		raw = raw[n:]
	}
	return dst
}

// escape returns the length and the rune of the escape that raw starts with.
func escape(raw []byte) (int, rune) {
	switch c := raw[1]; c {
	case 'b':
		return 2, '\b'
	case 'f':
		return 2, '\f'
	case 'n':
		return 2, '\n'
	case 'r':
		return 2, '\r'
	case 't':
		return 2, '\t'
	case 'u':
		r := hex4(raw[2:6])
		if r&^0x3ff != 0xd800 {
			return 6, r
		}
		return 12, (r-0xd800)<<10 + hex4(raw[8:12]) - 0xdc00 + 0x10000
	default:
		return 2, rune(c)
	}
}

// rawOffset goes on from a place, pos in a string's content and u in its text, to where the text reaches to.
func rawOffset(raw []byte, pos, u, to int) (int, int) {
	for u < to {
		if raw[pos] != '\\' {
			pos, u = pos+1, u+1
			continue
		}
		n, r := escape(raw[pos:])
		pos, u = pos+n, u+utf8.RuneLen(r)
	}
	return pos, u
}

// appendQuoted appends text as a string's content. What is not UTF-8 becomes U+FFFD, so that the output is always valid.
func appendQuoted(dst, text []byte) []byte {
	from, i := 0, 0
	for i < len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, n := rune(c), 1
		if c >= utf8.RuneSelf {
			if r, n = utf8.DecodeRune(text[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = appendEscape(append(dst, text[from:i]...), r)
		i += n
		from = i
	}
	return append(dst, text[from:]...)
}

// appendEscape appends a rune that cannot stand in a string as it is.
func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r == utf8.RuneError:
		return utf8.AppendRune(dst, r)
	case r < ' ':
		return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	}
	return append(dst, '\\', byte(r))
}
