package detect

import (
	"bytes"
	"unicode/utf8"
)

// Find appends what the set's detectors find in an unescaped UTF-8 text, in order, not overlapping. c is what the text's
// name speaks of. It allocates nothing where dst has room.
func (s Set) Find(dst []Hit, text []byte, c Context) []Hit {
	if s == 0 || !mayHold(text) {
		return dst
	}
	f := finder{set: s, text: text, about: c, hits: dst, at: -1}
	f.scan()
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
	at    int // the next @ from here on
	local int // where what may be its local part starts
	group group
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
	// The first bytes of all that Unicode calls a decimal digit, beyond ASCII. Han characters begin otherwise.
	for _, c := range []byte{0xD9, 0xDB, 0xDF, 0xE0, 0xE1, 0xEA, 0xEF, 0xF0} {
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
		return f.number(i, 0)
	case class&classDigit != 0 || end-i >= 2:
		return f.mixed(i, end)
	}
	return end
}

func (f *finder) wide(i int) int {
	if _, size := digitAt(f.text, i); size > 0 {
		return f.number(i, 0)
	}
	_, size := utf8.DecodeRune(f.text[i:])
	return i + size
}

// number judges the digits at i, which no ASCII letter stands before unless it belongs to a word that speaks of more. It
// takes the longest of the groups that start there.
func (f *finder) number(i int, more Context) int {
	g := &f.group
	next := g.read(f.text, i)
	about, asked := f.about|more, false
	for k := g.count - 1; k >= 0; k-- {
		n, end := int(g.runs[k].upTo), int(g.runs[k].end)
		if to := f.idWithX(g, k); to > 0 {
			return f.hit(i, to, nationalIDCN)
		}
		if n < 3 || f.set&(byLength[n]|byLengthNamed[n]) == 0 || !f.border(end) {
			continue
		}
		if !asked {
			about, asked = about|wordBefore(f.text[:i]), true
		}
		if kind, ok := f.set.digits(g.values[:n], about); ok && (!f.joined(i, end) || stands[kind]) {
			return f.hit(i, end, kind)
		}
	}
	return next
}

// stands says which kinds are themselves even as a part of a longer number with dots or dashes; no other number passes
// their checks by chance.
var stands = [maxKind]bool{nationalIDCN: true, iccid: true}

// idWithX judges 17 digits and the X that stands for a check value of ten.
func (f *finder) idWithX(g *group, k int) (end int) {
	end = int(g.runs[k].end)
	if g.runs[k].upTo != 17 || !f.set.Has(nationalIDCN) {
		return 0
	}
	r, size := utf8.DecodeRune(f.text[end:])
	if r != 'X' && r != 'x' && r != 'Ｘ' && r != 'ｘ' || !f.border(end+size) {
		return 0
	}
	g.values[17] = 10
	if !isNationalIDCN(g.values[:18]) {
		return 0
	}
	return end + size
}

// border reports whether no letter or digit follows.
func (f *finder) border(end int) bool {
	return end >= len(f.text) || classes[f.text[end]]&classWord == 0
}

// joined reports whether a dash or a dot ties the number to more digits: an order number, an amount.
func (f *finder) joined(start, end int) bool {
	return start >= 2 && isTie(f.text[start-1]) && isDigit(f.text[start-2]) ||
		end+1 < len(f.text) && isTie(f.text[end]) && isDigit(f.text[end+1])
}

func isTie(c byte) bool { return c == '-' || c == '.' }

func isDigit(c byte) bool { return c-'0' <= 9 }

// plus judges a telephone number in international form: ITU-T E.164, at most 15 digits, the shortest in use 7 or 8.
func (f *finder) plus(i int) int {
	if !f.set.Has(phone) || i > 0 && classes[f.text[i-1]]&classWord != 0 {
		return i + 1
	}
	n, end := 0, 0
	for at := i + 1; ; {
		v, size := digitAt(f.text, at)
		if size == 0 || n == 0 && v == 0 {
			break
		}
		n++
		at += size
		next := f.dialSeparator(at, n)
		if n > 15 && next == at {
			if end == 0 {
				return at // too long to be dialled
			}
			break
		}
		if _, more := digitAt(f.text, at); more == 0 && n <= 15 && f.border(at) && !f.decimal(at) {
			end = at
			if n < 8 {
				end = 0
			}
		}
		at = next
	}
	if end == 0 {
		return i + 1
	}
	return f.hit(i, end, phone)
}

// dialSeparator returns where the digits go on behind what stands between those of a telephone number, or i.
func (f *finder) dialSeparator(i, digits int) int {
	at := i
	for range 3 {
		at += hiddenAt(f.text, at)
		if _, size := digitAt(f.text, at); size > 0 {
			return at
		}
		if at >= len(f.text) {
			return i
		}
		r, size := utf8.DecodeRune(f.text[at:])
		if mark := markOf(r); mark == 0 && r != '(' && r != ')' || mark == '.' && digits > 4 && at == i && f.lonelyDot(at) {
			return i
		}
		at += size
	}
	if _, size := digitAt(f.text, at); size > 0 {
		return at
	}
	return i
}

// decimal reports whether a dot and a digit follow.
func (f *finder) decimal(i int) bool {
	return i+1 < len(f.text) && f.text[i] == '.' && isDigit(f.text[i+1])
}

// lonelyDot reports whether a dot is one of a decimal fraction: at most two digits follow it.
func (f *finder) lonelyDot(i int) bool {
	for n := range 3 {
		if i+1+n >= len(f.text) || !isDigit(f.text[i+1+n]) {
			return true
		}
	}
	return false
}

// email judges whether the token at i is inside an address's local part (RFC 5321 atoms), and returns where the address
// ends. Each @ is looked at once.
func (f *finder) email(i int) int {
	if f.at < i {
		f.nextAt(i)
	}
	if i < f.local || !f.set.Has(email) {
		return 0
	}
	end := domainEnd(f.text, f.at+1)
	if end == 0 {
		f.local = len(f.text) + 1
		return 0
	}
	return f.hit(max(f.local, f.done), end, email)
}

func (f *finder) nextAt(i int) {
	at := bytes.IndexByte(f.text[i:], '@')
	if at < 0 {
		f.at, f.local = len(f.text), len(f.text)+1
		return
	}
	f.at = i + at
	f.local = f.at
	for f.local > f.done && f.at-f.local < 64 && isLocal(f.text[f.local-1]) {
		f.local--
	}
	if f.local == f.at {
		f.local = len(f.text) + 1
	}
}

func isLocal(c byte) bool {
	return classes[c]&classWord != 0 || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'
}

// domainEnd returns where a domain name that starts at i ends, or 0: labels, the last one beginning with two letters. In
// image@2x.png there is none.
func domainEnd(text []byte, i int) (end int) {
	start, labels := i, 0
	for i < len(text) && i-start <= 255 {
		from := i
		for i < len(text) && (classes[text[i]]&classWord != 0 || text[i] == '-') {
			i++
		}
		if i == from {
			break
		}
		if labels > 0 && i-from >= 2 && isLetter(text[from]) && isLetter(text[from+1]) {
			end = i
		}
		if labels++; labels == 1 && i-from == 2 && isDigit(text[from]) && text[from+1] == 'x' {
			return 0
		}
		if i >= len(text) || text[i] != '.' {
			break
		}
		i++
	}
	return end
}

func isLetter(c byte) bool { return classes[c]&(classHex|classLetter) != 0 }
