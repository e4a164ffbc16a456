package body

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// What came of looking for a token's end.
type found uint8

const (
	whole  found = iota // it ends here
	cut                 // the bytes at hand end first
	broken              // it cannot be a token, whatever follows
)

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stringEnd reads a string's content from i on and returns the index of the quote that ends it. Where the content is
// cut it returns where to go on: before an escape or a rune that is not complete.
func stringEnd(b []byte, i int) (at int, escaped bool, f found) {
	for {
		// Eight bytes at once.
		for ; i+8 <= len(b); i += 8 {
			if n := plainBytes(b[i:]); n < 8 {
				i += n
				break
			}
		}
		if i >= len(b) {
			return i, escaped, cut
		}
		switch c := b[i]; {
		case c == '"':
			return i, escaped, whole
		case c == '\\':
			n, f := escapeSize(b[i:])
			if f != whole {
				return i, true, f
			}
			escaped = true
			i += n
		case c < ' ':
			return i, escaped, broken
		case c < utf8.RuneSelf:
			i++
		default:
			n, f := runes(b[i:])
			i += n
			if f != whole {
				return i, escaped, f
			}
		}
	}
}

// plainBytes returns how many of the first eight bytes of b are plain: neither a quote nor a backslash nor a control
// character nor a part of a rune outside ASCII. The lowest marked byte is exact, because a borrow only spreads upwards
// from a marked one.
func plainBytes(b []byte) int {
	x := binary.LittleEndian.Uint64(b)
	quote, slash := x^lows*'"', x^lows*'\\'
	special := ((quote-lows)&^quote | (slash-lows)&^slash | (x-lows*' ')&^x | x) & highs
	return bits.TrailingZeros64(special) / 8
}

// runes returns how many bytes of runes outside ASCII b starts with.
func runes(b []byte) (int, found) {
	i := 0
	for i < len(b) && b[i] >= utf8.RuneSelf {
		// Most such text is of three bytes a rune: Chinese, Japanese, Korean.
		if i+3 <= len(b) && b[i]&0xf0 == 0xe0 && b[i] != 0xe0 && b[i] != 0xed && b[i+1]&0xc0 == 0x80 && b[i+2]&0xc0 == 0x80 {
			i += 3
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			if utf8.FullRune(b[i:]) {
				return i, broken
			}
			return i, cut
		}
		i += n
	}
	return i, whole
}

// escapeSize returns the length of the escape that b starts with. A surrogate pair is one escape; half of one is none,
// because readers make different text of it (RFC 8259 §8.2).
func escapeSize(b []byte) (int, found) {
	if len(b) < 2 {
		return 0, cut
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, whole
	case 'u':
	default:
		return 0, broken
	}
	if len(b) < 6 {
		return 0, cut
	}
	high := hex4(b[2:6])
	switch {
	case high < 0 || high&^0x3ff == 0xdc00:
		return 0, broken
	case high&^0x3ff != 0xd800:
		return 6, whole
	case len(b) < 12:
		return 0, cut
	case b[6] != '\\' || b[7] != 'u' || hex4(b[8:12])&^0x3ff != 0xdc00:
		return 0, broken
	}
	return 12, whole
}

func hex4(b []byte) rune {
	var r rune
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// numberEnd returns where the number that starts at i ends, and whether it is one. A number that ends with b may go on.
func numberEnd(b []byte, i int) (int, bool) {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if j := digitsEnd(b, i); j > i {
		i = j
	} else {
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		j := digitsEnd(b, i+1)
		if j == i+1 {
			return j, false
		}
		i = j
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		j := digitsEnd(b, i)
		return j, j > i
	}
	return i, true
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// scalarEnd returns where the scalar at i ends, what it is, and whether it is one. A string is read from from on; where it
// is cut, end is where to go on.
func scalarEnd(b []byte, i, from int, final bool) (end int, k kind, f found) {
	switch c := b[i]; {
	case c == '"':
		k = text
		end, escaped, f := stringEnd(b, from)
		if escaped {
			k = escapedText
		}
		if f == whole {
			end++
		}
		return end, k, f
	case c == '-' || c-'0' <= 9:
		end, ok := numberEnd(b, i)
		switch {
		case end == len(b) && !final:
			return end, number, cut // more digits may come
		case !ok:
			return end, number, broken
		}
		return end, number, whole
	case c == 't' || c == 'f' || c == 'n':
		end, f = literalEnd(b, i)
		return end, literal, f
	}
	return i, literal, broken
}

// literalEnd returns where true, false or null ends.
func literalEnd(b []byte, i int) (int, found) {
	word := "null"
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	have := b[i:min(len(b), i+len(word))]
	switch {
	case string(have) == word:
		return i + len(word), whole
	case string(have) == word[:len(have)]:
		return i, cut
	}
	return i, broken
}

// isSpace reports whether JSON lets c stand between tokens.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// spaceEnd returns where the space at i ends.
func spaceEnd(b []byte, i int) int {
	for ; i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:]) == lows*' '; i += 8 {
	}
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}
