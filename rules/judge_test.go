package rules

import (
	"slices"
	"testing"
)

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

// TestFieldsAgree: of several fields those that are there have to say the same; else nobody can tell.
func TestFieldsAgree(t *testing.T) {
	r := mustCompile(t, `
roles: [reader]
purposes: [work]
records: [{at: "", subject: /id}]
allow: [{id: paid, to: reader, for: work, when: {/status /pay: [paid, sent]}, keep: order}]
limit: [{id: gone, to: reader, for: work, when: {/status /pay: gone}, strip: order}]
`)
	s := r.Scope("GET", "/")
	j := s.Judge(&Disclosure{Caller: Caller{ID: "u1", Roles: []string{"reader"}}, Purpose: "work"})
	known := func(text string) Value { return Value{Known, []byte(text)} }
	order := slices.IndexFunc(r.Categories(), func(c CategoryInfo) bool { return c.Name == "order.number" })
	for _, c := range []struct {
		name        string
		status, pay Value
		want        Action
	}{
		{"both", known("paid"), known("sent"), Keep},
		{"the first alone", known("paid"), Value{}, Keep},
		{"the second alone", Value{}, known("paid"), Keep},
		{"none", Value{}, Value{}, Strip},
		{"the first differs", known("gone"), known("paid"), Strip},
		{"the second differs", known("paid"), known("limbo"), Strip},
		{"one is no scalar", known("paid"), Value{State: Ambiguous}, Strip},
		{"both say no", known("limbo"), known("gone"), Strip},
	} {
		values := make([]Value, s.SlotCount())
		for i, f := range r.fields {
			values[slotFields+i] = map[string]Value{"/status": c.status, "/pay": c.pay}[f.String()]
		}
		p := j.Begin(0, values)
		f := j.Complete(&p, nil, 0, j.Now())
		if got := j.Table(f).Decide(CategoryID(order)).Action; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := r.allow[0].When[0].String(); got != "/status /pay: [paid, sent]" {
		t.Errorf("the condition reads %s", got)
	}
}
