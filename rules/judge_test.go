package rules

import "testing"

// TestWholeMessage: a record of the whole message that should say whose it is, and does not, is whose the route says; a case is
// about its own data subject, and no reason to take another one's answer for theirs.
func TestWholeMessage(t *testing.T) {
	r := mustCompile(t, `roles: [a]
purposes: [p]
records: [{at: "", subject: /id}, {at: /list/*, subject: /id}]
allow: [{id: own, to: self, for: p, keep: [personal]}, {id: cased, to: a, for: p, case: ticket, keep: [personal]}]
`)
	ticket := &Case{ID: "t", Kind: "ticket", Subject: "u1"}
	for name, c := range map[string]struct {
		row    int
		route  string
		ticket *Case
		id     Value
		kept   bool
	}{
		"the route says so":             {0, "u1", nil, Value{}, true},
		"nobody says so":                {0, "", nil, Value{}, false},
		"the route names another":       {0, "u2", nil, Value{}, false},
		"the record names another":      {0, "u1", nil, Value{Known, []byte("u2")}, false},
		"the record says so twice":      {0, "u1", nil, Value{State: Ambiguous}, false},
		"the record says nothing of it": {0, "u1", nil, Value{Known, nil}, false},
		"only a case is about them":     {0, "", ticket, Value{}, false},
		"case and record":               {0, "", ticket, Value{Known, []byte("u1")}, true},
		"an element of a list":          {1, "u1", nil, Value{}, false},
	} {
		d := &Disclosure{Purpose: "p", Subject: c.route, Caller: Caller{ID: "u1", Roles: []string{"a"}, Case: c.ticket}, Time: modelNow}
		if c.ticket != nil {
			d.Caller.ID = "agent"
		}
		j := r.Scope("GET", "/").Judge(d)
		values := make([]Value, j.Scope().SlotCount())
		values[slotSubject] = c.id
		p := j.Begin(c.row, values)
		if kept := j.Table(j.Complete(&p, nil, 0, modelNow)).Decide(r.ID("person.name")).Action == Keep; kept != c.kept {
			t.Errorf("%s: kept %v, want %v", name, kept, c.kept)
		}
	}
}
