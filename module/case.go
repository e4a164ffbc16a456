package minimize

import (
	"encoding/json"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// actsIn says in which case the caller acts: by an id that the store knows, or by a claim that is the case itself.
func (p *caller) actsIn(who *identity, c *rules.Caller) {
	if p.acting == nil {
		return
	}
	if only := p.acting.parts[0]; len(p.acting.parts) == 1 && only.source == sourceClaim && only.name != "" {
		if object, ok := claim(who.claims, only.name).(map[string]any); ok {
			c.Case = caseOf(object, c.ID)
			return
		}
	}
	c.CaseID = p.acting.one(who)
}

// caseOf reads a case that a token states. It lets this caller act, and nobody else. What lacks its kind or data subject,
// or ends at a time that cannot be read, is a case of nobody: the token says that the caller acts in no other one.
func caseOf(stated map[string]any, caller string) *rules.Case {
	c := &rules.Case{ID: idText(stated["id"]), Kind: idText(stated["kind"]), Subject: idText(stated["subject"]), Callers: []string{caller}}
	if ends, given := stated["ends"]; given {
		if c.Ends = timeOf(ends); c.Ends.IsZero() {
			return new(rules.Case)
		}
	}
	if c.Kind == "" || c.Subject == "" || caller == "" {
		return new(rules.Case)
	}
	return c
}

// idText is a text, or a number as it is written.
func idText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// maxDate is the last second of the year 9999, behind which RFC 3339 has no dates.
const maxDate = 253402300799

// timeOf reads a date of RFC 3339, or a NumericDate of RFC 7519 section 2; zero where it is neither.
func timeOf(value any) time.Time {
	switch v := value.(type) {
	case string:
		t, _ := time.Parse(time.RFC3339, v)
		return t
	case json.Number:
		// A part of a second is dropped: a case rather ends early.
		if seconds, err := v.Float64(); err == nil && 0 <= seconds && seconds <= maxDate {
			return time.Unix(int64(seconds), 0)
		}
	}
	return time.Time{}
}
