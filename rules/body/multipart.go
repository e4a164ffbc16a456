package body

import (
	"bytes"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

const (
	maxParts    = 1000    // of a body
	maxPartHead = 8 << 10 // bytes of one part's headers
	crlf        = "\r\n"
)

// phase is where a multipart body is read.
type phase uint8

const (
	beforeParts phase = iota
	atPart            // at a boundary: a part's headers or the end come
	inText            // in a part that is read as a whole
	inJSON
	inFile // in a part that is not read
	afterParts
	pastParts // behind the line of the last boundary
)

// part is how far a multipart body was read.
type part struct {
	phase   phase
	fresh   bool // nothing of a JSON part was read
	empty   bool // it is of a file that nobody chose, so nothing may stand in it
	charset bool // it names the encoding of all texts
	sought  int  // up to where the window was searched for a boundary
}

// unreadPart refuses a body for a file in it.
var unreadPart = &rules.Refusal{Reason: rules.MediaType, Detail: "a part is of a type that is not read"}

// NewMultipart returns a rewriter for one multipart/form-data body (RFC 7578), possibly a used one. Release it when done.
//
// To selectors and names it is an object of its parts, as OpenAPI has it: texts are judged like parameters of a form, and a
// JSON part like a member of the document that it would be. Any other part is refused unless passes says that files of
// its media type (in lower case, without parameters) may go unread; what is declared of its name holds for it as a whole.
// A file's own name is a text to detectors.
//
// A part that stays goes out byte for byte. What stands before the first part and behind the last one, and headers that
// RFC 7578 §4.8 has readers ignore, are left out. It is strict where readers differ: boundaries, headers and names that one
// reader would take for something else than another are refused. Parts that are read as texts are held, up to 1 MiB.
func NewMultipart(j *rules.Judge, l Limits, sink Sink, boundary string, passes func(mediaType string) bool) (*JSON, error) {
	if !isBoundary(boundary) {
		return nil, &rules.Refusal{Reason: rules.Unreadable, Detail: "reading a boundary that is none"}
	}
	w := newMembers(j, l, sink, multipart)
	w.enterMembers(w.parameters.root)
	w.boundary, w.passes = []byte("--"+boundary), passes
	w.frames[1].sure = true // parts have no commas between them
	w.frames[1].settle(w)
	w.state = wantNext
	return w, nil
}

// SetBoundary has another boundary stand between the parts that go out, because one that somebody chose can say anything. It
// has to be one that nobody can foresee, or a part could hold it. The media type of a part says nothing then either: only
// well-known ones are read. What is signed may go with it: a part can sign the other ones, and not what stands between
// them. It is for before the first byte.
func (w *JSON) SetBoundary(own string) { w.own = []byte("--" + own) }

// written is the boundary of the parts that go out.
func (w *JSON) written() []byte {
	if w.own != nil {
		return w.own
	}
	return w.boundary
}

// rebound writes our own boundary in place of the one at i of the window, and returns how much longer it is.
func (w *JSON) rebound(i int) int {
	if w.own == nil {
		return 0
	}
	longer := len(w.own) - len(w.boundary)
	w.held = slices.Replace(w.held, i, i+len(w.boundary), w.own...)
	w.base -= int64(longer)
	return longer
}

// isBoundary reports whether RFC 2046 §5.1.1 lets this stand between parts.
func isBoundary(s string) bool {
	if len(s) == 0 || len(s) > 70 || s[len(s)-1] == ' ' {
		return false
	}
	return strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ") == ""
}

// scanParts reads the parts of the window, up to where one is cut.
func (w *JSON) scanParts() error {
	for {
		var more bool
		var err error
		switch w.part.phase {
		case beforeParts:
			more, err = w.preamble()
		case atPart:
			more, err = w.partStart()
		case afterParts:
			more = w.lastLine()
		case pastParts:
			w.drop(w.pos, len(w.held)-w.pos)
		default:
			more, err = w.partInside()
		}
		if !more || err != nil {
			return err
		}
	}
}

// drop takes n bytes at from out of the window, because no reader may care for them.
func (w *JSON) drop(from, n int) {
	if n > 0 {
		w.shift(from, n)
		w.changed = true
	}
}

// preamble drops what stands before the first boundary.
func (w *JSON) preamble() (bool, error) {
	i := bytes.Index(w.held, w.boundary)
	switch {
	case i < 0:
		w.drop(0, max(0, len(w.held)-len(w.boundary)-1))
		return false, nil
	case i > 0 && (i < 2 || string(w.held[i-2:i]) != crlf):
		return false, w.unreadable(i, "reading a boundary within a line")
	}
	w.drop(0, i)
	w.part.phase = atPart
	return true, nil
}

// lastLine keeps the end of the last boundary's line.
func (w *JSON) lastLine() bool {
	rest := w.held[w.pos:]
	if len(rest) < len(crlf) && !w.final {
		return false
	}
	if bytes.HasPrefix(rest, []byte(crlf)) {
		w.pos += len(crlf)
	}
	w.part.phase = pastParts
	return true
}

// partStart reads the boundary at pos and the headers behind it.
func (w *JSON) partStart() (bool, error) {
	at := w.pos + len(w.boundary)
	if w.entries > 0 {
		at += 2 // the line's end before it
	}
	if len(w.held) < at+2 {
		return false, nil
	}
	switch string(w.held[at : at+2]) {
	case "--":
		w.pos = at + 2 + w.rebound(at-len(w.boundary))
		w.leave(w.pos)
		w.part.phase = afterParts
		return true, nil
	case crlf:
	default:
		return false, w.unreadable(at, "reading a boundary that goes on")
	}
	n := bytes.Index(w.held[at:], []byte(crlf+crlf))
	if n > maxPartHead || n < 0 && len(w.held)-at > maxPartHead {
		return false, w.unreadable(at, "reading headers of a part of more than 8 KiB")
	}
	if n < 0 {
		return false, nil
	}
	if err := w.counted(maxParts); err != nil {
		return false, err
	}
	at += w.rebound(at - len(w.boundary))
	return true, w.beginPart(at+2, at+n+2)
}

// beginPart enters the part whose headers stand at [start, end) of the window.
func (w *JSON) beginPart(start, end int) error {
	head, err := w.partHead(start, end)
	if err != nil {
		return err
	}
	fr := &w.frames[1]
	fr.comma, fr.first = w.pos, w.entries == 1
	w.pos = head.end + 2
	w.part.sought, w.part.fresh = w.pos, true
	name := w.held[head.name[0]:head.name[1]]
	w.part.charset = bytes.EqualFold(name, []byte(charsetName))
	w.member(name)
	if head.file {
		w.fileName(fr, head.fileName[0], head.fileName[1])
	}
	w.state = wantValue
	switch mediaType := head.mediaType; {
	case strings.HasPrefix(mediaType, "multipart/"):
		return w.unreadable(start, "reading parts within a part")
	case w.own != nil && IsJSON(mediaType) && !IsKnownJSON(mediaType):
		return unreadPart
	case IsJSON(mediaType):
		w.part.phase = inJSON
	case mediaType == "application/octet-stream" && head.file && head.fileName[0] == head.fileName[1]:
		w.part.phase, w.part.empty = inText, true
	case mediaType == "", mediaType == "text/plain", mediaType == "application/x-www-form-urlencoded":
		w.part.phase = inText
	case w.passes != nil && w.passes(mediaType):
		w.part.phase = inFile
		w.enter(w.pos, w.pos, 0, file)
		w.state = wantNext
	default:
		return unreadPart
	}
	return nil
}

var knownJSON = []string{
	"application/json", "text/json", "application/ld+json", "application/geo+json", "application/problem+json", "application/fhir+json", "application/vnd.api+json",
	"application/hal+json", "application/merge-patch+json",
}

// IsKnownJSON reports whether a media type of JSON is registered with IANA and in use: any other could be a word of the
// client's.
func IsKnownJSON(mediaType string) bool { return slices.Contains(knownJSON, mediaType) }

// IsJSON reports whether a media type is one of JSON (RFC 8259 §11, RFC 6839 §3.1) whose members are named by what is in
// them. In a JSON Patch the name of a value stands beside it, in a path (RFC 6902 §4).
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" ||
		strings.HasSuffix(mediaType, "+json") && !strings.HasPrefix(mediaType, "application/json-patch")
}

// fileName makes a hole of a file's name, where something in it may have to change.
func (w *JSON) fileName(fr *frame, start, end int) {
	if w.skip != 0 {
		return
	}
	h := w.newHole(fr, &field{}, fr.record, aside)
	h.label, h.inherited = nil, false
	h.start, h.end = start, end
	w.find(h, &field{})
	w.settleHole(h)
	if h.judged && h.idle() && w.pending == 0 {
		w.count(h)
		w.unmake(h)
	}
}

// partInside reads on in a part.
func (w *JSON) partInside() (bool, error) {
	// Where no whole boundary stands in the window, its end may hold the start of one.
	end, ended := max(w.pos, len(w.held)-len(w.boundary)-1), false
	if i := bytes.Index(w.held[w.part.sought:], w.boundary); i >= 0 {
		i += w.part.sought
		if i-2 < w.pos || string(w.held[i-2:i]) != crlf {
			return false, w.unreadable(i, "reading a boundary within a line")
		}
		end, ended = i-2, true
	}
	w.part.sought = max(w.pos, len(w.held)-len(w.boundary)+1)
	var err error
	switch w.part.phase {
	case inText:
		err = w.partText(end, ended)
	case inJSON:
		err = w.partJSON(end, ended)
	default:
		w.pos = end
		if ended {
			w.leave(end)
		}
	}
	if ended && err == nil {
		w.endPart(end)
	}
	return ended, err
}

// partText judges a part that is a text when all of it is there.
func (w *JSON) partText(end int, ended bool) error {
	if !ended || end-w.pos > maxMember {
		return w.long(end - w.pos)
	}
	if w.part.empty && end > w.pos {
		return unreadPart
	}
	if text := w.held[w.pos:end]; !readable(text) || w.part.charset && !bytes.EqualFold(text, []byte("utf-8")) {
		return w.unreadable(w.pos, "reading a part that is not UTF-8")
	}
	w.leaf(&w.frames[1], w.field, w.pos, end, plainText)
	return nil
}

// partJSON reads on in a part that is a document, as if it ended with the window where it does end.
func (w *JSON) partJSON(end int, ended bool) error {
	held, final := w.held, w.final
	if w.part.fresh {
		const mark = "\xef\xbb\xbf" // it stays: it is no part of the document
		if end-w.pos < len(mark) && !ended {
			return nil
		}
		if bytes.HasPrefix(held[w.pos:end], []byte(mark)) {
			w.pos += len(mark)
		}
		w.part.fresh = false
	}
	w.held, w.final = held[:end], ended
	err := w.scan()
	w.held, w.final = held, final
	switch {
	case err != nil:
		return err
	case ended && (w.depth != 1 || w.state != wantEnd || w.pos != end):
		return w.unreadable(end, "a part is cut off")
	case w.state != inString && w.pos == end && len(bytes.TrimRight(held[max(0, end-stepSize):end], " \t\r\n")) == 0 && end > stepSize:
		return w.unreadable(end, "reading space of more than 32 KiB")
	}
	return nil
}

// endPart goes on with the boundary at end. If the part goes, what stands behind its value goes with it.
func (w *JSON) endPart(end int) {
	began := w.frames[1].comma
	for i := len(w.holes) - 1; i >= 0 && w.holes[i].comma >= began; i-- {
		h := &w.holes[i]
		if h.comma == began && h.kind != aside && h.kind != gone && h.depth == 1 && h.end != open {
			h.tail = uint16(end - h.end) // partJSON takes no more than 32 KiB of space
		}
	}
	if began < 0 && len(w.holes) > 0 {
		if h := &w.holes[0]; h.kind == gone && h.depth == 1 && h.end != open {
			h.tail = uint16(end - h.end)
		}
	}
	w.pos, w.state = end, wantNext
	w.part = part{phase: atPart}
}
