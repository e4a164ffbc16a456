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
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := subjectOf(ctx, store, w.subject)
	if err != nil {
		return err
	}
	records := w.affected(s)
	if len(records) == 0 {
		return errNothing
	}
	if !w.yes && onTerminal(c.InOrStdin()) && !w.confirmed(c, records) {
		return errors.New("nothing was withdrawn")
	}
	b := consentstore.Batch{Entries: w.entries(records)}
	if err := b.Check(); err != nil {
		return err
	}
	if _, err := store.Apply(ctx, b); err != nil {
		return fmt.Errorf("withdrawing: %w", err)
	}
	if w.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"withdrawn": records})
	}
	p := newPainter(c.OutOrStdout())
	for _, r := range records {
		fmt.Fprintln(p.out, p.paint(green, "withdrawn"), r)
	}
	return nil
}

// affected are the consents that stand and that the flags mean.
func (w *withdrawal) affected(s *consentstore.Subject) []withdrawn {
	var records []withdrawn
	for _, r := range s.Records {
		meant := w.all || r.Purpose == w.purpose && (w.recipient == "" || r.Recipient == w.recipient)
		if meant && !r.Given.IsZero() && r.Withdrawn.IsZero() {
			records = append(records, withdrawn{r.Purpose, r.Recipient})
		}
	}
	return records
}

// entries withdraw the records one by one and, without a recipient, the purpose towards everybody, so that no consent which
// is given at this moment towards one of them slips through.
func (w *withdrawal) entries(records []withdrawn) []consentstore.Entry {
	var entries []consentstore.Entry
	add := func(purpose, recipient string) {
		entries = append(entries, consentstore.Entry{
			Subject: w.subject, Purpose: purpose, Recipient: recipient, Event: consentstore.Withdraw, Entity: w.entity,
		})
	}
	towardsAll := map[string]bool{}
	for _, r := range records {
		if w.recipient == "" && !towardsAll[r.Purpose] {
			towardsAll[r.Purpose] = true
			add(r.Purpose, "")
		}
		if r.Recipient != "" {
			add(r.Purpose, r.Recipient)
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
