package rules

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Severity says how sure it is that a finding is a mistake.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // something does not work today
	SeverityWarning Severity = "warning" // it works, and hardly as it was meant
	SeverityNote    Severity = "note"    // it may well be meant so
)

// Finding is something in a configuration that loads and is probably not what was meant.
type Finding struct {
	Pos      Pos
	Code     string // stable, for machines and for comments that silence it
	Severity Severity
	Message  string // what it is, and what to do
}

// The codes of what Lint finds.
const (
	lintDuplicate = "duplicate"
	lintShadowed  = "shadowed"
	lintIdle      = "idle-limit"
	lintUnseen    = "never-seen"
	lintUnused    = "unused"
	lintUncovered = "uncovered-key"
	lintWide      = "wide-detector"
	lintContract  = "contract"
	lintTransfer  = "transfer"
	lintRecipient = "idle-recipient"
)

// Lint returns what in the documents is probably a mistake, in their order. now is for what has an end; roles are those that
// something else than rules needs.
func (r *Ruleset) Lint(now time.Time, roles []string) []Finding {
	l := &linter{Ruleset: r, now: now, roles: roles}
	l.lintAllows()
	l.lintLimits()
	l.lintCategories()
	l.lintWords()
	l.lintFields()
	l.lintRegister()
	SortFindings(l.found)
	return l.found
}

// SortFindings puts findings in the order of their positions.
func SortFindings(found []Finding) {
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Code, b.Code))
	})
}

type linter struct {
	*Ruleset
	now   time.Time
	roles []string
	found []Finding
}

func (l *linter) report(pos Pos, code string, severity Severity, format string, args ...any) {
	l.found = append(l.found, Finding{pos, code, severity, fmt.Sprintf(format, args...)})
}

// own are the documents that somebody wrote for this gateway: all but the base pack.
func (l *linter) own() []*Document { return l.documents[1:] }
