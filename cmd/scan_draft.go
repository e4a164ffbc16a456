package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/caddy-minimize/minimize/rules/guess"
)

// scanned is what a scan found, for machines.
type scanned struct {
	*guess.Draft
	Operations []string `json:"operations"`
}

func printScanJSON(out io.Writer, s *scanned) error {
	return printJSON(out, s)
}

// printDraft writes a rule document with the evidence for each guess. It holds names of the samples, and no value.
func printDraft(out io.Writer, s *scanned, beside []string) error {
	var b strings.Builder
	if len(beside) > 0 {
		fmt.Fprintf(&b, "# What `minimize scan` found in %s that is not in %s.\n", s.size(), strings.Join(beside, ", "))
	} else {
		fmt.Fprintf(&b, "# Drafted by `minimize scan` from %s. Each line is a guess to check, and what the samples lack is not here.\n", s.size())
	}
	b.WriteString("# Next: say under `allow` who may have what, then run `minimize lint` and `minimize test`.\nminimize: 1\n")
	if len(s.Operations) > 0 {
		b.WriteString("operations:\n")
		for _, o := range s.Operations {
			fmt.Fprintf(&b, "  - %s\n", quoted(o))
		}
	}
	s.records(&b)
	s.fields(&b)
	if len(beside) == 0 {
		list(&b, "Known by their names, so that they need no line", s.Known)
	}
	list(&b, "Some values only, which detectors find one by one", s.Partly)
	list(&b, "Too few values to tell", s.Unsure)
	if len(beside) > 0 && len(s.Records)+len(s.Fields) == 0 {
		b.WriteString("# Nothing new.\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (s *scanned) size() string {
	return count(s.Documents, "document") + " with " + count(s.Values, "value")
}

func (s *scanned) records(b *strings.Builder) {
	if len(s.Records) == 0 {
		return
	}
	b.WriteString("\nrecords: # whose data\n")
	for _, r := range s.Records {
		fmt.Fprintf(b, "  # in %s of %s, %s distinct", humanize.Comma(int64(r.Hits)), humanize.Comma(int64(r.Objects)), many(r.Distinct))
		if len(r.Others) > 0 {
			fmt.Fprintf(b, "; or %s", comment(strings.Join(r.Others, ", ")))
		}
		fmt.Fprintf(b, "\n  - {at: %s, subject: %s}\n", quoted(r.At), quoted(r.Subject))
	}
}

func (s *scanned) fields(b *strings.Builder) {
	if len(s.Fields) == 0 {
		return
	}
	b.WriteString("\nfields:\n")
	for _, f := range s.Fields {
		e := f.Evidence
		fmt.Fprintf(b, "  # %s in %s of %s, %s distinct", e.By, humanize.Comma(int64(e.Hits)), count(e.Values, "value"), many(e.Distinct))
		where := "at: " + quoted(f.At)
		if f.Key != "" {
			where = "key: " + quoted(f.Key)
			if f.In != "" {
				where += ", in: " + quoted(f.In)
			}
		}
		if f.Inside != "" {
			fmt.Fprintf(b, ", inside the text at %s", comment(f.Inside))
		}
		fmt.Fprintf(b, "\n  - {%s, is: %s}\n", where, f.Is)
	}
}

func list(b *strings.Builder, title string, fields []guess.Field) {
	if len(fields) == 0 {
		return
	}
	fmt.Fprintf(b, "\n# %s:\n", title)
	for _, f := range fields {
		where := f.At
		switch {
		case f.Inside != "":
			where = f.Key + ", inside the text at " + f.Inside
		case f.Key != "":
			where = f.Key + ", a parameter"
		}
		fmt.Fprintf(b, "#   %s: %s (%s)\n", comment(where), f.Is, comment(f.Evidence.By))
	}
}

// count writes a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return humanize.Comma(int64(n)) + " " + thing
}

// many writes a number that is counted up to a bound.
func many(n int) string {
	if n >= guess.MaxDistinct {
		return "at least " + humanize.Comma(int64(n))
	}
	return humanize.Comma(int64(n))
}

// quoted writes a text as a YAML scalar, with quotes where a plain one could be read as something else.
func quoted(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x80 && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_/-. ", r)) && (r != '*' || s[0] != '/')
	}) && (s[0] == '/' || 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z')
	if plain && strings.TrimSpace(s) == s && !isYAMLWord(s) {
		return s
	}
	text, _ := json.Marshal(s) // YAML 1.2 reads JSON's texts
	return string(text)
}

func isYAMLWord(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return true
	}
	return false
}

// comment keeps a name of a sample in its line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}
