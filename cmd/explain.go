package cmd

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	minimize "github.com/caddy-minimize/minimize/module"
	"github.com/caddy-minimize/minimize/rules"
)

func explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain [flags] <body.json or ->",
		Short: "Says of each value of a JSON document what happens to it, and why",
		Long: `Judges one JSON document with the engine that the gateway uses, for a caller or a recipient that the flags describe, and says
of each value what it was recognized as and by what, which rule decided, and where a value is not disclosed, what the rules that
name it lack:

  minimize explain --role support --purpose after_sales order.json
  minimize explain --to ads-partner --purpose advertising --consent u1:advertising:separate --operation 'POST /v1/events' event.json
  minimize explain --fixture fixtures/shop.fixtures.yaml 'support sees a masked phone'

Values are hidden unless --values. Times, people and cases that flags cannot say stand in a fixture.

Exit codes: 0 the message is sent, 1 it is refused, 2 rules, flags or the file are broken and nothing was explained.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
	}
	who := addWhoFlags(c)
	patterns := addRulesFlag(c)
	fixture := c.Flags().String("fixture", "", "Take rules, body and caller from a fixture of this file, by its name")
	values := c.Flags().Bool("values", false, "Show the values themselves, before and after")
	asJSON := c.Flags().Bool("json", false, "Print it as one JSON document")
	c.RunE = func(c *cobra.Command, args []string) error {
		m, err := explainedMessage(c.InOrStdin(), *patterns, who, *fixture, args)
		if err != nil {
			return notExplained(c, err)
		}
		return exitWith(c, m.explain(c.OutOrStdout(), c.ErrOrStderr(), *values, *asJSON))
	}
	return c
}

func notExplained(c *cobra.Command, err error) error {
	return exitWith(c, broken(c.ErrOrStderr(), err, "Nothing was explained."))
}

// message is a document on its way to somebody.
type message struct {
	rules      *rules.Ruleset
	operation  rules.Operation
	disclosure *rules.Disclosure
	sample     minimize.Sample
}

func explainedMessage(in io.Reader, patterns []string, who *who, fixture string, args []string) (*message, error) {
	switch {
	case fixture != "":
		return fixtureMessage(fixture, args)
	case len(args) != 1:
		return nil, errors.New("naming the document: give one file, or - for standard input")
	}
	set, err := loadRules(patterns)
	if err != nil {
		return nil, err
	}
	m := &message{rules: set}
	if m.operation, m.disclosure, err = who.disclosure(set); err != nil {
		return nil, err
	}
	var document []byte
	if args[0] == "-" {
		document, err = io.ReadAll(in)
	} else {
		document, err = os.ReadFile(args[0])
	}
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	m.sample = minimize.Sample{Header: http.Header{"Content-Type": {jsonType}}, Body: document}
	if m.disclosure.Position == rules.Egress {
		m.sample.Path = (&url.URL{Path: m.operation.Path}).EscapedPath()
	}
	return m, nil
}

// fixtureMessage is the message of a fixture, which its name may leave out if there is only one.
func fixtureMessage(file string, names []string) (*message, error) {
	s, err := loadSuite(file)
	if err != nil {
		return nil, err
	}
	for _, f := range s.fixtures {
		if strings.Join(names, " ") == f.Name || len(names) == 0 && len(s.fixtures) == 1 {
			return f.explained(s)
		}
	}
	var known strings.Builder
	for _, f := range s.fixtures {
		known.WriteString("\n  " + f.Name)
	}
	return nil, fmt.Errorf("finding the fixture: %s has no such one; there are%s", file, &known)
}

// explained is the message of a fixture whose values can be explained.
func (f *fixture) explained(s *suite) (*message, error) {
	switch {
	case s.wantError != "":
		return nil, fmt.Errorf("%s: this fixture has rules that must not load, and no message: run it with test", f.pos)
	case !isJSON(f.mediaType):
		return nil, fmt.Errorf("%s: this fixture's message has no body of JSON, and only such values are explained: run it with test", f.pos)
	}
	return &message{s.rules, f.operation, &f.disclosure, f.sample}, nil
}

// explain prints what becomes of the message and returns the exit code.
func (m *message) explain(out, errs io.Writer, values, asJSON bool) int {
	account, err := m.sample.Explain(m.rules, m.operation, m.disclosure, values)
	if err != nil {
		fmt.Fprintln(errs, err)
		return exitBroken
	}
	if asJSON {
		if err := printJSON(out, account); err != nil {
			fmt.Fprintln(errs, err)
			return exitBroken
		}
	} else {
		newPainter(out).explanation(account)
	}
	if account.Refused != nil {
		return exitFound
	}
	return exitOK
}
