package rules

import "time"

// Position is where a gateway stands to a message.
type Position uint8

// The positions.
const (
	Response Position = iota // what a caller may read
	Inbound                  // what we may collect
	Egress                   // what a recipient may get
)

// Disclosure is who asks, for what: everything a decision depends on besides the record.
type Disclosure struct {
	Position  Position
	Recipient string // of an egress: the register's entry; inbound: whose answer comes in
	Caller    Caller
	Purpose   string
	Subject   string // of the message, where no record says whose data it is; "": nobody says
	Unnamed   bool   // the route says whose data the message is, but this one does not tell
	Download  bool
	Issues    []Category // what this route hands out: a token passes only where the route says so
	Time      time.Time
	Objected  []string // purposes that this very request objects to: its caller, or towards a recipient whose data it is
	People    People   // nil: no store is configured

	// Reached, where not nil, is told of every data subject of whom something above general stays in what is sent, right before
	// it is: possibly more than once, and with what the store knew where it was asked. A record that is longer than the
	// hold is nobody's.
	Reached func(subject []byte, person *Person)
}

// Caller is who asks: only what authentication established.
type Caller struct {
	ID           string
	Roles        []string // unknown ones count for nothing; none left: anonymous
	Organisation string
	Country      string            // ISO 3166-1 alpha-2; "" unknown
	Guardian     []string          // the data subjects' ids
	CaseID       string            // the case that the caller acts in, as authentication says; the store knows it
	Case         *Case             // the same, where authentication says all of it
	Claims       map[string]string // for `when`; true, 3, text
}

// Reason says in one word why a decision is what it is.
type Reason uint8

// The reasons. Those of a refusal stand in the order in which the first one counts.
const (
	Permitted Reason = iota
	Surplus          // there are rules for this caller and purpose, none names it
	Authority
	Country
	TransferMissing
	RecipientUnknown
	Agreement
	NoRule
	CaseMissing
	PolicyVersion
	GuardianMissing
	ConsentMissing
	Objection
	Ended
	Limited
	MediaType
	Over
	SignedBody
	Unreadable
	Unavailable
)

var reasonNames = [...]string{
	"permitted", "surplus", "authority", "country", "transfer", "recipient", "agreement", "rule", "case", "policy", "guardian",
	"consent", "objection", "ended", "limit", "media_type", "over", "signed", "unreadable", "unavailable",
}

func (r Reason) String() string { return nameOf(reasonNames[:], int(r)) }

// ReasonCount is how many reasons there are, for tables by reason.
const ReasonCount = len(reasonNames)
