package consentstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	driver "modernc.org/sqlite" // in pure Go
)

// sqliteWatch is how often a change from another process is looked for.
const sqliteWatch = 50 * time.Millisecond

// sqliteLock is how long a change waits for another process that writes.
const sqliteLock = 5 * time.Second

// sqliteBusy is SQLITE_BUSY, the lower byte of all its kinds (sqlite.org/rescode.html).
const sqliteBusy = 5

// sqlite is a file on this machine. SQLite has one writer at a time; in WAL mode it holds up no reader.
type sqlite struct {
	identity
	path  string
	write *sql.DB
	read  *sql.DB
	watch *sql.DB     // what changed is never asked behind what somebody wants to know
	slow  *sql.DB     // long readings, one at a time: histories, exports
	file  os.FileInfo // as it was opened, and the write-ahead log beside it
	log   os.FileInfo
}

var sqliteStatements = newStatements(strings.NewReplacer(
	"{text}", "text",
	"{json}", "text",
	"{now}", "0",
	"{random}", "lower(hex(randomblob(16)))",
	"{rows}", "json_each($1)",
	"{in1}", "IN (SELECT value FROM json_each($1))",
	"{in2}", "IN (SELECT value FROM json_each($2))",
	"{today}", "date('now')",
	"{yesterday}", "date('now', '-1 day')",
))

func newSQLite(path string) (*sqlite, error) {
	if path == "" {
		return nil, errors.New("opening the consent store: write the path of SQLite's file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the consent store: %w", err)
	}
	// mode=rw: only Migrate makes the file. synchronous(FULL): in WAL mode anything less loses the last transactions with
	// the power (sqlite.org/pragma.html#pragma_synchronous), and those were acknowledged.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?mode=rw&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	s := &sqlite{path: path}
	if s.write, err = sql.Open("sqlite", dsn+"&_pragma=busy_timeout(100)"); err != nil {
		return nil, errors.New("opening the consent store: the driver does not take this path")
	}
	for _, pool := range []**sql.DB{&s.read, &s.watch, &s.slow} {
		if *pool, err = sql.Open("sqlite", dsn+"&_pragma=busy_timeout(1000)&_pragma=query_only(1)"); err != nil {
			return nil, errors.New("opening the consent store: the driver does not take this path")
		}
	}
	for pool, conns := range map[*sql.DB]int{s.write: 1, s.watch: 1, s.slow: 1, s.read: 4} {
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns)
	}
	return s, nil
}

// Place is the file.
func (s *sqlite) Place() string { return SQLite + " " + s.path }

// away wraps SQLite's own words, which name tables and error codes but never a value.
func (s *sqlite) away(doing string, err error) error {
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, errUnreadable) {
		return err
	}
	return fmt.Errorf("%s in %s: %w: %w", doing, s.path, ErrAway, err)
}

func (s *sqlite) Migrate(ctx context.Context) error {
	var store string
	err := s.create()
	if err == nil {
		// Who finds everything up to date waits for no other process that writes.
		var version int
		err = s.read.QueryRowContext(ctx, sqliteVersion).Scan(&version)
		if err != nil || version != len(sqliteStatements.migrations) {
			err = s.transaction(ctx, func(tx *sql.Tx) (err error) { store, err = s.migrate(ctx, tx); return err })
		} else if err = s.read.QueryRowContext(ctx, whichStore).Scan(&store); err == nil {
			err = s.check(store)
		}
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err // without the path, which stands there already
	}
	if err != nil {
		return fmt.Errorf("opening the consent store %s: %w", s.path, err)
	}
	s.Expect(store)
	return nil
}

// create makes the file where there is none. One that exists is not touched: to close it again would take away the locks
// that this process may hold on it already (sqlite.org/howtocorrupt.html, 2.2).
func (s *sqlite) create() error {
	if s.ID() != "" && !Exists(SQLite, s.path) {
		return ErrOther
	}
	// Consents are nobody else's business on this machine. The files beside it get the same mode.
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	s.file, err = os.Stat(s.path)
	return err
}

const sqliteVersion = "SELECT coalesce(max(version), 0) FROM minimize_schema"

// migrate changes nothing where it finds another store than the one that was here before.
func (s *sqlite) migrate(ctx context.Context, tx *sql.Tx) (store string, err error) {
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS minimize_schema (version bigint NOT NULL)"); err != nil {
		return "", err
	}
	var version int
	if err := tx.QueryRowContext(ctx, sqliteVersion).Scan(&version); err != nil {
		return "", err
	}
	if version > len(sqliteStatements.migrations) {
		return "", errNewer
	}
	for i, texts := range sqliteStatements.migrations[version:] {
		for _, text := range slices.Concat(texts, []string{fmt.Sprintf("INSERT INTO minimize_schema VALUES (%d)", version+i+1)}) {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return "", err
			}
		}
	}
	if err := tx.QueryRowContext(ctx, whichStore).Scan(&store); err != nil {
		return "", err
	}
	return store, s.check(store)
}

var errReplaced = errors.New("SQLite's file was moved, deleted or replaced: put it back and restart the gateway")

// errNewer is for tables that a later version has migrated: to read them as ours could overlook what counts.
var errNewer = errors.New("a newer version of Minimize wrote it: run that one")

// transaction succeeds only where its file stood before and after it: what goes into another one nobody would ever read.
func (s *sqlite) transaction(ctx context.Context, f func(*sql.Tx) error) error {
	if s.moved() {
		return errReplaced
	}
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if s.moved() {
		return errReplaced
	}
	return nil
}

// begin waits for whoever else writes. SQLite itself would wait without a look at the context, so that it waits only a
// moment at a time.
func (s *sqlite) begin(ctx context.Context) (*sql.Tx, error) {
	patience, cancel := context.WithTimeout(ctx, sqliteLock)
	defer cancel()
	for {
		tx, err := s.write.BeginTx(ctx, nil)
		if failed, ok := errors.AsType[*driver.Error](err); !ok || failed.Code()&0xff != sqliteBusy {
			return tx, err
		}
		if pause(patience, time.Millisecond); patience.Err() != nil {
			return nil, err
		}
	}
}

// sqlReader is a *sql.DB or a *sql.Tx.
type sqlReader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// sqlEach calls scan for every row.
func sqlEach(ctx context.Context, q sqlReader, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func sqliteFind(ctx context.Context, q sqlReader, keys []string) (found, error) {
	subjects, cases := split(keys)
	f := found{}
	return f, sqlEach(ctx, q, func(rows *sql.Rows) error {
		var key string
		var kind int
		var data []byte
		if err := rows.Scan(&key, &kind, &data); err != nil {
			return err
		}
		return f.row(key, kind, data)
	}, sqliteStatements.find, asJSON(subjects), asJSON(cases))
}

// asJSON encodes what cannot fail to be: lists of strings and numbers.
func asJSON(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func (s *sqlite) Find(ctx context.Context, keys []string) ([]Subject, error) {
	f, err := sqliteFind(ctx, s.read, keys)
	if err != nil {
		return nil, s.away("reading consents", err)
	}
	return f.subjects(keys), nil
}

func (s *sqlite) Apply(ctx context.Context, b Batch) (changes []Change, err error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		var seq int64
		if err := tx.QueryRowContext(ctx, "SELECT seq FROM minimize_counter").Scan(&seq); err != nil {
			return err
		}
		held, err := sqliteFind(ctx, tx, b.keys())
		if err != nil {
			return err
		}
		p, err := newPlan(b, held, seq+1, time.Now())
		if err != nil {
			return err
		}
		changes = p.changes()
		return p.statements(func(w int, rows string) error {
			_, err := tx.ExecContext(ctx, sqliteStatements.write[w], rows)
			return err
		})
	})
	if err != nil {
		return nil, s.away("changing consents", err)
	}
	return changes, nil
}

func (s *sqlite) Seen(ctx context.Context, caller string, subjects []string, most int) ([]int, error) {
	nth, err := seen(subjects, most, func(known map[string]int) error {
		return sqliteSeen(ctx, s.read, known, caller, subjects)
	}, func(known map[string]int) error {
		return s.transaction(ctx, func(tx *sql.Tx) error { return countSQLite(ctx, tx, caller, subjects, known, most) })
	})
	return nth, s.away("counting data subjects", err)
}

// countSQLite numbers the data subjects that are new to the caller.
func countSQLite(ctx context.Context, tx *sql.Tx, caller string, subjects []string, known map[string]int, most int) error {
	var day string
	var n int
	if err := tx.QueryRowContext(ctx, sqliteStatements.countSeen, caller).Scan(&day, &n); err != nil {
		return err
	}
	if err := sqliteSeen(ctx, tx, known, caller, subjects); err != nil {
		return err
	}
	fresh, total := count(subjects, known, n, most)
	_, err := tx.ExecContext(ctx, sqliteStatements.insertSeen, asJSON(seenRows(day, caller, fresh, total)))
	if err == nil && n == 0 {
		_, err = tx.ExecContext(ctx, sqliteStatements.pruneSeen)
	}
	return err
}

func sqliteSeen(ctx context.Context, q sqlReader, known map[string]int, caller string, subjects []string) error {
	return sqlEach(ctx, q, func(rows *sql.Rows) error {
		var subject string
		var nth int
		err := rows.Scan(&subject, &nth)
		known[subject] = nth
		return err
	}, sqliteStatements.seen, asJSON(append([]string{""}, subjects...)), caller)
}

func (s *sqlite) History(ctx context.Context, subject string) ([]Entry, error) {
	var entries []Entry
	err := sqlEach(ctx, s.slow, func(rows *sql.Rows) error {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return err
		}
		return appendEntry(&entries, data)
	}, sqliteStatements.history, subject)
	return entries, s.away("reading a history", err)
}

func (s *sqlite) Imported(ctx context.Context, file string) (line int, err error) {
	err = s.slow.QueryRowContext(ctx, sqliteStatements.imported, file).Scan(&line)
	return line, s.away("asking where an import ended", err)
}

func (s *sqlite) Export(ctx context.Context, after string, f func(*Subject) error) error {
	return export(ctx, s, after, f, func(after string) (subjects []string, err error) {
		return subjects, s.away("exporting consents", sqlEach(ctx, s.slow, func(rows *sql.Rows) error {
			var subject string
			err := rows.Scan(&subject)
			subjects = append(subjects, subject)
			return err
		}, sqliteStatements.subjects, after))
	})
}

func (s *sqlite) Changes(ctx context.Context, after int64) ([]Change, int64, time.Time, error) {
	var t tail
	err := sqlEach(ctx, s.watch, func(rows *sql.Rows) error {
		var now, row int64
		var keys []byte
		if err := rows.Scan(&t.seq, &t.store, &now, &row, &keys); err != nil {
			return err
		}
		return t.row(row, keys)
	}, sqliteStatements.changes, after, changesRead)
	if err != nil {
		return nil, 0, time.Time{}, s.away("reading changes", err)
	}
	if s.replaced() {
		return nil, 0, time.Time{}, s.away("reading changes", errReplaced)
	}
	if err := s.check(t.store); err != nil {
		return nil, 0, time.Time{}, fmt.Errorf("reading changes in %s: %w", s.path, err)
	}
	err = t.gap(after)
	return t.changes, t.seq, time.Now(), err
}

// replaced reports whether other files stand where ours did: those are what other processes write now, and ours would never
// change again. Who puts a backup into the same file takes the log away, which lives as long as we have it open.
func (s *sqlite) replaced() bool {
	file, err := filepath.EvalSymlinks(s.path) // beside which SQLite writes
	if err != nil {
		return true
	}
	log, err := os.Stat(file + "-wal")
	if s.log == nil {
		s.log = log
	}
	return err != nil || !os.SameFile(log, s.log) || s.moved()
}

func (s *sqlite) moved() bool {
	file, err := os.Stat(s.path)
	return err != nil || !os.SameFile(file, s.file)
}

// Wait returns after 50 ms at the latest: no process tells another one of a change of the file, and the next question costs
// as little as to find out whether there is one.
func (s *sqlite) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(d, sqliteWatch)):
		return nil
	}
}

func (s *sqlite) Close() error {
	return errors.Join(s.slow.Close(), s.watch.Close(), s.read.Close(), s.write.Close())
}
