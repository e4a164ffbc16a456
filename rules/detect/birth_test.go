package detect

import (
	"testing"
	"time"
)

func TestBirthDate(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for id, want := range map[string]string{
		"11010519491231002X":  "1949-12-31",
		"11010519491231002x":  "1949-12-31",
		" 11010519491231002X": "1949-12-31",
		"110105194912310021":  "", // the check digit is wrong
		"11010519491331002X":  "", // there is no month 13
		"110105491231002":     "1949-12-31",
		"RSSMRA85T10A562S":    "1985-12-10",
		"rssmra85t10a562s":    "1985-12-10",
		"RSSMRA85T50A562W":    "1985-12-10", // a woman's day is 40 more
		"RSSMRA85T10A562Q":    "",
		"13800138000":         "",
		"":                    "",
		"20100101":            "",
	} {
		got := BirthDate(id, now)
		if want == "" && !got.IsZero() || want != "" && got.Format(time.DateOnly) != want {
			t.Errorf("%s: %v, want %s", id, got, want)
		}
	}
	if young, old := BirthDate("RSSMRA85T10A562S", time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)), "2085-12-10"; young.Format(time.DateOnly) != old {
		t.Errorf("of two centuries %v, want the later one", young)
	}
}
