package detect

import (
	"bytes"
	"unicode/utf8"
)

// mixed judges a token of letters and digits, from i to end.
func (f *finder) mixed(i, end int) int {
	token := f.text[i:end]
	if to := f.jwt(i); to > 0 {
		return to
	}
	if to := f.iban(i); to > 0 {
		return to
	}
	if len(token) > longestToken || digitsIn(token) < 3 {
		return end
	}
	letters := lettersBefore(token)
	switch {
	case len(token) == 16 && f.set.Has(codiceFiscale) && isCodiceFiscale(token):
		return f.hit(i, end, codiceFiscale)
	case len(token) == 18 && onlyDigits(token[:17]):
		return max(end, f.number(i, 0, f.set)) // it may end in X
	case len(token) == 12 && f.set.Has(mac) && f.about&aboutMAC != 0 && isHex(token):
		return f.hit(i, end, mac)
	case (len(token) == 14 || len(token) == 15) && f.set.Has(meid) && isHex(token[:14]) && f.speaks(i)&aboutDevice != 0:
		return f.hit(i, end, meid) // 3GPP2 S.R0048: 14 hexadecimal digits, sometimes with a check digit
	case letters <= 2 && len(token) >= 7 && len(token) <= 9 && f.set.Has(passport) && onlyDigits(token[letters:]) && f.speaks(i)&aboutPassport != 0:
		return f.hit(i, end, passport) // ICAO Doc 9303: up to nine characters; most are a letter or two and digits
	case f.numberBehind(i+letters, letters):
		return max(end, f.done)
	case len(token) == 18 && f.set.Has(uscc) && isUSCC(token):
		return f.hit(i, end, uscc) // last, for it is open
	}
	return end
}

// numberBehind judges the number at i, behind some letters: tel13800138000, uid13800138000. One or two letters make most
// numbers those of an order or a parcel.
func (f *finder) numberBehind(i, letters int) bool {
	if letters == 0 || i >= len(f.text) || !isDigit(f.text[i]) {
		return false
	}
	before, set, about := f.done, f.set, Context(0)
	switch {
	case letters == 1 && i >= 2 && f.text[i-2] == '%' && f.text[i-1]|0x20 == 'b':
		about = aboutCard // track 1 of a magnetic stripe (ISO/IEC 7813)
	case letters >= 3:
		about = wordBefore(f.text[:i])
	case !onlyDigits(f.text[i:min(len(f.text), i+17)]) || i+17 >= len(f.text):
		return false // too short for what letters do not change
	default:
		set &= standing
	}
	f.number(i, about, set)
	return f.done > before
}

// longestToken is a word and the longest number behind it.
const longestToken = 20 + maxDigits

// speaks is what the text's name and the word before i speak of.
func (f *finder) speaks(i int) Context { return f.about | wordBefore(f.text[:i]) }

// lettersBefore is how many letters stand before the first digit.
func lettersBefore(token []byte) int {
	for n, c := range token {
		if isDigit(c) {
			return n
		}
	}
	return len(token)
}

func onlyDigits(s []byte) bool {
	for _, c := range s {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func isHex(s []byte) bool {
	for _, c := range s {
		if classes[c]&(classDigit|classHex) == 0 {
			return false
		}
	}
	return true
}

// digitsIn counts them. The prefilter lets a text pass from three on, so no shape may do with less; only a tax code in
// which letters stand for nearly all digits has fewer.
func digitsIn(s []byte) (n int) {
	for _, c := range s {
		if isDigit(c) {
			n++
		}
	}
	return n
}

// iban judges an International Bank Account Number: ISO 13616, written at once or in groups, in any width.
func (f *finder) iban(i int) int {
	if !f.set.Has(iban) || i+15 > len(f.text) || isPlain(f.text[i+2]) && isPlain(f.text[i+1]) && !isDigit(f.text[i+2]) && markOf(rune(f.text[i+2])) == 0 {
		return 0
	}
	var s [34]byte
	n, want, gap, at := 0, len(s), 0, i
	for n < want && at < len(f.text) && gap <= 3 {
		at += hiddenAt(f.text, at)
		r, size := utf8.DecodeRune(f.text[at:])
		c := narrow(r)
		if v, digit := digitAt(f.text, at); digit > 0 {
			c = '0' + v
		}
		switch {
		case classes[c]&classWord != 0:
			if n < 4 && isLetter(c) != (n < 2) {
				return 0
			}
			s[n] = c
			n, gap = n+1, 0
		case n >= 2 && markOf(r) != 0:
			gap++
		default:
			return 0
		}
		if at += size; n == 2 && gap == 0 {
			want = ibanLength(s[0], s[1])
		}
	}
	if want == 0 || n < want || !f.border(at) || digitsIn(s[:n]) < 3 || !mod97(s[:n]) {
		return 0
	}
	return f.hit(i, at, iban)
}

// jwt judges a JSON Web Token: RFC 7519, three parts (five if encrypted) of base64url, the first one a JSON object, so it
// begins with eyJ.
func (f *finder) jwt(i int) int {
	if !f.set.Has(jwt) || !bytes.HasPrefix(f.text[i:], []byte("eyJ")) || i > 0 && isBase64URL(f.text[i-1]) {
		return 0
	}
	at, parts := i, 0
	for parts < 5 {
		from := at
		for at < len(f.text) && f.text[at] != '.' && isBase64URL(f.text[at]) {
			at++
		}
		if parts == 0 && at-from < 10 || parts == 1 && at-from < 2 {
			return 0
		}
		if parts++; at >= len(f.text) || f.text[at] != '.' {
			break
		}
		if parts < 5 {
			at++
		}
	}
	if parts < 3 || digitsIn(f.text[i:at]) < 3 {
		return 0
	}
	return f.hit(i, at, jwt)
}

// isBase64URL counts the dot too: what follows one is no beginning.
func isBase64URL(c byte) bool {
	return classes[c]&classWord != 0 || c == '-' || c == '_' || c == '.'
}

// hash judges a password hash in the modular crypt or the PHC string format.
func (f *finder) hash(i int) int {
	at := i
	for at < len(f.text) && (isBase64URL(f.text[at]) || bytes.IndexByte([]byte("$/=,+"), f.text[at]) >= 0) {
		at++
	}
	hash := f.text[i:at]
	if !f.set.Has(passwordHash) || len(hash) < 28 || digitsIn(hash) < 3 || i > 0 && !f.border(i-1) {
		return i + 1
	}
	for _, scheme := range [...]string{"$2a$", "$2b$", "$2x$", "$2y$", "$argon2", "$scrypt$", "$pbkdf2", "$y$", "$6$", "$5$", "$1$"} {
		if bytes.HasPrefix(hash, []byte(scheme)) {
			return f.hit(i, at, passwordHash)
		}
	}
	return i + 1
}
