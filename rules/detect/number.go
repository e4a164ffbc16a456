package detect

import "bytes"

// maxLiteral is the longest number that is looked at; what rewrites bodies refuses longer ones.
const maxLiteral = 1000

// Number returns what a JSON number is, in any spelling of it: 490154203237518.0 and 4901542032375180e-1 are the same.
// The decimal is exact; a float64 would lose digits from sixteen on.
func (s Set) Number(literal []byte, c Context) (Kind, bool) {
	if s == 0 || len(literal) < 7 && (c&aboutCoordinate == 0 || len(literal) < 4) && !hasExponent(literal) || len(literal) > maxLiteral {
		return 0, false
	}
	if c&aboutCoordinate != 0 && s.Has(coordinate) && isDegrees(literal) {
		return coordinate, true
	}
	var d [maxDigits]byte
	n := integer(&d, literal)
	if n < 7 {
		return 0, false
	}
	return s.digits(d[:n], c)
}

// isDecimal reports whether a text is a JSON number with a fraction or an exponent (RFC 8259 §6): that is how a number looks
// which a spreadsheet or a script has made a text.
func isDecimal(text []byte) bool {
	if len(text) == 0 || !isDigit(text[len(text)-1]) || !isDigit(text[0]) && text[0] != '-' {
		return false
	}
	dots, exponents := 0, 0
	for i, c := range text {
		switch {
		case c == '.' && exponents == 0:
			dots++
		case c|0x20 == 'e':
			exponents++
		case (c == '+' || c == '-') && (i == 0 || text[i-1]|0x20 == 'e'):
		case !isDigit(c):
			return false
		}
	}
	return dots <= 1 && exponents <= 1 && dots+exponents > 0
}

func hasExponent(literal []byte) bool {
	for _, c := range literal {
		if c|0x20 == 'e' {
			return true
		}
	}
	return false
}

// integer writes the digits of a number, without its sign and its fraction, or returns 0 where none are left or they are
// more than d holds. A phone number is one if somebody has put a minus before it or a half behind it.
func integer(d *[maxDigits]byte, literal []byte) (n int) {
	if len(literal) > 0 && literal[0] == '-' {
		literal = literal[1:]
	}
	exponent, mantissa := 0, literal
	for i, c := range literal {
		if c|0x20 == 'e' {
			exponent, mantissa = exponentOf(literal[i+1:]), literal[:i]
			break
		}
	}
	whole := bytes.IndexByte(mantissa, '.')
	if whole < 0 {
		whole = len(mantissa)
	}
	whole += exponent
	for _, c := range mantissa {
		switch {
		case c == '.':
			continue
		case !isDigit(c), n == maxDigits && whole > 0:
			return 0
		}
		if whole--; whole < 0 {
			break
		}
		if n > 0 || c != '0' {
			d[n] = c - '0'
			n++
		}
	}
	for ; n > 0 && whole > 0; whole-- {
		if n == maxDigits {
			return 0
		}
		d[n] = 0
		n++
	}
	return n
}

// exponentOf reads an exponent; one beyond any number of digits is far beyond.
func exponentOf(s []byte) int {
	sign := 1
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	e := 0
	for _, c := range s {
		if !isDigit(c) {
			return 2 * maxLiteral
		}
		e = min(e*10+int(c-'0'), 2*maxLiteral)
	}
	return sign * e
}

// isDegrees reports whether a number is written like a latitude or a longitude.
func isDegrees(literal []byte) bool {
	if literal[0] == '-' {
		literal = literal[1:]
	}
	return degrees(literal, 0) == len(literal)
}
