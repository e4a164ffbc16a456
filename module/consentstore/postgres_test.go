package consentstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	clusters "github.com/caddy-minimize/minimize/test/postgres"
)

// TestPostgresRefused shows which databases are refused, and whether it is worth trying again.
func TestPostgresRefused(t *testing.T) {
	c := clusters.Start(t)
	admin, err := pgx.Connect(t.Context(), c.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for name, tt := range map[string]struct {
		prepare []string
		away    bool
	}{
		"an encoding without Chinese": {[]string{`CREATE DATABASE test_ascii ENCODING 'SQL_ASCII' TEMPLATE template0`}, false},
		"a standby, which may not know of a withdrawal yet": {[]string{
			`CREATE DATABASE test_standby`, `ALTER DATABASE test_standby SET default_transaction_read_only = on`}, true},
	} {
		for _, query := range tt.prepare {
			if _, err := admin.Exec(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		database := map[bool]string{false: "test_ascii", true: "test_standby"}[tt.away]
		s, err := Open(Postgres, c.DSN()+"&database="+database)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Migrate(t.Context()); err == nil || errors.Is(err, ErrAway) != tt.away {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestPostgresWords shows that the usual mistakes are told in words, and without the connection string.
func TestPostgresWords(t *testing.T) {
	c := clusters.Start(t)
	s := opened(t, Postgres, c.DSN())
	exec(t, s, `CREATE ROLE secret_nologin`)
	for _, tt := range []struct{ dsn, want string }{
		{c.DSN() + "&database=secret_none", "no such database"},
		{c.DSN() + "&user=secret_nologin", "refuses the login"},
		{c.DSN() + "&secret_setting=1", "does not know a setting"},
		{"postgres://secret@secret.invalid/db", "nobody knows its host name"},
		{"postgres://secret@127.0.0.1:1/secret", "connection refused"},
	} {
		s, err := Open(Postgres, tt.dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Migrate(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") || strings.Count(err.Error(), "opening") != 1 {
			t.Errorf("got %v, want that it %s", err, tt.want)
		}
	}
}

// TestPostgresRole shows that a gateway needs no right to create tables where somebody else did.
func TestPostgresRole(t *testing.T) {
	c := clusters.Start(t)
	s := opened(t, Postgres, c.DSN())
	exec(t, s, `CREATE ROLE gateway LOGIN`)
	exec(t, s, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	exec(t, s, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO gateway`)
	gateway := opened(t, Postgres, c.DSN()+"&user=gateway")
	apply(t, gateway, say(gives("p", "ads")))
	if got := letters(record(t, s, "p")); got != "g" {
		t.Errorf("got %s", got)
	}
	other := c.NewDatabase(t)
	fresh, err := Open(Postgres, other+"&user=gateway")
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if err := fresh.Migrate(t.Context()); err == nil || errors.Is(err, ErrAway) || !strings.Contains(err.Error(), "may not do this") {
		t.Errorf("got %v, want that it may not create tables", err)
	}
}

// TestPostgresPooler shows that everything works without prepared statements, as behind a pooler.
func TestPostgresPooler(t *testing.T) {
	c := clusters.Start(t)
	for _, mode := range []string{"exec", "simple_protocol"} {
		s := opened(t, Postgres, c.NewDatabase(t)+"&default_query_exec_mode="+mode)
		b := say(gives("p", "ads"))
		b.Profiles, b.Cases = []Profile{{Subject: "p", Minor: true}}, []Case{{ID: "T-1", Kind: "ticket", Subject: "p"}}
		apply(t, s, b)
		if n := len(apply(t, s, b)); n != 0 {
			t.Errorf("%s: got %d changes of the same", mode, n)
		}
		if found := find(t, s, "p"); !found.Minor || len(found.Records) != 1 || len(found.Cases) != 1 {
			t.Errorf("%s: got %+v", mode, found)
		}
		if history, err := s.History(t.Context(), "p"); err != nil || len(history) != 1 {
			t.Errorf("%s: got %v, %v", mode, history, err)
		}
		if changes, seq, _, err := s.Changes(t.Context(), 0); err != nil || seq != 1 || len(changes) != 2 {
			t.Errorf("%s: got %v, %v", mode, changes, err)
		}
		if nth, err := s.Seen(t.Context(), "clerk", []string{"p", "q"}, 1); err != nil || nth[0] != 1 || nth[1] != 2 {
			t.Errorf("%s: got %v, %v", mode, nth, err)
		}
		exported := 0
		if err := s.Export(t.Context(), "", func(*Subject) error { exported++; return nil }); err != nil || exported != 1 {
			t.Errorf("%s: got %d, %v", mode, exported, err)
		}
	}
}

// TestPostgresIsolation shows that transactions that follow one another see each other, also where the server's default is
// another one.
func TestPostgresIsolation(t *testing.T) {
	c := clusters.Start(t)
	s := opened(t, Postgres, c.DSN())
	exec(t, s, `ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'`)
	s = opened(t, Postgres, c.DSN())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				if _, err := s.Apply(t.Context(), say(says(fmt.Sprint("p", w), "ads", []Event{Object, Unobject}[i%2]))); err != nil {
					t.Error(err)
				}
				if _, err := s.Seen(t.Context(), "clerk", []string{fmt.Sprint(w, i)}, 100); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
