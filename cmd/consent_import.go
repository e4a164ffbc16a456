package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"

	"github.com/caddy-minimize/minimize/module/consentstore"
)

// importRun is one run of the import.
type importRun struct {
	errs    io.Writer
	format  string
	skipBad bool
	again   bool // begin anew with a file that is stored already
	check   bool // store nothing

	store consentstore.Store
	hash  string // of the file; "": standard input, which nobody can read again
	sum   importSummary
}

// importSummary is what came of it. Counts are of what this run read, but for what an earlier one stored.
type importSummary struct {
	Lines    int `json:"lines"`
	Entries  int `json:"entries"`
	Profiles int `json:"profiles"`
	Cases    int `json:"cases"`
	Bad      int `json:"bad"`

	Changed bool `json:"changed"` // anything, or all of it was known
	From    int  `json:"continued_behind_line,omitempty"`
	To      int  `json:"stored_to_line,omitempty"` // the next run continues behind it
}

// errBad says that lines were bad, which have been reported already.
var errBad = errors.New("importing: there are bad lines")

// batchLines is how many lines are stored in one transaction.
var batchLines = 2000

// checkFile reads a file to its end and checks all lines, before the first one is stored.
func (r *importRun) checkFile(in io.ReadSeeker) (total int, err error) {
	if total, r.hash, err = r.checkAll(in); err != nil || r.check {
		return total, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("reading the file again: %w", err)
	}
	return total, nil
}

// storeLines stores the lines of a file that was checked, or standard input: of that, what was stored before a bad line
// stays stored.
func (r *importRun) storeLines(ctx context.Context, in io.Reader, total int) (err error) {
	bad := r.errs
	if r.hash != "" {
		bad = io.Discard // they were reported already
		if r.sum.From, err = r.storedLines(ctx); err != nil {
			return err
		}
	}
	r.sum.To = r.sum.From
	next, err := readLines(in, r.format)
	if err != nil {
		return err
	}
	p := newProgress(r.errs, "lines", total, r.sum.From)
	defer p.done()
	return r.apply(ctx, next, p, bad)
}

// mostBadLines is how many bad lines are shown.
const mostBadLines = 20

// checkAll reads all lines without storing any, and returns the last one's number and the content's hash.
func (r *importRun) checkAll(in io.Reader) (total int, hash string, err error) {
	h := sha256.New()
	next, err := readLines(io.TeeReader(in, h), r.format)
	if err != nil {
		return 0, "", err
	}
	p := newProgress(r.errs, "lines read", 0, 0)
	defer p.done()
	bad := 0
	for {
		i, err := readItem(next)
		var wrong *lineError
		switch {
		case errors.Is(err, io.EOF):
			return r.checked(total, bad, hex.EncodeToString(h.Sum(nil)))
		case errors.As(err, &wrong):
			if bad++; bad <= mostBadLines {
				p.done()
				fmt.Fprintln(r.errs, wrong)
			}
		case err != nil:
			return 0, "", err
		case r.check:
			r.sum.add([]item{i})
		}
		total = i.line
		p.at(total)
	}
}

func (r *importRun) checked(total, bad int, hash string) (int, string, error) {
	if bad > mostBadLines {
		fmt.Fprintf(r.errs, "and %s more\n", humanize.Comma(int64(bad-mostBadLines)))
	}
	if r.check {
		r.sum.Bad = bad
	}
	if bad > 0 && !r.skipBad {
		return 0, "", fmt.Errorf("%w, so nothing was stored: mend them, or leave them out with --skip-bad", errBad)
	}
	return total, hash, nil
}

// storedLines is how many lines of this content an earlier run stored.
func (r *importRun) storedLines(ctx context.Context) (int, error) {
	if r.again {
		return 0, nil
	}
	return r.store.Imported(ctx, r.hash)
}

// readItem reads the next line. Its number is there with a bad line, too.
func readItem(next lines) (item, error) {
	doc, line, err := next()
	if err != nil {
		return item{line: line}, err
	}
	return parseItem(doc, line)
}

// apply stores the lines behind the one where an earlier run ended.
func (r *importRun) apply(ctx context.Context, next lines, p *progress, bad io.Writer) error {
	var items []item
	for {
		i, err := readItem(next)
		var wrong *lineError
		switch {
		case errors.Is(err, io.EOF):
			return r.applyItems(ctx, items)
		case err != nil && !errors.As(err, &wrong):
			return err
		case i.line <= r.sum.From: // stored already
		case wrong != nil:
			fmt.Fprintln(bad, wrong)
			if r.sum.Bad++; !r.skipBad {
				return errors.Join(r.applyItems(ctx, items), errBad)
			}
		default:
			items = append(items, i)
		}
		if len(items) == batchLines {
			if err := r.applyItems(ctx, items); err != nil {
				return err
			}
			items = items[:0]
			p.at(i.line)
		}
	}
}

// applyItems stores lines in one transaction. Where one of them contradicts what is stored, it is found by halves.
func (r *importRun) applyItems(ctx context.Context, items []item) error {
	if len(items) == 0 {
		return nil
	}
	// The line's number is written in the transaction that stores the lines, so that after a power failure or kill -9
	// exactly those behind it are missing. A file beside the input could be older or newer than what the database holds.
	b, last := batch(items), items[len(items)-1].line
	b.File, b.Line = r.hash, last
	changes, err := r.store.Apply(ctx, b)
	switch {
	case err == nil:
		r.sum.add(items)
		r.sum.To, r.sum.Changed = last, r.sum.Changed || len(changes) > 0
		return nil
	case !errors.Is(err, consentstore.ErrConflict):
		return fmt.Errorf("storing lines %d to %d: %w", items[0].line, last, err)
	case len(items) > 1:
		half := len(items) / 2
		if err := r.applyItems(ctx, items[:half]); err != nil {
			return err
		}
		return r.applyItems(ctx, items[half:])
	}
	fmt.Fprintln(r.errs, &lineError{last, "it contradicts what is stored: a case of another data subject, or a guardian's consent that was not withdrawn"})
	if r.sum.Bad++; r.skipBad {
		return nil
	}
	return errBad
}

func (s *importSummary) add(items []item) {
	s.Lines += len(items)
	for _, i := range items {
		switch {
		case i.entry != nil:
			s.Entries++
		case i.c != nil:
			s.Cases++
		default:
			s.Profiles++
		}
	}
}

func (s *importSummary) String() string {
	count := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return humanize.Comma(int64(n)) + " " + many
	}
	text := fmt.Sprintf("read %s: %s, %s, %s", count(s.Lines, "line", "lines"), count(s.Entries, "entry", "entries"),
		count(s.Profiles, "profile", "profiles"), count(s.Cases, "case", "cases"))
	if s.Bad > 0 {
		text += "; " + count(s.Bad, "bad line", "bad lines")
	}
	if s.To > s.From && !s.Changed {
		text += "; all of it was known"
	}
	if s.From > 0 {
		text += fmt.Sprintf("; continued behind line %s", humanize.Comma(int64(s.From)))
	}
	return text
}
