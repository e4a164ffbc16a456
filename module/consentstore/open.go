package consentstore

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// failure says what kind of failure it was. The database's own words may hold values, ids, or a part of the DSN.
func failure(doing string, err error) error {
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, errUnreadable) {
		return err
	}
	var answer *pgconn.PgError
	var number syscall.Errno
	var network net.Error
	switch {
	case errors.As(err, &answer) && !transient(answer.Code):
		return fmt.Errorf("%s: PostgreSQL answers SQLSTATE %s", doing, answer.Code)
	case answer != nil:
		return fmt.Errorf("%s: %w: SQLSTATE %s", doing, ErrAway, answer.Code)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s: %w in time", doing, ErrAway)
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
