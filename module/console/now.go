package console

import "time"

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
	At        time.Time
	Decision  string
	Direction string
	Operation string
	Role      string
	Purpose   string
	Recipient string
	Country   string
	Outcome   string
	Kind      string // of the outcome, as a Share has it
	Would     bool   // report mode: what enforcing would have done
	Reason    string
	Rule      string
	Status    int
	Treated   []Treatment
	More      int // categories that are not named
}

// Key tells the two messages of one decision apart: a request and its answer.
func (m Message) Key() string { return m.Decision + "-" + m.Direction }

// Treatment is which values were treated alike.
type Treatment struct {
	Action string
	Values []Values
}

// Values are those of a category.
type Values struct {
	Category string
	Count    int64
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
func (s State) Kind() string { return [...]string{"bad", "bad", "warn", "good"}[s] }

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
	Kind string // good, warn, bad; "": neither
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

// The kinds of outcomes: what became of a message, for who looks.
const (
	Bad     = "bad"     // not sent, or cut off
	Changed = "changed" // sent, with less in it
	Plain   = "plain"
)
