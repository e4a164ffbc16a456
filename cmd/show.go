package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/rules"
)

func showCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show [--for PURPOSE] [--to NAME] [--operation REQUEST] [--json]",
		Short: "Shows what the rules let each role and recipient have",
		Long: `Shows what all rules together come to: for each purpose a table of roles and recipients against categories. A cell holds the most
that somebody may get of the category, and behind a stroke what is left where the conditions do not hold; a dot is nothing. What
they are, a letter says:

  c  the data subject's consent      t  an open case              w  a rule's when
  p  an accepted policy version      o  until an objection        f  from some senders only
  l  a limit may lower it

Categories below one that has the same cells are not printed, nor are those that nobody gets. It is shown for callers and
recipients as the register has them today, or on --time; a caller outside of home gets nothing above open.

Exit codes: 0 shown, 2 rules or flags are broken.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
	}
	notShown := func(c *cobra.Command, err error) error {
		return exitWith(c, broken(c.ErrOrStderr(), err, "Nothing was shown."))
	}
	patterns := addRulesFlag(c)
	purposes := c.Flags().StringArray("for", nil, "Only this purpose; may be repeated")
	to := c.Flags().StringArray("to", nil, "Only this role or recipient, or recipients of this kind; may be repeated")
	operation := c.Flags().String("operation", "", "A request such as 'GET /api/orders': also show what its documents make of the undeclared")
	at := c.Flags().String("time", "", "A day such as 2026-11-22, or a time with a zone; now")
	asJSON := c.Flags().Bool("json", false, "Print it as one JSON document")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return notShown(c, errors.New("reading the flags: rule documents are named by --rules"))
		}
		set, err := loadRules(*patterns)
		if err != nil {
			return notShown(c, err)
		}
		v, err := shownMatrices(set, *purposes, *to, *operation, *at)
		if err != nil {
			return notShown(c, err)
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), v)
		}
		newPainter(c.OutOrStdout()).matrices(v)
		return nil
	}
	return c
}

// shownView is what the show command prints.
type shownView struct {
	Time       time.Time     `json:"time"`
	Home       string        `json:"home,omitempty"`
	Operation  string        `json:"operation,omitempty"`
	Undeclared string        `json:"undeclared,omitempty"` // what happens there to what nothing is known of
	Purposes   []*matrixView `json:"purposes"`
}

type matrixView struct {
	Purpose    string       `json:"purpose"`
	Audiences  []string     `json:"audiences"`
	Categories []matrixLine `json:"categories"`
}

type matrixLine struct {
	Category rules.Category `json:"category"`
	Grade    string         `json:"grade"`
	Cells    []matrixCell   `json:"cells"` // in the order of the audiences

	more bool // others below it have the same cells
}

type matrixCell struct {
	Action    string   `json:"action"`              // at most
	Otherwise string   `json:"otherwise,omitempty"` // where nothing of what the marks ask for holds
	Limited   string   `json:"limited,omitempty"`   // where the limits hold, too, that ask for something
	Marks     string   `json:"marks,omitempty"`
	Rule      string   `json:"rule,omitempty"`
	Limits    []string `json:"limits,omitempty"`
	Reason    string   `json:"reason,omitempty"` // why a recipient gets nothing
}

func shownMatrices(set *rules.Ruleset, purposes, to []string, operation, at string) (*shownView, error) {
	v := &shownView{Time: time.Now(), Home: set.Home()}
	if at != "" {
		d, err := parseDay(at)
		if err != nil {
			return nil, fmt.Errorf("reading --time: %w", err)
		}
		v.Time = d.Time
	}
	if operation != "" {
		o, err := rules.ParseOperation(operation)
		if err != nil {
			return nil, fmt.Errorf("reading --operation: %w", err)
		}
		v.Operation, v.Undeclared = o.String(), rules.Keep.String()
		if set.Scope(o.Method, o.Path).StripsUndeclared() {
			v.Undeclared = rules.Strip.String()
		}
	}
	for _, purpose := range purposes {
		if !set.KnowsPurpose(purpose) {
			return nil, fmt.Errorf("reading --for: no rule document declares the purpose %s; there are %s", purpose, strings.Join(set.Purposes(), ", "))
		}
	}
	for _, name := range to {
		if !set.KnowsRole(name) && !set.KnowsRecipient(name) && !slices.Contains([]string{rules.Anonymous, rules.Self, rules.Guardian, rules.Us}, name) {
			return nil, fmt.Errorf("reading --to: no rule document declares a role or a recipient %s", name)
		}
	}
	if len(purposes) == 0 {
		purposes = set.Purposes()
	}
	for _, purpose := range purposes {
		if m := matrixOf(set.Matrix(purpose, v.Time), to); len(m.Audiences) > 0 {
			v.Purposes = append(v.Purposes, m)
		}
	}
	return v, nil
}

// matrixOf keeps the columns that are asked for.
func matrixOf(m *rules.Matrix, to []string) *matrixView {
	v := &matrixView{Purpose: m.Purpose}
	var columns []int
	for i, a := range m.Audiences {
		if len(to) == 0 || slices.Contains(to, a.Name) || a.Recipient != nil && slices.Contains(to, a.Recipient.Kind) {
			columns = append(columns, i)
			v.Audiences = append(v.Audiences, a.Name)
		}
	}
	for _, row := range m.Rows {
		line := matrixLine{Category: row.Category, Grade: row.Grade.String()}
		for _, i := range columns {
			line.Cells = append(line.Cells, matrixCellOf(&row.Cells[i]))
		}
		v.Categories = append(v.Categories, line)
	}
	return v
}

func matrixCellOf(c *rules.Cell) matrixCell {
	cell := matrixCell{Action: c.Action.String(), Rule: c.Rule, Limits: c.Limits}
	if c.Marks != 0 {
		cell.Otherwise, cell.Limited, cell.Marks = c.Otherwise.String(), c.Limited.String(), c.Marks.String()
	}
	if c.Reason != rules.Permitted {
		cell.Reason = c.Reason.String()
	}
	return cell
}
