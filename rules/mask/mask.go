// Package mask leaves the safe part of a value.
//
//	all         ****                    nothing, nor how long it was
//	3+4         138****8000             so many first and last characters; of a short value at most a quarter
//	id          3****************5      1+1
//	name        张*, M***               the first letter
//	phone       +49 170***4567          country code, 3+4 of the rest, separators
//	email       a***@example.de         the first letter and the domain
//	address     上海市徐汇区****        a Chinese address to its district, of others nothing
//	card        ***************0017     the last 4, separators
//	iban        DE****************3000  country and the last 4
//	imei        86053103*******         the type allocation code
//	imsi        46000**********         country and network
//	iccid       898600**************    country and issuer
//	mac         3c:22:fb:**:**:**       the vendor
//	ip          114.80.166.0            the /24, or the /48 of IPv6
//	coordinate  31.2                    one decimal, 11 km
//	year        1980-**-**              of a date
//	province    上海                    of a Chinese place
//
// A value that has not the shape that a mask expects shows nothing: ****. A mask of a masked value shows no more than the
// value did.
package mask

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Spec is how a value is masked. The zero Spec shows nothing.
type Spec struct {
	kind        kind
	first, last int // of kindEdges
	hideLength  bool
}

type kind uint8

const (
	kindAll kind = iota
	kindEdges
	kindName
	kindPhone
	kindEmail
	kindAddress
	kindCard
	kindIBAN
	kindIMEI
	kindIMSI
	kindICCID
	kindMAC
	kindIP
	kindCoordinate
	kindYear
	kindProvince
)

var specs = map[string]Spec{
	"all":        {},
	"id":         {kind: kindEdges, first: 1, last: 1},
	"name":       {kind: kindName},
	"phone":      {kind: kindPhone},
	"email":      {kind: kindEmail},
	"address":    {kind: kindAddress},
	"card":       {kind: kindCard},
	"iban":       {kind: kindIBAN},
	"imei":       {kind: kindIMEI},
	"imsi":       {kind: kindIMSI},
	"iccid":      {kind: kindICCID},
	"mac":        {kind: kindMAC},
	"ip":         {kind: kindIP},
	"coordinate": {kind: kindCoordinate},
	"year":       {kind: kindYear},
	"province":   {kind: kindProvince},
}

// maxEdge is the most characters that one end may show. Four and six already narrow a card down (PCI DSS 3.4.1).
const maxEdge = 12

// Parse reads a mask: a name, or how many characters stay at both ends, like 3+4.
func Parse(s string) (Spec, error) {
	if spec, ok := specs[s]; ok {
		return spec, nil
	}
	if first, last, ok := strings.Cut(s, "+"); ok {
		n, err1 := strconv.ParseUint(first, 10, 8)
		m, err2 := strconv.ParseUint(last, 10, 8)
		if err1 == nil && err2 == nil && n <= maxEdge && m <= maxEdge {
			return Spec{kind: kindEdges, first: int(n), last: int(m)}, nil
		}
	}
	return Spec{}, fmt.Errorf("unknown mask %q (want %s, or at most %d characters at each end: 3+4)",
		s, strings.Join(slices.Sorted(maps.Keys(specs)), ", "), maxEdge)
}

// HideLength returns the spec with the length of what is hidden not shown.
func (s Spec) HideLength() Spec { s.hideLength = true; return s }

// Join returns the spec that shows no more than either: of two ends the fewer characters, of two shapes nothing.
func (s Spec) Join(t Spec) Spec {
	joined := Spec{kind: s.kind, first: min(s.first, t.first), last: min(s.last, t.last), hideLength: s.hideLength || t.hideLength}
	if s.kind != t.kind {
		return Spec{}
	}
	return joined
}

// Numeric reports whether a masked number is a JSON value still: a number, or null where it has not the expected shape.
func (s Spec) Numeric() bool { return s.kind == kindCoordinate || s.kind == kindYear }

// hidden is what stands for a value of which nothing is shown.
const hidden = "****"

// Append appends what is left of value, which is unescaped UTF-8 text or a number's literal.
func (s Spec) Append(dst, value []byte) []byte {
	from := len(dst)
	dst, ok := s.append(dst, value)
	switch {
	case ok && s.hideLength:
		return collapse(dst, from)
	case ok:
		return dst
	case s.Numeric() && isNumber(value):
		return append(dst[:from], "null"...)
	}
	return append(dst[:from], hidden...)
}

func (s Spec) append(dst, value []byte) ([]byte, bool) {
	switch s.kind {
	case kindEdges:
		return appendEdges(dst, value, s.first, s.last)
	case kindName:
		return appendName(dst, value)
	case kindPhone:
		return appendPhone(dst, value)
	case kindEmail:
		return appendEmail(dst, value)
	case kindAddress:
		return appendAddress(dst, value)
	case kindProvince:
		return appendProvince(dst, value)
	case kindCard:
		return appendCells(dst, value, cells{allowed: isAccount, blank: " -.", least: 1, most: 64, last: 4})
	case kindIBAN:
		return appendIBAN(dst, value)
	case kindIMEI: // 15 digits, or 16 with the software version (3GPP TS 23.003 section 6.2)
		return appendCells(dst, value, cells{allowed: isDigit, blank: " -/", least: 14, most: 16, first: 8})
	case kindIMSI:
		return appendCells(dst, value, cells{allowed: isDigit, blank: " -", least: 14, most: 15, first: 5})
	case kindICCID:
		return appendCells(dst, value, cells{allowed: isDigit, blank: " -", least: 18, most: 22, first: 6})
	case kindMAC:
		return appendCells(dst, value, cells{allowed: isHex, blank: ":-.", least: 12, most: 12, first: 6})
	case kindIP:
		return appendIP(dst, value)
	case kindCoordinate:
		return appendCoordinate(dst, value)
	case kindYear:
		return appendYear(dst, value)
	}
	return dst, false
}

// collapse makes one fixed run of stars of all from the first to the last.
func collapse(dst []byte, from int) []byte {
	first, last := bytes.IndexByte(dst[from:], '*'), bytes.LastIndexByte(dst, '*')
	if first < 0 {
		return dst
	}
	shown := string(dst[last+1:])
	return append(append(dst[:from+first], hidden...), shown...)
}
