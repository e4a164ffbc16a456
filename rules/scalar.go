package rules

import (
	"strconv"
	"strings"
)

// sameNumber reports whether two texts are JSON numbers of the same value, without rounding.
func sameNumber(a, b string) bool {
	x, ok := decimalOf(a)
	if !ok {
		return false
	}
	y, ok := decimalOf(b)
	return ok && x == y
}

// decimal is a number as its digits, without zeros at either end, times a power of ten.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// decimalOf reads a JSON number. It refuses exponents that no count of anything has.
func decimalOf(s string) (decimal, bool) {
	if s == "" || len(s) > 64 || strings.Trim(s, "0123456789.eE+-") != "" {
		return decimal{}, false
	}
	var d decimal
	mantissa, exponent, written := strings.Cut(strings.ToLower(s), "e")
	if written {
		n, err := strconv.Atoi(exponent)
		if err != nil || n > 1000 || n < -1000 {
			return decimal{}, false
		}
		d.exponent = n
	}
	mantissa, d.negative = strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return decimal{}, false
	}
	d.exponent -= len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(digits, "0")
	d.exponent += len(digits) - len(d.digits)
	if d.digits == "" {
		return decimal{}, true
	}
	return d, true
}
