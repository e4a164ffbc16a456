package detect

import (
	"strings"
	"time"
)

// BirthDate reads the date of birth out of a Chinese resident identity number (GB 11643-1999: digits 7 to 14, before that
// 7 to 12) or an Italian codice fiscale (Decreto Ministeriale 23 December 1976: two digits of the year, a letter for the
// month, the day, for women plus 40). A codice fiscale names no century: it is the latest that is not after now. The time
// is zero where the text is neither.
func BirthDate(id string, now time.Time) time.Time {
	id = strings.ToUpper(strings.TrimSpace(id))
	digits := make([]byte, 0, 18)
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9' && len(digits) < 18:
			digits = append(digits, c-'0')
		case c == 'X' && i == 17 && len(digits) == 17:
			digits = append(digits, 10)
		}
	}
	switch {
	case len(digits) == len(id) && isNationalIDCN(digits):
		return day(number(digits[6:10]), number(digits[10:12]), number(digits[12:14]))
	case len(digits) == len(id) && isOldNationalIDCN(digits):
		return day(1900+number(digits[6:8]), number(digits[8:10]), number(digits[10:12]))
	case isCodiceFiscale([]byte(id)):
		return birthByCodice(id, now)
	}
	return time.Time{}
}

func birthByCodice(id string, now time.Time) time.Time {
	value := func(at int) int {
		if v := omocodia[id[at]]; v >= 0 {
			return int(v)
		}
		return int(id[at] - '0')
	}
	year, month, date := now.Year()/100*100+value(6)*10+value(7), strings.IndexByte("ABCDEHLMPRST", id[8])+1, value(9)*10+value(10)
	if date > 40 {
		date -= 40
	}
	if born := day(year, month, date); !born.After(now) {
		return born
	}
	return day(year-100, month, date)
}

// day is zero where the calendar has no such day.
func day(year, month, date int) time.Time {
	if !isDate(year, month, date) {
		return time.Time{}
	}
	return time.Date(year, time.Month(month), date, 0, 0, 0, 0, time.UTC)
}
