package detect

import (
	"unicode"
	"unicode/utf8"
)

// group is digits with separators between them: 6222 0210 …, 138-0013-8000. Digits of any script count by their value.
type group struct {
	n      int // digits in all
	values [maxDigits + 1]byte
	count  int // runs
	runs   [maxRuns]run
	piece  int  // where the first invisible character inside the first run stands, or 0
	mark   rune // between the runs; ')' for several
}

// run is digits without a separator.
type run struct {
	start, end int32 // in the text
	upTo       int32 // digits of the group up to here
}

// maxRuns bounds how finely a number may be cut: by twos, ICCIDs are.
const maxRuns = 10

// reading is how a group is read.
type reading uint8

const (
	alike  reading = iota // the same separator between all runs
	apart                 // and invisible characters end a run: a list may have them between its numbers
	unlike                // any separator, and brackets: (138) 0013-8000
)

// read reads a group whose first digit stands at i: runs with separators between them, at most maxDigits digits. A run
// that is longer by itself makes an empty group. It returns where to go on.
func (g *group) read(text []byte, i int, how reading) int {
	g.n, g.count, g.piece, g.mark = 0, 0, 0, 0
	first := g.readRun(text, i, how)
	for at := first; at < len(text) && classes[text[at]]&classWord == 0 && g.count > 0 && g.count < maxRuns; {
		sep, next := separatorAt(text, at, how == unlike)
		if sep == 0 || g.mark != 0 && sep != g.mark && how != unlike || g.runLength(g.count-1) < 2 {
			break // a run of one digit ends a number, as an IMEI's check digit does
		}
		g.mark = sep
		before := g.count
		at = g.readRun(text, next, how)
		if g.count == before {
			break
		}
	}
	if how == unlike {
		g.mark = ')'
	}
	return first
}

// listed reports whether lists have such separators too, as have coordinates and amounts.
func (g *group) listed() bool {
	return g.mark == ',' || g.mark == '|' || g.mark == '_' || g.mark == ')'
}

// laidOut reports whether the runs up to k are as people write this kind.
func (g *group) laidOut(k int, kind Kind) bool {
	switch last := g.runLength(k); kind {
	case phone: // 138 0013 8000, 138 00138000, 86 13800138000
		return last == 11 || last == 8 && g.runLength(k-1) == 3 || k >= 2 && last == 4 && g.runLength(k-1) == 4 && g.runLength(k-2) == 3
	case cardNumber:
		return k >= 3 && g.runLength(0) == 4 && g.runLength(1) == 4 && g.runLength(2) == 4 && g.runLength(3) == 4
	case imei: // its type allocation code, perhaps its serial number, its check digit
		first := g.runLength(0)
		return last == 1 && (first == 2 || first == 6 || first == 8) || first == 8 && last == 7
	}
	return false
}

func (g *group) runLength(k int) int { return int(g.runs[k].upTo) - g.before(k) }

// before is how many digits stand before a run.
func (g *group) before(i int) int {
	if i == 0 {
		return 0
	}
	return int(g.runs[i-1].upTo)
}

// readRun adds the run at i and returns where it ends. If it is too long it adds nothing.
func (g *group) readRun(text []byte, i int, how reading) int {
	start, end, n := i, i, g.n
	for {
		for i < len(text) && isDigit(text[i]) {
			n = g.add(n, text[i]-'0')
			i++
		}
		end = i
		if i >= len(text) || isPlain(text[i]) {
			break
		}
		hidden := hiddenAt(text, i) // what nobody sees may stand inside
		if hidden > 0 && (how == apart || n > maxDigits) {
			break
		}
		i += hidden
		v, size := digitAt(text, i)
		if size == 0 {
			break
		}
		if hidden > 0 && g.count == 0 && g.piece == 0 {
			g.piece = end
		}
		n = g.add(n, v)
		i += size
	}
	if n <= maxDigits && end > start {
		g.n = n
		g.runs[g.count] = run{int32(start), int32(end), int32(n)}
		g.count++
	}
	return end
}

// add stores the nth digit, as long as there is room for it.
func (g *group) add(n int, v byte) int {
	if n > maxDigits {
		return n
	}
	g.values[n] = v
	return n + 1
}

// digitAt returns the value of the digit at i, and how many bytes it has; 0 if none stands there.
func digitAt(text []byte, i int) (value byte, size int) {
	if i >= len(text) {
		return 0, 0
	}
	if c := text[i]; c < utf8.RuneSelf {
		if c -= '0'; c > 9 {
			return 0, 0
		}
		return text[i] - '0', 1
	}
	if classes[text[i]] != classWide {
		return 0, 0
	}
	r, size := utf8.DecodeRune(text[i:])
	if unicode.IsDigit(r) {
		return digitValue(r), size
	}
	if v, ok := raised[r]; ok {
		return v, size
	}
	return 0, 0
}

// raised are the digits that Unicode calls no decimal ones: raised and lowered, in circles, in brackets, with a dot.
var raised = func() map[rune]byte {
	m := map[rune]byte{'¹': 1, '²': 2, '³': 3, '⁰': 0, '⓪': 0, '⓿': 0, '🄀': 0}
	for value := range rune(10) {
		m['₀'+value] = byte(value)
		if value >= 4 {
			m['⁰'+value] = byte(value)
		}
		if value > 0 {
			for _, one := range "①⑴⒈⓵❶➀➊" {
				m[one+value-1] = byte(value)
			}
		}
	}
	return m
}()

// isPlain reports whether a byte is a visible ASCII character, a blank or the end of a line.
func isPlain(c byte) bool { return c >= ' ' && c < 0x7f || c >= '\t' && c <= '\r' }

// hiddenAt returns how many bytes of invisible characters stand at i.
func hiddenAt(text []byte, i int) int {
	from := i
	for i < len(text) && !isPlain(text[i]) {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if !unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me, unicode.Cc) {
			break
		}
		i += size
	}
	return i - from
}

// separatorAt returns what separates the digit before i from the next one, and where that starts; 0 if no digit follows
// after at most three characters of one kind of mark with blanks around, or of any and brackets.
func separatorAt(text []byte, i int, anything bool) (mark rune, next int) {
	for range 3 {
		i += hiddenAt(text, i)
		if i >= len(text) {
			return 0, 0
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		m := markOf(r)
		if anything && (r == '(' || r == ')' || r == '（' || r == '）') {
			m = ')'
		}
		if m == 0 || m != ' ' && mark != 0 && mark != ' ' && !anything {
			return 0, 0
		}
		if mark == 0 || m != ' ' {
			mark = m
		}
		i += size
		i += hiddenAt(text, i)
		if _, size := digitAt(text, i); size > 0 {
			return mark, i
		}
	}
	return 0, 0
}

// markOf folds the marks that people put between digits to ASCII ones; 0 is none.
func markOf(r rune) rune {
	switch {
	case r == ' ' || r == '-' || r == '.' || r == '/' || r == '_' || r == ',' || r == '|':
		return r
	case r >= '\t' && r <= '\r':
		return ' '
	case r < utf8.RuneSelf:
		return 0
	case unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp), isFiller(r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '−':
		return '-'
	case r == '·' || r == '．' || r == '。' || r == '・':
		return '.'
	case r == '／':
		return '/'
	case r == '＿':
		return '_'
	case r == '，' || r == '、':
		return ','
	case r == '｜':
		return '|'
	}
	return 0
}

// isFiller reports whether a character that Unicode calls a letter or a symbol shows nothing but a blank.
func isFiller(r rune) bool {
	return r == hangulChoseong || r == hangulFiller || r == '\u3164' || r == '\uffa0' || r == '\u2800'
}

// narrow returns the ASCII character that a full-width one is, or the byte itself, or 0.
func narrow(r rune) byte {
	switch {
	case r < utf8.RuneSelf:
		return byte(r)
	case r >= '！' && r <= '～':
		return byte(r - '！' + '!')
	case r == '。' || r == '｡':
		return '.'
	}
	return 0
}

// isExpiry checks a card's month and year: MMYY or MMYYYY.
func isExpiry(d []byte) bool {
	month := number(d[:2])
	return month >= 1 && month <= 12 && (len(d) == 4 || d[2] == 2 && d[3] == 0)
}

// isUSCCDigits checks a unified social credit code that happens to have no letter.
func isUSCCDigits(d []byte) bool {
	var s [18]byte
	for i, v := range d {
		s[i] = '0' + v
	}
	return isUSCC(s[:])
}
