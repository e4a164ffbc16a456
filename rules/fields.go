package rules

// Fields are what the documents that hold for an answer declare of places, names and words, the base pack's first.
func (r *Ruleset) Fields(method, path string) (all []*Field) {
	for _, d := range r.holding(r.holdingFor(method, path, true)) {
		for k := range d.Fields {
			all = append(all, &d.Fields[k])
		}
	}
	return all
}

// Records are the rows of records here.
func (s *Scope) Records() []*Record { return s.records }
