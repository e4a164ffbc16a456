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
}

// run is digits without a separator.
type run struct {
	start, end int32 // in the text
	upTo       int32 // digits of the group up to here
}

// maxRuns bounds how finely a number may be cut: by twos, ICCIDs are.
const maxRuns = 10

// read reads a group whose first digit stands at i: runs with the same separator between them, at most maxDigits digits.
// A run that is longer by itself makes an empty group. It returns where to go on.
func (g *group) read(text []byte, i int) int {
	g.n, g.count = 0, 0
	first := g.readRun(text, i)
	between := rune(0)
	for at := first; at < len(text) && classes[text[at]]&classWord == 0 && g.count > 0 && g.count < maxRuns; {
		sep, next := separatorAt(text, at)
		if sep == 0 || between != 0 && sep != between || g.n-g.before(g.count-1) < 2 {
			break // a run of one digit ends a number, as an IMEI's check digit does
		}
		between = sep
		before := g.count
		at = g.readRun(text, next)
		if g.count == before {
			break
		}
	}
	return first
}

// before is how many digits stand before a run.
func (g *group) before(i int) int {
	if i == 0 {
		return 0
	}
	return int(g.runs[i-1].upTo)
}

// readRun adds the run at i and returns where it ends. If it is too long it adds nothing.
func (g *group) readRun(text []byte, i int) int {
	start, end, n := i, i, g.n
	for {
		for i < len(text) && isDigit(text[i]) {
			n = g.add(n, text[i]-'0')
			i++
		}
		end = i
		if i >= len(text) || text[i] < utf8.RuneSelf {
			break
		}
		i += hiddenAt(text, i) // what nobody sees may stand inside
		v, size := digitAt(text, i)
		if size == 0 {
			break
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
	r, size := utf8.DecodeRune(text[i:])
	if !unicode.IsDigit(r) {
		return 0, 0
	}
	return digitValue(r), size
}

// maxHidden bounds how many invisible characters are skipped in a row.
const maxHidden = 8

// hiddenAt returns how many bytes of invisible characters stand at i.
func hiddenAt(text []byte, i int) int {
	from := i
	for range maxHidden {
		if i >= len(text) || text[i] < utf8.RuneSelf {
			break
		}
		r, size := utf8.DecodeRune(text[i:])
		if !unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Mn, r) {
			break
		}
		i += size
	}
	return i - from
}

// separatorAt returns what separates the digit before i from the next one, and where that starts; 0 if no digit follows
// after at most three characters of one kind of mark with blanks around.
func separatorAt(text []byte, i int) (mark rune, next int) {
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
		if m == 0 || m != ' ' && mark != 0 && mark != ' ' {
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
	case r == ' ' || r == '-' || r == '.' || r == '/':
		return r
	case r < utf8.RuneSelf:
		return 0
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '−':
		return '-'
	case r == '·' || r == '．' || r == '。' || r == '・':
		return '.'
	case r == '／':
		return '/'
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
