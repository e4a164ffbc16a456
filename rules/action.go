package rules

import "fmt"

// Action is what happens to a value. Actions are ordered: the greater one discloses less.
type Action uint8

// The actions, from the whole value to a refused message.
const (
	Keep         Action = iota // as it came
	Mask                       // the category's safe part
	Pseudonymize               // a keyed token
	Blank                      // an empty value of its kind
	Strip                      // nothing, not even the name
	Block                      // the whole message, or the record where it stands in a list
)

// ActionCount is how many actions there are, for tables by action.
const ActionCount = int(Block) + 1

var actionNames = [ActionCount]string{"keep", "mask", "pseudonymize", "blank", "strip", "block"}

func (a Action) String() string { return nameOf(actionNames[:], int(a)) }

// Grade is how harmful a leak is.
type Grade uint8

// The grades, from public to never disclosed.
const (
	Open Grade = iota
	General
	Personal
	Sensitive
	Secret
)

var gradeNames = [...]string{"open", "general", "personal", "sensitive", "secret"}

func (g Grade) String() string { return nameOf(gradeNames[:], int(g)) }

// ParseGrade reads a grade's name.
func ParseGrade(s string) (Grade, error) {
	i, err := parseName(gradeNames[:], s, "grade")
	return Grade(i), err
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

func parseName(names []string, s, what string) (int, error) {
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q (want one of %v)", what, s, names)
}
