package console

// Consents is what is known of one person.
type Consents struct {
	People bool   // a person may be searched for
	Store  bool   // there is a consent store
	Told   string // what becomes of it that somebody looks
	ID     string
	Wrong  string
	Found  *Person
}

// Person is what the store has of a data subject.
type Person struct {
	Unknown bool // it has nothing
	Facts   []Fact
	Records []ConsentRecord
	Cases   []CaseRecord
	History []ConsentEvent
	Earlier int // events that are not shown
}

// ConsentRecord is what holds of a purpose and recipient.
type ConsentRecord struct {
	Purpose, Recipient, Categories, Level, Given, By, Policy, Evidence string
	States                                                             []Fact
}

// CaseRecord binds callers to the person.
type CaseRecord struct {
	ID, Kind, Callers, Roles, Ends string
}

// ConsentEvent is one change.
type ConsentEvent struct {
	At, Event, Purpose, Recipient, Level, By, Entity string
	GPC                                              bool
}
