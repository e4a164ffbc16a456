package rules

import (
	"errors"
	"strings"
)

// Selector names places in a document: an RFC 6901 JSON Pointer in which a step may be `*` (any one step) or `**` (any
// number of steps, none included). Not nil and empty is the document itself.
type Selector []Step

// Step is one step of a selector.
type Step struct {
	Kind StepKind
	Name string // of a StepName
}

// StepKind says what a step matches.
type StepKind uint8

// The kinds of steps.
const (
	StepName StepKind = iota // the member of this name, or the element of this index
	StepAny                  // any one member or element
	StepDeep                 // any number of steps, none included
)

// parseSelector reads a selector. `~2` stands for a star that is a name's own, beside RFC 6901's `~0` and `~1`.
func parseSelector(s string) (Selector, error) {
	if s == "" {
		return Selector{}, nil
	}
	if s[0] != '/' {
		return nil, errors.New("a selector starts with a slash (a name without one belongs under `key`)")
	}
	var sel Selector
	for part := range strings.SplitSeq(s[1:], "/") {
		switch part {
		case "*":
			sel = append(sel, Step{Kind: StepAny})
		case "**":
			if len(sel) > 0 && sel[len(sel)-1].Kind == StepDeep {
				return nil, errors.New("a selector has `**` twice in a row")
			}
			sel = append(sel, Step{Kind: StepDeep})
		default:
			name, err := unescapeStep(part)
			if err != nil {
				return nil, err
			}
			sel = append(sel, Step{Name: name})
		}
	}
	return sel, nil
}

func unescapeStep(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '~' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) || s[i] < '0' || s[i] > '2' {
			return "", errors.New("a `~` in a selector stands before 0, 1 or 2")
		}
		b.WriteByte("~/*"[s[i]-'0'])
	}
	return b.String(), nil
}

var escapeStep = strings.NewReplacer("~", "~0", "/", "~1", "*", "~2")

var escapeName = strings.NewReplacer("~", "~0", "/", "~1")

// EscapeName writes a name as a step of a JSON Pointer (RFC 6901).
func EscapeName(name string) string { return escapeName.Replace(name) }

func (s Selector) String() string {
	var b strings.Builder
	for _, step := range s {
		b.WriteByte('/')
		switch step.Kind {
		case StepAny:
			b.WriteByte('*')
		case StepDeep:
			b.WriteString("**")
		default:
			escapeStep.WriteString(&b, step.Name)
		}
	}
	return b.String()
}
