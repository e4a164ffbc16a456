package body

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/detect"
)

const (
	maxMembers = 10_000  // parameters of a form; more are refused, as net/url and PHP do against floods
	maxMember  = 1 << 20 // bytes of a parameter, or of a part that is read as a text
)

// charsetName is the field in which HTML gives the name of the encoding. A reader who believes it would see another text.
const charsetName = "_charset_"

// syntax is what a rewriter reads.
type syntax uint8

const (
	document  syntax = iota // JSON
	form                    // application/x-www-form-urlencoded
	multipart               // multipart/form-data
	single                  // one text
)

// NewForm returns a rewriter for one form (application/x-www-form-urlencoded, WHATWG URL §5), possibly a used one. Release it
// when done.
//
// To selectors and names a form is an object of texts: `/phone` reaches its parameter phone, and a record at "" has its
// answers in parameters. What is stripped goes with its name. A parameter without an equals sign has no name: its text is
// a value, since a body that is no form at all looks like one of these.
//
// It is strict where readers differ: bad escapes, NUL and bad UTF-8, control characters, and semicolons, which some take
// for ampersands. A parameter of more than 1 MiB is refused, because it could not be judged as a whole.
func NewForm(j *rules.Judge, l Limits, sink Sink) *JSON {
	w := newMembers(j, l, sink, form)
	w.enterMembers(w.parameters.root)
	return w
}

// newMembers returns a rewriter for what is an object of its parameters or parts.
func newMembers(j *rules.Judge, l Limits, sink Sink, s syntax) *JSON {
	w := NewJSON(j, l, sink)
	w.syntax = s
	if w.parameters.scope == nil {
		w.parameters = newNames(w.scope)
	}
	return w
}

// enterMembers enters the object that all of the body is.
func (w *JSON) enterMembers(f *field) {
	w.field = f
	w.parameters.inside(f)
	w.enter(0, 0, 0, members)
	w.state = wantMember
}

// scanForm reads the parameters of the window, up to one that is cut.
func (w *JSON) scanForm() error {
	fr := &w.frames[1]
	for w.pos < len(w.held) {
		start, end := w.pos, len(w.held)
		if w.state == wantNext {
			start++ // behind the ampersand
		}
		from := max(start, w.mid)
		if n := bytes.IndexByte(w.held[from:], '&'); n >= 0 {
			end = from + n
		} else if !w.final {
			w.mid = end
			return w.long(end - start)
		}
		w.mid = 0
		if err := w.long(end - start); err != nil {
			return err
		}
		if err := w.parameter(fr, start, end); err != nil {
			return err
		}
		w.pos, w.state = end, wantNext
	}
	if w.final {
		w.leave(w.pos)
	}
	return nil
}

// long refuses a member that is too long to be judged as a whole, or for which there is no memory.
func (w *JSON) long(n int) error {
	switch {
	case n > maxMember:
		return w.unreadable(w.pos, "reading a parameter or a part of more than 1 MiB")
	case n > maxString && !w.reserve(false):
		return &rules.Refusal{Reason: rules.Unavailable, Detail: "the memory for held bodies is used up"}
	}
	return nil
}

// parameter attends to the parameter that stands at [start, end) of the window.
func (w *JSON) parameter(fr *frame, start, end int) error {
	if err := w.counted(maxMembers); err != nil {
		return err
	}
	fr.comma, fr.first = w.pos, w.state == wantMember
	pair := w.held[start:end]
	if i := badParam(pair); i >= 0 {
		return w.unreadable(start+i, "reading a parameter")
	}
	if w.text = unescapePercent(emptied(w.text), pair, true); !readable(w.text) {
		return w.unreadable(start, "reading a parameter that is not UTF-8")
	}
	if len(pair) == 0 {
		if w.skip == 0 {
			w.stays(fr)
		}
		return nil
	}
	name, value, named := bytes.Cut(pair, []byte("="))
	if !named {
		name, value = nil, pair
	}
	if len(name) > maxName {
		return w.unreadable(start, "reading a name of more than 64 KiB")
	}
	w.text = unescapePercent(emptied(w.text), name, true)
	if bytes.EqualFold(w.text, []byte(charsetName)) && !strings.EqualFold(string(value), "utf-8") {
		return w.unreadable(start, "reading a form that is not UTF-8")
	}
	k := param
	if bytes.ContainsAny(value, "%+") {
		k = escapedParam
	}
	w.member(w.text)
	w.leaf(fr, w.field, end-len(value), end, k)
	return nil
}

// counted counts a member.
func (w *JSON) counted(most int) error {
	if w.entries++; w.entries > most {
		return w.unreadable(w.pos, "reading more than "+strconv.Itoa(most)+" parameters or parts")
	}
	return nil
}

// member finds what the rules say of a parameter or part by its name. A name may be more than a name: a document that
// somebody sends as a form, or one that is escaped twice. What that says counts like data in a name.
func (w *JSON) member(name []byte) {
	in := w.frames[1].node
	if nestingOf(name) == flat && bytes.IndexByte(name, '%') < 0 {
		w.field = w.parameters.member(in, name, false, &w.stray, nil)
		return
	}
	w.field = &w.stray
	w.parameters.stranger(in, name, w.field)
	says := func(label *rules.Label) {
		if label != nil && !label.Silent {
			w.field.data = append(w.field.data, label.Category)
		}
	}
	for range maxNested {
		for _, label := range w.scope.Assigned(nil, name) {
			says(label)
		}
		next := decoded(string(name))
		if next == string(name) {
			break
		}
		name = []byte(next)
		meaning := w.scope.Name(name)
		says(w.scope.Key(&meaning, nil))
		w.field.data = append(w.field.data, meaning.Data...)
	}
	w.field.calm = w.field.calm && len(w.field.data) == 0
}

// renameParam writes a parameter's name as a token, and returns where the window goes on.
func (w *JSON) renameParam(h *hole, at int) int {
	start := h.comma
	if start < h.start && w.held[start] == '&' {
		start++
	}
	if start == h.start {
		return at // it has no name
	}
	w.copyTo(at, start)
	w.text = unescapePercent(emptied(w.text), w.held[start:h.start-1], true)
	w.edited = h.name.Append(emptied(w.edited), w.text)
	w.out = appendContent(room(w.out, 2*len(w.edited)), param, w.edited)
	return h.start - 1
}

// badParam returns where a parameter stops being one, or -1.
func badParam(pair []byte) int {
	for i := 0; i < len(pair); i++ {
		switch c := pair[i]; {
		case c == '%' && (i+2 >= len(pair) || unhex(pair[i+1]) < 0 || unhex(pair[i+2]) < 0), c == ';', c < ' ', c == 0x7f:
			return i
		}
	}
	return -1
}

// readable reports whether a decoded text is one that every reader sees alike.
func readable(text []byte) bool { return utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 }

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unescapePercent appends a text whose escapes are known to be good. In a form a plus sign is a space.
func unescapePercent(dst, raw []byte, plus bool) []byte {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '%':
			dst = append(dst, byte(unhex(raw[i+1])<<4|unhex(raw[i+2])))
			i += 2
		case c == '+' && plus:
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// percentOffset goes on from a place, pos in an escaped text and u in what it says, to where that reaches to.
func percentOffset(raw []byte, pos, u, to int) (int, int) {
	for ; u < to; u++ {
		if raw[pos] == '%' {
			pos += 2
		}
		pos++
	}
	return pos, u
}

// dial adds the hits, to those from index from on, of a text in which plus signs before digits are none of a form's
// spaces: who writes a telephone number into a URL by hand means its plus sign, though a reader sees a space there.
func (w *JSON) dial(h *hole, s []byte, from int, c detect.Context) {
	raw, u, changed := w.held[h.start:h.end], 0, false
	for i := 0; i < len(raw); i, u = i+1, u+1 {
		if raw[i] == '%' {
			i += 2
		} else if raw[i] == '+' && i+1 < len(raw) && raw[i+1]-'0' <= 9 && (u == 0 || s[u-1]-'0' > 9) {
			if !changed {
				w.spare = append(emptied(w.spare), s...)
				changed = true
			}
			w.spare[u] = '+'
		}
	}
	if !changed {
		return
	}
	plain := slices.Clone(w.hits[from:])
	w.hits = w.hits[:from]
	for _, hit := range w.scope.Detect(nil, w.spare, c) {
		for len(plain) > 0 && plain[0].End <= hit.Start {
			w.hits, plain = append(w.hits, plain[0]), plain[1:]
		}
		if len(plain) == 0 || hit.End <= plain[0].Start {
			w.hits = append(w.hits, hit)
		}
	}
	w.hits = append(w.hits, plain...)
}

// nestingIn tells by a look what a value may hold. What is escaped once may be escaped twice.
func nestingIn(k kind, s []byte) nesting {
	n := nestingOf(s)
	if n == flat && k.unquoted() && bytes.IndexByte(s, '%') >= 0 && decoded(string(s)) != string(s) {
		return nestedQuery
	}
	return n
}

// These make a form's escapes those of a cookie or of a path, where a parameter of its own may stand (RFC 3986 §3.3).
var (
	cookieEscape = strings.NewReplacer("+", "%20", "%2F", "/")
	pathEscape   = strings.NewReplacer("+", "%20", "%3B", ";", "%3D", "=")
)

// fileNames are written as browsers do (HTML §4.10.22.8), and never with an escape that readers differ about.
var fileNames = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A", `\`, "_")
