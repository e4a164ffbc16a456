package console

import "slices"

// Matrix is the view of what the rules come to.
type Matrix struct {
	Home      string
	Choices   []Option // of rule documents
	Purposes  []Option
	Groups    []Option // of categories
	Every     bool     // categories, too, that say nothing of their own
	Audiences []Audience
	Rows      []MatrixRow
	Marks     []Mark // that some cell has
	Detail    *Detail
}

// Option is an entry of a menu.
type Option struct {
	Value, Text string
	Chosen      bool
}

// Audience is a column: whom the rules let have something.
type Audience struct {
	Name  string
	About string // role, the kind of a recipient and its country
}

// MatrixRow is one category.
type MatrixRow struct {
	Category string
	Grade    string
	More     bool // others below it have the same cells
	Cells    []Cell
}

// Cell is what one audience may have of one category.
type Cell struct {
	Action    string
	Otherwise string // where the conditions do not hold; "": the same, or nothing
	Marks     string
	Reason    string // why a recipient gets nothing
	Link      string // to its detail
	Audience  string
	Category  string
	Chosen    bool
}

// Label is the cell in words, for who hears it.
func (c Cell) Label() string {
	text := c.Category + " for " + c.Audience + ": " + c.Action
	for _, m := range marks {
		if m.in(c.Marks) {
			text += ", " + m.Meaning
		}
	}
	if c.Otherwise != "" {
		text += ", otherwise " + c.Otherwise
	}
	return text
}

// Nothing reports whether the audience gets nothing, which is what most cells say.
func (c Cell) Nothing() bool { return c.Action == "strip" }

// Mark is a letter for a condition.
type Mark struct {
	Letter  string
	Meaning string
}

func (m Mark) in(letters string) bool { return slices.Contains([]byte(letters), m.Letter[0]) }

var marks = []Mark{
	{"c", "with the data subject's consent"}, {"t", "in an open case"}, {"w", "where the rule's `when` holds"},
	{"p", "with an accepted policy version"}, {"o", "until an objection"}, {"f", "from some senders only"}, {"l", "unless a limit lowers it"},
}

// MarksIn are those that some cell has.
func MarksIn(rows []MatrixRow) (used []Mark) {
	for _, m := range marks {
		if slices.ContainsFunc(rows, func(r MatrixRow) bool {
			return slices.ContainsFunc(r.Cells, func(c Cell) bool { return m.in(c.Marks) })
		}) {
			used = append(used, m)
		}
	}
	return used
}

// Detail is a cell with the rules behind it.
type Detail struct {
	Cell
	Grade   string
	Purpose string
	Limited string // where the limits hold, too, that ask for something; "": the same
	Rules   []Rule
	Close   string // the link without it
}

// Conditions are what the cell depends on, in words.
func (d Detail) Conditions() (words []string) {
	for _, m := range marks {
		if m.in(d.Marks) {
			words = append(words, m.Meaning)
		}
	}
	return words
}

// Rule is a rule that names the category for the audience.
type Rule struct {
	ID      string
	Limit   bool
	Decides bool
	Action  string
	Words   []Fact // its conditions
	Clause  string // what is written above it
	Text    string
	At      string // file and line
}
