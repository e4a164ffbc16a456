package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// summarize prints who received what in the entries that are meant.
func summarize(c *cobra.Command, f *auditFlags, paths []string, s *auditlog.Summary, asJSON bool) error {
	n, err := f.each(paths, c.ErrOrStderr(), s.Add)
	switch {
	case err != nil || n == 0:
	case asJSON:
		err = printJSON(c.OutOrStdout(), map[string]any{"entries": n, "received": s.Rows()})
	default:
		newPainter(c.OutOrStdout()).received(s.Rows(), len(f.subjects) > 0, s.ByCaller)
	}
	return auditShown(c, f, n, err)
}

// received prints who received what. About somebody, it says how much was about nobody else.
func (p *painter) received(rows []*auditlog.Received, aboutSomebody, byCaller bool) {
	shared := false
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		head := p.paint(bold, r.Receiver())
		if len(r.Purposes) > 0 {
			head += "  " + p.paint(faint, strings.Join(r.Purposes, ", "))
		}
		fmt.Fprintln(p.out, head)
		fmt.Fprintf(p.out, "  %s, %s\n", r.Said(aboutSomebody), r.Period())
		if byCaller && r.Subjects > 0 {
			fmt.Fprintf(p.out, "  %s data subjects, those of each message added up\n", humanize.Comma(int64(r.Subjects)))
		}
		if r.Report {
			fmt.Fprintln(p.out, "  "+p.paint(yellow, "Report mode: everything was sent as it came."))
		}
		shared = shared || r.Alone < r.Messages
		width := 0
		for category := range r.Values {
			width = max(width, cellsOf(category))
		}
		for _, category := range slices.Sorted(maps.Keys(r.Values)) {
			fmt.Fprintf(p.out, "  %s  %s\n", pad(category, width), p.done(r.Values[category]))
		}
	}
	if aboutSomebody && shared {
		fmt.Fprintf(p.out, "\n%s\n", p.paint(faint, "Values are counted over whole messages: where one is about others too, theirs are among them."))
	}
}

// what was done to values, in the order of the actions.
var doneWords = [...]struct{ word, color string }{
	rules.Keep: {"kept", green}, rules.Mask: {"masked", yellow}, rules.Pseudonymize: {"pseudonymized", yellow},
	rules.Blank: {"blanked", faint}, rules.Strip: {"stripped", faint}, rules.Block: {"blocked", red},
}

func (p *painter) done(actions map[string]int) string {
	var parts []string
	for action, as := range doneWords {
		if n := actions[rules.Action(action).String()]; n > 0 {
			parts = append(parts, p.paint(as.color, fmt.Sprintf("%s ×%s", as.word, humanize.Comma(int64(n)))))
		}
	}
	return strings.Join(parts, ", ")
}
