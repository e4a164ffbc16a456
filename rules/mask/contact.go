package mask

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// appendPhone leaves the country code and 3+4 of the digits behind it, fewer where less than three would be hidden.
func appendPhone(dst, value []byte) ([]byte, bool) {
	n, ok := countDial(value)
	if !ok || n > maxDial {
		return dst, false
	}
	code, ok := countryCode(value, n)
	if !ok {
		return dst, false
	}
	first, last := 3, 4
	switch {
	case n-code < 9:
		first, last = ends(min(n-code, 8), 3, 4)
	case n-code == 9:
		first = 2
	}
	at := 0
	for _, r := range string(value) {
		if isDigit(r) || r == '*' {
			at++
			if at > code+first && at <= n-last {
				r = '*'
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}

// maxDial is the longest number with 00 before it (ITU-T E.164: 15 digits).
const maxDial = 17

// countDial counts the digits of a telephone number, and reports whether there is nothing else but what stands between
// them.
func countDial(value []byte) (n int, ok bool) {
	for i, r := range string(value) {
		switch {
		case isDigit(r) || r == '*':
			n++
		case r == '+' && i == 0, r == '(', r == ')', r == '-', r == '.', r == '/', unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf):
		default:
			return 0, false
		}
	}
	return n, n >= 4
}

// countryCode returns how many of n digits are the country's code: behind a plus or 00, or China's before a mobile
// number.
func countryCode(value []byte, n int) (digits int, ok bool) {
	var d [5]byte
	i := 0
	for _, c := range value {
		if c >= '0' && c <= '9' && i < len(d) {
			d[i] = c - '0'
			i++
		}
	}
	switch {
	case value[0] == '+':
		digits = codeLength(d[0], d[1])
		return digits, n > digits+3 && startsWithDigits(value[1:], digits)
	case i >= 4 && d[0] == 0 && d[1] == 0 && n > 9:
		digits = 2 + codeLength(d[2], d[3])
		return digits, startsWithDigits(value, digits)
	case n == 13 && d[0] == 8 && d[1] == 6 && d[2] == 1 && d[3] >= 3:
		return 2, startsWithDigits(value, 2)
	}
	return 0, true
}

// codeLength is how long a country code is by its first two digits (ITU-T E.164 annex).
func codeLength(a, b byte) int {
	switch {
	case a == 1 || a == 7:
		return 1
	case bytes.IndexByte(twoDigitCodes, a*10+b) >= 0:
		return 2
	}
	return 3
}

var twoDigitCodes = []byte{20, 27, 28, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
	60, 61, 62, 63, 64, 65, 66, 81, 82, 83, 84, 86, 89, 90, 91, 92, 93, 94, 95, 98}

// startsWithDigits reports whether the first n digits are ASCII ones and none of them is hidden.
func startsWithDigits(value []byte, n int) bool {
	for _, r := range string(value) {
		switch {
		case n == 0:
			return true
		case r >= '0' && r <= '9':
			n--
		case r == '*' || isDigit(r):
			return false
		}
	}
	return n == 0
}

// appendEmail leaves the domain and the first letter of a longer local part.
func appendEmail(dst, value []byte) ([]byte, bool) {
	local, domain, ok := bytes.Cut(value, []byte("@"))
	if !ok || len(local) == 0 || len(domain) == 0 || bytes.ContainsAny(local, " \t\r\n,;:<>()[]\"\\") || !isDomain(domain) {
		return dst, false
	}
	if r, size := utf8.DecodeRune(local); size < len(local) && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		dst = append(dst, local[:size]...)
	}
	return append(append(dst, "***@"...), domain...), true
}

func isDomain(domain []byte) bool {
	for _, r := range string(domain) {
		if r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return bytes.IndexByte(domain, '.') > 0
}
