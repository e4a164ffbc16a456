package consentstore

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
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
	seq   int64
	now   time.Time
	held  map[string]*stock
	rows  [writes][][]any
	keys  []string // that change, each once
	quiet unique   // data subjects of whom something is written, though perhaps nothing changes now
}

// newPlan works out what a batch changes in what is held, in the transaction that takes the Seq.
func newPlan(b Batch, held map[string]*stock, seq int64, now time.Time) (*plan, error) {
	p := &plan{seq: seq, now: now, held: held}
	changed := unique{}
	for _, e := range b.Entries {
		is, err := p.entry(e)
		if err != nil {
			return nil, err
		}
		if is {
			changed.add(e.Subject)
		}
	}
	for _, profile := range b.Profiles {
		if p.profile(profile) {
			changed.add(profile.Subject)
		}
	}
	for _, subject := range b.Ended {
		if who := p.of(subject); who.profile.Ended.IsZero() {
			who.profile.Ended, who.profiled = stored(now), true
			changed.add(subject)
		}
	}
	for _, c := range slices.Concat(b.Cases, p.closed(b.Closed)) {
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

// entry tells it to its record. A withdrawal or an objection that names no recipient is one towards each of them: so it can
// be read off every record, and whoever agrees to the purpose anew without naming anybody revives nothing that they once
// agreed to towards somebody. Neither does it matter which of the two comes first.
func (p *plan) entry(e Entry) (news bool, err error) {
	e.normalize()
	who := p.of(e.Subject)
	all, own := who.state(e.Subject, e.Purpose, ""), who.state(e.Subject, e.Purpose, e.Recipient)
	others := who.others(&e, all)
	switch {
	case e.Event == Withdraw && e.At.IsZero() && own.Given.IsZero() && len(others) == 0:
		return false, nil // out of a file it can be older than the consent, which comes with another one
	case e.Event == Give && own != all && !e.At.IsZero() && !e.At.After(all.EndedForAll):
		return false, nil
	case e.At.IsZero():
		e.At = who.now(p.now, e.Purpose)
	}
	if own.At.IsZero() && len(who.states) > maxRecords { // what is there can always be withdrawn
		return false, ErrTooMany
	}
	news, err = p.tell(own, e)
	for _, s := range others {
		to := e
		to.Recipient, to.GPC = s.Recipient, e.GPC && s.GPCAt.IsZero()
		is, _ := p.tell(s, to) // only who gives can contradict
		news = news || is
	}
	if own == all && (e.Event == Withdraw || e.Event == Object) && (news || e.At.Before(all.Given)) && e.At.After(all.EndedForAll) {
		all.EndedForAll, who.spoken[all] = e.At, true
		p.quiet.add(e.Subject)
	}
	return news, err
}

// others are the records of named recipients that an entry without one speaks of, too. To lift an objection lifts what it
// was to them, and leaves alone what was said of one of them.
func (w *stock) others(e *Entry, all *state) (others []*state) {
	for _, s := range w.states {
		switch {
		case e.Recipient != "" || s == all || s.Purpose != e.Purpose:
		case e.Event == Withdraw && !s.Given.IsZero() && s.Withdrawn.IsZero(),
			e.Event == Object && !(e.GPC && !all.GPCAt.IsZero()),
			e.Event == Unobject && !all.Objected.IsZero() && s.Objected.Equal(all.Objected):
			others = append(others, s)
		}
	}
	return others
}

// now is when something is said that has no time: after all that was said, because the clock may have gone back since.
func (w *stock) now(now time.Time, purpose string) time.Time {
	now = stored(now)
	for _, s := range w.states {
		if s.Purpose == purpose && !s.At.IsZero() {
			now = latest(now, s.At.Add(precision))
		}
	}
	return now
}

func (p *plan) tell(s *state, e Entry) (news bool, err error) {
	n := len(p.rows[insertHistory])
	e.ID = fmt.Sprintf("%d-%d", p.seq, n)
	if news, err = s.say(&e); news {
		p.of(e.Subject).spoken[s] = true
		p.add(insertHistory, e.Subject, p.seq, n, e)
	}
	return news, err
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

// closed are these cases as they are stored, but for their end: what is changed at the same time stays changed.
func (p *plan) closed(cases []Case) []Case {
	var ended []Case
	for _, c := range cases {
		for _, is := range p.of(CaseKey(c.ID)).cases {
			if is.Subject == c.Subject && (is.Ends.IsZero() || is.Ends.After(p.now)) {
				is.Ends = p.now
				ended = append(ended, is)
			}
		}
	}
	return ended
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
		p.quiet.add(key)
	}
	for _, key := range p.quiet.keys {
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

// state is the record of a purpose and recipient; a new one where there is none.
func (w *stock) state(subject, purpose, recipient string) *state {
	for _, s := range w.states {
		if s.Purpose == purpose && s.Recipient == recipient {
			return s
		}
	}
	s := &state{Record: Record{Entry: Entry{Subject: subject, Purpose: purpose, Recipient: recipient}}}
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
	for _, subject := range b.Ended {
		all.add(subject)
	}
	for _, c := range slices.Concat(b.Cases, b.Closed) {
		all.add(c.Subject)
		all.add(CaseKey(c.ID))
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
