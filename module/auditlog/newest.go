package auditlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidwall/gjson"
)

// Page is a part of what a filter means, newest first.
type Page struct {
	Entries []gjson.Result
	Read    int     // entries that were read for it
	Reached uint64  // the oldest entry that was read
	More    bool    // there may be older ones
	Late    bool    // because the time was over, not because the page is full
	Unread  []error // why files were passed over
}

// Newest returns the last entries before one, at most so many, from the files of a log, reading backwards and until a
// deadline, behind which at most one compressed file is read to its end. before is an entry's number; 0: the end of the log.
func (f *Filter) Newest(files []string, before uint64, most int, deadline time.Time) (*Page, error) {
	ordered, unread, err := inOrder(files)
	if len(ordered) == 0 {
		return nil, errors.Join(append(unread, err)...)
	}
	p := &Page{Unread: unread}
	for _, file := range slices.Backward(ordered) {
		if p.Late = time.Now().After(deadline); p.Late {
			p.More, p.Reached = true, cmp.Or(p.Reached, before)
			return p, nil
		}
		err := f.inFile(p, file, before, most, deadline)
		if errors.Is(err, errEnough) {
			return p, nil
		}
		if err != nil {
			p.Unread = append(p.Unread, err)
		}
	}
	return p, nil
}

// inFile takes the entries of a file.
func (f *Filter) inFile(p *Page, file string, before uint64, most int, deadline time.Time) error {
	if !slices.Contains(compressed, filepath.Ext(file)) {
		err := backwards(file, func(text []byte) error { return f.take(p, text, before, most, deadline) })
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} // or it is compressed since it was found
	return f.forwards(p, file, before, most)
}

// take takes one entry where it is meant. It ends the search where the page is full or the time is over.
func (f *Filter) take(p *Page, text []byte, before uint64, most int, deadline time.Time) error {
	seq := seqOf(text)
	if seq == 0 || before > 0 && seq >= before || text[len(text)-1] != '}' {
		return nil
	}
	p.Read++
	p.Reached = seq
	if entry := gjson.ParseBytes(text); f.matches(entry) { // ParseBytes copies
		p.Entries = append(p.Entries, entry)
	}
	if p.Late = p.Read%1024 == 0 && time.Now().After(deadline); p.Late || len(p.Entries) == most {
		p.More = seq > 1
		return errEnough
	}
	return nil
}

// backwards calls each with the lines of a file, the last one first.
func backwards(file string, each func([]byte) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const piece = 256 << 10
	var rest []byte // the beginning of the piece behind, whose line begins before it
	for end > 0 {
		start := max(end-piece, 0)
		data := make([]byte, end-start, int(end-start)+len(rest))
		if _, err := f.ReadAt(data, start); err != nil && err != io.EOF {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		data, end = append(data, rest...), start
		for {
			at := bytes.LastIndexByte(data, '\n')
			if at < 0 {
				break
			}
			if line := data[at+1:]; len(line) > 0 {
				if err := each(line); err != nil {
					return err
				}
			}
			data = data[:at]
		}
		if rest = data; len(rest) > maxEntry {
			return errors.New("reading the audit log: a line is longer than any entry")
		}
	}
	if len(rest) > 0 {
		return each(rest)
	}
	return nil
}

// forwards takes the entries of a compressed file, which cannot be read backwards. Only the last of those that are meant are
// kept meanwhile.
func (f *Filter) forwards(p *Page, file string, before uint64, most int) error {
	var kept []gjson.Result
	more := false
	err := readFile(file, func(e Entry) error {
		seq := seqOf(e.Text)
		if seq == 0 {
			return nil
		}
		if before > 0 && seq >= before {
			return errEnough
		}
		p.Read++
		p.Reached = cmp.Or(min(p.Reached, seq), seq)
		if entry := gjson.ParseBytes(e.Text); f.matches(entry) {
			if kept = append(kept, entry); len(kept) > most {
				kept, more = kept[1:], true
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, entry := range slices.Backward(kept) {
		if len(p.Entries) == most {
			more = true
			break
		}
		p.Entries = append(p.Entries, entry)
	}
	if more || len(p.Entries) == most {
		p.More = more || p.Reached > 1
		p.Reached = p.Entries[len(p.Entries)-1].Get("seq").Uint()
		return errEnough
	}
	return nil
}
