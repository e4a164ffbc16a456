package consentstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/certmagic"

	clusters "github.com/caddy-minimize/minimize/test/postgres"
)

// place is where a store stands, and what can happen to it there.
type place struct {
	kind, dsn            string
	lose, empty, restore func(testing.TB)
}

// source is one of the store there, which is remembered in a storage.
func (p place) source(t testing.TB, storage certmagic.Storage) *Source {
	t.Helper()
	store, err := Open(p.kind, p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSource(store, SourceOptions{})
	s.Remember(storage, "")
	return s
}

// eachPlace runs a test with a file, and with a schema of a database.
func eachPlace(t *testing.T, test func(*testing.T, place)) {
	t.Run("sqlite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "consent.db")
		rename := func(from, to string) func(testing.TB) {
			return func(t testing.TB) {
				t.Helper()
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
				for _, log := range []string{"-wal", "-shm"} {
					os.Rename(from+log, to+log)
				}
			}
		}
		test(t, place{SQLite, file, rename(file, file+".lost"), func(t testing.TB) {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, rename(file+".lost", file)})
	})
	t.Run("postgres", func(t *testing.T) {
		c := clusters.Start(t)
		admin := opened(t, Postgres, c.DSN())
		run := func(queries ...string) func(testing.TB) {
			return func(t testing.TB) {
				t.Helper()
				for _, query := range queries {
					exec(t, admin, query)
				}
			}
		}
		run("CREATE SCHEMA shop")(t)
		test(t, place{
			Postgres, c.DSN() + "&search_path=shop", run("ALTER SCHEMA shop RENAME TO lost"), run("CREATE SCHEMA shop"),
			run("DROP SCHEMA shop CASCADE", "ALTER SCHEMA lost RENAME TO shop"),
		})
	})
}

// TestLostStore: where a store was that is gone, or empty, or another one, none opens until it is back, or an operator says
// that a new one is meant.
func TestLostStore(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		files := &certmagic.FileStorage{Path: t.TempDir()}
		start := func() error {
			s := p.source(t, files)
			defer s.Close()
			return s.Start()
		}
		for range 2 {
			if err := start(); err != nil {
				t.Fatalf("got %v of a new store, or of the same one", err)
			}
		}
		p.lose(t)
		if p.kind == SQLite {
			if err := start(); !errors.Is(err, ErrOther) || Exists(p.kind, p.dsn) {
				t.Errorf("got %v where there is no file, want an error, and none", err)
			}
		}
		p.empty(t)
		if err := start(); !errors.Is(err, ErrOther) {
			t.Errorf("got %v of an empty one", err)
		}
		other := opened(t, p.kind, p.dsn)
		apply(t, other, say(gives("p", "ads")))
		other.Close()
		err := start()
		if !errors.Is(err, ErrOther) {
			t.Fatalf("got %v of another one", err)
		}
		p.restore(t)
		if err := start(); err != nil {
			t.Errorf("got %v of the one that was put back", err)
		}
		p.lose(t)
		p.empty(t)
		marks, _ := filepath.Glob(filepath.Join(files.Path, "minimize/consent_stores/*"))
		if len(marks) != 1 || !strings.Contains(err.Error(), "delete "+marks[0]) {
			t.Fatalf("%v does not name the file to delete, one of %v", err, marks)
		}
		if err := os.WriteFile(marks[0], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := start(); !errors.Is(err, ErrOther) {
			t.Errorf("got %v where the mark is empty", err)
		}
		os.Remove(marks[0])
		if err := start(); err != nil {
			t.Errorf("got %v of a new one that is meant", err)
		}
	})
}

// TestLinkedFile: SQLite writes its log beside the file that a link leads to.
func TestLinkedFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.db"), filepath.Join(dir, "consent.db")
	opened(t, SQLite, file).Close()
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	s := opened(t, SQLite, link)
	if _, _, _, err := s.Changes(t.Context(), 0); err != nil {
		t.Errorf("got %v behind a link", err)
	}
	if err := os.Rename(file, file+".lost"); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.Changes(t.Context(), 0); !errors.Is(err, ErrAway) {
		t.Errorf("got %v behind a link to nothing", err)
	}
}

// awayStorage is a storage behind a network.
type awayStorage struct {
	*certmagic.FileStorage
	load, store atomic.Bool
}

func (a *awayStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if a.load.Load() {
		return nil, errors.New("connection refused")
	}
	return a.FileStorage.Load(ctx, key)
}

func (a *awayStorage) Store(ctx context.Context, key string, value []byte) error {
	if a.store.Load() {
		return errors.New("connection refused")
	}
	return a.FileStorage.Store(ctx, key, value)
}

// TestStorageAway: a gateway starts where nobody can say which store was here before, and takes none for it until somebody can.
func TestStorageAway(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		storage := &awayStorage{FileStorage: &certmagic.FileStorage{Path: t.TempDir()}}
		for _, away := range []*atomic.Bool{&storage.store, &storage.load} { // the first time there is no mark
			away.Store(true)
			store, err := Open(p.kind, p.dsn)
			if err != nil {
				t.Fatal(err)
			}
			s := NewSource(store, SourceOptions{})
			s.Remember(storage, "")
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(t.Context(), say(gives("p", "ads"))); s.Fresh() || !errors.Is(err, ErrAway) {
				t.Errorf("it is fresh: %v; a consent got %v", s.Fresh(), err)
			}
			away.Store(false)
			until(t, "it is back", s.Fresh)
			tell(t, s, gives("p", "ads"))
			s.Close()
		}
		p.lose(t)
		p.empty(t)
		s := p.source(t, storage)
		defer s.Close()
		if err := s.Start(); !errors.Is(err, ErrOther) {
			t.Errorf("got %v of another one", err)
		}
	})
}

// TestRememberElsewhere: a store that is open is remembered in another storage, too, unless that knows another one.
func TestRememberElsewhere(t *testing.T) {
	first, second := &certmagic.FileStorage{Path: t.TempDir()}, &certmagic.FileStorage{Path: t.TempDir()}
	file := filepath.Join(t.TempDir(), "consent.db")
	open := func() *Source {
		store, err := Open(SQLite, file)
		if err != nil {
			t.Fatal(err)
		}
		s := NewSource(store, SourceOptions{})
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open()
	s.Remember(first, "")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remember(second, "shop"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	os.Remove(file)
	if s = open(); s.Remember(second, "shop") != nil || !errors.Is(s.Start(), ErrOther) {
		t.Error("another store opens where this one was remembered since")
	}
	s = open()
	s.Remember(second, "desk") // which shares the storage, and has a file of its own
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remember(first, ""); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "`node`") {
		t.Errorf("got %v of a storage that remembers another one", err)
	}
}

// TestLostWhileRunning: nobody is known of a store that vanished or became another one, and nothing is acknowledged that it
// would not remember, until it is back.
func TestLostWhileRunning(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		s := started(t, opened(t, p.kind, p.dsn), SourceOptions{})
		tell(t, s, gives("p", "ads"))
		expect(t, s, "p", "g")
		p.lose(t)
		p.empty(t)
		other := opened(t, p.kind, p.dsn)
		for range 3 {
			apply(t, other, say(gives("p", "ads")))
		}
		until(t, "it is missed", func() bool { return !s.Fresh() })
		expect(t, s, "p", "?")
		if _, err := s.Apply(t.Context(), say(says("p", "ads", Object))); !errors.Is(err, ErrAway) {
			t.Errorf("got %v of an objection", err)
		}
		if got := letters(record(t, other, "p")); got != "g" {
			t.Errorf("it was stored in the other one: %s", got)
		}
	})
}

// TestBackWhileRunning: a store that was put back counts again without a restart.
func TestBackWhileRunning(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		s := started(t, opened(t, p.kind, p.dsn), SourceOptions{})
		tell(t, s, says("p", "ads", Object))
		expect(t, s, "p", "o")
		p.lose(t)
		until(t, "it is missed", func() bool { return !s.Fresh() })
		p.empty(t)
		p.restore(t)
		back(t, s)
		expect(t, s, "p", "o")
	})
}
