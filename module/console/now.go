package console

import (
	"cmp"
	"slices"
	"time"
)

// Now is the view of what is decided now.
type Now struct {
	At       time.Time
	Seen     int // messages since the process started
	Kept     int // of them, the last ones
	Outcomes []Share
	Filter   NowFilter
	Refused  []Message // the newest first
	Messages []Message // that the filter lets through
	Routes   []Route
	Rules    []RuleState
	Health   []Fact
}

// NowFilter is which messages are listed.
type NowFilter struct {
	Show      string // "", refused, changed
	Direction string // "", response, inbound, egress
}

// Share is how many messages had an outcome.
type Share struct {
	Word  string
	Kind  string // bad, changed, plain
	Count int
}

// Message is one decision.
type Message struct {
	At           time.Time
	Decision     string
	Direction    string
	Operation    string
	Role         string
	Organisation string // of the caller, where the register has it, or "unregistered"
	Purpose      string
	Recipient    string
	Country      string
	Outcome      string
	Kind         string // of the outcome, as a Share has it
	Would        bool   // report mode: what enforcing would have done
	Reason       string
	Rule         string
	Status       int
	Values       []Values
}

// Key tells the two messages of one decision apart: a request and its answer.
func (m Message) Key() string { return m.Decision + "-" + m.Direction }

// Values are how many values of a category were treated alike.
type Values struct {
	Category string
	Action   string
	Count    int64
}

// Treatment is which values were treated alike.
type Treatment struct {
	Action string
	Values []Values
	More   int // categories for which there is no space
}

// mostNamed is how many categories of a treatment are named.
const mostNamed = 4

// treated puts together what was treated alike, what was withheld most first.
func treated(values []Values) (all []Treatment) {
	values = slices.SortedStableFunc(slices.Values(values), func(a, b Values) int {
		return cmp.Or(cmp.Compare(slices.Index(Actions(), b.Action), slices.Index(Actions(), a.Action)), cmp.Compare(b.Count, a.Count))
	})
	for _, value := range values {
		if len(all) == 0 || all[len(all)-1].Action != value.Action {
			all = append(all, Treatment{Action: value.Action})
		}
		last := &all[len(all)-1]
		if len(last.Values) == mostNamed {
			last.More++
			continue
		}
		last.Values = append(last.Values, value)
	}
	return all
}

// Route is how a route is protected.
type Route struct {
	Name  string
	State State
	Note  string
}

// State is how far a route is protected, the worst first.
type State int

// The states.
const (
	Unprotected State = iota // enforced, and something came through
	Uncovered
	Report
	Enforced
)

// Word is the state in words.
func (s State) Word() string {
	return [...]string{"not protected", "not covered", "report", "enforced"}[s]
}

// Kind is what the state comes to for who looks.
func (s State) Kind() string { return [...]string{Bad, Bad, Warn, Good}[s] }

// RuleState is one choice of rule documents in force.
type RuleState struct {
	Documents string
	Hash      string
	Loaded    string
	Candidate bool
}

// Fact is a line of the health list.
type Fact struct {
	Name string
	Text string
	Kind string // "": none
}

// Bar is a part of the drawn bar of 1000 units.
type Bar struct {
	Kind     string
	X, Width int
}

// Bars are the shares of the outcomes, each wide enough to be seen.
func (v Now) Bars() (bars []Bar) {
	const least = 6
	x, rest := 0, 1000-least*len(v.Outcomes)
	for _, s := range v.Outcomes {
		width := least + s.Count*rest/v.Kept
		bars = append(bars, Bar{s.Kind, x, width})
		x += width
	}
	return bars
}

// directions are where messages can go.
func directions() []string { return []string{"response", "inbound", "egress"} }

// The kinds of outcomes and of states: what they come to for who looks. The stylesheet has them by these names.
const (
	Bad     = "bad"     // not sent, or cut off; broken
	Changed = "changed" // sent, with less in it
	Plain   = "plain"
	Warn    = "warn"
	Good    = "good"
)
