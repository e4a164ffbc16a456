package cmd

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/module/auditlog"
	"github.com/caddy-minimize/minimize/rules"
)

// auditFilter says which entries are meant.
type auditFilter struct {
	fields      map[string]*[]string // by the entry's member: one of these
	categories  []string             // one of these, or below
	callers     []string
	keys        string
	from, until string

	tokens   []string
	min, max time.Time
}

// auditFields are the members that a flag of the same name asks for.
var auditFields = []struct{ name, usage string }{
	{"direction", "response, inbound, egress or consent"},
	{"role", "Role of the caller"},
	{"recipient", "Recipient of the register"},
	{"purpose", "Purpose"},
	{"outcome", "passed, minimized, refused, aborted, …"},
	{"reason", "Why it was refused"},
	{"rule", "The rule that refused"},
	{"decision", "The decision's id: Minimize-Decision of an answer"},
}

func (f *auditFilter) flags(c *cobra.Command) {
	f.fields = map[string]*[]string{}
	for _, field := range auditFields {
		f.fields[field.name] = c.Flags().StringSlice(field.name, nil, field.usage)
	}
	c.Flags().StringSliceVar(&f.categories, "category", nil, "A category that was in the message, or a parent of one")
	c.Flags().StringSliceVar(&f.callers, "caller", nil, "A caller's token, as entries have it, or with --keys its id")
	c.Flags().StringVar(&f.keys, "keys", "", "The key directory of the gateway, to know callers by their ids")
	c.Flags().StringVar(&f.from, "from", "", "The first day or moment: 2026-11-22, 2026-11-22T09:00:00Z")
	c.Flags().StringVar(&f.until, "until", "", "The last day, or the moment before which")
}

// prepare reads what the flags say.
func (f *auditFilter) prepare() (err error) {
	if f.min, err = timeOf(f.from, false); err != nil {
		return fmt.Errorf("reading --from: %w", err)
	}
	if f.max, err = timeOf(f.until, true); err != nil {
		return fmt.Errorf("reading --until: %w", err)
	}
	f.tokens = f.callers
	if f.keys != "" && len(f.callers) > 0 {
		f.tokens, err = callerTokens(f.keys, f.callers)
	}
	return err
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

// callerTokens are those of the callers under every key, because keys rotate and entries stay.
func callerTokens(dir string, ids []string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	var tokens []string
	for _, entry := range entries {
		key, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil || strings.HasPrefix(entry.Name(), ".") {
			continue // as the gateway does
		}
		ring, err := rules.NewKeyRing(map[string][]byte{entry.Name(): key})
		if err != nil {
			continue // a recipient's own
		}
		for _, id := range ids {
			tokens = append(tokens, string(ring.Append(nil, "audit", "caller", []byte(id))))
		}
	}
	if len(tokens) == 0 {
		return nil, errors.New("reading the keys: there is none in the folder")
	}
	return tokens, nil
}

// matches reports whether an entry is meant.
func (f *auditFilter) matches(entry gjson.Result) bool {
	for name, wanted := range f.fields {
		if len(*wanted) > 0 && !slices.Contains(*wanted, entry.Get(name).String()) {
			return false
		}
	}
	if len(f.tokens) > 0 && !slices.Contains(f.tokens, entry.Get("caller").String()) {
		return false
	}
	if !f.min.IsZero() || !f.max.IsZero() {
		at := entry.Get("time").Time()
		if at.Before(f.min) || !f.max.IsZero() && !at.Before(f.max) {
			return false
		}
	}
	return len(f.categories) == 0 || f.hasCategory(entry)
}

func (f *auditFilter) hasCategory(entry gjson.Result) (found bool) {
	entry.Get("values").ForEach(func(name, _ gjson.Result) bool {
		category, _, _ := strings.Cut(name.Str, " ")
		found = slices.ContainsFunc(f.categories, func(c string) bool { return rules.Category(c).Contains(rules.Category(category)) })
		return !found
	})
	return found
}

// each calls show with the entries that are meant, and returns how many there were.
func (f *auditFilter) each(paths []string, errs io.Writer, show func(entry gjson.Result) error) (int, error) {
	if err := f.prepare(); err != nil {
		return 0, err
	}
	if len(paths) == 0 {
		return 0, errors.New("name the audit log: its file or files, or their folder")
	}
	p := newProgress(errs, "entries", 0, 0)
	defer p.done()
	read, shown := 0, 0
	err := auditlog.Read(paths, func(e auditlog.Entry) error {
		read++
		p.at(read)
		entry := gjson.ParseBytes(e.Text)
		if read == 1 && !entry.Get("decision").Exists() {
			return fmt.Errorf("%s:%d is no entry: this is no audit log", e.File, e.Line)
		}
		if !f.matches(entry) {
			return nil
		}
		shown++
		return show(entry)
	})
	return shown, err
}

func queryCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "query [flags] <log>...",
		Short: "Shows the entries of an audit log that are about something",
		Long: `Who received what, and why not: the entries that every flag agrees with. A flag may be given more than once, then one of its values
is enough.`,
	}
	f := &auditFilter{}
	f.flags(c)
	asJSON := c.Flags().Bool("json", false, "Print the entries as they are, a line each")
	c.RunE = func(c *cobra.Command, paths []string) error {
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
		return auditShown(c, n, errors.Join(err, out.Flush()))
	}
	return c
}

func auditShown(c *cobra.Command, n int, err error) error {
	switch {
	case err != nil:
		return usageError(c, err)
	case n == 0:
		fmt.Fprintln(c.ErrOrStderr(), "No entry is about that.")
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
	"seq", "time", "decision", "direction", "operation", "caller", "role", "purpose", "country", "recipient", "recipient_country", "mode", "status",
	"outcome", "reason", "rule", "event", "values", "read", "written", "dropped", "rules",
}

func exportAuditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export [flags] <log>...",
		Short: "Writes entries of an audit log as CSV",
		Long:  "Writes the entries that every flag agrees with as CSV, for a spreadsheet or an authority.",
	}
	f := &auditFilter{}
	f.flags(c)
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
		return auditShown(c, n, err)
	}
	return c
}
