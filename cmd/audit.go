package cmd

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/auditlog"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verifies, searches and exports the audit log",
		Long: `Reads the audit log of a gateway: a file, all files of a log that was rotated (also compressed ones), or the folder that they are in.

Exit codes: 0 unbroken, or something was found to show; 1 the log is not what was written, or nothing was found; 2 wrong usage, or
there is no such log.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(c, errors.New("there is no such command; there are verify, query and export"))
			}
			return c.Help()
		},
	}
	c.SilenceErrors, c.SilenceUsage = true, true // printed readably already
	for _, sub := range []*cobra.Command{verifyCommand(), queryCommand(), exportAuditCommand()} {
		sub.SilenceErrors, sub.SilenceUsage = true, true
		c.AddCommand(sub)
	}
	return c
}

func verifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify [--head HEAD] [--pruned] [--json] <log>...",
		Short: "Shows where an audit log is not what was written",
		Long: `Checks that each entry carries the hash of the one before it: a byte that was changed, an entry that was removed, two that were swapped
are named by file and line. Only the end of a log can be removed, or its last entry changed, without a trace in it. So note the head that
this prints in another place, and give it to a later verify. That a log does not begin with entry 1 is a finding, because nothing in it
tells who removed its beginning; where rotation did, say --pruned, and compare how many entries that leaves out with what you expect.`,
	}
	head := c.Flags().String("head", "", "The head that an earlier verify printed: it must still be in the log")
	pruned := c.Flags().Bool("pruned", false, "Rotation removed older files: the log may begin with any entry")
	asJSON := c.Flags().Bool("json", false, "Print the result as one JSON document")
	c.RunE = func(c *cobra.Command, paths []string) error {
		v := &auditlog.Verifier{Pruned: *pruned}
		if *head != "" {
			var err error
			if v.Known, err = auditlog.ParseHead(*head); err != nil {
				return usageError(c, fmt.Errorf("reading --head: %w", err))
			}
		}
		if err := verifyLog(v, paths, c.ErrOrStderr()); err != nil {
			return usageError(c, err)
		}
		if *asJSON {
			if err := printVerifiedJSON(c.OutOrStdout(), v); err != nil {
				return err
			}
		} else {
			printVerified(newPainter(c.OutOrStdout()), v)
		}
		if len(v.Findings) > 0 {
			return exitWith(c, exitFound)
		}
		return nil
	}
	return c
}

func verifyLog(v *auditlog.Verifier, paths []string, errs io.Writer) error {
	if len(paths) == 0 {
		return errors.New("name the audit log: its file or files, or their folder")
	}
	p := newProgress(errs, "entries", 0, 0)
	defer p.done()
	return v.Verify(paths, func(n int) error { p.at(n); return nil })
}

func printVerifiedJSON(out io.Writer, v *auditlog.Verifier) error {
	return printJSON(out, map[string]any{"entries": v.Entries, "head": v.Head.String(), "missing": v.Missing, "findings": slices.Concat([]auditlog.Finding{}, v.Findings)})
}

func printVerified(p *painter, v *auditlog.Verifier) {
	p.findings(v.Findings, 20)
	count := humanize.Comma(int64(v.Entries)) + " entries"
	if len(v.Findings) == 0 {
		if v.Missing > 0 {
			fmt.Fprintf(p.out, "%s Not there, and not verified: the first %s entries.\n", p.paint(yellow, "!"), humanize.Comma(int64(v.Missing)))
		}
		fmt.Fprintf(p.out, "%s %s, unbroken. The head is\n%s\n%s\n", p.paint(green, "✓"), count, v.Head,
			p.paint(faint, "Note it in another place: with --head a later verify shows that nothing up to here was removed or changed."))
		return
	}
	fmt.Fprintln(p.out, p.paint(red, count+", and they are not what was written."))
	if v.Missing > 0 && !v.Pruned {
		fmt.Fprintln(p.out, p.paint(faint, "Where rotation removed the files of the first ones, say --pruned."))
	}
}

func (p *painter) findings(findings []auditlog.Finding, most int) {
	for _, f := range findings[:min(len(findings), most)] {
		fmt.Fprintf(p.out, "%s %s:%d: %s\n", p.paint(red, "✗"), f.File, f.Line, f.What)
	}
	if more := len(findings) - most; more > 0 {
		fmt.Fprintf(p.out, "  and %d more; `minimize audit verify --json` lists them\n", more)
	}
}
