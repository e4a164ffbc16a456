package auditlog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// Receiver is who got to know it, in words: a role, or a recipient, and a caller's token where it is added up by caller.
func (r *Received) Receiver() string {
	return strings.TrimSpace(r.receiver() + " " + r.Caller)
}

func (r *Received) receiver() string {
	recipient := r.Recipient
	if r.Country != "" {
		recipient += " in " + r.Country
	}
	switch {
	case r.Direction == "egress":
		return "us → " + recipient
	case r.Direction == "inbound":
		return cmp.Or(recipient, r.Role) + " → us"
	case r.Recipient != "":
		return recipient + " (" + r.Role + ")"
	}
	return r.Role
}

// Said says how many there were: 12 messages, 3 about nobody else, 1 refused, read ×2.
func (r *Received) Said(aboutSomebody bool) string {
	var parts []string
	if r.Messages > 0 {
		noun := "messages"
		if r.Messages == 1 {
			noun = "message"
		}
		parts = append(parts, humanize.Comma(int64(r.Messages))+" "+noun)
	}
	if aboutSomebody && r.Alone > 0 {
		parts = append(parts, humanize.Comma(int64(r.Alone))+" about nobody else")
	}
	if r.Refused > 0 {
		parts = append(parts, humanize.Comma(int64(r.Refused))+" refused")
	}
	for _, event := range slices.Sorted(maps.Keys(r.Events)) {
		parts = append(parts, fmt.Sprintf("consent %s ×%s", event, humanize.Comma(int64(r.Events[event]))))
	}
	return strings.Join(parts, ", ")
}

// Period is when it was: the first and the last time.
func (r *Received) Period() string {
	const minutes = "2006-01-02 15:04Z"
	first, last := r.First.Format(minutes), r.Last.Format(minutes)
	if first == last {
		return first
	}
	return first + " to " + last
}
