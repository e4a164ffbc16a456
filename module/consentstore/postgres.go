package consentstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgres is a database that many nodes share. The tables stand in the first schema of the connection's search_path.
//
// Behind a pooler that hands out connections by the transaction (PgBouncer's pool_mode=transaction) everything works but
// LISTEN: changes of other nodes are then seen when they are asked for, four times in `stale`. Such a pooler also wants
// default_query_exec_mode=exec in the DSN, unless it keeps prepared statements.
type postgres struct {
	connections
	identity
}

var postgresStatements = newStatements(strings.NewReplacer(
	"{text}", `text COLLATE "C"`, // ids are bytes: no locale decides which are equal, or their order
	"{json}", "jsonb",
	"{now}", "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
	"{random}", "gen_random_uuid()::text",
	"{rows}", "jsonb_array_elements($1::jsonb) AS r(value)",
	"{in1}", "= ANY($1::text[])",
	"{in2}", "= ANY($2::text[])",
	"{today}", "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
	"{yesterday}", "to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD')",
))

// channel is what every change is notified on. It says nothing but that there is one.
const channel = "minimize_consent"

// settings hold in one transaction, because a pooler may hand its connection to somebody else afterwards. A node that
// stalls while it holds the counter's row must not hold up the others; what is acknowledged must survive a crash.
const settings = `SELECT set_config('statement_timeout', '10s', true), set_config('lock_timeout', '5s', true),
	set_config('idle_in_transaction_session_timeout', '2s', true),
	set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true)`

// lockCounter makes transactions that change something follow each other, so that their Seqs are in the order of commits.
const lockCounter = `SELECT seq, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM minimize_counter
	WHERE store = $1 FOR UPDATE`

func newPostgres(dsn string) (*postgres, error) {
	p := new(postgres)
	return p, p.configure(dsn)
}

// Place is the database and the schema in it, whoever logs in.
func (p *postgres) Place() string {
	c := p.config.ConnConfig
	return fmt.Sprintf("%s %s:%d/%s %s %s", Postgres, c.Host, c.Port, c.Database, c.RuntimeParams["search_path"], c.RuntimeParams["options"])
}

func (p *postgres) Migrate(ctx context.Context) error {
	c := p.use()
	var store string
	err := c.transaction(ctx, func(tx pgx.Tx) (err error) {
		// Any number will do that nobody else is likely to lock.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(5136870201)"); err != nil {
			return err
		}
		var encoding string
		var exists bool
		row := tx.QueryRow(ctx, "SELECT current_setting('server_encoding'), to_regclass('minimize_schema') IS NOT NULL")
		if err := row.Scan(&encoding, &exists); err != nil {
			return err
		}
		if encoding != "UTF8" {
			return errEncoding
		}
		store, err = p.migrate(ctx, tx, exists)
		return err
	})
	if errors.Is(err, errEncoding) || errors.Is(err, errNewer) || errors.Is(err, ErrOther) {
		return fmt.Errorf("opening the consent store: %w", err)
	}
	if err != nil {
		p.renew(c)
		return failure("opening the consent store", err)
	}
	p.Expect(store)
	return nil
}

var errEncoding = errors.New("the database's encoding is not UTF8: create it with ENCODING 'UTF8'")

// migrate creates nothing where nothing is missing: the role may not be allowed to. It changes nothing where it finds another
// store than the one that was here before.
func (p *postgres) migrate(ctx context.Context, tx pgx.Tx, exists bool) (store string, err error) {
	if !exists && p.ID() != "" {
		return "", ErrOther
	}
	if !exists {
		if _, err := tx.Exec(ctx, "CREATE TABLE minimize_schema (version bigint NOT NULL)"); err != nil {
			return "", err
		}
	}
	var version int
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM minimize_schema").Scan(&version); err != nil {
		return "", err
	}
	if version > len(postgresStatements.migrations) {
		return "", errNewer
	}
	for i, texts := range postgresStatements.migrations[version:] {
		for _, text := range texts {
			if _, err := tx.Exec(ctx, text); err != nil {
				return "", err
			}
		}
		if _, err := tx.Exec(ctx, "INSERT INTO minimize_schema VALUES ($1)", version+i+1); err != nil {
			return "", err
		}
	}
	if err := tx.QueryRow(ctx, whichStore).Scan(&store); err != nil {
		return "", err
	}
	return store, p.check(store)
}

// collect reads the rows that `find` returns.
func collect(into *found) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*into = found{}
		var key string
		var kind int
		var data []byte
		_, err := pgx.ForEachRow(rows, []any{&key, &kind, &data}, func() error { return into.row(key, kind, data) })
		return err
	}
}

func (p *postgres) Find(ctx context.Context, keys []string) ([]Subject, error) {
	subjects, cases := split(keys)
	var f found
	rows, err := p.use().query.Query(ctx, postgresStatements.find, subjects, cases)
	if err == nil {
		err = collect(&f)(rows)
	}
	if err != nil {
		return nil, failure("reading consents", err)
	}
	return f.subjects(keys), nil
}

func (p *postgres) Apply(ctx context.Context, b Batch) (changes []Change, err error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	err = p.use().transaction(ctx, func(tx pgx.Tx) error {
		changes, err = p.apply(ctx, tx, b)
		return err
	})
	if err != nil {
		return nil, failure("changing consents", err)
	}
	return changes, nil
}

func (p *postgres) apply(ctx context.Context, tx pgx.Tx, b Batch) ([]Change, error) {
	subjects, cases := split(b.keys())
	var seq, now int64
	var held found
	read := &pgx.Batch{}
	read.Queue(settings)
	read.Queue(lockCounter, p.ID()).QueryRow(func(row pgx.Row) error { return row.Scan(&seq, &now) })
	read.Queue(postgresStatements.find, subjects, cases).Query(collect(&held))
	if err := tx.SendBatch(ctx, read).Close(); err != nil {
		return nil, err
	}
	todo, err := newPlan(b, held, seq+1, time.UnixMicro(now))
	if err != nil {
		return nil, err
	}
	write := &pgx.Batch{}
	if err := todo.statements(func(w int, rows string) error {
		write.Queue(postgresStatements.write[w], rows)
		return nil
	}); err != nil {
		return nil, err
	}
	if len(todo.keys) > 0 {
		write.Queue("SELECT pg_notify($1, '')", channel)
	}
	return todo.changes(), tx.SendBatch(ctx, write).Close()
}

func (p *postgres) Seen(ctx context.Context, caller string, subjects []string, most int) ([]int, error) {
	c := p.use()
	nth, err := seen(subjects, most, func(known map[string]int) error {
		rows, err := c.query.Query(ctx, postgresStatements.seen, append([]string{""}, subjects...), caller)
		if err != nil {
			return err
		}
		return collectSeen(known)(rows)
	}, func(known map[string]int) error {
		return c.transaction(ctx, func(tx pgx.Tx) error { return countPostgres(ctx, tx, caller, subjects, known, most) })
	})
	return nth, failure("counting data subjects", err)
}

// countPostgres numbers the data subjects that are new to the caller.
func countPostgres(ctx context.Context, tx pgx.Tx, caller string, subjects []string, known map[string]int, most int) error {
	var day string
	var n int
	read := &pgx.Batch{}
	read.Queue(settings)
	read.Queue(postgresStatements.countSeen, caller).QueryRow(func(row pgx.Row) error { return row.Scan(&day, &n) })
	read.Queue(postgresStatements.seen, subjects, caller).Query(collectSeen(known))
	if err := tx.SendBatch(ctx, read).Close(); err != nil {
		return err
	}
	fresh, total := count(subjects, known, n, most)
	write := &pgx.Batch{}
	write.Queue(postgresStatements.insertSeen, asJSON(seenRows(day, caller, fresh, total)))
	if n == 0 {
		write.Queue(postgresStatements.pruneSeen)
	}
	return tx.SendBatch(ctx, write).Close()
}

func collectSeen(known map[string]int) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var subject string
		var nth int
		_, err := pgx.ForEachRow(rows, []any{&subject, &nth}, func() error { known[subject] = nth; return nil })
		return err
	}
}

func (p *postgres) History(ctx context.Context, subject string) (entries []Entry, err error) {
	rows, err := p.use().query.Query(ctx, postgresStatements.history, subject)
	if err == nil {
		var data []byte
		_, err = pgx.ForEachRow(rows, []any{&data}, func() error { return appendEntry(&entries, data) })
	}
	return entries, failure("reading a history", err)
}

func (p *postgres) Imported(ctx context.Context, file string) (line int, err error) {
	err = p.use().query.QueryRow(ctx, postgresStatements.imported, file).Scan(&line)
	return line, failure("asking where an import ended", err)
}

func (p *postgres) Export(ctx context.Context, after string, f func(*Subject) error) error {
	return export(ctx, p, after, f, func(after string) ([]string, error) {
		rows, err := p.use().query.Query(ctx, postgresStatements.subjects, after)
		if err != nil {
			return nil, failure("exporting consents", err)
		}
		subjects, err := pgx.CollectRows(rows, pgx.RowTo[string])
		return subjects, failure("exporting consents", err)
	})
}

func (p *postgres) Changes(ctx context.Context, after int64) ([]Change, int64, time.Time, error) {
	c := p.use()
	var t tail
	var now, row int64
	var keys []byte
	rows, err := c.watch.Query(ctx, postgresStatements.changes, after, changesRead)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&t.seq, &t.store, &now, &row, &keys}, func() error { return t.row(row, keys) })
	}
	if err != nil {
		p.renew(c)
		return nil, 0, time.Time{}, failure("reading changes", err)
	}
	if err := p.check(t.store); err != nil {
		return nil, 0, time.Time{}, fmt.Errorf("reading changes: %w", err)
	}
	err = t.gap(after)
	return t.changes, t.seq, time.UnixMicro(now), err
}

// Wait waits for a notification. Where that fails, nothing is lost but time.
func (p *postgres) Wait(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := p.use().listen(ctx)
	if err == nil || pgconn.Timeout(err) {
		return nil
	}
	return failure("listening for changes", err)
}
