package consentstore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	clusters "github.com/caddy-minimize/minimize/test/postgres"
)

// eachStore runs a test with both stores, each new and empty.
func eachStore(t *testing.T, test func(t *testing.T, open func(testing.TB) Store)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "consent.db")
		test(t, func(t testing.TB) Store { return opened(t, SQLite, path) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := clusters.Start(t).DSN()
		test(t, func(t testing.TB) Store { return opened(t, Postgres, dsn) })
	})
}

func opened(t testing.TB, kind, dsn string) Store {
	t.Helper()
	s, err := Open(kind, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func apply(t testing.TB, s interface {
	Apply(context.Context, Batch) ([]Change, error)
}, b Batch) []Change {
	t.Helper()
	changes, err := s.Apply(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func say(entries ...Entry) Batch { return Batch{Entries: entries} }

func gives(subject, purpose string) Entry {
	return Entry{Subject: subject, Purpose: purpose, Event: Give, Level: "explicit", GivenBy: "self"}
}

func says(subject, purpose string, event Event) Entry {
	return Entry{Subject: subject, Purpose: purpose, Event: event}
}

func find(t testing.TB, s Store, key string) Subject {
	t.Helper()
	found, err := s.Find(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func record(t testing.TB, s Store, subject string) Record {
	t.Helper()
	found := find(t, s, subject)
	if len(found.Records) != 1 {
		t.Fatalf("got %d records, want 1", len(found.Records))
	}
	return found.Records[0]
}

// TestApplyOnce shows that what says nothing new changes nothing, and what does is one change and one entry of the history.
func TestApplyOnce(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }
	at := func(e Entry, n int) Entry { e.At = day(n); return e }
	gpc := says("p", "ads", Object)
	gpc.GPC = true
	stronger := gives("p", "ads")
	stronger.Level = "written"
	later := gives("p", "ads")
	later.At, later.Evidence = day(9), "letter 7"
	guardian := gives("p", "ads")
	guardian.GivenBy, guardian.Expires = "guardian", day(7)
	tests := map[string]struct {
		entries []Entry // told one after another
		news    string  // + where it is new
		state   string  // given, withdrawn, objected, restricted, gpc: their first letters
	}{
		"a consent twice":                {[]Entry{gives("p", "ads"), gives("p", "ads")}, "+-", "g"},
		"another level":                  {[]Entry{gives("p", "ads"), stronger}, "++", "g"},
		"withdrawn twice":                {[]Entry{gives("p", "ads"), says("p", "ads", Withdraw), says("p", "ads", Withdraw)}, "++-", "gw"},
		"withdrawn and given again":      {[]Entry{gives("p", "ads"), says("p", "ads", Withdraw), gives("p", "ads")}, "+++", "g"},
		"withdrawn, never given":         {[]Entry{says("p", "ads", Withdraw), says("p", "ads", Withdraw)}, "--", "none"},
		"withdrawn in an earlier file":   {[]Entry{at(says("p", "ads", Withdraw), 5), at(gives("p", "ads"), 4)}, "+-", "w"},
		"a guardian's, over":             {[]Entry{at(guardian, 5), at(gives("p", "ads"), 7)}, "++", "g"},
		"a guardian's, withdrawn":        {[]Entry{at(guardian, 5), at(says("p", "ads", Withdraw), 6), at(gives("p", "ads"), 6), gives("p", "ads")}, "++-+", "g"},
		"a guardian's, and older":        {[]Entry{at(guardian, 5), at(gives("p", "ads"), 4)}, "+-", "g"},
		"objected":                       {[]Entry{says("p", "ads", Object), says("p", "ads", Object)}, "+-", "o"},
		"objected to a consent":          {[]Entry{gives("p", "ads"), says("p", "ads", Object)}, "++", "go"},
		"a consent ends an objection":    {[]Entry{gives("p", "ads"), says("p", "ads", Object), gives("p", "ads")}, "+++", "g"},
		"an objection lifted":            {[]Entry{says("p", "ads", Object), says("p", "ads", Unobject), says("p", "ads", Unobject)}, "++-", ""},
		"nothing to lift":                {[]Entry{says("p", "ads", Unobject), says("p", "ads", Unrestrict)}, "--", "none"},
		"restricted":                     {[]Entry{says("p", "ads", Restrict), says("p", "ads", Restrict), says("p", "ads", Unrestrict)}, "+-+", ""},
		"restricted all":                 {[]Entry{says("p", "", Restrict), says("p", "", Restrict)}, "+-", "r"},
		"a consent lifts no restriction": {[]Entry{says("p", "ads", Restrict), gives("p", "ads")}, "++", "gr"},
		"GPC once":                       {[]Entry{gpc, gpc}, "+-", "oG"},
		"GPC does not outlast a consent": {[]Entry{gpc, gives("p", "ads"), gpc}, "++-", "gG"},
		"GPC after an objection":         {[]Entry{says("p", "ads", Object), gpc, says("p", "ads", Unobject), gpc}, "+++-", "G"},
		"an old file revives nothing":    {[]Entry{gives("p", "ads"), says("p", "ads", Withdraw), at(gives("p", "ads"), 1)}, "++-", "gw"},
		"an old withdrawal":              {[]Entry{at(gives("p", "ads"), 5), at(says("p", "ads", Withdraw), 4)}, "+-", "g"},
		"the same day":                   {[]Entry{at(gives("p", "ads"), 5), at(says("p", "ads", Withdraw), 5), at(gives("p", "ads"), 5)}, "++-", "gw"},
		"an objection of that day":       {[]Entry{at(gives("p", "ads"), 5), at(says("p", "ads", Object), 5), at(gives("p", "ads"), 5)}, "++-", "go"},
		"an objection before":            {[]Entry{at(gives("p", "ads"), 5), at(says("p", "ads", Object), 4)}, "+-", "g"},
		"a late objection, lifted":       {[]Entry{at(says("p", "ads", Object), 3), at(says("p", "ads", Unobject), 4), at(says("p", "ads", Object), 3)}, "++-", ""},
		"a later letter":                 {[]Entry{at(gives("p", "ads"), 5), later}, "++", "g"},
	}
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				news := ""
				for _, e := range tt.entries {
					e.Subject = name
					if changes := apply(t, s, say(e)); len(changes) == 0 {
						news += "-"
					} else if news += "+"; len(changes) != 1 || changes[0].Key != name {
						t.Errorf("got changes %v", changes)
					}
				}
				if news != tt.news {
					t.Errorf("got news %s, want %s", news, tt.news)
				}
				history, err := s.History(t.Context(), name)
				if err != nil || len(history) != len(filter(tt.news, '+')) {
					t.Errorf("got %d entries of history, %v, want those of %s", len(history), err, tt.news)
				}
				state := "none"
				if found := find(t, s, name); len(found.Records) > 0 {
					state = letters(found.Records[0])
				}
				if state != tt.state {
					t.Errorf("got state %q, want %q", state, tt.state)
				}
			})
		}
	})
}

// TestGuardianStands shows that who agrees themselves takes no guardian's consent away by it, and that they can withdraw it.
func TestGuardianStands(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		guardian := gives("p", "ads")
		guardian.GivenBy = "guardian"
		apply(t, s, say(guardian))
		for _, by := range []string{"self", ""} {
			own := gives("p", "ads")
			own.GivenBy, own.Level = by, "general"
			if _, err := s.Apply(t.Context(), say(gives("q", "ads"), own)); !errors.Is(err, ErrGuardian) || !errors.Is(err, ErrConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
		}
		if r := record(t, s, "p"); r.GivenBy != "guardian" || r.Level != "explicit" {
			t.Errorf("got one by %s", r.GivenBy)
		}
		if n := len(find(t, s, "q").Records); n != 0 {
			t.Error("a part of the batch was stored")
		}
		guardian.Level = "written"
		apply(t, s, say(guardian))
		apply(t, s, say(says("p", "ads", Withdraw)))
		apply(t, s, say(gives("p", "ads")))
		if r := record(t, s, "p"); r.GivenBy != "self" || letters(r) != "g" {
			t.Errorf("got %s by %s", letters(r), r.GivenBy)
		}
	})
}

func filter(s string, c rune) (only []rune) {
	for _, r := range s {
		if r == c {
			only = append(only, r)
		}
	}
	return only
}

func letters(r Record) (s string) {
	for _, f := range []struct {
		letter string
		at     time.Time
	}{{"g", r.Given}, {"w", r.Withdrawn}, {"o", r.Objected}, {"r", r.Restricted}, {"G", r.GPCAt}} {
		if !f.at.IsZero() {
			s += f.letter
		}
	}
	return s
}
