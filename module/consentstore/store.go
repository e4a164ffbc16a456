// Package consentstore keeps what data subjects agreed to, and the cases that bind callers to them: in an embedded SQLite
// file, or in a PostgreSQL that many nodes share. Source is what a gateway asks: a cache that is never older than it says.
package consentstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// Event is what an entry of the history says.
type Event string

// The events. An objection ends what rests on legitimate interests, too (GDPR 21); a restriction all but consent and law
// (GDPR 18).
const (
	Give       Event = "given"
	Withdraw   Event = "withdrawn"
	Object     Event = "objected"
	Unobject   Event = "objection_lifted"
	Restrict   Event = "restricted"
	Unrestrict Event = "restriction_lifted"
)

// Entry is one change of a consent record, as it stands in the history and in NDJSON. The names are those of ISO/IEC TS
// 27560:2023 where it has one.
type Entry struct {
	ID         string           `json:"record_id"` // of the entry; the store fills it in
	Subject    string           `json:"pii_principal_id"`
	Purpose    string           `json:"purpose,omitempty"` // "" only with Restrict and Unrestrict: all purposes
	Recipient  string           `json:"recipient_third_party,omitempty"`
	Event      Event            `json:"event_state"`
	Level      string           `json:"event_type,omitempty"` // with Give; as rules.ParseLevel reads it
	Categories []rules.Category `json:"pii_type,omitempty"`   // with Give
	GivenBy    string           `json:"given_by,omitempty"`   // with Give: "self" or "guardian"
	Policy     int              `json:"policy_version,omitempty"`
	At         time.Time        `json:"event_time"` // the store fills it in where it is zero
	Expires    time.Time        `json:"expires,omitzero"`
	Evidence   string           `json:"evidence,omitempty"`  // a reference, never the evidence
	Entity     string           `json:"entity_id,omitempty"` // who made the change: a caller's id
	GPC        bool             `json:"gpc,omitempty"`       // with Object: a Sec-GPC header said so
}

// Profile is what a store keeps of a data subject beside the consents.
type Profile struct {
	Subject   string    `json:"pii_principal_id"`
	Born      string    `json:"birth_date,omitempty"` // 2006-01-02
	Minor     bool      `json:"minor,omitempty"`
	Ended     time.Time `json:"ended,omitzero"` // when it was deleted
	Guardians []string  `json:"guardians,omitempty"`
	Policy    int       `json:"policy_version,omitempty"` // the newest that was accepted
}

// Case is a case as it stands in the store and in NDJSON.
type Case struct {
	ID      string    `json:"case_id"`
	Kind    string    `json:"kind"`
	Subject string    `json:"pii_principal_id"`
	Callers []string  `json:"callers,omitempty"`
	Roles   []string  `json:"roles,omitempty"`
	Ends    time.Time `json:"ends,omitzero"`
}

// Record is the current state of one consent record, with the fields of the newest entry that gave the consent.
type Record struct {
	Entry
	Given      time.Time `json:"given,omitzero"`
	Withdrawn  time.Time `json:"withdrawn,omitzero"`
	Objected   time.Time `json:"objected,omitzero"`
	Restricted time.Time `json:"restricted,omitzero"`
	GPCAt      time.Time `json:"gpc_recorded,omitzero"` // the first objection by Sec-GPC, kept through whatever came after
}

// Subject is all that is known now of one data subject.
type Subject struct {
	Profile
	Records []Record `json:"consents"`
	Cases   []Case   `json:"cases"`
}

// Change says that what is known of a key changed. Seq grows by one with every transaction that changes something, in the
// order in which they were committed.
type Change struct {
	Seq int64
	Key string // a data subject's id, or CaseKey of a case's
}

// CaseKey is what Find and changes call a case by: no data subject's id, because those hold no control characters.
func CaseKey(id string) string { return casePrefix + id }

const casePrefix = "\x01"

// Batch is what one transaction changes: all of it or nothing.
type Batch struct {
	Entries  []Entry
	Profiles []Profile // each replaces the one before
	Cases    []Case    // each replaces the one before
	Ended    []string  // data subjects who are deleted now, by the database's clock; it is for good
	Closed   []Case    // by ID and Subject: those there are end now, and stay as they are otherwise

	File string // that it was imported from; "": it was not
	Line int    // of the file, the last one in this batch
}

// ErrConflict is for a change that contradicts what is stored, such as a case that belongs to another data subject.
var ErrConflict = errors.New("changing a consent: it contradicts what is stored")

// ErrGuardian is an ErrConflict: who could take a guardian's consent away by agreeing anew would be what it protects from.
var ErrGuardian = fmt.Errorf("%w: a guardian gave this consent; withdraw it first", ErrConflict)

// ErrAway is for a database that does not answer, or not as it should. What was to be changed may have been changed or not.
var ErrAway = errors.New("the database is not available")

// maxRecords is how many records a data subject can have: every change reads all of them while nobody else can change
// anything.
const maxRecords = 1000

// ErrTooMany is for a data subject who said something of more purposes and recipients than any rules speak of.
var ErrTooMany = fmt.Errorf("%w: there are %d records of this data subject already", ErrConflict, maxRecords)

// ErrGap is for changes so old that the store does not remember them: whoever asks has to forget all it knows.
var ErrGap = errors.New("reading changes: the oldest are forgotten")

// Store is one database. Safe for concurrent use.
type Store interface {
	// Place is where it is, without credentials.
	Place() string

	// Expect says, before Migrate, which store has to be there: with any other one Migrate and Changes fail with ErrOther.
	// "" expects none. ID is which one it is, from Migrate on: a random id that its backups and replicas share.
	Expect(id string)
	ID() string

	// Migrate connects, and creates the tables or brings them up to date: in one transaction, and once, however many nodes
	// start at the same time. Nothing else works before. ErrAway says that it is worth trying again.
	Migrate(ctx context.Context) error

	// Find returns what is known of data subjects and cases by their keys, in their order, from one moment; one query
	// however many there are. An empty Subject is returned for what nobody stored.
	Find(ctx context.Context, keys []string) ([]Subject, error)

	// Seen counts data subjects per caller and UTC day of the database's clock, as rules.People says.
	Seen(ctx context.Context, caller string, subjects []string, most int) ([]int, error)

	// Apply stores a batch durably and returns the changes. What says nothing new changes nothing and is no entry of the
	// history, so that every call can be repeated. Neither does what is older than what the record says already: to import
	// a file once more revives no consent that was withdrawn since. A withdrawal or an objection that names no recipient
	// is one towards each of them.
	Apply(ctx context.Context, b Batch) ([]Change, error)

	// History yields a data subject's entries, oldest first. Deleting a data subject keeps them: they prove the consent.
	History(ctx context.Context, subject string) ([]Entry, error)

	// Imported returns the last line of a file that a batch stored, 0 where there is none: an import goes on behind it,
	// whatever stopped it.
	Imported(ctx context.Context, file string) (line int, err error)

	// Export calls f for every data subject, in the order of their ids, from the first one behind after.
	Export(ctx context.Context, after string, f func(*Subject) error) error

	// Changes returns what changed after a Seq, with the newest Seq and the database's clock. Its answer proves that
	// nothing else was committed before it was asked. With ErrGap there are no changes, but Seq and clock hold.
	Changes(ctx context.Context, after int64) (changes []Change, seq int64, now time.Time, err error)

	// Wait returns when something may have changed, or after d at the latest. An error says that nobody can tell.
	Wait(ctx context.Context, d time.Duration) error

	Close() error
}
