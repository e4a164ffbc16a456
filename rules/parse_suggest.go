package rules

import (
	"go.yaml.in/yaml/v4"
)

// suggest returns "; did you mean …?" where one of the names is near.
func suggest(s string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		// One slip in three letters is a slip of the pen; more make another word.
		if d := distance(s, name); d < least && d <= max(1, len(name)/3) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean `" + best + "`?"
}

// distance is how many letters have to be changed, put in or taken out to make b of a (Levenshtein). Only short names are
// near to one of ours, so that a long one costs nothing.
func distance(a, b string) int {
	if len(a) > len(b)+8 {
		return len(a)
	}
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(y)]
}

// shorten cuts a text that is quoted in an error.
func shorten(s string) string {
	const most = 60
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}

// kindOf says in words what a node is.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "key: value pairs"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	default:
		return "a single value"
	}
}
