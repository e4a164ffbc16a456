package cmd

import (
	"fmt"
	"reflect"

	"github.com/caddy-minimize/minimize/rules"
)

// fileCoverage says how much of a rule document some fixture touches: without such an entry another answer would come.
type fileCoverage struct {
	File      string      `json:"file"`
	Entries   int         `json:"entries"`
	Touched   int         `json:"touched"`
	Untouched []untouched `json:"untouched,omitempty"`
}

// untouched is an entry that could be deleted, and no fixture would notice.
type untouched struct {
	Line int    `json:"line"`
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// coverageOf tries what the fixtures of all suites notice. Nothing in the engine has to count for that, and a rule that is
// asked but makes no difference is not taken for a tested one.
func coverageOf(suites []*suite) []*fileCoverage {
	var entries []rules.Entry // in the order of the documents
	touched := map[rules.Pos]bool{}
	for _, s := range suites {
		if s.wantError != "" {
			continue
		}
		plain := s.runAll()
		for _, e := range s.rules.Entries() {
			already, known := touched[e.Pos]
			if !known {
				entries = append(entries, e)
			}
			touched[e.Pos] = already || s.notices(e, plain)
		}
	}
	return byFile(entries, touched)
}

// notices reports whether some fixture goes another way without an entry.
func (s *suite) notices(e rules.Entry, plain []*result) bool {
	less := *s
	less.rules = s.rules.Without(e)
	for i, f := range s.fixtures {
		if !reflect.DeepEqual(less.run(f), plain[i]) {
			return true
		}
	}
	return false
}

func byFile(entries []rules.Entry, touched map[rules.Pos]bool) []*fileCoverage {
	var files []*fileCoverage
	named := map[string]*fileCoverage{}
	for _, e := range entries {
		c := named[e.Pos.File]
		if c == nil {
			c = &fileCoverage{File: e.Pos.File}
			named[e.Pos.File] = c
			files = append(files, c)
		}
		c.Entries++
		if touched[e.Pos] {
			c.Touched++
		} else {
			c.Untouched = append(c.Untouched, untouched{e.Pos.Line, e.Kind, e.Name})
		}
	}
	return files
}

// touched prints what no fixture touches.
func (p *painter) touched(files []*fileCoverage) {
	entries, touched := 0, 0
	for _, c := range files {
		entries, touched = entries+c.Entries, touched+c.Touched
		fmt.Fprintf(p.out, "%s %s\n", p.paint(bold, c.File), percent(c.Touched, c.Entries))
		for _, u := range c.Untouched {
			fmt.Fprintf(p.out, "  %s %s:%d %s %s\n", p.paint(red, "–"), c.File, u.Line, u.Kind, u.Name)
		}
	}
	fmt.Fprintf(p.out, "Fixtures touch %s of the entries; the others could be deleted, and no fixture would notice.\n", percent(touched, entries))
}

func percent(part, whole int) string {
	if whole == 0 {
		return "0 of 0"
	}
	return fmt.Sprintf("%d of %d (%d%%)", part, whole, 100*part/whole)
}
