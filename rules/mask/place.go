package mask

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// provinces are the first level of GB/T 2260, without what each is called besides.
var provinces = strings.Fields("北京 天津 上海 重庆 河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东 海南 四川 贵州 云南 " +
	"陕西 甘肃 青海 台湾 内蒙古 广西 西藏 宁夏 新疆 香港 澳门")

var provinceKinds = strings.Fields("壮族自治区 回族自治区 维吾尔自治区 自治区 特别行政区 省 市")

// province returns the province that a Chinese place begins with, and the length of its whole name.
func province(value []byte) (name string, length int) {
	if len(value) == 0 || value[0] < utf8.RuneSelf {
		return "", 0
	}
	for _, p := range provinces {
		if !bytes.HasPrefix(value, []byte(p)) {
			continue
		}
		for _, k := range provinceKinds {
			if bytes.HasPrefix(value[len(p):], []byte(k)) {
				return p, len(p) + len(k)
			}
		}
		return p, len(p)
	}
	return "", 0
}

func appendProvince(dst, value []byte) ([]byte, bool) {
	name, length := province(value)
	return append(dst, name...), length > 0
}

// appendAddress leaves a Chinese address to its district. Where a street begins sooner, it ends there.
func appendAddress(dst, value []byte) ([]byte, bool) {
	_, length := province(value)
	if length == 0 {
		return dst, false
	}
	for range 2 { // a city, a district
		n, last := region(value[length:])
		length += n
		if n == 0 || last {
			break
		}
	}
	return append(append(dst, value[:length]...), hidden...), true
}

// region returns the length of the city or district that a place begins with, and whether it is a district.
func region(value []byte) (length int, district bool) {
	const longest = 11 // 积石山保安族东乡族撒拉族自治县 is longer, and shows no district
	var before rune
	for i := 0; length < len(value) && i < longest; i++ {
		r, size := utf8.DecodeRune(value[length:])
		length += size
		switch {
		case !unicode.Is(unicode.Han, r), strings.ContainsRune("路街道巷弄号村镇乡栋楼室里", r):
			return 0, false
		case i > 0 && strings.ContainsRune("区县旗", r):
			if strings.ContainsRune("小社园校厂库景营院片地", before) {
				return 0, false // a housing estate, a campus
			}
			return length, true
		case i > 0 && strings.ContainsRune("市州盟", r):
			return length, false
		}
		before = r
	}
	return 0, false
}

// appendIP leaves the network: /24 of IPv4, /48 of IPv6. A port goes.
func appendIP(dst, value []byte) ([]byte, bool) {
	if n := lastOctet(value); n > 0 {
		return append(append(dst, value[:n]...), '0'), true
	}
	addr, err := netip.ParseAddr(string(value))
	if err != nil {
		withPort, err := netip.ParseAddrPort(string(value))
		if err != nil {
			return dst, false
		}
		addr = withPort.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return dst, false
	}
	return network.Addr().AppendTo(dst), true
}

// lastOctet returns where the last octet of an IPv4 address starts, or 0 if value is none.
func lastOctet(value []byte) (start int) {
	octets, digits, v := 1, 0, 0
	for i, c := range value {
		switch {
		case c == '.' && digits > 0:
			octets, digits, v, start = octets+1, 0, 0, i+1
		case c >= '0' && c <= '9' && (digits == 0 || v > 0):
			digits++
			v = v*10 + int(c-'0')
		default:
			return 0
		}
		if v > 255 || octets > 4 {
			return 0
		}
	}
	if octets < 4 || digits == 0 {
		return 0
	}
	return start
}

// appendCoordinate leaves one decimal, of a number or of a pair.
func appendCoordinate(dst, value []byte) ([]byte, bool) {
	first, second, pair := bytes.Cut(value, []byte(","))
	dst, ok := appendDegrees(dst, first)
	if pair && ok {
		dst, ok = appendDegrees(append(dst, ','), bytes.TrimLeft(second, " "))
	}
	return dst, ok
}

func appendDegrees(dst, value []byte) ([]byte, bool) {
	degrees, err := strconv.ParseFloat(string(value), 64)
	if err != nil || !isNumber(value) || degrees < -180 || degrees > 180 {
		return dst, false
	}
	return strconv.AppendFloat(dst, degrees, 'f', 1, 64), true
}

// isNumber reports whether a value is made of a JSON number's characters.
func isNumber(value []byte) bool {
	for _, c := range value {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c|0x20 != 'e' {
			return false
		}
	}
	return len(value) > 0
}

// appendYear leaves the year of a date that starts or ends with it, like 1980-03-07 or 07/03/1980.
func appendYear(dst, value []byte) ([]byte, bool) {
	year := yearOf(value)
	if year < 0 {
		return dst, false
	}
	if allDigits(value) {
		return append(dst, value[:4]...), true // 19800307: a number's mask is a number
	}
	for i, r := range string(value) {
		if isDigit(r) && (i < year || i >= year+4) {
			r = '*'
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}

// isDecimal reports whether a value is digits with at most one dot, a sign before them.
func isDecimal(value []byte) bool {
	whole, fraction, _ := bytes.Cut(bytes.TrimLeft(value, "+-"), []byte("."))
	return allDigits(whole) && allDigits(fraction)
}

// yearOf returns where the year of a date stands, or -1 if value is none.
func yearOf(value []byte) int {
	if len(value) >= 4 && isYear(value) && allDigits(value) && (len(value) == 4 || len(value) == 8) {
		return 0
	}
	if isDecimal(value) {
		return -1 // any other number
	}
	year, groups := -1, 0
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRune(value[i:])
		if r != '*' && !isDigit(r) {
			if !strings.ContainsRune("-/. :TZ+年月日时分秒,", r) {
				return -1
			}
			i += size
			continue
		}
		from := i
		for i < len(value) && (value[i] == '*' || value[i] >= '0' && value[i] <= '9') {
			i++
		}
		switch n := i - from; {
		case n == 0:
			return -1 // digits of another script
		case n == 4 && year < 0 && (groups == 0 || groups == 2) && isYear(value[from:]):
			year = from
		case n > 2 && groups < 3, n > 9:
			return -1
		}
		groups++
	}
	return year
}

// isYear knows the centuries that people of today were born in.
func isYear(s []byte) bool {
	return (string(s[:2]) == "18" || string(s[:2]) == "19" || string(s[:2]) == "20") && allDigits(s[:4])
}

func allDigits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
