package auditlog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/caddy-minimize/minimize/rules"
)

// Filter says which entries are meant: those that everything in it agrees with.
type Filter struct {
	Members    map[string][]string // by the entry's member, such as role or outcome: one of these; none: any
	Categories []rules.Category    // one of these, or below
	Callers    []string            // tokens
	Subjects   []string            // tokens
	Cases      []string            // tokens
	From       time.Time
	Until      time.Time // from then on none is meant; zero: no end

	// Read is called with how many entries were read so far. Its error ends the search. nil: nobody asks.
	Read func(n int) error

	// Unnamed are the entries that agree but for the data subject and tell of more people than they name: they may be meant.
	Unnamed int

	// Verify has Each check what it reads, which takes about as long again. Findings are where the logs are not what was
	// written then. Older files may be gone.
	Verify   bool
	Findings []Finding
}

// Each calls show with the entries of the logs that are meant, oldest first, and returns how many there were. One entry is
// in memory at a time.
func (f *Filter) Each(paths []string, show func(entry gjson.Result) error) (int, error) {
	read, shown := 0, 0
	chains := map[string]*Verifier{} // by log: there may be those of several gateways
	var chain *Verifier              // of this file
	var file string
	err := Read(paths, func(e Entry) error {
		read++
		if f.Read != nil {
			if err := f.Read(read); err != nil {
				return err
			}
		}
		if f.Verify && (chain == nil || e.File != file) {
			file = e.File
			if chain = chains[logOf(file)]; chain == nil {
				chain = &Verifier{Pruned: true}
				chains[logOf(file)] = chain
			}
		}
		if f.Verify {
			chain.Next(e)
		}
		entry := gjson.ParseBytes(e.Text)
		if start := e.Text[:min(len(e.Text), len(entryStart))]; read == 1 && !strings.HasPrefix(entryStart, string(start)) { // a crash may have cut it
			return fmt.Errorf("%s:%d is no entry: this is no audit log", e.File, e.Line)
		}
		if !f.matches(entry) {
			return nil
		}
		shown++
		return show(entry)
	})
	for _, log := range slices.Sorted(maps.Keys(chains)) {
		f.Findings = append(f.Findings, chains[log].Findings...)
	}
	return shown, err
}

func (f *Filter) matches(entry gjson.Result) bool {
	for name, wanted := range f.Members {
		if !oneOf(wanted, entry.Get(name)) {
			return false
		}
	}
	return oneOf(f.Callers, entry.Get("caller")) && oneOf(f.Cases, entry.Get("case")) &&
		f.inTime(entry) && f.hasCategory(entry) && f.hasSubject(entry)
}

func oneOf(wanted []string, value gjson.Result) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value.String())
}

func (f *Filter) inTime(entry gjson.Result) bool {
	if f.From.IsZero() && f.Until.IsZero() {
		return true
	}
	at := entry.Get("time").Time()
	return !at.Before(f.From) && (f.Until.IsZero() || at.Before(f.Until))
}

func (f *Filter) hasCategory(entry gjson.Result) (found bool) {
	if len(f.Categories) == 0 {
		return true
	}
	entry.Get("values").ForEach(func(name, _ gjson.Result) bool {
		category, _, _ := strings.Cut(name.Str, " ")
		found = slices.ContainsFunc(f.Categories, func(c rules.Category) bool { return c.Contains(rules.Category(category)) })
		return !found
	})
	return found
}

func (f *Filter) hasSubject(entry gjson.Result) bool {
	if oneOf(f.Subjects, entry.Get("subject")) {
		return true
	}
	people := entry.Get("people").Array()
	if slices.ContainsFunc(people, func(p gjson.Result) bool { return oneOf(f.Subjects, p.Get("token")) }) {
		return true
	}
	if int(entry.Get("subjects").Int()) > len(people) {
		f.Unnamed++
	}
	return false
}
