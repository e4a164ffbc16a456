package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func testCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "test [--run REGEXP] [--coverage] [--json] [--junit FILE] <file or folder>...",
		Short: "Runs fixtures against rule documents",
		Long: `Runs fixtures against rule documents with the engine that the gateway uses: who asks for what, what is answered or sent,
and what may come out. Of a folder it takes every *.fixtures.yaml in it and below:

  rules: [shop.yaml]                    # beside this file
  keys: test                            # made-up keys, where a rule pseudonymizes
  given:                                # what every fixture has that does not say otherwise
    operation: GET /api/orders
    time: 2026-11-22
  fixtures:
    - name: support sees a masked phone
      caller: {id: c7, roles: [support], claims: {mfa: true}}
      purpose: after_sales
      body: {orders: [{id: u1, phone: "13800138000"}]}      # or the raw body as a text
      expect: {body: {orders: [{id: u1, phone: "138****8000"}]}}
    - name: no export
      download: true
      body: {phone: "13800138000"}
      expect: {refused: limit, rule: no-export}

A caller has id, roles, organisation, country, guardian, case and claims; a fixture also clause, note, subject (whose data the
message is) and issues (what its route hands out). direction is response, inbound (what a client sends to us) or egress, to a
recipient; with a recipient, inbound is what that one answers. What the consent store knows stands under people and cases; without them
there is no store:

      people:
        u1: {born: 2011-05-04, guardians: [g1], consents: [{purpose: after_sales, level: explicit, by: guardian, given: 2026-10-01}]}
      cases: [{id: T-1, kind: ticket, subject: u1, callers: [c7], ends: 2026-12-31}]

A person also has minor, ended and policy; a consent recipient, categories, policy, expires, withdrawn, objected and restricted;
a case roles. seen says how many data subjects the caller saw today already, gpc: true that the request says Sec-GPC: 1.

A message has headers, too, and what is sent a query. form and multipart write a body as a form; media_type says what a body in a text
is. Of each expect says what leaves of it, and path what becomes of the operation's path on its way to a recipient:

    - name: what a courier gets of a call
      direction: egress
      recipient: courier
      purpose: after_sales
      headers: {Cookie: sid=x, X-Step: call 13800138000}
      query: {kw: bags, phone: "13800138000"}               # or as it is sent: kw=bags&phone=13800138000
      form: {phone: "13800138000"}
      expect: {headers: {X-Step: call 138****8000}, query: {kw: bags, phone: "138****8000"}, form: {phone: "138****8000"}}

Bodies are compared as JSON: order makes no difference, the spelling of a number does, and <pseudonym NAME> stands for any token, the
same for the same NAME. A file whose rules must not load has expect_error, a part of what the error says, and a name instead of fixtures.

--coverage names the rules, limits, fields, records and recipients that could be deleted, and no fixture would notice.

Exit codes: 0 every fixture passed, 1 a fixture failed, 2 rules or fixtures are broken and nothing was tested.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
	}
	var o testOptions
	c.Flags().StringVar(&o.run, "run", "", "Run only fixtures whose names match this regular expression")
	c.Flags().BoolVar(&o.coverage, "coverage", false, "Name the entries of the rules that no fixture touches")
	c.Flags().BoolVar(&o.json, "json", false, "Print the results as one JSON document")
	c.Flags().StringVar(&o.junit, "junit", "", "Also write the results to this file, as JUnit's XML")
	c.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "Name the fixtures that passed, also of many files")
	c.RunE = func(c *cobra.Command, paths []string) error {
		return exitWith(c, runTests(c.OutOrStdout(), c.ErrOrStderr(), once(c.CommandPath()), paths, o))
	}
	return c
}

type testOptions struct {
	run, junit              string
	coverage, json, verbose bool
}

// runTests runs all fixtures and returns the exit code. command is how it was called.
func runTests(out, errs io.Writer, command string, paths []string, o testOptions) int {
	if len(paths) == 0 {
		fmt.Fprintln(errs, "Name files of fixtures, or a folder with *.fixtures.yaml in it:", command, "rules")
		return exitBroken
	}
	suites, err := loadSuites(paths)
	if err == nil {
		suites, err = matching(suites, o.run)
	}
	if err != nil {
		return broken(errs, err, "Nothing was tested.")
	}
	var results []*result
	for _, s := range suites {
		results = append(results, s.runAll()...)
	}
	var covered []*fileCoverage
	if o.coverage {
		covered = coverageOf(suites)
	}
	if o.junit != "" {
		err = writeJUnit(o.junit, results)
	}
	if o.json {
		err = errors.Join(err, printResultsJSON(out, results, covered))
	} else {
		p := newPainter(out)
		p.results(results, o.verbose || len(suites) == 1)
		if o.coverage {
			p.touched(covered)
		}
		p.sum(results, command, paths)
	}
	switch {
	case err != nil:
		fmt.Fprintln(errs, err)
		return exitBroken
	case countFailed(results) > 0:
		return exitFound
	}
	return exitOK
}

// matching keeps the fixtures whose names match.
func matching(suites []*suite, expression string) ([]*suite, error) {
	wanted, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("reading --run: %w", err)
	}
	for _, s := range suites {
		s.fixtures = slices.DeleteFunc(s.fixtures, func(f *fixture) bool { return !wanted.MatchString(f.Name) })
	}
	suites = slices.DeleteFunc(suites, func(s *suite) bool { return len(s.fixtures) == 0 })
	if len(suites) == 0 {
		return nil, fmt.Errorf("no fixture's name matches %s", expression)
	}
	return suites, nil
}

func loadSuites(paths []string) ([]*suite, error) {
	var suites []*suite
	var broken []error
	for _, path := range paths {
		files, err := fixtureFiles(path)
		broken = append(broken, err)
		for _, file := range files {
			s, err := loadSuite(file)
			suites, broken = append(suites, s), append(broken, err)
		}
	}
	return suites, errors.Join(broken...)
}

// fixtureFiles returns the file itself, or all files of fixtures in a folder.
func fixtureFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("finding fixtures: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(file, ".fixtures.yaml") {
			files = append(files, file)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("finding fixtures: no *.fixtures.yaml in %s", path)
	}
	return files, err
}

func countFailed(results []*result) int {
	failed := 0
	for _, r := range results {
		if !r.Passed {
			failed++
		}
	}
	return failed
}

func printResultsJSON(out io.Writer, results []*result, covered []*fileCoverage) error {
	failed := countFailed(results)
	doc := map[string]any{"passed": len(results) - failed, "failed": failed, "fixtures": results}
	if covered != nil {
		doc["coverage"] = covered
	}
	return printJSON(out, doc)
}

// results prints what failed, file by file. What passed is named where all is asked for, and counted otherwise.
func (p *painter) results(results []*result, all bool) {
	for len(results) > 0 {
		n := slices.IndexFunc(results, func(r *result) bool { return r.File != results[0].File })
		if n < 0 {
			n = len(results)
		}
		of := results[:n]
		results = results[n:]
		passed := ""
		if !all {
			passed = p.paint(faint, fmt.Sprintf(" %d of %d passed", n-countFailed(of), n))
		}
		fmt.Fprintln(p.out, p.paint(bold, of[0].File)+passed)
		for _, r := range of {
			if all || !r.Passed {
				p.result(r)
			}
		}
	}
}

// sum prints how many failed, and what to do then.
func (p *painter) sum(results []*result, command string, paths []string) {
	failed := countFailed(results)
	if failed == 0 {
		fmt.Fprintln(p.out, p.paint(green, fmt.Sprintf("All %d fixtures passed.", len(results))))
		return
	}
	fmt.Fprintln(p.out, p.paint(red, fmt.Sprintf("%d of %d fixtures failed.", failed, len(results))))
	fmt.Fprintf(p.out, "Either a rule or an expectation is wrong. Mend it and run again: %s %s\n", command, strings.Join(paths, " "))
}

// mostDifferences is how many places of one body are shown: those that differ tell more than the body around them.
const mostDifferences = 12

func (p *painter) result(r *result) {
	if r.Passed {
		fmt.Fprintln(p.out, "  "+p.paint(green, "✓")+" "+r.Name)
		return
	}
	fmt.Fprintf(p.out, "  %s %s %s\n", p.paint(red, "✗"), r.Name, p.paint(faint, fmt.Sprintf("(%s:%d)", r.File, r.Line)))
	for i, d := range r.Differences {
		if i == mostDifferences {
			fmt.Fprintf(p.out, "      and %d more\n", len(r.Differences)-i)
			break
		}
		want, got := p.fit(d.Want, d.Got)
		fmt.Fprintf(p.out, "      %s\n        want %s\n        got  %s\n", d.place(), p.paint(green, want), p.paint(red, got))
	}
}

// fit cuts two values to the line, to where they start to differ. "" says that nothing is there.
func (p *painter) fit(want, got string) (string, string) {
	w, g := []rune(want), []rune(got)
	same := 0
	for same < min(len(w), len(g)) && w[same] == g[same] {
		same++
	}
	most := max(p.columns-15, 40)
	from := max(same-most/4, 0)
	if max(len(w), len(g)) <= most {
		from = 0
	}
	return cut(w, from, most), cut(g, from, most)
}

func cut(value []rune, from, most int) string {
	if len(value) == 0 {
		return "nothing"
	}
	before, after := "", ""
	if from > 0 {
		before = "…"
	}
	value = value[from:]
	if len(value) > most {
		value, after = value[:most], "…"
	}
	return before + string(value) + after
}
