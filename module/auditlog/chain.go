// Package auditlog chains the entries of an audit log, so that a change of what was written shows, and reads them again.
//
// An entry is a line of JSON that starts with `seq`, counting from 1, and `prev`, the SHA-256 of the line before it. Whoever
// changes, removes or swaps lines has to write all that follow anew; whoever knows a later line's hash, the head, sees it.
package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// Head is the last entry of a log.
type Head struct {
	Seq  uint64
	Hash [sha256.Size]byte // of its line, without the line feed
}

// String is how `audit verify` prints a head, and reads it: 17:3f….
func (h Head) String() string {
	return strconv.FormatUint(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash[:])
}

// ParseHead reads what String writes.
func ParseHead(s string) (h Head, err error) {
	seq, hash, _ := bytes.Cut([]byte(s), []byte(":"))
	if h.Seq, err = strconv.ParseUint(string(seq), 10, 64); err == nil && len(hash) == hex.EncodedLen(len(h.Hash)) {
		_, err = hex.Decode(h.Hash[:], hash)
		return h, err
	}
	return h, errors.New("a head is a number, a colon and 64 hexadecimal digits")
}

// after is the head once a line was written.
func (h Head) after(line []byte) Head { return Head{h.Seq + 1, sha256.Sum256(line)} }

// entryStart is how every entry begins.
const entryStart = `{"seq":`

// append appends the start of the entry that follows.
func (h Head) append(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, entryStart...), h.Seq+1, 10)
	dst = hex.AppendEncode(append(dst, `,"prev":"`...), h.Hash[:])
	return append(dst, `",`...)
}

// Chain writes entries that follow each other. It is safe for concurrent use.
type Chain struct {
	mu   sync.Mutex
	w    io.Writer
	head Head
	cut  bool // the last line has no end
	line []byte
}

// NewChain returns a chain that goes on behind head.
func NewChain(w io.Writer, head Head) *Chain { return &Chain{w: w, head: head} }

// Head is what was written last.
func (c *Chain) Head() Head {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head
}

// Write writes one entry: a JSON object with members, and a line feed.
func (c *Chain) Write(entry []byte) (int, error) {
	object := bytes.TrimRight(entry, "\n")
	if len(object) < 3 || object[0] != '{' {
		return 0, errors.New("writing an audit entry that is no object")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = c.line[:0]
	if c.cut { // what was cut off stays a line of its own
		c.line = append(c.line, '\n')
	}
	start := len(c.line)
	c.line = append(append(c.head.append(c.line), object[1:]...), '\n')
	n, err := c.w.Write(c.line)
	if err == nil && n < len(c.line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		c.cut = c.cut || n > 0
		return 0, err
	}
	c.cut = false
	c.head = c.head.after(c.line[start : len(c.line)-1])
	return len(entry), nil
}

// Continue returns a chain that goes on where a file ends, or where the newest of those ends that were rotated out of it. A
// log that is not there yet starts with the first entry.
func Continue(w io.Writer, file string) (*Chain, error) {
	c := NewChain(w, Head{})
	line, cut, err := lastLine(file)
	if err != nil {
		return nil, fmt.Errorf("reading the end of the audit log: %w", err)
	}
	if c.cut = cut; len(line) == 0 {
		line = lastRotated(file)
	}
	if len(line) > 0 {
		c.head = Head{Seq: seqOf(line), Hash: sha256.Sum256(line)}
	}
	return c, nil
}

// rotatedAt is what Caddy's file writer puts behind the name of a file that it rotates, with .gz or .zst when it is compressed.
// While it compresses there is one more with .tmp.
var rotatedAt = regexp.MustCompile(`^-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}(-\w+)*$`)

// rotatedName finds it in a name.
var rotatedName = regexp.MustCompile(`-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}(-\w+)*(\.\w+?)?(\.gz|\.zst)?$`)

// logOf is the log that a file is or was rotated out of.
func logOf(file string) string { return rotatedName.ReplaceAllString(file, "$2") }

// Files are those of a log: what was rotated out of it, and the file.
func Files(file string) []string { return append(rotated(file), file) }

// rotated are files such as audit-2026-11-22T09-00-00.000.jsonl, perhaps with .gz.
func rotated(file string) []string {
	ext := filepath.Ext(file)
	name := strings.TrimSuffix(file, ext)
	found, _ := filepath.Glob(name + "-*" + ext + "*")
	return slices.DeleteFunc(found, func(other string) bool {
		at := strings.TrimPrefix(other, name)
		for _, coding := range compressed {
			at = strings.TrimSuffix(at, coding)
		}
		at, ours := strings.CutSuffix(at, ext)
		info, err := os.Stat(other) // opening a pipe waits for whoever writes to it
		return !ours || !rotatedAt.MatchString(at) || err != nil || !info.Mode().IsRegular()
	})
}

// lastRotated returns the last line of the files that were rotated. One that cannot be read, such as half of a compressed
// file, is passed over: verify finds what is missing then.
func lastRotated(file string) (last []byte) {
	for _, older := range rotated(file) {
		var line []byte
		if readFile(older, func(e Entry) error { line = append(line[:0], e.Text...); return nil }) == nil && seqOf(line) > seqOf(last) {
			last = line
		}
	}
	return last
}

func seqOf(line []byte) uint64 { return gjson.GetBytes(line, "seq").Uint() }

// maxEntry is far more than an entry has.
const maxEntry = 1 << 20

// lastLine returns the last line of a file that has an end. cut is whether something without one stands behind it.
func lastLine(file string) (line []byte, cut bool, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false, err
	}
	tail := make([]byte, min(size, 2*maxEntry))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, false, err
	}
	end := bytes.LastIndexByte(tail, '\n')
	if end < 0 {
		return nil, len(tail) > 0, nil
	}
	return tail[bytes.LastIndexByte(tail[:end], '\n')+1 : end], end+1 < len(tail), nil
}
