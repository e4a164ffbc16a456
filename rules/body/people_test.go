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

// TestReached: who is told of are the data subjects of whom something above general leaves, before it does.
func TestReached(t *testing.T) {
	const text = `minimize: 1
roles: [reader]
purposes: [work]
categories: {remark: {grade: general}, faith: {grade: sensitive}}
fields: [{key: note, is: remark}, {key: secret, is: faith}]
records: [{at: /list/*, subject: /id}, {at: "/list/*/goods/*"}]
allow:
  - {id: some, to: reader, for: work, keep: [general], mask: [contact.phone], blank: [device.imei]}
  - {id: asked, to: reader, for: work, consent: explicit, keep: [device.imei]}
`
	const phone, imei = `"phone":"13800138000"`, `"imei":"490154203237518"`
	for name, c := range map[string]struct {
		body    string
		subject string
		hold    int
		want    string

		storeless bool
	}{
		"shown, with and without a word of the store": {`{"list":[{"id":"a",` + phone + `},{"id":"b",` + imei + `}]}`, "", 0, "a b!", false},
		"nothing of it stays":                         {`{"list":[{"id":"a","secret":"x","note":"n"},{"id":"c",` + imei + `}]}`, "", 0, "", false},
		"the message's own":                           {`{` + phone + `,"list":[{"id":"a",` + phone + `}]}`, "me", 0, "a me", false},
		"of nobody":                                   {`{` + phone + `}`, "", 0, "", false},
		"what is in a record is its data subject's":   {`{"list":[{"id":"a","goods":[{` + phone + `}]}]}`, "", 0, "a", true},
		"a text's inside":                             {`{"list":[{"id":"a","t":"{\"phone\":\"13800138000\"}"}]}`, "", 0, "a", true},
		"window by window":                            {`{"list":[{"id":"a",` + phone + `},{"id":"b",` + phone + `},{"id":"a",` + phone + `}]}`, "", 90, "a b! a", false},
		"longer than the hold":                        {`{"list":[{` + phone + `,"note":"` + strings.Repeat("x", 300) + `","id":"a"}]}`, "", 60, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			told, left := "", false
			store := &register{agreed: map[string]bool{"b": true}, now: time.Unix(1e9, 0)}
			d := rules.Disclosure{
				Caller: rules.Caller{ID: "r", Roles: []string{"reader"}}, Purpose: "work", Subject: c.subject, Time: time.Now(),
				Reached: func(subject []byte, person *rules.Person) {
					told += " " + string(subject)
					if person != nil && len(person.Consents) > 0 {
						told += "!"
					}
				},
			}
			if !c.storeless {
				d.People = store
			}
			j := scopeOf(t, text).Judge(&d)
			w := NewJSON(j, Limits{Hold: c.hold}, func(_ []byte, last bool) error { left = left || last && told != ""; return nil })
			defer w.Release()
			w.Write([]byte(c.body)) // Close repeats its error
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got := strings.Fields(told)
			if strings.Join(got, " ") != c.want || left != (c.want != "") {
				t.Errorf("told of %q (before the last byte: %v), want %q", got, left, c.want)
			}
		})
	}
}

// TestReachedMindChanged: whoever withdrew before the window left was not reached, and a dropped record reaches nobody.
func TestReachedMindChanged(t *testing.T) {
	store := &register{agreed: map[string]bool{"a": true, "b": true, "c": true}, now: time.Unix(1e9, 0)}
	store.leave = func() bool { was := store.agreed["a"]; store.agreed["a"] = false; return !was }
	var told []string
	j := scopeOf(t, agreedPhone+"limit: [{id: dropped, to: reader, when: {/bad: true}, block: [contact.phone]}]\n").Judge(&rules.Disclosure{
		Caller: rules.Caller{ID: "me", Roles: []string{"reader"}}, Purpose: "work", Time: time.Now(), People: store,
		Reached: func(subject []byte, _ *rules.Person) { told = append(told, string(subject)) },
	})
	body := `{"list":[{"bad":false,"id":"a","phone":"13800138000"},{"bad":false,"id":"b","phone":"13800138000"},{"bad":true,"id":"c","phone":"13800138000"}]}`
	if _, _, err := rewrite(j, Limits{}, body, len(body)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(told) != "[b]" {
		t.Errorf("told of %q, want b alone", told)
	}
}
