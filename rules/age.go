package rules

import (
	"strconv"
	"strings"
	"time"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// ageLimits are the ages below which only a guardian consents: PIPL 31 for China, GDPR 8(1) with the age that each member
// state chose by its second sentence, UK DPA 2018 section 9, and COPPA (16 CFR 312.2).
var ageLimits = map[string]int{
	"CN": 14, "GB": 13, "US": 13,
	"AT": 14, "BE": 13, "BG": 14, "CY": 14, "CZ": 15, "DE": 16, "DK": 15, "EE": 13, "ES": 14, "FI": 13, "FR": 15, "GR": 15, "HR": 16,
	"HU": 16, "IE": 16, "IS": 13, "IT": 14, "LI": 16, "LT": 14, "LU": 16, "LV": 13, "MT": 13, "NL": 16, "NO": 15, "PL": 16, "PT": 13,
	"RO": 16, "SE": 13, "SI": 15, "SK": 16,
}

// fullAge is the limit where the country is not known or not listed: everybody below it is a child (UN CRC, article 1).
const fullAge = 18

func ageLimit(country string) int {
	if limit, ok := ageLimits[country]; ok {
		return limit
	}
	return fullAge
}

// underAge answers whether somebody is below an age at a time.
func underAge(born time.Time, limit int, now time.Time) answer {
	if born.IsZero() || born.After(now) {
		return unknown
	}
	return answerOf(now.Before(born.AddDate(limit, 0, 0)))
}

// birthDate reads a record's date of birth, age or ID number. Of an age it is the latest day that it can be, so that who
// may be a minor is one. It is zero where the text is none of them.
func birthDate(text string, now time.Time) time.Time {
	text = strings.TrimSpace(text)
	if age, err := strconv.ParseUint(text, 10, 8); err == nil && age < 150 {
		return now.UTC().Truncate(24*time.Hour).AddDate(-int(age), 0, 0)
	}
	if born := date(text); !born.IsZero() {
		return born
	}
	return detect.BirthDate(text, now)
}

// dateLayouts are how APIs write a day or a moment.
var dateLayouts = []string{time.DateOnly, time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006/01/02", "2006.01.02", "20060102"}

// date reads a day, or the day of a moment where it was written; zero where the text is neither.
func date(text string) time.Time {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		}
	}
	return time.Time{}
}

// creation reads the day a record was created: a date, or seconds or milliseconds since 1970.
func creation(text string) time.Time {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch len(text) {
		case 10:
			return time.Unix(n, 0).UTC().Truncate(24 * time.Hour)
		case 13:
			return time.UnixMilli(n).UTC().Truncate(24 * time.Hour)
		}
	}
	return date(text)
}

// expired answers whether a record that was created on a day is past its time. Its last day is a whole one; a period of
// months or years ends with the last month where that has no such day (Regulation (EEC, Euratom) 1182/71, article 3(2)(c)).
func expired(created time.Time, retain string, now time.Time) answer {
	n, err := strconv.Atoi(strings.TrimRight(retain, "ymd"))
	if err != nil || created.IsZero() {
		return unknown
	}
	years, months, days := 0, 0, 0
	switch retain[len(retain)-1] {
	case 'y':
		years = n
	case 'm':
		months = n
	default:
		days = n
	}
	last := created.AddDate(years, months, 0)
	if last.Day() != created.Day() {
		last = last.AddDate(0, 0, -last.Day())
	}
	return answerOf(!now.Before(last.AddDate(0, 0, days+1)))
}
