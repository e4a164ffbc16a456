package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// Recognized says by what a value of a record was recognized. around is where the record starts.
func (e *Item) Recognized(around string) string {
	declared := e.Declared
	if e.By == "container" {
		declared = strings.TrimPrefix(declared, around)
	}
	return strings.TrimSpace(e.By + " " + declared)
}

// Why names the rule that decided, or the reason.
func (e *Item) Why() string {
	switch {
	case e.Category == string(rules.None):
		return "declared to be none"
	case e.Category == "" && e.By == "container":
		return "goes with it"
	case e.Category == "" && e.Action == rules.Keep.String():
		return "not recognized"
	case e.Category == "":
		return "undeclared"
	case e.Reason == rules.Permitted.String() && e.Rule == "":
		return "open"
	case e.Reason == rules.Permitted.String():
		return e.Rule
	case e.Rule != "":
		return e.Reason + ": " + e.Rule
	case e.Reason == rules.Limited.String():
		return "always"
	}
	return e.Reason
}

// Line is a sentence about a rule, in the parts that are shown differently.
type Line struct{ Before, Rule, After, Source string }

// Reason is why categories are not disclosed, and what would have to be written or to be true so that they are.
type Reason struct {
	Categories, Places []string
	Lines              []Line
}

// WhyNot are the reasons why values are not disclosed, those with the same one together.
func (a *Account) WhyNot() (reasons []*Reason) {
	add := func(list []string, text string) []string {
		if slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, item := range flattened(a.Values, "") {
		if !item.refused() {
			continue
		}
		lines := item.Lines()
		i := slices.IndexFunc(reasons, func(r *Reason) bool { return slices.Equal(r.Lines, lines) })
		if i < 0 {
			i = len(reasons)
			reasons = append(reasons, &Reason{Lines: lines})
		}
		reasons[i].Categories = add(reasons[i].Categories, fmt.Sprintf("%s (%s)", item.Category, item.Grade))
		reasons[i].Places = add(reasons[i].Places, item.place)
	}
	return reasons
}

type placedItem struct {
	*Item
	place string
}

// flattened are values with what was found in them.
func flattened(items []*Item, around string) (all []placedItem) {
	for _, item := range items {
		place := around + item.At
		all = append(all, placedItem{item, Place(place)})
		all = append(all, flattened(item.Found, place)...)
		all = append(all, flattened(item.Values, place+" » ")...)
	}
	return all
}

// Place is a JSON Pointer for people.
func Place(pointer string) string {
	if pointer == "" {
		return "(the whole document)"
	}
	return pointer
}

// refused reports whether rules may be missing: what an `allow` masks is as it was meant.
func (e *Item) refused() bool {
	return e.Category != "" && e.Category != string(rules.None) && e.Reason != "" && e.Reason != rules.Permitted.String()
}

// advice says what to do about a reason that no rule of the caller's can change.
var advice = map[string]string{
	rules.RecipientUnknown.String(): "The recipient is in no register: add it to `recipients`.",
	rules.Agreement.String():        "The recipient has no `contract` in force, is `suspended`, or is not registered for this purpose.",
	rules.Country.String():          "It would leave the `home`, or nobody knows where it goes: the caller's country, or the recipient's `country` and `transfer`.",
	rules.TransferMissing.String():  "The recipient's `transfer` is not complete for this: mechanism, assessment, dates, categories or consent.",
	rules.Authority.String():        "No foreign authority gets it without a `transfer` that somebody approved.",
}

// mostLacking is how many rules for others are shown: those that lack the least.
const mostLacking = 3

// Lines say why a value is not disclosed: one for each rule that would disclose more.
func (e *Item) Lines() []Line {
	if text, ok := advice[e.Reason]; ok {
		return []Line{{Before: text}}
	}
	var lines []Line
	switch {
	case e.Reason == rules.Limited.String() && e.Rule == "":
		return []Line{{Before: "The gateway itself limits this category, whatever rules say."}}
	case e.Reason == rules.Limited.String() || e.Reason == rules.Over.String():
		lines = append(lines, Line{"The limit ", e.Rule, " lowers it to " + e.Action + ".", e.Written})
	case len(e.Silent) > 0:
		lines = append(lines, Line{"These rules are for this caller and purpose, and do not name it: ", strings.Join(e.Silent, ", "), ".", ""},
			Line{Before: "If it should be disclosed, name it under `mask` or `keep` in one of them."})
	case !slices.ContainsFunc(e.Lacking, func(l Lacking) bool { return l.Applies }):
		lines = append(lines, Line{Before: "No rule that is for this caller and purpose permits anything: if it should be disclosed, write an `allow` with this `to` and `for`."})
	}
	for i, l := range e.Lacking {
		if i >= mostLacking && !l.Applies {
			return append(lines, Line{Source: fmt.Sprintf("and %d more for others", len(e.Lacking)-i)})
		}
		lines = append(lines, Line{"", l.Rule, fmt.Sprintf(" would %s it, but wants %s.", l.Action, l.wants()), l.Source})
	}
	return lines
}

// wants says what a rule lacks, as it is written.
func (l *Lacking) wants() string {
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
