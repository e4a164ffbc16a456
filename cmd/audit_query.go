package cmd

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// auditFlags say which entries are meant.
type auditFlags struct {
	members                  map[string]*[]string // by the entry's member: one of these
	categories               []string             // one of these, or below
	callers, subjects, cases []string
	keys, from, until        string

	unnamed  int                // entries that may be meant, too
	findings []auditlog.Finding // where the log is not what was written
}

// auditMembers are the members that a flag of the same name asks for.
var auditMembers = []struct{ name, usage string }{
	{"direction", "response, inbound, egress or consent"},
	{"role", "Role of the caller"},
	{"recipient", "Recipient of the register"},
	{"purpose", "Purpose"},
	{"outcome", "passed, minimized, refused, aborted, …"},
	{"reason", "Why it was refused"},
	{"rule", "The rule that refused"},
	{"node", "The gateway that wrote it"},
	{"decision", "The decision's id: Minimize-Decision of an answer"},
}

func (f *auditFlags) add(c *cobra.Command) {
	f.members = map[string]*[]string{}
	for _, member := range auditMembers {
		f.members[member.name] = c.Flags().StringSlice(member.name, nil, member.usage)
	}
	c.Flags().StringSliceVar(&f.categories, "category", nil, "A category that was in the message, or a parent of one")
	c.Flags().StringSliceVar(&f.callers, "caller", nil, "A caller's token, as entries have it, or with --keys its id")
	c.Flags().StringSliceVar(&f.subjects, "subject", nil, "A data subject's token, or with --keys its id")
	c.Flags().StringSliceVar(&f.cases, "case", nil, "A case's token, or with --keys its id")
	c.Flags().StringVar(&f.keys, "keys", "", "The key directory of the gateway, to know callers, data subjects and cases by their ids")
	c.Flags().StringVar(&f.from, "from", "", "The first day or moment: 2026-11-22, 2026-11-22T09:00:00Z")
	c.Flags().StringVar(&f.until, "until", "", "The last day, or the moment before which")
}

// filter is what the flags say.
func (f *auditFlags) filter() (*auditlog.Filter, error) {
	filter := &auditlog.Filter{Members: map[string][]string{}, Verify: true}
	for name, values := range f.members {
		filter.Members[name] = *values
	}
	for _, name := range f.categories {
		filter.Categories = append(filter.Categories, rules.Category(name))
	}
	var err error
	if filter.From, err = timeOf(f.from, false); err != nil {
		return nil, fmt.Errorf("reading --from: %w", err)
	}
	if filter.Until, err = timeOf(f.until, true); err != nil {
		return nil, fmt.Errorf("reading --until: %w", err)
	}
	for _, ids := range []struct {
		of     rules.Category
		given  []string
		tokens *[]string
	}{
		{auditlog.Caller, f.callers, &filter.Callers},
		{auditlog.Subject, f.subjects, &filter.Subjects},
		{auditlog.Case, f.cases, &filter.Cases},
	} {
		if i := slices.IndexFunc(ids.given, func(id string) bool { return f.keys == "" && !rules.IsToken(id) }); i >= 0 {
			return nil, errors.New("an id stands in no entry: name the gateway's key directory with --keys, or a token out of an entry")
		}
		if *ids.tokens = ids.given; f.keys != "" && len(ids.given) > 0 {
			if *ids.tokens, err = auditlog.Tokens(f.keys, ids.of, ids.given); err != nil {
				return nil, err
			}
		}
	}
	return filter, nil
}

// timeOf reads a day or a moment. As an end, a day counts whole.
func timeOf(text string, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	d, err := parseDay(text)
	if end {
		return d.end(), err
	}
	return d.Time, err
}

// each calls show with the entries that are meant, and returns how many there were.
func (f *auditFlags) each(paths []string, errs io.Writer, show func(entry gjson.Result) error) (int, error) {
	filter, err := f.filter()
	if err != nil {
		return 0, err
	}
	if len(paths) == 0 {
		return 0, errors.New("name the audit log: its file or files, or their folder")
	}
	p := newProgress(errs, "entries", 0, 0)
	defer p.done()
	filter.Read = func(n int) error { p.at(n); return nil }
	n, err := filter.Each(paths, show)
	f.unnamed, f.findings = filter.Unnamed, filter.Findings
	return n, err
}

func queryCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "query [flags] <log>...",
		Short: "Shows the entries of an audit log that are about something",
		Long: `Who received what, and why not: the entries that every flag agrees with. A flag may be given more than once, then one of its values
is enough. With --summary not the entries, but who received what in all of them.`,
		Example: `minimize audit query --subject u-1 --keys /run/secrets/minimize --summary audit.jsonl   # who received what about this person`,
	}
	f := &auditFlags{}
	f.add(c)
	asJSON := c.Flags().Bool("json", false, "Print the entries as they are, a line each; a summary as one JSON document")
	summarized := c.Flags().Bool("summary", false, "Print who received what, how often, first and last")
	byCaller := c.Flags().Bool("by-caller", false, "With --summary, add up each caller for itself, with how many data subjects the messages told of")
	c.RunE = func(c *cobra.Command, paths []string) error {
		if *byCaller && !*summarized {
			return usageError(c, errors.New("reading --by-caller: it is for --summary"))
		}
		if *summarized {
			return summarize(c, f, paths, &auditlog.Summary{ByCaller: *byCaller}, *asJSON)
		}
		out := bufio.NewWriter(c.OutOrStdout())
		p := newPainter(c.OutOrStdout())
		n, err := f.each(paths, c.ErrOrStderr(), func(entry gjson.Result) error {
			text := entry.Raw
			if !*asJSON {
				text = entryLine(p, entry)
			}
			_, err := fmt.Fprintln(out, text)
			return err
		})
		return auditShown(c, f, n, errors.Join(err, out.Flush()))
	}
	return c
}

func auditShown(c *cobra.Command, f *auditFlags, n int, err error) error {
	if err != nil {
		return usageError(c, err)
	}
	if f.unnamed > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%s more tell of so many people that not all are named: they may be about that, too.\n",
			humanize.Comma(int64(f.unnamed)))
	}
	if n == 0 {
		fmt.Fprintln(c.ErrOrStderr(), "No entry is about that.")
	}
	if len(f.findings) > 0 {
		p := newPainter(c.ErrOrStderr())
		p.findings(f.findings, 3)
		fmt.Fprintln(p.out, p.paint(red, "The log is not what was written: `minimize audit verify` shows where."))
	}
	if n == 0 || len(f.findings) > 0 {
		return exitWith(c, exitFound)
	}
	return nil
}

// entryLine is an entry for people: when, who to whom, what for, and what came of it.
func entryLine(p *painter, entry gjson.Result) string {
	get := func(name string) string { return entry.Get(name).String() }
	who, to := get("role"), get("recipient")
	switch get("direction") {
	case "egress":
		who = "us → " + to
	case "inbound":
		if who += " → us"; to != "" {
			who = to + " → us"
		}
	}
	outcome, color := get("outcome"), green
	if reason := get("reason"); reason != "" {
		outcome, color = strings.TrimSuffix(outcome+": "+reason+" "+get("rule"), " "), red
	}
	if event := get("event"); event != "" {
		outcome = event
	}
	var values []string
	entry.Get("values").ForEach(func(name, n gjson.Result) bool {
		values = append(values, fmt.Sprintf("%s ×%d", name.Str, n.Int()))
		return true
	})
	return strings.TrimRight(strings.Join([]string{
		get("time"), pad(who, 24), pad(get("purpose"), 16), p.paint(color, pad(outcome, max(cellsOf(outcome), 22))), strings.Join(values, ", "),
	}, "  "), " ")
}

// auditColumns are those of a table for auditors.
var auditColumns = []string{
	"seq", "time", "decision", "node", "direction", "operation", "caller", "role", "purpose", "country", "case", "recipient", "recipient_country",
	"mechanism", "mode", "status", "outcome", "reason", "rule", "event", "subject", "subjects", "people", "values", "read", "written", "dropped", "rules",
}

func exportAuditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export [flags] <log>...",
		Short: "Writes entries of an audit log as CSV",
		Long:  "Writes the entries that every flag agrees with as CSV, for a spreadsheet or an authority.",
	}
	f := &auditFlags{}
	f.add(c)
	c.RunE = func(c *cobra.Command, paths []string) error {
		out := csv.NewWriter(c.OutOrStdout())
		if err := out.Write(auditColumns); err != nil {
			return err
		}
		n, err := f.each(paths, c.ErrOrStderr(), func(entry gjson.Result) error {
			row := make([]string, len(auditColumns))
			for i, name := range auditColumns {
				row[i] = entry.Get(name).String()
			}
			return out.Write(row)
		})
		if err == nil {
			out.Flush()
			err = out.Error()
		}
		return auditShown(c, f, n, err)
	}
	return c
}
