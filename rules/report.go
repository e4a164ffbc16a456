package rules

import "strings"

// Report is the answers for one body, counted. It never holds a value.
type Report struct {
	Counts  [][ActionCount]uint32 // values by CategoryID and Action; row 0 is what nobody declared
	Dropped int                   // records blocked out of lists
	Read    int64                 // bytes in
	Written int64                 // bytes out
}

// Add counts one value.
func (r *Report) Add(c CategoryID, a Action) {
	for len(r.Counts) <= int(c) {
		r.Counts = append(r.Counts, [ActionCount]uint32{})
	}
	r.Counts[c][a]++
}

// Refusal is why a message is not sent. It names rules, categories and declared selectors, never text of a body.
type Refusal struct {
	Reason     Reason
	Detail     string // a fixed phrase
	Rule       string
	Law        string
	Categories []Category
	Selectors  []string
}

func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString("refused: ")
	b.WriteString(r.Reason.String())
	if r.Rule != "" {
		b.WriteString(", rule " + r.Rule)
	}
	if r.Detail != "" {
		b.WriteString(": " + r.Detail)
	}
	return b.String()
}
