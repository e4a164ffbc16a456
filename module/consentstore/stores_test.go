package consentstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
	clusters "github.com/caddy-minimize/minimize/test/postgres"
)

// TestMigrateAtOnce shows that many nodes may start at the same time.
func TestMigrateAtOnce(t *testing.T) {
	for _, kind := range []string{SQLite, Postgres} {
		t.Run(kind, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "consent.db")
			if kind == Postgres {
				dsn = clusters.Start(t).DSN()
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					s, err := Open(kind, dsn)
					if err != nil {
						t.Error(err)
						return
					}
					defer s.Close()
					if err := s.Migrate(t.Context()); err != nil {
						t.Error(err)
					}
					if _, err := s.Apply(t.Context(), say(gives("p", "ads"))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			s := opened(t, kind, dsn)
			if _, seq, _, err := s.Changes(t.Context(), 0); seq != 1 || err != nil {
				t.Errorf("got Seq %d, %v, want the one change", seq, err)
			}
		})
	}
}

// TestMigrateNewer shows that tables of a later version are left alone.
func TestMigrateNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consent.db")
	s := opened(t, SQLite, path).(*sqlite)
	if _, err := s.write.Exec("INSERT INTO minimize_schema VALUES (99)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); !errors.Is(err, errNewer) {
		t.Errorf("got %v, want that it is newer", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want that only its owner reads the file", info.Mode(), err)
	}
}

// TestOpen shows that a connection string that nobody can read is an error at once, which does not quote it.
func TestOpen(t *testing.T) {
	for _, bad := range []struct{ kind, dsn string }{
		{"redis", "secret"}, {SQLite, ""}, {Postgres, ""}, {Postgres, "postgres://u:secret@h:port/db"},
		{Postgres, "host=secret port=x"}, {Postgres, "secret"}, {Postgres, "postgres://h/db?pool_max_conns=secret"},
	} {
		if _, err := Open(bad.kind, bad.dsn); err == nil {
			t.Errorf("%s: no error", bad.kind)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the connection string: %v", bad.kind, err)
		}
	}
	path := filepath.Join(t.TempDir(), "none", "consent.db")
	s, err := Open(SQLite, path)
	if err != nil {
		t.Fatalf("a folder that may be made until Start is no error: %v", err)
	}
	if err := s.Migrate(t.Context()); err == nil || errors.Is(err, ErrAway) {
		t.Errorf("got %v, want an error that is not tried again", err)
	}
	if Exists(SQLite, path) || !Exists(Postgres, "postgres://h/db") {
		t.Error("there is no such file, and of PostgreSQL nobody knows")
	}
	if _, err := Open(Postgres, "postgres://u:secret@h:70000/db"); err == nil || !strings.Contains(err.Error(), "the port") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want that the port is out of range", err)
	}
	file := filepath.Join(t.TempDir(), "letter.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		path: "opening the consent store " + path + ": no such file or directory",
		file: "opening the consent store " + file + ": file is not a database",
	} {
		s, err := Open(SQLite, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		s.Close()
	}
	away, err := Open(Postgres, "postgres://u:secret@127.0.0.1:1/db")
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	if err := away.Migrate(t.Context()); !errors.Is(err, ErrAway) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want that it is away", err)
	}
}

// TestFind shows everything that can be stored, as it comes back.
func TestFind(t *testing.T) {
	day := time.Date(2025, 1, 2, 3, 4, 5, 678901000, time.UTC)
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		given := Entry{
			Subject: "张伟 'x' \" \\ $1 %", Purpose: "ads", Recipient: "partner", Event: Give, Level: "separate", GivenBy: "guardian",
			Categories: []rules.Category{"device.imei", "contact"}, Policy: 6, At: day, Expires: day.AddDate(1, 0, 0),
			Evidence: "letter 7", Entity: "clerk",
		}
		profile := Profile{Subject: given.Subject, Born: "2012-02-29", Minor: true, Ended: day, Guardians: []string{"mum", "dad", "mum"}, Policy: 5}
		open1 := Case{ID: "T-1", Kind: "ticket", Subject: given.Subject, Callers: []string{"clerk"}, Roles: []string{"support"}}
		ended := Case{ID: "T-2", Kind: "ticket", Subject: given.Subject, Ends: day}
		b := Batch{Entries: []Entry{given}, Profiles: []Profile{profile}, Cases: []Case{ended, open1}}
		if n := len(apply(t, s, b)); n != 3 {
			t.Errorf("got %d changes, want of the data subject and two cases", n)
		}
		if n := len(apply(t, s, b)); n != 0 {
			t.Errorf("got %d changes of the same once more", n)
		}
		found, err := s.Find(t.Context(), []string{"nobody", given.Subject, CaseKey("T-2"), CaseKey("none"), given.Subject})
		if err != nil {
			t.Fatal(err)
		}
		given.ID = "1-0"
		profile.Guardians = []string{"dad", "mum"}
		want := Subject{Profile: profile, Records: []Record{{Entry: given, Given: day}}, Cases: []Case{open1, ended}}
		for i, want := range []Subject{
			{Profile: Profile{Subject: "nobody"}, Records: []Record{}, Cases: []Case{}},
			want,
			{Records: []Record{}, Cases: []Case{ended}},
			{Records: []Record{}, Cases: []Case{}},
			want,
		} {
			if !reflect.DeepEqual(found[i], want) {
				t.Errorf("%d: got\n%+v, want\n%+v", i, found[i], want)
			}
		}
		history, err := s.History(t.Context(), given.Subject)
		if err != nil || !reflect.DeepEqual(history, []Entry{given}) {
			t.Errorf("got history %+v, %v", history, err)
		}
		stolen := Batch{Cases: []Case{{ID: "T-1", Kind: "ticket", Subject: "other"}}, Entries: []Entry{gives("other", "ads")}}
		if _, err := s.Apply(t.Context(), stolen); !errors.Is(err, ErrConflict) {
			t.Errorf("got %v for a case of another data subject", err)
		}
		if found := find(t, s, "other"); len(found.Records) != 0 {
			t.Error("a part of the batch was stored")
		}
	})
}

// TestImported shows that the line of a file is stored with its batch, also where that says nothing new, or not at all.
func TestImported(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		line := func(file string) int {
			n, err := s.Imported(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		b := say(gives("p", "ads"))
		b.File, b.Line = "one", 2000
		apply(t, s, b)
		b.Line = 4000
		if changes := apply(t, s, b); len(changes) > 0 {
			t.Errorf("the same once more: got %v", changes)
		}
		b.Cases = []Case{{ID: "T-1", Kind: "ticket", Subject: "p"}}
		b.Line = 5000
		apply(t, s, b)
		b.Cases[0].Subject, b.Line = "q", 6000
		if _, err := s.Apply(t.Context(), b); !errors.Is(err, ErrConflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		if one, other := line("one"), line("other"); one != 5000 || other != 0 {
			t.Errorf("got line %d, and %d of a file that nobody imported", one, other)
		}
	})
}

// TestExport shows that every data subject comes once, in order, also those with nothing but a case.
func TestExport(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		var b Batch
		var want []string
		for i := range 1200 {
			id := fmt.Sprintf("%c%d", "aBä_"[i%4], i)
			want = append(want, id)
			switch i % 3 {
			case 0:
				b.Entries = append(b.Entries, gives(id, "ads"))
			case 1:
				b.Profiles = append(b.Profiles, Profile{Subject: id, Minor: true})
			case 2:
				b.Cases = append(b.Cases, Case{ID: id, Kind: "ticket", Subject: id})
			}
		}
		apply(t, s, b)
		slices.Sort(want)
		var got []string
		if err := s.Export(t.Context(), want[9], func(s *Subject) error {
			got = append(got, s.Subject)
			if len(s.Records) == 0 && len(s.Cases) == 0 && !s.Minor {
				t.Error("a data subject came without what is known")
			}
			return nil
		}); err != nil || !slices.Equal(got, want[10:]) {
			t.Errorf("got %d data subjects, %v, want %d", len(got), err, len(want[10:]))
		}
	})
}

// TestHistoryIsTheState folds random histories naively, and compares.
func TestHistoryIsTheState(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		r := rand.New(rand.NewPCG(1, 2))
		events := []Event{Give, Give, Withdraw, Object, Unobject, Restrict, Unrestrict}
		for range 60 {
			var b Batch
			for range 1 + r.IntN(8) {
				e := says(string('a'+rune(r.IntN(4))), []string{"ads", "mail"}[r.IntN(2)], events[r.IntN(len(events))])
				e.Recipient = []string{"", "partner"}[r.IntN(2)]
				e.Level = []string{"explicit", "written"}[r.IntN(2)]
				e.GPC = r.IntN(3) == 0
				if r.IntN(3) == 0 {
					e.At = time.Date(2020, 1, 1+r.IntN(9), 0, 0, 0, 0, time.UTC)
				}
				b.Entries = append(b.Entries, e)
			}
			apply(t, s, b)
		}
		compared := 0
		for _, subject := range []string{"a", "b", "c", "d"} {
			history, err := s.History(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range find(t, s, subject).Records {
				want := folded(history, got.Purpose, got.Recipient)
				if letters(got) != letters(want) || got.Level != want.Level || !got.GPCAt.Equal(want.GPCAt) || !got.Given.Equal(want.Given) {
					t.Errorf("%s: got %s, want %s", subject, letters(got), letters(want))
				}
				compared++
			}
		}
		if compared < 12 {
			t.Errorf("only %d records compared", compared)
		}
	})
}

// folded is what a history says of a record. Every entry in it was news when it came.
func folded(history []Entry, purpose, recipient string) (r Record) {
	for _, e := range history {
		if e.Purpose != purpose || e.Recipient != recipient {
			continue
		}
		switch e.Event {
		case Give:
			r.Given, r.Withdrawn, r.Level = e.At, time.Time{}, e.Level
			if r.Objected.Before(e.At) {
				r.Objected = time.Time{}
			}
		case Withdraw:
			r.Withdrawn = e.At
		case Object:
			if r.Objected.IsZero() {
				r.Objected = e.At
			}
			if e.GPC {
				r.GPCAt = e.At
			}
		case Unobject:
			r.Objected = time.Time{}
		case Restrict:
			r.Restricted = e.At
		case Unrestrict:
			r.Restricted = time.Time{}
		}
	}
	return r
}

// TestChanges shows that who follows the changes sees every one, while eight write.
func TestChanges(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s, follower := open(t), open(t)
		const writers, each = 8, 25
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					event := []Event{Object, Unobject}[i%2]
					if _, err := s.Apply(t.Context(), say(says(fmt.Sprint("p", w), "ads", event), says(fmt.Sprint("q", w), "ads", event))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		seen := map[string]int{}
		seq := int64(0)
		for seq < writers*each && t.Context().Err() == nil {
			changes, to, now, err := follower.Changes(t.Context(), seq)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(now); d > time.Minute || d < -time.Minute {
				t.Fatalf("the database's clock says %v", now)
			}
			for _, c := range changes {
				if c.Seq <= seq || c.Seq > to {
					t.Fatalf("got Seq %d behind %d up to %d", c.Seq, seq, to)
				}
				seen[c.Key]++
			}
			seq = to
			if err := follower.Wait(t.Context(), 100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		wg.Wait()
		for w := range writers {
			if p, q := seen[fmt.Sprint("p", w)], seen[fmt.Sprint("q", w)]; p != each || q != each {
				t.Errorf("got %d and %d changes of writer %d, want %d", p, q, w, each)
			}
		}
	})
}

// TestGap shows that who is too far behind is told so, also where a database was put back to an older state.
func TestGap(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		for i := range 5 {
			apply(t, s, say(says("p", "ads", []Event{Object, Unobject}[i%2])))
		}
		exec(t, s, "DELETE FROM minimize_changes WHERE seq <= 2")
		for after, want := range map[int64]error{0: ErrGap, 1: ErrGap, 2: nil, 4: nil, 5: nil, 6: ErrGap, math.MaxInt64: ErrGap} {
			changes, seq, _, err := s.Changes(t.Context(), after)
			if !errors.Is(err, want) || seq != 5 || want == nil && len(changes) != int(5-after) || want != nil && changes != nil {
				t.Errorf("after %d: got %d changes up to %d, %v", after, len(changes), seq, err)
			}
		}
		exec(t, s, "UPDATE minimize_counter SET seq = 200000")
		apply(t, s, say(says("p", "ads", Unobject)))
		if _, seq, _, err := s.Changes(t.Context(), 5); seq != 200001 || !errors.Is(err, ErrGap) {
			t.Errorf("got Seq %d, %v, want that old changes are pruned", seq, err)
		}
	})
}

func exec(t testing.TB, s Store, query string) {
	t.Helper()
	var err error
	switch s := s.(type) {
	case *sqlite:
		_, err = s.write.Exec(query)
	case *postgres:
		_, err = s.use().query.Exec(t.Context(), query)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSeen shows that data subjects are numbered once per caller, by many at the same time.
func TestSeen(t *testing.T) {
	const most = 20
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		nodes := []Store{open(t), open(t)}
		var mu sync.Mutex
		numbered := map[string]int{}
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				for range 12 {
					ids := []string{fmt.Sprint(r.IntN(40)), fmt.Sprint(r.IntN(40)), fmt.Sprint(r.IntN(40))}
					nth, err := nodes[g%2].Seen(t.Context(), "clerk", ids, most)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for i, id := range ids {
						if was := numbered[id]; was != 0 && was != nth[i] && was <= most {
							t.Errorf("%s was the %dth, and is the %dth", id, was, nth[i])
						}
						numbered[id] = nth[i]
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		shown := map[int]int{}
		for _, n := range numbered {
			shown[n]++
		}
		for n := 1; n <= most; n++ {
			if shown[n] != 1 {
				t.Errorf("%d data subjects have number %d", shown[n], n)
			}
		}
		if shown[most+1] != len(numbered)-most {
			t.Errorf("got %d beyond the limit of %d", shown[most+1], most)
		}
		for _, tt := range []struct {
			caller string
			most   int
			want   []int
		}{{"other", 1, []int{1, 2}}, {"other", 5, []int{1, 2}}, {"other", 0, []int{1, 1}}, {"third", 0, []int{1, 1}}} {
			if nth, err := nodes[0].Seen(t.Context(), tt.caller, []string{"x", "y"}, tt.most); err != nil || !slices.Equal(nth, tt.want) {
				t.Errorf("%s up to %d: got %v, %v, want %v", tt.caller, tt.most, nth, err, tt.want)
			}
		}
		exec(t, nodes[0], "UPDATE minimize_seen SET day = '2020-01-01'")
		if nth, err := nodes[0].Seen(t.Context(), "clerk", []string{"new"}, most); err != nil || nth[0] != 1 {
			t.Errorf("got %v, %v on the next day", nth, err)
		}
		if n := rowsOf(t, nodes[0], "minimize_seen"); n != 2 {
			t.Errorf("got %d rows, want that old days are gone", n)
		}
	})
}

func rowsOf(t testing.TB, s Store, table string) (n int) {
	t.Helper()
	var err error
	switch s := s.(type) {
	case *sqlite:
		err = s.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n)
	case *postgres:
		err = s.use().query.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDiskFull shows that what SQLite cannot store is not acknowledged, and that nothing else is lost.
func TestDiskFull(t *testing.T) {
	s := opened(t, SQLite, filepath.Join(t.TempDir(), "consent.db")).(*sqlite)
	apply(t, s, say(gives("kept", "ads")))
	exec(t, s, "PRAGMA max_page_count = 1") // SQLite takes the pages that it has
	var b Batch
	for i := range 500 {
		b.Entries = append(b.Entries, gives(fmt.Sprint("p", i), "ads"))
	}
	if _, err := s.Apply(t.Context(), b); !errors.Is(err, ErrAway) {
		t.Fatalf("got %v, want that it failed", err)
	}
	if r := record(t, s, "kept"); letters(r) != "g" {
		t.Errorf("got %s of what was stored before", letters(r))
	}
	if found := find(t, s, "p0"); len(found.Records) != 0 {
		t.Error("a part of what failed was stored")
	}
	exec(t, s, "PRAGMA max_page_count = 1000000")
	apply(t, s, b)
	if _, seq, _, _ := s.Changes(t.Context(), 1); seq != 2 {
		t.Errorf("got Seq %d, want none for what failed", seq)
	}
}

// TestLockedFile shows that a change waits for another process that writes as long as its context allows, and no longer.
func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consent.db")
	s, other := opened(t, SQLite, path), opened(t, SQLite, path).(*sqlite)
	lock := func() *sql.Tx {
		tx, err := other.write.Begin()
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	held := lock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { _, err := s.Apply(ctx, say(gives("p", "ads"))); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrAway) || !strings.Contains(err.Error(), path) || strings.Count(err.Error(), ErrAway.Error()) != 1 {
			t.Errorf("got %v, want that the file is locked", err)
		}
	case <-time.After(4 * time.Second): // the patience of the API, and of those who wait behind it
		t.Error("it waits for longer than it may")
		<-done
	}
	go func() { _, err := s.Apply(t.Context(), say(gives("p", "ads"))); done <- err }()
	time.Sleep(200 * time.Millisecond) // it has been waiting
	held.Rollback()
	if err := <-done; err != nil {
		t.Errorf("got %v once the lock was gone", err)
	}
}

// TestReplacedFile shows that a gateway does not go on with a file that was moved away.
func TestReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consent.db")
	s := started(t, opened(t, SQLite, path), SourceOptions{})
	tell(t, s, gives("p", "ads"))
	expect(t, s, "p", "g")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	other := opened(t, SQLite, path)
	apply(t, other, say(says("p", "ads", Withdraw)))
	until(t, "it is missed", func() bool { return !s.Fresh() })
	expect(t, s, "p", "?")
}

// TestRestoredFile shows that a backup put into the same file is missed, too: its log is gone, and what this process would
// write into the old one nobody would ever read.
func TestRestoredFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consent.db")
	s := started(t, opened(t, SQLite, path), SourceOptions{})
	tell(t, s, gives("p", "ads"))
	expect(t, s, "p", "g")
	for _, log := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + log); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it is missed", func() bool { return !s.Fresh() })
	expect(t, s, "p", "?")
}

// TestTooMany shows that nobody can make everybody else wait with records without end, and can still take back what is there.
func TestTooMany(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(testing.TB) Store) {
		s := open(t)
		var b Batch
		for i := range maxRecords {
			b.Entries = append(b.Entries, gives("p", fmt.Sprint("purpose", i)))
		}
		apply(t, s, b)
		if _, err := s.Apply(t.Context(), say(gives("p", "one more"))); !errors.Is(err, ErrTooMany) || !errors.Is(err, ErrConflict) {
			t.Errorf("got %v, want that there are too many", err)
		}
		if len(apply(t, s, say(says("p", "purpose7", Withdraw), says("p", "purpose8", Object)))) != 1 {
			t.Error("what is there cannot be withdrawn")
		}
		apply(t, s, say(gives("q", "one more")))
	})
}

// TestKilledNodeHoldsUpNobody shows that who stalls in the middle of a transaction loses it.
func TestKilledNodeHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := opened(t, Postgres, clusters.Start(t).DSN()).(*postgres)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stalled, err := s.use().query.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Rollback(ctx)
	if _, err := stalled.Exec(ctx, settings); err != nil {
		t.Fatal(err)
	}
	if _, err := stalled.Exec(ctx, lockCounter, s.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, say(gives("p", "ads"))); err != nil {
		t.Errorf("got %v, want that the lock was taken away", err)
	}
	if err := stalled.Commit(ctx); err == nil {
		t.Error("who stalled could commit")
	}
}
