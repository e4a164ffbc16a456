package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// mostLacking is how many rules for others are shown: those that lack the least.
const mostLacking = 3

// advice says what to do about a reason that no rule of the caller's can change.
var advice = map[string]string{
	rules.RecipientUnknown.String(): "The recipient is in no register: add it to `recipients`.",
	rules.Agreement.String():        "The recipient has no `contract` in force, is `suspended`, or is not registered for this purpose.",
	rules.Country.String():          "It would leave the `home`, or nobody knows where it goes: the caller's country, or the recipient's `country` and `transfer`.",
	rules.TransferMissing.String():  "The recipient's `transfer` is not complete for this: mechanism, assessment, dates, categories or consent.",
	rules.Authority.String():        "No foreign authority gets it without a `transfer` that somebody approved.",
}

// whyNot prints, for the categories that are not disclosed, which rules would and what they lack.
func (p *painter) whyNot(items []*explainedItem) {
	type reason struct {
		text               string
		categories, places []string
	}
	var reasons []*reason
	add := func(list []string, text string) []string {
		if slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, item := range flattened(items, "") {
		if !item.refused() {
			continue
		}
		text := p.lacks(item.explainedItem)
		i := slices.IndexFunc(reasons, func(r *reason) bool { return r.text == text })
		if i < 0 {
			i = len(reasons)
			reasons = append(reasons, &reason{text: text})
		}
		reasons[i].categories = add(reasons[i].categories, fmt.Sprintf("%s (%s)", item.Category, item.Grade))
		reasons[i].places = add(reasons[i].places, item.place)
	}
	for _, r := range reasons {
		fmt.Fprintf(p.out, "\n%s\n%s\n%s", p.paint(bold, "Why not "+strings.Join(r.categories, ", ")), p.paint(faint, "  at "+someOf(r.places)), r.text)
	}
}

type placedItem struct {
	*explainedItem
	place string
}

// flattened are values with what was found in them.
func flattened(items []*explainedItem, around string) (all []placedItem) {
	for _, item := range items {
		place := around + item.At
		all = append(all, placedItem{item, orWhole(place)})
		all = append(all, flattened(item.Found, place)...)
		all = append(all, flattened(item.Values, place+" » ")...)
	}
	return all
}

// refused reports whether rules may be missing: what an `allow` masks is as it was meant.
func (e *explainedItem) refused() bool {
	return e.Category != "" && e.Category != string(rules.None) && e.Reason != "" && e.Reason != rules.Permitted.String()
}

// lacks is a line for each rule that would disclose more.
func (p *painter) lacks(e *explainedItem) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	if text, ok := advice[e.Reason]; ok {
		line("%s", text)
		return b.String()
	}
	switch {
	case e.Reason == rules.Limited.String() && e.Rule == "":
		line("The gateway itself limits this category, whatever rules say.")
		return b.String()
	case e.Reason == rules.Limited.String() || e.Reason == rules.Over.String():
		line("The limit %s lowers it to %s. %s", p.paint(yellow, e.Rule), e.Action, p.paint(faint, e.Written))
	case len(e.Silent) > 0:
		line("These rules are for this caller and purpose, and do not name it: %s.", p.paint(yellow, strings.Join(e.Silent, ", ")))
		line("If it should be disclosed, name it under `mask` or `keep` in one of them.")
	case !slices.ContainsFunc(e.Lacking, func(l lackingView) bool { return l.Applies }):
		line("No rule that is for this caller and purpose permits anything: if it should be disclosed, write an `allow` with this `to` and `for`.")
	}
	for i, l := range e.Lacking {
		if i >= mostLacking && !l.Applies {
			line("%s", p.paint(faint, fmt.Sprintf("and %d more for others", len(e.Lacking)-i)))
			break
		}
		line("%s would %s it, but wants %s. %s", p.paint(yellow, l.Rule), l.Action, l.wants(), p.paint(faint, l.Source))
	}
	return b.String()
}

// wants says what a rule lacks, as it is written.
func (l *lackingView) wants() string {
	var parts []string
	for _, lack := range l.Lacks {
		text := lack.Key + ": " + lack.Wants
		switch {
		case lack.Unknown:
			text += " (not known)"
		case lack.Key == "consent" && lack.Reason != rules.ConsentMissing.String():
			text += " (" + lack.Reason + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
