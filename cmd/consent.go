package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// errNothing says that there was nothing to show or to change.
var errNothing = errors.New("nothing is stored that this is about")

func consentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "consent",
		Short: "Imports, exports, shows and withdraws consents",
		Long: `Works on the store of consents and cases itself, beside running gateways: they see a change as they see each other's. The
store is the first that is named, by --store, by the configuration of --config, by ` + dsnVariable + ` in the environment,
or by ./Caddyfile. Only import makes an SQLite file where there is none.

Exit codes: 0 done, 1 nothing found or not done, 2 wrong usage, or there is no such store.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(c, errors.New("there is no such command; there are import, export, show and withdraw"))
			}
			return c.Help()
		},
	}
	addStoreFlags(c)
	c.SilenceErrors, c.SilenceUsage = true, true // printed readably already
	for _, sub := range []*cobra.Command{importCommand(), exportCommand(), showConsentCommand(), withdrawCommand()} {
		sub.SilenceErrors, sub.SilenceUsage = true, true
		c.AddCommand(sub)
	}
	return c
}

const importHelp = `Stores what a file says: a line is an entry of the history, a data subject's profile, or a case. Which of them, its fields say:

  {"pii_principal_id":"u-1","purpose":"advertising","event_state":"given","event_type":"explicit","given_by":"self"}
  {"pii_principal_id":"u-1","birth_date":"2011-05-04","guardians":["g-1"],"policy_version":6}
  {"case_id":"T-1","kind":"ticket","pii_principal_id":"u-1","roles":["support"],"ends":"2026-12-31T00:00:00Z"}

event_state is given, withdrawn, objected, objection_lifted, restricted or restriction_lifted. With given, event_type is its level:
bundled, general, explicit, separate or written. There are also recipient_third_party, pii_type (categories), policy_version,
event_time, expires, evidence (a reference) and entity_id (who made the change). CSV has these names in its first line; a cell of
several ids or categories separates them with a semicolon. Other formats than the file's ending says: --format.

All lines are checked before the first is stored. What was stored is remembered in the same transaction: after Ctrl-C, a crash or
kill -9 the same command goes on where the last transaction ended, and a file that was imported whole is not imported again
unless --again. Of standard input (-), what came before a bad line is stored, and nothing is remembered.`

func importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import [--format csv|ndjson] [--dry-run] [--skip-bad] <file or ->",
		Short: "Stores consents, profiles and cases out of CSV or NDJSON",
		Long:  importHelp,
		Args:  exactlyOne("the file to import, or - for standard input"),
	}
	format := c.Flags().String("format", "", "csv or ndjson, where the file's name does not say")
	skip := c.Flags().Bool("skip-bad", false, "Skip bad lines instead of stopping, and count them")
	check := c.Flags().Bool("dry-run", false, "Check the lines and store nothing")
	again := c.Flags().Bool("again", false, "Begin with the first line, whatever an earlier import stored")
	asJSON := c.Flags().Bool("json", false, "Print the counts as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		r := &importRun{errs: c.ErrOrStderr(), skipBad: *skip, again: *again, check: *check}
		var err error
		if r.format, err = formatOf(*format, args[0]); err != nil {
			return usageError(c, err)
		}
		if *check && args[0] == "-" {
			return usageError(c, errors.New("checking without storing needs a file"))
		}
		return runConsent(c, func(ctx context.Context) error {
			err := r.run(ctx, c, args[0])
			if *asJSON {
				return errors.Join(err, json.NewEncoder(c.OutOrStdout()).Encode(r.sum))
			}
			if err == nil || r.sum.Lines > 0 {
				fmt.Fprintln(c.OutOrStdout(), r.title(err)+": "+r.sum.String())
			}
			if err != nil && r.sum.To > 0 && r.hash != "" {
				fmt.Fprintln(c.ErrOrStderr(), "What is stored stays stored: the same command goes on behind it.")
			}
			return err
		})
	}
	return c
}

// run checks a file, opens the store, and imports. A file that is wrong makes no store.
func (r *importRun) run(ctx context.Context, c *cobra.Command, name string) error {
	in, total := c.InOrStdin(), 0
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("opening the file: %w", err)
		}
		defer file.Close()
		if total, err = r.checkFile(file); err != nil || r.check {
			return err
		}
		in = file
	}
	var err error
	if r.store, err = openStore(ctx, c, true); err != nil {
		return err
	}
	defer r.store.Close()
	return r.storeLines(ctx, in, total)
}

// title says what was done. What is stored ends at a line, whichever lines before it were empty, bad or stored before.
func (r *importRun) title(err error) string {
	switch {
	case r.check:
		return "Checked"
	case err != nil && r.sum.To > 0:
		return "Stopped behind line " + humanize.Comma(int64(r.sum.To))
	case err != nil:
		return "Stopped"
	default:
		return "Imported"
	}
}

// formatOf is the format that the flag or the file's name says.
func formatOf(flag, name string) (string, error) {
	if flag == "" {
		flag = strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
		if flag == "jsonl" {
			flag = formatNDJSON
		}
	}
	if flag != formatCSV && flag != formatNDJSON {
		return "", errors.New("naming the format: it is --format csv or --format ndjson")
	}
	return flag, nil
}

func exportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export [--format csv|ndjson] [--output <file>]",
		Short: "Writes all consents with their history, profiles and cases",
		Long: `Writes what is stored as import reads it: into an empty store it makes the same state and the same history. CSV cannot hold
ids with a semicolon in lists; a spreadsheet takes an id that begins with = for a formula. Who reads the file reads everything:
it is created for its owner only, and never written over another one.`,
		Args: cobra.NoArgs,
	}
	format := c.Flags().String("format", formatNDJSON, "csv or ndjson")
	output := c.Flags().StringP("output", "o", "", "The file to write; standard output")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, err := formatOf(*format, ""); err != nil {
			return usageError(c, err)
		}
		return runConsent(c, func(ctx context.Context) error { return runExport(ctx, c, *format, *output) })
	}
	return c
}

func runExport(ctx context.Context, c *cobra.Command, format, output string) (err error) {
	store, err := openStore(ctx, c, false)
	if err != nil {
		return err
	}
	defer store.Close()
	out, progressTo := c.OutOrStdout(), io.Discard // a progress line would stand amid the lines
	if output != "" {
		file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("creating the file: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out, progressTo = file, c.ErrOrStderr()
	}
	p := newProgress(progressTo, "data subjects", 0, 0)
	n, err := exportAll(ctx, store, out, format, p)
	p.done()
	if err == nil && output != "" {
		fmt.Fprintf(c.ErrOrStderr(), "Exported %s data subjects\n", humanize.Comma(int64(n)))
	}
	return err
}

// runConsent runs a command until it is done or Ctrl-C stops it, and makes the exit code.
func runConsent(c *cobra.Command, run func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		fmt.Fprintln(c.ErrOrStderr(), "Stopped.")
	case errors.As(err, new(misnamed)):
		return usageError(c, err)
	default:
		fmt.Fprintln(c.ErrOrStderr(), "Error:", err)
	}
	return exitWith(c, exitFound)
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(c, errors.New("name "+what))
		}
		return nil
	}
}

// subjectOf finds one data subject, or errNothing.
func subjectOf(ctx context.Context, store consentstore.Store, id string) (*consentstore.Subject, error) {
	found, err := store.Find(ctx, []string{id})
	if err != nil {
		return nil, fmt.Errorf("looking into the consent store: %w", err)
	}
	if s := &found[0]; hasProfile(s) || len(s.Records) > 0 || len(s.Cases) > 0 {
		s.Subject = id
		return s, nil
	}
	return nil, errNothing
}

// onTerminal reports whether somebody sits there who can answer.
func onTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
