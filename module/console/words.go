package console

import (
	"strconv"
	"strings"
	"time"
)

// clock is a time of today as people read it; all times are UTC, as in the audit log.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// moment is a time for machines.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// count writes a number with commas, so that thousands and millions differ at a glance.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plural is "1 message" or "2 messages".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if stem, ok := strings.CutSuffix(one, "ry"); ok { // entries
		one = stem + "rie"
	}
	return count(int64(n)) + " " + one + "s"
}

// first is the beginning of a long name, such as a hash.
func first(n int, s string) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
