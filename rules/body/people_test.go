package body

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// register is a store that notes what it is asked.
type register struct {
	agreed map[string]bool
	away   bool
	finds  [][]string
	leave  func() bool // right before a window leaves: reports whether it may
	now    time.Time
}

func (s *register) Find(found []*rules.Person, subjects [][]byte) {
	var ids []string
	for i, id := range subjects {
		ids = append(ids, string(id))
		if s.away {
			continue
		}
		found[i] = &rules.Person{}
		if s.agreed[string(id)] {
			found[i].Consents = []rules.Consent{{Purpose: "work", Level: rules.LevelExplicit, Given: time.Unix(1, 0), Expires: time.Unix(1e10, 0)}}
		}
	}
	s.finds = append(s.finds, ids)
}

func (s *register) Now() time.Time                  { return s.now }
func (*register) Case(string) *rules.Case           { return nil }
func (*register) Seen([]int, string, [][]byte, int) {}

func (s *register) Send(_ []*rules.Person, write func() error) (bool, error) {
	if s.leave != nil && !s.leave() {
		return false, nil
	}
	return true, write()
}

const agreedPhone = `minimize: 1
roles: [reader]
purposes: [work]
records: [{at: /list/*, subject: /id}]
allow: [{id: agreed, to: reader, for: work, consent: explicit, keep: [contact.phone]}]
`

func (s *register) judge(t testing.TB, subject string) *rules.Judge {
	return scopeOf(t, agreedPhone).Judge(&rules.Disclosure{
		Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Subject: subject, Time: time.Now(), People: s,
	})
}

// TestPageOfPeople: each element is judged by its own data subject, wherever the id stands, with one question to the store.
func TestPageOfPeople(t *testing.T) {
	s := &register{agreed: map[string]bool{}}
	var elements, want []string
	for i := range 100 {
		id := fmt.Sprintf(`"id":"u%d"`, i)
		phone := fmt.Sprintf(`"phone":"138001%05d"`, i)
		s.agreed[fmt.Sprint("u", i)] = i%3 == 0
		both := []string{id, phone}
		if i%2 == 0 {
			slices.Reverse(both)
		}
		elements = append(elements, "{"+strings.Join(both, ",")+"}")
		if i%3 > 0 {
			both = []string{id}
		}
		want = append(want, "{"+strings.Join(both, ",")+"}")
	}
	got := output(t, s.judge(t, ""), `{"list":[`+strings.Join(elements, ",")+`]}`)
	if got != `{"list":[`+strings.Join(want, ",")+`]}` {
		t.Errorf("got %s", got)
	}
	if len(s.finds) != 1 || len(s.finds[0]) != 100 {
		t.Errorf("the store was asked %d times", len(s.finds))
	}
}

// TestUnknownPeople: an element whose data subject nobody can name discloses nothing that needs a consent, and neither
// does anything while the store is away.
func TestUnknownPeople(t *testing.T) {
	s := &register{agreed: map[string]bool{"": true, "u1": true, "null": true, "7": true}}
	for in, want := range map[string]string{
		`{"list":[{"phone":"13800138000"}]}`:                              `{"list":[{}]}`,
		`{"list":[{"id":null,"phone":"13800138000"}]}`:                    `{"list":[{"id":null}]}`,
		`{"list":[{"id":"","phone":"13800138000"}]}`:                      `{"list":[{"id":""}]}`,
		`{"list":[{"id":"u1","id":"u1","phone":"13800138000"}]}`:          `{"list":[{"id":"u1","id":"u1"}]}`,
		`{"list":[{"id":["u1"],"phone":"13800138000"}]}`:                  `{"list":[{"id":["u1"]}]}`,
		`{"list":[{"phone":"13800138000","id":7}],"phone":"13800138000"}`: `{"list":[{"phone":"13800138000","id":7}]}`,
		`{"phone":"13800138000"}`:                                         `{}`,
	} {
		if got := output(t, s.judge(t, ""), in); got != want {
			t.Errorf("%s gave %s, want %s", in, got, want)
		}
	}
	s.away = true
	if got, want := output(t, s.judge(t, "u1"), `{"list":[{"id":"u1","phone":"13800138000"}],"phone":"13800138000"}`), `{"list":[{"id":"u1"}]}`; got != want {
		t.Errorf("with the store away %s, want %s", got, want)
	}
}

// TestWholeMessage: a record that is the whole message and does not say whose it is has the subject of its route, so that a
// time to keep it can be said without an id in the body.
func TestWholeMessage(t *testing.T) {
	const doc = `minimize: 1
roles: [reader]
purposes: [work]
records: [{at: "", created: /since, retain: 1y}, {at: /list/*, created: /since, retain: 1y}]
allow: [{id: agreed, to: reader, for: work, consent: explicit, keep: [contact.phone]}]
`
	s := &register{agreed: map[string]bool{"u1": true}}
	for _, c := range []struct{ subject, in, want string }{
		{"u1", `{"phone":"13800138000","since":"2026-11-01"}`, `{"phone":"13800138000","since":"2026-11-01"}`},
		{"u1", `{"phone":"13800138000","since":"2025-11-01"}`, `{"since":"2025-11-01"}`},
		{"u1", `{"phone":"13800138000"}`, `{}`},
		{"u2", `{"phone":"13800138000","since":"2026-11-01"}`, `{"since":"2026-11-01"}`},
		{"", `{"phone":"13800138000","since":"2026-11-01"}`, `{"since":"2026-11-01"}`},
		{"u1", `{"list":[{"phone":"13800138000","since":"2026-11-01"}],"since":"2026-11-01"}`, `{"list":[{"since":"2026-11-01"}],"since":"2026-11-01"}`},
	} {
		judge := scopeOf(t, doc).Judge(&rules.Disclosure{
			Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Subject: c.subject,
			Time: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), People: s,
		})
		if got := output(t, judge, c.in); got != c.want {
			t.Errorf("%s of %q gave %s, want %s", c.in, c.subject, got, c.want)
		}
	}
}

// TestInsideSomebody: a record that names nobody, inside one that does, cannot be taken for nobody's.
func TestInsideSomebody(t *testing.T) {
	const doc = `minimize: 1
roles: [reader]
purposes: [work]
records: [{at: /list/*, subject: /id}, {at: /list/*/visits/*, country: /country}, {at: /about}]
allow: [{id: deal, to: reader, for: work, keep: [contact.phone]}]
`
	judge := func(people rules.People, subject string) *rules.Judge {
		return scopeOf(t, doc).Judge(&rules.Disclosure{Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Subject: subject, Time: time.Now(), People: people})
	}
	const body = `{"list":[{"id":"u1","phone":"13800138000","visits":[{"phone":"13800138001"}]}],"about":{"phone":"13800138002"}}`
	for subject, want := range map[string]string{
		"":   `{"list":[{"id":"u1","phone":"13800138000","visits":[{}]}],"about":{"phone":"13800138002"}}`,
		"u2": `{"list":[{"id":"u1","phone":"13800138000","visits":[{}]}],"about":{}}`,
	} {
		if got := output(t, judge(&register{}, subject), body); got != want {
			t.Errorf("of %q got %s, want %s", subject, got, want)
		}
	}
	if got := output(t, judge(nil, "u2"), body); got != body {
		t.Errorf("without a store got %s", got)
	}
}

// TestWithdrawnMeanwhile: what is withdrawn before the first byte of a window leaves is not in it.
func TestWithdrawnMeanwhile(t *testing.T) {
	s := &register{agreed: map[string]bool{"u1": true, "u2": true}}
	s.leave = func() bool {
		was := s.agreed["u1"]
		delete(s.agreed, "u1")
		return !was
	}
	got := output(t, s.judge(t, "u2"), `{"list":[{"id":"u1","phone":"13800138000"},{"id":"u2","phone":"13800138001"}],"phone":"13800138002"}`)
	if want := `{"list":[{"id":"u1"},{"id":"u2","phone":"13800138001"}],"phone":"13800138002"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s = &register{agreed: map[string]bool{"u1": true}}
	s.leave = func() bool {
		was := s.agreed["u1"]
		delete(s.agreed, "u1")
		return !was
	}
	for _, text := range []string{`{\"phone\":\"13800138000\"}`, `{\"phone\":\"13800138000\"} and more`, `https://shop.example/?phone=13800138000`, `call 13800138000`, `13800138000`} {
		s.agreed["u1"] = true
		if got := output(t, s.judge(t, ""), `{"list":[{"id":"u1","log":"`+text+`"}]}`); strings.Contains(got, "13800138000") {
			t.Errorf("%s gave %s", text, got)
		}
	}
	s = &register{agreed: map[string]bool{"u1": true}, leave: func() bool { return false }}
	if got := output(t, s.judge(t, "u1"), `{"list":[{"id":"u1","phone":"13800138000"}],"phone":"13800138000"}`); got != `{"list":[{"id":"u1"}]}` {
		t.Errorf("where somebody says something new without end, nobody is known: %s", got)
	}
}

// TestExpiredWhileStreaming: time goes on while a body is judged, and right before a window leaves.
func TestExpiredWhileStreaming(t *testing.T) {
	s := &register{agreed: map[string]bool{"u1": true}}
	windows := 0
	s.leave = func() bool {
		if windows++; windows == 3 {
			s.now = time.Unix(1e10, 0)
		}
		return true
	}
	body := `[` + strings.Repeat(`{"phone":"13800138000"},`, 20_000) + `{}]`
	c, _, err := rewrite(s.judge(t, "u1"), Limits{Hold: 64 << 10}, body, 32<<10)
	if shown := strings.Count(string(c.body), "13800138000"); err != nil || shown == 0 || shown > 10_000 {
		t.Errorf("%d of 20000 shown in %d windows, %v", shown, windows, err)
	}
}

// TestWithdrawnWhileStreaming: the message's own data subject is asked about again for every window.
func TestWithdrawnWhileStreaming(t *testing.T) {
	s := &register{agreed: map[string]bool{"u1": true}}
	windows := 0
	s.leave = func() bool {
		if windows++; windows == 3 {
			s.agreed["u1"] = false
			return false
		}
		return true
	}
	body := `[` + strings.Repeat(`{"phone":"13800138000"},`, 20_000) + `{}]`
	c, report, err := rewrite(s.judge(t, "u1"), Limits{Hold: 64 << 10}, body, 32<<10)
	if err != nil || windows < 5 {
		t.Fatalf("%v in %d windows", err, windows)
	}
	shown := strings.Count(string(c.body), "13800138000")
	if last := strings.LastIndex(string(c.body), "13800138000"); shown == 0 || shown > 8000 || strings.Contains(string(c.body[:last]), "{}") {
		t.Errorf("%d of 20000 shown, the last at byte %d of %d", shown, last, len(c.body))
	}
	id := scopeOf(t, agreedPhone).Rules().ID("contact.phone")
	if kept, stripped := report.Counts[id][rules.Keep], report.Counts[id][rules.Strip]; int(kept) != shown || int(kept+stripped) != 20_000 {
		t.Errorf("%d shown, but %d reported as kept and %d as stripped", shown, kept, stripped)
	}
}
