package rules

import (
	"bytes"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxAssigned = 64 // bytes of a name that count, from its end: there the noun stands
	maxSpelled  = 3  // how often a text is escaped
)

const wideColon = "："

// Assigned appends the labels of the names that a text gives values to: quoted before a colon or bare before an equals sign,
// an element's, a PHP string's, or a word before a colon where a line or a list begins. That is how documents, scripts,
// forms, URLs, cookies, dumps and lines of logs write them, as they stand or escaped for another text.
func (s *Scope) Assigned(dst []*Label, text []byte) []*Label {
	for range maxSpelled {
		a := assignment{text: text}
		for name := a.next(); name != nil; name = a.next() {
			meaning := s.Name(name[max(0, len(name)-maxAssigned):])
			if label := s.Key(&meaning, nil); label != nil && !label.Silent && !slices.Contains(dst, label) {
				dst = append(dst, label)
			}
		}
		if text = unspelled(text); text == nil {
			break
		}
	}
	return dst
}

// MayAssign reports whether a text gives values to any names at all.
func MayAssign(text []byte) bool {
	for range maxSpelled {
		if a := (assignment{text: text}); a.next() != nil {
			return true
		}
		if text = unspelled(text); text == nil {
			break
		}
	}
	return false
}

// assignment is how far a text was searched for names.
type assignment struct {
	text   []byte
	at     int
	from   int  // behind the last sign that a name stands before
	last   byte // that sign; 0: there was none
	opened bool // a bracket stood somewhere before
}

// next returns what stands next where a text has a name that it gives a value to, nil at its end.
func (a *assignment) next() []byte {
	for a.at < len(a.text) {
		i := a.at
		a.at++
		if !signs[a.text[i]] {
			continue
		}
		var name []byte
		switch a.text[i] {
		case '{', '[', '(':
			a.opened = true
		case '<':
			name = element(a.text[i+1:])
		case '=', ':':
			name = a.before(i, 1)
		case 0xef:
			if bytes.HasPrefix(a.text[i:], []byte(wideColon)) {
				name = a.before(i, len(wideColon))
			}
		}
		if len(name) > 0 {
			return name
		}
	}
	return nil
}

// signs are the first bytes of what next looks at.
var signs = [256]bool{'{': true, '[': true, '(': true, '<': true, '=': true, ':': true, 0xef: true}

// before returns the name that stands before the sign of some bytes at i, nil if there is none.
func (a *assignment) before(i, size int) []byte {
	segment, rest, last, sign := a.text[a.from:i], a.text[i+size:], a.last, a.text[i]
	a.from, a.last = i+size, sign
	before := segment
	for len(before) > 0 && isSpace(before[len(before)-1]) {
		before = before[:len(before)-1]
	}
	name := before
	for len(name) > 0 && isQuote(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	switch {
	case len(name) < len(before):
		return name[bytes.LastIndexAny(name, `"'`)+1:]
	case sign == '=':
		return name[bytes.LastIndexAny(name, " \t\r\n?&;#/,([{<>\\\"'=:")+1:]
	case len(name) == 0:
		return nil
	case len(rest) > 0 && rest[0] == '"':
		if name := serialized(before, rest); name != nil {
			return name
		}
	case len(rest) > 1 && rest[0] == '/' && rest[1] == '/':
		return nil // of a URL it is the scheme
	}
	if bytes.IndexByte(segment[len(before):], '\n') >= 0 {
		return nil
	}
	if name := inPrint(before); name != nil {
		return name
	}
	return word(before, last, a.opened && len(rest) > 0 && !isSpace(rest[0]))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '\\' }

// inPrint returns what stands at the end of a text in quotation marks as they are printed, nil if nothing does.
func inPrint(text []byte) []byte {
	r, size := lastRune(text)
	if r < utf8.RuneSelf || !strings.ContainsRune("”’“»」』", r) {
		return nil
	}
	name := text[max(0, len(text)-size-2*maxAssigned) : len(text)-size]
	open := bytes.LastIndexAny(name, "“„‘”«「『")
	if open < 0 {
		return nil
	}
	_, size = utf8.DecodeRune(name[open:])
	return name[open+size:]
}

// word returns the word at the end of a segment if it begins a line, a list's item or a bracket's inside. In the middle of a
// sentence a word before a colon is no name, unless it is Chinese, which has no blanks between words, or of Go's
// {Name:Ann Age:7}.
func word(segment []byte, last byte, inDump bool) []byte {
	at := len(segment)
	for at > 0 {
		r, size := lastRune(segment[:at])
		if endsWord(r) {
			break
		}
		if at -= size; len(segment)-at > 2*maxAssigned {
			return nil // nobody has names so long
		}
	}
	name := unnumbered(segment[at:])
	for len(name) > 0 && bytes.IndexByte([]byte("*_~$@-"), name[0]) >= 0 {
		name = name[1:]
	}
	if len(name) == 0 || name[0]-'0' <= 9 {
		return nil // a time, a port
	}
	first, _ := utf8.DecodeRune(name)
	if !unicode.IsLetter(first) {
		return nil
	}
	lead := bytes.TrimRight(segment[:at], " \t")
	if inDump || unicode.Is(unicode.Han, first) || begins(lead, last) || begins(bytes.TrimRight(lead, "-*+#>.0123456789 \t"), last) {
		return name
	}
	return nil
}

func lastRune(text []byte) (rune, int) {
	if c := text[len(text)-1]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeLastRune(text)
}

// unnumbered cuts the number off an item of a list: 1.Name.
func unnumbered(name []byte) []byte {
	digits := 0
	for digits < len(name) && name[digits]-'0' <= 9 {
		digits++
	}
	if digits < len(name) && name[digits] == '.' {
		return name[digits+1:]
	}
	return name
}

// begins reports whether something begins behind a text, which itself stands behind the last sign.
func begins(lead []byte, last byte) bool {
	if len(lead) == 0 {
		return last == 0 || last == '='
	}
	r, _ := lastRune(lead)
	return r != ' ' && r != '\t' && r != '/' && r != '\\' && r != '?' && endsWord(r)
}

// endsWord reports whether no name goes on across a rune.
func endsWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || wordEnds[r]
	}
	return strings.ContainsRune("　，；。、！？（【「《｛［", r)
}

var wordEnds = func() (ends [utf8.RuneSelf]bool) {
	for _, c := range []byte("?&;#/,([{<>\\\"'|`") {
		ends[c] = true
	}
	return ends
}()

// serialized returns the string of PHP's serialize that rest goes on with, behind its length, where it may be a name: as a
// value it stands there as well. A private member's has its class before it, between NULs.
func serialized(before, rest []byte) []byte {
	if len(before) == 0 || before[len(before)-1]-'0' > 9 || len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	name, behind, ok := bytes.Cut(rest[1:min(len(rest), 4*maxAssigned)], []byte(`"`))
	if !ok || !bytes.HasPrefix(behind, []byte(";")) || bytes.HasPrefix(behind, []byte(";}")) {
		return nil // the last string is a value
	}
	return name[bytes.LastIndexByte(name, 0)+1:]
}

// element returns the name of the XML element that begins behind an angle bracket, without its prefix, nil if none does.
func element(rest []byte) []byte {
	end := 0
	for end < len(rest) && end < 2*maxAssigned && (rest[end] >= utf8.RuneSelf || isNameByte(rest[end])) {
		end++
	}
	if end == 0 || end == len(rest) || rest[0]-'0' <= 9 || bytes.IndexByte([]byte("> \t\r\n/"), rest[end]) < 0 {
		return nil
	}
	return rest[bytes.LastIndexByte(rest[:end], ':')+1 : end]
}

func isNameByte(c byte) bool {
	return c|0x20-'a' < 26 || c-'0' <= 9 || c == '_' || c == '-' || c == '.' || c == ':'
}

// unspelled undoes one level of what HTML, JSON and JavaScript escape, nil if there is nothing to undo.
func unspelled(text []byte) (plain []byte) {
	from := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '&' && text[i] != '\\' {
			continue
		}
		if r, size := spelled(text[i:]); size > 0 {
			plain = utf8.AppendRune(append(plain, text[from:i]...), r)
			from = i + size
			i = from - 1
		}
	}
	if from == 0 {
		return nil
	}
	return append(plain, text[from:]...)
}

// spelled returns the rune that an escape at the start of a text stands for, and how long the escape is; 0: there is none.
func spelled(text []byte) (rune, int) {
	if text[0] == '&' {
		end := bytes.IndexByte(text[:min(len(text), 10)], ';') + 1
		plain := html.UnescapeString(string(text[:end]))
		if r, size := utf8.DecodeRuneInString(plain); size == len(plain) && end > 1 {
			return r, end
		}
		return 0, 0
	}
	if len(text) < 2 {
		return 0, 0
	}
	digits := 0
	switch text[1] {
	case 'n', 'r':
		return '\n', 2
	case 't':
		return '\t', 2
	case '"', '\'', '\\', '/':
		return rune(text[1]), 2
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	}
	if digits == 0 || len(text) < 2+digits {
		return 0, 0
	}
	code, err := strconv.ParseUint(string(text[2:2+digits]), 16, 16)
	if err != nil {
		return 0, 0
	}
	return rune(code), 2 + digits
}
