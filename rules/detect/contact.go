package detect

import (
	"bytes"
	"unicode/utf8"
)

// plus judges a telephone number in international form: ITU-T E.164, at most 15 digits. Fewer than eight
// are too common for other things.
func (f *finder) plus(i int) int {
	if !f.set.Has(phone) || i > 0 && classes[f.text[i-1]]&classWord != 0 {
		return i + 1
	}
	n, end := 0, 0
	for at := i + 1; ; {
		v, size := digitAt(f.text, at)
		if size == 0 || n == 0 && v == 0 {
			break
		}
		if n++; n > 15 {
			break // the last group belongs to something else
		}
		at += size
		if _, more := digitAt(f.text, at); more == 0 && n >= 8 && f.border(at) && !f.decimal(at) {
			end = at
		}
		at = f.dialSeparator(at, n)
	}
	if end == 0 {
		return i + 1
	}
	return f.hit(i, end, phone)
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

// email judges whether the token at i is inside an address's local part (RFC 5321 atoms), and returns where the address
// ends. Each @ is looked at once.
func (f *finder) email(i int) int {
	if f.at < i {
		f.nextAt(i)
	}
	if i < f.local || !f.set.Has(email) {
		return 0
	}
	end := domainEnd(f.text, f.at+1)
	if end == 0 {
		f.local = len(f.text) + 1
		return 0
	}
	return f.hit(max(f.local, f.done), end, email)
}

func (f *finder) nextAt(i int) {
	at := bytes.IndexByte(f.text[i:], '@')
	if at < 0 {
		f.at, f.local = len(f.text), len(f.text)+1
		return
	}
	f.at = i + at
	f.local = f.at
	for f.local > f.done && f.at-f.local < 64 && isLocal(f.text[f.local-1]) {
		f.local--
	}
	if f.local == f.at {
		f.local = len(f.text) + 1
	}
}

func isLocal(c byte) bool {
	return classes[c]&classWord != 0 || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'
}

// domainEnd returns where a domain name that starts at i ends, or 0: labels, the last one beginning with two letters. In
// image@2x.png there is none.
func domainEnd(text []byte, i int) (end int) {
	start, labels := i, 0
	for i < len(text) && i-start <= 255 {
		from := i
		for i < len(text) && (classes[text[i]]&classWord != 0 || text[i] == '-') {
			i++
		}
		if i == from {
			break
		}
		if labels > 0 && i-from >= 2 && isLetter(text[from]) && isLetter(text[from+1]) {
			end = i
		}
		if labels++; labels == 1 && i-from == 2 && isDigit(text[from]) && text[from+1] == 'x' {
			return 0
		}
		if i >= len(text) || text[i] != '.' {
			break
		}
		i++
	}
	return end
}
