package cmd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules/explain"
)

// explanation prints a table for each record, then what the values that are not disclosed lack.
func (p *painter) explanation(a *explain.Account) {
	head := a.Operation + "  to " + a.To
	if a.Purpose != "" {
		head += " for " + a.Purpose
	}
	fmt.Fprintln(p.out, p.paint(bold, head)+"  "+p.paint(faint, a.Time.UTC().Format("2006-01-02 15:04Z")))
	for _, note := range a.Notes {
		fmt.Fprintln(p.out, p.paint(yellow, "Note: ")+note+".")
	}
	groups := grouped(a.Values)
	var all [][]string
	for _, g := range groups {
		for _, r := range g.rows {
			all = append(all, r.cells)
		}
	}
	widths := p.widths(append(all, explainedHeads))
	for _, g := range groups {
		p.group(g, widths)
	}
	p.whyNot(a)
	p.outcome(a)
}

// group is the values of one record, and of those that are explained in the same way.
type group struct {
	record *string // nil: the values are the message's own
	rows   []explainedRow
	alike  []string       // the other records
	left   bool           // the record is left out of its list
	same   map[string]int // rows by what they say
	counts map[int]int    // how many more a row stands for
}

// explainedRow is a line of the table.
type explainedRow struct {
	cells  []string
	values string // before and after
}

func (r explainedRow) action() string { return r.cells[3] }

var explainedHeads = []string{"PLACE", "CATEGORY", "BY", "ACTION", "RULE OR REASON"}

// grouped puts the values of each record together, and then the records that are explained alike.
func grouped(items []*explain.Item) (groups []*group) {
	var all []*group
	index := map[string]*group{}
	for _, item := range items {
		key := "message"
		if item.Record != nil {
			key = "record " + *item.Record
		}
		g := index[key]
		if g == nil {
			g = &group{record: item.Record}
			index[key] = g
			all = append(all, g)
		}
		around := ""
		if g.record != nil {
			around = *g.record
		}
		g.add(item, around)
	}
	same := map[string]*group{}
	for _, g := range all {
		g.settle()
		key := fmt.Sprint(g.record == nil, g.left, g.rows)
		if first := same[key]; first != nil {
			first.alike = append(first.alike, *g.record)
			continue
		}
		same[key] = g
		groups = append(groups, g)
	}
	return groups
}

// add adds a value's rows, or counts them where elements of a list before it have the same.
func (g *group) add(item *explain.Item, around string) {
	if item.Dropped {
		g.left = true
		return
	}
	rows := rowsOf(item, "", around)
	place := rows[0].cells[0]
	rows[0].cells[0] = element.ReplaceAllString(place, "/*$1")
	key := fmt.Sprint(rows)
	if first, ok := g.same[key]; ok {
		g.counts[first]++
		return
	}
	if g.same == nil {
		g.same, g.counts = map[string]int{}, map[int]int{}
	}
	rows[0].cells[0] = place
	g.same[key] = len(g.rows)
	g.rows = append(g.rows, rows...)
}

// element is an index in a JSON Pointer.
var element = regexp.MustCompile(`/\d+(/|$)`)

// settle marks the rows that stand for several.
func (g *group) settle() {
	for row, more := range g.counts {
		cells := g.rows[row].cells
		cells[0] = fmt.Sprintf("%s ×%d", element.ReplaceAllString(cells[0], "/*$1"), more+1)
	}
}

// rows are a value's row, and those of what it holds.
func rowsOf(e *explain.Item, indent, around string) []explainedRow {
	row := explainedRow{cells: []string{indent + strings.TrimPrefix(e.At, around), orDash(e.Category), orDash(e.Recognized(around)), e.Action, e.Why()}}
	switch {
	case e.At == around && indent == "":
		row.cells[0] = "the whole"
	case e.At == "":
		row.cells[0] = indent + "in it"
	}
	if len(e.Before) > 0 {
		row.values = string(e.Before)
		if after := string(e.After); after != row.values {
			row.values += " → " + orNothing(after)
		}
	}
	rows := []explainedRow{row}
	for _, inner := range slices.Concat(e.Found, e.Values) {
		rows = append(rows, rowsOf(inner, indent+"  ", "")...)
	}
	return rows
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// widths are how wide columns may be, so that all of them fit the line: the widest gives first.
func (p *painter) widths(rows [][]string) []int {
	const gap, least = 2, 8
	widths := make([]int, len(rows[0]))
	total := gap * (len(widths) - 1)
	for _, row := range rows {
		for i, cell := range row {
			if more := cellsOf(cell) - widths[i]; more > 0 {
				widths[i] += more
				total += more
			}
		}
	}
	for ; total > p.columns; total-- {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= least {
			break
		}
		widths[widest]--
	}
	return widths
}

// row prints cells under each other.
func (p *painter) row(cells []string, widths []int, paint func(i int, text string) string) {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString("  ")
		}
		line.WriteString(paint(i, pad(cell, widths[i])))
	}
	fmt.Fprintln(p.out, strings.TrimRight(line.String(), " "))
}

func (p *painter) group(g *group, widths []int) {
	title := "Outside of records"
	if g.record != nil {
		title = "Record " + explain.Place(*g.record)
	}
	fmt.Fprint(p.out, "\n", p.paint(bold, title))
	if g.left {
		fmt.Fprint(p.out, p.paint(red, " is left out of its list"))
	}
	if n := len(g.alike); n > 0 {
		fmt.Fprint(p.out, p.paint(faint, fmt.Sprintf(" and %d more alike: %s", n, someOf(g.alike))))
	}
	fmt.Fprintln(p.out)
	p.row(explainedHeads, widths, func(_ int, text string) string { return p.paint(faint, text) })
	for _, r := range g.rows {
		color := actionColors[r.action()]
		p.row(r.cells, widths, func(i int, text string) string {
			if i == 3 || i == 0 && r.action() != "keep" {
				return p.paint(color, text)
			}
			return text
		})
		if r.values != "" {
			fmt.Fprintln(p.out, p.paint(faint, "    "+pad(r.values, min(p.columns-4, cellsOf(r.values)))))
		}
	}
}

var actionColors = map[string]string{"keep": green, "mask": yellow, "pseudonymize": yellow, "blank": red, "strip": red, "block": red}

// someOf names the first of a list.
func someOf(list []string) string {
	const most = 3
	if len(list) > most {
		return strings.Join(list[:most], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}

func (p *painter) outcome(a *explain.Account) {
	fmt.Fprintln(p.out)
	r := a.Refused
	if r == nil {
		fmt.Fprintln(p.out, p.paint(green, "The message is sent."))
		return
	}
	text := "The message is refused: " + r.Reason
	if r.Rule != "" {
		text += ", rule " + r.Rule
	}
	if r.Law != "" {
		text += " (" + r.Law + ")"
	}
	if r.Detail != "" {
		text += ", " + r.Detail
	}
	fmt.Fprintln(p.out, p.paint(red, text+"."))
	for _, at := range r.At {
		fmt.Fprintln(p.out, "  because of", explain.Place(at))
	}
}
