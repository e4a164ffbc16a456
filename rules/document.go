package rules

import (
	"fmt"
	"time"
)

// Pos is where something stands in a rule document. Line and Column count from 1.
type Pos struct {
	File         string
	Line, Column int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Document is one rule document as written, checked for its form only. Compile checks what the documents say together.
type Document struct {
	Name       string   // the file's name without directory and extension; `documents NAME` in a directive means it
	Pos        Pos      // its first line
	Sum        [32]byte // SHA-256 of its text
	Home       string   // country (ISO 3166-1 alpha-2) or zone; "" where the document says none
	Zones      []Zone
	Places     []Word // the zones that the document names, whoever declares them
	Policy     int    // the policy version in force; 0 where the document says none
	Candidate  bool   // evaluated beside the enforced documents, never enforced
	Operations []Operation
	Roles      []Word
	Purposes   []Word
	GPC        []Word // purposes that Sec-GPC: 1 objects to
	Categories []CategoryRule
	Records    []Record
	Fields     []Field
	Values     []Word // detectors for what nobody declared; nil: all
	Undeclared string // "keep", "strip" or "": keep
	Signed     []Selector
	Recipients []Recipient
	Allow      []Rule
	Limit      []Rule
	wary       bool        // it holds for requests that a backend may take for those of its operations, and shows nothing more
	Routes     []*Document // what only some routes have: operations, records, fields, values, undeclared and signed
}

// Word is a name with its position.
type Word struct {
	Pos  Pos
	Name string
}

// Operation is what a document's records and fields hold for: a method and a cleaned path as the client sent it, where
// `*` is one step and a `**` at the end is any rest.
type Operation struct {
	Pos    Pos
	Method string
	Path   string
}

// CategoryRule declares a category.
type CategoryRule struct {
	Pos   Pos
	Name  Category
	Grade Grade
	Mask  string // the safe part, as mask.Parse reads it; "" inherits the parent's, and without one nothing is shown
	Blank string // what blank leaves of a string: "" the empty string, "uuid" the zero UUID
	Text  bool   // free text: detectors run inside what keep and mask leave
}

// Record says whose data a part of the document is. The nearest record owns a value.
type Record struct {
	Pos     Pos
	At      Selector
	Subject []Selector // from the record on, without wildcards, like the other pointers; nil: somebody unknown
	Country []Selector // several pointers have to agree; of two days the stricter counts
	Born    []Selector
	Created []Selector
	Minor   bool
	Retain  string // "3y", "6m", "90d"; "" for ever
}

// Field says what a place or a name holds. Exactly one of At, Keys and Words is set.
type Field struct {
	Pos   Pos
	At    Selector
	Keys  []string // folded names, at any depth
	In    []string // with Keys: only right inside a member with one of these folded names
	Words []string // a text that holds one of these words
	Is    Category // None silences name and detectors
	Least int64    // a smaller number is blanked; 0: no lower bound
}

// Recipient is an entry of the register.
type Recipient struct {
	Pos         Pos
	Name        string
	Kind        string // "": the entry says only what differs here of another document's
	Hosts       []string
	Purposes    []Word
	Country     string // or a zone
	Credentials []string
	From, Until time.Time // of the contract; zero: none written
	Suspended   time.Time // zero: not suspended
	Since       int       // only subjects who accepted this policy version; 0: any
	Denied      string    // "strip" or "": block
	Undeclared  string
	Transfer    *Transfer
}

// Transfer is what a recipient outside home needs.
type Transfer struct {
	Pos         Pos
	Mechanism   string
	Assessment  string
	Consent     string
	Categories  []Word
	From, Until time.Time
}

// Rule is an entry of `allow` or `limit`.
type Rule struct {
	Pos     Pos
	ID      string
	To      []Word
	From    []Word
	For     []Word
	Case    string
	Consent string // the least level
	Since   int    // allow only: the policy version that the data subject accepted, or a newer one; 0: not asked
	Basis   string
	Law     string  // limit only: quoted in the refusal
	Over    int     // limit only: data subjects per caller and day; 0: not asked
	When    []Test  // all must hold
	Unless  *Unless // limit only
	Acts    []Act
	Masks   map[Category]string // own masks, as mask.Parse reads them
	Numbers string              // "string": a masked number becomes a string, not null
	Length  string              // "hide": masks show no length
}

// Act is one category or grade that a rule names, with its action.
type Act struct {
	Pos    Pos
	Action Action
	Name   string
}

// Test is one condition of `when`: a claim of the caller, or a field of the record, is one of some values.
type Test struct {
	Pos    Pos
	Claim  string     // a claim's name, or minor, country, download; "" where Fields is set
	Fields []Selector // from the record on; those that are there have to agree
	Want   []string   // scalars as text: true, 3, paid
}

// Unless lifts a limit. One met condition is enough.
type Unless struct {
	Pos          Pos
	Consent      string
	Case         string
	Purpose      []Word
	Organisation []Word
}
