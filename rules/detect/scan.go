package detect

import (
	"bytes"
	"unicode/utf8"
)

// Find appends what the set's detectors find in an unescaped UTF-8 text, in order, not overlapping. c is what the text's
// name speaks of. It allocates nothing where dst has room.
func (s Set) Find(dst []Hit, text []byte, c Context) []Hit {
	if s == 0 || !MayHold(text, c) {
		return dst
	}
	return s.FindHeld(dst, text, c)
}

// FindHeld is Find for a text of which MayHold is known to be true.
func (s Set) FindHeld(dst []Hit, text []byte, c Context) []Hit {
	f := finder{set: s, text: text, about: c, hits: dst, at: -1}
	f.scan()
	if len(f.hits) == len(dst) && isDecimal(text) {
		if kind, ok := s.Number(text, c); ok {
			f.hit(0, len(text), kind)
		}
	}
	return f.hits
}

// finder goes through a text once, from left to right. Each detector looks a bounded way ahead and back, or never looks
// at the same bytes again, so the work grows with the text and no faster.
type finder struct {
	set   Set
	text  []byte
	about Context
	hits  []Hit
	done  int // where the last hit ends
	at    int // the next @ from here on, -1 before the first is looked for
	local int // where what may be its local part starts
	group group

	behindAt int               // where the domain behind it starts
	ats      [len(atSigns)]int // where each spelling of it stands next
}

// Classes of bytes. Those of letters and digits add up over a token.
const (
	classDigit = 1 << iota
	classHex   // a to f
	classLetter
	classPlus
	classDollar
	classColon
	classWide // begins a character that may be a digit of another script

	classWord = classDigit | classHex | classLetter
)

var classes = func() (table [256]uint8) {
	for c := range table {
		switch {
		case c >= '0' && c <= '9':
			table[c] = classDigit
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			table[c] = classHex
		case c >= 'g' && c <= 'z', c >= 'G' && c <= 'Z':
			table[c] = classLetter
		}
	}
	table['+'], table['$'], table[':'] = classPlus, classDollar, classColon
	// The first bytes of all that digitAt takes for a digit, beyond ASCII. Han characters begin otherwise.
	for _, c := range []byte{0xC2, 0xE2, 0xD9, 0xDB, 0xDF, 0xE0, 0xE1, 0xEA, 0xEF, 0xF0} {
		table[c] = classWide
	}
	return table
}()

func (f *finder) scan() {
	for i := 0; i < len(f.text); {
		switch class := classes[f.text[i]]; {
		case class == 0:
			i++
		case class&classWord != 0:
			i = f.token(i)
		case class == classPlus:
			i = f.plus(i)
		case class == classDollar:
			i = f.hash(i)
		case class == classColon:
			i = f.colon(i)
		default:
			i = f.wide(i)
		}
	}
}

// hit records a hit and returns where to go on.
func (f *finder) hit(start, end int, k Kind) int {
	f.hits = append(f.hits, Hit{start, end, k})
	f.done = end
	return end
}

// token judges what starts with the letters and digits at i, and returns where to go on.
func (f *finder) token(i int) int {
	end, class := i, uint8(0)
	for end < len(f.text) && classes[f.text[end]]&classWord != 0 {
		class |= classes[f.text[end]]
		end++
	}
	if to := f.email(i); to > 0 {
		return to
	}
	if class&classLetter == 0 && end-i <= 4 {
		if to := f.address(i, end); to > 0 {
			return to
		}
	}
	if f.about&aboutCoordinate != 0 && class == classDigit {
		if to := f.coordinate(i); to > 0 {
			return to
		}
	}
	switch {
	case class == classDigit:
		return f.number(i, 0, f.set)
	case class&classDigit != 0 || end-i >= 2 || end < len(f.text) && f.text[end] >= utf8.RuneSelf:
		return f.mixed(i, end)
	}
	return end
}

func (f *finder) wide(i int) int {
	if _, size := digitAt(f.text, i); size > 0 {
		return f.number(i, 0, f.set)
	}
	r, size := utf8.DecodeRune(f.text[i:])
	if isLocal(narrow(r)) {
		if to := f.email(i); to > 0 {
			return to
		}
		if to := f.iban(i); to > 0 {
			return to
		}
	}
	return i + size
}

// number judges the digits at i, which no ASCII letter stands before unless it belongs to a word that speaks of more, or
// the number is one of a set that letters do not change. Where all digits at i are no number of ours, those up to an
// invisible character may be, or those up to a separator of another kind.
func (f *finder) number(i int, more Context, set Set) int {
	g := &f.group
	next := g.read(f.text, i, alike)
	if g.n < 3 && g.piece == 0 {
		return next
	}
	about := f.about | more | wordBefore(f.text[:i])
	if to := f.judge(i, about, set); to > 0 {
		return to
	}
	if g.piece > 0 {
		next = g.read(f.text, i, apart)
		if to := f.judge(i, about, set); to > 0 {
			return to
		}
	}
	if g.count > 0 && g.runs[0].upTo <= 4 {
		g.read(f.text, i, unlike)
		if to := f.judge(i, about, set); to > 0 {
			return to
		}
	}
	if to := f.doubleZero(i, about, set); to > 0 {
		return to
	}
	return next
}

// judge takes the longest of the groups that start at i, and returns where it ends, or 0.
func (f *finder) judge(i int, about Context, set Set) int {
	g := &f.group
	for k := g.count - 1; k >= 0; k-- {
		n, end := int(g.runs[k].upTo), int(g.runs[k].end)
		if n == 17 {
			if to := f.idWithX(g, end); to > 0 {
				return f.hit(i, to, nationalIDCN)
			}
		}
		whole := set
		if k > 0 {
			whole &^= 1 << uscc // it has no separators: a card and its expiry are as long
		}
		kind, ok := whole.digits(g.values[:n], about)
		if !ok || !f.border(end) || !stands[kind] && !f.alone(i, end, k, kind, about) {
			continue
		}
		start := i
		if g.mark == ')' && i > f.done && f.text[i-1] == '(' {
			start--
		}
		if kind == cardNumber {
			end = f.track(end)
		}
		return f.hit(start, end, kind)
	}
	return 0
}

// alone reports whether a number up to its run k is no part of something else. Digits at once may have more behind a dash:
// an extension, a date. Digits in groups may only if people write this kind so, and also if they stand between separators
// that lists have.
func (f *finder) alone(i, end, k int, kind Kind, about Context) bool {
	before := i >= 2 && isTie(f.text[i-1]) && isDigit(f.text[i-2])
	behind := end+1 < len(f.text) && isTie(f.text[end]) && isDigit(f.text[end+1])
	if before && f.text[i-1] == '.' || behind && f.text[end] == '.' && !f.tenth(end) {
		return false
	}
	if k == 0 || f.group.laidOut(k, kind) {
		return true
	}
	return !before && !behind && (!f.group.listed() || about&Detectors[kind].about != 0)
}

// tenth reports whether a dot and one digit are all that follows, as in a number that was a float once: 13800138000.0.
func (f *finder) tenth(i int) bool {
	return f.border(i+2) && (i+3 >= len(f.text) || !isTie(f.text[i+2]) || !isDigit(f.text[i+3]))
}

// track returns where the track of a magnetic stripe ends that goes on behind a card's number: the holder's name, the
// expiry and more (ISO/IEC 7813).
func (f *finder) track(end int) int {
	if end < len(f.text) && (f.text[end] == '^' || f.text[end] == '=') {
		if n := bytes.IndexByte(f.text[end:min(len(f.text), end+longestTrack)], '?'); n > 0 {
			return end + n
		}
	}
	return end
}

const longestTrack = 79

// stands says which kinds are themselves even as a part of a longer number with dots or dashes; no other number passes
// their checks by chance.
var stands = [maxKind]bool{nationalIDCN: true, iccid: true}

var standing = Set(0).Add(nationalIDCN).Add(iccid)

// idWithX judges 17 digits that end at i, and the X that stands for a check value of ten.
func (f *finder) idWithX(g *group, i int) (end int) {
	r, size := utf8.DecodeRune(f.text[i:])
	if r != 'X' && r != 'x' && r != 'Ｘ' && r != 'ｘ' || !f.set.Has(nationalIDCN) || !f.border(i+size) {
		return 0
	}
	g.values[17] = 10
	if !isNationalIDCN(g.values[:18]) {
		return 0
	}
	return i + size
}

// border reports whether no letter or digit follows.
func (f *finder) border(end int) bool {
	return end >= len(f.text) || classes[f.text[end]]&classWord == 0
}

func isTie(c byte) bool { return c == '-' || c == '.' }

func isDigit(c byte) bool { return c-'0' <= 9 }

func isLetter(c byte) bool { return classes[c]&(classHex|classLetter) != 0 }
