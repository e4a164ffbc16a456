package rules

import "slices"

// Fields are what the documents that hold for a request declare of places, names and words, the base pack's first.
func (r *Ruleset) Fields(method, path string) (all []*Field) {
	hold := slices.Clone(r.everywhere)
	r.operations.each(method, path, func(o operationAt) { hold.add(o.document) })
	for i, d := range r.documents {
		if !hold.has(i) {
			continue
		}
		for k := range d.Fields {
			all = append(all, &d.Fields[k])
		}
	}
	return all
}

// Records are the rows of records here.
func (s *Scope) Records() []*Record { return s.records }
