package detect

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// shortest is the fewest bytes that anything found has: 1.23, where a name speaks of places.
const shortest = 4

// MayHold reports whether a text may hold anything that a detector finds. It runs over every undeclared string of every
// body, so it reads eight bytes at a time and asks for what all hits have in common: an @ or a percent sign, three digits or colons, five
// dashes, or a digit beyond ASCII.
func MayHold(text []byte, c Context) bool {
	if len(text) < shortest {
		return false
	}
	if !hasMarks(text) {
		return len(text) >= len("aa-bb-cc-dd-ee-ff") && bytes.IndexByte(text, '-') >= 0 && bytes.Count(text, dash) >= 5
	}
	return !isUUID(text) && !isTimestamp(text) && (c != 0 || !isFigure(text))
}

var dash = []byte("-")

func hasMarks(text []byte) bool {
	digits := uint64(0)
	for len(text) > block+8 {
		n, other := marksIn(text[:block])
		if digits += n; other || digits >= 3 {
			return true
		}
		text = text[block:]
	}
	if len(text) < 8 {
		text = append(make([]byte, 0, 8), text...)[:8]
	}
	n, other := marksIn(text)
	return other || digits+n >= 3
}

// block is how much is read before the counters, a byte each, are added up.
const block = 8 * 64

// marksIn returns how many digits and colons a text of at least eight bytes has, and whether there is anything else that
// a hit may begin with.
func marksIn(text []byte) (digits uint64, other bool) {
	counts, others, wide := uint64(0), uint64(0), uint64(0)
	last := len(text) - 8
	for i := 0; i < last; i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		counts += below(x^zeros, 11) >> 7
		others |= below(x^ats, 1) | below(x^percents, 1)
		wide |= x
	}
	// The last eight bytes, without those that were counted.
	x := binary.LittleEndian.Uint64(text[last:]) >> (-len(text) & 7 * 8)
	counts += below(x^zeros, 11) >> 7
	others |= below(x^ats, 1) | below(x^percents, 1)
	return sum(counts), others != 0 || (wide|x)&tops != 0 && mayBeWide(text)
}

func mayBeWide(text []byte) bool {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == 0xC2: // the raised digits of Latin-1, among signs that are common
			if i+1 >= len(text) || text[i+1] == 0xB2 || text[i+1] == 0xB3 || text[i+1] == 0xB9 {
				return true
			}
			i += 2
		case c == 0xE2 && i+1 < len(text) && text[i+1] == 0x80: // dashes, quotation marks
			i += 3
		case classes[c] == classWide:
			return true
		case c >= 0xE0: // UTF-8 of three bytes, as Han characters are
			i += 3
		default:
			i++
		}
	}
	return false
}

const (
	ones     = 0x0101010101010101
	tops     = 0x80 * ones
	zeros    = '0' * ones // x^zeros is below eleven for '0' to '9' and for ':'
	ats      = '@' * ones
	percents = '%' * ones // an @ in a URL is %40
)

// sum adds the bytes of x, each at most 127.
func sum(x uint64) uint64 {
	const even = 0x00ff00ff00ff00ff
	return (x&even + x>>8&even) * 0x0001000100010001 >> 48
}

// below sets the top bit of each byte that is less than n.
func below(x, n uint64) uint64 { return ^(x&^tops + (0x80-n)*ones | x) & tops }

// isUUID reports whether a text is in the form of RFC 9562 section 4: no number in it stands alone.
func isUUID(text []byte) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range text {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if classes[c]&(classDigit|classHex) == 0 {
			return false
		}
	}
	return true
}

// isFigure reports whether a text is a few digits and no word: an amount, a size, a time. Of digits alone ten are too few
// for any detector, but for an address's.
func isFigure(text []byte) bool {
	digits, dots, colons := 0, 0, 0
	for _, c := range text {
		switch class := classes[c]; {
		case class == classDigit:
			digits++
		case c == '.':
			dots++
		case c == ':':
			colons++
		case class != 0, c >= utf8.RuneSelf:
			return false
		}
	}
	return digits <= 10 && dots < 3 && colons < 2
}

// isTimestamp reports whether a text is a date, or a date and time, and nothing else (RFC 3339 and its relatives).
func isTimestamp(text []byte) bool {
	text, ok := cutLayout(text, "dddd-dd-dd")
	if !ok || len(text) == 0 {
		return ok
	}
	if text, ok = cutLayout(text, "Tdd:dd:dd"); !ok {
		return false
	}
	if len(text) > 0 && text[0] == '.' {
		n := 1
		for n < len(text) && n <= 9 && isDigit(text[n]) {
			n++
		}
		text = text[n:]
	}
	if len(text) == 0 || len(text) == 1 && text[0] == 'Z' {
		return true
	}
	text, ok = cutLayout(text, "+dd:dd")
	return ok && len(text) == 0
}

// cutLayout cuts off what has a layout: d is a digit, T also a blank, + also a minus.
func cutLayout(text []byte, layout string) (rest []byte, ok bool) {
	if len(text) < len(layout) {
		return text, false
	}
	for i := range layout {
		c := text[i]
		switch want := layout[i]; {
		case want == 'd' && isDigit(c), want == c, want == 'T' && c == ' ', want == '+' && c == '-':
		default:
			return text, false
		}
	}
	return text[len(layout):], true
}
