package minimize

import (
	"sync"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// recentMessages are the last ones of this process, for the console.
var recentMessages = new(recent)

// recent is a ring of messages. A nil one remembers nothing: without a console nobody asks.
type recent struct {
	mu   sync.Mutex
	ring [500]recentMessage
	seen int // since the process started
}

// recentMessage is what the console shows of a message: words of the rules and of our own, as in metrics and audit log.
type recentMessage struct {
	at                                   time.Time
	decision, direction, operation, role string
	organisation                         string // of the caller
	purpose, recipient, country, outcome string
	reason, rule                         string
	status                               int
	would                                bool // what enforcing would have done
	values                               []recentValue
}

type recentValue struct {
	category rules.Category
	action   rules.Action
	count    uint32
}

func (r *recent) add(m *message, res *result, would bool) {
	if r == nil {
		return
	}
	entry := recentMessage{
		at: time.Now(), decision: m.id, direction: m.direction(), operation: m.operation(), role: m.role(), purpose: m.purpose(),
		organisation: m.organisation(), recipient: m.disclosure.Recipient, country: m.disclosure.Caller.Country, outcome: res.outcome, status: res.status,
		would: would, values: recentValues(m.rules.enforced, res.report),
	}
	if entry.recipient != "" {
		entry.country = m.recipientCountry()
	}
	if res.refusal != nil {
		entry.reason, entry.rule = res.refusal.Reason.String(), res.refusal.Rule
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[r.seen%len(r.ring)] = entry
	r.seen++
}

func recentValues(set *rules.Ruleset, report *rules.Report) (values []recentValue) {
	if report == nil {
		return nil
	}
	categories := set.Categories()
	values = make([]recentValue, 0, 16) // most messages have fewer
	for id := range report.Counts {
		if report.Counts[id] == ([rules.ActionCount]uint32{}) {
			continue
		}
		for action, n := range report.Counts[id] {
			if n > 0 && (id > 0 || rules.Action(action) != rules.Keep) { // row 0: nobody declared it
				values = append(values, recentValue{categories[id].Name, rules.Action(action), n})
			}
		}
	}
	return values
}

// list returns the messages, the newest first, and how many there were in all.
func (r *recent) list() ([]recentMessage, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := min(r.seen, len(r.ring))
	all := make([]recentMessage, 0, kept)
	for i := 1; i <= kept; i++ {
		all = append(all, r.ring[(r.seen-i)%len(r.ring)])
	}
	return all, r.seen
}
