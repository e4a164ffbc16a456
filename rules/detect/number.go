package detect

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

func hasExponent(literal []byte) bool {
	for _, c := range literal {
		if c|0x20 == 'e' {
			return true
		}
	}
	return false
}

// integer writes the digits of a number's value, or returns 0 where it is negative, no integer, or longer than d.
func integer(d *[maxDigits]byte, literal []byte) int {
	exponent, mantissa := 0, literal
	for i, c := range literal {
		if c|0x20 == 'e' {
			exponent, mantissa = exponentOf(literal[i+1:]), literal[:i]
			break
		}
	}
	n, fraction, point := 0, 0, false
	zeros := 0 // not written yet: they count only if a digit follows, or by the exponent
	for _, c := range mantissa {
		switch {
		case c == '.':
			point = true
			continue
		case !isDigit(c):
			return 0
		case point:
			fraction++
		}
		if c == '0' {
			zeros++
			continue
		}
		if n == 0 {
			zeros = 0 // leading ones
		}
		if n+zeros+1 > maxDigits {
			return 0
		}
		n += zeros // d holds zeros there already
		zeros = 0
		d[n] = c - '0'
		n++
	}
	// The value is d × 10^(zeros - fraction + exponent).
	more := zeros - fraction + exponent
	if n == 0 || more < 0 || n+more > maxDigits {
		return 0
	}
	return n + more
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
