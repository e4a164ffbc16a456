package rules

import (
	"slices"
	"sync/atomic"
	"time"
)

// Level is how strongly a data subject agreed.
type Level uint8

// The levels, weakest first. Bundled satisfies no rule: what is agreed to along with everything else is no consent
// (PIPL 14 and 16, GDPR 7(4)).
const (
	LevelNone Level = iota
	LevelBundled
	LevelGeneral
	LevelExplicit
	LevelSeparate
	LevelWritten
)

var levelNames = [...]string{"none", "bundled", "general", "explicit", "separate", "written"}

func (l Level) String() string { return nameOf(levelNames[:], int(l)) }

// ParseLevel reads a level that a consent can have; LevelNone is none of them.
func ParseLevel(s string) (Level, bool) {
	i := slices.Index(levelNames[1:], s)
	return Level(i + 1), i >= 0
}

// Consent is what a data subject said about one purpose and recipient: agreed, objected, or asked to restrict. A time is
// zero where nothing of the kind was said, or was taken back.
type Consent struct {
	Purpose    string     // "" only where all processing is restricted
	Recipient  string     // a register entry or a kind of recipients; "": ourselves and who works for us
	Categories []Category // with what is below them; nil: all
	Level      Level
	ByGuardian bool
	Policy     int // the version that was agreed to; 0: nobody wrote it down
	Given      time.Time
	Expires    time.Time // from then on it does not count; zero: never
	Withdrawn  time.Time
	Objected   time.Time
	Restricted time.Time
}

// Case binds callers to one data subject until a date: a ticket, an order, a dispute, a court order, an approval.
type Case struct {
	ID      string
	Kind    string // what a rule's `case` names
	Subject string
	Callers []string  // ids of who may act on it
	Roles   []string  // roles whose members may
	Ends    time.Time // from then on it is closed; zero: it is open until somebody closes it
}

// Person is what a store knows of one data subject. Never changed once it was handed out, but for being outdated.
type Person struct {
	Born      time.Time // UTC midnight; zero: not known
	Minor     bool      // a minor whatever else is known
	Ended     bool      // deleted
	Guardians []string  // ids of callers
	Policy    int       // the newest version that was accepted; 0: none
	Consents  []Consent
	Cases     []Case
	Signaled  []string // purposes that a Sec-GPC header objected to, whatever was said afterwards

	outdated uint32 // atomic; no atomic.Bool, so that a Person may be copied
}

// Outdate says that something is known anew: whoever keeps a Person says so before it hands out another one.
func (p *Person) Outdate() { atomic.StoreUint32(&p.outdated, 1) }

// Outdated reports whether something is known anew since.
func (p *Person) Outdated() bool { return atomic.LoadUint32(&p.outdated) != 0 }

// People is what a store knows, as one message asks for it. Nothing in it waits longer than the store may be away.
type People interface {
	// Find fills people, in the order of the subjects. nil: nobody can tell at the moment. Somebody without an entry is
	// an empty Person.
	Find(people []*Person, subjects [][]byte)

	// Case returns a case by its id, or nil where there is none or nobody can tell.
	Case(id string) *Case

	// Seen fills nth: the how manieth data subject of this caller in this UTC day each one is, counted from 1 over all nodes.
	// More than most are not counted; theirs is most+1. 0: nobody can tell.
	Seen(nth []int, caller string, subjects [][]byte, most int)

	// Now is the time to judge by. It never goes back.
	Now() time.Time

	// Send calls write, unless something is known anew of these people since they were found, or what is known is too
	// old by now. It reports whether it called. A change that is acknowledged on this node waits for writes under way.
	Send(people []*Person, write func() error) (sent bool, err error)
}
