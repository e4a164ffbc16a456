package console

import "cmp"

// Flows is the view of what went where.
type Flows struct {
	Group   string   // whose categories are shown each; "": groups
	Groups  []Option // that something was counted of
	Sent    int64    // values
	Flows   []Flow   // the greatest first
	Drawing Drawing
	Refused []RefusedFlow
	Treated []Treated // by category or group
	Roles   []Treated // by the caller's role
}

// Flow is how many values of a category, or a group of them, went to a recipient in a country.
type Flow struct {
	From, To, Country string
	Where             string // home, abroad, unknown
	Count             int64
}

// RefusedFlow is how many messages did not leave for a recipient.
type RefusedFlow struct {
	To, Country, Reason string
	Count               int64
}

// Treated is what was done to the values of a category, of a group of them, or for a role.
type Treated struct {
	Name   string
	Counts [6]int64 // by Actions
}

// Actions are what can be done to a value, from the whole value to a refused message.
func Actions() []string { return []string{"keep", "mask", "pseudonymize", "blank", "strip", "block"} }

// CompareFlows puts the greatest first.
func CompareFlows(a, b Flow) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Country, b.Country))
}
