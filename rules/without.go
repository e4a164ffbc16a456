package rules

import (
	"cmp"
	"slices"
	"strings"
)

// Entry is an entry of a rule document that tests of the rules can touch.
type Entry struct {
	Pos  Pos
	Kind string // rule, limit, field, record or recipient
	Name string // its id, or what it names; never text of a body
}

// Entries lists what the documents say, but for the base pack, in their order.
func (r *Ruleset) Entries() []Entry {
	var entries []Entry
	for _, d := range r.documents[1:] {
		for i := range d.Records {
			entries = append(entries, Entry{d.Records[i].Pos, "record", cmp.Or(d.Records[i].At.String(), "the whole body")})
		}
		for i := range d.Fields {
			entries = append(entries, Entry{d.Fields[i].Pos, "field", d.Fields[i].name()})
		}
		for i := range d.Recipients {
			entries = append(entries, Entry{d.Recipients[i].Pos, "recipient", d.Recipients[i].Name})
		}
		for i := range d.Allow {
			entries = append(entries, Entry{d.Allow[i].Pos, "rule", d.Allow[i].ID})
		}
		for i := range d.Limit {
			entries = append(entries, Entry{d.Limit[i].Pos, "limit", d.Limit[i].ID})
		}
	}
	return entries
}

func (f *Field) name() string {
	if f.At != nil {
		return f.At.String()
	}
	return strings.Join(slices.Concat(f.Keys, f.Words), ", ")
}

// Without returns the same rules but for one entry. Tests that do not notice the difference do not test that entry.
func (r *Ruleset) Without(e Entry) *Ruleset {
	at := e.Pos
	less := *r
	less.caches, less.documents = newCaches(), nil
	less.allow = slices.DeleteFunc(slices.Clone(r.allow), func(c *compiledRule) bool { return c.Pos == at })
	less.limit = slices.DeleteFunc(slices.Clone(r.limit), func(c *compiledRule) bool { return c.Pos == at })
	for _, d := range r.documents {
		own := *d
		own.Fields = slices.DeleteFunc(slices.Clone(d.Fields), func(f Field) bool { return f.Pos == at })
		own.Records = slices.DeleteFunc(slices.Clone(d.Records), func(rec Record) bool { return rec.Pos == at })
		own.Recipients = slices.DeleteFunc(slices.Clone(d.Recipients), func(entry Recipient) bool { return entry.Pos == at })
		less.documents = append(less.documents, &own)
	}
	less.register = registerOf(less.documents)
	if e.Kind != "field" && e.Kind != "record" {
		less.takeScopes(r)
	}
	return &less
}

// takeScopes takes over what fields and records mean, which does not turn on rules.
func (r *Ruleset) takeScopes(from *Ruleset) {
	from.mu.RLock()
	defer from.mu.RUnlock()
	for key, s := range from.scopes {
		r.scopes[key] = &Scope{
			vocabulary: s.vocabulary, rules: r, places: s.places, records: s.records, further: s.further, detectors: s.detectors, kinds: s.kinds,
			undeclared: s.undeclared, broken: s.broken,
		}
	}
}
