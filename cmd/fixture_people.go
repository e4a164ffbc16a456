package cmd

import (
	"errors"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/caddy-minimize/minimize/rules"
)

// fixturePerson is what a fixture says that the consent store knows of a data subject.
type fixturePerson struct {
	Born      day
	Minor     bool
	Ended     bool
	Guardians words // ids of callers
	Policy    int
	Consents  []fixtureConsent
}

type fixtureConsent struct {
	Purpose    string
	Level      string
	Recipient  string
	Categories words
	By         string // self, which may be left out, or guardian
	Policy     int
	Given      day
	Expires    day
	Withdrawn  day
	Objected   day
	Restricted day
}

type fixtureCase struct {
	ID      string
	Kind    string
	Subject string
	Callers words
	Roles   words
	Ends    day
}

// day is a day, or a time with a zone.
type day struct {
	time.Time
	whole bool
}

// UnmarshalYAML reads the two forms that rule documents have, too.
func (d *day) UnmarshalYAML(n *yaml.Node) (err error) {
	*d, err = parseDay(n.Value)
	return err
}

func parseDay(text string) (d day, err error) {
	d.whole = true
	if d.Time, err = time.Parse(time.DateOnly, text); err == nil {
		return d, nil
	}
	d.whole = false
	if d.Time, err = time.Parse(time.RFC3339, text); err == nil && !d.IsZero() { // which stands for none
		return d, nil
	}
	return d, errors.New("want a day such as 2026-11-22, or a time with a zone")
}

// end is when something is over: a day counts whole.
func (d day) end() time.Time {
	if d.whole {
		return d.AddDate(0, 0, 1)
	}
	return d.Time
}

// peopleOf makes a store's answers out of what a fixture says. Without people and cases there is no store.
func peopleOf(f *fixture) (rules.People, error) {
	if f.People == nil && f.Cases == nil && f.Seen == 0 {
		return nil, nil
	}
	m := memory{people: map[string]*rules.Person{}, cases: map[string]*rules.Case{}, seen: map[string][]string{}}
	m.seen[f.Caller.ID] = make([]string, f.Seen)
	for id, written := range f.People {
		p, err := written.person(f.disclosure.Time)
		if err != nil {
			return nil, err
		}
		m.people[id] = p
	}
	for _, written := range f.Cases {
		if written.ID == "" || written.Kind == "" || written.Subject == "" {
			return nil, errors.New("a case needs `id`, `kind` and `subject`")
		}
		c := rules.Case{
			ID: written.ID, Kind: written.Kind, Subject: written.Subject,
			Callers: written.Callers, Roles: written.Roles, Ends: written.Ends.end(),
		}
		m.cases[c.ID] = &c
		m.person(c.Subject).Cases = append(m.person(c.Subject).Cases, c)
	}
	return &m, nil
}

func (w *fixturePerson) person(now time.Time) (*rules.Person, error) {
	p := &rules.Person{Born: w.Born.Time, Minor: w.Minor, Ended: w.Ended, Guardians: w.Guardians, Policy: w.Policy}
	for _, c := range w.Consents {
		level, ok := rules.ParseLevel(c.Level)
		if !ok && c.Level != "" {
			return nil, errors.New("a consent's `level` is bundled, general, explicit, separate or written")
		}
		if !slices.Contains([]string{"", "self", "guardian"}, c.By) {
			return nil, errors.New("a consent is given `by` self, which may be left out, or guardian")
		}
		for _, at := range []day{c.Given, c.Withdrawn, c.Objected, c.Restricted} {
			if at.After(now) && !now.IsZero() {
				return nil, errors.New("a consent is given, withdrawn, objected or restricted after the fixture's `time`: nobody has said that yet")
			}
		}
		var categories []rules.Category
		for _, name := range c.Categories {
			categories = append(categories, rules.Category(name))
		}
		p.Policy = max(p.Policy, c.Policy) // as a gateway has it: who agrees under a version accepts it
		p.Consents = append(p.Consents, rules.Consent{
			Purpose: c.Purpose, Recipient: c.Recipient, Categories: categories, Level: level,
			ByGuardian: c.By == "guardian", Policy: c.Policy,
			Given: c.Given.Time, Expires: c.Expires.end(),
			Withdrawn: c.Withdrawn.Time, Objected: c.Objected.Time, Restricted: c.Restricted.Time,
		})
	}
	return p, nil
}

// memory is a store of what one fixture says.
type memory struct {
	people map[string]*rules.Person
	cases  map[string]*rules.Case
	seen   map[string][]string // data subjects by caller: a fixture is one day
}

// person is somebody's entry, made where there is none.
func (m *memory) person(id string) *rules.Person {
	p := m.people[id]
	if p == nil {
		p = new(rules.Person)
		m.people[id] = p
	}
	return p
}

// Find implements rules.People.
func (m *memory) Find(people []*rules.Person, subjects [][]byte) {
	for i, id := range subjects {
		people[i] = m.person(string(id))
	}
}

// Now implements rules.People: in a fixture time stands still.
func (*memory) Now() time.Time { return time.Time{} }

// Case implements rules.People.
func (m *memory) Case(id string) *rules.Case { return m.cases[id] }

// Seen implements rules.People.
func (m *memory) Seen(nth []int, caller string, subjects [][]byte, most int) {
	for i, id := range subjects {
		seen := m.seen[caller]
		at := slices.Index(seen, string(id))
		if at < 0 && len(seen) < most {
			at = len(seen)
			m.seen[caller] = append(seen, string(id))
		}
		if nth[i] = at + 1; at < 0 {
			nth[i] = most + 1
		}
	}
}

// Send implements rules.People: what a fixture says does not change.
func (m *memory) Send(_ []*rules.Person, write func() error) (bool, error) { return true, write() }
