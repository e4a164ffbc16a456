package cmd

import (
	"fmt"
	"strings"

	"github.com/caddy-minimize/minimize/rules/explain"
)

// whyNot prints, for the categories that are not disclosed, which rules would and what they lack.
func (p *painter) whyNot(a *explain.Account) {
	for _, r := range a.WhyNot() {
		fmt.Fprintf(p.out, "\n%s\n%s\n", p.paint(bold, "Why not "+strings.Join(r.Categories, ", ")), p.paint(faint, "  at "+someOf(r.Places)))
		for _, l := range r.Lines {
			fmt.Fprintln(p.out, "  "+strings.TrimSpace(l.Before+p.tint(yellow, l.Rule)+l.After+" "+p.tint(faint, l.Source)))
		}
	}
}

// tint paints a text where there is one.
func (p *painter) tint(color, text string) string {
	if text == "" {
		return ""
	}
	return p.paint(color, text)
}
