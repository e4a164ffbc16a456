package consentstore

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// stock is what the database holds of a key, and what a batch makes of it.
type stock struct {
	exists   bool // it has a row among the data subjects
	profile  Profile
	states   []*state
	cases    []Case
	profiled bool
	spoken   map[*state]bool
}

// plan is what a transaction writes: rows by the statement that writes them. Both databases take them as one JSON
// document, so that thousands of rows are one statement.
type plan struct {
	seq  int64
	now  time.Time
	held map[string]*stock
	rows [writes][][]any
	keys []string // that change, each once
}

// newPlan works out what a batch changes in what is held, in the transaction that takes the Seq.
func newPlan(b Batch, held map[string]*stock, seq int64, now time.Time) (*plan, error) {
	p := &plan{seq: seq, now: now, held: held}
	changed := unique{}
	for _, e := range b.Entries {
		if p.entry(e) {
			changed.add(e.Subject)
		}
	}
	for _, profile := range b.Profiles {
		if p.profile(profile) {
			changed.add(profile.Subject)
		}
	}
	for _, c := range b.Cases {
		is, err := p.kase(c)
		if err != nil {
			return nil, err
		}
		if is {
			changed.add(c.Subject)
			changed.add(CaseKey(c.ID))
		}
	}
	p.keys = changed.keys
	p.write()
	if b.File != "" {
		p.add(upsertImports, b.File, b.Line)
	}
	return p, nil
}

func (p *plan) of(key string) *stock {
	if p.held[key] == nil {
		p.held[key] = newStock(key)
	}
	return p.held[key]
}

func newStock(key string) *stock {
	return &stock{profile: Profile{Subject: key}, spoken: map[*state]bool{}}
}

func (p *plan) entry(e Entry) bool {
	who := p.of(e.Subject)
	s := who.state(&e)
	n := len(p.rows[insertHistory])
	e.ID = fmt.Sprintf("%d-%d", p.seq, n)
	if !s.say(&e, p.now) {
		return false
	}
	who.spoken[s] = true
	p.add(insertHistory, e.Subject, p.seq, n, e)
	return true
}

func (p *plan) profile(new Profile) bool {
	new.normalize()
	who := p.of(new.Subject)
	if new.Ended.IsZero() { // deleted is for good, also where two nodes write the rest at once
		new.Ended = who.profile.Ended
	}
	if reflect.DeepEqual(who.profile, new) {
		return false
	}
	who.profile, who.profiled = new, true
	return true
}

func (p *plan) kase(new Case) (changes bool, err error) {
	new.normalize()
	held := p.of(CaseKey(new.ID))
	if len(held.cases) > 0 && held.cases[0].Subject != new.Subject {
		return false, ErrConflict
	}
	if len(held.cases) > 0 && reflect.DeepEqual(held.cases[0], new) {
		return false, nil
	}
	held.cases = []Case{new}
	return true, nil
}

// write lists the rows. Everybody who is spoken of has a row among the data subjects: an export goes through these.
func (p *plan) write() {
	for _, key := range p.keys {
		who := p.of(key)
		if strings.HasPrefix(key, casePrefix) {
			c := who.cases[0]
			p.add(upsertCases, c.ID, c.Subject, c)
			continue
		}
		if who.profiled || !who.exists {
			p.add(upsertSubjects, key, who.profile)
		}
		for _, s := range who.states {
			if who.spoken[s] {
				p.add(upsertRecords, key, s.Purpose, s.Recipient, s)
			}
		}
	}
	if len(p.keys) > 0 {
		p.add(setCounter, p.seq)
		p.add(insertChanges, p.seq, p.keys)
		p.add(pruneChanges, p.seq-changesKept)
	}
}

// state is the record that an entry is about.
func (w *stock) state(e *Entry) *state {
	for _, s := range w.states {
		if s.Purpose == e.Purpose && s.Recipient == e.Recipient {
			return s
		}
	}
	s := &state{Record: Record{Entry: Entry{Subject: e.Subject, Purpose: e.Purpose, Recipient: e.Recipient}}}
	w.states = append(w.states, s)
	return s
}

func (p *plan) add(w int, row ...any) { p.rows[w] = append(p.rows[w], row) }

// statements calls f for every statement with its rows.
func (p *plan) statements(f func(w int, rows string) error) error {
	for w, rows := range p.rows {
		if len(rows) == 0 {
			continue
		}
		data, err := json.Marshal(rows)
		if err != nil {
			return fmt.Errorf("encoding what changes: %w", err)
		}
		if err := f(w, string(data)); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) changes() []Change {
	changes := make([]Change, len(p.keys))
	for i, key := range p.keys {
		changes[i] = Change{Seq: p.seq, Key: key}
	}
	return changes
}

// keys are all that a batch may change.
func (b *Batch) keys() []string {
	all := unique{}
	for i := range b.Entries {
		all.add(b.Entries[i].Subject)
	}
	for i := range b.Profiles {
		all.add(b.Profiles[i].Subject)
	}
	for i := range b.Cases {
		all.add(b.Cases[i].Subject)
		all.add(CaseKey(b.Cases[i].ID))
	}
	return all.keys
}

// unique are keys in the order in which they came first.
type unique struct {
	keys []string
	has  map[string]bool
}

func (u *unique) add(key string) {
	if u.has[key] {
		return
	}
	if u.has == nil {
		u.has = map[string]bool{}
	}
	u.has[key] = true
	u.keys = append(u.keys, key)
}
