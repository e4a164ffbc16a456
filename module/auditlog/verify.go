package auditlog

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"
)

// Entry is a line of a log.
type Entry struct {
	File string
	Line int    // from 1
	Text []byte // valid until the next one
}

// Finding is a place where a log is not what was written.
type Finding struct {
	File string `json:"file"`
	Line int    `json:"line"`
	What string `json:"what"`
}

// Read calls each with the entries of the files, in the order in which they were written. A log that was rotated is several
// files, compressed ones end with .gz or .zst; a folder stands for the logs in it.
func Read(paths []string, each func(Entry) error) error {
	files, unread, err := inOrder(paths)
	if err = errors.Join(append(unread, err)...); err != nil {
		return err
	}
	for _, file := range files {
		if err := readFile(file, each); err != nil {
			return err
		}
	}
	return nil
}

func readFile(file string, each func(Entry) error) error {
	f, err := open(file)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer f.Close()
	r, err := decompress(f)
	if err != nil {
		return fmt.Errorf("reading the audit log %s: %w", file, err)
	}
	defer r.Close()
	lines := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if len(line) > 0 {
			if err := each(Entry{file, n, bytes.TrimSuffix(line, []byte("\n"))}); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the audit log %s: %w", file, err)
		}
	}
}

// open opens a file, or what it was compressed into since it was found.
func open(file string) (*os.File, error) {
	f, missing := os.Open(file)
	if !errors.Is(missing, fs.ErrNotExist) {
		return f, missing
	}
	for _, ext := range compressed {
		if f, err := os.Open(file + ext); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, missing
}

// compressed is how the names of compressed files end.
var compressed = []string{".gz", ".zst"}

// decompress reads a file as its name says.
func decompress(f *os.File) (io.ReadCloser, error) {
	switch filepath.Ext(f.Name()) {
	case ".gz":
		return gzip.NewReader(f)
	case ".zst":
		d, err := zstd.NewReader(f)
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(f), nil
}

// readLine returns a line with its line feed, whose bytes hold until the next one.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	long := bytes.Clone(line)
	for err == bufio.ErrBufferFull && len(long) <= maxEntry {
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
	}
	if err == bufio.ErrBufferFull {
		return nil, errors.New("a line is longer than any entry: this is no audit log")
	}
	return long, err
}

// errEnough ends a reading early.
var errEnough = errors.New("enough")

// inOrder returns the files by the number of their first entry, and why some of them cannot be read.
func inOrder(paths []string) (files []string, unread []error, err error) {
	found, err := find(paths)
	if err != nil {
		return nil, nil, err
	}
	first := map[string]uint64{}
	for _, file := range found {
		err := readFile(file, func(e Entry) error {
			first[file] = seqOf(e.Text)
			return errEnough
		})
		if err != nil && err != errEnough {
			unread = append(unread, err)
			continue
		}
		files = append(files, file)
	}
	slices.SortStableFunc(files, func(a, b string) int {
		return cmp.Or(cmp.Compare(first[a], first[b]), strings.Compare(a, b))
	})
	return slices.Compact(files), unread, nil
}

// find returns the files of a log. One that is being compressed is there twice, and of the other one only a part.
func find(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			files = append(files, inFolder(path)...)
		} else {
			files = append(files, path)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("finding the audit log: there is no *.jsonl, *.json or *.log, compressed (.gz, .zst) or not")
	}
	all := slices.Clone(files)
	return slices.DeleteFunc(files, func(file string) bool {
		ext := filepath.Ext(file)
		return slices.Contains(compressed, ext) && slices.Contains(all, strings.TrimSuffix(file, ext))
	}), nil
}

func inFolder(dir string) (files []string) {
	for _, pattern := range []string{"*.jsonl", "*.json", "*.log"} {
		for _, ext := range append([]string{""}, compressed...) {
			found, _ := filepath.Glob(filepath.Join(dir, pattern+ext))
			files = append(files, found...)
		}
	}
	return files
}

// Verifier checks that entries follow each other.
type Verifier struct {
	Known    Head // an entry that was noted elsewhere, to be found again; Seq 0: none
	Pruned   bool // rotation removed older files: the log may begin with any entry
	Entries  int
	Findings []Finding
	Head     Head   // of the last entry
	Missing  uint64 // entries before the first one, of files that are not there
	last     Entry
	started  bool
}

// mostFindings are kept: a log that is none has one in every line.
const mostFindings = 1000

// Verify checks whole logs. read is called with how many entries were read so far, and its error ends it.
func (v *Verifier) Verify(paths []string, read func(n int) error) error {
	err := Read(paths, func(e Entry) error {
		v.Next(e)
		return read(v.Entries)
	})
	v.End()
	return err
}

// Next checks an entry.
func (v *Verifier) Next(e Entry) {
	v.Entries++
	var room [128]byte
	next, valid := v.Head.append(room[:0]), gjson.ValidBytes(e.Text)
	seq, prev := v.Head.Seq+1, v.Head.Hash[:]
	if !bytes.HasPrefix(e.Text, next) {
		fields := gjson.GetManyBytes(e.Text, "seq", "prev")
		seq = fields[0].Uint()
		prev = hashOf(fields[1].String())
	}
	switch {
	case torn(e.Text, next, valid):
		v.found(e, "an entry was cut off while it was written, as by a full disk: the next one stands in its place")
		return
	case !valid || seq == 0 || len(prev) != sha256.Size:
		v.found(e, "this is no entry: it was cut off, or changed")
		return // the next one follows the one before
	case !v.started && seq > 1:
		v.begins(e, seq, prev)
	case !v.started:
	case seq == 1:
		v.found(e, fmt.Sprintf("a new chain begins behind entry %d: the log was moved away, or its end removed", v.Head.Seq))
	case seq > v.Head.Seq+1:
		v.found(e, fmt.Sprintf("the entries from %d to %d are missing", v.Head.Seq+1, seq-1))
	case seq <= v.Head.Seq:
		v.found(e, fmt.Sprintf("entry %d stands behind entry %d", seq, v.Head.Seq))
	case !bytes.Equal(prev, v.Head.Hash[:]):
		v.found(v.last, "this entry was changed after it was written, or what the next one says of it")
	}
	v.started = true
	v.Head, v.last = Head{seq, sha256.Sum256(e.Text)}, Entry{File: e.File, Line: e.Line}
	if seq == v.Known.Seq && v.Head != v.Known {
		v.found(e, "this entry is another one than the head that was noted")
	}
}

// begins checks the first entry of a log that lacks those before it. Nothing in it tells rotation from whoever wanted them gone.
func (v *Verifier) begins(e Entry, seq uint64, prev []byte) {
	v.Missing = seq - 1
	if !v.Pruned {
		v.found(e, fmt.Sprintf("the log begins with entry %d: the %d entries before it are not there: rotation removed them, or somebody did", seq, v.Missing))
	}
	switch noted := v.Known.Seq; {
	case noted == 0 || seq <= noted: // Next meets it
	case seq > noted+1:
		v.found(e, fmt.Sprintf("the log begins behind the head that was noted, %d: whether it goes on from there cannot be seen", noted))
	case !bytes.Equal(prev, v.Known.Hash[:]):
		v.found(e, "this entry does not follow the head that was noted: the log was written anew")
	}
}

// hashOf reads a hash; nil: it is none.
func hashOf(text string) []byte {
	hash, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return hash
}

// torn reports whether a line is the beginning of the next entry, and no more.
func torn(line, next []byte, valid bool) bool {
	return len(line) > 0 && bytes.HasPrefix(next, line) || bytes.HasPrefix(line, next) && !valid
}

// End checks that there is a log, and that it goes as far as is known.
func (v *Verifier) End() {
	switch {
	case v.Entries == 0:
		v.found(v.last, "there is no entry at all")
	case v.Head.Seq < v.Known.Seq:
		v.found(v.last, fmt.Sprintf("the log ends before entry %d, which was noted: its end was removed", v.Known.Seq))
	}
}

func (v *Verifier) found(e Entry, what string) {
	if len(v.Findings) < mostFindings {
		v.Findings = append(v.Findings, Finding{e.File, e.Line, what})
	}
}
