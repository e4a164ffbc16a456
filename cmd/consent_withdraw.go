package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// withdrawal is what the flags say.
type withdrawal struct {
	subject, purpose, recipient, entity string
	all, yes, asJSON                    bool
}

// withdrawn is one record that the command withdrew.
type withdrawn struct {
	Purpose   string `json:"purpose"`
	Recipient string `json:"recipient_third_party,omitempty"`
}

func withdrawCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "withdraw (--purpose <purpose> [--recipient <recipient>] | --all) [--yes] <data subject>",
		Short: "Withdraws a data subject's consents",
		Long: `Withdraws the consents of a data subject for a purpose: towards everybody, or with --recipient towards that one only. --all
withdraws every consent. Gateways act on the next body. On a terminal it asks first.`,
		Args: exactlyOne("the data subject's id"),
	}
	var w withdrawal
	c.Flags().StringVar(&w.purpose, "purpose", "", "The purpose to withdraw the consent for")
	c.Flags().StringVar(&w.recipient, "recipient", "", "Only towards this recipient")
	c.Flags().BoolVar(&w.all, "all", false, "Every consent, for all purposes")
	c.Flags().BoolVar(&w.yes, "yes", false, "Do not ask")
	c.Flags().StringVar(&w.entity, "by", "command line", "Who withdraws it, for the history: an id")
	c.Flags().BoolVar(&w.asJSON, "json", false, "Print what was withdrawn as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		w.subject = args[0]
		if (w.purpose == "") != w.all || w.all && w.recipient != "" {
			return usageError(c, errors.New("give either --purpose, with or without --recipient, or --all"))
		}
		return runConsent(c, func(ctx context.Context) error { return w.run(ctx, c) })
	}
	return c
}

func (w *withdrawal) run(ctx context.Context, c *cobra.Command) error {
	store, err := openStore(ctx, c, false)
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := subjectOf(ctx, store, w.subject)
	if err != nil {
		return err
	}
	records, over := w.affected(s)
	switch {
	case len(records) == 0 && !over:
		return errNothing
	case len(records) == 0:
		return w.report(c, records)
	}
	if !w.yes && onTerminal(c.InOrStdin()) && !w.confirmed(c, records) {
		return errors.New("nothing was withdrawn")
	}
	if _, err := store.Apply(ctx, consentstore.Batch{Entries: w.entries(records)}); err != nil {
		return fmt.Errorf("withdrawing: %w", err)
	}
	return w.report(c, records)
}

func (w *withdrawal) report(c *cobra.Command, records []withdrawn) error {
	if w.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"withdrawn": records})
	}
	p := newPainter(c.OutOrStdout())
	for _, r := range records {
		fmt.Fprintln(p.out, p.paint(green, "withdrawn"), r)
	}
	if len(records) == 0 {
		fmt.Fprintln(p.out, "It is withdrawn already.")
	}
	return nil
}

// affected are the consents that stand and that the flags mean. over: there are some that stood.
func (w *withdrawal) affected(s *consentstore.Subject) (records []withdrawn, over bool) {
	records = []withdrawn{}
	for _, r := range s.Records {
		if meant := w.all || r.Purpose == w.purpose && (w.recipient == "" || r.Recipient == w.recipient); !meant {
			continue
		}
		if !r.Given.IsZero() && r.Withdrawn.IsZero() {
			records = append(records, withdrawn{r.Purpose, r.Recipient})
		}
		over = over || !r.Withdrawn.IsZero()
	}
	return records, over
}

// entries withdraw the purposes of these records: without a recipient towards everybody, so that no consent which is given
// at this moment towards one of them slips through.
func (w *withdrawal) entries(records []withdrawn) []consentstore.Entry {
	var entries []consentstore.Entry
	for _, r := range records {
		e := consentstore.Entry{
			Subject: w.subject, Purpose: r.Purpose, Recipient: w.recipient, Event: consentstore.Withdraw, Entity: w.entity,
		}
		if n := len(entries); n == 0 || entries[n-1].Purpose != e.Purpose { // records are in the order of their purposes
			entries = append(entries, e)
		}
	}
	return entries
}

// confirmed shows what is going to be withdrawn and asks.
func (w *withdrawal) confirmed(c *cobra.Command, records []withdrawn) bool {
	p := newPainter(c.ErrOrStderr())
	for _, r := range records {
		fmt.Fprintln(p.out, " ", r)
	}
	fmt.Fprint(p.out, p.paint(bold, "Withdraw these consents? [y/N] "))
	answer, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n') // what cannot be read is no yes
	return strings.EqualFold(strings.TrimSpace(answer), "y") || strings.EqualFold(strings.TrimSpace(answer), "yes")
}

func (r withdrawn) String() string {
	if r.Recipient == "" {
		return r.Purpose
	}
	return r.Purpose + " towards " + r.Recipient
}
