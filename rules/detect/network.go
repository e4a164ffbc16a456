package detect

import "bytes"

// address judges whether a MAC or IP address starts with the short hexadecimal token from i to end.
func (f *finder) address(i, end int) int {
	if end >= len(f.text) || bytes.IndexByte([]byte(":-."), f.text[end]) < 0 || f.inChain(i) {
		return 0
	}
	if to := f.mac(i, end); to > 0 {
		return to
	}
	if !f.set.Has(ip) {
		return 0
	}
	switch f.text[end] {
	case ':':
		return f.ipv6(i)
	case '.':
		return f.ipv4(i)
	}
	return 0
}

// inChain reports whether what starts at i goes on a chain of hexadecimal numbers: a fingerprint, a version.
func (f *finder) inChain(i int) bool {
	if i < 2 || f.text[i-1] != ':' && f.text[i-1] != '.' && f.text[i-1] != '-' {
		return false
	}
	n := 0
	for n < 5 && i-2-n >= 0 && classes[f.text[i-2-n]]&classWord != 0 {
		if classes[f.text[i-2-n]]&classLetter != 0 {
			return false // a word: mac:3c:22:…
		}
		n++
	}
	return n > 0 && n < 5
}

// mac judges IEEE 802's three spellings: six pairs with colons or dashes, or three fours with dots, which need a word
// for it.
func (f *finder) mac(i, end int) int {
	mark, step := f.text[end], end-i
	to := i + 17
	named := f.about&aboutMAC != 0
	switch {
	case step == 2 && mark != '.':
	case step == 4 && mark == '.' && named && i+14 <= len(f.text) && digitsIn(f.text[i:i+14]) >= 3:
		to = i + 14
	default:
		return 0
	}
	if !f.set.Has(mac) || to > len(f.text) || !f.border(to) || to+1 < len(f.text) && f.text[to] == mark && !f.border(to+1) {
		return 0
	}
	class := uint8(0)
	for n, c := range f.text[i:to] {
		if (n+1)%(step+1) == 0 && c == mark {
			continue
		}
		if (n+1)%(step+1) == 0 || classes[c]&(classDigit|classHex) == 0 {
			return 0
		}
		class |= classes[c]
	}
	if mark == '-' && class == classDigit && !named {
		return 0 // twelve digits with dashes are more often something else
	}
	return f.hit(i, to, mac)
}

// ipv4 judges a dotted quad (RFC 6943 section 3.1.1's strict form). Where versions are spoken of, it is one. A browser's
// version is an address of no host: 120.0.0.0.
func (f *finder) ipv4(i int) int {
	n, host := ipv4Length(f.text[i:])
	if n == 0 || !host || !f.border(i+n) || i+n+1 < len(f.text) && f.text[i+n] == '.' && isDigit(f.text[i+n+1]) {
		return 0
	}
	if f.speaks(i)&aboutVersion != 0 {
		return 0
	}
	return f.hit(i, i+n, ip)
}

// ipv4Length returns the length of the dotted quad that s begins with, or 0, and whether any but its first number is not
// zero.
func ipv4Length(s []byte) (n int, host bool) {
	for octet := range 4 {
		from, v := n, 0
		for n < len(s) && n < from+3 && isDigit(s[n]) {
			v = v*10 + int(s[n]-'0')
			n++
		}
		if n == from || v > 255 || s[from] == '0' && n > from+1 {
			return 0, false
		}
		host = host || octet > 0 && v > 0
		if octet == 3 {
			break
		}
		if n >= len(s) || s[n] != '.' {
			return 0, false
		}
		n++
	}
	return n, host
}

// colon judges an address that begins with two colons.
func (f *finder) colon(i int) int {
	if !f.set.Has(ip) || i+1 >= len(f.text) || f.text[i+1] != ':' || i > 0 && (!f.border(i-1) || f.text[i-1] == ':') {
		return i + 1
	}
	if to := f.ipv6(i); to > 0 {
		return to
	}
	return i + 1
}

// ipv6 judges RFC 4291 section 2.2's text forms.
func (f *finder) ipv6(i int) int {
	n := ipv6Length(f.text[i:])
	if n == 0 || !f.border(i+n) || i+n < len(f.text) && f.text[i+n] == ':' && !f.border(i+n+1) {
		return 0
	}
	if i+n < len(f.text) && f.text[i+n] == ':' && i+n+1 < len(f.text) && f.text[i+n+1] == ':' {
		return 0
	}
	return f.hit(i, i+n, ip)
}

// ipv6Length returns the length of the address that s begins with, or 0. One that is as short as a word with colons
// (a::b) is none.
func ipv6Length(s []byte) int {
	groups, digits, n := 0, 0, 0
	long, gap := false, false
	if bytes.HasPrefix(s, []byte("::")) {
		gap, n = true, 2
	}
	for groups < 8 {
		h := 0
		for h < 5 && n+h < len(s) && classes[s[n+h]]&(classDigit|classHex) != 0 {
			h++
		}
		if h == 0 || h > 4 {
			break
		}
		if quad, _ := ipv4Length(s[n:]); quad > 0 && (groups == 6 || gap && groups < 6) {
			groups, n, digits, long = groups+2, n+quad, digits+5, true
			break
		}
		groups++
		n += h
		digits += h
		long = long || h >= 3
		if n+1 >= len(s) || s[n] != ':' {
			break
		}
		switch {
		case s[n+1] == ':' && !gap:
			gap = true
			n += 2
		case s[n+1] != ':' && classes[s[n+1]]&(classDigit|classHex) != 0 && groups < 8:
			n++
		default:
			s = s[:n]
		}
	}
	if digits < 5 || !long || digitsIn(s[:n])+bytes.Count(s[:n], colon) < 3 || gap == (groups == 8) || !gap && groups < 8 {
		return 0
	}
	return n
}

var colon = []byte(":")

// coordinate judges a latitude, a longitude or a pair of them (RFC 5870 writes them so), where places are spoken of.
func (f *finder) coordinate(i int) int {
	start := i
	if i > 0 && f.text[i-1] == '-' {
		start--
	}
	end := degrees(f.text, i)
	if end == 0 || !f.set.Has(coordinate) {
		return 0
	}
	next := end
	for next < len(f.text) && next < end+2 && (f.text[next] == ',' || f.text[next] == ' ' || f.text[next] == ';') {
		next++
	}
	if next < len(f.text) && f.text[next] == '-' {
		next++
	}
	if second := degrees(f.text, next); second > 0 && next > end {
		end = second
	}
	return f.hit(start, end, coordinate)
}

// degrees returns where a number of at most 180 with at least two decimals ends, or 0.
func degrees(text []byte, i int) int {
	whole, n := 0, 0
	for ; i < len(text) && isDigit(text[i]) && n < 3; n++ {
		whole = whole*10 + int(text[i]-'0')
		i++
	}
	if n == 0 || whole > 180 || i >= len(text) || text[i] != '.' {
		return 0
	}
	from := i + 1
	for i++; i < len(text) && isDigit(text[i]); i++ {
	}
	if i-from < 2 || i < len(text) && (text[i] == '.' || classes[text[i]]&classWord != 0) {
		return 0
	}
	return i
}
