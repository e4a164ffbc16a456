package consentstore

import (
	"context"
	"encoding/json"
)

// tail is what was read behind a Seq.
type tail struct {
	seq     int64
	store   string
	first   int64 // the first transaction behind it; 0: there is none
	rows    int
	changes []Change
}

func (t *tail) row(seq int64, keys []byte) error {
	if seq == 0 {
		return nil
	}
	if t.rows++; t.first == 0 {
		t.first = seq
	}
	var list []string
	if json.Unmarshal(keys, &list) != nil {
		return errUnreadable
	}
	for _, key := range list {
		t.changes = append(t.changes, Change{Seq: seq, Key: key})
	}
	return nil
}

// gap says whether something is missing: what is pruned, what is too much to be read at once, or, where a database was put
// back to an older state, what nobody can know.
func (t *tail) gap(after int64) error {
	if after == t.seq {
		return nil
	}
	if after > t.seq || t.first != after+1 || t.rows != int(t.seq-after) {
		t.changes = nil
		return ErrGap
	}
	return nil
}

// export reads data subjects page by page, each with all that is known from one moment.
func export(ctx context.Context, s Store, after string, f func(*Subject) error, page func(after string) ([]string, error)) error {
	for {
		keys, err := page(after)
		if err != nil || len(keys) == 0 {
			return err
		}
		subjects, err := s.Find(ctx, keys)
		if err != nil {
			return err
		}
		for i := range subjects {
			if err := f(&subjects[i]); err != nil {
				return err
			}
		}
		after = keys[len(keys)-1]
	}
}

func appendEntry(entries *[]Entry, data []byte) error {
	var e Entry
	if json.Unmarshal(data, &e) != nil {
		return errUnreadable
	}
	*entries = append(*entries, e)
	return nil
}
