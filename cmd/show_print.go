package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// matrices prints a table for each purpose.
func (p *painter) matrices(v *shownView) {
	for i, m := range v.Purposes {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		p.matrix(m)
	}
	if len(v.Purposes) == 0 {
		fmt.Fprintln(p.out, "No rule permits anything to them.")
	}
	if v.Operation != "" {
		fmt.Fprintf(p.out, "\n%s: of what nothing is known: %s.\n", v.Operation, v.Undeclared)
	}
}

// matrix prints as many columns beside each other as fit, and the rest below.
func (p *painter) matrix(m *matrixView) {
	lines := m.told()
	label := len("CATEGORY")
	for _, l := range lines {
		label = max(label, cellsOf(l.label()))
	}
	label = min(label, max(p.columns/3, 20))
	fmt.Fprintln(p.out, p.paint(bold, "For "+m.Purpose))
	for from := 0; from < len(m.Audiences); {
		if from > 0 {
			fmt.Fprintln(p.out)
		}
		widths := []int{label}
		head := []string{"CATEGORY"}
		used, to := label, from
		for ; to < len(m.Audiences); to++ {
			width := cellsOf(m.Audiences[to])
			for _, l := range lines {
				width = max(width, cellsOf(l.Cells[to].String()))
			}
			width = min(width, p.columns-label-2)
			if used += width + 2; used > p.columns && to > from {
				break
			}
			widths, head = append(widths, width), append(head, m.Audiences[to])
		}
		p.row(head, widths, func(_ int, text string) string { return p.paint(faint, text) })
		for _, l := range lines {
			cells := []string{l.label()}
			for _, c := range l.Cells[from:to] {
				cells = append(cells, c.String())
			}
			p.row(cells, widths, func(i int, text string) string {
				if i == 0 {
					return text
				}
				return p.paint(l.Cells[from+i-1].color(), text)
			})
		}
		from = to
	}
	p.matrixNotes(m, lines)
}

// told are the lines that say something of their own.
func (m *matrixView) told() (lines []matrixLine) {
	for _, l := range m.Categories {
		around := -1 // the line of the nearest category around that is printed
		for i, have := range lines {
			if have.Category.Contains(l.Category) {
				around = i
			}
		}
		switch {
		case around >= 0 && slices.EqualFunc(lines[around].Cells, l.Cells, func(a, b matrixCell) bool { return a.String() == b.String() }):
			lines[around].more = true
		case around < 0 && l.all("·"), l.Grade == rules.Open.String() && l.all("keep"):
		default:
			lines = append(lines, l)
		}
	}
	return lines
}

// all reports whether every cell is this one.
func (l *matrixLine) all(cell string) bool {
	return !slices.ContainsFunc(l.Cells, func(c matrixCell) bool { return c.String() != cell })
}

func (l *matrixLine) label() string {
	if l.more {
		return string(l.Category) + " …"
	}
	return string(l.Category)
}

// String is a cell as tables have it.
func (c matrixCell) String() string {
	if c.Action == rules.Strip.String() {
		return "·"
	}
	text := c.Action
	if c.Marks != "" {
		text += " " + c.Marks
	}
	if c.Marks != "" && c.Otherwise != c.Action && c.Otherwise != rules.Strip.String() {
		text += "/" + c.Otherwise
	}
	return text
}

func (c matrixCell) color() string {
	if c.String() == "·" {
		return faint
	}
	return actionColors[c.Action]
}

var markMeanings = []struct{ letter, meaning string }{
	{"c", "the data subject's consent"}, {"t", "an open case"}, {"w", "the rule's `when`"}, {"p", "an accepted policy version"},
	{"o", "until an objection"}, {"f", "from some senders only"}, {"l", "a limit may lower it"},
}

// matrixNotes explains what stands in the table.
func (p *painter) matrixNotes(m *matrixView, lines []matrixLine) {
	used := map[string]bool{}
	for _, l := range lines {
		for i, c := range l.Cells {
			for _, letter := range c.Marks {
				used[string(letter)] = true
			}
			if c.Reason != "" {
				used["blocked "+m.Audiences[i]+": "+c.Reason] = true
			}
		}
	}
	var legend []string
	for _, mark := range markMeanings {
		if used[mark.letter] {
			legend = append(legend, mark.letter+" "+mark.meaning)
		}
	}
	if len(legend) > 0 {
		p.wrapped("Marks: " + strings.Join(legend, ", ") + ".")
	}
	var blocked []string
	for note := range used {
		if text, ok := strings.CutPrefix(note, "blocked "); ok {
			blocked = append(blocked, text)
		}
	}
	if slices.Sort(blocked); len(blocked) > 0 {
		p.wrapped("Blocked: " + strings.Join(blocked, ", ") + ".")
	}
	p.wrapped("Of everything else above open: nothing.")
}

// wrapped prints a faint sentence in lines that fit.
func (p *painter) wrapped(text string) {
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		if line != "" && cellsOf(line)+1+cellsOf(word) > p.columns {
			fmt.Fprintln(p.out, p.paint(faint, line))
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	fmt.Fprintln(p.out, p.paint(faint, line))
}
