package cmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

func showConsentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show [--history] [--json] <data subject>",
		Short: "Shows what is stored of a data subject",
		Args:  exactlyOne("the data subject's id"),
	}
	history := c.Flags().Bool("history", false, "Show every change, oldest first")
	asJSON := c.Flags().Bool("json", false, "Print it as one JSON document")
	c.RunE = func(c *cobra.Command, args []string) error {
		return runConsent(c, func(ctx context.Context) error { return show(ctx, c, args[0], *history, *asJSON) })
	}
	return c
}

// shown is a data subject with its history, where that is asked for.
type shown struct {
	*consentstore.Subject
	History []consentstore.Entry `json:"history,omitempty"`
}

func show(ctx context.Context, c *cobra.Command, id string, history, asJSON bool) error {
	store, err := openStore(ctx, c, false)
	if err != nil {
		return err
	}
	defer store.Close()
	s := shown{}
	if s.Subject, err = subjectOf(ctx, store, id); err != nil {
		return err
	}
	if history {
		if s.History, err = store.History(ctx, id); err != nil {
			return fmt.Errorf("reading the history: %w", err)
		}
	}
	if asJSON {
		return printJSON(c.OutOrStdout(), s)
	}
	return s.print(newPainter(c.OutOrStdout()), time.Now())
}

func (s *shown) print(p *painter, now time.Time) error {
	fmt.Fprintln(p.out, strings.TrimSpace(p.paint(bold, s.Subject.Subject)+"  "+strings.Join(s.facts(), ", ")))
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	if len(s.Records) > 0 {
		fmt.Fprintln(w, "\nPURPOSE\tRECIPIENT\tLEVEL\tGIVEN\tBY\tPOLICY\tSTATE")
	}
	for _, r := range s.Records {
		state, color := stateOf(&r, now)
		fmt.Fprintln(w, strings.Join([]string{
			orDash(r.Purpose), orDash(r.Recipient), orDash(r.Level), moment(r.Given), orDash(r.GivenBy), number(r.Policy), p.paint(color, state),
		}, "\t"))
	}
	if len(s.Cases) > 0 {
		fmt.Fprintln(w, "\nCASE\tKIND\tCALLERS\tROLES\tENDS")
	}
	for _, c := range s.Cases {
		fmt.Fprintln(w, strings.Join([]string{
			c.ID, c.Kind, orDash(strings.Join(c.Callers, " ")), orDash(strings.Join(c.Roles, " ")), moment(c.Ends),
		}, "\t"))
	}
	if len(s.History) > 0 {
		fmt.Fprintln(w, "\nTIME\tEVENT\tPURPOSE\tRECIPIENT\tLEVEL\tBY\tMADE BY")
	}
	for _, e := range s.History {
		fmt.Fprintln(w, strings.Join([]string{
			moment(e.At), string(e.Event), orDash(e.Purpose), orDash(e.Recipient), orDash(e.Level), orDash(e.GivenBy), orDash(e.Entity),
		}, "\t"))
	}
	return w.Flush()
}

// facts are what is known beside consents and cases.
func (s *shown) facts() []string {
	var facts []string
	if s.Born != "" {
		facts = append(facts, "born "+s.Born)
	}
	if s.Minor {
		facts = append(facts, "a minor")
	}
	if len(s.Guardians) > 0 {
		facts = append(facts, "guardians "+strings.Join(s.Guardians, " "))
	}
	if s.Profile.Policy > 0 {
		facts = append(facts, "accepted policy "+strconv.Itoa(s.Profile.Policy))
	}
	if !s.Ended.IsZero() {
		facts = append(facts, "deleted "+moment(s.Ended))
	}
	return facts
}

// stateOf says what holds of a record: the last of what ends it.
func stateOf(r *consentstore.Record, now time.Time) (state, color string) {
	var states []string
	for _, s := range []struct {
		at   time.Time
		text string
	}{{r.Withdrawn, "withdrawn"}, {r.Objected, "objected"}, {r.Restricted, "restricted"}} {
		if !s.at.IsZero() {
			states = append(states, s.text+" "+moment(s.at))
		}
	}
	if !r.Expires.IsZero() && !r.Expires.After(now) {
		states = append(states, "expired "+moment(r.Expires))
	}
	switch {
	case len(states) > 0:
		return strings.Join(states, ", "), red
	case r.Given.IsZero():
		return "nothing given", faint
	case !r.Expires.IsZero():
		return "given until " + moment(r.Expires), green
	default:
		return "given", green
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
