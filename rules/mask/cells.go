package mask

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cells is the shape of a value that is letters and digits with separators between: which characters it is made of, how
// many, and how many stay at its ends. A star counts as one of them, so that a mask of a mask is the same.
type cells struct {
	allowed     func(r rune) bool
	blank       string // separators, which stay
	least, most int
	first, last int
}

func appendCells(dst, value []byte, c cells) ([]byte, bool) {
	n := 0
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRune(value[i:])
		i += size
		switch {
		case r == '*' || c.allowed(r):
			n++
		case !strings.ContainsRune(c.blank, r) && !unicode.Is(unicode.Zs, r):
			return dst, false
		}
	}
	if n < c.least || n > c.most {
		return dst, false
	}
	first, last := ends(n, c.first, c.last)
	at := 0
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRune(value[i:])
		if r == '*' || c.allowed(r) {
			at++
			if at > first && at <= n-last {
				r = '*'
			}
		}
		dst = utf8.AppendRune(dst, r)
		i += size
	}
	return dst, true
}

// ends returns how many of n characters stay at both ends. Where fewer than two would be hidden, at most a quarter stays.
func ends(n, first, last int) (int, int) {
	if n >= first+last+2 {
		return first, last
	}
	last = min(last, n/4)
	return min(first, n/4-last), last
}

// isDigit knows the digits of all scripts.
func isDigit(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '0' && r <= '9'
	}
	return unicode.IsDigit(r)
}

func isHex(r rune) bool { return unicode.Is(unicode.ASCII_Hex_Digit, r) }

func isAccount(r rune) bool {
	return isDigit(r) || r == '_' || r < utf8.RuneSelf && isUpperOrLower(byte(r))
}

func isAlphanumeric(r rune) bool { return r != '_' && isAccount(r) }

// appendEdges leaves characters of any kind at both ends.
func appendEdges(dst, value []byte, first, last int) ([]byte, bool) {
	n := utf8.RuneCount(value)
	if n == 0 {
		return dst, false
	}
	first, last = ends(n, first, last)
	for at := 1; len(value) > 0; at++ {
		r, size := utf8.DecodeRune(value)
		if at > first && at <= n-last {
			r = '*'
		}
		dst = utf8.AppendRune(dst, r)
		value = value[size:]
	}
	return dst, true
}

// appendName leaves the first letter. The rest of a Chinese name is a star a character, of any other three.
func appendName(dst, value []byte) ([]byte, bool) {
	r, size := utf8.DecodeRune(value)
	rest := utf8.RuneCount(value[size:])
	if !unicode.IsLetter(r) || rest == 0 {
		return dst, false
	}
	dst = append(dst, value[:size]...)
	if !unicode.Is(unicode.Han, r) {
		return append(dst, "***"...), true
	}
	for range rest {
		dst = append(dst, '*')
	}
	return dst, true
}

// appendIBAN leaves the country and the last four (ISO 13616: a country, two check digits, at most thirty more).
func appendIBAN(dst, value []byte) ([]byte, bool) {
	if len(value) < 2 || !isUpperOrLower(value[0]) || !isUpperOrLower(value[1]) {
		return dst, false
	}
	return appendCells(dst, value, cells{allowed: isAlphanumeric, blank: " -", least: 15, most: 34, first: 2, last: 4})
}

func isUpperOrLower(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
