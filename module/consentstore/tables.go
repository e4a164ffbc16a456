package consentstore

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// The statements that write rows, in their order in a transaction.
const (
	upsertSubjects = iota
	upsertRecords
	insertHistory
	upsertCases
	upsertImports
	setCounter
	insertChanges
	pruneChanges
	writes
)

// changesKept is how many transactions a gateway may be behind before it forgets all it knows.
const changesKept = 10_000

// changesRead is how many it reads at once: behind more than that, to forget costs less.
const changesRead = 1000

// migrations bring the tables from one version to the next; a released one never changes. What a record, an entry or a
// case says is one JSON document with the names of the NDJSON, so that they can be read with the database's own tools.
//
// The ids of callers in minimize_seen are stored as they are, because every node has to count under the same name. They
// are gone after two days.
var migrations = [][]string{{
	`CREATE TABLE minimize_counter (seq bigint NOT NULL)`,
	`INSERT INTO minimize_counter (seq) VALUES (0)`,
	`CREATE TABLE minimize_subjects (subject {text} PRIMARY KEY, profile {json} NOT NULL)`,
	`CREATE TABLE minimize_records (subject {text} NOT NULL, purpose {text} NOT NULL, recipient {text} NOT NULL,
		state {json} NOT NULL, PRIMARY KEY (subject, purpose, recipient))`,
	`CREATE TABLE minimize_history (subject {text} NOT NULL, seq bigint NOT NULL, n bigint NOT NULL, entry {json} NOT NULL,
		PRIMARY KEY (subject, seq, n))`,
	`CREATE TABLE minimize_cases (id {text} PRIMARY KEY, subject {text} NOT NULL, facts {json} NOT NULL)`,
	`CREATE INDEX minimize_cases_subject ON minimize_cases (subject)`,
	`CREATE TABLE minimize_changes (seq bigint PRIMARY KEY, keys {json} NOT NULL)`,
	`CREATE TABLE minimize_seen (day {text} NOT NULL, caller {text} NOT NULL, subject {text} NOT NULL, nth bigint NOT NULL,
		PRIMARY KEY (day, caller, subject))`,
	`CREATE TABLE minimize_imports (file {text} PRIMARY KEY, line bigint NOT NULL)`,
}, {
	`ALTER TABLE minimize_counter ADD COLUMN store {text} NOT NULL DEFAULT ''`,
	`UPDATE minimize_counter SET store = {random}`,
}}

// whichStore asks for the id of a store.
const whichStore = "SELECT store FROM minimize_counter"

// statements are what the two databases spell nearly alike.
type statements struct {
	migrations [][]string
	write      [writes]string
	find       string
	history    string
	imported   string
	subjects   string
	changes    string
	seen       string
	countSeen  string
	insertSeen string
	pruneSeen  string
}

// newStatements writes them for one database: r replaces what stands in braces.
func newStatements(r *strings.Replacer) *statements {
	s := &statements{
		write: [writes]string{
			upsertSubjects: `INSERT INTO minimize_subjects (subject, profile) SELECT value->>0, value->1 FROM {rows} WHERE true
				ON CONFLICT (subject) DO UPDATE SET profile = excluded.profile`,
			upsertRecords: `INSERT INTO minimize_records (subject, purpose, recipient, state)
				SELECT value->>0, value->>1, value->>2, value->3 FROM {rows} WHERE true
				ON CONFLICT (subject, purpose, recipient) DO UPDATE SET state = excluded.state`,
			insertHistory: `INSERT INTO minimize_history (subject, seq, n, entry)
				SELECT value->>0, CAST(value->>1 AS bigint), CAST(value->>2 AS bigint), value->3 FROM {rows}`,
			upsertCases: `INSERT INTO minimize_cases (id, subject, facts) SELECT value->>0, value->>1, value->2 FROM {rows} WHERE true
				ON CONFLICT (id) DO UPDATE SET facts = excluded.facts`,
			upsertImports: `INSERT INTO minimize_imports (file, line) SELECT value->>0, CAST(value->>1 AS bigint) FROM {rows} WHERE true
				ON CONFLICT (file) DO UPDATE SET line = excluded.line`,
			setCounter:    `UPDATE minimize_counter SET seq = (SELECT CAST(value->>0 AS bigint) FROM {rows})`,
			insertChanges: `INSERT INTO minimize_changes (seq, keys) SELECT CAST(value->>0 AS bigint), value->1 FROM {rows}`,
			pruneChanges:  `DELETE FROM minimize_changes WHERE seq <= (SELECT CAST(value->>0 AS bigint) FROM {rows})`,
		},
		find: `SELECT subject, 0, profile FROM minimize_subjects WHERE subject {in1}
			UNION ALL SELECT subject, 1, state FROM minimize_records WHERE subject {in1}
			UNION ALL SELECT subject, 2, facts FROM minimize_cases WHERE subject {in1}
			UNION ALL SELECT id, 3, facts FROM minimize_cases WHERE id {in2}`,
		history:  `SELECT entry FROM minimize_history WHERE subject = $1 ORDER BY seq, n`,
		imported: `SELECT coalesce(max(line), 0) FROM minimize_imports WHERE file = $1`,
		subjects: `SELECT subject FROM minimize_subjects WHERE subject > $1 ORDER BY subject LIMIT 500`,
		// One statement sees one moment: whatever the counter counts is among the changes.
		changes: `SELECT c.seq, c.store, {now}, coalesce(h.seq, 0), h.keys FROM minimize_counter c
			LEFT JOIN (SELECT seq, keys FROM minimize_changes WHERE seq > $1 ORDER BY seq LIMIT $2) h ON true ORDER BY 4`,
		seen: `SELECT subject, nth FROM minimize_seen WHERE day = {today} AND caller = $2 AND subject {in1}`,
		// The row without a data subject counts the others, and whoever counts holds its lock.
		countSeen: `INSERT INTO minimize_seen (day, caller, subject, nth) VALUES ({today}, $1, '', 0)
			ON CONFLICT (day, caller, subject) DO UPDATE SET nth = minimize_seen.nth RETURNING day, nth`,
		insertSeen: `INSERT INTO minimize_seen (day, caller, subject, nth)
			SELECT value->>0, value->>1, value->>2, CAST(value->>3 AS bigint) FROM {rows} WHERE true
			ON CONFLICT (day, caller, subject) DO UPDATE SET nth = excluded.nth`,
		pruneSeen: `DELETE FROM minimize_seen WHERE day < {yesterday}`,
	}
	for i := range s.write {
		s.write[i] = r.Replace(s.write[i])
	}
	for _, text := range []*string{&s.find, &s.history, &s.imported, &s.subjects, &s.changes, &s.seen, &s.countSeen, &s.insertSeen, &s.pruneSeen} {
		*text = r.Replace(*text)
	}
	for _, migration := range migrations {
		var texts []string
		for _, text := range migration {
			texts = append(texts, r.Replace(text))
		}
		s.migrations = append(s.migrations, texts)
	}
	return s
}

// split separates data subjects' ids from those of cases.
func split(keys []string) (subjects, cases []string) {
	subjects, cases = []string{}, []string{}
	for _, key := range keys {
		if id, is := strings.CutPrefix(key, casePrefix); is {
			cases = append(cases, id)
		} else {
			subjects = append(subjects, key)
		}
	}
	return subjects, cases
}

// errUnreadable is without what a JSON decoder says, which may be a part of a value.
var errUnreadable = errors.New("reading a row of the consent store: it is not what this version writes")

// The kinds of rows that `find` returns.
const (
	rowProfile = iota
	rowRecord
	rowCaseOfSubject
	rowCase
)

// found collects them by key.
type found map[string]*stock

// row takes one of them. What cannot be read is an error, never a data subject of whom nothing is known.
func (f found) row(key string, kind int, data []byte) (err error) {
	if kind == rowCase {
		key = CaseKey(key)
	}
	who := f[key]
	if who == nil {
		who = newStock(key)
		f[key] = who
	}
	switch kind {
	case rowProfile:
		who.exists = true
		err = json.Unmarshal(data, &who.profile)
	case rowRecord:
		s := new(state)
		err = json.Unmarshal(data, s)
		who.states = append(who.states, s)
	default:
		var c Case
		err = json.Unmarshal(data, &c)
		who.cases = append(who.cases, c)
	}
	if err != nil {
		return errUnreadable
	}
	return nil
}

// subjects are what was found, in the order of the keys.
func (f found) subjects(keys []string) []Subject {
	subjects := make([]Subject, len(keys))
	for i, key := range keys {
		who := f[key]
		if who == nil {
			who = newStock(key)
		}
		subjects[i] = who.subject(strings.HasPrefix(key, casePrefix))
	}
	return subjects
}

func (w *stock) subject(isCase bool) Subject {
	s := Subject{Profile: w.profile, Records: make([]Record, len(w.states)), Cases: w.cases}
	if isCase {
		s.Profile = Profile{}
	}
	for i, r := range w.states {
		s.Records[i] = r.Record
	}
	slices.SortFunc(s.Records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Recipient, b.Recipient))
	})
	if s.Cases == nil {
		s.Cases = []Case{}
	}
	slices.SortFunc(s.Cases, func(a, b Case) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
