package detect

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// plus judges a telephone number in international form: ITU-T E.164, at most 15 digits. Fewer than eight
// are too common for other things.
func (f *finder) plus(i int) int {
	if !f.set.Has(phone) || i > 0 && classes[f.text[i-1]]&classWord != 0 {
		return i + 1
	}
	end := f.dialled(i+1, 8)
	if end == 0 {
		return i + 1
	}
	return f.hit(i, end, phone)
}

// doubleZero judges a telephone number behind the international prefix that ITU-T E.164 recommends, and returns where it
// ends, or 0. What has zeros before it is something else more often than what has a plus sign: it needs more digits, no name or
// word that speaks of a thing, and one that speaks of telephones or something between its digits: one number in a hundred begins
// so, and a barcode of the USA (GS1's GTIN-13 of a GTIN-12).
func (f *finder) doubleZero(i int, about Context, set Set) int {
	if !set.Has(phone) || about&aboutThing != 0 && about&aboutPhone == 0 || !bytes.HasPrefix(f.text[i:], []byte("00")) || i >= 2 && isTie(f.text[i-1]) && isDigit(f.text[i-2]) {
		return 0
	}
	end := f.dialled(f.dialSeparator(i+2, 2), 9)
	if end == 0 || about&aboutPhone == 0 && !slices.ContainsFunc(f.text[i:end], func(c byte) bool { return !isDigit(c) }) {
		return 0
	}
	return f.hit(i, end, phone)
}

// dialled returns where the digits from a place on end that are a telephone number's from its country code on, or 0.
func (f *finder) dialled(at, least int) (end int) {
	for n := 0; ; {
		v, size := digitAt(f.text, at)
		if size == 0 || n == 0 && v == 0 {
			return end
		}
		if n++; n > 15 {
			return end // the last group belongs to something else
		}
		at += size
		if _, more := digitAt(f.text, at); more == 0 && n >= least && f.border(at) && !f.decimal(at) {
			end = at
		}
		at = f.dialSeparator(at, n)
	}
}

// dialSeparator returns where the digits go on behind what stands between those of a telephone number, or i.
func (f *finder) dialSeparator(i, digits int) int {
	at := i
	for range 3 {
		at += hiddenAt(f.text, at)
		if _, size := digitAt(f.text, at); size > 0 {
			return at
		}
		if at >= len(f.text) {
			return i
		}
		r, size := utf8.DecodeRune(f.text[at:])
		if mark := markOf(r); mark == 0 && r != '(' && r != ')' || mark == '.' && digits > 4 && at == i && f.lonelyDot(at) {
			return i
		}
		at += size
	}
	if _, size := digitAt(f.text, at); size > 0 {
		return at
	}
	return i
}

// decimal reports whether a dot and a digit follow.
func (f *finder) decimal(i int) bool {
	return i+1 < len(f.text) && f.text[i] == '.' && isDigit(f.text[i+1])
}

// lonelyDot reports whether a dot is one of a decimal fraction: at most two digits follow it.
func (f *finder) lonelyDot(i int) bool {
	for n := range 3 {
		if i+1+n >= len(f.text) || !isDigit(f.text[i+1+n]) {
			return true
		}
	}
	return false
}

// atSigns are the spellings of the sign in an address: plain, in a URL (RFC 3986 section 2.1), full-width.
var atSigns = [...]string{"@", "%40", "＠"}

// email judges whether what stands at i is inside an address's local part (RFC 5321 atoms), and returns where the address
// ends. Each @ is looked at once.
func (f *finder) email(i int) int {
	if f.at < i {
		f.nextAt(i)
	}
	if i < f.local || !f.set.Has(email) {
		return 0
	}
	end := domainEnd(f.text, f.behindAt)
	if end == 0 {
		f.local = len(f.text) + 1
		return 0
	}
	return f.hit(max(f.local, f.done), end, email)
}

// nextAt looks for the next sign. Where each spelling stands next is kept, so that none is looked for twice.
func (f *finder) nextAt(i int) {
	first := f.at < 0
	f.at, f.local = len(f.text), len(f.text)+1
	for n, sign := range atSigns {
		if first || f.ats[n] < i {
			f.ats[n] = indexOf(f.text, i, sign)
		}
		if f.ats[n] < f.at {
			f.at, f.behindAt = f.ats[n], f.ats[n]+len(sign)
		}
	}
	if f.at < len(f.text) {
		f.local = f.localStart()
	}
}

// indexOf returns where a sign stands from i on, or the text's length. Most texts do not even have its first byte.
func indexOf(text []byte, i int, sign string) int {
	if at := bytes.IndexByte(text[i:], sign[0]); at >= 0 {
		i += at
		if at = bytes.Index(text[i:], []byte(sign)); at >= 0 {
			return i + at
		}
	}
	return len(text)
}

// localStart goes back from the sign to where the local part may start. It is no longer than 64 characters.
func (f *finder) localStart() int {
	start, i := len(f.text)+1, f.at
	for range 64 {
		if i <= f.done {
			break
		}
		r, size := rune(f.text[i-1]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeLastRune(f.text[:i])
		}
		i -= size
		if isLocal(narrow(r)) {
			start = i
		} else if hiddenAt(f.text[i:i+size], 0) == 0 {
			break
		}
	}
	return start
}

func isLocal(c byte) bool {
	return classes[c]&classWord != 0 || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'
}

// domainEnd returns where a domain name that starts at i ends, or 0: labels, the last one beginning with two letters. In
// image@2x.png there is none.
func domainEnd(text []byte, i int) (end int) {
	start, labels := i, 0
	var label [2]byte
	length := 0
	for i < len(text) && i-start <= 255 {
		hidden := hiddenAt(text, i)
		if i += hidden; i >= len(text) {
			break
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		c := narrow(r)
		switch {
		case classes[c]&classWord != 0 || c == '-':
			if length < len(label) {
				label[length] = c
			}
			length++
			if labels > 0 && length >= 2 && isLetter(label[0]) && isLetter(label[1]) {
				end = i + size
			}
		case c == '.' && length > 0 && !(labels == 0 && length == 2 && isDigit(label[0]) && label[1] == 'x'):
			labels, length = labels+1, 0
		default:
			return end
		}
		i += size
	}
	return end
}
