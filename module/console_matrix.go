package minimize

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-minimize/minimize/module/console"
	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

var (
	errNoRules   = &pageError{http.StatusNotFound, "No route has rules yet"}
	errNoChoice  = &pageError{http.StatusNotFound, "No route has this choice of rule documents"}
	errNoPurpose = &pageError{http.StatusNotFound, "These rule documents declare no such purpose"}
)

// matrixForm is what is asked of the matrix.
type matrixForm struct {
	documents, purpose, group, cell string
	every                           bool
}

// link is the matrix with the detail of a cell.
func (f matrixForm) link(cell string) string {
	query := url.Values{"documents": {f.documents}, "purpose": {f.purpose}, "group": {f.group}}
	if f.every {
		query.Set("every", "1")
	}
	if cell == "" {
		return "matrix?" + query.Encode()
	}
	query.Set("cell", cell)
	return "matrix?" + query.Encode() + "#detail"
}

func (v *visit) matrix() (any, error) {
	sets := *v.h.app.current.Load()
	if len(sets) == 0 {
		return nil, errNoRules
	}
	form := matrixForm{v.query("documents"), v.query("purpose"), v.query("group"), v.query("cell"), v.query("every") != ""}
	keys := slices.Sorted(maps.Keys(sets))
	if !v.r.URL.Query().Has("documents") {
		form.documents = keys[0]
	}
	set := sets[form.documents]
	if set == nil {
		return nil, errNoChoice
	}
	matrix := v.purposeOf(set.enforced, &form)
	if matrix == nil {
		return nil, errNoPurpose
	}
	view := console.Matrix{Home: set.enforced.Home(), Every: form.every}
	for _, key := range keys {
		view.Choices = append(view.Choices, console.Option{Value: key, Text: choiceName(key), Chosen: key == form.documents})
	}
	for _, name := range set.enforced.Purposes() {
		view.Purposes = append(view.Purposes, console.Option{Value: name, Text: name, Chosen: name == form.purpose})
	}
	view.Groups = groupOptions(matrix, &form)
	for _, a := range matrix.Audiences {
		view.Audiences = append(view.Audiences, console.Audience{Name: a.Name, About: aboutAudience(a)})
	}
	for _, row := range matrixRows(matrix, form) {
		view.Rows = append(view.Rows, matrixRow(matrix, row, form))
	}
	view.Marks = console.MarksIn(view.Rows)
	view.Detail = v.detail(set.enforced, matrix, form)
	return view, nil
}

// purposeOf is the matrix of the purpose that is asked for, or of the one for which most may have something.
func (v *visit) purposeOf(set *rules.Ruleset, form *matrixForm) *rules.Matrix {
	if form.purpose != "" {
		if !set.KnowsPurpose(form.purpose) {
			return nil
		}
		return set.Matrix(form.purpose, v.now)
	}
	most := new(rules.Matrix)
	for _, purpose := range set.Purposes() {
		if m := set.Matrix(purpose, v.now); most.Purpose == "" || len(m.Audiences) > len(most.Audiences) {
			most, form.purpose = m, purpose
		}
	}
	return most
}

// aboutAudience is who it is, in a word.
func aboutAudience(a rules.Audience) string {
	switch {
	case a.Recipient != nil:
		return strings.TrimSpace(a.Recipient.Kind + " " + a.Recipient.Country)
	case a.Name == rules.Us:
		return "we collect"
	case slices.Contains([]string{rules.Anonymous, rules.Self, rules.Guardian}, a.Name):
		return "reader"
	}
	return "role"
}

// groupOf is the first step of a category's name.
func groupOf(category string) string {
	group, _, _ := strings.Cut(category, ".")
	return group
}

// groupOptions are the groups of categories, and all of them where another one is asked for.
func groupOptions(m *rules.Matrix, form *matrixForm) []console.Option {
	groups := make(map[string]bool)
	for _, row := range m.Rows {
		groups[groupOf(string(row.Category))] = true
	}
	return chooseGroup(groups, "all", &form.group)
}

func chooseGroup(groups map[string]bool, all string, chosen *string) []console.Option {
	if !groups[*chosen] {
		*chosen = ""
	}
	options := []console.Option{{Text: all, Chosen: *chosen == ""}}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		options = append(options, console.Option{Value: group, Text: group, Chosen: group == *chosen})
	}
	return options
}

// toldRow is a row of the matrix, and whether it speaks for others below it.
type toldRow struct {
	*rules.MatrixRow
	more bool
}

// matrixRows are the categories of the group; without `every` only those that say something of their own.
func matrixRows(m *rules.Matrix, form matrixForm) (told []*toldRow) {
	for i := range m.Rows {
		row := &m.Rows[i]
		if form.group != "" && groupOf(string(row.Category)) != form.group {
			continue
		}
		var around *toldRow // the nearest category around that is told
		for _, have := range told {
			if have.Category.Contains(row.Category) {
				around = have
			}
		}
		switch {
		case form.every:
			told = append(told, &toldRow{row, false})
		case around != nil && slices.EqualFunc(around.Cells, row.Cells, sameCell):
			around.more = true
		case around == nil && !slices.ContainsFunc(row.Cells, func(c rules.Cell) bool { return c.Action != rules.Strip }):
		case row.Grade == rules.Open && !slices.ContainsFunc(row.Cells, func(c rules.Cell) bool { return c.Action != rules.Keep }):
		default:
			told = append(told, &toldRow{row, false})
		}
	}
	return told
}

func sameCell(a, b rules.Cell) bool {
	return a.Action == b.Action && a.Otherwise == b.Otherwise && a.Limited == b.Limited && a.Marks == b.Marks
}

func matrixRow(m *rules.Matrix, row *toldRow, form matrixForm) console.MatrixRow {
	view := console.MatrixRow{Category: string(row.Category), Grade: row.Grade.String(), More: row.more}
	for i := range row.Cells {
		view.Cells = append(view.Cells, matrixCell(m.Audiences[i], row.MatrixRow, &row.Cells[i], form))
	}
	return view
}

func matrixCell(a rules.Audience, row *rules.MatrixRow, c *rules.Cell, form matrixForm) console.Cell {
	id := string(row.Category) + "," + a.Name // no category has a comma
	cell := console.Cell{
		Action: c.Action.String(), Marks: c.Marks.String(), Link: form.link(id), Audience: a.Name, Category: string(row.Category), Chosen: id == form.cell,
	}
	if c.Otherwise != c.Action && c.Otherwise != rules.Strip {
		cell.Otherwise = c.Otherwise.String()
	}
	if c.Reason != rules.Permitted {
		cell.Reason = c.Reason.String()
	}
	return cell
}

// detail is the cell that is asked for; nil where there is none.
func (v *visit) detail(set *rules.Ruleset, m *rules.Matrix, form matrixForm) *console.Detail {
	category, audience, _ := strings.Cut(form.cell, ",")
	r := slices.IndexFunc(m.Rows, func(row rules.MatrixRow) bool { return string(row.Category) == category })
	a := slices.IndexFunc(m.Audiences, func(a rules.Audience) bool { return a.Name == audience })
	if r < 0 || a < 0 {
		return nil
	}
	row := &m.Rows[r]
	cell := &row.Cells[a]
	d := &console.Detail{
		Cell: matrixCell(m.Audiences[a], row, cell, form), Grade: row.Grade.String(), Purpose: m.Purpose, Close: form.link(""),
	}
	if cell.Limited != cell.Otherwise {
		d.Limited = cell.Limited.String()
	}
	for _, o := range opinions(set, m, m.Audiences[a], row.Category) {
		d.Rules = append(d.Rules, v.h.app.ruleView(&o, o.Rule.ID == cell.Rule || slices.Contains(cell.Limits, o.Rule.ID)))
	}
	slices.SortStableFunc(d.Rules, func(a, b console.Rule) int {
		return cmp.Or(cmp.Compare(bit(b.Decides), bit(a.Decides)), cmp.Compare(bit(a.Limit), bit(b.Limit)))
	})
	return d
}

// opinions are what the rules say that name a category for an audience and a purpose.
func opinions(set *rules.Ruleset, m *rules.Matrix, a rules.Audience, category rules.Category) []rules.Opinion {
	names := func(words []rules.Word, name string) bool {
		return slices.ContainsFunc(words, func(w rules.Word) bool { return w.Name == name })
	}
	j := set.Scope("GET", "/").Judge(&rules.Disclosure{Purpose: m.Purpose})
	return slices.DeleteFunc(j.Explain(set.ID(category), j.UnknownFacts()).Opinions, func(o rules.Opinion) bool {
		to := names(o.Rule.To, a.Name) || a.Recipient != nil && names(o.Rule.To, a.Recipient.Kind) ||
			o.Limit && a.Name != rules.Us && names(o.Rule.To, rules.Any)
		return !to || len(o.Rule.For) > 0 && !names(o.Rule.For, m.Purpose)
	})
}

// ruleView is a rule in words, with the clause that stands above it.
func (a *App) ruleView(o *rules.Opinion, decides bool) console.Rule {
	r := o.Rule
	view := console.Rule{
		ID: r.ID, Limit: o.Limit, Decides: decides, Action: o.Action.String(), At: filepath.Base(r.Pos.File) + ":" + strconv.Itoa(r.Pos.Line),
	}
	view.Clause, view.Text = a.written(r.Pos)
	say := func(name, text string) {
		if text != "" {
			view.Words = append(view.Words, console.Fact{Name: name, Text: text})
		}
	}
	say("law", r.Law)
	say("to", wordList(r.To))
	say("from", wordList(r.From))
	say("for", wordList(r.For))
	say("legal basis", strings.ReplaceAll(r.Basis, "_", " "))
	if r.Consent != "" {
		say("consent", r.Consent+" or a higher level, of the data subject")
	}
	if r.Since > 0 {
		say("policy", "version "+strconv.Itoa(r.Since)+" or a newer one, accepted")
	}
	if r.Case != "" {
		say("case", "an open "+r.Case+" of the data subject")
	}
	for i := range r.When {
		say("when", r.When[i].String())
	}
	if r.Unless != nil {
		say("unless", r.Unless.String())
	}
	if r.Over > 0 {
		say("over", strconv.Itoa(r.Over)+" data subjects per caller and day")
	}
	return view
}

func wordList(words []rules.Word) string {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = w.Name
	}
	return strings.Join(names, ", ")
}

// written is a rule as its document has it, and the comment above it, which says why: the clause of a policy or a law. Both
// are empty where the documents have changed since the rules were taken.
func (a *App) written(at rules.Pos) (clause, text string) {
	a.mu.Lock()
	files := a.loaded.files
	a.mu.Unlock()
	i := slices.IndexFunc(files, func(f rulefile.File) bool { return f.Name == at.File })
	if i < 0 {
		return "", ""
	}
	lines := strings.Split(string(files[i].Data), "\n")
	if at.Line > len(lines) {
		return "", ""
	}
	first := at.Line - 1
	indent := indentOf(lines[first])
	last := first + 1
	for last < len(lines) && strings.TrimSpace(lines[last]) != "" && indentOf(lines[last]) > indent {
		last++
	}
	for above := first - 1; above >= 0; above-- {
		comment, is := strings.CutPrefix(strings.TrimSpace(lines[above]), "#")
		if comment = strings.TrimSpace(comment); !is || strings.HasPrefix(comment, "----") {
			break
		}
		if !strings.HasPrefix(comment, "lint:") {
			clause = strings.TrimSpace(comment + " " + clause)
		}
	}
	for _, line := range lines[first:last] {
		text += strings.TrimRight(line[min(indent, len(line)):], " \r") + "\n"
	}
	return clause, text
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
