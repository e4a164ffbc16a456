package cmd

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-minimize/minimize/rules"
)

// lintSilence is the code of what is wrong with a comment that silences. It cannot be silenced itself.
const lintSilence = "silence"

// silencing is `# lint: shadowed because …`, for several codes `# lint: shadowed, unused because …`.
var silencing = regexp.MustCompile(`#\s*lint:\s*([a-z-]+(?:\s*,\s*[a-z-]+)*)\s*(?:because(\s+\S.*)?)?$`)

// silence is one such comment.
type silence struct {
	pos     rules.Pos
	line    int // whose findings it silences
	codes   []string
	because bool
	used    bool
}

func silencesOf(file string, lines []string) []*silence {
	var all []*silence
	for i, text := range lines {
		text = strings.TrimRight(text, " \t\r")
		at := silencing.FindStringSubmatchIndex(text)
		if at == nil {
			continue
		}
		s := &silence{pos: rules.Pos{File: file, Line: i + 1, Column: at[0] + 1}, line: i + 1, because: at[4] >= 0}
		if strings.TrimSpace(text[:at[0]]) == "" {
			s.line++ // alone in its line it speaks of the next
		}
		for code := range strings.SplitSeq(text[at[2]:at[3]], ",") {
			s.codes = append(s.codes, strings.TrimSpace(code))
		}
		all = append(all, s)
	}
	return all
}

// unsilenced returns the findings that no comment silences with a reason, and what is wrong with the comments.
func (l *lint) unsilenced() []rules.Finding {
	var silences []*silence
	for _, file := range slices.Sorted(maps.Keys(l.texts)) {
		silences = append(silences, silencesOf(file, l.texts[file])...)
	}
	kept := slices.DeleteFunc(slices.Clone(l.found), func(f rules.Finding) bool {
		silent := false
		for _, s := range silences {
			if s.pos.File == f.Pos.File && s.line == f.Pos.Line && slices.Contains(s.codes, f.Code) {
				s.used, silent = true, silent || s.because
			}
		}
		return silent
	})
	l.found = nil
	for _, s := range silences {
		switch {
		case !s.because:
			l.report(s.pos, lintSilence, rules.SeverityWarning, "this silences nothing without a reason: write `because …` behind the code")
		case !s.used:
			l.report(s.pos, lintSilence, rules.SeverityNote, "this silences nothing: there is no such finding in its line; take it out")
		}
	}
	return append(kept, l.found...)
}
