package consentstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// The kinds of stores.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Open reads a connection string: a file for "sqlite", a URL or key=value pairs for "postgres". It opens nothing; Migrate
// does.
func Open(kind, dsn string) (Store, error) {
	switch kind {
	case SQLite:
		return newSQLite(dsn)
	case Postgres:
		return newPostgres(dsn)
	}
	return nil, fmt.Errorf("opening the consent store: there is no kind %q: write sqlite or postgres", kind)
}

// Exists reports whether there is something to open: of SQLite's files Migrate makes one where there is none. Whether a
// PostgreSQL has the tables only Migrate finds out.
func Exists(kind, dsn string) bool {
	if kind != SQLite {
		return true
	}
	_, err := os.Stat(dsn)
	return !errors.Is(err, fs.ErrNotExist)
}

// refusals are the answers of PostgreSQL that an operator can do something about (its appendix A).
var refusals = map[string]string{
	"28000": "it refuses the login: check the user, and what pg_hba.conf allows",
	"28P01": "it refuses the login: check user and password",
	"3D000": "there is no such database: create it, or name another one in the connection string",
	"42501": "the user may not do this: grant it CREATE on the schema for the first start, and SELECT, INSERT, UPDATE and DELETE on the minimize_ tables",
	"42P01": "its tables are gone: put them back from a backup",
	"42704": "it does not know a setting in the connection string",
	"53300": "it has too many connections",
	"25006": "it only reads: name the primary",
}

// failure says what kind of failure it was. The database's own words may hold values, ids, or a part of the DSN.
func failure(doing string, err error) error {
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, errUnreadable) {
		return err
	}
	var answer *pgconn.PgError
	var name *net.DNSError
	var number syscall.Errno
	var network net.Error
	switch {
	case errors.As(err, &answer):
		said := cmp.Or(refusals[answer.Code], "it failed")
		if transient(answer.Code) {
			return fmt.Errorf("%s: %w: %s (SQLSTATE %s)", doing, ErrAway, said, answer.Code)
		}
		return fmt.Errorf("%s: PostgreSQL answers: %s (SQLSTATE %s)", doing, said, answer.Code)
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Errorf("%s: %w: nobody knows its host name", doing, ErrAway)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s: %w: it did not answer in time", doing, ErrAway)
	case errors.As(err, &number):
		return fmt.Errorf("%s: %w: %w", doing, ErrAway, number)
	}
	return fmt.Errorf("%s: %w", doing, ErrAway)
}

// transient are the classes of errors that pass by themselves (PostgreSQL's appendix A): of connections, transactions (a
// server that only reads after a failover, too), authorization (a password that is being changed), resources, locks,
// intervention and the system.
func transient(state string) bool {
	switch state[:min(2, len(state))] {
	case "08", "25", "28", "40", "53", "55", "57", "58":
		return true
	}
	return false
}
