package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/rules"
	"github.com/caddy-minimize/minimize/rules/guess"
)

type scanOptions struct {
	asJSON bool
	rules  []string // what is declared already
	output string
}

func scanCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scan [--rules FILE] [-o FILE] [--json] <file, folder or ->...",
		Short: "Drafts a rule document from samples",
		Long: `Reads samples of what an API answers and drafts a rule document: where personal data stands under names that say nothing, and whose
it is, with the evidence for each guess. It keeps counts, and prints no value.

Samples are JSON, one document or many behind each other, NDJSON, and HTTP archives (*.har) as browsers save them, with the bodies
and parameters of requests, too. Of a folder it takes all such files in it and below; - is standard input.

A place is proposed where nearly all of its values have a shape and check digits that no number has by chance, and what is known by
its name already is listed without a line. Parts of a place that are data themselves, the index of a list or an id in a map, become a star.

With --rules it says only what these documents, a comma between them, do not declare yet.

Exit codes: 0 done, 2 a sample or a rule document cannot be read, or the file of -o is there already.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
	}
	var o scanOptions
	c.Flags().BoolVar(&o.asJSON, "json", false, "Print what was found as one JSON document")
	c.Flags().StringSliceVar(&o.rules, "rules", nil, "Rule documents: say only what they do not declare")
	c.Flags().StringVarP(&o.output, "output", "o", "", "A new file for the draft")
	c.RunE = func(c *cobra.Command, paths []string) error {
		return exitWith(c, runScan(c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr(), once(c.CommandPath()), paths, o))
	}
	return c
}

// runScan reads all samples and returns the exit code. command is how it was called.
func runScan(in io.Reader, out, errs io.Writer, command string, paths []string, o scanOptions) int {
	if len(paths) == 0 {
		fmt.Fprintln(errs, "Name samples of what your API answers, or a folder of them:", command, "answers.json")
		return exitBroken
	}
	s, err := scan(in, errs, paths, o.rules)
	if err == nil {
		err = writeScan(out, s, o)
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return exitBroken
	}
	if o.output != "" {
		fmt.Fprintf(errs, "%s: %s and %s from %s. Check each line.\n", o.output, count(len(s.Records), "record"), count(len(s.Fields), "field"), s.size())
	}
	return exitOK
}

func writeScan(out io.Writer, s *scanned, o scanOptions) (err error) {
	if o.output != "" {
		f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // never over what somebody wrote
		if err != nil {
			return fmt.Errorf("writing the draft: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	if o.asJSON {
		return printScanJSON(out, s)
	}
	return printDraft(out, s, o.rules)
}

func scan(in io.Reader, errs io.Writer, paths, beside []string) (*scanned, error) {
	scope, err := scanScope(beside)
	if err != nil {
		return nil, err
	}
	files, bytes, err := sampleFiles(paths)
	if err != nil {
		return nil, err
	}
	s := &samples{guesser: guess.New(scope), stdin: in, progress: newProgress(errs, "bytes", int(bytes), 0), operations: []string{}}
	defer s.progress.done()
	for _, file := range files {
		if err := s.read(file); err != nil {
			return nil, err
		}
	}
	return &scanned{s.guesser.Draft(), s.operations}, nil
}

// scanScope is what the base pack and some documents declare. They are read as if they held for every operation: samples do
// not say of which they are.
func scanScope(patterns []string) (*rules.Scope, error) {
	docs, err := loadDocuments(patterns)
	if err != nil {
		return nil, err
	}
	for _, doc := range docs {
		doc.Operations = nil
	}
	docs = append(docs, &rules.Document{Pos: rules.Pos{File: "samples", Line: 1, Column: 1}})
	compiled, err := compileForNobody(docs)
	if err != nil {
		return nil, err
	}
	return compiled.Scope("", ""), nil
}
