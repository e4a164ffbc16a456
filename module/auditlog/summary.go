package auditlog

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Received is what one role, or one recipient, got to know in one direction.
type Received struct {
	Direction string                    `json:"direction"`
	Role      string                    `json:"role,omitempty"`      // "": to or from a recipient, whoever asked for it
	Recipient string                    `json:"recipient,omitempty"` // of the register
	Country   string                    `json:"recipient_country,omitempty"`
	Report    bool                      `json:"report,omitempty"` // nothing was minimized: what the rules would have changed was sent as it came
	Caller    string                    `json:"caller,omitempty"` // the token, where it is added up by caller
	Messages  int                       `json:"messages"`         // that were sent
	Subjects  int                       `json:"subjects"`         // data subjects of these, added up: who is in two counts twice
	Alone     int                       `json:"alone"`            // of these, about one data subject and nobody else
	Refused   int                       `json:"refused"`
	First     time.Time                 `json:"first"`
	Last      time.Time                 `json:"last"`
	Purposes  []string                  `json:"purposes"`
	Values    map[string]map[string]int `json:"values"`           // by category and action, over whole messages
	Events    map[string]int            `json:"events,omitempty"` // of consents: read, given, withdrawn, …
}

type receiver struct {
	direction, role, recipient, country, caller string
	report                                      bool
}

// Summary adds entries up to who received what. It grows with the rules' words, not with the log.
type Summary struct {
	ByCaller bool // each caller for itself, the one who was told of the most first: it grows with them
	rows     map[receiver]*Received
}

// Add adds an entry. A message without an answer of its backend told nobody anything, but for what report mode let pass of it.
func (s *Summary) Add(entry gjson.Result) error {
	if entry.Get("outcome").String() == Begun {
		return nil // its own entry follows
	}
	if entry.Get("outcome").String() == "failed" && !entry.Get("values").Exists() {
		return nil
	}
	text := func(name string) string { return entry.Get(name).String() }
	to := receiver{text("direction"), text("role"), text("recipient"), text("recipient_country"), "", text("mode") == "report"}
	if s.ByCaller {
		to.caller = text("caller")
	}
	if to.direction == "egress" || to.direction == "inbound" && to.recipient != "" {
		to.role = ""
	}
	if s.rows == nil {
		s.rows = map[receiver]*Received{}
	}
	r := s.rows[to]
	if r == nil {
		r = &Received{
			Direction: to.direction, Role: to.role, Recipient: to.recipient, Country: to.country, Caller: to.caller, Report: to.report,
			Values: map[string]map[string]int{}, Events: map[string]int{},
		}
		s.rows[to] = r
	}
	r.add(entry)
	return nil
}

func (r *Received) add(entry gjson.Result) {
	at := entry.Get("time").Time().UTC()
	if r.First.IsZero() || at.Before(r.First) {
		r.First = at
	}
	if at.After(r.Last) {
		r.Last = at
	}
	if purpose := entry.Get("purpose").String(); purpose != "" && !slices.Contains(r.Purposes, purpose) {
		r.Purposes = append(r.Purposes, purpose)
		slices.Sort(r.Purposes)
	}
	if event := entry.Get("event").String(); event != "" {
		r.Events[event]++
		return
	}
	// An outcome that report mode foresaw stopped nothing.
	if outcome := entry.Get("outcome").String(); !r.Report && (outcome == "refused" || outcome == "unauthorized") {
		r.Refused++
		return
	}
	r.Messages++
	r.Subjects += int(entry.Get("subjects").Int())
	if entry.Get("subjects").Int() == 1 {
		r.Alone++
	}
	entry.Get("values").ForEach(func(name, n gjson.Result) bool {
		category, action, _ := strings.Cut(name.Str, " ")
		if r.Report {
			action = "keep"
		}
		if r.Values[category] == nil {
			r.Values[category] = map[string]int{}
		}
		r.Values[category][action] += int(n.Int())
		return true
	})
}

// Rows are who received what, the last one first; by caller, the one who was told of the most.
func (s *Summary) Rows() []*Received {
	return slices.SortedFunc(maps.Values(s.rows), func(a, b *Received) int {
		if s.ByCaller && a.Subjects != b.Subjects {
			return cmp.Compare(b.Subjects, a.Subjects)
		}
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Recipient, b.Recipient), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Caller, b.Caller))
	})
}
