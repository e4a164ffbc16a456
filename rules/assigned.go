package rules

import (
	"bytes"
	"slices"
)

// maxAssigned is how much of a name counts, from its end: there the noun stands.
const maxAssigned = 64

// Assigned appends the labels of the names that a text gives values to: quoted before a colon, or bare before an equals
// sign. That is how documents, scripts, forms, URLs, cookies and lines of logs write them.
func (s *Scope) Assigned(dst []*Label, text []byte) []*Label {
	for {
		i := bytes.IndexAny(text, ":=")
		if i < 0 {
			return dst
		}
		before := bytes.TrimRight(text[:i], " \t\r\n")
		name := bytes.TrimRight(before, `\"'`)
		quoted, assigned := len(name) < len(before), text[i] == '='
		text = text[i+1:]
		switch {
		case quoted:
			name = name[bytes.LastIndexAny(name, `"'`)+1:]
		case assigned:
			name = name[bytes.LastIndexAny(name, " \t\r\n?&;#/,([{<>\\\"'=:")+1:]
		default:
			continue // a colon alone is punctuation
		}
		meaning := s.Name(name[max(0, len(name)-maxAssigned):])
		if label := s.Key(&meaning, nil); label != nil && !label.Silent && !slices.Contains(dst, label) {
			dst = append(dst, label)
		}
	}
}
