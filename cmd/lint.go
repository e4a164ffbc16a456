package cmd

import (
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

	"github.com/caddy-minimize/minimize/module/openapi"
	"github.com/caddy-minimize/minimize/module/rulefile"
	"github.com/caddy-minimize/minimize/rules"
)

type lintOptions struct {
	asJSON, strict bool
	now            time.Time
}

func lintCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lint [--strict] [--time DAY] [--json] <rule files, folders of them, Caddyfile>...",
		Short: "Finds what loads and is hardly meant in rules and Caddyfiles",
		Long: `Finds what loads and works and is hardly meant, with file, line and column. Rule documents that are named together are
looked at together; a Caddyfile brings its own with it, those of each route.

  shadowed, duplicate  an allow that another one makes needless
  idle-limit           a limit that lowers nothing
  never-seen           a category that nobody may see, and no rule says so
  unused               a category, role or purpose that nothing speaks of
  uncovered-key        what looks like personal data and is declared to be none
  wide-detector        a key, word or detector that takes too much
  contract, transfer   one that is over, missing, incomplete, or ends within 30 days
  idle-recipient       a recipient without an allow
  bypass               a route that reaches a backend without minimize, handle_errors too
  buried               routes behind a console that takes every request
  report-mode          a route that changes nothing
  trusted-header       request headers that very many machines may set
  log-append, log-credentials, log-format, admin-open, encode-order, shared-cache
                       ways around the gateway through Caddy's logs, its admin API, compression and caches
  silence              a comment that silences nothing, or gives no reason

A comment in the same line, or alone in the line before, silences a finding and says why:

  - {key: data, is: device.id}   # lint: wide-detector because only our own telemetry calls so

Exit codes: 0 nothing, or nothing that fails; 1 an error was found, or with --strict a warning; 2 a file cannot be read, and nothing was
looked at. What does not load at all is for validate.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
	}
	var o lintOptions
	c.Flags().BoolVar(&o.asJSON, "json", false, "Print the findings as one JSON document")
	c.Flags().BoolVar(&o.strict, "strict", false, "Exit with 1 for warnings, too")
	at := c.Flags().String("time", "", "The day to judge contracts by, as 2026-12-31; today")
	c.RunE = func(c *cobra.Command, paths []string) error {
		o.now = time.Now()
		if *at != "" {
			var err error
			if o.now, err = time.Parse(time.DateOnly, *at); err != nil {
				fmt.Fprintln(c.ErrOrStderr(), "reading --time: it is a day, such as 2026-12-31")
				return exitWith(c, exitBroken)
			}
		}
		return exitWith(c, runLint(c.OutOrStdout(), c.ErrOrStderr(), once(c.CommandPath()), paths, o))
	}
	return c
}

// runLint looks at all files and returns the exit code. command is how it was called.
func runLint(out, errs io.Writer, command string, paths []string, o lintOptions) int {
	if len(paths) == 0 {
		fmt.Fprintln(errs, "Name rule documents or a Caddyfile:", command, "rules/*.yaml")
		return exitBroken
	}
	found, err := lintFiles(paths, o.now)
	if err == nil && o.asJSON {
		err = printFindingsJSON(out, found)
	} else if err == nil {
		printFindings(newPainter(out), found)
	}
	switch {
	case err != nil:
		return broken(errs, err, "Nothing was looked at.")
	case fails(found, o.strict):
		return exitFound
	}
	return exitOK
}

func fails(found []rules.Finding, strict bool) bool {
	return slices.ContainsFunc(found, func(f rules.Finding) bool {
		return f.Severity == rules.SeverityError || strict && f.Severity == rules.SeverityWarning
	})
}

// lintFiles returns what is found in all files and not silenced there.
func lintFiles(paths []string, now time.Time) ([]rules.Finding, error) {
	l := &lint{now: now, texts: map[string][]string{}}
	var documents []string
	var broken []error
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			inside, err := ruleFilesIn(path)
			documents, broken = append(documents, inside...), append(broken, err)
			continue
		}
		if isRuleFile(path) {
			documents = append(documents, path)
			continue
		}
		broken = append(broken, l.gateway(path))
	}
	if len(documents) > 0 {
		broken = append(broken, l.documents(documents, [][]string{nil}, nil))
	}
	if err := errors.Join(broken...); err != nil {
		return nil, err
	}
	found := l.unsilenced()
	rules.SortFindings(found)
	return slices.CompactFunc(found, func(a, b rules.Finding) bool { return a == b }), nil
}

// ruleFilesIn returns the rule documents of a folder. Fixtures lie beside them.
func ruleFilesIn(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, ".fixtures.yaml") })
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("finding rules: no *.yaml in %s", dir)
	}
	return files, err
}

// isRuleFile tells a rule document from Caddy's configuration, which is a Caddyfile or JSON with other keys.
func isRuleFile(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return true
	case ".json":
		data, _ := rulefile.Read(path) // what cannot be read is reported where it is read again
		return openapi.Is(data) || gjson.GetBytes(data, "minimize").Exists()
	}
	return rulefile.IsPack(path)
}

// lint gathers findings, and the texts that may silence them.
type lint struct {
	now   time.Time
	found []rules.Finding
	texts map[string][]string // lines, by file
}

func (l *lint) report(pos rules.Pos, code string, severity rules.Severity, format string, args ...any) {
	l.found = append(l.found, rules.Finding{Pos: pos, Code: code, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

func (l *lint) remember(file string, text []byte) { l.texts[file] = strings.Split(string(text), "\n") }

// documents lints rule documents, put together as each route does. An empty choice is all of them; roles are those that need
// no rule.
func (l *lint) documents(files []string, choices [][]string, roles []string) error {
	texts, err := rulefile.ReadAll(files)
	if err != nil {
		return err
	}
	for _, text := range texts {
		l.remember(text.Name, text.Data)
	}
	docs, err := rulefile.Load(texts)
	if err != nil {
		return err
	}
	var rounds []lintRound
	for _, names := range choices {
		more, err := lintChoice(choose(docs, names), l.now, roles)
		if err != nil {
			return err
		}
		rounds = append(rounds, more...)
	}
	l.found = append(l.found, agreed(rounds)...)
	return nil
}

// lintRound is what was found in some documents that hold together.
type lintRound struct {
	files []string
	found []rules.Finding
}

func choose(docs []*rules.Document, names []string) []*rules.Document {
	return slices.DeleteFunc(slices.Clone(docs), func(d *rules.Document) bool { return len(names) > 0 && !slices.Contains(names, d.Name) })
}

// lintChoice lints the documents of a route: those that are enforced, and candidates beside all of them.
func lintChoice(docs []*rules.Document, now time.Time, roles []string) ([]lintRound, error) {
	isCandidate := func(d *rules.Document) bool { return d.Candidate }
	enforced := slices.DeleteFunc(slices.Clone(docs), isCandidate)
	rounds := make([]lintRound, 0, 2)
	for i, together := range [][]*rules.Document{enforced, docs} {
		if len(together) == 0 || i == 1 && len(enforced) == len(docs) {
			continue
		}
		compiled, err := compileForNobody(together)
		if err != nil {
			return nil, err
		}
		var round lintRound
		for _, d := range together {
			if isCandidate(d) == (i == 1) {
				round.files = append(round.files, d.Pos.File)
			}
		}
		round.found = slices.DeleteFunc(compiled.Lint(now, roles), func(f rules.Finding) bool { return !slices.Contains(round.files, f.Pos.File) })
		rounds = append(rounds, round)
	}
	return rounds, nil
}

// agreed is what is found wherever its document holds: a rule that is needless on one route may be needed on another.
func agreed(rounds []lintRound) []rules.Finding {
	var kept []rules.Finding
	for _, round := range rounds {
		for _, f := range round.found {
			everywhere := !slices.ContainsFunc(rounds, func(other lintRound) bool {
				return slices.Contains(other.files, f.Pos.File) && !slices.ContainsFunc(other.found, func(g rules.Finding) bool { return g.Pos == f.Pos && g.Code == f.Code })
			})
			again := slices.ContainsFunc(kept, func(g rules.Finding) bool { return g == f })
			if everywhere && !again {
				kept = append(kept, f)
			}
		}
	}
	return kept
}

func printFindingsJSON(out io.Writer, found []rules.Finding) error {
	type finding struct {
		File     string         `json:"file"`
		Line     int            `json:"line"`
		Column   int            `json:"column"`
		Code     string         `json:"code"`
		Severity rules.Severity `json:"severity"`
		Message  string         `json:"message"`
	}
	list := []finding{}
	for _, f := range found {
		list = append(list, finding{f.Pos.File, f.Pos.Line, f.Pos.Column, f.Code, f.Severity, f.Message})
	}
	return printJSON(out, map[string]any{"findings": list})
}

func printFindings(p *painter, found []rules.Finding) {
	colors := map[rules.Severity]string{rules.SeverityError: red, rules.SeverityWarning: yellow, rules.SeverityNote: blue}
	counts := map[rules.Severity]int{}
	for _, f := range found {
		counts[f.Severity]++
		fmt.Fprintf(p.out, "%s: %s: %s %s\n", f.Pos, p.paint(colors[f.Severity], string(f.Severity)), f.Message, p.paint(faint, "("+f.Code+")"))
	}
	if len(found) == 0 {
		fmt.Fprintln(p.out, p.paint(green, "Nothing was found."))
		return
	}
	fmt.Fprintf(p.out, "%s, %s, %s. What is meant so: `# lint: CODE because …` in its line.\n", count(counts[rules.SeverityError], "error"),
		count(counts[rules.SeverityWarning], "warning"), count(counts[rules.SeverityNote], "note"))
}
