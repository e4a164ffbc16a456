package console

import "time"

// Evidence is the audit log: what was searched for in it, and its chain.
type Evidence struct {
	Form    EvidenceForm
	People  bool   // a person may be searched for
	Told    string // what becomes of it that somebody searches for a person
	Nowhere string // why there is no log to search; "": there is one
	Wrong   string // what to mend in the form
	Entries []Entry
	Only    *Entry // the one of a decision, with all that it says
	Read    int    // entries, for this page
	More    bool
	Late    bool   // the time was over before the page was full
	Reached uint64 // where older ones go on
	Unnamed int    // entries that name only some of their people
	Unread  int    // files that were passed over
	Chain   *Chain

	Received *Receivers // of one person; nil: nobody asked
}

// Receivers are who received what about a person.
type Receivers struct {
	Rows   []Received
	Shared bool // some of it was in messages about others, too
	Late   bool // the time was over before all of the log was read
}

// Received is what one role or recipient got to know.
type Received struct {
	Who, Said, Period string
	Purposes          []string
	Report            bool // nothing was minimized
	Values            []Values
}

// EvidenceForm is what was searched for. It comes back as it came.
type EvidenceForm struct {
	Subject, Caller, Category, Decision, From, Until string
	Roles, Recipients, Outcomes, Directions          []Option
}

// Entry is a message or a change of a consent, as the log has it.
type Entry struct {
	Message
	Seq   uint64
	Facts []Fact // all that it says
}

// Day is when it was, as people read it.
func (e Entry) Day() string { return e.At.UTC().Format(time.DateOnly) }

// Chain is the state of the log.
type Chain struct {
	File     string
	Seq      uint64 // of the last entry
	Hash     string
	Verified *Verified // nil: nobody asked
}

// Verified is what a look at the whole log found.
type Verified struct {
	Entries  int
	First    uint64
	Upto     uint64
	Whole    bool // all of the log was read
	Busy     bool // somebody else verifies at the moment
	Findings []Finding
	More     int // findings that are not shown
}

// Finding is a place where the log is not what was written.
type Finding struct {
	Where, What string
}
